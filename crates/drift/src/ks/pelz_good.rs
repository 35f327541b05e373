//! The Pelz–Good (1976) expansion of the Kolmogorov CDF: Kolmogorov's limit K₀ plus its corrections of order n^{−1/2}, n^{−1}
//! and n^{−3/2}, in the form that converges fast for the small and middle z where the CDF is wanted.

use std::f64::consts::PI;

/// P(Dₙ < d), relative error about 1e-6 and better as n grows, for n > 140.
pub(super) fn cdf(n: u64, d: f64) -> f64 {
    let size = n as f64;
    let z = size.sqrt() * d;
    let z2 = z * z;
    let (z4, z6) = (z2 * z2, z2 * z2 * z2);
    let terms = (16.0 * z / PI).ceil().max(1.0) as u32;
    let (mut k0, mut k1, mut k2, mut k3) = (0.0, 0.0, 0.0, 0.0);
    // Sums over odd integers, smallest terms first; s = (π·odd/2)².
    for index in (1..=terms).rev() {
        let s = (PI * f64::from(2 * index - 1) / 2.0).powi(2);
        let weight = (-s / (2.0 * z2)).exp();
        k0 += weight;
        k1 += weight * (s - z2);
        k2 += weight * (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * s + (1.0 - 2.0 * z2) * s * s);
        k3 += weight
            * (-30.0 * z6 - 90.0 * z6 * z2
                + (135.0 * z4 - 96.0 * z6) * s
                + (212.0 * z4 - 60.0 * z2) * s * s
                + (5.0 - 30.0 * z2) * s * s * s);
    }
    // The second and third corrections also sum over all integers; r = (π·index)².
    let (mut extra2, mut extra3) = (0.0, 0.0);
    for index in (1..=terms).rev() {
        let r = (PI * f64::from(index)).powi(2);
        let weight = (-r / (2.0 * z2)).exp();
        extra2 += weight * r;
        extra3 += weight * r * (3.0 * z2 - r);
    }
    let root = (2.0 * PI).sqrt();
    let k0 = root * k0 / z;
    let k1 = root * k1 / (6.0 * z4);
    let k2 = root * (k2 / (72.0 * z6 * z) - extra2 / (36.0 * z2 * z));
    let k3 = root * (k3 / (6480.0 * z6 * z4) + extra3 / (216.0 * z6));
    (k0 + (k1 + (k2 + k3 / size.sqrt()) / size.sqrt()) / size.sqrt()).clamp(0.0, 1.0)
}
