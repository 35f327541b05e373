//! Two-sample tests on category counts: both are samples, the reference is not taken for the truth.

use statrs::{
    distribution::{ChiSquared, ContinuousCDF},
    function::{factorial::ln_binomial, gamma::gamma_ur},
};

/// Cells expected to hold fewer rows than this in either sample are pooled.
const MIN_EXPECTED: f64 = 5.0;

/// The two-sample homogeneity test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Homogeneity {
    /// Pearson's χ².
    pub statistic: f64,
    /// Degrees of freedom: cells after pooling, less one.
    pub df: usize,
    /// P(χ²_df ≥ statistic); 1 when there is nothing to compare.
    pub p: f64,
}

/// Tests whether two counts over the same categories come from one distribution. Cells expected below 5 in either sample
/// are pooled into one, and that with the smallest other cell while it is still too small. Where that leaves one cell, samples
/// are too small for χ²: the most frequent category is then compared with all others by Fisher's exact test (1935), whose
/// p-value stands beside the statistic.
pub fn homogeneity(a: &[u64], b: &[u64]) -> Homogeneity {
    let (m, n) = (a.iter().sum::<u64>() as f64, b.iter().sum::<u64>() as f64);
    let nothing = Homogeneity { statistic: 0.0, df: 0, p: 1.0 };
    if m == 0.0 || n == 0.0 {
        return nothing;
    }
    let smaller = m.min(n) / (m + n);
    let too_small = |cell: &(f64, f64)| (cell.0 + cell.1) * smaller < MIN_EXPECTED;
    let cells = a.iter().zip(b).map(|(&x, &y)| (x as f64, y as f64)).filter(|cell| cell.0 + cell.1 > 0.0);
    let (small, mut kept): (Vec<_>, Vec<_>) = cells.partition(too_small);
    if !small.is_empty() {
        let mut pool = small.iter().fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
        kept.sort_by(|x, y| (y.0 + y.1).total_cmp(&(x.0 + x.1)));
        while too_small(&pool) {
            let Some(cell) = kept.pop() else { break };
            pool = (pool.0 + cell.0, pool.1 + cell.1);
        }
        kept.push(pool);
    }
    if kept.len() < 2 {
        return most_frequent(a, b).unwrap_or(nothing);
    }
    let term = |&(x, y): &(f64, f64)| {
        let (x_expected, y_expected) = ((x + y) * m / (m + n), (x + y) * n / (m + n));
        (x - x_expected).powi(2) / x_expected + (y - y_expected).powi(2) / y_expected
    };
    let statistic: f64 = kept.iter().map(term).sum();
    let df = kept.len() - 1;
    Homogeneity { statistic, df, p: survival(df, statistic) }
}

/// The most frequent category against all others; `None` where there are no others.
fn most_frequent(a: &[u64], b: &[u64]) -> Option<Homogeneity> {
    let (m, n): (u64, u64) = (a.iter().sum(), b.iter().sum());
    let (&x, &y) = a.iter().zip(b).max_by_key(|(x, y)| **x + **y)?;
    let (all, others) = (m + n, m + n - x - y);
    if others == 0 {
        return None;
    }
    let (m_, n_, all_) = (m as f64, n as f64, all as f64);
    let cross = x as f64 * (n - y) as f64 - y as f64 * (m - x) as f64;
    let statistic = all_ * cross * cross / (m_ * n_ * (x + y) as f64 * others as f64);
    Some(Homogeneity { statistic, df: 1, p: fisher(m - x, m, others, all) })
}

/// The two-sided p-value of Fisher's exact test: of `all` rows `others` are of the rarer kind, and of the `m` rows of one sample
/// `seen` are. The sum of the probabilities of all tables that are no more probable than this one.
fn fisher(seen: u64, m: u64, others: u64, all: u64) -> f64 {
    let choose = |n: u64, k: u64| ln_binomial(n, k);
    let probability = |k: u64| (choose(others, k) + choose(all - others, m - k) - choose(all, m)).exp();
    let observed = probability(seen) * (1.0 + 1e-7);
    let (first, last) = ((m + others).saturating_sub(all), m.min(others));
    (first..=last).map(probability).filter(|p| *p <= observed).sum::<f64>().min(1.0)
}

/// The Jensen–Shannon distance, base 2, of two counts over the same categories: the root of the divergence, from 0 (equal
/// shares) to 1 (nothing in common). No smoothing. 0 when either side is empty.
pub fn jensen_shannon(a: &[u64], b: &[u64]) -> f64 {
    let (m, n) = (a.iter().sum::<u64>() as f64, b.iter().sum::<u64>() as f64);
    if m == 0.0 || n == 0.0 {
        return 0.0;
    }
    let part = |p: f64, middle: f64| if p > 0.0 { p * (p / middle).log2() } else { 0.0 };
    let divergence: f64 = a
        .iter()
        .zip(b)
        .map(|(&x, &y)| {
            let (p, q) = (x as f64 / m, y as f64 / n);
            let middle = (p + q) / 2.0;
            part(p, middle) + part(q, middle)
        })
        .sum();
    (divergence / 2.0).clamp(0.0, 1.0).sqrt()
}

