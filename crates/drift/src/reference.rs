//! The reference profile: what the model was trained on, in at most 1,026 counts a feature.

mod categories;
mod numbers;
mod seasonal;

pub use categories::{Categories, MOST_CATEGORIES};
pub use numbers::Numbers;
pub(crate) use seasonal::groups as seasonal_groups;
pub use seasonal::{HOURS_OF_WEEK, Seasonal, hour_of_week};

use crate::{calibration, detector, hashing::Hasher, performance::Baseline};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Why a reference profile cannot be built or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two columns of one name.
    #[error("the feature `{0}` occurs twice in the reference: give every column its own name")]
    DuplicateFeature(String),
    /// Columns of different lengths.
    #[error(
        "the reference column `{feature}` has {rows} rows, the columns before it have {expected}: pass columns of one table"
    )]
    UnequalLengths {
        /// The first column that differs.
        feature: String,
        /// Its length.
        rows: usize,
        /// The length of the columns before it.
        expected: usize,
    },
    /// A stored profile that does not add up.
    #[error("the stored reference of feature `{feature}` is damaged: {what}; build it again from the training data")]
    Damaged {
        /// The feature.
        feature: String,
        /// What is wrong.
        what: &'static str,
    },
}

/// The entry of a profile that counts the labels of records.
pub const LABEL: &str = "@label";
/// The entry of a profile that counts what a model answers.
pub const PREDICTION: &str = "@prediction";
/// The entry of a profile that counts how probable a model takes its answers to be.
pub const CONFIDENCE: &str = "@confidence";

/// Values of a feature, a row each.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Numbers; NaN is a missing one.
    Numbers(&'a [f64]),
    /// Categories; `None` is a missing one.
    Categories(&'a [Option<&'a str>]),
}

impl<'a> From<&'a [f64]> for Values<'a> {
    fn from(values: &'a [f64]) -> Self {
        Self::Numbers(values)
    }
}

impl Values<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Categories(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the cells of a feature stand for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scale {
    /// Bins along the line of numbers.
    Numbers(Numbers),
    /// A table of categories.
    Categories(Categories),
}

/// One feature of the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureReference {
    /// The feature's name.
    pub name: String,
    /// What the cells stand for.
    #[serde(flatten)]
    pub scale: Scale,
    /// Values in each cell: of numbers one more than edges, the last bin being open; of categories one more than the table
    /// has, the last cell being that of all others.
    pub counts: Vec<u64>,
    /// Rows without a value.
    pub missing: u64,
    /// What is usual at each hour of the week, where the feature has such a rhythm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seasonal: Option<Seasonal>,
    /// When the detector between windows raises an alarm, calibrated on the feature's own history; only of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<detector::Calibration>,
}

/// The reference profile of a model version: one entry a feature, in the signature's order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReferenceProfile {
    /// The features.
    pub features: Vec<FeatureReference>,
    /// Rows of the training data.
    pub rows: u64,
    /// The level of the windowed test, calibrated on the features' history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<calibration::Calibration>,
    /// How good the model was on rows that it did not learn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance: Option<Baseline>,
}

