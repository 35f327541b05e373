//! Sums of products, means and spreads. Their order is fixed, so the same values give the same bits everywhere.

/// Sums that go on side by side: with one, each addition waits for the one before.
const LANES: usize = 8;

/// Σ a × b. Of equally many values each.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let last: f64 = last_a.iter().zip(last_b).map(|(a, b)| a * b).sum();
    ((a + b) + (c + d)) + ((e + f) + (g + h)) + last
}

/// Euclidean length.
pub(crate) fn norm(values: &[f64]) -> f64 {
    dot(values, values).sqrt()
}

/// Weighted mean of the finite values, 0 when there are none. A weight for each value.
pub(crate) fn mean(values: &[f64], weights: &[f64]) -> f64 {
    let beside = |centre: f64| {
        let (mut sum, mut total) = (0.0, 0.0);
        for (value, weight) in values.iter().zip(weights).filter(|(value, _)| value.is_finite()) {
            sum += weight * (value - centre);
            total += weight;
        }
        if total > 0.0 { sum / total } else { 0.0 }
    };
    let first = beside(0.0);
    // The second pass takes back what rounding did to the sum of large values.
    let mean = first + beside(first);
    if mean.is_finite() { mean } else { 0.0 }
}

/// Weighted standard deviation around `mean`, that of the population. A weight for each value.
pub(crate) fn deviation(values: &[f64], mean: f64, weights: &[f64]) -> f64 {
    let squares: f64 = values.iter().zip(weights).map(|(value, weight)| weight * (value - mean) * (value - mean)).sum();
    (squares / weights.iter().sum::<f64>()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_summed_once_whatever_their_number() {
        for length in 0..40 {
            let values: Vec<f64> = (1..=length).map(f64::from).collect();
            let n = f64::from(length);
            assert_eq!(dot(&values, &values), n * (n + 1.0) * (2.0 * n + 1.0) / 6.0);
            let expected = if length == 0 { 0.0 } else { (n + 1.0) / 2.0 };
            assert!((mean(&values, &vec![1.0; values.len()]) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_mean_is_of_finite_values_by_their_weights() {
        let gaps = [f64::NAN, 2.0, f64::INFINITY, 4.0];
        let (values, weights): (Vec<f64>, Vec<f64>) =
            (0..5).flat_map(|_| gaps.into_iter().zip([1.0, 1.0, 9.0, 3.0])).unzip();
        assert_eq!(mean(&values, &weights), 3.5);
        assert_eq!(mean(&values[..1], &weights[..1]), 0.0);
    }

    #[test]
    fn large_values_keep_their_digits() {
        let values: Vec<f64> = (0..1_000).map(|n| 1e15 + f64::from(n % 2)).collect();
        assert_eq!(mean(&values, &[1.0; 1_000]), 1e15 + 0.5);
    }
}
