//! The confusion matrix, and precision, recall and F1 of each class or averaged.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{Error, check_labels, check_lengths};

/// Precision, recall and F1, of one class or averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
