//! What a model of weighted sums does to a row first: gaps are filled, columns centred and, if asked, brought to unit
//! variance. Learnt from the training rows and part of the fitted model, so a row served is prepared as those were.

use ndarray::{ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use crate::sums::{deviation, mean};

/// Columns taken from the rows in one go: as many values as memory hands over at a time.
const TOGETHER: usize = 8;
/// Rows they are taken from before the next ones: those stay in the first cache for all of the columns.
const BLOCK: usize = 64;

/// What takes the place of a missing value. A value that is infinite counts as missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Imputation {
    /// The weighted mean of the training rows that have a value.
    #[default]
    Mean,
    /// The median of them, the mean of the middle two for an even number. Weights play no part.
    Median,
}

/// A column `x` becomes (x or fill - shift) × scale. One value of each per column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Preparation {
    fill: Vec<f64>,
    shift: Vec<f64>,
    /// 0 for a column that is constant or has no value at all: it stays 0, whatever comes.
    scale: Vec<f64>,
}

impl Preparation {
    /// Learns from rows × columns. `weights` has one value per row, not all 0. Without `standardize`, the scale is 1.
    pub fn fit(records: ArrayView2<'_, f64>, weights: &[f64], imputation: Imputation, standardize: bool) -> Self {
        let width = records.ncols();
        let mut fitted = Self {
            fill: Vec::with_capacity(width),
            shift: Vec::with_capacity(width),
            scale: Vec::with_capacity(width),
        };
        let n_rows = records.nrows();
        let mut columns = vec![0.0; n_rows * TOGETHER.min(width)];
        for first in (0..width).step_by(TOGETHER) {
            let records = records.slice(s![.., first..width.min(first + TOGETHER)]);
            for (block, records) in records.axis_chunks_iter(Axis(0), BLOCK).enumerate() {
                for (column, values) in records.columns().into_iter().zip(columns.chunks_exact_mut(n_rows.max(1))) {
                    values[block * BLOCK..].iter_mut().zip(column).for_each(|(to, value)| *to = *value);
                }
            }
            for values in columns.chunks_exact_mut(n_rows.max(1)).take(records.ncols()) {
                fitted.add_column(values, weights, imputation, standardize);
            }
        }
        fitted
    }

    fn add_column(&mut self, values: &mut [f64], weights: &[f64], imputation: Imputation, standardize: bool) {
        let fill = match imputation {
            Imputation::Mean => mean(values, weights),
            Imputation::Median => median(values),
        };
        let mut gaps = false;
        for value in values.iter_mut().filter(|value| !value.is_finite()) {
            *value = fill;
            gaps = true;
        }
        // Without gaps, the mean is what would fill them.
        let shift = if gaps || imputation == Imputation::Median { mean(values, weights) } else { fill };
        let constant = values.iter().all(|value| *value == values[0]);
        let scale = match (constant, standardize) {
            (true, _) => 0.0,
            (false, false) => 1.0,
            (false, true) => 1.0 / deviation(values, shift, weights),
        };
        self.fill.push(fill);
        self.shift.push(shift);
        // A spread that over- or underflows is no spread to work with.
        self.scale.push(if scale.is_finite() { scale } else { 0.0 });
    }

    /// Not checked.
    pub fn from_parts(fill: Vec<f64>, shift: Vec<f64>, scale: Vec<f64>) -> Self {
        Self { fill, shift, scale }
    }

    /// What takes the place of a missing value of each column.
    pub fn fill(&self) -> &[f64] {
        &self.fill
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.shift.len()
    }

    /// The factor of each column.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// What is subtracted from each column.
    pub fn shift(&self) -> &[f64] {
        &self.shift
    }

