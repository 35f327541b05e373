//! A feature of numbers: where its bins end, and a few statistics for people.

use crate::edges::{MAX_QUANTILE_EDGES, quantile_edges};
use serde::{Deserialize, Serialize};

/// The bins of a feature of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Finite, strictly increasing upper edges of the right-closed bins; empty when there was no value.
    pub edges: Vec<f64>,
    /// Smallest value; an infinite one stands as the outermost finite number. `None` without values.
    pub min: Option<f64>,
    /// Largest value, likewise.
    pub max: Option<f64>,
    /// Mean of the values, for display. `None` without values or where it overflows.
    pub mean: Option<f64>,
    /// Sample standard deviation (n − 1), for display. `None` for fewer than two values or where it overflows.
    pub std: Option<f64>,
}

impl Numbers {
    /// Bins over `values`, with the counts of each and the number of missing ones (NaN).
    pub(super) fn of(values: &[f64]) -> (Self, Vec<u64>, u64) {
        // Infinities stand as the outermost finite numbers (JSON has no others), -0.0 as 0.0.
        let mut sorted: Vec<f64> =
            values.iter().filter(|value| !value.is_nan()).map(|value| value.clamp(f64::MIN, f64::MAX) + 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let edges = quantile_edges(&sorted);
        let mut counts = vec![0u64; edges.len() + 1];
        let mut bin = 0;
        for &value in &sorted {
            while bin < edges.len() && edges[bin] < value {
                bin += 1;
            }
            counts[bin] += 1;
        }
        let (mean, std) = moments(&sorted);
        let (min, max) = (sorted.first().copied(), sorted.last().copied());
        (Self { edges, min, max, mean, std }, counts, (values.len() - sorted.len()) as u64)
    }

    /// Whether bin `index` can hold one single value only (its edges are neighbouring floats): it has no inside.
    pub fn is_singleton(&self, index: usize) -> bool {
        let lower =
            index.checked_sub(1).and_then(|before| self.edges.get(before)).map_or(f64::MIN, |edge| edge.next_up());
        let upper = self.edges.get(index).copied().unwrap_or(f64::MAX);
        lower == upper
    }

    pub(super) fn fault(&self, counts: &[u64]) -> Option<&'static str> {
        if counts.len() != self.edges.len() + 1 {
            return Some("it has not one count more than edges");
        }
        if self.edges.len() > MAX_QUANTILE_EDGES + 1 {
            return Some("it has too many edges");
        }
        let ordered = self.edges.iter().all(|edge| edge.is_finite()) && self.edges.is_sorted_by(|a, b| a < b);
        (!ordered).then_some("its edges are not finite and strictly increasing")
    }
}

/// Mean and standard deviation in two passes over the sorted values.
fn moments(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let rows = values.len() as f64;
    let finite = |value: f64| value.is_finite().then_some(value);
    if values.is_empty() {
        return (None, None);
    }
    let mean = values.iter().sum::<f64>() / rows;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (finite(mean), finite((squares / (rows - 1.0)).sqrt()))
}
