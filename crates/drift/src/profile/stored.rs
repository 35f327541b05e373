//! The stored form of a profile: only cells that are not zero, so that a pane of few rows is small.

use super::{Error, FeatureProfile, Profile};
use crate::{
    layout::{FeatureLayout, Layout},
    reference::HOURS_OF_WEEK,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

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
    /// `[cell, count]` of the bins or categories that are not empty, ascending.
    pub cells: Vec<(u16, u32)>,
    /// Rows without a value.
    pub missing: u32,
    /// Values below the reference's smallest; they are counted in the first bin too.
    pub below: u32,
    /// Values above the reference's largest; they are counted in the last bin too.
    pub above: u32,
    /// Counts by hour of the week, over groups of bins; only of features that have such a rhythm.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hours: BTreeMap<u8, Vec<u32>>,
    /// `[cell, count]` of the values below and above, by how far out they lie; panes of earlier builds have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub far: Vec<(u32, u32)>,
}

impl Profile {
    /// The stored form.
    pub fn to_sparse(&self) -> SparseProfile {
        let features =
            self.features.iter().enumerate().filter(|(_, feature)| feature.rows > 0).map(|(index, feature)| {
                // At most 1,026 bins, so indices fit.
                let cells = feature.counts().iter().enumerate().filter(|(_, count)| **count > 0);
                let cells = cells.map(|(bin, &count)| (bin as u16, count)).collect();
                let (below, above) = (self.below(index), self.above(index));
                let name = self.layout.feature(index).reference().name.clone();
                let hours = feature.hours.clone();
                let far = feature.far.iter().map(|(cell, count)| (*cell, *count)).collect();
                (name, SparseFeature { cells, missing: feature.missing(), below, above, hours, far })
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
            let of = layout.feature(index);
            profile.features[index].read(of, stored).map_err(|what| Error::Damaged { feature: name.clone(), what })?;
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
}

impl FeatureProfile {
    fn read(&mut self, layout: &FeatureLayout, stored: &SparseFeature) -> Result<(), &'static str> {
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
        let groups = layout.seasons().and_then(<[usize]>::last).map_or(0, |last| last + 1);
        for (hour, counts) in &stored.hours {
            if *hour >= HOURS_OF_WEEK || counts.len() != groups {
                return Err("its hours are not those of the reference");
            }
        }
        // Without this, adding up panes could overflow.
        let by_hour: u64 = stored.hours.values().flatten().map(|count| u64::from(*count)).sum();
        if by_hour > u64::from(self.values()) {
            return Err("its hours count more than its bins");
        }
        self.hours = stored.hours.clone();
        self.far = stored.far.iter().copied().collect();
        let far: u64 = stored.far.iter().map(|(_, count)| u64::from(*count)).sum();
        let ascending = stored.far.is_sorted_by(|a, b| a.0 < b.0) && stored.far.iter().all(|(_, count)| *count > 0);
        if !ascending || far > u64::from(stored.below) + u64::from(stored.above) {
            return Err("it counts other values far out than are out of range");
        }
        Ok(())
    }
}
