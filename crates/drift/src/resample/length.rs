//! The length of blocks: Politis and White (2004), "Automatic block-length selection for the dependent bootstrap",
//! Econometric Reviews 23(1), with the correction of Patton, Politis and White (2009), for the circular bootstrap.

/// What the autocorrelations of a series ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Choice {
    /// Rows of a block that estimates the variance of a mean best; 1 at least.
    pub(super) length: f64,
    /// The long-run variance over the plain one, 1 at least.
    pub(super) inflation: f64,
    /// The share of the long-run variance that blocks of l rows lack is this over l; 0 at least.
    pub(super) lack: f64,
}

/// The choice for `series`, which has two rows at least.
pub(super) fn choose(series: &[f64]) -> Choice {
    let n = series.len() as f64;
    let plain = Choice { length: 1.0, inflation: 1.0, lack: 0.0 };
    // So many autocorrelations in a row must be small.
    let quiet = (n.log10().sqrt().ceil() as usize).max(5);
    let most = (n.sqrt().ceil() as usize + quiet).min(series.len() - 1);
    let covariance = autocovariances(series, most + quiet);
    if covariance[0] <= 0.0 {
        return plain;
    }
    let small = 2.0 * (n.log10() / n).sqrt();
    let significant = |lag: usize| covariance.get(lag).is_some_and(|value| (value / covariance[0]).abs() >= small);
    let last = (0..most)
        .find(|&lag| (lag + 1..=lag + quiet).all(|after| !significant(after)))
        .unwrap_or_else(|| (1..=most).rev().find(|&lag| significant(lag)).unwrap_or(1));
    let bandwidth = (2 * last.max(1)).min(most);
    // The flat-top window of Politis and Romano (1995).
    let window = |lag: usize| (2.0 * (1.0 - lag as f64 / bandwidth as f64)).clamp(0.0, 1.0);
    let (mut moment, mut long_run) = (0.0, covariance[0]);
    for (lag, value) in covariance.iter().enumerate().take(bandwidth + 1).skip(1) {
        moment += 2.0 * window(lag) * lag as f64 * value;
        long_run += 2.0 * window(lag) * value;
    }
    if long_run <= 0.0 {
        return plain;
    }
    let best = (1.5 * (moment / long_run).powi(2) * n).cbrt();
    let longest = (3.0 * n.sqrt()).min(n / 3.0).ceil();
    Choice {
        length: best.min(longest).max(1.0),
        inflation: (long_run / covariance[0]).max(1.0),
        lack: (moment / long_run).max(0.0),
    }
}

/// Autocovariances at lags 0..=`lags`, divided by all rows, which makes them a valid sequence.
fn autocovariances(series: &[f64], lags: usize) -> Vec<f64> {
    let n = series.len();
    let mean = series.iter().sum::<f64>() / n as f64;
    let centred: Vec<f64> = series.iter().map(|value| value - mean).collect();
    (0..=lags.min(n - 1))
        .map(|lag| centred.iter().zip(&centred[lag..]).map(|(a, b)| a * b).sum::<f64>() / n as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lcg, autoregressive};

    #[test]
    fn independent_rows_need_no_blocks_and_dependent_ones_the_length_theory_says() {
        let short = choose(&Lcg::new(1).normals(10_000, 0.0, 1.0));
        assert!(short.length < 8.0 && short.inflation < 1.1, "{short:?}");
        // For φ = 0.8: (1.5·(2φ/(1 − φ²))²·n)^⅓ = 67, and (1 + φ)/(1 − φ) = 9.
        let long = choose(&autoregressive(&mut Lcg::new(2), 10_000, 0.8));
        assert!((45.0..90.0).contains(&long.length) && (7.0..11.0).contains(&long.inflation), "{long:?}");
    }

    #[test]
    fn few_rows_and_constants_give_one_row() {
        assert_eq!(choose(&[1.0, 1.0]), Choice { length: 1.0, inflation: 1.0, lack: 0.0 });
        assert!(choose(&[1.0, 2.0, 1.0]).length >= 1.0);
    }
}
