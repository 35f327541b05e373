//! From a window's counts to its report: the statistics of every feature, then the verdict.

#[cfg(test)]
mod tests;

use crate::{
    compare::compare,
    fdr,
    hashing::Hasher,
    pane::Stream,
    policy::{self, Policy},
    profile::{self, Profile},
    report::{DriftReport, FeatureReport},
    verdict::{Facts, History, Verdict, decide},
    window::PaneSet,
};
use serde::{Deserialize, Serialize};

/// Why a window cannot be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A policy that makes no sense.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// A window too large.
    #[error(transparent)]
    Profile(#[from] profile::Error),
}

/// Records that failed validation, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejects {
    /// Records that failed.
    pub rejected: u64,
    /// All records, good and bad.
    pub records: u64,
}

/// Compares a window with the reference of its model and judges it.
///
/// `usual_rejects` is what a surge of rejects is measured against: counts of an ordinary time, or `None` where nothing was
/// ever rejected. `history` is that of the report before, or empty.
///
/// # Errors
/// A policy out of range; a window of more rows than counters hold.
pub fn evaluate(
    window: &PaneSet,
    usual_rejects: Option<Rejects>,
    policy: &Policy,
    history: &History,
) -> Result<DriftReport, Error> {
    evaluate_with(window, usual_rejects, policy, history, &[])
}

/// [`evaluate`], with the features whose detector raised an alarm since the window before.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with(
    window: &PaneSet,
    usual_rejects: Option<Rejects>,
    policy: &Policy,
    history: &History,
    alarms: &[String],
) -> Result<DriftReport, Error> {
    policy.validate()?;
    let profile = window.profile()?;
    let layout = window.layout();
    let policy_hash = policy.hash();
    let window_id = window_id(window, &policy_hash);
    let mut report = DriftReport {
        window_id,
        stream: window.stream(),
        model_version: window.model_version(),
        reference_hash: layout.hash().to_owned(),
        policy: policy.clone(),
        policy_hash,
        ranges: window.ranges(),
        max_event_time: window.max_event_time(),
        rows: profile.rows(),
        rejected: window.rejected(),
        usual_rejects: usual_rejects.unwrap_or(Rejects { rejected: 0, records: layout.rows() }),
        features: feature_reports(&profile, policy),
        alarms: alarms.to_vec(),
        verdict: Verdict::TooFewRows,
        reasons: Vec::new(),
        history: History::default(),
    };
    let facts: Facts<'_> = report.facts();
    let decision = decide(&facts, policy, history);
    report.verdict = decision.verdict;
    report.reasons = decision.reasons;
    report.history = decision.history;
    Ok(report)
}

/// The statistics of every feature of a profile, in the reference's order, q-values corrected over all that have values on
/// both sides.
pub fn feature_reports(profile: &Profile, policy: &Policy) -> Vec<FeatureReport> {
    let features = profile.layout().features();
    let names: Vec<&str> = features.iter().map(|feature| feature.reference().name.as_str()).collect();
    let weights = policy.weights(&names);
    let mut reports: Vec<FeatureReport> = features
        .iter()
        .enumerate()
        .map(|(index, feature)| FeatureReport {
            importance: weights[index],
            ..compare(feature, profile, index, policy)
        })
        .collect();
    let mut comparable: Vec<&mut FeatureReport> = reports.iter_mut().filter(|report| report.is_comparable()).collect();
    let p: Vec<f64> = comparable.iter().map(|report| report.p).collect();
    for (report, q) in comparable.iter_mut().zip(fdr::benjamini_hochberg(&p)) {
        report.q = q;
    }
    reports
}

fn window_id(window: &PaneSet, policy_hash: &str) -> String {
    let mut hasher = Hasher::of("driftmill window 1");
    hasher.integer(window.model_version());
    hasher.text(window.layout().hash());
    hasher.text(policy_hash);
    // Records alone were watched at first, and their windows keep their ids.
    if window.stream() != Stream::Records {
        hasher.text(window.stream().name());
    }
    for range in window.ranges() {
        hasher.integer(range.partition as u64);
        hasher.integer(range.from_offset as u64);
        hasher.integer(range.to_offset as u64);
    }
    hasher.finish()
}
