//! Rows of typed features: what a learner learns from and an estimator is asked about. Nothing in a table has been fitted;
//! codes of categories, vocabularies and the like belong to the estimator.

use std::fmt;
use std::sync::Arc;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Bytes of a pixel: red, green, blue.
const CHANNELS: usize = 3;

/// What a feature is, as a pipeline declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeatureKind {
    /// A number.
    Number,
    /// One of some texts, which are compared as wholes.
    Category,
    /// A text of words.
    Text,
    /// A square image.
    Image {
        /// Pixels of a side.
        side: u16,
    },
}

impl fmt::Display for FeatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => write!(f, "numbers"),
            Self::Category | Self::Text => write!(f, "texts"),
            Self::Image { side } => write!(f, "images of {side} × {side}"),
        }
    }
}

/// One feature's values, a row each.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Numbers; `NaN` is a missing one.
    Number(Vec<f64>),
    /// Categories or texts.
    Text(Vec<Option<Arc<str>>>),
    /// Images of one size.
    Image {
        /// Pixels of a side.
        side: usize,
        /// RGB, a byte each, row by row from the top left: side × side × 3 bytes.
        pixels: Vec<Option<Arc<[u8]>>>,
    },
}

impl Column {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Number(values) => values.len(),
            Self::Text(texts) => texts.len(),
            Self::Image { pixels, .. } => pixels.len(),
        }
    }

    /// The rows of these numbers, in their order; panics when there is none of a number, as a slice does.
    fn select(&self, rows: &[usize]) -> Self {
        fn pick<T: Clone>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|&row| values[row].clone()).collect()
        }
        match self {
            Self::Number(values) => Self::Number(pick(values, rows)),
            Self::Text(texts) => Self::Text(pick(texts, rows)),
            Self::Image { side, pixels } => Self::Image { side: *side, pixels: pick(pixels, rows) },
        }
    }

    fn is_of(&self, kind: FeatureKind) -> bool {
        match (self, kind) {
            (Self::Number(_), FeatureKind::Number) => true,
            (Self::Text(_), FeatureKind::Category | FeatureKind::Text) => true,
            (Self::Image { side, .. }, FeatureKind::Image { side: declared }) => *side == usize::from(declared),
            _ => false,
        }
    }
}

/// What the column holds, for people.
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(_) => write!(f, "numbers"),
            Self::Text(_) => write!(f, "texts"),
            Self::Image { side, .. } => write!(f, "images of {side} × {side}"),
        }
    }
}

/// Feature values of some rows, one typed column a feature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    rows: usize,
    columns: Vec<Column>,
}

impl Table {
    /// From columns that all have `rows` rows.
    ///
    /// # Errors
    /// [`Error::ColumnRows`], and [`Error::Pixels`] for an image that has not side × side × 3 bytes.
    pub fn new(rows: usize, columns: Vec<Column>) -> Result<Self, Error> {
        for (index, column) in columns.iter().enumerate() {
            if column.rows() != rows {
                return Err(Error::ColumnRows { column: index, expected: rows, got: column.rows() });
            }
            let Column::Image { side, pixels } = column else { continue };
            let expected = side.saturating_mul(*side).saturating_mul(CHANNELS);
            let wrong = |image: &Option<Arc<[u8]>>| image.as_ref().is_some_and(|bytes| bytes.len() != expected);
            if let Some(row) = pixels.iter().position(wrong) {
                let got = pixels[row].as_ref().map_or(0, |bytes| bytes.len());
                return Err(Error::Pixels { column: index, row, side: *side, expected, got });
            }
        }
        Ok(Self { rows, columns })
    }

    /// A column of numbers for each of the records'.
    pub fn of_numbers(records: ArrayView2<'_, f64>) -> Self {
        let columns = records.columns().into_iter().map(|column| Column::Number(column.to_vec())).collect();
        Self { rows: records.nrows(), columns }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, a feature each.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows of these numbers, in their order. Panics when there is none of a number, as a slice does.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { rows: rows.len(), columns: self.columns.iter().map(|column| column.select(rows)).collect() }
    }

    /// The same with one column's values in another order: row `i` gets what row `order[i]` has. Panics unless `order` holds
    /// every row's number.
    pub fn permuted(&self, column: usize, order: &[usize]) -> Self {
        assert_eq!(order.len(), self.rows, "an order has a place for every row");
        let columns = self.columns.iter().enumerate();
        let columns =
            columns.map(|(index, values)| if index == column { values.select(order) } else { values.clone() });
        Self { rows: self.rows, columns: columns.collect() }
    }

