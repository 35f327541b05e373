//! The live profile: integer counts over the reference's bins. Merging is addition, so order never matters.

use crate::layout::{FeatureLayout, Layout};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Why values or a stored profile cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A feature the reference does not have.
    #[error("the model's reference has no feature `{0}`: profile the columns of the model's signature")]
    UnknownFeature(String),
    /// Columns of different lengths.
    #[error("the column `{feature}` has {rows} rows, the batch has {expected}: pass columns of one batch")]
    UnequalLengths {
        /// The first column that differs.
        feature: String,
        /// Its length.
        rows: usize,
        /// The batch's length.
        expected: usize,
    },
    /// Counted over other bins.
    #[error(
        "a profile over the reference {found} cannot be used with the reference {expected}: they belong to different models"
    )]
    OtherReference {
        /// The reference at hand.
        expected: String,
        /// The reference of the other profile.
        found: String,
    },
    /// More rows than counters can hold.
    #[error("a profile holds at most {} rows of a feature: use smaller windows", u32::MAX)]
    TooManyRows,
    /// A stored profile that does not add up.
    #[error("the stored profile of feature `{feature}` is damaged: {what}")]
    Damaged {
        /// The feature, or empty for the profile as a whole.
        feature: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Text that is no stored profile.
    #[error("this is no stored profile: {0}")]
    Syntax(String),
}

/// Counts of one feature: its bins, then the missing values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureProfile {
    /// One cell a bin and the cell of the missing values last, so that counting has no branch. 4 bytes a cell.
    cells: Vec<u32>,
    rows: u32,
}

/// Live counts over the bins of one model version's reference.
#[derive(Debug, Clone)]
pub struct Profile {
    layout: Arc<Layout>,
    features: Vec<FeatureProfile>,
}

/// The stored form: only cells that are not zero, in the order of bins; features by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparseProfile {
    /// Rows counted.
    pub rows: u64,
    /// Every feature that counted anything.
    pub features: BTreeMap<String, SparseFeature>,
}

/// The stored counts of one feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparseFeature {
    /// `[bin, count]` of the bins that are not empty, ascending.
    pub cells: Vec<(u16, u32)>,
    /// Rows without a value.
    pub missing: u32,
    /// Values below the reference's smallest; they are counted in the first bin too.
    pub below: u32,
    /// Values above the reference's largest; they are counted in the last bin too.
    pub above: u32,
}

impl FeatureProfile {
    pub(crate) fn new(layout: &FeatureLayout) -> Self {
        Self { cells: vec![0; layout.binner().bins() + 1], rows: 0 }
    }

    /// Counts in each bin.
    pub fn counts(&self) -> &[u32] {
        &self.cells[..self.cells.len() - 1]
    }

    /// Rows without a value.
    pub fn missing(&self) -> u32 {
        self.cells[self.cells.len() - 1]
    }

    /// Rows counted, with and without a value.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Rows with a value.
    pub fn values(&self) -> u32 {
        self.rows - self.missing()
    }

    /// The hot loop. The caller has made sure that the rows still fit.
    pub(crate) fn observe(&mut self, layout: &FeatureLayout, values: &[f64]) {
        let binner = layout.binner();
        let missing = binner.bins();
        let cells = &mut self.cells[..missing + 1];
        for &value in values {
            let bin = binner.bin(value);
            cells[if value.is_nan() { missing } else { bin }] += 1;
        }
        self.rows += values.len() as u32;
    }
}

impl Profile {
    /// An empty profile.
    pub fn new(layout: &Arc<Layout>) -> Self {
        let features = layout.features().iter().map(FeatureProfile::new).collect();
        Self { layout: Arc::clone(layout), features }
    }

    /// The bins counted over.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The counts of the feature at `index` of the layout.
    pub fn feature(&self, index: usize) -> &FeatureProfile {
        &self.features[index]
    }

    /// Rows counted: those of the feature that counted most.
    pub fn rows(&self) -> u64 {
        self.features.iter().map(|feature| u64::from(feature.rows)).max().unwrap_or(0)
    }

    /// Counts values of one feature; NaN is a missing value. Every feature must be given every row, see [`observe_batch`].
    ///
    /// [`observe_batch`]: Self::observe_batch
    ///
    /// # Errors
    /// An unknown feature, or more rows than counters hold; nothing is counted then.
    pub fn observe(&mut self, feature: &str, values: &[f64]) -> Result<(), Error> {
        let index = self.layout.index_of(feature).ok_or_else(|| Error::UnknownFeature(feature.to_owned()))?;
        self.check_room(index, values.len())?;
        self.features[index].observe(self.layout.feature(index), values);
        Ok(())
    }

