//! The live profile: integer counts over the reference's bins. Merging is addition, so order never matters.

mod stored;
#[cfg(test)]
mod tests;
pub use stored::{SparseFeature, SparseProfile};

use crate::{
    layout::{Cells, FeatureLayout, Layout},
    reference::{Values, hour_of_week},
};
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
    /// Numbers for a feature of categories, or the other way round.
    #[error("the feature `{0}` has other values than the model's reference: was it a number and is a category now?")]
    OtherKind(String),
    /// Text that is no stored profile.
    #[error("this is no stored profile: {0}")]
    Syntax(String),
}

/// Counts of one feature: its cells, then the missing values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureProfile {
    /// One cell a bin or category and the cell of the missing values last, so that counting has no branch. 4 bytes a cell.
    cells: Vec<u32>,
    rows: u32,
    /// Counts by hour of the week, over the layout's groups of bins; only of features that have such a rhythm.
    hours: BTreeMap<u8, Vec<u32>>,
    /// Values out of the reference's range, by [`far_cell`]: how far out they lie.
    far: BTreeMap<u32, u32>,
}

/// The cell of a value out of the reference's range: its sign, its exponent and five bits of its mantissa, so that cells are 2 to
/// 3 % wide wherever they lie, and the same on every machine.
pub(crate) fn far_cell(value: f64) -> u32 {
    // Infinities stand as the outermost finite numbers, -0.0 as 0.0.
    let value = value.clamp(f64::MIN, f64::MAX) + 0.0;
    (value.to_bits() >> FAR_BITS) as u32
}

/// The end of a cell that is further from 0.
pub(crate) fn far_cell_end(cell: u32) -> f64 {
    let bits = (u64::from(cell) << FAR_BITS) | ((1 << FAR_BITS) - 1);
    let end = f64::from_bits(bits);
    if end.is_finite() { end } else { f64::MAX.copysign(end) }
}

/// The end of the same cell that is nearer to 0, from the other one.
pub(crate) fn far_cell_start(end: f64) -> f64 {
    f64::from_bits(end.to_bits() >> FAR_BITS << FAR_BITS)
}

/// Bits of a float that do not tell cells apart.
const FAR_BITS: u32 = 47;

/// Live counts over the bins of one model version's reference.
#[derive(Debug, Clone)]
pub struct Profile {
    layout: Arc<Layout>,
    features: Vec<FeatureProfile>,
}

