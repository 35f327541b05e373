//! One linear SVM by dual coordinate descent (Hsieh, Chang, Lin, Keerthi and Sundararajan, "A dual coordinate descent
//! method for large-scale linear SVM", ICML 2008, algorithm 3).
//!
//! The dual: minimise ½ αᵀ(Q + D)α - Σα over 0 ≤ αᵢ ≤ Uᵢ, where Qᵢⱼ = yᵢyⱼ xᵢ·xⱼ and y is ±1. For the hinge U is the row's
//! cost and D is 0, for its square U is infinite and Dᵢᵢ = 1 / (2 × cost). The primal's w = Σ αᵢyᵢxᵢ is kept up to date.

use rand_chacha::ChaCha8Rng;

use super::params::{LinearSvmValidParams, Loss};
use crate::random;
use crate::sparse::CsrMatrix;

/// What the fits of all classes share.
pub(super) struct Rows<'a> {
    params: &'a LinearSvmValidParams,
    matrix: &'a CsrMatrix,
    /// |xᵢ|², the intercept's column included.
    squared_norms: Vec<f64>,
    /// The intercept's column, 0 for none.
    bias: f64,
    weights: &'a [f64],
}

/// What tells the classes apart: whether a row is positive, and what its losses are multiplied by besides C.
pub(super) struct Side {
    pub positive: bool,
    pub factor: f64,
}

/// One class against the others.
pub(super) struct Separator {
    pub coefficients: Vec<f64>,
    pub intercept: f64,
    pub converged: bool,
}

impl<'a> Rows<'a> {
    pub fn new(params: &'a LinearSvmValidParams, matrix: &'a CsrMatrix, weights: &'a [f64]) -> Self {
        let bias = if params.fit_intercept { params.intercept_scaling } else { 0.0 };
        let squared_norms = matrix.rows().map(|row| row.squared_norm() + bias * bias).collect();
        Self { params, matrix, squared_norms, bias, weights }
    }

    /// Separates the positive rows from the others. Rows are visited in an order drawn from `rng`.
    pub fn separate(&self, side: impl Fn(usize) -> Side, rng: &mut ChaCha8Rng) -> Separator {
        let rows = self.matrix.n_rows();
        let mut weights = vec![0.0; self.matrix.n_columns()];
        let mut bias_weight = 0.0;
        let mut alphas = vec![0.0; rows];
        let cost = |row: usize| self.params.c * self.weights[row] * side(row).factor;
        // A row that costs nothing has α = 0.
        let mut order: Vec<u32> = (0..rows as u32).filter(|&row| cost(row as usize) > 0.0).collect();
        let mut active = order.len();
        let mut shrink = Bounds::OPEN;
        let mut converged = false;
        for _ in 0..self.params.max_iter {
            let mut seen = Bounds { highest: f64::NEG_INFINITY, lowest: f64::INFINITY };
            random::shuffle(rng, &mut order[..active]);
            let mut at = 0;
            while at < active {
                let index = order[at] as usize;
                let (row, alpha) = (self.matrix.row(index), alphas[index]);
                let sign = if side(index).positive { 1.0 } else { -1.0 };
                let (upper, diagonal) = match self.params.loss {
                    Loss::Hinge => (cost(index), 0.0),
                    Loss::SquaredHinge => (f64::INFINITY, 0.5 / cost(index)),
                };
                let score = row.dot(&weights) + bias_weight * self.bias;
                let gradient = sign * score - 1.0 + diagonal * alpha;
                // At a bound, only a gradient that leads inside counts. One that leads out further than any did in the
                // pass before will hardly turn: the row is left out until the others are done.
                let (stuck, projected) = if alpha == 0.0 {
                    (gradient > shrink.highest, gradient.min(0.0))
                } else if alpha == upper {
                    (gradient < shrink.lowest, gradient.max(0.0))
                } else {
                    (false, gradient)
                };
                if stuck {
                    active -= 1;
                    order.swap(at, active);
                    continue;
                }
                seen = Bounds { highest: seen.highest.max(projected), lowest: seen.lowest.min(projected) };
                if projected.abs() > 1e-12 {
                    let moved = (alpha - gradient / (self.squared_norms[index] + diagonal)).clamp(0.0, upper);
                    alphas[index] = moved;
                    row.add_to((moved - alpha) * sign, &mut weights);
                    bias_weight += (moved - alpha) * sign * self.bias;
                }
                at += 1;
            }
            if active == 0 || seen.highest - seen.lowest <= self.params.tol {
                if active == order.len() {
                    converged = true;
                    break;
                }
                active = order.len();
                shrink = Bounds::OPEN;
            } else {
                shrink = Bounds {
                    highest: if seen.highest > 0.0 { seen.highest } else { f64::INFINITY },
                    lowest: if seen.lowest < 0.0 { seen.lowest } else { f64::NEG_INFINITY },
                };
            }
        }
        Separator { coefficients: weights, intercept: bias_weight * self.bias, converged }
    }
}

/// The projected gradients of a pass.
struct Bounds {
    highest: f64,
    lowest: f64,
}

impl Bounds {
    /// Leaves no row out.
    const OPEN: Self = Self { highest: f64::INFINITY, lowest: f64::NEG_INFINITY };
}