/// P(χ²_df ≥ x); 1 for no degrees of freedom.
pub fn survival(df: usize, x: f64) -> f64 {
    if df == 0 || x.is_nan() || x <= 0.0 { 1.0 } else { gamma_ur(df as f64 / 2.0, x / 2.0) }
}

/// The x with P(χ²_df < x) = `p`; `p` is brought into 0..1. 0 for no degrees of freedom.
pub fn quantile(df: usize, p: f64) -> f64 {
    let p = p.clamp(0.0, 1.0);
    // A positive number of degrees is the only condition there is.
    match ChiSquared::new(df as f64) {
        Ok(distribution) if !p.is_nan() => distribution.inverse_cdf(p),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixture;

    #[test]
    fn small_samples_are_compared_exactly() {
        // Thirty rows of three classes against two hundred of one: no cell but one expects five.
        let got = homogeneity(&[10, 10, 10], &[0, 0, 200]);
        assert!(got.df == 1 && got.p > 0.0 && got.p < 1e-15 && got.statistic > 100.0, "{got:?}");
        // Fisher's tea: three of four right; two-sided p = 34/70.
        let tea = homogeneity(&[3, 1], &[1, 3]);
        assert!((tea.p - 34.0 / 70.0).abs() < 1e-12, "{tea:?}");
        assert_eq!(homogeneity(&[7], &[3]).p, 1.0);
        assert_eq!(homogeneity(&[1, 0], &[0, 1]).p, 1.0);
        // Without drift it does not say more often than it may that there is one.
        let mut random = crate::testing::Lcg::new(81);
        let mut draw = |rows: u64| {
            let mut counts = [0u64; 3];
            (0..rows).for_each(|_| counts[(random.next().unwrap() * 3.0) as usize] += 1);
            counts
        };
        let significant = (0..600).filter(|_| homogeneity(&draw(12), &draw(200)).p < 0.05).count();
        assert!(significant <= 45, "{significant} of 600 at 5 %");
    }

    #[test]
    fn vector_v7() {
        let (a, b) = ([500, 300, 150, 50], [430, 310, 180, 80]);
        let got = homogeneity(&a, &b);
        assert!((got.statistic - 15.083101280880232).abs() < 1e-12);
        assert!((got.p - 0.0017).abs() < 1e-4 && got.df == 3);
        assert!((jensen_shannon(&a, &b) - 0.07393164297698235).abs() < 1e-15);
    }

    #[test]
    fn tables_and_quantiles_agree_with_scipy() {
        let fixtures = fixture("kolmogorov");
        for table in fixtures["chi2_tables"].as_array().unwrap() {
            let side = |name: &str| -> Vec<u64> { serde_json::from_value(table[name].clone()).unwrap() };
            let got = homogeneity(&side("a"), &side("b"));
            let want = |name: &str| table[name].as_f64().unwrap();
            assert!((got.statistic / want("statistic") - 1.0).abs() < 1e-12);
            assert!((got.p / want("p") - 1.0).abs() < 1e-9, "{table}");
        }
        for row in fixtures["chi2_quantiles"].as_array().unwrap() {
            let row: (usize, f64, f64) = serde_json::from_value(row.clone()).unwrap();
            assert!((quantile(row.0, row.1) / row.2 - 1.0).abs() < 1e-9, "{row:?}");
        }
    }

    #[test]
    fn jensen_shannon_of_v6_agrees_with_scipy() {
        let vector = &fixture("samples")["v6"];
        let side = |name: &str| -> Vec<u64> { serde_json::from_value(vector[name].clone()).unwrap() };
        let got = jensen_shannon(&side("reference_deciles"), &side("live_deciles"));
        assert!((got - 0.20893739169569245).abs() < 1e-14);
    }

    #[test]
    fn small_cells_are_pooled_and_nothing_is_no_evidence() {
        assert_eq!(homogeneity(&[], &[]).p, 1.0);
        assert_eq!(homogeneity(&[5, 5], &[0, 0]).p, 1.0);
        assert_eq!(homogeneity(&[100], &[90]).p, 1.0);
        // Three rare categories share one cell.
        assert_eq!(homogeneity(&[100, 100, 2, 3, 4], &[100, 100, 3, 2, 4]).df, 2);
        // The pool alone is too small and takes the smaller common category with it.
        assert_eq!(homogeneity(&[100, 90, 1, 0], &[100, 90, 1, 0]).df, 1);
        assert_eq!(jensen_shannon(&[1, 0], &[0, 1]), 1.0);
        assert_eq!(jensen_shannon(&[0, 0], &[0, 1]), 0.0);
        assert_eq!((quantile(0, 0.95), survival(0, 3.0)), (0.0, 1.0));
    }
}
