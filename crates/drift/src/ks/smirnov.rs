//! The one-sided Smirnov tail P(D⁺ₙ ≥ x).
//!
//! Birnbaum and Tingey (1951): `P = x · Σ_{j=0}^{⌊n(1−x)⌋} C(n,j) (x + j/n)^{j−1} (1 − x − j/n)^{n−j}`.
//! Every term is positive, so the sum keeps its relative accuracy down to the smallest tails, which `1 − CDF` does not.

use std::f64::consts::PI;

/// Beyond this the sum is replaced by its closed-form limit, as SciPy does: O(1), relative error ~ n·x⁴.
const LARGEST_SUM: u64 = 1_000_000;
/// Terms beyond which the sum is taken over an equally spaced subset of its terms.
const DENSE_TERMS: u64 = 8_192;
/// ln √(2π)
const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_7;

/// P(D⁺ₙ ≥ x) for `n` ≥ 1 and 0 < `x` < 1.
pub(super) fn one_sided_sf(n: u64, x: f64) -> f64 {
    let size = n as f64;
    if n > LARGEST_SUM {
        return (-(6.0 * size * x + 1.0).powi(2) / (18.0 * size)).exp();
    }
    let last = (size * (1.0 - x)).floor().max(0.0) as u64;
    let first_term = (size * (-x).ln_1p()).exp();
    // As a function of j the terms are a smooth bump that is flat to all orders at both ends, so the trapezoid rule over
    // every s-th term is as good as the whole sum to far below 1e-12 while thousands of terms remain.
    let stride = (last / DENSE_TERMS).max(1);
    let log_factorial_error = stirling_error(size);
    let mut sum = 0.0;
    let mut j = stride;
    while j <= last.min(n - 1) {
        sum += term(size, x, j as f64, log_factorial_error);
        j += stride;
    }
    (first_term + sum * stride as f64).min(1.0)
}

/// x · C(n,j) (x + j/n)^{j−1} (1 − x − j/n)^{n−j} for 1 ≤ j < n, by Loader's saddle-point form of the binomial density: no
/// difference of large logarithms is taken.
fn term(n: f64, x: f64, j: f64, stirling_n: f64) -> f64 {
    let t = n * x;
    let k = n - j;
    let exponent = stirling_n - stirling_error(j) - stirling_error(k) - j * gap(t / j) - k * gap((-t / k).max(-1.0));
    (n / (2.0 * PI * j * k)).sqrt() * exponent.exp() * t / (t + j)
}

/// u − ln(1 + u) without cancellation, for u ≥ −1.
fn gap(u: f64) -> f64 {
    if u.abs() > 0.3 {
        return u - u.ln_1p();
    }
    // ln(1+u) = 2·artanh(v) with v = u/(2+u)
    let v = u / (2.0 + u);
    let square = v * v;
    let (mut power, mut odd, mut tail) = (v * square, 3.0, 0.0);
    loop {
        let next = tail + power / odd;
        if next == tail {
            return u * v - 2.0 * tail;
        }
        tail = next;
        power *= square;
        odd += 2.0;
    }
}

/// The error of Stirling's formula: ln n! − ln(√(2πn) (n/e)ⁿ), for n ≥ 1.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        let ln_factorial: f64 = (2..=n as u64).map(|i| (i as f64).ln()).sum();
        return ln_factorial - (n + 0.5) * n.ln() + n - LN_SQRT_2PI;
    }
    let r = 1.0 / (n * n);
    (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r / 1188.0)))) / n
}
