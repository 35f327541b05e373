//! Normal scores: what a value of each bin says about location and spread.

use statrs::distribution::{ContinuousCDF, Normal};
use std::f64::consts::FRAC_1_SQRT_2;

/// A smaller variance is that of rounding.
const NO_VARIANCE: f64 = 1e-9;

/// Scores of the bins of a reference, in standard deviations.
///
/// A bin that holds the shares F₀..F₁ of the reference has the normal score of its middle (van der Waerden 1952, with
/// mid-ranks), z = Φ⁻¹((F₀ + F₁)/2), and the spread score w ~ z² − 1. Both are standardised to mean 0 and variance 1 over the
/// reference. A value beyond all of the reference stands half a row beyond its last: at the share 1/(4·rows).
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Location and spread score of every bin.
    bins: Vec<(f64, f64)>,
}

/// The scores of a number of values, added up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sums {
    /// Values.
    pub n: u64,
    /// Sum of their location scores.
    pub z: f64,
    /// Sum of their spread scores.
    pub w: f64,
}

impl Scores {
    /// Scores the bins of a reference. Over a constant, its own bin scores 0 and all others as they lie to it; over an empty
    /// reference nothing can be said and every score is 0.
    pub fn new(counts: &[u64]) -> Self {
        let rows: u64 = counts.iter().sum();
        if rows == 0 {
            return Self { bins: vec![(0.0, 0.0); counts.len()] };
        }
        let n = rows as f64;
        let (normal, outermost) = (Normal::standard(), 0.25 / n);
        let mut before = 0;
        let mut z: Vec<f64> = counts
            .iter()
            .map(|&count| {
                let middle = (before as f64 + count as f64 / 2.0) / n;
                before += count;
                normal.inverse_cdf(middle.clamp(outermost, 1.0 - outermost))
            })
            .collect();
        standardise(&mut z, counts, n, 1.0);
        let mut w: Vec<f64> = z.iter().map(|z| z * z - 1.0).collect();
        // Of a normal variable the variance is 2.
        standardise(&mut w, counts, n, FRAC_1_SQRT_2);
        Self { bins: z.into_iter().zip(w).collect() }
    }

    /// The location score of a bin; `None` for a bin that there is not, such as that of missing values.
    pub fn z(&self, bin: usize) -> Option<f64> {
        self.bins.get(bin).map(|score| score.0)
    }

    /// The spread score of a bin; `None` for a bin that there is not, such as that of missing values.
    pub fn w(&self, bin: usize) -> Option<f64> {
        self.bins.get(bin).map(|score| score.1)
    }

    /// How many bins have a score.
    pub fn bins(&self) -> usize {
        self.bins.len()
    }

    /// The sums over the counts of a pane; missing values, were they counted past the last bin, are left out.
    pub fn sums(&self, counts: &[u32]) -> Sums {
        let mut sums = Sums::default();
        for (&count, (z, w)) in counts.iter().zip(&self.bins).filter(|(count, _)| **count > 0) {
            sums.n += u64::from(count);
            sums.z += f64::from(count) * z;
            sums.w += f64::from(count) * w;
        }
        sums
    }
}

/// Brings `scores` to mean 0 and variance 1 over the reference; scores that do not vary there are scaled by `otherwise`.
fn standardise(scores: &mut [f64], counts: &[u64], n: f64, otherwise: f64) {
    let over = |scores: &[f64], value: fn(f64) -> f64| {
        counts.iter().zip(scores).map(|(&count, &score)| count as f64 * value(score)).sum::<f64>() / n
    };
    let mean = over(scores, |score| score);
    scores.iter_mut().for_each(|score| *score -= mean);
    let variance = over(scores, |score| score * score);
    let scale = if variance > NO_VARIANCE { variance.sqrt().recip() } else { otherwise };
    scores.iter_mut().for_each(|score| *score *= scale);
}