    /// Whether the columns are of these kinds, in this order.
    pub(crate) fn check(&self, kinds: &[FeatureKind]) -> Result<(), Error> {
        if self.columns.len() != kinds.len() {
            return Err(Error::FeatureCount { expected: kinds.len(), got: self.columns.len() });
        }
        match self.columns.iter().zip(kinds).position(|(column, kind)| !column.is_of(*kind)) {
            Some(feature) => {
                let got = self.columns[feature].to_string();
                Err(Error::ColumnKind { feature, expected: kinds[feature], got })
            }
            None => Ok(()),
        }
    }

    /// The texts of each row's columns, which are of texts, with a space between them; missing ones are skipped.
    pub(crate) fn joined(&self, columns: &[usize]) -> Vec<String> {
        let texts: Vec<&[Option<Arc<str>>]> = columns
            .iter()
            .filter_map(|&column| match &self.columns[column] {
                Column::Text(texts) => Some(texts.as_slice()),
                _ => None,
            })
            .collect();
        let join = |row: usize| texts.iter().filter_map(|column| column[row].as_deref()).collect::<Vec<_>>().join(" ");
        (0..self.rows).map(join).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn text(value: &str) -> Option<Arc<str>> {
        Some(Arc::from(value))
    }

    fn image(byte: u8) -> Option<Arc<[u8]>> {
        Some(Arc::from([byte; 12]))
    }

    fn table() -> Table {
        let columns = vec![
            Column::Number(vec![1.0, 2.0, 3.0]),
            Column::Text(vec![text("a"), None, text("c")]),
            Column::Image { side: 2, pixels: vec![image(1), image(2), None] },
        ];
        Table::new(3, columns).unwrap()
    }

    #[test]
    fn columns_of_another_length_or_size_are_refused() {
        let error = Table::new(3, vec![Column::Number(vec![1.0])]).unwrap_err().to_string();
        assert_eq!(error, "column 0 has 1 rows, and the table has 3; every column needs a value or a gap for each row");
        let pixels = vec![None, Some(Arc::from([0_u8; 11]))];
        let error = Table::new(2, vec![Column::Image { side: 2, pixels }]).unwrap_err().to_string();
        assert_eq!(error, "the image in row 1 of column 0 has 11 bytes; 2 × 2 pixels of red, green and blue are 12");
        assert!(Table::new(0, vec![Column::Image { side: usize::MAX, pixels: vec![] }]).is_ok());
    }

    #[test]
    fn rows_are_selected_from_every_column() {
        let selected = table().select(&[2, 0, 2]);
        assert_eq!(selected.rows(), 3);
        assert_eq!(selected.columns()[0], Column::Number(vec![3.0, 1.0, 3.0]));
        assert_eq!(selected.columns()[1], Column::Text(vec![text("c"), text("a"), text("c")]));
        assert_eq!(selected.columns()[2], Column::Image { side: 2, pixels: vec![None, image(1), None] });
        assert_eq!(table().select(&[0, 1, 2]), table());
    }

    #[test]
    fn one_column_is_permuted_and_the_others_stay() {
        let permuted = table().permuted(1, &[2, 0, 1]);
        assert_eq!(permuted.columns()[1], Column::Text(vec![text("c"), text("a"), None]));
        assert_eq!(permuted.columns()[0], table().columns()[0]);
        assert_eq!(permuted.columns()[2], table().columns()[2]);
    }

    #[test]
    fn kinds_are_checked_with_number_and_side() {
        let kinds = |side| [FeatureKind::Number, FeatureKind::Category, FeatureKind::Image { side }];
        assert!(table().check(&kinds(2)).is_ok());
        let error = table().check(&kinds(4)).unwrap_err().to_string();
        assert_eq!(error, "feature 2 must be a column of images of 4 × 4, got one of images of 2 × 2");
        let swapped = [FeatureKind::Text, FeatureKind::Text, FeatureKind::Image { side: 2 }];
        let error = table().check(&swapped).unwrap_err().to_string();
        assert_eq!(error, "feature 0 must be a column of texts, got one of numbers");
        assert!(matches!(table().check(&kinds(2)[..2]), Err(Error::FeatureCount { expected: 2, got: 3 })));
    }

    #[test]
    fn texts_are_joined_without_the_missing_ones() {
        let columns = vec![Column::Text(vec![text("a"), None, None]), Column::Text(vec![text("b"), text("c d"), None])];
        assert_eq!(Table::new(3, columns).unwrap().joined(&[0, 1]), ["a b", "c d", ""]);
    }

    #[test]
    fn records_become_columns_of_numbers() {
        let records = array![[1.0, 2.0], [3.0, 4.0]];
        let table = Table::of_numbers(records.view());
        assert_eq!((table.rows(), table.columns().len()), (2, 2));
        assert_eq!(table.columns()[1], Column::Number(vec![2.0, 4.0]));
    }
}
