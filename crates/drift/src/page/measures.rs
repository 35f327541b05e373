//! The numbers of a feature, each beside what it is measured against.

use super::format::{count, number, percent, probability, share, statistic};
use crate::{
    policy::Policy,
    report::{Comparison, FeatureReport},
};

/// One number of a feature.
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// What it is measured against; empty where it decides nothing.
    pub(super) against: String,
    /// Whether it is past that.
    pub(super) passed: bool,
}

/// All numbers of a feature.
pub(super) fn of(feature: &FeatureReport, policy: &Policy) -> Vec<Measure> {
    let told = |name, value, against, passed| Measure { name, value, against, passed };
    let plain = |name, value| told(name, value, String::new(), false);
    let mut measures = Vec::new();
    if feature.is_comparable() {
        let exceeded = feature.d_low > policy.ks_effect;
        measures.push(told("Distance D", distance(feature), format!("above {}", number(policy.ks_effect)), exceeded));
        let significant = feature.q < policy.q_level();
        measures.push(told("q", probability(feature.q), format!("below {}", number(policy.q_level())), significant));
        let exceeded = feature.psi > feature.psi_threshold;
        measures.push(told("PSI", statistic(feature.psi), psi_threshold(feature), exceeded));
        measures.push(plain("JS distance", statistic(feature.js)));
        if let (Some(chi2), Some(df)) = (feature.chi2, feature.df) {
            measures.push(plain("χ² / df", format!("{} / {df}", number(chi2))));
        }
    }
    let (before, now) = (feature.reference_missing_rate(), feature.live_missing_rate());
    let surge = format!("a rise of {} points", number(policy.missing_surge * 100.0));
    measures.push(told(
        "Missing",
        format!("{} → {}", percent(before), percent(now)),
        surge,
        now - before >= policy.missing_surge,
    ));
    let values = feature.live_rows.saturating_sub(feature.live_missing);
    if feature.comparison == Comparison::Categories {
        let unseen = format!("{} ({})", count(feature.unseen), share(feature.unseen, values));
        measures.push(plain("Never seen before", unseen));
    } else {
        let (below, above) = (feature.below, feature.above);
        let foreign = match below.saturating_add(above) {
            0 => "0".to_owned(),
            all => format!("{} ({} below, {} above)", share(all, values), count(below), count(above)),
        };
        measures.push(plain("Out of range", foreign));
    }
    measures.push(plain("Rows", format!("{} → {}", count(feature.reference_rows), count(feature.live_rows))));
    measures.push(plain("Importance", percent(feature.importance)));
    measures
}

fn distance(feature: &FeatureReport) -> String {
    let (low, high) = (statistic(feature.d_low), statistic(feature.d_high));
    match feature.comparison {
        Comparison::Categories => format!("{low} ({} of rows)", percent(feature.d_low)),
        _ if low == high => low,
        _ => format!("{low} to {high}"),
    }
}

fn psi_threshold(feature: &FeatureReport) -> String {
    // Without rows on a side the noise has no bound; the report holds the largest number in its place.
    if feature.psi_threshold >= f64::MAX {
        return "out of reach without rows".to_owned();
    }
    let noise = if feature.psi_noise >= feature.psi_threshold { " (noise)" } else { "" };
    format!("above {}{noise}", number(feature.psi_threshold))
}

/// Why a feature was not compared; `None` for one that was.
pub(super) fn not_compared(feature: &FeatureReport) -> Option<&'static str> {
    let (reference, live) = (feature.reference_rows, feature.live_rows);
    match () {
        () if feature.is_comparable() => None,
        () if reference == 0 && live == 0 => Some("Not compared: neither the reference nor the window has rows."),
        () if live == 0 => Some("Not compared: the window has no rows."),
        () if reference == 0 => Some("Not compared: the reference has no rows."),
        () if feature.live_missing < live => Some("Not compared: the reference has no values."),
        () if feature.reference_missing < reference => Some("Not compared: the window has no values."),
        () => Some("Not compared: neither the reference nor the window has values."),
    }
}

/// What a reserved name stands for.
pub(super) fn meaning(name: &str) -> Option<&'static str> {
    match name {
        crate::reference::LABEL => Some("These are the labels of the records."),
        crate::reference::PREDICTION => Some("This is what the model answers."),
        crate::reference::CONFIDENCE => Some("This is how probable the model takes its answers to be."),
        _ => None,
    }
}
