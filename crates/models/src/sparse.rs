//! Rows of which most values are zero, such as the terms of a text: compressed sparse rows (CSR).

use linfa::dataset::Records;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::predictor::MAX_FEATURES;

/// The most values a matrix may hold: bounds what hostile bytes or rows can make us allocate (16 GiB at 8 bytes each).
const MAX_VALUES: usize = 1 << 31;

/// A sparse matrix, built row by row. Values are `f32`; sums over them are made in `f64`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CsrMatrix {
    columns: usize,
    /// Row `i` holds the values `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    /// Column of each value, ascending within a row.
    indices: Vec<u32>,
    values: Vec<f32>,
}

/// One row: the columns that have a value, ascending, and their values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparseRow<'a> {
    /// Columns, ascending and distinct.
    pub indices: &'a [u32],
    /// As many values.
    pub values: &'a [f32],
}

impl CsrMatrix {
    /// A matrix without rows.
    ///
    /// # Errors
    /// [`Error::TooMany`] for more than 2²⁰ columns.
    pub fn new(columns: usize) -> Result<Self, Error> {
        if columns > MAX_FEATURES {
            return Err(Error::TooMany { what: "features", got: columns, limit: MAX_FEATURES });
        }
        Ok(Self { columns, starts: vec![0], indices: Vec::new(), values: Vec::new() })
    }

    /// The values other than 0 of a dense matrix.
    ///
    /// # Errors
    /// As of [`Self::new`] and [`Self::push`]; a missing value is not finite.
    pub fn from_dense(records: ArrayView2<'_, f64>) -> Result<Self, Error> {
        let mut matrix = Self::new(records.ncols())?;
        for row in records.rows() {
            let filled = row.iter().enumerate().filter(|(_, value)| **value != 0.0);
            matrix.push(filled.map(|(column, &value)| (column as u32, value as f32)))?;
        }
        Ok(matrix)
    }

    /// Adds a row of (column, value), columns ascending. Values of 0 may be left out.
    ///
    /// # Errors
    /// [`Error::SparseRow`] for columns that do not ascend or do not exist, or a value that is not finite, and
    /// [`Error::TooMany`] for too many values. The matrix is then as it was.
    pub fn push(&mut self, row: impl IntoIterator<Item = (u32, f32)>) -> Result<(), Error> {
        let before = self.values.len();
        let mut next = 0;
        for (column, value) in row {
            let sound = column as usize >= next && (column as usize) < self.columns && value.is_finite();
            if !sound || self.values.len() == MAX_VALUES {
                self.indices.truncate(before);
                self.values.truncate(before);
                return Err(if sound {
                    Error::TooMany { what: "values", got: MAX_VALUES + 1, limit: MAX_VALUES }
                } else {
                    Error::SparseRow { row: self.n_rows(), column }
                });
            }
            next = column as usize + 1;
            self.indices.push(column);
            self.values.push(value);
        }
        self.starts.push(self.values.len());
        Ok(())
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.columns
    }

    /// Number of values stored.
    pub fn n_values(&self) -> usize {
        self.values.len()
    }

    /// A row; panics when there is none of this number, as a slice does.
    pub fn row(&self, row: usize) -> SparseRow<'_> {
        let range = self.starts[row]..self.starts[row + 1];
        SparseRow { indices: &self.indices[range.clone()], values: &self.values[range] }
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = SparseRow<'_>> {
        (0..self.n_rows()).map(|row| self.row(row))
    }

    /// The rows of these numbers, in their order. Panics when there is none of a number, as [`Self::row`].
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut selected = Self { columns: self.columns, starts: vec![0], indices: Vec::new(), values: Vec::new() };
        for row in rows.iter().map(|&row| self.row(row)) {
            selected.indices.extend_from_slice(row.indices);
            selected.values.extend_from_slice(row.values);
            selected.starts.push(selected.values.len());
        }
        selected
    }

    /// The columns of both matrices side by side, such as words and characters of the same texts.
    ///
    /// # Errors
    /// [`Error::RowCount`] for different numbers of rows, and as of [`Self::new`] and [`Self::push`].
    pub fn beside(&self, right: &Self) -> Result<Self, Error> {
        if self.n_rows() != right.n_rows() {
            return Err(Error::RowCount { left: self.n_rows(), right: right.n_rows() });
        }
        let mut both = Self::new(self.columns + right.columns)?;
        for (left, right) in self.rows().zip(right.rows()) {
            let moved = right.indices.iter().map(|&column| column + self.columns as u32);
            let columns = left.indices.iter().copied().chain(moved);
            both.push(columns.zip(left.values.iter().chain(right.values).copied()))?;
        }
        Ok(both)
    }

    /// Whether a decoded matrix is safe to work with.
    ///
    /// # Errors
    /// The text says what is not.
    pub fn validate(&self) -> Result<(), String> {
        if self.columns > MAX_FEATURES || self.values.len() > MAX_VALUES {
            return Err("the sparse matrix is too large".to_owned());
        }
        if self.starts.first() != Some(&0)
            || self.starts.last() != Some(&self.values.len())
            || self.indices.len() != self.values.len()
            || self.starts.windows(2).any(|pair| pair[0] > pair[1])
        {
            return Err("the sparse matrix' rows do not match its values".to_owned());
        }
        let sound = |row: SparseRow<'_>| {
            row.indices.windows(2).all(|pair| pair[0] < pair[1])
                && row.indices.last().is_none_or(|&last| (last as usize) < self.columns)
                && row.values.iter().all(|value| value.is_finite())
        };
        if self.rows().all(sound) { Ok(()) } else { Err("a sparse row has a bad column or value".to_owned()) }
    }
}

