//! How good predictions are. Formulas and edge cases as in scikit-learn's `sklearn.metrics`, with `zero_division=0`.
//!
//! Labels are class indices. All functions need at least one row and equally many rows in each argument.

use ndarray::{Array2, ArrayView2};

/// Arguments that have no score.
#[derive(Debug, thiserror::Error, PartialEq)]
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
    /// A score that is `NaN`.
    #[error("row {0} has a score that is not a number")]
    NotANumber(usize),
}

/// Precision, recall and F1, of one class or averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// Share of the predictions of the class that are right; 0 when there are none.
    pub precision: f64,
    /// Share of the class' rows that are found; 0 when there are none.
    pub recall: f64,
    /// Harmonic mean of both; 0 when both are.
    pub f1: f64,
}

/// Scores of one class, with its number of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassScores {
    /// The scores.
    pub scores: Scores,
    /// Rows that are of this class.
    pub support: u64,
    /// Rows that were predicted to be of this class.
    pub predicted: u64,
}

/// How classes are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Each class that occurs (as truth or prediction) counts the same.
    Macro,
    /// Each class counts by its rows.
    Weighted,
}

/// Share of the rows predicted right.
pub fn accuracy(truth: &[usize], predicted: &[usize]) -> Result<f64, Error> {
    check_lengths(truth.len(), predicted.len())?;
    let right = truth.iter().zip(predicted).filter(|(truth, predicted)| truth == predicted).count();
    Ok(right as f64 / truth.len() as f64)
}

/// Rows by true class (first axis) and predicted class (second).
pub fn confusion_matrix(truth: &[usize], predicted: &[usize], n_classes: usize) -> Result<Array2<u64>, Error> {
    check_lengths(truth.len(), predicted.len())?;
    check_labels(truth.iter().chain(predicted), n_classes)?;
    let mut matrix = Array2::zeros((n_classes, n_classes));
    truth.iter().zip(predicted).for_each(|(&truth, &predicted)| matrix[(truth, predicted)] += 1);
    Ok(matrix)
}

/// Scores of each class `0..n_classes`.
pub fn per_class(truth: &[usize], predicted: &[usize], n_classes: usize) -> Result<Vec<ClassScores>, Error> {
    check_lengths(truth.len(), predicted.len())?;
    check_labels(truth.iter().chain(predicted), n_classes)?;
    let mut classes = vec![ClassScores::default(); n_classes];
    let mut right = vec![0_u64; n_classes];
    for (&truth, &predicted) in truth.iter().zip(predicted) {
        classes[truth].support += 1;
        classes[predicted].predicted += 1;
        right[truth] += u64::from(truth == predicted);
    }
    for (class, right) in classes.iter_mut().zip(right) {
        class.scores = Scores {
            precision: ratio(right, class.predicted),
            recall: ratio(right, class.support),
            f1: ratio(2 * right, class.support + class.predicted),
        };
    }
    Ok(classes)
}

/// Precision, recall and F1 averaged over the classes.
pub fn averaged(truth: &[usize], predicted: &[usize], average: Average) -> Result<Scores, Error> {
    let n_classes = truth.iter().chain(predicted).max().map_or(0, |label| label.saturating_add(1));
    // Only the classes that occur matter, so their numbers may be made dense.
    let mut seen: Vec<usize> = truth.iter().chain(predicted).copied().collect();
    seen.sort_unstable();
    seen.dedup();
    let dense = |labels: &[usize]| -> Vec<usize> {
        labels.iter().map(|label| seen.partition_point(|seen| seen < label)).collect()
    };
    let classes = if seen.len() == n_classes {
        per_class(truth, predicted, n_classes)?
    } else {
        per_class(&dense(truth), &dense(predicted), seen.len())?
    };
    let mut sums = Scores::default();
    let mut total = 0.0;
    for class in classes {
        let weight = match average {
            Average::Macro => 1.0,
            Average::Weighted => class.support as f64,
        };
        sums.precision += weight * class.scores.precision;
        sums.recall += weight * class.scores.recall;
        sums.f1 += weight * class.scores.f1;
        total += weight;
    }
    Ok(Scores { precision: sums.precision / total, recall: sums.recall / total, f1: sums.f1 / total })
}

/// Precision, recall and F1 of one class against all others.
pub fn binary(truth: &[usize], predicted: &[usize], positive: usize) -> Result<Scores, Error> {
    let is_positive = |labels: &[usize]| -> Vec<usize> { labels.iter().map(|&l| usize::from(l == positive)).collect() };
    Ok(per_class(&is_positive(truth), &is_positive(predicted), 2)?[1].scores)
}

/// F1 of one class against all others.
pub fn binary_f1(truth: &[usize], predicted: &[usize], positive: usize) -> Result<f64, Error> {
    Ok(binary(truth, predicted, positive)?.f1)
}

/// Mean of -ln(probability of the true class); `proba` is rows × classes. Probabilities are kept a machine epsilon
/// away from 0 and 1, so a confident mistake costs 36, not infinity.
pub fn log_loss(truth: &[usize], proba: ArrayView2<'_, f64>) -> Result<f64, Error> {
    check_lengths(truth.len(), proba.nrows())?;
    check_labels(truth.iter(), proba.ncols())?;
    let mut sum = 0.0;
    for (row, (&truth, proba)) in truth.iter().zip(proba.rows()).enumerate() {
        if proba[truth].is_nan() {
            return Err(Error::NotANumber(row));
        }
        sum -= proba[truth].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln();
    }
    Ok(sum / truth.len() as f64)
}

/// Area under the ROC curve: the chance that a random row of the positive class has a higher score than one of the
/// others, ties counting half.
pub fn roc_auc(truth: &[usize], positive: usize, scores: &[f64]) -> Result<f64, Error> {
    check_lengths(truth.len(), scores.len())?;
    if let Some(row) = scores.iter().position(|score| score.is_nan()) {
        return Err(Error::NotANumber(row));
    }
    let mut ranked: Vec<(f64, bool)> =
        scores.iter().zip(truth).map(|(&score, &label)| (score, label == positive)).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = ranked.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = ranked.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return Err(Error::OneClass(ranked.len()));
    }
    // Pairs won, walking up the scores: every positive beats the negatives below it, and half of those beside it.
    let (mut below, mut won) = (0.0, 0.0);
    for ties in ranked.chunk_by(|a, b| a.0 == b.0) {
        let tied_positives = ties.iter().filter(|(_, positive)| *positive).count() as f64;
        let tied_negatives = ties.len() as f64 - tied_positives;
        won += tied_positives * (below + tied_negatives / 2.0);
        below += tied_negatives;
    }
    Ok(won / (positives * negatives))
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
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

#[cfg(test)]
mod tests;
