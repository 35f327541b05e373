//! What labels say: counts that add up in any order, and the metrics of them.
//!
//! Counts are integers or exact sums, so windows of one model version that are merged in any order, or counted row by row, are
//! the same to the last byte.

use super::{
    auc,
    error::{Error, check_alpha, check_class, check_lengths},
    estimate::LEAST_PROBABILITY,
    exact::ExactSum,
    figure::{Figure, Metric, Performance, Source, quantile},
    matrix,
    probabilities::Probabilities,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Cells that scores of class 1 are counted in, of equal width.
const SCORES: u16 = 1_000;
/// The fourth power of an error must be a number, and the sum of many.
const LARGEST_ERROR: f64 = 1e75;

/// Answers of a classifier and their truths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCounts {
    /// Classes of the model.
    pub classes: usize,
    /// The confusion matrix, truths down and answers across: cell truth · classes + answer.
    pub cells: Vec<u64>,
    /// Rows that came with probabilities; log loss and AUC are of these.
    pub scored: u64,
    /// The sum of their log losses.
    pub loss: ExactSum,
    /// The sum of the squares of these.
    pub loss_squares: ExactSum,
    /// Of two classes: rows by the thousandth that the probability of class 1 is in, as (truly 0, truly 1). Scores within a
    /// thousandth count as tied, and the interval of the AUC is wider by what that may change.
    pub scores: BTreeMap<u16, (u64, u64)>,
}

impl ClassCounts {
    /// No rows of a model of so many classes.
    ///
    /// # Errors
    /// Fewer than two classes.
    pub fn new(classes: usize) -> Result<Self, Error> {
        if classes < 2 {
            return Err(Error::Classes(classes));
        }
        Ok(Self {
            classes,
            cells: vec![0; classes * classes],
            scored: 0,
            loss: ExactSum::default(),
            loss_squares: ExactSum::default(),
            scores: BTreeMap::new(),
        })
    }

    /// Counts rows that have probabilities.
    ///
    /// # Errors
    /// Columns that do not fit together, and classes the model does not have; nothing is counted then.
    pub fn count(&mut self, probabilities: &Probabilities, answers: &[usize], truths: &[usize]) -> Result<(), Error> {
        if probabilities.classes() != self.classes {
            return Err(Error::OtherClasses { ours: self.classes, others: probabilities.classes() });
        }
        check_lengths(probabilities.rows(), answers.len(), "answers")?;
        self.count_answers(answers, truths)?;
        for (row, &truth) in truths.iter().enumerate() {
            let own = probabilities.row(row);
            let loss = -own[truth].clamp(LEAST_PROBABILITY, 1.0).ln();
            self.scored += 1;
            self.loss.add(loss);
            self.loss_squares.add(loss * loss);
            if self.classes == 2 {
                let cell = self.scores.entry(((own[1] * f64::from(SCORES)) as u16).min(SCORES - 1)).or_default();
                *(if truth == 1 { &mut cell.1 } else { &mut cell.0 }) += 1;
            }
        }
        Ok(())
    }

    /// Counts rows of which only the answers are known.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub fn count_answers(&mut self, answers: &[usize], truths: &[usize]) -> Result<(), Error> {
        check_lengths(answers.len(), truths.len(), "truths")?;
        let mut all = answers.iter().chain(truths).enumerate();
        all.try_for_each(|(index, &class)| check_class(index % answers.len(), class, self.classes))?;
        answers.iter().zip(truths).for_each(|(answer, truth)| self.cells[truth * self.classes + answer] += 1);
        Ok(())
    }

    /// Adds the counts of other rows of the same model version.
    ///
    /// # Errors
    /// Counts of other classes.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.classes != other.classes || self.cells.len() != other.cells.len() {
            return Err(Error::OtherClasses { ours: self.classes, others: other.classes });
        }
        self.cells.iter_mut().zip(&other.cells).for_each(|(ours, theirs)| *ours = ours.saturating_add(*theirs));
        self.scored = self.scored.saturating_add(other.scored);
        self.loss.merge(&other.loss);
        self.loss_squares.merge(&other.loss_squares);
        for (&score, theirs) in &other.scores {
            let ours = self.scores.entry(score).or_default();
            *ours = (ours.0.saturating_add(theirs.0), ours.1.saturating_add(theirs.1));
        }
        Ok(())
    }

    /// Rows with a truth.
    pub fn rows(&self) -> u64 {
        self.cells.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The metrics of the rows. Accuracy has the Wilson interval, the F1 family that of the delta method in Wilson's form, AUC
    /// that of DeLong in the same form, the log loss a normal one.
    ///
    /// # Errors
    /// An alpha that is none, and stored counts that do not fit their classes.
    pub fn performance(&self, alpha: f64) -> Result<Performance, Error> {
        check_alpha(alpha)?;
        if self.classes < 2 || self.cells.len() != self.classes * self.classes {
            return Err(Error::Damaged { what: "confusion matrix", fault: "it has not a cell for each two classes" });
        }
        let z = quantile(alpha);
        let cells: Vec<f64> = self.cells.iter().map(|&count| count as f64).collect();
        let mut figures = BTreeMap::new();
        for linear in matrix::metrics(&cells, self.classes) {
            // The derivatives weighted by the cells sum to 0, so the multinomial variance is that of independent counts.
            let variance: f64 = cells.iter().zip(&linear.slopes).map(|(count, slope)| count * slope * slope).sum();
            figures.insert(linear.metric, Figure::share(linear.value, variance.sqrt(), z, linear.rows));
        }
        if let Some((mean, error)) = moments(self.scored, &self.loss, &self.loss_squares) {
            figures.insert(Metric::LogLoss, Figure::normal(mean, error, z, (0.0, f64::MAX)));
        }
        let scores: Vec<(u64, u64)> = self.scores.values().copied().collect();
        if let Some((area, error, tied)) = auc::counted(&scores) {
            let fewest = scores.iter().fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
            let figure = Figure::share(area, error, z, fewest.0.min(fewest.1) as f64);
            let (low, high) = ((figure.low - tied).max(0.0), (figure.high + tied).min(1.0));
            figures.insert(Metric::RocAuc, Figure { low, high, ..figure });
        }
        Ok(Performance { source: Source::Measured, rows: self.rows(), alpha, figures })
    }
}

