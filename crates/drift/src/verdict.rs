//! The verdict: a pure function of a window's facts, the policy and the windows before.
//!
//! ```text
//! fewer than min_rows records, good or bad      → TooFewRows
//! rejects or missing values surged              → Quarantine (never train on it)
//! values look converted to another unit         → Quarantine
//! fewer than min_rows good rows                 → TooFewRows
//! a feature moved (q < α and D_lo or PSI large) → Warning
//!   … in k of the last n judged windows         → Drifted, until D_hi and PSI are below half their thresholds
//! otherwise                                     → Stable
//! ```

mod reasons;
#[cfg(test)]
mod tests;

use crate::{evaluate::Rejects, policy::Policy, proportion, report::FeatureReport};
use serde::{Deserialize, Serialize};

/// The judgement of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Too little data to judge.
    TooFewRows,
    /// Nothing moved that matters.
    Stable,
    /// Something moved, but not yet in enough windows, or too unimportant.
    Warning,
    /// The input moved: the model should be trained again.
    Drifted,
    /// The data is broken: nothing may be trained on it.
    Quarantine,
}

impl Verdict {
    /// Whether the window says anything about drift; others leave the history as it was.
    pub fn is_judgement(self) -> bool {
        matches!(self, Self::Stable | Self::Warning | Self::Drifted)
    }
}

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts<'a> {
    /// The window's id.
    pub window_id: &'a str,
    /// The model version.
    pub model_version: u64,
    /// Rows that passed validation.
    pub rows: u64,
    /// Records that did not.
    pub rejected: u64,
    /// Rejects that are usual.
    pub usual_rejects: Rejects,
    /// The numbers of the features.
    pub features: &'a [FeatureReport],
    /// Features whose detector raised an alarm since the window before.
    pub alarms: &'a [String],
}

/// What an earlier window was judged to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowOutcome {
    /// The window's id.
    pub window_id: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Features that moved in it.
    pub signals: Vec<String>,
    /// Features whose drift was confirmed and not yet cleared.
    pub confirmed: Vec<String>,
}

/// The latest judged windows of one model version, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The model version: another version starts from nothing.
    pub model_version: u64,
    /// As many as the policy looks back.
    pub outcomes: Vec<WindowOutcome>,
}

/// A verdict with its grounds and what the next window has to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The judgement.
    pub verdict: Verdict,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// The history with this window, if it was judged.
    pub history: History,
}

/// Judges a window. A window that the history holds already (a replay) is judged as if it were not there.
pub fn decide(facts: &Facts<'_>, policy: &Policy, history: &History) -> Decision {
    let mut history = history.clone();
    if history.model_version != facts.model_version {
        history = History { model_version: facts.model_version, outcomes: Vec::new() };
    }
    history.outcomes.retain(|outcome| outcome.window_id != facts.window_id);
    let unjudged = |verdict, reasons, history| Decision { verdict, reasons, history };
    let seen = facts.rows.saturating_add(facts.rejected);
    if seen < policy.min_rows {
        return unjudged(Verdict::TooFewRows, vec![reasons::too_few(seen, policy.min_rows)], history);
    }
    let surges = surges(facts, policy);
    if !surges.is_empty() {
        return unjudged(Verdict::Quarantine, surges, history);
    }
    if facts.rows < policy.min_rows {
        return unjudged(Verdict::TooFewRows, vec![reasons::too_few(facts.rows, policy.min_rows)], history);
    }
    let (outcome, reasons) = judge(facts, policy, &history);
    let verdict = outcome.verdict;
    history.outcomes.push(outcome);
    let surplus = history.outcomes.len().saturating_sub(policy.of_windows.max(2) * policy.overlap);
    history.outcomes.drain(..surplus);
    Decision { verdict, reasons, history }
}

/// The reasons to quarantine the window: rises that are large and that chance does not explain, over all features, and values in
/// other units.
fn surges(facts: &Facts<'_>, policy: &Policy) -> Vec<String> {
    let mut reasons = Vec::new();
    let (rejects, usual) = ((facts.rejected, facts.rows + facts.rejected), facts.usual_rejects);
    let of = facts.features.len();
    if surged(rejects, (usual.rejected, usual.records), policy.rejects_surge, shared(policy, of)) {
        reasons.push(reasons::rejects(facts));
    }
    let lost = facts.features.iter().filter(|feature| lost_values(feature, policy, of));
    reasons.extend(lost.map(|feature| reasons::missing("lost values", feature)));
    if policy.units {
        reasons.extend(facts.features.iter().filter_map(reasons::other_unit));
    }
    reasons
}

/// The level of one of the tests on missing values and rejects, which `features` features and the rejects share.
fn shared(policy: &Policy, features: usize) -> f64 {
    policy.alpha / (features + 1) as f64
}

fn surged(live: (u64, u64), usual: (u64, u64), surge: f64, alpha: f64) -> bool {
    let rise = live.0 as f64 / live.1.max(1) as f64 - usual.0 as f64 / usual.1.max(1) as f64;
    rise >= surge && proportion::difference(live, usual, alpha).0 > 0.0
}

