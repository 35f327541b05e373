//! The two-sample Kolmogorov–Smirnov test, on samples and on binned counts.

mod durbin;
mod exact;
mod kolmogorov;
mod pelz_good;
mod smirnov;
#[cfg(test)]
mod tests;

pub use kolmogorov::kstwo_sf;

/// The p-value is exact while the product of the sample sizes is at most this (some 10 ms), asymptotic beyond.
pub const EXACT_LIMIT: u64 = 10_000_000;

/// Bounds of the two-sample statistic D known from counts over common bins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Largest difference of the two ECDFs at the edges: D is at least this. Alarms are raised on it.
    pub low: f64,
    /// D is at most this, whatever the order within the bins. Alarms are cleared on it.
    pub high: f64,
}

/// Bounds of D from the counts of a reference and a live sample over the same ordered bins. With F, G their ECDFs at the
/// upper edges: `low = max|Fᵢ − Gᵢ|`, `high = max(low, Fᵢ − Gᵢ₋₁, Gᵢ − Fᵢ₋₁)`; high − low is at most the largest reference
/// share of a bin. A bin that `singleton` says can hold one value only has no inside, so it adds nothing to `high`.
/// `None` when either sample is empty.
pub fn bounds(reference: &[u64], live: &[u32], singleton: impl Fn(usize) -> bool) -> Option<Bounds> {
    let m: u64 = reference.iter().sum();
    let n: u64 = live.iter().map(|&count| u64::from(count)).sum();
    if m == 0 || n == 0 {
        return None;
    }
    let (m, n) = (m as f64, n as f64);
    let (mut f, mut g) = (0u64, 0u64);
    let (mut f_before, mut g_before) = (0.0f64, 0.0f64);
    let (mut low, mut high) = (0.0f64, 0.0f64);
    for (bin, (&in_reference, &in_live)) in reference.iter().zip(live).enumerate() {
        f += in_reference;
        g += u64::from(in_live);
        let (f_now, g_now) = (f as f64 / m, g as f64 / n);
        low = low.max((f_now - g_now).abs());
        if !singleton(bin) {
            high = high.max(f_now - g_before).max(g_now - f_before);
        }
        (f_before, g_before) = (f_now, g_now);
    }
    Some(Bounds { low, high: high.max(low) })
}

/// The statistic D = sup|F − G| of two samples; NaNs are left out. `None` when either has no value.
pub fn statistic(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (sorted(a), sorted(b));
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (mut i, mut j, mut d) = (0, 0, 0.0f64);
    while i < a.len() && j < b.len() {
        let value = a[i].min(b[j]);
        while i < a.len() && a[i] <= value {
            i += 1;
        }
        while j < b.len() && b[j] <= value {
            j += 1;
        }
        d = d.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    Some(d)
}

/// P(D ≥ d) for samples of `m` and `n` values from one distribution: [`p_exact`] while m·n ≤ [`EXACT_LIMIT`], else
/// [`p_asymptotic`]. 1 when either sample is empty.
pub fn p_value(d: f64, m: u64, n: u64) -> f64 {
    if m.saturating_mul(n) <= EXACT_LIMIT { exact::two_sample_sf(d, m, n) } else { p_asymptotic(d, m, n) }
}

/// P(D ≥ d) over all orderings of the two samples, as `scipy.stats.ks_2samp(method="exact")`. Costs O(m·n): `None` when
/// the product exceeds 10¹².
pub fn p_exact(d: f64, m: u64, n: u64) -> Option<f64> {
    (m.saturating_mul(n) <= 1_000_000_000_000).then(|| exact::two_sample_sf(d, m, n))
}

/// P(D ≥ d) as `scipy.stats.ks_2samp(method="asymp")`: [`kstwo_sf`] of n = round(m·n / (m + n)).
pub fn p_asymptotic(d: f64, m: u64, n: u64) -> f64 {
    if m == 0 || n == 0 {
        return 1.0;
    }
    let effective = m as f64 * n as f64 / (m as f64 + n as f64);
    // One row against one row rounds to zero; the smallest distribution there is stands for it.
    kstwo_sf(d, (effective.round_ties_even() as u64).max(1))
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}