    /// The prepared values of a row of [`Self::width`] values.
    pub fn row<'a>(&'a self, row: impl IntoIterator<Item = &'a f64>) -> impl Iterator<Item = f64> {
        row.into_iter().enumerate().map(|(column, &value)| self.value(column, value))
    }

    #[inline]
    fn value(&self, column: usize, value: f64) -> f64 {
        let value = if value.is_finite() { value } else { self.fill[column] };
        if self.scale[column] == 0.0 { 0.0 } else { (value - self.shift[column]) * self.scale[column] }
    }

    /// Adds to each row's sum its prepared values times the coefficients, one column after the other: the same bits as row by
    /// row, but several rows at a time, as a sum waits for the one before.
    pub fn add_products(&self, rows: &[f64], coefficients: &[f64], sums: &mut [f64]) {
        const LANES: usize = 8;
        let width = self.width();
        let (blocks, rest) = sums.as_chunks_mut::<LANES>();
        let (rows_of_blocks, rows) = rows.split_at(blocks.len() * LANES * width);
        for (sums, rows) in blocks.iter_mut().zip(rows_of_blocks.chunks_exact((LANES * width).max(1))) {
            let rows: [&[f64]; LANES] = std::array::from_fn(|lane| &rows[lane * width..][..width]);
            for (column, coefficient) in coefficients.iter().enumerate() {
                for (sum, row) in sums.iter_mut().zip(rows) {
                    *sum += self.value(column, row[column]) * coefficient;
                }
            }
        }
        for (sum, row) in rest.iter_mut().zip(rows.chunks_exact(width.max(1))) {
            self.row(row).zip(coefficients).for_each(|(value, coefficient)| *sum += value * coefficient);
        }
    }

    /// Whether a decoded preparation has `width` columns of finite values.
    pub fn validate(&self, width: usize) -> Result<(), String> {
        let parts = [&self.fill, &self.shift, &self.scale];
        if parts.iter().any(|part| part.len() != width) {
            return Err("the preparation has another number of columns than the model".to_owned());
        }
        if parts.iter().any(|part| part.iter().any(|value| !value.is_finite())) {
            return Err("the preparation has a value that is not finite".to_owned());
        }
        Ok(())
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    const GAP: f64 = f64::NAN;

    fn prepared(imputation: Imputation, standardize: bool, row: &[f64]) -> Vec<f64> {
        let records = array![[1.0, 5.0, GAP], [2.0, 5.0, GAP], [GAP, 5.0, GAP], [6.0, 5.0, GAP]];
        Preparation::fit(records.view(), &[1.0; 4], imputation, standardize).row(row).collect()
    }

    #[test]
    fn gaps_become_the_mean_or_the_median() {
        assert_eq!(prepared(Imputation::Mean, false, &[4.0, 5.0, 1.0]), [1.0, 0.0, 0.0]);
        assert_eq!(prepared(Imputation::Mean, false, &[GAP, 5.0, 1.0]), [0.0, 0.0, 0.0]);
        assert_eq!(prepared(Imputation::Median, false, &[f64::INFINITY, 5.0, 1.0]), [2.0 - 2.75, 0.0, 0.0]);
    }

    #[test]
    fn standardised_columns_have_unit_variance() {
        let column: Vec<f64> =
            [1.0, 2.0, 3.0, 6.0].iter().map(|&x| prepared(Imputation::Mean, true, &[x, 0.0, 0.0])[0]).collect();
        assert!((column.iter().map(|z| z * z).sum::<f64>() / 4.0 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn constant_and_empty_columns_stay_zero_whatever_comes() {
        assert_eq!(prepared(Imputation::Mean, true, &[3.0, 1e300, 1e300])[1..], [0.0, 0.0]);
    }

    #[test]
    fn rows_of_weight_zero_do_not_count() {
        let records = array![[1.0], [3.0], [1e9]];
        let fitted = Preparation::fit(records.view(), &[1.0, 1.0, 0.0], Imputation::Mean, true);
        assert_eq!((fitted.shift[0], fitted.scale[0]), (2.0, 1.0));
    }

    #[test]
    fn a_tampered_preparation_is_refused() {
        let fitted = Preparation::fit(array![[1.0], [3.0]].view(), &[1.0; 2], Imputation::Mean, true);
        assert!(fitted.validate(1).is_ok());
        assert!(fitted.validate(2).is_err());
        assert!(Preparation { scale: vec![], ..fitted.clone() }.validate(1).is_err());
        assert!(Preparation { fill: vec![f64::NAN], ..fitted }.validate(1).is_err());
    }
}
