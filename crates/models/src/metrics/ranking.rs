//! How well scores put the rows of a class before the others, whatever the threshold. Scores need an order only, not
//! probabilities; ties are never broken by chance.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{Error, check_labels, check_lengths, check_numbers};

/// A point of the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Rows with this score or a higher one are taken for positive; none are in the first point.
    pub threshold: Option<f64>,
    /// Share of the negative rows taken for positive.
    pub false_positive_rate: f64,
    /// Share of the positive rows taken for positive.
    pub true_positive_rate: f64,
}

/// A point of the precision-recall curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallPoint {
    /// Rows with this score or a higher one are taken for positive; none are in the first point.
    pub threshold: Option<f64>,
    /// Share of the rows taken for positive that are; 1 where none are taken.
    pub precision: f64,
    /// Share of the positive rows taken for positive.
    pub recall: f64,
}

/// Area under the ROC curve: the chance that a random row of the positive class has a higher score than one of the
/// others, ties counting half.
pub fn roc_auc(truth: &[usize], positive: usize, scores: &[f64]) -> Result<f64, Error> {
    check_lengths(truth.len(), scores.len())?;
    check_numbers(scores)?;
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

/// Mean over the classes of the [`roc_auc`] of each against all others; `scores` is rows × classes. With two classes it is
/// that of the second.
///
/// # Errors
/// [`Error::OneClass`], [`Error::AbsentClass`] when a class has no rows.
pub fn roc_auc_ovr(truth: &[usize], scores: ArrayView2<'_, f64>) -> Result<f64, Error> {
    one_vs_rest(truth, scores, roc_auc)
}

/// Average precision: the precision at each threshold, weighted by the recall gained there. A step-wise area under the
/// precision-recall curve, without the optimism of interpolating it.
///
/// # Errors
/// [`Error::AbsentClass`] when there are no positive rows.
pub fn average_precision(truth: &[usize], positive: usize, scores: &[f64]) -> Result<f64, Error> {
    let curve = precision_recall_curve(truth, positive, scores)?;
    Ok(curve.windows(2).map(|pair| (pair[1].recall - pair[0].recall) * pair[1].precision).sum())
}

/// Mean over the classes of the [`average_precision`] of each against all others; `scores` is rows × classes. With two
/// classes it is that of the second.
///
/// # Errors
/// [`Error::AbsentClass`] when a class has no rows.
pub fn average_precision_ovr(truth: &[usize], scores: ArrayView2<'_, f64>) -> Result<f64, Error> {
    one_vs_rest(truth, scores, average_precision)
}

/// The ROC curve from (0, 0) to (1, 1), a point for each distinct score, thresholds falling.
///
/// # Errors
/// [`Error::OneClass`].
pub fn roc_curve(truth: &[usize], positive: usize, scores: &[f64]) -> Result<Vec<RocPoint>, Error> {
    let steps = steps(truth, positive, scores)?;
    let (positives, taken) = steps.last().map_or((0.0, 0.0), |last| (last.positives, last.taken));
    let negatives = taken - positives;
    if positives == 0.0 || negatives == 0.0 {
        return Err(Error::OneClass(truth.len()));
    }
    Ok(steps
        .into_iter()
        .map(|step| RocPoint {
            threshold: step.threshold,
            false_positive_rate: (step.taken - step.positives) / negatives,
            true_positive_rate: step.positives / positives,
        })
        .collect())
}

/// The precision-recall curve from recall 0 to recall 1, a point for each distinct score, thresholds falling
/// (scikit-learn's in reverse).
///
/// # Errors
/// [`Error::AbsentClass`] when there are no positive rows.
pub fn precision_recall_curve(
    truth: &[usize],
    positive: usize,
    scores: &[f64],
) -> Result<Vec<PrecisionRecallPoint>, Error> {
    let steps = steps(truth, positive, scores)?;
    let positives = steps.last().map_or(0.0, |last| last.positives);
    if positives == 0.0 {
        return Err(Error::AbsentClass(positive));
    }
    Ok(steps
        .into_iter()
        .map(|step| PrecisionRecallPoint {
            threshold: step.threshold,
            precision: if step.taken == 0.0 { 1.0 } else { step.positives / step.taken },
            recall: step.positives / positives,
        })
        .collect())
}

/// Rows taken for positive as the threshold falls to a score.
struct Step {
    threshold: Option<f64>,
    taken: f64,
    positives: f64,
}

fn steps(truth: &[usize], positive: usize, scores: &[f64]) -> Result<Vec<Step>, Error> {
    check_lengths(truth.len(), scores.len())?;
    check_numbers(scores)?;
    let mut ranked: Vec<(f64, bool)> =
        scores.iter().zip(truth).map(|(&score, &label)| (score, label == positive)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut taken, mut positives) = (0.0, 0.0);
    let mut steps = vec![Step { threshold: None, taken, positives }];
    for ties in ranked.chunk_by(|a, b| a.0 == b.0) {
        taken += ties.len() as f64;
        positives += ties.iter().filter(|(_, positive)| *positive).count() as f64;
        steps.push(Step { threshold: Some(ties[0].0), taken, positives });
    }
    Ok(steps)
}

fn one_vs_rest(
    truth: &[usize],
    scores: ArrayView2<'_, f64>,
    score: impl Fn(&[usize], usize, &[f64]) -> Result<f64, Error>,
) -> Result<f64, Error> {
    check_lengths(truth.len(), scores.nrows())?;
    check_labels(truth.iter(), scores.ncols())?;
    let first = if scores.ncols() == 2 { 1 } else { 0 };
    let mut sum = 0.0;
    for class in first..scores.ncols() {
        if scores.ncols() > 2 && !truth.contains(&class) {
            return Err(Error::AbsentClass(class));
        }
        sum += score(truth, class, &scores.column(class).to_vec())?;
    }
    Ok(sum / (scores.ncols() - first) as f64)
}