    /// Counts one batch of `rows` rows. A feature of the reference that the batch lacks counts as missing in every row.
    ///
    /// # Errors
    /// An unknown feature, columns of other lengths, too many rows; nothing is counted then.
    pub fn observe_batch(&mut self, rows: usize, columns: &[(&str, &[f64])]) -> Result<(), Error> {
        let mut found: Vec<Option<&[f64]>> = vec![None; self.features.len()];
        for (name, values) in columns {
            let index = self.layout.index_of(name).ok_or_else(|| Error::UnknownFeature((*name).to_owned()))?;
            if values.len() != rows {
                return Err(Error::UnequalLengths { feature: (*name).to_owned(), rows: values.len(), expected: rows });
            }
            if found[index].replace(values).is_some() {
                return Err(Error::Damaged {
                    feature: (*name).to_owned(),
                    what: "the batch has two columns of this name",
                });
            }
            self.check_room(index, rows)?;
        }
        for index in 0..self.features.len() {
            self.check_room(index, rows)?;
        }
        for (index, values) in found.into_iter().enumerate() {
            let feature = &mut self.features[index];
            match values {
                Some(values) => feature.observe(self.layout.feature(index), values),
                None => {
                    let missing = feature.cells.len() - 1;
                    feature.cells[missing] += rows as u32;
                    feature.rows += rows as u32;
                }
            }
        }
        Ok(())
    }

    /// Adds the counts of another profile over the same reference.
    ///
    /// # Errors
    /// Another reference, or more rows than counters hold; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.layout.hash() != other.layout.hash() {
            let (expected, found) = (self.layout.hash().to_owned(), other.layout.hash().to_owned());
            return Err(Error::OtherReference { expected, found });
        }
        for (index, from) in other.features.iter().enumerate() {
            self.check_room(index, from.rows as usize)?;
        }
        for (feature, from) in self.features.iter_mut().zip(&other.features) {
            feature.cells.iter_mut().zip(&from.cells).for_each(|(cell, more)| *cell += more);
            feature.rows += from.rows;
        }
        Ok(())
    }

    /// Values below the smallest of the reference.
    pub fn below(&self, index: usize) -> u32 {
        let first = self.layout.feature(index).end_is_out_of_range(true);
        if first { self.features[index].counts()[0] } else { 0 }
    }

    /// Values above the largest of the reference.
    pub fn above(&self, index: usize) -> u32 {
        let last = self.layout.feature(index).end_is_out_of_range(false);
        if last { self.features[index].counts().last().copied().unwrap_or(0) } else { 0 }
    }

    /// The stored form.
    pub fn to_sparse(&self) -> SparseProfile {
        let features =
            self.features.iter().enumerate().filter(|(_, feature)| feature.rows > 0).map(|(index, feature)| {
                // At most 1,026 bins, so indices fit.
                let cells = feature.counts().iter().enumerate().filter(|(_, count)| **count > 0);
                let cells = cells.map(|(bin, &count)| (bin as u16, count)).collect();
                let (below, above) = (self.below(index), self.above(index));
                let name = self.layout.feature(index).reference().name.clone();
                (name, SparseFeature { cells, missing: feature.missing(), below, above })
            });
        SparseProfile { rows: self.rows(), features: features.collect() }
    }

    /// Reads the stored form, checking every number against the reference.
    ///
    /// # Errors
    /// An unknown feature or bin, and counts that contradict each other.
    pub fn from_sparse(layout: &Arc<Layout>, sparse: &SparseProfile) -> Result<Self, Error> {
        let mut profile = Self::new(layout);
        for (name, stored) in &sparse.features {
            let index = layout.index_of(name).ok_or_else(|| Error::UnknownFeature(name.clone()))?;
            profile.features[index].read(stored).map_err(|what| Error::Damaged { feature: name.clone(), what })?;
            if (profile.below(index), profile.above(index)) != (stored.below, stored.above) {
                return Err(Error::Damaged {
                    feature: name.clone(),
                    what: "its end bins and its out-of-range counts differ",
                });
            }
        }
        if profile.rows() != sparse.rows {
            return Err(Error::Damaged { feature: String::new(), what: "its counts do not add up to its rows" });
        }
        Ok(profile)
    }

    /// The stored form as JSON; equal profiles give equal bytes.
    pub fn to_json(&self) -> String {
        // Maps with text keys and integers: serialisation has no way to fail.
        serde_json::to_string(&self.to_sparse()).unwrap_or_default()
    }

    /// Reads [`to_json`](Self::to_json)'s form.
    ///
    /// # Errors
    /// Text of another form, and all of [`from_sparse`](Self::from_sparse).
    pub fn from_json(layout: &Arc<Layout>, json: &str) -> Result<Self, Error> {
        let sparse: SparseProfile = serde_json::from_str(json).map_err(|error| Error::Syntax(error.to_string()))?;
        Self::from_sparse(layout, &sparse)
    }

    fn check_room(&self, index: usize, rows: usize) -> Result<(), Error> {
        let room = (u32::MAX - self.features[index].rows) as usize;
        if rows <= room { Ok(()) } else { Err(Error::TooManyRows) }
    }
}

impl FeatureProfile {
    fn read(&mut self, stored: &SparseFeature) -> Result<(), &'static str> {
        let missing = self.cells.len() - 1;
        let mut rows = u64::from(stored.missing);
        let mut next = 0;
        for &(bin, count) in &stored.cells {
            let bin = usize::from(bin);
            if bin >= missing {
                return Err("it counts a bin the reference does not have");
            }
            if bin < next || count == 0 {
                return Err("its cells are not ascending and above zero");
            }
            next = bin + 1;
            self.cells[bin] = count;
            rows += u64::from(count);
        }
        self.cells[missing] = stored.missing;
        self.rows = u32::try_from(rows).map_err(|_| "it has more rows than a profile holds")?;
        Ok(())
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.layout.hash() == other.layout.hash() && self.features == other.features
    }
}

#[cfg(test)]
mod tests;
