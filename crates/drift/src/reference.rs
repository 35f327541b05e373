//! The reference profile: what the model was trained on, in at most 1,026 counts a feature.

use crate::{edges::quantile_edges, hashing::Hasher};
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

/// One numeric feature of the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureReference {
    /// The feature's name.
    pub name: String,
    /// Finite, strictly increasing upper edges of the right-closed bins; empty when there was no value.
    pub edges: Vec<f64>,
    /// Values in each bin: one more than edges, the last bin being open.
    pub counts: Vec<u64>,
    /// Rows without a value (NaN).
    pub missing: u64,
    /// Smallest value; an infinite one stands as the outermost finite number. `None` without values.
    pub min: Option<f64>,
    /// Largest value, likewise.
    pub max: Option<f64>,
    /// Mean of the values, for display. `None` without values or where it overflows.
    pub mean: Option<f64>,
    /// Sample standard deviation (n − 1), for display. `None` for fewer than two values or where it overflows.
    pub std: Option<f64>,
}

/// The reference profile of a model version: one entry a feature, in the signature's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceProfile {
    /// The features.
    pub features: Vec<FeatureReference>,
    /// Rows of the training data.
    pub rows: u64,
}

impl ReferenceProfile {
    /// Profiles columns of equal length, NaN meaning missing. Zero rows, constant and all-missing columns are fine.
    ///
    /// # Errors
    /// Duplicate names and columns of different lengths.
    pub fn build(columns: &[(&str, &[f64])]) -> Result<Self, Error> {
        let expected = columns.first().map_or(0, |(_, values)| values.len());
        let mut names = BTreeSet::new();
        for (name, values) in columns {
            if !names.insert(*name) {
                return Err(Error::DuplicateFeature((*name).to_owned()));
            }
            if values.len() != expected {
                return Err(Error::UnequalLengths { feature: (*name).to_owned(), rows: values.len(), expected });
            }
        }
        let features = columns.iter().map(|(name, values)| FeatureReference::build(name, values)).collect();
        Ok(Self { features, rows: expected as u64 })
    }

    /// SHA-256 (hex) over everything that decides how values are counted and compared. Display statistics are left out.
    pub fn hash(&self) -> String {
        let mut hasher = Hasher::of("driftmill reference 1");
        hasher.integer(self.rows);
        hasher.integer(self.features.len() as u64);
        for feature in &self.features {
            hasher.text(&feature.name);
            hasher.integer(feature.edges.len() as u64);
            feature.edges.iter().for_each(|&edge| hasher.float(edge));
            hasher.integer(feature.counts.len() as u64);
            feature.counts.iter().for_each(|&count| hasher.integer(count));
            hasher.integer(feature.missing);
            hasher.optional(feature.min);
            hasher.optional(feature.max);
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
            feature
                .fault(self.rows)
                .map_or(Ok(()), |what| Err(Error::Damaged { feature: feature.name.clone(), what }))?;
        }
        Ok(())
    }
}

impl FeatureReference {
    fn build(name: &str, values: &[f64]) -> Self {
        // Infinities stand as the outermost finite numbers (JSON has no others), -0.0 as 0.0.
        let mut sorted: Vec<f64> =
            values.iter().filter(|value| !value.is_nan()).map(|value| value.clamp(f64::MIN, f64::MAX) + 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let edges = quantile_edges(&sorted);
        let mut counts = vec![0u64; edges.len() + 1];
        let mut bin = 0;
        for &value in &sorted {
            while bin < edges.len() && edges[bin] < value {
                bin += 1;
            }
            counts[bin] += 1;
        }
        let (mean, std) = moments(&sorted);
        Self {
            name: name.to_owned(),
            edges,
            counts,
            missing: (values.len() - sorted.len()) as u64,
            min: sorted.first().copied(),
            max: sorted.last().copied(),
            mean,
            std,
        }
    }

    /// Rows that had a value.
    pub fn values(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether bin `index` can hold one single value only (its edges are neighbouring floats): it has no inside.
    pub fn is_singleton(&self, index: usize) -> bool {
        let lower =
            index.checked_sub(1).and_then(|before| self.edges.get(before)).map_or(f64::MIN, |edge| edge.next_up());
        let upper = self.edges.get(index).copied().unwrap_or(f64::MAX);
        lower == upper
    }

    fn fault(&self, rows: u64) -> Option<&'static str> {
        let total = self.counts.iter().try_fold(self.missing, |sum, &count| sum.checked_add(count));
        if self.counts.len() != self.edges.len() + 1 {
            return Some("it has not one count more than edges");
        }
        if self.edges.len() > crate::edges::MAX_QUANTILE_EDGES + 1 {
            return Some("it has too many edges");
        }
        if !self.edges.iter().all(|edge| edge.is_finite()) || !self.edges.is_sorted_by(|a, b| a < b) {
            return Some("its edges are not finite and strictly increasing");
        }
        (total != Some(rows)).then_some("its counts do not add up to the rows")
    }
}

/// Mean and standard deviation in two passes over the sorted values.
fn moments(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let rows = values.len() as f64;
    let finite = |value: f64| value.is_finite().then_some(value);
    if values.is_empty() {
        return (None, None);
    }
    let mean = values.iter().sum::<f64>() / rows;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (finite(mean), finite((squares / (rows - 1.0)).sqrt()))
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
        shown.features[0].mean = None;
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
        let damages: [fn(&mut FeatureReference); 4] = [
            |feature| feature.counts[0] = u64::MAX,
            |feature| feature.edges.swap(0, 1),
            |feature| feature.edges[0] = f64::NAN,
            |feature| feature.counts.truncate(1),
        ];
        for damage in damages {
            let mut bad = good.clone();
            damage(&mut bad.features[0]);
            assert!(matches!(bad.validate(), Err(Error::Damaged { .. })));
        }
    }
}
