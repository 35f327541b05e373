//! From scores to probabilities, by what scores of held-out rows say.

use serde::{Deserialize, Serialize};

use crate::lbfgs;
use crate::scores::scores_to_proba;

/// How scores become probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calibration {
    /// All scores are multiplied by one number and go through the logistic function or softmax (Guo, Pleiss, Sun and
    /// Weinberger, "On calibration of modern neural networks", ICML 2017, whose temperature is its inverse). One number
    /// cannot overfit, and the class of the largest score stays the most probable.
    #[default]
    Temperature,
    /// Each score goes through a logistic function of its own, and the results are divided by their sum (Platt,
    /// "Probabilistic outputs for support vector machines", 1999). Often the better log loss with many classes; the most
    /// probable class may be another than that of the largest score.
    Sigmoid,
}

/// A fitted [`Calibration`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Calibrator {
    /// The factor of all scores.
    Temperature(f64),
    /// Factor and offset of each score.
    Sigmoid(Vec<(f64, f64)>),
}

impl Calibrator {
    /// `scores` holds rows × number of scores; there is at least one row.
    pub fn fit(calibration: Calibration, scores: &[f64], n_classes: usize, labels: &[usize], weights: &[f64]) -> Self {
        match calibration {
            Calibration::Temperature => Self::Temperature(factor(scores, n_classes, labels, weights)),
            Calibration::Sigmoid => {
                let n_scores = scores.len() / labels.len();
                let fit = |score: usize| {
                    let class = if n_classes == 2 { 1 } else { score };
                    let of_class: Vec<_> = scores.iter().skip(score).step_by(n_scores).copied().collect();
                    sigmoid(&of_class, |row| labels[row] == class, weights)
                };
                Self::Sigmoid((0..n_scores).map(fit).collect())
            }
        }
    }

    /// Turns scores, which are in the first places of `out`, into probabilities of all classes.
    pub fn apply(&self, n_scores: usize, out: &mut [f64]) {
        match self {
            Self::Temperature(factor) => {
                out[..n_scores].iter_mut().for_each(|score| *score *= factor);
                scores_to_proba(out);
            }
            Self::Sigmoid(lines) => {
                out.iter_mut().zip(lines).for_each(|(score, (factor, offset))| *score = factor * *score + offset);
                if out.len() > 2 {
                    // The softmax of the logarithms is each divided by the sum, and never 0 / 0.
                    out.iter_mut().for_each(|score| *score = score.min(0.0) - (-score.abs()).exp().ln_1p());
                }
                scores_to_proba(out);
            }
        }
    }

    /// Whether a decoded calibrator fits the scores.
    pub fn validate(&self, n_scores: usize) -> Result<(), String> {
        let sound = match self {
            Self::Temperature(factor) => *factor > 0.0 && factor.is_finite(),
            Self::Sigmoid(lines) => {
                lines.len() == n_scores && lines.iter().all(|(factor, offset)| factor.is_finite() && offset.is_finite())
            }
        };
        if sound { Ok(()) } else { Err("the calibration does not fit the scores, or is not finite".to_owned()) }
    }
}

/// Below, probabilities are equal for any score that occurs; above, they are 0 or 1.
const RANGE: (f64, f64) = (1e-3, 1e3);

/// The factor that makes the log loss of the scores least. `scores` holds rows × number of scores.
///
/// The log loss is convex in the factor: its derivative only grows, and the root is found by halving.
pub(super) fn factor(scores: &[f64], n_classes: usize, labels: &[usize], weights: &[f64]) -> f64 {
    let n_scores = scores.len() / labels.len().max(1);
    let mut proba = vec![0.0; n_classes];
    let mut derivative = |factor: f64| -> f64 {
        let rows = scores.chunks_exact(n_scores.max(1)).zip(labels).zip(weights);
        rows.map(|((scores, &label), weight)| {
            proba.iter_mut().zip(scores).for_each(|(place, score)| *place = factor * score);
            scores_to_proba(&mut proba);
            let of_class = |class: usize| match (n_classes, class) {
                (2, 0) => 0.0,
                (2, _) => scores[0],
                _ => scores[class],
            };
            let expected: f64 = proba.iter().enumerate().map(|(class, p)| p * of_class(class)).sum();
            weight * (expected - of_class(label))
        })
        .sum()
    };
    let (mut low, mut high) = RANGE;
    if derivative(low) >= 0.0 {
        return low;
    }
    if derivative(high) <= 0.0 {
        return high;
    }
    // Halves the ratio: after 60 rounds it is 1 to within rounding.
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if derivative(middle) > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}