impl SparseRow<'_> {
    /// Σ value × `weights[column]`.
    pub fn dot(&self, weights: &[f64]) -> f64 {
        self.iter().map(|(column, value)| value * weights[column]).sum()
    }

    /// `weights[column]` += factor × value, for each column of the row.
    pub fn add_to(&self, factor: f64, weights: &mut [f64]) {
        self.iter().for_each(|(column, value)| weights[column] += factor * value);
    }

    /// Sum of the squared values.
    pub fn squared_norm(&self) -> f64 {
        self.values.iter().map(|&value| f64::from(value) * f64::from(value)).sum()
    }

    /// Columns and values.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        self.indices.iter().zip(self.values).map(|(&column, &value)| (column as usize, f64::from(value)))
    }
}

/// So that a [`linfa::DatasetBase`] may hold a sparse matrix.
impl Records for CsrMatrix {
    type Elem = f32;

    fn nsamples(&self) -> usize {
        self.n_rows()
    }

    fn nfeatures(&self) -> usize {
        self.columns
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn matrix() -> CsrMatrix {
        CsrMatrix::from_dense(array![[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, -3.0]].view()).unwrap()
    }

    #[test]
    fn rows_hold_what_was_pushed() {
        let matrix = matrix();
        assert_eq!((matrix.n_rows(), matrix.n_columns(), matrix.n_values()), (3, 3, 3));
        assert_eq!(matrix.row(2), SparseRow { indices: &[0, 2], values: &[1.0, -3.0] });
        assert_eq!(matrix.rows().map(|row| row.dot(&[1.0, 10.0, 100.0])).collect::<Vec<_>>(), [20.0, 0.0, -299.0]);
        assert_eq!(matrix.row(2).squared_norm(), 10.0);
        let mut weights = [0.0; 3];
        matrix.row(2).add_to(2.0, &mut weights);
        assert_eq!(weights, [2.0, 0.0, -6.0]);
        assert_eq!(matrix.select(&[2, 0]).row(1), matrix.row(0));
    }

    #[test]
    fn matrices_stand_side_by_side() {
        let both = matrix().beside(&matrix()).unwrap();
        assert_eq!((both.n_rows(), both.n_columns()), (3, 6));
        assert_eq!(both.row(2), SparseRow { indices: &[0, 2, 3, 5], values: &[1.0, -3.0, 1.0, -3.0] });
        assert!(matrix().beside(&matrix().select(&[0])).is_err());
    }

    #[test]
    fn a_bad_row_is_refused_and_leaves_the_matrix_as_it_was() {
        let mut matrix = matrix();
        for row in [[(0, 1.0), (3, 1.0)], [(1, 1.0), (1, 2.0)], [(2, 1.0), (0, 1.0)], [(0, 1.0), (1, f32::NAN)]] {
            assert!(matches!(matrix.push(row), Err(Error::SparseRow { row: 3, .. })));
        }
        assert_eq!(matrix, self::matrix());
        assert!(CsrMatrix::new(MAX_FEATURES + 1).is_err());
    }

    #[test]
    fn a_matrix_comes_back_from_bytes_and_a_tampered_one_is_refused() {
        let decoded: CsrMatrix = postcard::from_bytes(&postcard::to_stdvec(&matrix()).unwrap()).unwrap();
        assert_eq!(decoded, matrix());
        assert!(decoded.validate().is_ok());
        let tampered = |change: fn(&mut CsrMatrix)| {
            let mut matrix = matrix();
            change(&mut matrix);
            matrix.validate()
        };
        assert!(tampered(|matrix| matrix.starts.clear()).is_err());
        assert!(tampered(|matrix| matrix.starts[3] = 9).is_err(), "more than there are");
        assert!(tampered(|matrix| matrix.starts[1] = 7).is_err(), "a way back");
        assert!(tampered(|matrix| matrix.indices[2] = 3).is_err(), "a column that is not there");
        assert!(tampered(|matrix| matrix.indices[2] = 0).is_err(), "a column twice");
        assert!(tampered(|matrix| matrix.values[0] = f32::NAN).is_err());
        assert!(tampered(|matrix| matrix.values.truncate(1)).is_err());
        assert!(tampered(|matrix| matrix.columns = usize::MAX).is_err());
    }
}
