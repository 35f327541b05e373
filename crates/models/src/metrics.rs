//! How good predictions are. Formulas and edge cases as in scikit-learn's `sklearn.metrics`, with `zero_division=0`.
//!
//! | module | for |
//! |---|---|
//! | [`classification`], [`mod@per_class`] | answers and probabilities, over all classes and of each |
//! | [`ranking`] | scores that put rows in order: ROC and precision-recall |
//! | [`calibration`] | whether probabilities mean what they say |
//! | [`regression`] | numbers, quantiles and intervals |
//! | [`report`] | all of them at once, with intervals, as JSON and CSV |
//!
//! Labels are class indices. All functions need at least one row and equally many rows in each argument.

pub mod calibration;
pub mod classification;
pub mod per_class;
pub mod ranking;
pub mod regression;
pub mod report;

pub use calibration::*;
pub use classification::*;
pub use per_class::*;
pub use ranking::*;
pub use regression::*;

/// Arguments that have no score.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum Error {
    /// No rows.
    #[error("there are no rows to score")]
    Empty,
    /// Arguments of different length.
    #[error("{truth} labels but {predicted} predictions")]
    LengthMismatch {
        /// True labels.
        truth: usize,
        /// Predictions.
        predicted: usize,
    },
    /// A label that is not one of the classes.
    #[error("label {label} is not one of the {n_classes} classes")]
    Label {
        /// The label.
        label: usize,
        /// Number of classes.
        n_classes: usize,
    },
    /// ROC AUC of rows that are all of one class.
    #[error("ROC AUC needs rows of both classes, all {0} rows are of one")]
    OneClass(usize),
    /// A class without rows, where each needs some.
    #[error("no row is of class {0}")]
    AbsentClass(usize),
    /// A score that is `NaN`.
    #[error("row {0} has a score that is not a number")]
    NotANumber(usize),
    /// A score that these rows do not define.
    #[error("{0}")]
    Undefined(&'static str),
    /// A relative error of a row to which nothing is relative.
    #[error("row {0} is zero, so no error is relative to it")]
    ZeroTruth(usize),
    /// A parameter out of its range.
    #[error("`{name}` must be {expected}, got {got}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        got: f64,
    },
}

fn check_lengths(truth: usize, predicted: usize) -> Result<(), Error> {
    match (truth, predicted) {
        (0, 0) => Err(Error::Empty),
        _ if truth != predicted => Err(Error::LengthMismatch { truth, predicted }),
        _ => Ok(()),
    }
}

fn check_labels<'a>(mut labels: impl Iterator<Item = &'a usize>, n_classes: usize) -> Result<(), Error> {
    match labels.find(|label| **label >= n_classes) {
        Some(&label) => Err(Error::Label { label, n_classes }),
        None => Ok(()),
    }
}

fn check_numbers(values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|value| value.is_nan()) {
        Some(row) => Err(Error::NotANumber(row)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;
