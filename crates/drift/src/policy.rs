//! What counts as drift: the numbers a pipeline's owner may set.

use crate::hashing::Hasher;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A policy that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the drift policy's `{field}` is {value}: it must be {must}")]
pub struct Error {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: f64,
    /// What it must be.
    pub must: &'static str,
}

/// The thresholds of a verdict. [`Default`] is a sound start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Significance level: of q-values over features, of the noise a PSI must exceed, of surges.
    pub alpha: f64,
    /// The level of q-values, where it was calibrated on a stream whose rows resemble their neighbours; absent: `alpha`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<f64>,
    /// The KS statistic a change must exceed to matter, however significant it is.
    pub ks_effect: f64,
    /// The PSI a change must exceed to matter.
    pub psi_threshold: f64,
    /// Equal-mass cells of the PSI, 2–20.
    pub psi_cells: usize,
    /// A window with fewer rows is not judged.
    pub min_rows: u64,
    /// Rise of a feature's share of missing values (0–1) that quarantines a window.
    pub missing_surge: f64,
    /// Rise of the share of rejected records (0–1) that quarantines a window.
    pub rejects_surge: f64,
    /// Whether a window whose values look converted to another unit is quarantined.
    #[serde(skip_serializing_if = "is_true")]
    pub units: bool,
    /// k: drift is confirmed when a feature moved in this many …
    pub confirm_windows: usize,
    /// n: … of so many latest windows.
    pub of_windows: usize,
    /// How many windows each row is in, where windows overlap: only every so many-th of them says something new, and only those
    /// confirm each other.
    #[serde(skip_serializing_if = "is_one")]
    pub overlap: usize,
    /// Weights of the features; one that is not named weighs nothing. Without weights all are equal.
    pub importance: Option<BTreeMap<String, f64>>,
    /// The share of all importance that the confirmed features must have; above zero in any case.
    pub min_importance: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            level: None,
            ks_effect: 0.1,
            psi_threshold: 0.2,
            psi_cells: 10,
            min_rows: 200,
            missing_surge: 0.1,
            rejects_surge: 0.1,
            units: true,
            confirm_windows: 2,
            of_windows: 3,
            overlap: 1,
            importance: None,
            min_importance: 0.0,
        }
    }
}

