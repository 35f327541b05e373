//! A reference profile made ready to count into: shared by every live profile of a model version.

use crate::{
    binner::Binner,
    calibration::Calibration,
    detector::{Limits, Scores},
    ks::{self, Bounds},
    profile::FeatureProfile,
    reference::{Error, FeatureReference, ReferenceProfile, Scale, seasonal_groups},
};
use std::{collections::HashMap, sync::Arc};

/// How values of a feature find their cells.
#[derive(Debug)]
pub enum Cells {
    /// Numbers, by a guide table; which bins can hold one single value.
    Numbers {
        /// Maps values to bins.
        binner: Binner,
        /// Bins without an inside.
        singletons: Vec<bool>,
    },
    /// Categories, by name.
    Categories(HashMap<Box<str>, u16>),
}

/// The cells of one feature.
#[derive(Debug)]
pub struct FeatureLayout {
    reference: FeatureReference,
    cells: Cells,
    /// The group of each bin that is counted by hour of the week, where the feature has such a rhythm.
    seasons: Option<Vec<usize>>,
    /// What each bin says to the detector between windows, and when that is enough.
    detector: Option<(Scores, Limits)>,
}

/// The cells of all features of a model version, with the hash that names them.
#[derive(Debug)]
pub struct Layout {
    features: Vec<FeatureLayout>,
    by_name: HashMap<String, usize>,
    rows: u64,
    hash: String,
    calibration: Option<Calibration>,
}

impl Layout {
    /// Prepares a reference profile.
    ///
    /// # Errors
    /// A stored profile that is damaged, see [`ReferenceProfile::validate`].
    pub fn new(reference: ReferenceProfile) -> Result<Arc<Self>, Error> {
        reference.validate()?;
        let hash = reference.hash();
        let (rows, calibration) = (reference.rows, reference.calibration);
        let features: Vec<FeatureLayout> = reference.features.into_iter().map(FeatureLayout::new).collect();
        let by_name =
            features.iter().enumerate().map(|(index, feature)| (feature.reference.name.clone(), index)).collect();
        Ok(Arc::new(Self { features, by_name, rows, hash, calibration }))
    }

    /// The features in the reference's order.
    pub fn features(&self) -> &[FeatureLayout] {
        &self.features
    }

    /// The feature at `index`, which must be below `features().len()`.
    pub fn feature(&self, index: usize) -> &FeatureLayout {
        &self.features[index]
    }

    /// Where a feature stands.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Rows of the training data.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The level of the windowed test, where it was calibrated.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// [`ReferenceProfile::hash`].
    pub fn hash(&self) -> &str {
        &self.hash
    }

    #[cfg(test)]
    pub(crate) fn of(columns: &[(&str, &[f64])]) -> Arc<Self> {
        Self::new(ReferenceProfile::build(columns).unwrap()).unwrap()
    }
}

impl FeatureLayout {
    fn new(reference: FeatureReference) -> Self {
        let cells = match &reference.scale {
            Scale::Numbers(numbers) => Cells::Numbers {
                binner: Binner::new(&numbers.edges),
                singletons: (0..reference.counts.len()).map(|bin| numbers.is_singleton(bin)).collect(),
            },
            // At most 1,024 of them, so indices fit.
            Scale::Categories(table) => Cells::Categories(
                table.categories.iter().enumerate().map(|(cell, name)| (name.as_str().into(), cell as u16)).collect(),
            ),
        };
        let seasons = reference.seasonal.is_some().then(|| seasonal_groups(&reference.counts));
        let detector = reference.detector.map(|calibrated| (Scores::new(&reference.counts), calibrated.limits));
        Self { reference, cells, seasons, detector }
    }

    /// The feature's reference.
    pub fn reference(&self) -> &FeatureReference {
        &self.reference
    }

    /// How values find their cells.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// How many cells there are, that of missing values not among them.
    pub fn cell_count(&self) -> usize {
        self.reference.counts.len()
    }

    /// The group of each bin that is counted by hour of the week; `None` for a feature without such a rhythm.
    pub fn seasons(&self) -> Option<&[usize]> {
        self.seasons.as_deref()
    }

    /// What each bin says to the detector between windows, and when that is enough; `None` where nothing was calibrated.
    pub fn detector(&self) -> Option<(&Scores, &Limits)> {
        self.detector.as_ref().map(|(scores, limits)| (scores, limits))
    }

    /// Bounds of the two-sample KS statistic between the reference and a live profile of this feature; `None` when either
    /// has no value, and for categories, which have no order.
    pub fn ks(&self, live: &FeatureProfile) -> Option<Bounds> {
        match &self.cells {
            Cells::Numbers { singletons, .. } => {
                ks::bounds(&self.reference.counts, live.counts(), |bin| singletons[bin])
            }
            Cells::Categories(_) => None,
        }
    }

    /// Whether bin 0 (`first`) or the last bin counts nothing but values out of the reference's range. It does, except where
    /// the reference reaches the outermost float.
    pub(crate) fn end_is_out_of_range(&self, first: bool) -> bool {
        let counts = &self.reference.counts;
        let numbers = self.reference.numbers().is_some();
        numbers && counts.len() > 1 && counts[if first { 0 } else { counts.len() - 1 }] == 0
    }

    /// Values at most the first, or above the second, are out of the reference's range. NaN where it has no end: no value is.
    pub(crate) fn range(&self) -> (f64, f64) {
        let edges = self.reference.numbers().map_or(&[][..], |numbers| &numbers.edges);
        let edge = |first: bool| if first { edges.first() } else { edges.last() }.copied();
        let of = |first: bool| edge(first).filter(|_| self.end_is_out_of_range(first));
        (of(true).unwrap_or(f64::NAN), of(false).unwrap_or(f64::NAN))
    }

    #[cfg(test)]
    pub(crate) fn count(&self, values: &[f64]) -> FeatureProfile {
        let mut profile = FeatureProfile::new(self);
        profile.observe(self, values);
        profile
    }
}
