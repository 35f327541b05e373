//! The drift report: one window, judged, with everything needed to check the judgement.

use crate::{
    evaluate::Rejects,
    pane::{PaneId, Stream},
    policy::Policy,
    units::UnitChange,
    verdict::{Decision, Facts, History, Verdict, decide},
};
use serde::{Deserialize, Serialize};

/// How a feature was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Numbers, with all of the reference: Kolmogorov–Smirnov.
    #[default]
    Numbers,
    /// Numbers, each with what is usual at its hour of the week: Kolmogorov–Smirnov.
    Seasonal,
    /// Categories: χ² of homogeneity.
    Categories,
}

/// A few bins together, or a category: for plots, and to tell which of them moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellReport {
    /// Numbers up to this one; `None` for the open last cell, and for categories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<f64>,
    /// The category; `None` for numbers, and for the cell of all other categories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The reference's rows: of a seasonal comparison, as many as it would have at the window's hours, rounded.
    pub reference: u64,
    /// The window's rows.
    pub live: u64,
}

/// The numbers of one feature in one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureReport {
    /// The feature's name.
    pub name: String,
    /// How it was compared.
    #[serde(default)]
    pub comparison: Comparison,
    /// Rows of the reference.
    pub reference_rows: u64,
    /// Those without a value.
    pub reference_missing: u64,
    /// Rows of the window.
    pub live_rows: u64,
    /// Those without a value.
    pub live_missing: u64,
    /// Values below the reference's smallest.
    pub below: u64,
    /// Values above the reference's largest.
    pub above: u64,
    /// The conversion that the values out of range look like, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitChange>,
    /// Values of no category that the reference has.
    #[serde(default)]
    pub unseen: u64,
    /// The KS statistic is at least this; of categories, the total variation distance: the largest difference in the share of
    /// any set of them. 0 when either side has no value.
    pub d_low: f64,
    /// The KS statistic is at most this; of categories, the total variation distance. 1 when either side has no value.
    pub d_high: f64,
    /// What chance alone brings that distance to with probability α; 1 at most.
    pub d_noise: f64,
    /// χ² of homogeneity; `None` for numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chi2: Option<f64>,
    /// Its degrees of freedom: cells expected below 5 are pooled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub df: Option<usize>,
    /// The probability of so large a KS statistic or χ² without drift; 1 when either side has no value.
    pub p: f64,
    /// The p-value corrected for the number of features (Benjamini–Hochberg).
    pub q: f64,
    /// The population stability index.
    pub psi: f64,
    /// What it must exceed: the policy's threshold, or the noise of so small samples where that is more.
    pub psi_threshold: f64,
    /// What chance alone brings it to with probability α.
    pub psi_noise: f64,
    /// The Jensen–Shannon distance (base 2) over the cells of the PSI.
    #[serde(default)]
    pub js: f64,
    /// The cells of the PSI, missing values not among them.
    #[serde(default)]
    pub cells: Vec<CellReport>,
    /// The feature's share of all importance.
    pub importance: f64,
}

/// A judged window: the event that is published. It holds the whole input of the verdict, so [`replay`] can check it, and the
/// history that the next window needs.
///
/// [`replay`]: Self::replay
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// SHA-256 (hex) of the offsets, the model version, its reference and the policy.
    pub window_id: String,
    /// What was watched.
    #[serde(default)]
    pub stream: Stream,
    /// The model version.
    pub model_version: u64,
    /// The reference compared with.
    pub reference_hash: String,
    /// The policy judged by …
    pub policy: Policy,
    /// … and its hash.
    pub policy_hash: String,
    /// The offsets covered.
    pub ranges: Vec<PaneId>,
    /// The latest event time of the window, milliseconds since 1970 (UTC); `None` for an empty window.
    pub max_event_time: Option<i64>,
    /// Rows that passed validation.
    pub rows: u64,
    /// Records that did not.
    pub rejected: u64,
    /// Rejects that are usual.
    pub usual_rejects: Rejects,
    /// The features in the reference's order.
    pub features: Vec<FeatureReport>,
    /// Features whose detector raised an alarm since the window before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// The judgement.
    pub verdict: Verdict,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// Earlier windows and this one, for the next window and for a processor that starts again.
    pub history: History,
}

impl FeatureReport {
    /// Share of the reference's rows without a value, 0 without rows.
    pub fn reference_missing_rate(&self) -> f64 {
        self.reference_missing as f64 / self.reference_rows.max(1) as f64
    }

    /// Share of the window's rows without a value, 0 without rows.
    pub fn live_missing_rate(&self) -> f64 {
        self.live_missing as f64 / self.live_rows.max(1) as f64
    }

    /// Whether both sides have values to compare.
    pub fn is_comparable(&self) -> bool {
        self.live_missing < self.live_rows && self.reference_missing < self.reference_rows
    }
}

impl DriftReport {
    /// The facts that were judged.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            window_id: &self.window_id,
            model_version: self.model_version,
            rows: self.rows,
            rejected: self.rejected,
            usual_rejects: self.usual_rejects,
            features: &self.features,
            alarms: &self.alarms,
        }
    }

    /// Judges the stored facts again by the stored policy and history; the same code gives the same decision.
    pub fn replay(&self) -> Decision {
        let mut before = self.history.clone();
        before.outcomes.retain(|outcome| outcome.window_id != self.window_id);
        decide(&self.facts(), &self.policy, &before)
    }
}
