//! Which features a model relies on: how much worse it gets when one of them is shuffled (Breiman, "Random Forests", 2001;
//! Fisher, Rudin and Dominici, "All models are wrong, but many are useful", 2019).
//!
//! It is about the model, not the world: of two features that say the same, each may look useless while the other is there.

use std::fmt::Display;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::{parallel, random};

/// Why there are no importances.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Error {
    /// The metric has no value for the model's predictions.
    #[error("{0}")]
    Metric(String),
    /// Nothing to shuffle, or more than can be.
    #[error("{rows} rows are not between 1 and 4294967295")]
    Rows {
        /// Rows given.
        rows: usize,
    },
    /// No repeats.
    #[error("there must be at least one repeat")]
    NoRepeats,
}

/// How features are shuffled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation {
    /// How often each feature is, at least 1.
    pub repeats: usize,
    /// Seed of the shuffles.
    pub seed: u64,
    /// Threads; one per core when not given. No importance depends on it.
    pub n_jobs: Option<usize>,
}

impl Default for Permutation {
    /// Ten times.
    fn default() -> Self {
        Self { repeats: 10, seed: 0, n_jobs: None }
    }
}

/// What shuffling a feature takes from the metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// Mean over the repeats of the metric as it is less the metric with the feature shuffled: above zero, the model needs
    /// the feature (for a metric where more is better; give an error's negative).
    pub mean: f64,
    /// Standard deviation over the repeats (of all, not of a sample, as in scikit-learn).
    pub deviation: f64,
    /// The losses themselves.
    pub losses: Vec<f64>,
}

/// The metric as it is, and each feature's importance in order of the columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importances {
    /// The metric on the records as they are.
    pub baseline: f64,
    /// One for each column.
    pub features: Vec<Importance>,
}

/// Importances for a model that gives `predict(records)`, judged by `metric(predictions)`; `records` is rows × features. Use
/// rows that were not trained on: on others, what was learnt by heart looks important.
///
/// # Errors
/// When there are no rows or repeats, or the metric has no value.
pub fn permutation_importance<E: Display>(
    records: ArrayView2<'_, f64>,
    predict: impl Fn(ArrayView2<'_, f64>) -> Vec<f64> + Sync,
    metric: impl Fn(&[f64]) -> Result<f64, E> + Sync,
    permutation: &Permutation,
) -> Result<Importances, Error> {
    let Permutation { repeats, seed, n_jobs } = *permutation;
    let (rows, features) = records.dim();
    if rows == 0 || u32::try_from(rows).is_err() {
        return Err(Error::Rows { rows });
    }
    if repeats == 0 {
        return Err(Error::NoRepeats);
    }
    let score =
        |records: ArrayView2<'_, f64>| metric(&predict(records)).map_err(|error| Error::Metric(error.to_string()));
    let baseline = score(records)?;
    // A piece of work is a feature and a repeat. Each thread keeps a copy of the records, of which one column is not itself.
    let losses = parallel::map(
        features * repeats,
        parallel::threads(n_jobs),
        || records.to_owned(),
        |shuffled, index| {
            let feature = index / repeats;
            let mut column = records.column(feature).to_vec();
            random::shuffle(&mut random::stream(seed, index as u64), &mut column);
            shuffled.column_mut(feature).iter_mut().zip(column).for_each(|(cell, value)| *cell = value);
            let loss = score(shuffled.view()).map(|score| baseline - score);
            shuffled.column_mut(feature).assign(&records.column(feature));
            loss
        },
    );
    let losses = losses.into_iter().collect::<Result<Vec<f64>, Error>>()?;
    Ok(Importances { baseline, features: losses.chunks(repeats).map(importance).collect() })
}

fn importance(losses: &[f64]) -> Importance {
    let count = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / count;
    let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / count;
    Importance { mean, deviation: variance.sqrt(), losses: losses.to_vec() }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis};

    use super::*;
    use crate::test_data::Uniform;
    use crate::{Algorithm, metrics, test_data};

    fn records() -> Array2<f64> {
        let mut uniform = Uniform(4);
        Array2::from_shape_simple_fn((500, 3), || uniform.next().unwrap())
    }

    /// 3 x0 - x1, whatever x2.
    fn linear(records: ArrayView2<'_, f64>) -> Vec<f64> {
        records.rows().into_iter().map(|row| 3.0 * row[0] - row[1]).collect()
    }

    fn importances(permutation: &Permutation) -> Importances {
        let records = records();
        let truth = linear(records.view());
        let metric = |predicted: &[f64]| metrics::mean_squared_error(&truth, predicted).map(|error| -error);
        permutation_importance(records.view(), linear, metric, permutation).unwrap()
    }

    #[test]
    fn a_linear_model_loses_twice_the_variance_of_its_term() {
        let importances = importances(&Permutation { repeats: 40, ..Permutation::default() });
        assert_eq!(importances.baseline, 0.0);
        let mean = |feature: usize| importances.features[feature].mean;
        // Shuffled, a term differs from itself by two independent draws: 2 w² / 12 for uniform numbers.
        assert!((mean(0) - 2.0 * 9.0 / 12.0).abs() < 0.1, "{}", mean(0));
        assert!((mean(1) - 2.0 / 12.0).abs() < 0.02, "{}", mean(1));
        assert_eq!((mean(2), importances.features[2].deviation), (0.0, 0.0));
        assert!(importances.features[0].deviation > 0.0);
    }

    #[test]
    fn the_number_of_threads_changes_nothing_and_the_seed_does() {
        let run = |n_jobs, seed| importances(&Permutation { repeats: 3, seed, n_jobs: Some(n_jobs) });
        assert_eq!(run(1, 5), run(7, 5));
        assert_ne!(run(1, 5), run(1, 6));
    }

    #[test]
    fn a_forest_needs_the_features_its_data_has_signal_in() {
        let dataset = test_data::interactions(1_500, 3);
        let (train, test) = dataset.split_with_ratio(0.6);
        let model = Algorithm::from_spec("random_forest", &serde_json::Map::new()).unwrap().fit(&train, 2, 1).unwrap();
        let truth = test.targets.to_vec();
        let predict =
            |records: ArrayView2<'_, f64>| model.predict_proba(records).unwrap().index_axis(Axis(1), 1).to_vec();
        let metric = |scores: &[f64]| metrics::roc_auc(&truth, 1, scores);
        let records = test.records.view();
        let importances = permutation_importance(records, predict, metric, &Permutation::default()).unwrap();
        assert!(importances.baseline > 0.75);
        let noise = importances.features[6..].iter().map(|feature| feature.mean).fold(0.0, f64::max);
        for signal in [0, 1, 5] {
            assert!(importances.features[signal].mean > 3.0 * noise.max(0.005), "{importances:?}");
        }
    }

    #[test]
    fn unusable_arguments_are_errors() {
        let run = |records: Array2<f64>, repeats| {
            let metric = |predicted: &[f64]| metrics::r2_score(&[1.0, 1.0], predicted);
            permutation_importance(records.view(), linear, metric, &Permutation { repeats, ..Permutation::default() })
        };
        assert_eq!(run(Array2::zeros((0, 3)), 1), Err(Error::Rows { rows: 0 }));
        assert_eq!(run(Array2::zeros((2, 3)), 0), Err(Error::NoRepeats));
        assert!(matches!(run(Array2::zeros((2, 3)), 1), Err(Error::Metric(_))));
    }
}