impl ReferenceProfile {
    /// Profiles columns of equal length. Zero rows, constant and all-missing columns are fine.
    ///
    /// # Errors
    /// Duplicate names and columns of different lengths.
    pub fn of(columns: &[(&str, Values<'_>)]) -> Result<Self, Error> {
        let expected = columns.first().map_or(0, |(_, values)| values.len());
        let mut profile =
            Self { features: Vec::with_capacity(columns.len()), rows: expected as u64, ..Self::default() };
        for (name, values) in columns {
            if values.len() != expected {
                return Err(Error::UnequalLengths { feature: (*name).to_owned(), rows: values.len(), expected });
            }
            profile = profile.with(name, *values)?;
        }
        Ok(profile)
    }

    /// [`of`](Self::of) columns of numbers, NaN meaning missing.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn build(columns: &[(&str, &[f64])]) -> Result<Self, Error> {
        let columns: Vec<(&str, Values<'_>)> = columns.iter().map(|(name, values)| (*name, (*values).into())).collect();
        Self::of(&columns)
    }

    /// The profile with one more feature, of any length: what the model answered on the rows that judged it, for example.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn with(mut self, name: &str, values: Values<'_>) -> Result<Self, Error> {
        if self.features.iter().any(|feature| feature.name == name) {
            return Err(Error::DuplicateFeature(name.to_owned()));
        }
        let (scale, counts, missing) = match values {
            Values::Numbers(values) => {
                let (numbers, counts, missing) = Numbers::of(values);
                (Scale::Numbers(numbers), counts, missing)
            }
            Values::Categories(values) => {
                let (categories, counts, missing) = Categories::of(values);
                (Scale::Categories(categories), counts, missing)
            }
        };
        let name = name.to_owned();
        self.features.push(FeatureReference { name, scale, counts, missing, seasonal: None, detector: None });
        Ok(self)
    }

    /// The profile with what is usual for the feature `name` at each hour of the week. `times` are milliseconds since 1970
    /// (UTC), one for each of the `values` that the feature was profiled from. Nothing changes for a feature that is not
    /// there or has no numbers.
    pub fn with_hours(mut self, name: &str, values: &[f64], times: &[i64]) -> Self {
        if let Some(feature) = self.features.iter_mut().find(|feature| feature.name == name)
            && let Scale::Numbers(numbers) = &feature.scale
        {
            feature.seasonal = Some(Seasonal::of(numbers, &feature.counts, values, times));
        }
        self
    }

    /// SHA-256 (hex) over everything that decides how values are counted and compared. Display statistics and what was
    /// calibrated, which decides only what is made of a comparison, are left out.
    pub fn hash(&self) -> String {
        let mut hasher = Hasher::of("driftmill reference 1");
        hasher.integer(self.rows);
        hasher.integer(self.features.len() as u64);
        for feature in &self.features {
            feature.feed(&mut hasher);
        }
        hasher.finish()
    }

    /// Checks what a stored profile must fulfil before it is counted into.
    ///
    /// # Errors
    /// The first feature that is named twice or does not add up.
    pub fn validate(&self) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        for feature in &self.features {
            if !names.insert(&feature.name) {
                return Err(Error::DuplicateFeature(feature.name.clone()));
            }
            feature.fault().map_or(Ok(()), |what| Err(Error::Damaged { feature: feature.name.clone(), what }))?;
        }
        Ok(())
    }
}

