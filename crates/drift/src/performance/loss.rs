//! The error to expect of a regression, by how large its prediction is.
//!
//! A classifier's probability says how wrong it may be; a predicted number does not. What can be kept is how wrong the model
//! was, on rows that judged it, in each tenth of its predictions (a table in place of the second model that direct loss
//! estimation trains). It sees predictions move to where the model errs more or less, and nothing else: neither concept drift
//! nor inputs that are harder at the same prediction.

use super::{
    error::{Error, check_alpha, check_lengths},
    figure::{Figure, Metric, Performance, Source, quantile},
    measured::check_pair,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Cells of the table, at most …
const CELLS: usize = 10;
/// … and fewer where they would have fewer rows.
const LEAST_ROWS: usize = 10;

/// The mean and variance of one kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The variance between rows.
    pub variance: f64,
}

/// Rows of nearly the same prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The largest prediction, or key. The first cell also holds all that is less, the last all that is more.
    pub up_to: f64,
    /// Rows it was learned from.
    pub rows: u64,
    /// Of the absolute error.
    pub absolute: Spread,
    /// Of the squared error.
    pub squared: Spread,
}

/// The usual error by decile of the prediction: at most 60 numbers, stored with the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossTable {
    /// Cells of about equally many rows, `up_to` rising; none if nothing was learned from.
    pub cells: Vec<Cell>,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        // One row says nothing of its spread: as that of an exponential error.
        Self { mean, variance: if values.len() > 1 { squares / (n - 1.0) } else { mean * mean } }
    }
}

impl LossTable {
    /// Learns from rows that judged the model; their order changes nothing.
    ///
    /// # Errors
    /// Not one truth for each prediction, or a number that is not finite.
    pub fn learn(predictions: &[f64], truths: &[f64]) -> Result<Self, Error> {
        Self::learn_by(predictions, predictions, truths)
    }

    /// [`learn`](Self::learn) by another number than the prediction: one that tells better how hard a row is, as the error that
    /// a second model, trained on the features, expects of it. [`estimate`](Self::estimate) takes the same number of each row.
    ///
    /// # Errors
    /// As [`learn`](Self::learn).
    pub fn learn_by(keys: &[f64], predictions: &[f64], truths: &[f64]) -> Result<Self, Error> {
        check_lengths(predictions.len(), truths.len(), "truths")?;
        check_lengths(predictions.len(), keys.len(), "keys")?;
        let mut pairs = Vec::with_capacity(predictions.len());
        for (row, (&prediction, &truth)) in predictions.iter().zip(truths).enumerate() {
            pairs.push((check_finite(row, "the key", keys[row])?, check_pair(row, prediction, truth)?));
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let wanted = (pairs.len() / LEAST_ROWS).clamp(1, CELLS);
        let mut cells: Vec<Cell> = Vec::with_capacity(wanted);
        let mut from = 0;
        for cell in 1..=wanted {
            let end = (pairs.len() * cell / wanted).max(from);
            // Equal predictions stay together.
            let Some(&(up_to, _)) = pairs[from..end].last() else { continue };
            let end = from + pairs[from..].partition_point(|pair| pair.0 <= up_to);
            let absolute: Vec<f64> = pairs[from..end].iter().map(|pair| pair.1).collect();
            let squared: Vec<f64> = absolute.iter().map(|error| error * error).collect();
            let rows = absolute.len() as u64;
            cells.push(Cell { up_to, rows, absolute: Spread::of(&absolute), squared: Spread::of(&squared) });
            from = end;
        }
        Ok(Self { cells })
    }

    /// Estimates MAE and RMSE of `predictions`, or of their keys. The interval covers the rows' own errors and that of the table. Nothing is
    /// estimated from an empty table.
    ///
    /// # Errors
    /// A prediction that is not finite, a damaged table, an alpha that is none.
    pub fn estimate(&self, predictions: &[f64], alpha: f64) -> Result<Performance, Error> {
        check_alpha(alpha)?;
        self.validate()?;
        let mut figures = BTreeMap::new();
        let last = self.cells.len().saturating_sub(1);
        let mut counts = vec![0u64; self.cells.len()];
        for (row, &value) in predictions.iter().enumerate() {
            let value = check_finite(row, "the prediction", value)?;
            if let Some(count) = counts.get_mut(self.cells.partition_point(|cell| cell.up_to < value).min(last)) {
                *count += 1;
            }
        }
        let rows = predictions.len() as f64;
        if !predictions.is_empty() && !self.cells.is_empty() {
            let z = quantile(alpha);
            let figure = |of: fn(&Cell) -> Spread| {
                let (mut value, mut variance) = (0.0, 0.0);
                for (cell, &count) in self.cells.iter().zip(&counts) {
                    let (spread, share) = (of(cell), count as f64 / rows);
                    value += share * spread.mean;
                    variance += share * spread.variance / rows + share * share * spread.variance / cell.rows as f64;
                }
                Figure::normal(value, variance.sqrt(), z, (0.0, f64::MAX))
            };
            figures.insert(Metric::Mae, figure(|cell| cell.absolute));
            figures.insert(Metric::Rmse, figure(|cell| cell.squared).root());
        }
        Ok(Performance { source: Source::Estimated, rows: predictions.len() as u64, alpha, figures })
    }

    /// Checks what a stored table must fulfil.
    ///
    /// # Errors
    /// What does not add up.
    pub fn validate(&self) -> Result<(), Error> {
        let sound = |spread: &Spread| spread.mean >= 0.0 && spread.variance >= 0.0 && spread.mean.is_finite();
        let whole = |cell: &Cell| cell.rows > 0 && sound(&cell.absolute) && sound(&cell.squared);
        if !self.cells.iter().all(whole) {
            return Err(Error::Damaged { what: "table of losses", fault: "a cell has no rows, or a negative loss" });
        }
        if !self.cells.windows(2).all(|pair| pair[0].up_to < pair[1].up_to) {
            return Err(Error::Damaged { what: "table of losses", fault: "its cells do not rise" });
        }
        Ok(())
    }
}

fn check_finite(row: usize, what: &'static str, value: f64) -> Result<f64, Error> {
    if value.is_finite() { Ok(value) } else { Err(Error::Value { row, what, value }) }
}
