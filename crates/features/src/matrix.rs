//! Feature values: rows by features.

use std::sync::Arc;

/// Features of many records, column-major `f64`; a missing value is `NaN` (always the same bits).
#[derive(Debug, Clone, Default)]
pub struct FeatureMatrix {
    names: Arc<[String]>,
    rows: usize,
    values: Vec<f64>,
}

impl FeatureMatrix {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// The features' names, in the order of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The values of feature `index`, one a row.
    ///
    /// # Panics
    /// If there is no such feature.
    pub fn column(&self, index: usize) -> &[f64] {
        assert!(index < self.width(), "feature {index} of {}", self.width());
        &self.values[index * self.rows..(index + 1) * self.rows]
    }

    /// The columns in order.
    pub fn columns(&self) -> impl Iterator<Item = &[f64]> {
        (0..self.width()).map(|index| self.column(index))
    }

    /// Copies row `index` to `out`, which holds [`width`](Self::width) values.
    ///
    /// # Panics
    /// If there is no such row, or `out` has another length.
    pub fn row(&self, index: usize, out: &mut [f64]) {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        assert_eq!(out.len(), self.width(), "the buffer of a row is as long as the matrix is wide");
        for (column, value) in out.iter_mut().enumerate() {
            *value = self.values[column * self.rows + index];
        }
    }

    /// Takes the shape of a new result; what the values are is then undefined.
    pub(crate) fn reshape(&mut self, names: &Arc<[String]>, rows: usize) {
        if !Arc::ptr_eq(&self.names, names) {
            self.names = Arc::clone(names);
        }
        self.rows = rows;
        self.values.resize(names.len() * rows, f64::NAN);
    }

    pub(crate) fn column_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.values[index * self.rows..(index + 1) * self.rows]
    }
}
