//! From scores to probabilities: the scores are multiplied by one number and go through the logistic function or softmax
//! (Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, whose temperature is its
//! inverse). One number cannot overfit, and the class of the largest score stays the most probable.

use crate::scores::scores_to_proba;

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
}
