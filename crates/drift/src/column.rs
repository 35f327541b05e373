//! A column of history as bins, which is all that tests on counts depend on.

use crate::binner::Binner;

/// The bins of a feature's values in stream order.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// The bin of every row; a row without a value has the number after the last bin.
    pub rows: &'a [u16],
    /// How many bins there are.
    pub bins: usize,
}

impl Column<'_> {
    /// Values in each bin, then rows without a value. Rows of a bin that there is not count as those.
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.bins + 1];
        for &bin in self.rows {
            counts[usize::from(bin).min(self.bins)] += 1;
        }
        counts
    }
}

/// The bin of every value, as [`Column`] wants them; NaN is a missing value.
pub fn binned(binner: &Binner, values: &[f64]) -> Vec<u16> {
    // A binner has at most 8,193 bins, so their numbers fit.
    let bin = |&value: &f64| if value.is_nan() { binner.bins() } else { binner.bin(value) } as u16;
    values.iter().map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_have_the_number_after_the_last_bin() {
        let binner = Binner::new(&[0.0, 1.0]);
        let rows = binned(&binner, &[-1.0, 0.5, f64::NAN, 9.0, 0.0]);
        assert_eq!(rows, [0, 1, 3, 2, 0]);
        assert_eq!(Column { rows: &rows, bins: 3 }.counts(), [2, 1, 1, 1]);
    }
}