impl FeatureProfile {
    pub(crate) fn new(layout: &FeatureLayout) -> Self {
        Self { cells: vec![0; layout.cell_count() + 1], rows: 0, hours: BTreeMap::new(), far: BTreeMap::new() }
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

    /// Counts by hour of the week, over the groups of [`FeatureLayout::seasons`].
    pub fn hours(&self) -> &BTreeMap<u8, Vec<u32>> {
        &self.hours
    }

    /// Counts of the values out of the reference's range, by the cell that tells how far out they lie.
    pub fn far(&self) -> &BTreeMap<u32, u32> {
        &self.far
    }

    /// The hot loop. The caller has made sure that the rows still fit, and that the feature has numbers.
    pub(crate) fn observe(&mut self, layout: &FeatureLayout, values: &[f64]) {
        let Cells::Numbers { binner, .. } = layout.cells() else { return };
        let missing = binner.bins();
        let outside = |cells: &[u32]| (cells[0], cells[missing - 1]);
        let cells = &mut self.cells[..missing + 1];
        let before = outside(cells);
        for &value in values {
            let bin = binner.bin(value);
            cells[if value.is_nan() { missing } else { bin }] += 1;
        }
        self.rows += values.len() as u32;
        // Few values are: they are looked for where there are any.
        if before != outside(&self.cells) {
            self.observe_far(layout, values);
        }
    }

    fn observe_far(&mut self, layout: &FeatureLayout, values: &[f64]) {
        let (below, above) = layout.range();
        for &value in values.iter().filter(|value| **value <= below || **value > above) {
            *self.far.entry(far_cell(value)).or_default() += 1;
        }
    }

    /// Counts numbers by the hour of the week as well, where the feature has such a rhythm.
    fn observe_hours(&mut self, layout: &FeatureLayout, values: &[f64], times: &[i64]) {
        let (Cells::Numbers { binner, .. }, Some(groups)) = (layout.cells(), layout.seasons()) else { return };
        let count = groups.last().map_or(0, |last| last + 1);
        for (&value, &time) in values.iter().zip(times).filter(|(value, _)| !value.is_nan()) {
            let cells = self.hours.entry(hour_of_week(time)).or_insert_with(|| vec![0; count]);
            cells[groups[binner.bin(value)]] += 1;
        }
    }

    fn observe_categories<'a>(&mut self, layout: &FeatureLayout, values: impl Iterator<Item = Option<&'a str>>) {
        let Cells::Categories(table) = layout.cells() else { return };
        let missing = self.cells.len() - 1;
        let mut rows = 0;
        for value in values {
            let cell = value.map_or(missing, |value| table.get(value).map_or(missing - 1, |cell| usize::from(*cell)));
            self.cells[cell] += 1;
            rows += 1;
        }
        self.rows += rows;
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

    /// Counts numbers of one feature; NaN is a missing value. Every feature must be given every row, see [`observe_batch`].
    ///
    /// [`observe_batch`]: Self::observe_batch
    ///
    /// # Errors
    /// An unknown feature or one of categories, or more rows than counters hold; nothing is counted then.
    pub fn observe(&mut self, feature: &str, values: &[f64]) -> Result<(), Error> {
        self.observe_values(feature, Values::Numbers(values), &[])
    }

    /// Counts values of one feature. `times` are when the rows happened, milliseconds since 1970 (UTC), one for each value;
    /// without them, nothing is counted by the hour of the week.
    ///
    /// # Errors
    /// An unknown feature or one of other values, times of another number than values, or more rows than counters hold;
    /// nothing is counted then.
    pub fn observe_values(&mut self, feature: &str, values: Values<'_>, times: &[i64]) -> Result<(), Error> {
        let index = self.layout.index_of(feature).ok_or_else(|| Error::UnknownFeature(feature.to_owned()))?;
        self.check_room(index, values.len())?;
        if !times.is_empty() && times.len() != values.len() {
            let (feature, expected) = (feature.to_owned(), times.len());
            return Err(Error::UnequalLengths { feature, rows: values.len(), expected });
        }
        let (layout, counts) = (self.layout.feature(index), &mut self.features[index]);
        match (layout.cells(), values) {
            (Cells::Numbers { .. }, Values::Numbers(values)) => {
                counts.observe(layout, values);
                counts.observe_hours(layout, values, times);
            }
            (Cells::Categories(_), Values::Categories(values)) => {
                counts.observe_categories(layout, values.iter().copied());
            }
            _ => return Err(Error::OtherKind(feature.to_owned())),
        }
        Ok(())
    }

    /// Counts one batch of `rows` rows of numbers. A feature of the reference that the batch lacks counts as missing in every
    /// row.
    ///
    /// # Errors
    /// An unknown feature or one of categories, columns of other lengths, too many rows; nothing is counted then.
    pub fn observe_batch(&mut self, rows: usize, columns: &[(&str, &[f64])]) -> Result<(), Error> {
        let mut found: Vec<Option<&[f64]>> = vec![None; self.features.len()];
        for (name, values) in columns {
            let index = self.layout.index_of(name).ok_or_else(|| Error::UnknownFeature((*name).to_owned()))?;
            if values.len() != rows {
                return Err(Error::UnequalLengths { feature: (*name).to_owned(), rows: values.len(), expected: rows });
            }
            if !matches!(self.layout.feature(index).cells(), Cells::Numbers { .. }) {
                return Err(Error::OtherKind((*name).to_owned()));
            }
            if found[index].replace(values).is_some() {
                return Err(Error::Damaged {
                    feature: (*name).to_owned(),
                    what: "the batch has two columns of this name",
                });
            }
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
            for (cell, count) in &from.far {
                *feature.far.entry(*cell).or_default() += count;
            }
            for (hour, counts) in &from.hours {
                let cells = feature.hours.entry(*hour).or_insert_with(|| vec![0; counts.len()]);
                cells.iter_mut().zip(counts).for_each(|(cell, more)| *cell += more);
            }
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

    /// Values of no category that the reference has; 0 where the reference has more categories than cells, so that nobody can
    /// tell.
    pub fn unseen(&self, index: usize) -> u32 {
        let layout = self.layout.feature(index);
        let all_named = matches!(layout.cells(), Cells::Categories(_)) && layout.reference().counts.last() == Some(&0);
        if all_named { self.features[index].counts().last().copied().unwrap_or(0) } else { 0 }
    }

    fn check_room(&self, index: usize, rows: usize) -> Result<(), Error> {
        let room = (u32::MAX - self.features[index].rows) as usize;
        if rows <= room { Ok(()) } else { Err(Error::TooManyRows) }
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.layout.hash() == other.layout.hash() && self.features == other.features
    }
}