/// Factor and offset of the logistic function that makes the log loss least. Its targets are drawn in from 0 and 1, as if a
/// row of either side had been seen besides, so that there always is one.
fn sigmoid(scores: &[f64], positive: impl Fn(usize) -> bool, weights: &[f64]) -> (f64, f64) {
    let total =
        |side: bool| -> f64 { (0..scores.len()).filter(|&row| positive(row) == side).map(|row| weights[row]).sum() };
    let (high, low) = ((total(true) + 1.0) / (total(true) + 2.0), 1.0 / (total(false) + 2.0));
    let all: f64 = weights.iter().sum();
    let loss = |line: &[f64], gradient: &mut [f64]| {
        gradient.fill(0.0);
        let mut loss = 0.0;
        for (row, (&score, &weight)) in scores.iter().zip(weights).enumerate() {
            let (target, logit) = (if positive(row) { high } else { low }, line[0] * score + line[1]);
            // -target ln p - (1 - target) ln (1 - p), p = 1 / (1 + e^-logit), without overflow.
            loss += weight * (logit.max(0.0) - target * logit + (-logit.abs()).exp().ln_1p()) / all;
            let slope = weight * (1.0 / (1.0 + (-logit).exp()) - target) / all;
            gradient[0] += slope * score;
            gradient[1] += slope;
        }
        loss
    };
    let line = lbfgs::minimise(vec![1.0, 0.0], 1_000, 1e-9, loss).point;
    (line[0], line[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_recovers_the_odds() {
        // Three of four rows of score 0.5 are of class 1: p = 3/4, so the factor is ln 3 / 0.5.
        let two = factor(&[0.5; 4], 2, &[1, 1, 1, 0], &[1.0; 4]);
        assert!((two - 2.0 * 3.0_f64.ln()).abs() < 1e-9);
        let weighted = factor(&[0.5; 2], 2, &[1, 0], &[3.0, 1.0]);
        assert!((weighted - two).abs() < 1e-9);
        // The same for three classes: scores (1, 0, 0) are right in half of the rows, ½ = e^f / (e^f + 2).
        let scores = [1.0, 0.0, 0.0].repeat(4);
        let three = factor(&scores, 3, &[0, 0, 1, 2], &[1.0; 4]);
        assert!((three - 2.0_f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn scores_that_are_always_right_or_wrong_stay_within_the_range() {
        assert_eq!(factor(&[1.0, -1.0], 2, &[1, 0], &[1.0; 2]), RANGE.1);
        assert_eq!(factor(&[1.0, -1.0], 2, &[0, 1], &[1.0; 2]), RANGE.0);
        assert!((RANGE.0..=RANGE.1).contains(&factor(&[], 2, &[], &[])));
    }

    #[test]
    fn each_score_gets_the_frequencies_of_its_class() {
        // Of 40 rows of score 1, 30 are of class 1, and of 40 of score -1, 10.
        let scores = [[1.0; 40], [-1.0; 40]].concat();
        let labels: Vec<_> = (0..80).map(|row| usize::from(if row < 40 { row < 30 } else { row < 50 })).collect();
        let fitted = Calibrator::fit(Calibration::Sigmoid, &scores, 2, &labels, &[1.0; 80]);
        let mut proba = [1.0, 0.0];
        fitted.apply(1, &mut proba);
        // 41 / 42 and 1 / 42 are the targets.
        assert!((proba[1] - (30.0 * 41.0 + 10.0) / 42.0 / 40.0).abs() < 1e-6);
    }

    #[test]
    fn probabilities_of_many_classes_are_divided_by_their_sum() {
        let fitted = Calibrator::Sigmoid(vec![(1.0, 0.0), (1.0, 0.0), (2.0, 1.0)]);
        let mut proba = [0.0, 0.0, -0.5];
        fitted.apply(3, &mut proba);
        assert!(proba.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-12));
        let mut proba = [-1e9, -1e9, -1e9];
        fitted.apply(3, &mut proba);
        assert!((proba.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
