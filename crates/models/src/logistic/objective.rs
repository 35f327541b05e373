//! What logistic regression minimises: the weighted mean of the log loss, and the penalty
//! Σ penalty × coefficient² / (2 × C × sum of weights).

use crate::parallel;
use crate::scores::scores_to_proba;
use crate::sparse::CsrMatrix;

/// Rows worth a thread of their own.
const CHUNK: usize = 2_048;
/// Most parts the rows are cut into, each with a gradient of its own. Fixed, so that sums do not depend on the threads.
const MAX_CHUNKS: usize = 16;
/// Most numbers that all these gradients may hold together (256 MiB), unless a single one has more.
const MAX_PARTIAL: usize = 1 << 25;

/// Rows to learn from.
pub(super) enum Rows<'a> {
    /// Row after row, `width` values each.
    Dense {
        values: Vec<f64>,
        width: usize,
    },
    Sparse(&'a CsrMatrix),
}

impl Rows<'_> {
    pub fn width(&self) -> usize {
        match self {
            Self::Dense { width, .. } => *width,
            Self::Sparse(matrix) => matrix.n_columns(),
        }
    }

    fn for_each(&self, row: usize, mut each: impl FnMut(usize, f64)) {
        match self {
            Self::Dense { values, width } => {
                values[row * width..][..*width].iter().enumerate().for_each(|(column, &value)| each(column, value));
            }
            Self::Sparse(matrix) => matrix.row(row).iter().for_each(|(column, value)| each(column, value)),
        }
    }
}

/// The function, of the coefficients (feature after feature, one of each score) followed by the intercepts.
pub(super) struct Objective<'a> {
    pub rows: Rows<'a>,
    pub labels: &'a [usize],
    /// One per row, not all 0.
    pub weights: Vec<f64>,
    /// One per feature.
    pub penalties: Vec<f64>,
    pub c: f64,
    pub n_classes: usize,
    pub n_scores: usize,
    pub threads: usize,
}

impl Objective<'_> {
    /// Number of coefficients and intercepts.
    pub fn len(&self) -> usize {
        (self.rows.width() + 1) * self.n_scores
    }

    /// Writes the gradient and returns the value.
    pub fn evaluate(&self, point: &[f64], gradient: &mut [f64]) -> f64 {
        let count = self.labels.len();
        let most = (MAX_PARTIAL / point.len()).clamp(1, MAX_CHUNKS);
        let size = count.div_ceil(count.div_ceil(CHUNK).clamp(1, most));
        let chunk = |(): &mut (), index: usize| self.losses(point, index * size..((index + 1) * size).min(count));
        let chunks = parallel::map(count.div_ceil(size), self.threads, || (), chunk);
        let total: f64 = self.weights.iter().sum();
        let mut value = 0.0;
        gradient.fill(0.0);
        for (loss, slopes) in chunks {
            value += loss / total;
            gradient.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope / total);
        }
        let by_feature = point.chunks_exact(self.n_scores).zip(gradient.chunks_exact_mut(self.n_scores));
        for ((coefficients, slopes), penalty) in by_feature.zip(&self.penalties) {
            let strength = penalty / (self.c * total);
            for (coefficient, slope) in coefficients.iter().zip(slopes) {
                value += 0.5 * strength * coefficient * coefficient;
                *slope += strength * coefficient;
            }
        }
        value
    }

    /// Sum of the losses of some rows, and its gradient.
    fn losses(&self, point: &[f64], rows: std::ops::Range<usize>) -> (f64, Vec<f64>) {
        let n = self.n_scores;
        let mut gradient = vec![0.0; point.len()];
        let (coefficients, intercepts) = point.split_at(point.len() - n);
        let mut proba = vec![0.0; self.n_classes];
        let mut loss = 0.0;
        for row in rows.filter(|&row| self.weights[row] > 0.0) {
            let (label, weight) = (self.labels[row], self.weights[row]);
            proba[..n].copy_from_slice(intercepts);
            self.rows.for_each(row, |feature, value| {
                let of_feature = &coefficients[feature * n..][..n];
                proba[..n].iter_mut().zip(of_feature).for_each(|(score, coefficient)| *score += value * coefficient);
            });
            loss += weight * log_loss(&proba, n, label);
            scores_to_proba(&mut proba);
            // The derivative by each score: its probability less 1 for the label's. The one score of two is of class 1.
            let first = if self.n_classes == 2 { 1 } else { 0 };
            if label >= first {
                proba[label] -= 1.0;
            }
            let slopes = &mut proba[first..];
            slopes.iter_mut().for_each(|slope| *slope *= weight);
            self.rows.for_each(row, |feature, value| {
                let of_feature = &mut gradient[feature * n..][..n];
                of_feature.iter_mut().zip(&*slopes).for_each(|(sum, slope)| *sum += value * slope);
            });
            let of_intercepts = &mut gradient[coefficients.len()..];
            of_intercepts.iter_mut().zip(&*slopes).for_each(|(sum, slope)| *sum += slope);
        }
        (loss, gradient)
    }
}

/// -ln of the label's probability, from the first `n` places of `scores`, without overflow.
fn log_loss(scores: &[f64], n: usize, label: usize) -> f64 {
    if scores.len() == 2 {
        let margin = if label == 1 { scores[0] } else { -scores[0] };
        return (-margin.abs()).exp().ln_1p() + (-margin).max(0.0);
    }
    let highest = scores[..n].iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scores[..n].iter().map(|score| (score - highest).exp()).sum();
    sum.ln() + highest - scores[label]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_agrees_with_differences_of_the_value() {
        for (n_classes, n_scores) in [(2, 1), (3, 3)] {
            let objective = Objective {
                rows: Rows::Dense { values: vec![1.0, -0.5, 0.3, 2.0, -1.0, 0.7], width: 2 },
                labels: &[0, 1, n_classes - 1],
                weights: vec![1.0, 0.5, 2.0],
                penalties: vec![1.0, 3.0],
                c: 0.7,
                n_classes,
                n_scores,
                threads: 1,
            };
            let point: Vec<f64> = (0..objective.len()).map(|i| 0.3 * i as f64 - 0.5).collect();
            let (mut gradient, mut unused) = (vec![0.0; point.len()], vec![0.0; point.len()]);
            objective.evaluate(&point, &mut gradient);
            for index in 0..point.len() {
                let mut at = |shift: f64| {
                    let mut point = point.clone();
                    point[index] += shift;
                    objective.evaluate(&point, &mut unused)
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((gradient[index] - difference).abs() < 1e-8, "{} is not {difference}", gradient[index]);
            }
        }
    }
}
