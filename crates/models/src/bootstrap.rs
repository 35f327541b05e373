//! How sure a metric is, or a difference between two models on the same rows ([`Bootstrap`]): Efron and Tibshirani, "An
//! Introduction to the Bootstrap", 1993, chapter 13; percentile intervals.

mod resample;

pub use self::resample::{Bootstrap, Resampling};
use crate::metrics;

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

/// Quantile of sorted values, interpolated linearly.
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q * last as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    Some(below + (above - below) * position.fract())
}
