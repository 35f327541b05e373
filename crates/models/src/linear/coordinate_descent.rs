//! The elastic net by cyclic coordinate descent (Friedman, Hastie and Tibshirani, "Regularization paths for generalized
//! linear models via coordinate descent", Journal of Statistical Software 33, 2010).

use crate::sums::dot;

/// ½|y - Xb|² + l1 |b|₁ + ½ l2 |b|², to be minimised over b.
pub(super) struct ElasticNet<'a> {
    /// X, column after column, `target.len()` values each.
    pub columns: &'a [f64],
    /// y.
    pub target: &'a [f64],
    /// Above 0.
    pub l1: f64,
    pub l2: f64,
}

impl ElasticNet<'_> {
    /// The coefficients, and whether the duality gap went below `tol` × |y|² within `max_iter` rounds: what they cost
    /// is then at most that much above the minimum.
    pub fn solve(&self, max_iter: usize, tol: f64) -> (Vec<f64>, bool) {
        let squares: Vec<f64> = self.columns().map(|column| dot(column, column)).collect();
        let mut coefficients = vec![0.0; squares.len()];
        let mut residual = self.target.to_vec();
        let allowed = tol * dot(self.target, self.target);
        for round in 0..max_iter {
            let (mut largest, mut largest_step) = (0.0_f64, 0.0_f64);
            for ((column, &square), coefficient) in self.columns().zip(&squares).zip(&mut coefficients) {
                if square == 0.0 {
                    continue;
                }
                let pull = dot(column, &residual) + square * *coefficient;
                let shrunk = (pull.abs() - self.l1).max(0.0).copysign(pull) / (square + self.l2);
                let step = shrunk - *coefficient;
                if step != 0.0 {
                    residual.iter_mut().zip(column).for_each(|(rest, value)| *rest -= step * value);
                    *coefficient = shrunk;
                }
                largest_step = largest_step.max(step.abs());
                largest = largest.max(shrunk.abs());
            }
            // The gap costs as much as a round: it is asked for when the steps have become small, and now and then.
            let asked = largest_step <= tol * largest || round % 10 == 9 || round + 1 == max_iter;
            if asked && self.gap(&coefficients, &residual) <= allowed {
                return (coefficients, true);
            }
            if largest_step == 0.0 {
                break;
            }
        }
        (coefficients, false)
    }

    /// How far above the minimum the coefficients can be: the primal value less a dual one. The dual point is the
    /// residual of the lasso that has √l2 I appended to X, scaled down until it is feasible.
    fn gap(&self, coefficients: &[f64], residual: &[f64]) -> f64 {
        let correlation = |(column, b): (&[f64], &f64)| (dot(column, residual) - self.l2 * b).abs();
        let steepest = self.columns().zip(coefficients).map(correlation).fold(0.0, f64::max);
        let scale = if steepest > self.l1 { self.l1 / steepest } else { 1.0 };
        let (rest, size) = (dot(residual, residual), dot(coefficients, coefficients));
        let l1_norm: f64 = coefficients.iter().map(|b| b.abs()).sum();
        let primal = 0.5 * rest + self.l1 * l1_norm + 0.5 * self.l2 * size;
        let dual = scale * dot(residual, self.target) - 0.5 * scale * scale * (rest + self.l2 * size);
        primal - dual
    }

    fn columns(&self) -> impl Iterator<Item = &[f64]> {
        self.columns.chunks_exact(self.target.len().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_columns_are_soft_thresholded() {
        let columns = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let net = |l1, l2| ElasticNet { columns: &columns, target: &[3.0, -0.5, 0.0], l1, l2 }.solve(100, 1e-12);
        assert_eq!(net(1.0, 0.0), (vec![2.0, 0.0], true));
        assert_eq!(net(1.0, 1.0), (vec![1.0, 0.0], true));
        assert_eq!(net(4.0, 0.0), (vec![0.0, 0.0], true));
    }

    #[test]
    fn the_gap_bounds_the_distance_to_the_minimum() {
        let columns = [1.0, 2.0, 3.0, 1.0, 2.0, 3.1];
        let net = ElasticNet { columns: &columns, target: &[1.0, 2.0, 2.5], l1: 0.1, l2: 0.05 };
        let value = |b: &[f64]| {
            let residual: f64 =
                (0..3).map(|i| (net.target[i] - columns[i] * b[0] - columns[3 + i] * b[1]).powi(2)).sum();
            0.5 * residual + 0.1 * (b[0].abs() + b[1].abs()) + 0.025 * dot(b, b)
        };
        let best = value(&net.solve(100_000, 1e-14).0);
        for rounds in [1, 2, 5, 20] {
            let (b, _) = net.solve(rounds, 0.0);
            let residual: Vec<f64> =
                (0..3).map(|i| net.target[i] - columns[i] * b[0] - columns[3 + i] * b[1]).collect();
            assert!(value(&b) - best <= net.gap(&b, &residual) + 1e-12);
        }
    }
}
