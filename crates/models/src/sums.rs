//! Sums in several lanes: with one, each addition waits for the one before. Their order is fixed, so the same values give the
//! same bits everywhere.

const LANES: usize = 8;

/// Σ a × b. Of equally many values each.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let [sum] = sums(a, b, |a, b| [a * b]);
    sum
}

/// Euclidean length.
pub(crate) fn norm(values: &[f64]) -> f64 {
    dot(values, values).sqrt()
}

/// Weighted mean of the finite values, 0 when there are none. A weight for each value.
pub(crate) fn mean(values: &[f64], weights: &[f64]) -> f64 {
    let beside = |centre: f64| {
        let part = |value: f64, weight: f64| {
            if value.is_finite() { [weight * (value - centre), weight] } else { [0.0, 0.0] }
        };
        let [sum, count] = sums(values, weights, part);
        if count > 0.0 { sum / count } else { 0.0 }
    };
    let first = beside(0.0);
    // The second pass takes back what rounding did to the sum of large values.
    let mean = first + beside(first);
    if mean.is_finite() { mean } else { 0.0 }
}

/// Weighted standard deviation around `mean`, that of the population. A weight for each value.
pub(crate) fn deviation(values: &[f64], mean: f64, weights: &[f64]) -> f64 {
    let [squares, count] = sums(values, weights, |value, weight| {
        let beside = value - mean;
        [weight * beside * beside, weight]
    });
    (squares / count).sqrt()
}

/// What `part` makes of each pair, summed up.
fn sums<const N: usize>(a: &[f64], b: &[f64], part: impl Fn(f64, f64) -> [f64; N]) -> [f64; N] {
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [[0.0; LANES]; N];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let parts = part(a[lane], b[lane]);
            lanes.iter_mut().zip(parts).for_each(|(sums, part)| sums[lane] += part);
        }
    }
    let mut totals = lanes.map(|[a, b, c, d, e, f, g, h]| ((a + b) + (c + d)) + ((e + f) + (g + h)));
    for (&a, &b) in last_a.iter().zip(last_b) {
        totals.iter_mut().zip(part(a, b)).for_each(|(total, part)| *total += part);
    }
    totals
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
