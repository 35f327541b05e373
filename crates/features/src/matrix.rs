//! Feature values: rows by features.

use std::sync::Arc;

use driftmill_schemas::pipeline::FeatureType;

/// Features of many records, each a column: numbers, texts or images.
#[derive(Debug, Clone, Default)]
pub struct FeatureMatrix {
    names: Arc<[String]>,
    kinds: Arc<[FeatureType]>,
    rows: usize,
    /// One place a feature and row; those of texts and images are not used.
    numbers: Vec<f64>,
    /// By feature; empty for numbers.
    others: Vec<Other>,
    faults: Vec<Unreadable>,
}

/// Values that are no numbers.
#[derive(Debug, Clone)]
enum Other {
    None,
    Texts(Vec<Option<Arc<str>>>),
    Images(Vec<Option<Arc<[u8]>>>),
}

/// The values of one feature, one a row.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Numbers; a missing value is `NaN` (always the same bits).
    Numbers(&'a [f64]),
    /// Texts, also those of categories.
    Texts(&'a [Option<Arc<str>>]),
    /// RGB pixels of squares, row by row: 3 bytes a pixel.
    Images(&'a [Option<Arc<[u8]>>]),
}

/// An image that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The row.
    pub row: usize,
    /// Index of the feature.
    pub feature: usize,
    /// What is wrong with it.
    pub reason: String,
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
    /// If there is no such feature, or its values are no numbers.
    pub fn column(&self, index: usize) -> &[f64] {
        match self.values(index) {
            Values::Numbers(values) => values,
            _ => panic!("feature {index} is a {}", self.kinds[index].title()),
        }
    }

    /// The values of feature `index`, one a row.
    ///
    /// # Panics
    /// If there is no such feature.
    pub fn values(&self, index: usize) -> Values<'_> {
        assert!(index < self.width(), "feature {index} of {}", self.width());
        match self.others.get(index) {
            Some(Other::Texts(texts)) => Values::Texts(texts),
            Some(Other::Images(images)) => Values::Images(images),
            _ => Values::Numbers(&self.numbers[index * self.rows..(index + 1) * self.rows]),
        }
    }

    /// The columns in order.
    pub fn columns(&self) -> impl Iterator<Item = Values<'_>> {
        (0..self.width()).map(|index| self.values(index))
    }

    /// Images that could not be decoded; their values are missing.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.faults
    }

    /// Copies row `index` to `out`, which holds [`width`](Self::width) values; what is no number is `NaN`.
    ///
    /// # Panics
    /// If there is no such row, or `out` has another length.
    pub fn row(&self, index: usize, out: &mut [f64]) {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        assert_eq!(out.len(), self.width(), "the buffer of a row is as long as the matrix is wide");
        for (column, value) in out.iter_mut().enumerate() {
            *value = self.numbers[column * self.rows + index];
        }
    }

    /// Takes the shape of a new result; what the numbers are is then undefined, and the rest is empty.
    pub(crate) fn reshape(&mut self, names: &Arc<[String]>, kinds: &Arc<[FeatureType]>, rows: usize) {
        if !Arc::ptr_eq(&self.names, names) {
            self.names = Arc::clone(names);
            self.kinds = Arc::clone(kinds);
            let is_plain = kinds.iter().all(FeatureType::is_number);
            self.others.clear();
            if !is_plain {
                self.others.extend(kinds.iter().map(|kind| match kind {
                    FeatureType::Number => Other::None,
                    FeatureType::Category | FeatureType::Text => Other::Texts(Vec::new()),
                    FeatureType::Image => Other::Images(Vec::new()),
                }));
            }
        }
        for other in &mut self.others {
            match other {
                Other::None => {}
                Other::Texts(texts) => texts.clear(),
                Other::Images(images) => images.clear(),
            }
        }
        self.faults.clear();
        self.rows = rows;
        self.numbers.resize(names.len() * rows, f64::NAN);
        for column in (0..self.others.len()).filter(|column| !kinds[*column].is_number()) {
            self.numbers[column * rows..(column + 1) * rows].fill(f64::NAN);
        }
    }

    pub(crate) fn column_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.numbers[index * self.rows..(index + 1) * self.rows]
    }

    pub(crate) fn texts_mut(&mut self, index: usize) -> &mut Vec<Option<Arc<str>>> {
        match &mut self.others[index] {
            Other::Texts(texts) => texts,
            _ => unreachable!("feature {index} is compiled to what its type says"),
        }
    }

    pub(crate) fn images_mut(&mut self, index: usize) -> &mut Vec<Option<Arc<[u8]>>> {
        match &mut self.others[index] {
            Other::Images(images) => images,
            _ => unreachable!("feature {index} is compiled to what its type says"),
        }
    }

    pub(crate) fn fault(&mut self, row: usize, feature: usize, reason: String) {
        self.faults.push(Unreadable { row, feature, reason });
    }
}
