//! Verdicts in words.

use super::{Facts, Policy};
use crate::report::{Comparison, FeatureReport};

pub(super) fn too_few(rows: u64, needed: u64) -> String {
    format!("{rows} rows: {needed} are needed to judge a window")
}

pub(super) fn rejects(facts: &Facts<'_>) -> String {
    let usual = facts.usual_rejects;
    let (live, before) = (share(facts.rejected, facts.rows + facts.rejected), share(usual.rejected, usual.records));
    format!("{live} of the records were rejected, usually {before}: the source is broken or its schema changed")
}

/// `what` happened to the feature's missing values.
pub(super) fn missing(what: &str, feature: &FeatureReport) -> String {
    let live = share(feature.live_missing, feature.live_rows);
    let before = share(feature.reference_missing, feature.reference_rows);
    format!("{} {what}: {live} missing, {before} in the reference", feature.name)
}

/// That the feature's values came in another unit, if they look like it.
pub(super) fn other_unit(feature: &FeatureReport) -> Option<String> {
    let unit = feature.unit.as_ref()?;
    let offset = match unit.offset {
        0.0 => String::new(),
        offset if offset < 0.0 => format!(" − {}", figure(-offset)),
        offset => format!(" + {}", figure(offset)),
    };
    let names = if unit.names.is_empty() { String::new() } else { format!(", as {}", unit.names) };
    let values = feature.live_rows.saturating_sub(feature.live_missing);
    Some(format!(
        "{} looks as if it came in other units: × {}{offset}{names} ({} of its values)",
        feature.name,
        figure(unit.factor),
        share(unit.rows, values)
    ))
}

/// A number to three digits.
fn figure(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 0.1 => {
            let text = format!("{number:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{number:.0e}"),
    }
}

pub(super) fn moved(feature: &FeatureReport) -> String {
    format!("{} moved: {}", feature.name, numbers(feature))
}

pub(super) fn confirmed(feature: &FeatureReport, windows: usize, alarmed: bool, policy: &Policy) -> String {
    let n = policy.of_windows;
    let also = if alarmed { ", and its detector raised an alarm" } else { "" };
    format!("{} moved in {windows} of the last {n} windows{also}: {}", feature.name, numbers(feature))
}

pub(super) fn unconfirmed(feature: &FeatureReport, windows: usize, policy: &Policy) -> String {
    let (k, n) = (policy.confirm_windows, policy.of_windows);
    format!("{} moved in {windows} of the last {n} windows, {k} confirm drift: {}", feature.name, numbers(feature))
}

pub(super) fn not_clear(feature: &FeatureReport, policy: &Policy) -> String {
    let d = (policy.ks_effect / 2.0).max(feature.d_noise);
    let psi = (policy.psi_threshold / 2.0).max(feature.psi_noise);
    format!("{} has not come back (D at most {d:.3} and PSI at most {psi:.3}): {}", feature.name, numbers(feature))
}

pub(super) fn silent(feature: &FeatureReport) -> String {
    format!("{} had moved, and has no values to compare now", feature.name)
}

pub(super) fn unimportant(weight: f64, policy: &Policy) -> String {
    format!(
        "the features that moved have {:.1} % of the importance, {:.1} % are needed",
        weight * 100.0,
        policy.min_importance * 100.0
    )
}

pub(super) fn stable(facts: &Facts<'_>) -> String {
    match facts.features.iter().filter(|feature| feature.is_comparable()).max_by(|a, b| a.d_low.total_cmp(&b.d_low)) {
        Some(feature) => format!("no feature moved; most did {}: {}", feature.name, numbers(feature)),
        None => "no feature has values to compare".to_owned(),
    }
}

/// The statistics of a feature, and what of its values the model has never seen the like of.
fn numbers(feature: &FeatureReport) -> String {
    let FeatureReport { d_low, d_high, q, psi, psi_threshold, .. } = feature;
    let than = if psi > psi_threshold { ">" } else { "≤" };
    let q = probability(*q);
    let distance = match feature.comparison {
        Comparison::Numbers => format!("D between {d_low:.3} and {d_high:.3} (q {q})"),
        Comparison::Seasonal => format!("D {d_low:.3} from its hours of the week (q {q})"),
        Comparison::Categories => format!("{} of the rows changed category (q {q})", percent(*d_low)),
    };
    let values = (feature.live_rows - feature.live_missing.min(feature.live_rows)).max(1) as f64;
    let mut text = format!("{distance}, PSI {psi:.3} {than} {psi_threshold:.3}");
    let foreign =
        [(feature.below + feature.above, "out of the reference's range"), (feature.unseen, "never seen before")];
    for (count, what) in foreign {
        let share = count as f64 / values;
        if share >= WORTH_TELLING {
            text.push_str(&format!(", {} {what}", percent(share)));
        }
    }
    text
}

/// The share of strange values from which on they are told of.
const WORTH_TELLING: f64 = 0.01;

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn probability(q: f64) -> String {
    match q {
        0.0 => "below 1e-300".to_owned(),
        _ if q < 0.001 => format!("{q:.0e}"),
        _ => format!("{q:.3}"),
    }
}

fn share(part: u64, whole: u64) -> String {
    percent(part as f64 / whole.max(1) as f64)
}
