//! The false discovery rate over features.

/// Benjamini–Hochberg (1995) q-values in the order of `p`: rejecting where q < α keeps the expected share of false
/// discoveries below α, and without any drift the chance of a single one. NaN counts as 1.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let value = |index: usize| if p[index].is_nan() { 1.0 } else { p[index].clamp(0.0, 1.0) };
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
    let mut q = vec![1.0; p.len()];
    let mut smallest = 1.0f64;
    for (rank, &index) in order.iter().enumerate().rev() {
        smallest = smallest.min(value(index) * p.len() as f64 / (rank + 1) as f64);
        q[index] = smallest;
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_v8() {
        let p = [
            0.0001, 0.004, 0.019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759,
            1.0,
        ];
        let q = benjamini_hochberg(&p);
        for (got, want) in q.iter().zip([0.0015, 0.03, 0.0603, 0.0475, 0.0603, 0.0638571429]) {
            assert!((got - want).abs() < 1e-9, "{q:?}");
        }
        assert_eq!(q[14], 1.0);
        assert!(q.iter().zip(p).all(|(q, p)| *q >= p && *q <= 1.0));
    }

    #[test]
    fn nothing_and_nan_are_no_discovery() {
        assert!(benjamini_hochberg(&[]).is_empty());
        assert_eq!(benjamini_hochberg(&[f64::NAN, 0.01]), [1.0, 0.02]);
    }
}