fn missing(feature: &FeatureReport) -> ((u64, u64), (u64, u64)) {
    ((feature.live_missing, feature.live_rows), (feature.reference_missing, feature.reference_rows))
}

/// Whether so many more of the feature's values are missing that its window is set aside.
pub(crate) fn lost_values(feature: &FeatureReport, policy: &Policy, features: usize) -> bool {
    let (live, usual) = missing(feature);
    surged(live, usual, policy.missing_surge, shared(policy, features))
}

/// Judges the features of a window that is large and sound enough.
fn judge(facts: &Facts<'_>, policy: &Policy, history: &History) -> (WindowOutcome, Vec<String>) {
    let was_confirmed = |name: &str| history.outcomes.last().is_some_and(|last| contains(&last.confirmed, name));
    let (mut signals, mut confirmed, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    let (mut weight, mut drifting) = (0.0, false);
    for feature in facts.features {
        let moved = has_moved(feature, policy);
        if moved {
            signals.push(feature.name.clone());
        }
        // A detector that raised an alarm counts like a window: the two look at the rows in different ways.
        let alarmed = contains(facts.alarms, &feature.name);
        let windows = windows_moved(&feature.name, policy, history) + usize::from(moved) + usize::from(alarmed);
        if was_confirmed(&feature.name) && !feature.is_comparable() {
            // Nothing says that it has come back, and nothing that it has not.
            confirmed.push(feature.name.clone());
            reasons.push(reasons::silent(feature));
        } else if was_confirmed(&feature.name) && (moved || !is_clear(feature, policy)) {
            confirmed.push(feature.name.clone());
            drifting = true;
            weight += feature.importance;
            reasons.push(if moved { reasons::moved(feature) } else { reasons::not_clear(feature, policy) });
        } else if moved && windows >= policy.confirm_windows {
            confirmed.push(feature.name.clone());
            drifting = true;
            weight += feature.importance;
            reasons.push(reasons::confirmed(feature, windows - usize::from(alarmed), alarmed, policy));
        } else if moved {
            reasons.push(reasons::unconfirmed(feature, windows, policy));
        } else if missing_changed(feature, policy, facts.features.len()) {
            reasons.push(reasons::missing("changed its share of missing values", feature));
        }
    }
    let important = weight > 0.0 && weight >= policy.min_importance;
    let verdict = match (drifting, important) {
        (true, true) => Verdict::Drifted,
        (true, false) => {
            reasons.push(reasons::unimportant(weight, policy));
            Verdict::Warning
        }
        (false, _) if reasons.is_empty() => Verdict::Stable,
        (false, _) => Verdict::Warning,
    };
    if reasons.is_empty() {
        reasons.push(reasons::stable(facts));
    }
    (WindowOutcome { window_id: facts.window_id.to_owned(), verdict, signals, confirmed }, reasons)
}

/// Significant over all features and large enough to matter; both are needed.
pub fn has_moved(feature: &FeatureReport, policy: &Policy) -> bool {
    is_moved(policy, (feature.q, feature.d_low), (feature.psi, feature.psi_threshold))
}

/// [`has_moved`], of the numbers alone.
pub(crate) fn is_moved(policy: &Policy, (q, d_low): (f64, f64), (psi, psi_threshold): (f64, f64)) -> bool {
    q < policy.q_level() && (d_low > policy.ks_effect || psi > psi_threshold)
}

/// Whether confirmed drift is over: at most half of each threshold, or of what small samples show without any drift.
fn is_clear(feature: &FeatureReport, policy: &Policy) -> bool {
    feature.is_comparable()
        && feature.d_high <= (policy.ks_effect / 2.0).max(feature.d_noise)
        && feature.psi <= (policy.psi_threshold / 2.0).max(feature.psi_noise)
}

/// In how many of the n − 1 windows before this one the feature moved, not counting those up to its last confirmed drift.
fn windows_moved(name: &str, policy: &Policy, history: &History) -> usize {
    let before = history.outcomes.iter().rev().take(policy.of_windows.saturating_sub(1) * policy.overlap);
    let since = before.take_while(|outcome| !contains(&outcome.confirmed, name)).enumerate();
    // Of windows that overlap, those that share no row with this one or with each other.
    let apart = since.filter(|(place, _)| (place + 1) % policy.overlap == 0);
    apart.filter(|(_, outcome)| contains(&outcome.signals, name)).count()
}

/// A change of the missing share, up or down, that is worth a warning: half a surge, and no chance.
pub(crate) fn missing_changed(feature: &FeatureReport, policy: &Policy, features: usize) -> bool {
    let (live, usual) = missing(feature);
    let change = feature.live_missing_rate() - feature.reference_missing_rate();
    let (low, high) = proportion::difference(live, usual, shared(policy, features));
    change.abs() >= policy.missing_surge / 2.0 && (low > 0.0 || high < 0.0)
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|held| held == name)
}
