//! How sure a metric is ([`Bootstrap`]), and a difference between two models ([`paired_bootstrap`]): Efron and Tibshirani,
//! "An Introduction to the Bootstrap", 1993, chapter 13; percentile intervals.

mod resample;

pub use self::resample::{Bootstrap, Resampling};
use crate::{metrics, random};

/// A metric or a difference, and the interval it lies in with the given confidence.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Interval {
    /// Its value on the rows as they are.
    pub estimate: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Why there is no interval.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Error {
    /// The metric has no value for these rows.
    #[error(transparent)]
    Metric(#[from] metrics::Error),
    /// Predictions and labels differ in length, or there are more rows than can be drawn from.
    #[error("{truth} labels, but {first} and {second} predictions of the two models")]
    LengthMismatch {
        /// True labels.
        truth: usize,
        /// Predictions of the first model.
        first: usize,
        /// Predictions of the second model.
        second: usize,
    },
    /// The metric has no value for the rows as they are.
    #[error("{0}")]
    Undefined(String),
    /// The metric has a value for less than half of the draws.
    #[error(
        "only {defined} of {rounds} draws have a value, which is too few for an interval; stratify, or give more rows"
    )]
    Rounds {
        /// Rounds with a value.
        defined: usize,
        /// All rounds.
        rounds: usize,
    },
    /// Strata or groups are not given for every row.
    #[error("{rows} rows, but strata or groups of {given}")]
    Resampling {
        /// Rows there are.
        rows: usize,
        /// Rows with a stratum or a group.
        given: usize,
    },
    /// More rows than can be drawn from.
    #[error("{0} rows are more than 4294967295")]
    Rows(usize),
    /// No rounds, or a confidence that is none.
    #[error("the bootstrap needs at least one round and a confidence between 0 and 1, got {rounds} and {confidence}")]
    Parameters {
        /// Rounds asked for.
        rounds: usize,
        /// Confidence asked for.
        confidence: f64,
    },
}

/// The interval of `metric(truth, a) - metric(truth, b)` when the same rows are drawn with replacement for both, `rounds`
/// times. Above zero: `a` is better beyond chance (for a metric where more is better).
///
/// `metric` takes the true labels or values and the predictions, as [`metrics::accuracy`] does. A round in which it has no value is left out.
///
/// # Errors
/// When the metric has no value for all rows, or arguments do not fit each other.
pub fn paired_bootstrap<T: Copy>(
    metric: impl Fn(&[T], &[T]) -> Result<f64, metrics::Error>,
    truth: &[T],
    a: &[T],
    b: &[T],
    rounds: usize,
    seed: u64,
    confidence: f64,
) -> Result<Interval, Error> {
    let length_mismatch = Error::LengthMismatch { truth: truth.len(), first: a.len(), second: b.len() };
    let Ok(rows) = u32::try_from(truth.len()) else { return Err(length_mismatch) };
    if truth.len() != a.len() || truth.len() != b.len() {
        return Err(length_mismatch);
    }
    if rounds == 0 || !(confidence > 0.0 && confidence < 1.0) {
        return Err(Error::Parameters { rounds, confidence });
    }
    let difference = |truth: &[T], a: &[T], b: &[T]| Ok(metric(truth, a)? - metric(truth, b)?);
    let estimate = difference(truth, a, b)?;
    let mut rng = random::stream(seed, 0);
    let mut drawn = [Vec::new(), Vec::new(), Vec::new()];
    let mut differences = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        drawn.iter_mut().for_each(Vec::clear);
        for _ in 0..rows {
            let row = random::below(&mut rng, rows) as usize;
            for (drawn, labels) in drawn.iter_mut().zip([truth, a, b]) {
                drawn.push(labels[row]);
            }
        }
        let outcome: Result<f64, metrics::Error> = difference(&drawn[0], &drawn[1], &drawn[2]);
        differences.extend(outcome.ok().filter(|difference| !difference.is_nan()));
    }
    differences.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Ok(Interval {
        estimate,
        lower: quantile(&differences, tail).unwrap_or(estimate),
        upper: quantile(&differences, 1.0 - tail).unwrap_or(estimate),
    })
}

/// Quantile of sorted values, interpolated linearly.
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q * last as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    Some(below + (above - below) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 400 rows of one class; a model that is right on all but every `n`-th.
    fn wrong_every(n: usize) -> Vec<usize> {
        (0..400).map(|row| usize::from(row % n != 0)).collect()
    }

    fn compare(a: &[usize], b: &[usize], seed: u64) -> Interval {
        paired_bootstrap(metrics::accuracy, &[1; 400], a, b, 1_000, seed, 0.95).unwrap()
    }

    #[test]
    fn a_clear_difference_is_beyond_zero_and_has_the_width_of_its_standard_error() {
        let interval = compare(&wrong_every(20), &wrong_every(4), 1);
        assert!((interval.estimate - 0.20).abs() < 1e-12);
        assert!(interval.lower > 0.0);
        // One row in five differs: the standard error is sqrt(0.2 * 0.8 / 400) = 0.02.
        assert!((interval.upper - interval.lower - 2.0 * 1.96 * 0.02).abs() < 0.01);
    }

    #[test]
    fn equal_models_do_not_differ_and_a_slight_difference_is_within_chance() {
        let same = compare(&wrong_every(10), &wrong_every(10), 1);
        assert_eq!((same.estimate, same.lower, same.upper), (0.0, 0.0, 0.0));
        let slight = compare(&wrong_every(10), &wrong_every(9), 1);
        assert!(slight.lower < 0.0 && 0.0 < slight.upper);
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let (a, b) = (wrong_every(7), wrong_every(3));
        assert_eq!(compare(&a, &b, 5), compare(&a, &b, 5));
        assert_ne!(compare(&a, &b, 5), compare(&a, &b, 6));
    }

    #[test]
    fn unusable_arguments_are_errors() {
        let run = |truth: &[usize], a: &[usize], rounds, confidence| {
            paired_bootstrap(metrics::accuracy, truth, a, truth, rounds, 1, confidence)
        };
        assert_eq!(run(&[], &[], 10, 0.9), Err(Error::Metric(metrics::Error::Empty)));
        assert!(matches!(run(&[1], &[], 10, 0.9), Err(Error::LengthMismatch { .. })));
        assert!(matches!(run(&[1], &[1], 0, 0.9), Err(Error::Parameters { .. })));
        assert!(matches!(run(&[1], &[1], 10, 1.0), Err(Error::Parameters { .. })));
        assert!(matches!(run(&[1], &[1], 10, f64::NAN), Err(Error::Parameters { .. })));
    }
}
