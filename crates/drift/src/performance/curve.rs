//! What the probabilities of one class are worth.

use super::{error::Error, isotonic::Isotonic, logistic::Logistic};
use serde::{Deserialize, Serialize};

/// From so many rows of the class, and as many of others, on, the curve may have any rising form; below it would be noise.
const ENOUGH: usize = 50;
/// No class is impossible, and none certain.
const LEAST_SHARE: f64 = 1e-6;

/// The curve from a model's probability of a class to the share of rows that are of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// Of enough rows.
    Isotonic(Isotonic),
    /// Of few.
    Logistic(Logistic),
}

impl Curve {
    pub(crate) fn fit(mut pairs: Vec<(f64, bool)>, most_knots: usize) -> Self {
        let hits = pairs.iter().filter(|(_, hit)| *hit).count();
        if hits.min(pairs.len() - hits) < ENOUGH {
            return Self::Logistic(Logistic::fit(&mut pairs));
        }
        Self::Isotonic(Isotonic::fit(&mut pairs, most_knots))
    }

    /// The share to expect, above 0 and below 1.
    pub(crate) fn value(&self, probability: f64) -> f64 {
        let share = match self {
            Self::Isotonic(curve) => curve.value(probability),
            Self::Logistic(curve) => curve.value(probability),
        };
        share.clamp(LEAST_SHARE, 1.0 - LEAST_SHARE)
    }

    /// How many uncertain parameters the curve has.
    pub(crate) fn parameters(&self) -> usize {
        match self {
            Self::Isotonic(curve) => curve.knots.len(),
            Self::Logistic(_) => 2,
        }
    }

    /// The parameters that decide on a probability, and the derivative of its value by each.
    pub(crate) fn weights(&self, probability: f64) -> [(usize, f64); 2] {
        match self {
            Self::Isotonic(curve) => curve.weights(probability),
            Self::Logistic(curve) => curve.weights(probability),
        }
    }

    /// The variance of what depends on the parameters with the given derivatives.
    pub(crate) fn variance(&self, influence: &[f64]) -> f64 {
        match self {
            Self::Isotonic(curve) => curve.variance(influence),
            Self::Logistic(curve) => curve.variance(influence),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Isotonic(curve) => curve.validate(),
            Self::Logistic(curve) => curve.validate(),
        }
    }
}
