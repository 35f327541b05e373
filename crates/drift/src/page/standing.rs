//! What became of each feature, and which of them a person wants to read about first.

use crate::{
    report::{DriftReport, FeatureReport},
    verdict::{Verdict, is_moved, lost_values, missing_changed},
};

/// What became of a feature in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// So many values are missing that the window is quarantined.
    LostValues,
    /// It moved, in enough windows.
    Confirmed,
    /// It moved in this window.
    Moved,
    /// It drifted before, and is not yet back.
    NotBack,
    /// Only its share of missing values changed.
    MissingChanged,
    /// Nothing.
    Unmoved,
    /// A side has no values.
    NotCompared,
}

impl Standing {
    /// Whether a person should look at it.
    pub(super) fn is_told(self) -> bool {
        !matches!(self, Self::Unmoved | Self::NotCompared)
    }

    /// In words.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::LostValues => "lost values",
            Self::Confirmed => "moved, drift confirmed",
            Self::Moved => "moved",
            Self::NotBack => "drifted before, not yet back",
            Self::MissingChanged => "missing values changed",
            Self::Unmoved => "not moved",
            Self::NotCompared => "not compared",
        }
    }

    /// As a mark.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::LostValues => "✕",
            Self::Confirmed => "▲",
            Self::Moved => "●",
            Self::NotBack => "◐",
            Self::MissingChanged => "!",
            Self::Unmoved => "○",
            Self::NotCompared => "–",
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::LostValues => 0,
            Self::Confirmed | Self::Moved => 1,
            Self::NotBack | Self::MissingChanged => 2,
            Self::Unmoved => 3,
            Self::NotCompared => 4,
        }
    }
}

/// A feature and what became of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranked<'a> {
    pub(super) feature: &'a FeatureReport,
    pub(super) standing: Standing,
}

/// All features: those that moved first, by importance × distance.
pub(super) fn ranked(report: &DriftReport) -> Vec<Ranked<'_>> {
    let standing = |feature| Ranked { feature, standing: standing(feature, report) };
    let mut ranked: Vec<Ranked<'_>> = report.features.iter().map(standing).collect();
    ranked.sort_by(|a, b| {
        let weight = |ranked: &Ranked<'_>| ranked.feature.importance * ranked.feature.d_low;
        let by_rank = a.standing.rank().cmp(&b.standing.rank());
        by_rank.then(weight(b).total_cmp(&weight(a))).then(b.feature.d_low.total_cmp(&a.feature.d_low))
    });
    ranked
}

fn standing(feature: &FeatureReport, report: &DriftReport) -> Standing {
    let (policy, of) = (&report.policy, report.features.len());
    let moved = is_moved(policy, (feature.q, feature.d_low), (feature.psi, feature.psi_threshold));
    let last = report.history.outcomes.last().filter(|outcome| outcome.window_id == report.window_id);
    let confirmed = last.is_some_and(|outcome| outcome.confirmed.contains(&feature.name));
    if report.verdict == Verdict::Quarantine && lost_values(feature, policy, of) {
        Standing::LostValues
    } else if moved {
        if confirmed { Standing::Confirmed } else { Standing::Moved }
    } else if confirmed {
        Standing::NotBack
    } else if last.is_some() && missing_changed(feature, policy, of) {
        Standing::MissingChanged
    } else if feature.is_comparable() {
        Standing::Unmoved
    } else {
        Standing::NotCompared
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing, *};

    #[test]
    fn what_is_said_of_a_feature_is_what_the_verdict_went_by() {
        for report in [testing::drifted(), testing::categories(), testing::stable(), testing::confirmed()] {
            let outcome = report.history.outcomes.last().unwrap();
            for Ranked { feature, standing } in ranked(&report) {
                let moved = matches!(standing, Standing::Moved | Standing::Confirmed);
                assert_eq!(moved, outcome.signals.contains(&feature.name), "{}", feature.name);
                let confirmed = matches!(standing, Standing::NotBack | Standing::Confirmed);
                assert_eq!(confirmed, outcome.confirmed.contains(&feature.name), "{}", feature.name);
            }
        }
    }

    #[test]
    fn the_features_that_broke_the_window_come_first_and_those_without_values_last() {
        let report = testing::quarantine();
        let standings: Vec<(&str, Standing)> =
            ranked(&report).iter().map(|ranked| (ranked.feature.name.as_str(), ranked.standing)).collect();
        assert_eq!(standings[0], ("income", Standing::LostValues));
        assert_eq!(*standings.last().unwrap(), ("bonus", Standing::NotCompared));
        assert_eq!(standings.len(), report.features.len());
    }

    #[test]
    fn among_the_moved_importance_counts() {
        let mut report = testing::drifted();
        for feature in &mut report.features {
            feature.importance = if feature.name == "debt" { 0.9 } else { 0.01 };
        }
        assert_eq!(ranked(&report)[0].feature.name, "debt");
    }
}
