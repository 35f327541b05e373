//! Whether more rows would help: scores on the rows trained on and on others as the training set grows. Lines that have met
//! say that the model is too simple, lines apart that more rows would bring them together.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{parallel, split};

/// Why there is no curve.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Error {
    /// A size that is zero or more than there are rows.
    #[error("{size} rows of {rows} cannot be trained on")]
    Size {
        /// The size.
        size: usize,
        /// Rows there are.
        rows: usize,
    },
    /// No sizes or no seeds.
    #[error("there must be at least one size and one seed")]
    NoRuns,
    /// More rows than can be shuffled.
    #[error(transparent)]
    Split(#[from] split::Error),
    /// A run that failed.
    #[error("{size} rows with seed {seed}: {why}")]
    Fit {
        /// Rows trained on.
        size: usize,
        /// Its seed.
        seed: u64,
        /// What was wrong.
        why: String,
    },
}

/// Scores of one fit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainTestScore {
    /// On the rows trained on.
    pub train: f64,
    /// On rows kept apart.
    pub test: f64,
}

/// Mean and spread over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Standard deviation (of all, not of a sample, so that one seed has 0).
    pub deviation: f64,
}

/// One size of the training set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Rows trained on.
    pub size: usize,
    /// On the rows trained on.
    pub train: Spread,
    /// On rows kept apart.
    pub test: Spread,
    /// Scores of each seed, in their order.
    pub runs: Vec<TrainTestScore>,
}

/// A fit that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows it was trained on.
    pub size: usize,
    /// Its seed.
    pub seed: u64,
    /// Fits done.
    pub done: usize,
    /// All fits.
    pub of: usize,
}

/// The curve for a training set of `rows` rows, a point for each of `sizes`, in their order. `fit` is given the row numbers
/// to train on, ascending, and the seed. For one seed, each size's rows hold those of the smaller sizes, so the curve shows
/// what rows add and not which ones were drawn. `progress` is told of every fit; up to `n_jobs` (one per core when not given)
/// are made at once, and the curve does not depend on it.
///
/// # Errors
/// For sizes that there are not, and the first fit, in order of sizes and seeds, that fails.
pub fn learning_curve<E: Display>(
    rows: usize,
    sizes: &[usize],
    seeds: &[u64],
    n_jobs: Option<usize>,
    fit: impl Fn(&[usize], u64) -> Result<TrainTestScore, E> + Sync,
    progress: impl FnMut(Progress) + Send,
) -> Result<Vec<Point>, Error> {
    if sizes.is_empty() || seeds.is_empty() {
        return Err(Error::NoRuns);
    }
    if let Some(&size) = sizes.iter().find(|size| !(1..=rows).contains(*size)) {
        return Err(Error::Size { size, rows });
    }
    let of = sizes.len() * seeds.len();
    let told = Mutex::new((0, progress));
    let runs = parallel::map(
        of,
        parallel::threads(n_jobs),
        || (),
        |(), index| {
            let (size, seed) = (sizes[index / seeds.len()], seeds[index % seeds.len()]);
            let score = fit(&split::nested_sample(rows, size, seed)?, seed);
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let (done, progress) = &mut *told;
            *done += 1;
            progress(Progress { size, seed, done: *done, of });
            score.map_err(|error| Error::Fit { size, seed, why: error.to_string() })
        },
    );
    let runs = runs.into_iter().collect::<Result<Vec<TrainTestScore>, Error>>()?;
    let point = |(&size, runs): (&usize, &[TrainTestScore])| Point {
        size,
        train: spread(runs, |run| run.train),
        test: spread(runs, |run| run.test),
        runs: runs.to_vec(),
    };
    Ok(sizes.iter().zip(runs.chunks(seeds.len())).map(point).collect())
}

/// `count` sizes from `smallest` to `rows`, each larger than the one before by the same factor; fewer where rounding makes
/// them equal.
pub fn geometric_sizes(smallest: usize, rows: usize, count: usize) -> Vec<usize> {
    let (first, last) = ((smallest.max(1) as f64).ln(), (rows.max(1) as f64).ln());
    let size = |step: usize| (first + (last - first) * step as f64 / (count.max(2) - 1) as f64).exp().round() as usize;
    let mut sizes: Vec<usize> = (0..count).map(|step| size(step).clamp(1, rows.max(1))).collect();
    sizes.dedup();
    sizes
}