fn is_true(is: &bool) -> bool {
    *is
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

/// A level below which nothing can be told apart, and that is not 0. Levels of 1e-14 are real: a window of rows that resemble
/// their neighbours differs that much by chance.
const LOWEST_LEVEL: f64 = 1e-300;

impl Policy {
    /// Checks every number.
    ///
    /// # Errors
    /// The first that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let check = |field, value: f64, good: bool, must| if good { Ok(()) } else { Err(Error { field, value, must }) };
        let share = |value: f64| value > 0.0 && value <= 1.0;
        check("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 1.0, "between 0 and 1")?;
        if let Some(level) = self.level {
            check("level", level, level > 0.0 && level < 1.0, "between 0 and 1")?;
        }
        let from_zero_to_one = "above 0 and at most 1";
        check("ks_effect", self.ks_effect, share(self.ks_effect), from_zero_to_one)?;
        check("missing_surge", self.missing_surge, share(self.missing_surge), from_zero_to_one)?;
        check("rejects_surge", self.rejects_surge, share(self.rejects_surge), from_zero_to_one)?;
        let psi = self.psi_threshold;
        check("psi_threshold", psi, psi > 0.0 && psi.is_finite(), "above 0")?;
        check("psi_cells", self.psi_cells as f64, (2..=20).contains(&self.psi_cells), "between 2 and 20")?;
        check("min_rows", self.min_rows as f64, self.min_rows > 0, "at least 1")?;
        check("of_windows", self.of_windows as f64, (1..=1_000).contains(&self.of_windows), "between 1 and 1000")?;
        let confirmable = (1..=self.of_windows).contains(&self.confirm_windows);
        check("confirm_windows", self.confirm_windows as f64, confirmable, "between 1 and `of_windows`")?;
        check("overlap", self.overlap as f64, (1..=1_000).contains(&self.overlap), "between 1 and 1000")?;
        let weight = self.min_importance;
        check("min_importance", weight, (0.0..=1.0).contains(&weight), "between 0 and 1")?;
        for &weight in self.importance.iter().flat_map(BTreeMap::values) {
            check("importance", weight, weight >= 0.0 && weight.is_finite(), "at least 0")?;
        }
        Ok(())
    }

    /// What a q-value must stay below to be significant.
    pub fn q_level(&self) -> f64 {
        self.level.unwrap_or(self.alpha)
    }

    /// The policy with a calibrated level, which only ever makes it stricter.
    pub fn at_level(&self, level: Option<f64>) -> Self {
        let strictest = |level: f64| level.min(self.alpha).max(LOWEST_LEVEL);
        Self { level: level.map(strictest).filter(|level| *level < self.alpha), ..self.clone() }
    }

    /// SHA-256 (hex) of all fields: two reports under one hash were judged by the same rules.
    pub fn hash(&self) -> String {
        // The fields in their order, maps sorted: the JSON is canonical. Numbers and text cannot fail to serialise.
        let mut hasher = Hasher::of("driftmill drift policy 1");
        hasher.text(&serde_json::to_string(self).unwrap_or_default());
        hasher.finish()
    }

    /// The share of all importance that each of `features` has; they sum to 1, or to 0 when no weight names any of them.
    pub fn weights(&self, features: &[&str]) -> Vec<f64> {
        let weight =
            |name: &&str| self.importance.as_ref().map_or(1.0, |named| named.get(*name).copied().unwrap_or(0.0));
        let weights: Vec<f64> = features.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| if total > 0.0 { weight / total } else { 0.0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_senseless_numbers_are_refused() {
        Policy::default().validate().unwrap();
        let spoil: [fn(&mut Policy); 8] = [
            |policy| policy.alpha = 0.0,
            |policy| policy.ks_effect = f64::NAN,
            |policy| policy.psi_threshold = f64::INFINITY,
            |policy| policy.psi_cells = 1,
            |policy| policy.confirm_windows = 4,
            |policy| policy.min_rows = 0,
            |policy| policy.missing_surge = 1.5,
            |policy| policy.importance = Some([("x".to_owned(), -1.0)].into()),
        ];
        for spoil in spoil {
            let mut policy = Policy::default();
            spoil(&mut policy);
            let error = policy.validate().unwrap_err().to_string();
            assert!(error.contains("must be"), "{error}");
        }
    }

    #[test]
    fn the_hash_follows_every_number() {
        let changed = Policy { alpha: 0.01, ..Policy::default() };
        assert_ne!(changed.hash(), Policy::default().hash());
        let back: Policy = serde_json::from_str(&serde_json::to_string(&changed).unwrap()).unwrap();
        assert_eq!(back.hash(), changed.hash());
        assert!(serde_json::from_str::<Policy>(r#"{"alhpa":0.1}"#).is_err());
    }

    #[test]
    fn a_calibrated_level_is_only_ever_stricter() {
        let policy = Policy::default();
        assert_eq!(policy.at_level(None), policy);
        assert_eq!(policy.at_level(Some(0.3)), policy);
        assert_eq!(policy.at_level(Some(0.001)).level, Some(0.001));
        assert!(policy.at_level(Some(0.0)).validate().is_ok());
        assert_ne!(policy.at_level(Some(0.001)).hash(), policy.hash());
    }

    #[test]
    fn weights_are_shares() {
        assert_eq!(Policy::default().weights(&["a", "b"]), [0.5, 0.5]);
        let importance = Some([("a".to_owned(), 3.0), ("b".to_owned(), 1.0)].into());
        let policy = Policy { importance, ..Policy::default() };
        assert_eq!(policy.weights(&["a", "b", "c"]), [0.75, 0.25, 0.0]);
        assert_eq!(policy.weights(&["c"]), [0.0]);
    }
}