/// Errors of a regression.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueCounts {
    /// Rows with a truth.
    pub rows: u64,
    /// The sum of the absolute errors, |prediction − truth|.
    pub absolute: ExactSum,
    /// Of their squares, each rounded to a float before.
    pub squares: ExactSum,
    /// Of the squares of these.
    pub fourth_powers: ExactSum,
}

impl ValueCounts {
    /// Counts rows.
    ///
    /// # Errors
    /// Columns of different lengths, and numbers that are not finite; nothing is counted then.
    pub fn count(&mut self, predictions: &[f64], truths: &[f64]) -> Result<(), Error> {
        check_lengths(predictions.len(), truths.len(), "truths")?;
        let rows = predictions.iter().zip(truths).enumerate();
        let errors: Vec<f64> =
            rows.map(|(row, (&prediction, &truth))| check_pair(row, prediction, truth)).collect::<Result<_, _>>()?;
        self.rows += errors.len() as u64;
        for error in errors {
            let square = error * error;
            self.absolute.add(error);
            self.squares.add(square);
            self.fourth_powers.add(square * square);
        }
        Ok(())
    }

    /// Adds the counts of other rows of the same model version.
    pub fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.absolute.merge(&other.absolute);
        self.squares.merge(&other.squares);
        self.fourth_powers.merge(&other.fourth_powers);
    }

    /// MAE and RMSE with normal intervals; that of the RMSE is the root of the mean squared error's.
    ///
    /// # Errors
    /// An alpha that is none.
    pub fn performance(&self, alpha: f64) -> Result<Performance, Error> {
        check_alpha(alpha)?;
        let z = quantile(alpha);
        let figure = |sum, squares| {
            moments(self.rows, sum, squares).map(|(mean, error)| Figure::normal(mean, error, z, (0.0, f64::MAX)))
        };
        let mae = figure(&self.absolute, &self.squares).map(|figure| (Metric::Mae, figure));
        let rmse = figure(&self.squares, &self.fourth_powers).map(|figure| (Metric::Rmse, figure.root()));
        Ok(Performance {
            source: Source::Measured,
            rows: self.rows,
            alpha,
            figures: mae.into_iter().chain(rmse).collect(),
        })
    }
}

/// A mean and its standard error; `None` without rows. One row says nothing of its spread: as that of an exponential error.
fn moments(rows: u64, sum: &ExactSum, squares: &ExactSum) -> Option<(f64, f64)> {
    let n = rows as f64;
    let mean = (rows > 0).then(|| sum.value() / n)?;
    if rows == 1 {
        return Some((mean, mean));
    }
    let variance = (squares.value() / n - mean * mean).max(0.0) * n / (n - 1.0);
    Some((mean, (variance / n).sqrt()))
}

/// The absolute error of a row.
pub(crate) fn check_pair(row: usize, prediction: f64, truth: f64) -> Result<f64, Error> {
    let error = (prediction - truth).abs();
    if error < LARGEST_ERROR {
        return Ok(error);
    }
    let (what, value) = if truth.is_finite() { ("the prediction", prediction) } else { ("the truth", truth) };
    Err(Error::Value { row, what, value })
}
