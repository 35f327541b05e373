//! Autocovariances of a long series, by way of its spectrum.

/// Autocovariances at lags 0..`lags`, each divided by the products there are; `series` must have mean 0.
pub(super) fn autocovariance(series: &[f64], lags: usize) -> Vec<f64> {
    let rows = series.len();
    // Room for `lags` zeros, so that the end does not meet the beginning.
    let size = (rows + lags).next_power_of_two();
    let mut values: Vec<(f64, f64)> = series.iter().map(|&value| (value, 0.0)).collect();
    values.resize(size, (0.0, 0.0));
    transform(&mut values);
    for value in &mut values {
        *value = (value.0 * value.0 + value.1 * value.1, 0.0);
    }
    // The power is even, so its transform is its inverse transform but for the scale.
    transform(&mut values);
    (0..lags.min(rows)).map(|lag| values[lag].0 / size as f64 / (rows - lag) as f64).collect()
}

/// The discrete Fourier transform in place (Cooley and Tukey 1965); the length is a power of two.
fn transform(values: &mut [(f64, f64)]) {
    let size = values.len();
    let bits = size.trailing_zeros();
    if bits == 0 {
        return;
    }
    for index in 0..size {
        let reversed = index.reverse_bits() >> (usize::BITS - bits);
        if index < reversed {
            values.swap(index, reversed);
        }
    }
    let roots: Vec<(f64, f64)> = (0..size / 2)
        .map(|index| {
            let (sin, cos) = (-std::f64::consts::TAU * index as f64 / size as f64).sin_cos();
            (cos, sin)
        })
        .collect();
    let mut half = 1;
    while half < size {
        let step = size / (2 * half);
        for group in values.chunks_exact_mut(2 * half) {
            let (low, high) = group.split_at_mut(half);
            for (index, (a, b)) in low.iter_mut().zip(high).enumerate() {
                let root = roots[index * step];
                let turned = (b.0 * root.0 - b.1 * root.1, b.0 * root.1 + b.1 * root.0);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lcg;

    #[test]
    fn autocovariances_are_those_of_the_definition() {
        let series = Lcg::new(1).normals(300, 0.0, 1.0);
        let got = autocovariance(&series, 40);
        assert_eq!(got.len(), 40);
        for (lag, got) in got.iter().enumerate() {
            let want: f64 = series.iter().zip(&series[lag..]).map(|(a, b)| a * b).sum::<f64>() / (300 - lag) as f64;
            assert!((got - want).abs() < 1e-12, "{lag}: {got} {want}");
        }
        assert_eq!(autocovariance(&[2.0], 5), [4.0]);
    }
}