impl FeatureReference {
    /// Rows that had a value.
    pub fn values(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Rows with and without a value.
    pub fn rows(&self) -> u64 {
        self.values() + self.missing
    }

    /// What is known of the line of numbers, unless the feature is something else.
    pub fn numbers(&self) -> Option<&Numbers> {
        match &self.scale {
            Scale::Numbers(numbers) => Some(numbers),
            Scale::Categories(_) => None,
        }
    }

    /// The categories that have a cell of their own; none of numbers.
    pub fn categories(&self) -> &[String] {
        match &self.scale {
            Scale::Numbers(_) => &[],
            Scale::Categories(table) => &table.categories,
        }
    }

    fn feed(&self, hasher: &mut Hasher) {
        hasher.text(&self.name);
        let edges = self.numbers().map_or(&[][..], |numbers| &numbers.edges);
        hasher.integer(edges.len() as u64);
        edges.iter().for_each(|&edge| hasher.float(edge));
        hasher.integer(self.counts.len() as u64);
        self.counts.iter().for_each(|&count| hasher.integer(count));
        hasher.integer(self.missing);
        hasher.optional(self.numbers().and_then(|numbers| numbers.min));
        hasher.optional(self.numbers().and_then(|numbers| numbers.max));
        // Profiles of plain numbers keep the hash that they had before there was anything else.
        if let Scale::Categories(table) = &self.scale {
            hasher.text("categories");
            table.categories.iter().for_each(|category| hasher.text(category));
        }
        if let Some(seasonal) = &self.seasonal {
            seasonal.feed(hasher);
        }
    }

    fn fault(&self) -> Option<&'static str> {
        if self.counts.iter().try_fold(self.missing, |sum, &count| sum.checked_add(count)).is_none() {
            return Some("its counts are too large");
        }
        let of_scale = match &self.scale {
            Scale::Numbers(numbers) => numbers.fault(&self.counts),
            Scale::Categories(table) => table.fault(&self.counts),
        };
        let of_hours = || self.seasonal.as_ref().and_then(|seasonal| seasonal.fault(&self.counts));
        of_scale.or_else(of_hours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lcg;

    #[test]
    fn odd_columns_are_profiled() {
        for column in [vec![], vec![3.0], vec![f64::NAN; 4], vec![7.0; 9], vec![f64::INFINITY, -0.0, f64::NEG_INFINITY]]
        {
            let profile = ReferenceProfile::build(&[("x", &column)]).unwrap();
            profile.validate().unwrap();
            let json = serde_json::to_string(&profile).unwrap();
            let back: ReferenceProfile = serde_json::from_str(&json).unwrap();
            assert_eq!(back, profile);
            assert_eq!(back.hash(), profile.hash());
            assert_eq!(profile.rows, column.len() as u64);
        }
    }

    #[test]
    fn the_hash_names_the_bins_not_the_display() {
        let column: Vec<f64> = Lcg::new(3).take(2_000).collect();
        let profile = ReferenceProfile::build(&[("x", &column)]).unwrap();
        let mut shown = profile.clone();
        if let Scale::Numbers(numbers) = &mut shown.features[0].scale {
            numbers.mean = None;
        }
        assert_eq!(shown.hash(), profile.hash());
        let mut counted = profile.clone();
        counted.features[0].counts[1] += 1;
        assert_ne!(counted.hash(), profile.hash());
        let mut shuffled = column.clone();
        shuffled.reverse();
        assert_eq!(ReferenceProfile::build(&[("x", &shuffled)]).unwrap().hash(), profile.hash());
        assert_eq!(profile.hash().len(), 64);
    }

    #[test]
    fn the_end_bins_count_what_is_out_of_range() {
        let column: Vec<f64> = Lcg::new(4).take(5_000).collect();
        let profile = ReferenceProfile::build(&[("x", &column)]).unwrap();
        let counts = &profile.features[0].counts;
        assert_eq!((counts[0], counts[counts.len() - 1]), (0, 0));
        assert!(counts.len() <= 1_026);
    }

    #[test]
    fn bad_tables_and_damaged_profiles_are_refused() {
        assert_eq!(ReferenceProfile::build(&[("x", &[]), ("x", &[])]), Err(Error::DuplicateFeature("x".into())));
        let unequal = ReferenceProfile::build(&[("x", &[1.0]), ("y", &[])]);
        assert!(matches!(unequal, Err(Error::UnequalLengths { rows: 0, expected: 1, .. })));
        let good = ReferenceProfile::build(&[("x", &[1.0, 2.0, 3.0])]).unwrap();
        fn edges(feature: &mut FeatureReference) -> &mut Vec<f64> {
            match &mut feature.scale {
                Scale::Numbers(numbers) => &mut numbers.edges,
                Scale::Categories(_) => unreachable!(),
            }
        }
        let damages: [fn(&mut FeatureReference); 4] = [
            |feature| feature.counts[0] = u64::MAX,
            |feature| edges(feature).swap(0, 1),
            |feature| edges(feature)[0] = f64::NAN,
            |feature| feature.counts.truncate(1),
        ];
        for damage in damages {
            let mut bad = good.clone();
            damage(&mut bad.features[0]);
            assert!(matches!(bad.validate(), Err(Error::Damaged { .. })));
        }
    }
}
