//! The scores of linear classifiers: a weighted sum per class, one for both of two classes.

use serde::{Deserialize, Serialize};

use crate::predictor::{MAX_CLASSES, MAX_FEATURES};
use crate::sparse::SparseRow;

/// How many scores there are: one stands for two classes, and is that of class 1.
pub(crate) fn n_scores(n_classes: usize) -> usize {
    if n_classes == 2 { 1 } else { n_classes }
}

/// Weighted sums of the same row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scores {
    intercepts: Vec<f64>,
    /// Feature after feature, as many as there are scores of each: a sparse row then reads few places of memory.
    coefficients: Vec<f64>,
}

impl Scores {
    /// From the coefficients and the intercept of each score; all have `n_features` coefficients.
    pub fn new(n_features: usize, scores: &[(Vec<f64>, f64)]) -> Self {
        let mut coefficients = Vec::with_capacity(n_features * scores.len());
        for feature in 0..n_features {
            coefficients.extend(scores.iter().map(|(of_score, _)| of_score[feature]));
        }
        Self { intercepts: scores.iter().map(|(_, intercept)| *intercept).collect(), coefficients }
    }

    /// From the intercepts and the coefficients, feature after feature.
    pub fn from_parts(intercepts: Vec<f64>, coefficients: Vec<f64>) -> Self {
        Self { intercepts, coefficients }
    }

    /// Number of scores.
    pub fn len(&self) -> usize {
        self.intercepts.len()
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.coefficients.len() / self.len().max(1)
    }

    /// The coefficients of a score.
    pub fn coefficients(&self, score: usize) -> Vec<f64> {
        self.coefficients.iter().skip(score).step_by(self.len()).copied().collect()
    }

    /// The coefficients where there is one score.
    pub fn of_only_one(&self) -> &[f64] {
        &self.coefficients
    }

    /// The intercept of each score.
    pub fn intercepts(&self) -> &[f64] {
        &self.intercepts
    }

    /// Writes the scores of a sparse row, whose columns are below [`Self::n_features`].
    pub fn write_sparse(&self, row: SparseRow<'_>, out: &mut [f64]) {
        self.write(row.iter(), out);
    }

    /// Writes the scores of a row of [`Self::n_features`] values.
    pub fn write_dense(&self, row: impl Iterator<Item = f64>, out: &mut [f64]) {
        self.write(row.enumerate(), out);
    }

    fn write(&self, values: impl Iterator<Item = (usize, f64)>, out: &mut [f64]) {
        out.copy_from_slice(&self.intercepts);
        for (feature, value) in values {
            let of_feature = &self.coefficients[feature * out.len()..][..out.len()];
            out.iter_mut().zip(of_feature).for_each(|(score, coefficient)| *score += value * coefficient);
        }
    }

    /// Whether all numbers are finite.
    pub fn is_finite(&self) -> bool {
        self.intercepts.iter().chain(&self.coefficients).all(|number| number.is_finite())
    }

    /// Whether decoded scores are safe to use for `n_classes` classes.
    pub fn validate(&self, n_classes: usize) -> Result<(), String> {
        if !(1..=MAX_CLASSES).contains(&n_classes) || self.len() != n_scores(n_classes) {
            return Err("the number of scores does not fit the classes".to_owned());
        }
        if !self.coefficients.len().is_multiple_of(self.len()) || self.n_features() > MAX_FEATURES {
            return Err("the number of coefficients is not that of features times scores".to_owned());
        }
        if self.is_finite() { Ok(()) } else { Err("a coefficient is not finite".to_owned()) }
    }
}

/// Turns scores, whose first places of `out` hold them, into probabilities of all classes: by the logistic function for
/// two, by softmax for any other number. The largest score keeps the largest probability. Scores that have left the range of
/// numbers, as features of 1e300 may bring about, give probabilities all the same.
pub(crate) fn scores_to_proba(out: &mut [f64]) {
    for score in out.iter_mut() {
        *score = if score.is_nan() { 0.0 } else { score.clamp(-1e300, 1e300) };
    }
    if let [first, second] = out {
        // Both from the exponential of a negative number, so that neither overflows nor loses its digits.
        let small = (-first.abs()).exp();
        let (likely, unlikely) = (1.0 / (1.0 + small), small / (1.0 + small));
        (*first, *second) = if *first > 0.0 { (unlikely, likely) } else { (likely, unlikely) };
        return;
    }
    let highest = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in out.iter_mut() {
        *score = (*score - highest).exp();
        sum += *score;
    }
    out.iter_mut().for_each(|score| *score /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> Scores {
        Scores::new(2, &[(vec![1.0, 2.0], 0.5), (vec![-1.0, 0.0], 0.0), (vec![0.0, 3.0], -1.0)])
    }

    #[test]
    fn sparse_and_dense_rows_have_the_same_scores() {
        let (mut sparse, mut dense) = ([0.0; 3], [0.0; 3]);
        scores().write_sparse(SparseRow { indices: &[1], values: &[2.0] }, &mut sparse);
        scores().write_dense([0.0, 2.0].into_iter(), &mut dense);
        assert_eq!(sparse, [4.5, 0.0, 5.0]);
        assert_eq!(sparse, dense);
        assert_eq!(scores().coefficients(1), [-1.0, 0.0]);
    }

    #[test]
    fn probabilities_add_up_to_one_whatever_the_scores() {
        for scores in [
            vec![0.3, 0.0],
            vec![-900.0, 0.0],
            vec![1e300, 0.0],
            vec![f64::MAX, f64::MIN, f64::NAN],
            vec![f64::INFINITY, f64::NAN],
            vec![5.0],
        ] {
            let mut out = scores.clone();
            scores_to_proba(&mut out);
            assert!((out.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{scores:?} became {out:?}");
        }
        let mut out = [3.0_f64.ln(), 0.0];
        scores_to_proba(&mut out);
        assert!((out[1] - 0.75).abs() < 1e-15);
    }

    #[test]
    fn tampered_scores_are_refused() {
        assert!(scores().validate(3).is_ok());
        assert!(scores().validate(2).is_err());
        assert!(Scores { intercepts: vec![], ..scores() }.validate(0).is_err());
        assert!(Scores { coefficients: vec![1.0; 5], ..scores() }.validate(3).is_err());
        assert!(Scores { coefficients: vec![f64::NAN; 6], ..scores() }.validate(3).is_err());
    }
}
