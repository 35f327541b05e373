//! The exact Kolmogorov CDF by Durbin's matrix, computed as Marsaglia, Tsang and Wang (2003) describe.
//!
//! With t = n·d = k − h (k = ⌈t⌉): `P(Dₙ < d) = n!/nⁿ · (Hⁿ)_{kk}` for a (2k−1)² matrix H. Cost O(k³ log n).

/// The power of two by which a product is scaled up before it underflows.
const SCALE: i32 = 450;

/// P(Dₙ < d) for n ≥ 1 and 0 < d < 1. Meant for small n·d: the matrix has 2⌈n·d⌉ − 1 rows.
pub(super) fn cdf(n: u64, d: f64) -> f64 {
    let t = n as f64 * d;
    let k = t.ceil().max(1.0) as usize;
    let size = 2 * k - 1;
    let mut base = durbin_matrix(k, k as f64 - t);
    // Only row k of Hⁿ is wanted: multiply that row through the binary expansion of n, squaring H between the digits.
    let mut row = vec![0.0; size];
    row[k - 1] = 1.0;
    let (mut row_exponent, mut base_exponent) = (0i64, 0i64);
    let mut digits = n;
    while digits > 0 {
        if digits & 1 == 1 {
            row = times(&row, &base, size);
            row_exponent += base_exponent + rescale(&mut row);
        }
        digits >>= 1;
        if digits > 0 {
            base = square(&base, size);
            base_exponent = 2 * base_exponent + rescale(&mut base);
        }
    }
    // n!/nⁿ, factor by factor, scaled as it goes
    let mut value = row[k - 1];
    for i in 1..=n {
        value *= i as f64 / n as f64;
        if value != 0.0 && value < f64::MIN_POSITIVE * 1e100 {
            value *= f64::powi(2.0, SCALE);
            row_exponent -= i64::from(SCALE);
        }
    }
    let exponent = row_exponent.clamp(-10_000, 10_000) as i32;
    // In two halves, so that the scale itself does not overflow.
    let half = exponent / 2;
    (value * f64::powi(2.0, half) * f64::powi(2.0, exponent - half)).clamp(0.0, 1.0)
}

fn durbin_matrix(k: usize, h: f64) -> Vec<f64> {
    let size = 2 * k - 1;
    let mut matrix = vec![0.0; size * size];
    let inverse_factorial: Vec<f64> = std::iter::once(1.0)
        .chain((1..=size).scan(1.0, |product, i| {
            *product /= i as f64;
            Some(*product)
        }))
        .collect();
    for i in 0..size {
        for j in 0..size {
            if i + 1 >= j {
                matrix[i * size + j] = inverse_factorial[i + 1 - j];
            }
        }
    }
    // The first column and the last row lose what the band's slanted ends cut off.
    for i in 0..size {
        let cut = h.powi(i as i32 + 1) * inverse_factorial[i + 1];
        matrix[i * size] -= cut;
        matrix[(size - 1) * size + (size - 1 - i)] -= cut;
    }
    if h > 0.5 {
        matrix[(size - 1) * size] += (2.0 * h - 1.0).powi(size as i32) * inverse_factorial[size];
    }
    matrix
}

fn times(row: &[f64], matrix: &[f64], size: usize) -> Vec<f64> {
    let mut out = vec![0.0; size];
    for (factor, line) in row.iter().zip(matrix.chunks_exact(size)) {
        if *factor != 0.0 {
            for (sum, entry) in out.iter_mut().zip(line) {
                *sum += factor * entry;
            }
        }
    }
    out
}

fn square(matrix: &[f64], size: usize) -> Vec<f64> {
    matrix.chunks_exact(size).flat_map(|row| times(row, matrix, size)).collect()
}

/// Brings entries back into range by a power of two, which loses nothing; returns the exponent taken out.
fn rescale(entries: &mut [f64]) -> i64 {
    let largest = entries.iter().fold(0.0f64, |largest, entry| largest.max(entry.abs()));
    if largest == 0.0 || (1e-100..1e100).contains(&largest) {
        return 0;
    }
    let exponent = largest.log2() as i32;
    let factor = f64::powi(2.0, -exponent);
    for entry in entries {
        *entry *= factor;
    }
    i64::from(exponent)
}
