//! Everything that is known about predictions of a set of rows, in one value that is written as JSON or CSV.
//!
//! Each metric has a bootstrap interval. A metric that these rows do not define (one class only, no variance) is not among
//! [`MetricSet::metrics`], but with the reason among [`MetricSet::undefined`].

mod classification;
mod csv;
mod regression;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::classification::{ClassRow, ClassificationData, ClassificationReport, Reliability};
pub use self::regression::{IntervalForecast, RegressionData, RegressionReport, Training};
use super::Error;
use crate::bootstrap::{self, Bootstrap, Resampling};

/// A report of either task, told apart by `task`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Report {
    /// Of classes and their probabilities.
    Classification(Box<ClassificationReport>),
    /// Of numbers.
    Regression(RegressionReport),
}

/// A metric and the interval it lies in with the report's confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Its value on the rows.
    pub value: f64,
    /// The interval; none when too few draws of the rows have a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Bounds>,
}

/// Ends of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// How often an interval made so holds the true value.
    pub confidence: f64,
}

/// The metrics of some rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricSet {
    /// How many rows.
    pub rows: usize,
    /// Metrics by name.
    pub metrics: BTreeMap<String, Estimate>,
    /// Metrics that these rows do not define, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub undefined: BTreeMap<String, String>,
}

/// Rows to be judged on their own, such as those of one country.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Its name, such as `country=NL`.
    pub name: String,
    /// Its rows.
    pub rows: Vec<usize>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ReportError {
    /// Data that has no score at all.
    #[error(transparent)]
    Metric(#[from] Error),
    /// The bootstrap's arguments.
    #[error(transparent)]
    Bootstrap(#[from] bootstrap::Error),
    /// A slice with a row that there is not.
    #[error("slice `{name}` has row {row}, but there are {rows} rows")]
    Slice {
        /// Its name.
        name: String,
        /// The row.
        row: usize,
        /// Rows there are.
        rows: usize,
    },
    /// Names of classes that do not fit the probabilities.
    #[error("{names} names of classes, but probabilities of {classes}")]
    ClassNames {
        /// Names given.
        names: usize,
        /// Columns of the probabilities.
        classes: usize,
    },
}

impl Report {
    /// Indented JSON, with a line break at its end.
    ///
    /// # Errors
    /// Never for a report that this module has made: its numbers are finite and its keys are texts.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The metrics of all rows and of each slice as CSV with the header
    /// `slice,metric,value,lower,upper,confidence,rows,undefined`. `slice` is empty for all rows; a metric without a value has
    /// the reason instead.
    pub fn metrics_csv(&self) -> String {
        match self {
            Self::Classification(report) => csv::metrics(&report.scores, &report.slices),
            Self::Regression(report) => csv::metrics(&report.scores, &report.slices),
        }
    }
}

/// A metric's name, and its value for some rows or why it has none.
type Measured = Vec<(&'static str, Result<f64, Error>)>;

/// Measures all of `0..rows`, or the rows `of`, with intervals. `measure` gives the same names in the same order whatever
/// the rows.
fn scores(
    rows: usize,
    of: Option<&[usize]>,
    bootstrap: &Bootstrap<'_>,
    measure: impl Fn(&[usize]) -> Measured + Sync,
) -> Result<MetricSet, ReportError> {
    let all: Vec<usize> = (0..rows).collect();
    let of = of.unwrap_or(&all);
    if of.is_empty() {
        return Ok(MetricSet::default());
    }
    // Strata and groups are numbered by row of all; the bootstrap draws places of `of`.
    let pick = |units: &[usize]| of.iter().filter_map(|&row| units.get(row).copied()).collect::<Vec<_>>();
    let units = match bootstrap.resampling {
        Resampling::Rows => Vec::new(),
        Resampling::Stratified(units) | Resampling::Groups(units) => pick(units),
    };
    let resampling = match bootstrap.resampling {
        Resampling::Rows => Resampling::Rows,
        Resampling::Stratified(_) => Resampling::Stratified(&units),
        Resampling::Groups(_) => Resampling::Groups(&units),
    };
    let measured = measure(of);
    let intervals = Bootstrap { resampling, ..*bootstrap }.intervals(of.len(), |places| {
        let rows: Vec<usize> = places.iter().map(|&place| of[place]).collect();
        measure(&rows).into_iter().map(|(_, value)| value.map_err(|error| error.to_string())).collect()
    })?;
    let mut scores = MetricSet { rows: of.len(), ..MetricSet::default() };
    for ((name, value), interval) in measured.into_iter().zip(intervals) {
        let confidence = bootstrap.confidence;
        let bounds = |of: bootstrap::Interval| Bounds { lower: of.lower, upper: of.upper, confidence };
        let interval = interval.ok().map(bounds).filter(|of| of.lower.is_finite() && of.upper.is_finite());
        match value {
            // Infinity is no number in JSON, and says no more than that there is none.
            Ok(value) if value.is_finite() => {
                scores.metrics.insert(name.to_owned(), Estimate { value, interval });
            }
            Ok(value) => {
                scores.undefined.insert(name.to_owned(), format!("its value is {value}"));
            }
            Err(error) => {
                scores.undefined.insert(name.to_owned(), error.to_string());
            }
        }
    }
    Ok(scores)
}

fn slice_scores(
    rows: usize,
    slices: &[Slice],
    bootstrap: &Bootstrap<'_>,
    measure: impl Fn(&[usize]) -> Measured + Sync,
) -> Result<BTreeMap<String, MetricSet>, ReportError> {
    let judge = |slice: &Slice| {
        if let Some(&row) = slice.rows.iter().find(|row| **row >= rows) {
            return Err(ReportError::Slice { name: slice.name.clone(), row, rows });
        }
        Ok((slice.name.clone(), scores(rows, Some(&slice.rows), bootstrap, &measure)?))
    };
    slices.iter().map(judge).collect()
}

fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|&row| values[row]).collect()
}
