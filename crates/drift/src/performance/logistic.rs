//! Platt's curve for few rows, drawn towards what the model says itself.
//!
//! ln(u/(1 − u)) = intercept + slope·ln(p/(1 − p)), the most probable under a normal prior around intercept 0 and slope 1, which
//! is the identity. Without rows it is the identity, and its uncertainty the prior's.

use super::error::Error;
use serde::{Deserialize, Serialize};

/// Standard deviations of the prior: wide enough to be outweighed by a few dozen rows.
const INTERCEPT_SD: f64 = 1.0;
const SLOPE_SD: f64 = 1.0;
/// A forest's 0 and 1 would weigh without limit on the logistic scale.
const LEAST_PROBABILITY: f64 = 1e-3;
const MOST_STEPS: usize = 50;

/// A logistic curve and how certain it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// 0 if the model is right on average.
    pub intercept: f64,
    /// Below 1 if the model is too sure.
    pub slope: f64,
    /// The variance of the intercept, the covariance and the variance of the slope.
    pub covariance: [f64; 3],
}

fn logit(probability: f64) -> f64 {
    let probability = probability.clamp(LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY);
    (probability / (1.0 - probability)).ln()
}

impl Logistic {
    /// Fits (probability, hit) pairs by Newton's method.
    pub(crate) fn fit(pairs: &mut [(f64, bool)]) -> Self {
        // Sums depend on the order of their terms.
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        // Targets as Platt's, with half a row in place of a whole: hits are not certain to be hits again. Without them the
        // curve is too steep for other rows than its own, with whole rows it is too flat.
        let hits = pairs.iter().filter(|(_, hit)| *hit).count() as f64;
        let (hit_is, miss_is) = ((hits + 0.5) / (hits + 1.0), 0.5 / (pairs.len() as f64 - hits + 1.0));
        let pairs: Vec<(f64, f64)> =
            pairs.iter().map(|&(p, hit)| (logit(p), if hit { hit_is } else { miss_is })).collect();
        let mut curve = Self { intercept: 0.0, slope: 1.0, covariance: [0.0; 3] };
        for _ in 0..MOST_STEPS {
            let (gradient, hessian) = curve.derivatives(&pairs);
            curve.covariance = inverse(hessian);
            let [a, b, c] = curve.covariance;
            let step = (a * gradient.0 + b * gradient.1, b * gradient.0 + c * gradient.1);
            // The objective is concave: some half of the step always climbs, unless it is at the top.
            let now = curve.objective(&pairs);
            let halves = (0..30).map(|half| 0.5f64.powi(half));
            let tried = halves.map(|part| Self {
                intercept: curve.intercept + part * step.0,
                slope: curve.slope + part * step.1,
                ..curve
            });
            let Some(better) = { tried }.find(|next| next.objective(&pairs) > now) else { break };
            curve = better;
            if step.0.abs().max(step.1.abs()) < 1e-10 {
                break;
            }
        }
        curve.covariance = inverse(curve.derivatives(&pairs).1);
        curve
    }

    fn at(&self, logit: f64) -> f64 {
        1.0 / (1.0 + (-(self.intercept + self.slope * logit)).exp())
    }

    fn objective(&self, pairs: &[(f64, f64)]) -> f64 {
        let prior = (self.intercept / INTERCEPT_SD).powi(2) + ((self.slope - 1.0) / SLOPE_SD).powi(2);
        let likelihood = pairs.iter().map(|&(logit, hit)| {
            let line = self.intercept + self.slope * logit;
            // ln(1 + e^line) without overflow.
            hit * line - (line.max(0.0) + (-line.abs()).exp().ln_1p())
        });
        likelihood.sum::<f64>() - prior / 2.0
    }

    fn derivatives(&self, pairs: &[(f64, f64)]) -> ((f64, f64), [f64; 3]) {
        let (a, b) = (1.0 / (INTERCEPT_SD * INTERCEPT_SD), 1.0 / (SLOPE_SD * SLOPE_SD));
        let mut gradient = (-a * self.intercept, -b * (self.slope - 1.0));
        let mut hessian = [a, 0.0, b];
        for &(logit, hit) in pairs {
            let share = self.at(logit);
            gradient.0 += hit - share;
            gradient.1 += (hit - share) * logit;
            let weight = share * (1.0 - share);
            hessian[0] += weight;
            hessian[1] += weight * logit;
            hessian[2] += weight * logit * logit;
        }
        (gradient, hessian)
    }

    pub(crate) fn value(&self, probability: f64) -> f64 {
        self.at(logit(probability))
    }

    /// How the value changes with intercept and slope.
    pub(crate) fn weights(&self, probability: f64) -> [(usize, f64); 2] {
        let logit = logit(probability);
        let share = self.at(logit);
        let weight = share * (1.0 - share);
        [(0, weight), (1, weight * logit)]
    }

    pub(crate) fn variance(&self, influence: &[f64]) -> f64 {
        let [a, b, c] = self.covariance;
        let (x, y) = (influence[0], influence[1]);
        (a * x * x + 2.0 * b * x * y + c * y * y).max(0.0)
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let [a, b, c] = self.covariance;
        let numbers = [self.intercept, self.slope, a, b, c];
        if numbers.iter().all(|number| number.is_finite()) && a >= 0.0 && c >= 0.0 {
            return Ok(());
        }
        Err(Error::Damaged { what: "calibrator", fault: "a logistic curve has a number that is none" })
    }
}

/// The inverse of a symmetric matrix; the prior keeps it positive definite.
fn inverse([a, b, c]: [f64; 3]) -> [f64; 3] {
    let determinant = a * c - b * b;
    [c / determinant, -b / determinant, a / determinant]
}
