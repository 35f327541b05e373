//! Shares of rows, compared with a margin for chance that also holds for few rows and for shares of 0 and 1.

use statrs::distribution::{ContinuousCDF, Normal};

/// The Wilson (1927) interval of a share of `hits` in `rows` at confidence 1 − `alpha`; (0, 1) without rows.
pub fn wilson(hits: u64, rows: u64, alpha: f64) -> (f64, f64) {
    if rows == 0 {
        return (0.0, 1.0);
    }
    let z = Normal::standard().inverse_cdf((1.0 - alpha / 2.0).clamp(0.5, 1.0 - f64::EPSILON));
    let n = rows as f64;
    let share = hits as f64 / n;
    let centre = share + z * z / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

/// The lower and upper bound of `live − reference` for two shares given as (hits, rows), by Newcombe's (1998) hybrid score
/// interval at confidence 1 − `alpha`.
pub fn difference(live: (u64, u64), reference: (u64, u64), alpha: f64) -> (f64, f64) {
    let share = |(hits, rows): (u64, u64)| if rows == 0 { 0.5 } else { hits as f64 / rows as f64 };
    let (p, q) = (share(live), share(reference));
    let ((p_low, p_high), (q_low, q_high)) = (wilson(live.0, live.1, alpha), wilson(reference.0, reference.1, alpha));
    let low = p - q - ((p - p_low).powi(2) + (q_high - q).powi(2)).sqrt();
    let high = p - q + ((p_high - p).powi(2) + (q - q_low).powi(2)).sqrt();
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcombes_own_example() {
        // Newcombe 1998, table II: 56/70 against 48/80, method 10.
        let (low, high) = difference((56, 70), (48, 80), 0.05);
        assert!((low - 0.0524).abs() < 5e-5 && (high - 0.3339).abs() < 5e-5, "{low} {high}");
    }

    #[test]
    fn a_difference_needs_rows() {
        assert!(difference((25, 50), (0, 5_000), 0.05).0 > 0.3);
        assert!(difference((1, 2), (0, 5), 0.05).0 < 0.0);
        assert!(difference((0, 0), (0, 0), 0.05).0 < 0.0);
        assert_eq!(wilson(0, 0, 0.05), (0.0, 1.0));
    }
}