fn spread(runs: &[TrainTestScore], of: impl Fn(&TrainTestScore) -> f64) -> Spread {
    let count = runs.len() as f64;
    let mean = runs.iter().map(&of).sum::<f64>() / count;
    let variance = runs.iter().map(|run| (of(run) - mean).powi(2)).sum::<f64>() / count;
    Spread { mean, deviation: variance.sqrt() }
}

#[cfg(test)]
mod tests {
    use linfa::Dataset;
    use ndarray::Axis;

    use super::*;
    use crate::{Algorithm, metrics, test_data};

    #[test]
    fn a_forest_gets_better_with_rows_and_knows_its_own_by_heart() {
        let dataset = test_data::interactions(1_600, 3);
        let fit = |rows: &[usize], seed| -> Result<TrainTestScore, String> {
            let take = |rows: &[usize]| (dataset.records.select(Axis(0), rows), dataset.targets.select(Axis(0), rows));
            let (records, targets) = take(rows);
            let params = serde_json::from_str(r#"{"n_estimators": 30}"#).unwrap();
            let forest = Algorithm::from_spec("random_forest", &params).unwrap();
            let model = forest.fit(&Dataset::new(records, targets), 2, seed).map_err(|error| error.to_string())?;
            let score = |rows: &[usize]| {
                let (records, targets) = take(rows);
                metrics::accuracy(&targets.to_vec(), &model.predict_batch(records.view()).unwrap().to_vec()).unwrap()
            };
            Ok(TrainTestScore { train: score(rows), test: score(&(1_000..1_600).collect::<Vec<_>>()) })
        };
        let curve = learning_curve(1_000, &geometric_sizes(30, 1_000, 4), &[1, 2, 3], None, fit, |_| ()).unwrap();
        assert_eq!(curve.iter().map(|point| point.size).collect::<Vec<_>>(), [30, 97, 311, 1_000]);
        assert!(curve.iter().all(|point| point.train.mean > 0.95));
        assert!(curve[3].test.mean > curve[0].test.mean + 0.1, "{curve:?}");
    }

    #[test]
    fn larger_sizes_hold_the_rows_of_smaller_ones_and_every_fit_is_told() {
        let seen = Mutex::new(Vec::new());
        let fit = |rows: &[usize], seed| {
            seen.lock().unwrap().push((seed, rows.to_vec()));
            Ok::<_, String>(TrainTestScore { train: rows.len() as f64, test: seed as f64 })
        };
        let mut told = Vec::new();
        let curve = learning_curve(50, &[5, 20, 50], &[7, 9], Some(2), fit, |progress| told.push(progress)).unwrap();
        assert_eq!(curve[1].train, Spread { mean: 20.0, deviation: 0.0 });
        assert_eq!(curve[1].test, Spread { mean: 8.0, deviation: 1.0 });
        assert_eq!(told.iter().map(|progress| progress.done).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        let seen = seen.into_inner().unwrap();
        let rows = |seed, size| &seen.iter().find(|(s, rows)| *s == seed && rows.len() == size).unwrap().1;
        assert!(rows(7, 5).iter().all(|row| rows(7, 20).contains(row)));
        assert_ne!(rows(7, 5), rows(9, 5));
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let fit = |rows: &[usize], _| {
            let sum = rows.iter().sum::<usize>() as f64;
            Ok::<_, String>(TrainTestScore { train: sum, test: sum.sqrt() })
        };
        let run = |n_jobs| learning_curve(90, &[3, 30, 9], &[1, 2, 3], Some(n_jobs), fit, |_| ()).unwrap();
        assert_eq!(run(1), run(7));
    }

    #[test]
    fn failures_name_the_fit_and_impossible_sizes_are_refused() {
        let run = |sizes: &[usize], seeds: &[u64]| {
            let fit = |_: &[usize], _| Err("one class");
            learning_curve(10, sizes, seeds, None, fit, |_| ()).unwrap_err()
        };
        assert_eq!(run(&[2, 3], &[4]).to_string(), "2 rows with seed 4: one class");
        assert_eq!(run(&[11], &[4]), Error::Size { size: 11, rows: 10 });
        assert_eq!(run(&[0], &[4]), Error::Size { size: 0, rows: 10 });
        assert_eq!(run(&[], &[4]), Error::NoRuns);
        assert_eq!(run(&[1], &[]), Error::NoRuns);
    }
}
