use super::*;
use crate::report::Comparison;
use crate::units::UnitChange;

fn feature(name: &str) -> FeatureReport {
    FeatureReport {
        name: name.to_owned(),
        comparison: Comparison::Numbers,
        reference_rows: 5_000,
        reference_missing: 0,
        live_rows: 1_000,
        live_missing: 0,
        below: 0,
        above: 0,
        unit: None,
        unseen: 0,
        chi2: None,
        df: None,
        js: 0.01,
        cells: Vec::new(),
        d_low: 0.02,
        d_high: 0.021,
        d_noise: 0.04,
        p: 0.9,
        q: 0.9,
        psi: 0.01,
        psi_threshold: 0.2,
        psi_noise: 0.02,
        importance: 0.5,
    }
}

fn moved(name: &str) -> FeatureReport {
    FeatureReport { d_low: 0.41, d_high: 0.42, p: 1e-40, q: 1e-40, psi: 1.9, ..feature(name) }
}

fn facts<'a>(window_id: &'a str, features: &'a [FeatureReport]) -> Facts<'a> {
    let usual_rejects = Rejects { rejected: 0, records: 5_000 };
    Facts { window_id, model_version: 1, rows: 1_000, rejected: 0, usual_rejects, features, alarms: &[] }
}

/// Judges windows one after another, every one given as its features.
fn run(policy: &Policy, windows: &[[FeatureReport; 2]]) -> (Vec<Verdict>, Decision) {
    let mut history = History::default();
    let mut verdicts = Vec::new();
    let mut last = None;
    for (index, features) in windows.iter().enumerate() {
        let decision = decide(&facts(&format!("w{index}"), features), policy, &history);
        history = decision.history.clone();
        verdicts.push(decision.verdict);
        last = Some(decision);
    }
    (verdicts, last.unwrap())
}

fn calm() -> [FeatureReport; 2] {
    [feature("x"), feature("y")]
}

fn shifted() -> [FeatureReport; 2] {
    [moved("x"), feature("y")]
}

#[test]
fn drift_is_confirmed_in_two_of_three_windows() {
    use Verdict::{Drifted, Stable, Warning};
    let policy = Policy::default();
    assert_eq!(run(&policy, &[calm(), shifted(), calm(), shifted()]).0, [Stable, Warning, Stable, Drifted]);
    assert_eq!(run(&policy, &[shifted(), calm(), calm(), shifted()]).0, [Warning, Stable, Stable, Warning]);
    let (verdicts, last) = run(&policy, &[shifted(), shifted()]);
    assert_eq!(verdicts, [Warning, Drifted]);
    assert_eq!(
        last.reasons,
        ["x moved in 2 of the last 3 windows: D between 0.410 and 0.420 (q 1e-40), PSI 1.900 > 0.200"]
    );
    // One after the other is not the same feature twice.
    let other = [feature("x"), moved("y")];
    assert_eq!(run(&policy, &[shifted(), other]).0, [Warning, Warning]);
    let at_once = Policy { confirm_windows: 1, of_windows: 1, ..policy };
    assert_eq!(run(&at_once, &[shifted(), shifted(), calm(), shifted()]).0, [Drifted, Drifted, Stable, Drifted]);
}

#[test]
fn confirmed_drift_is_left_at_half_the_threshold_only() {
    use Verdict::{Drifted, Stable, Warning};
    let policy = Policy::default();
    let still = |d_low: f64, d_high: f64, psi: f64| {
        [FeatureReport { d_low, d_high, psi, q: 1e-3, p: 1e-3, ..feature("x") }, feature("y")]
    };
    let (verdicts, last) = run(&policy, &[shifted(), shifted(), still(0.06, 0.061, 0.05), still(0.049, 0.0499, 0.05)]);
    assert_eq!(verdicts, [Warning, Drifted, Drifted, Stable]);
    assert!(last.reasons[0].starts_with("no feature moved"));
    // D is low for sure only below its upper bound.
    assert_eq!(run(&policy, &[shifted(), shifted(), still(0.049, 0.051, 0.05)]).0[2], Drifted);
    assert_eq!(run(&policy, &[shifted(), shifted(), still(0.01, 0.011, 0.15)]).0[2], Drifted);
    // After that, drift has to be confirmed anew.
    assert_eq!(run(&policy, &[shifted(), shifted(), calm(), shifted()]).0[3], Warning);
    assert_eq!(run(&policy, &[shifted(), shifted(), calm(), shifted(), shifted()]).0[4], Drifted);
    // A feature that lost all its values cannot clear itself, and is no reason to train either.
    let gone = FeatureReport { live_rows: 0, d_low: 0.0, d_high: 1.0, d_noise: 1.0, psi: 0.0, ..feature("x") };
    let windows = [shifted(), shifted(), [gone, feature("y")], still(0.06, 0.061, 0.05)];
    assert_eq!(run(&policy, &windows).0[2..], [Warning, Drifted]);
}

#[test]
fn small_windows_can_clear_although_they_are_noisy() {
    let noisy = FeatureReport { d_low: 0.08, d_high: 0.08, d_noise: 0.1, psi: 0.13, psi_noise: 0.15, ..feature("x") };
    assert_eq!(run(&Policy::default(), &[shifted(), shifted(), [noisy, feature("y")]]).0[2], Verdict::Stable);
}

#[test]
fn significance_and_effect_are_both_needed() {
    let large_but_chance = FeatureReport { d_low: 0.4, d_high: 0.4, q: 0.06, psi: 1.0, ..feature("x") };
    let certain_but_small = FeatureReport { d_low: 0.00619, d_high: 0.007, q: 9.3567e-4, ..feature("x") };
    let below_noise = FeatureReport { psi: 0.5, psi_threshold: 0.6, q: 0.01, ..feature("x") };
    for x in [large_but_chance, certain_but_small, below_noise] {
        assert_eq!(run(&Policy::default(), &[[x, feature("y")]]).0, [Verdict::Stable]);
    }
    let by_psi = FeatureReport { psi: 0.21, q: 0.01, ..feature("x") };
    assert_eq!(run(&Policy::default(), &[[by_psi, feature("y")]]).0, [Verdict::Warning]);
}

#[test]
fn surges_quarantine_and_leave_the_history_alone() {
    let policy = Policy::default();
    let (_, before) = run(&policy, &[shifted()]);
    let half_missing = [FeatureReport { live_missing: 500, ..moved("x") }, feature("y")];
    let decision = decide(&facts("w1", &half_missing), &policy, &before.history);
    assert_eq!((decision.verdict, &decision.history), (Verdict::Quarantine, &before.history));
    assert_eq!(decision.reasons, ["x lost values: 50.0 % missing, 0.0 % in the reference"]);

    let calm = calm();
    let rejecting = Facts { rows: 800, rejected: 200, ..facts("w1", &calm) };
    let decision = decide(&rejecting, &policy, &before.history);
    assert_eq!(decision.verdict, Verdict::Quarantine);
    assert!(decision.reasons[0].starts_with("20.0 % of the records were rejected, usually 0.0 %"));
    let usual_rejects = Rejects { rejected: 1_500, records: 10_000 };
    assert_eq!(decide(&Facts { usual_rejects, ..rejecting }, &policy, &before.history).verdict, Verdict::Stable);
    // A window of nothing but rejects is a surge, not too few rows.
    let dead = Facts { rows: 0, rejected: 1_000, ..facts("w1", &calm) };
    assert_eq!(decide(&dead, &policy, &before.history).verdict, Verdict::Quarantine);
    // The judged windows around a quarantined one still confirm drift.
    let shifted = shifted();
    assert_eq!(decide(&facts("w2", &shifted), &policy, &decision.history).verdict, Verdict::Drifted);
}

#[test]
fn a_smaller_change_of_missing_values_is_a_warning() {
    let policy = Policy::default();
    let more = [FeatureReport { live_missing: 80, ..feature("x") }, feature("y")];
    let (verdicts, last) = run(&policy, &[more]);
    assert_eq!(verdicts, [Verdict::Warning]);
    assert_eq!(last.reasons, ["x changed its share of missing values: 8.0 % missing, 0.0 % in the reference"]);
    let back = [FeatureReport { reference_missing: 5_000, ..feature("x") }, feature("y")];
    assert_eq!(run(&policy, &[back]).0, [Verdict::Warning]);
    let few = [FeatureReport { live_missing: 20, ..feature("x") }, feature("y")];
    assert_eq!(run(&policy, &[few]).0, [Verdict::Stable]);
}

#[test]
fn too_few_rows_are_not_judged() {
    let shifted = shifted();
    for (rows, rejected) in [(0, 0), (1, 0), (199, 0), (195, 6)] {
        let decision =
            decide(&Facts { rows, rejected, ..facts("w", &shifted) }, &Policy::default(), &History::default());
        assert_eq!(decision.verdict, Verdict::TooFewRows, "{rows} {rejected}");
        assert!(decision.history.outcomes.is_empty());
        assert!(decision.reasons[0].ends_with("200 are needed to judge a window"));
    }
}

#[test]
fn unimportant_features_warn_only() {
    let unimportant = [FeatureReport { importance: 0.0, ..moved("x") }, feature("y")];
    assert_eq!(run(&Policy::default(), &[unimportant.clone(), unimportant]).0[1], Verdict::Warning);
    let strict = Policy { min_importance: 0.6, ..Policy::default() };
    let (verdicts, last) = run(&strict, &[shifted(), shifted()]);
    assert_eq!(verdicts[1], Verdict::Warning);
    assert!(last.reasons[1].contains("50.0 % of the importance, 60.0 % are needed"));
    let both = [moved("x"), moved("y")];
    assert_eq!(run(&strict, &[both.clone(), both]).0[1], Verdict::Drifted);
}

#[test]
fn a_replayed_window_is_not_counted_twice() {
    let policy = Policy::default();
    let shifted = shifted();
    let first = decide(&facts("w0", &shifted), &policy, &History::default());
    let again = decide(&facts("w0", &shifted), &policy, &first.history);
    assert_eq!(again, first);
    let second = decide(&facts("w1", &shifted), &policy, &again.history);
    assert_eq!(second.verdict, Verdict::Drifted);
    assert_eq!(decide(&facts("w1", &shifted), &policy, &second.history), second);
}

#[test]
fn another_model_version_starts_with_no_history() {
    let policy = Policy::default();
    let shifted = shifted();
    let first = decide(&facts("w0", &shifted), &policy, &History::default());
    let next = decide(&Facts { model_version: 2, ..facts("w1", &shifted) }, &policy, &first.history);
    assert_eq!((next.verdict, next.history.outcomes.len()), (Verdict::Warning, 1));
}

#[test]
fn the_history_stays_as_short_as_the_policy_looks_back() {
    let (_, last) = run(&Policy::default(), &std::array::from_fn::<_, 9, _>(|_| shifted()));
    assert_eq!(last.history.outcomes.len(), 3);
}

#[test]
fn an_alarm_between_windows_counts_like_a_window() {
    let policy = Policy { confirm_windows: 2, of_windows: 3, ..Policy::default() };
    let features = [moved("a"), feature("b")];
    let alarms = ["a".to_owned(), "b".to_owned()];
    let with = Facts { alarms: &alarms, ..facts("w0", &features) };
    let decision = decide(&with, &policy, &History::default());
    assert_eq!(decision.verdict, Verdict::Drifted);
    assert!(decision.reasons[0].contains("1 of the last 3 windows, and its detector"), "{:?}", decision.reasons);
    let without = decide(&facts("w0", &features), &policy, &History::default());
    assert_eq!(without.verdict, Verdict::Warning);
    // An alarm alone confirms nothing.
    let still = [feature("a"), feature("b")];
    let decision = decide(&Facts { alarms: &alarms, ..facts("w0", &still) }, &policy, &History::default());
    assert_eq!(decision.verdict, Verdict::Stable);
}

#[test]
fn a_drift_of_what_is_no_longer_seen_stands_and_trains_nobody() {
    let policy = Policy { confirm_windows: 1, of_windows: 1, ..Policy::default() };
    let gone = || FeatureReport { live_rows: 0, d_low: 0.0, d_high: 1.0, p: 1.0, q: 1.0, psi: 0.0, ..feature("a") };
    let windows = [[moved("a"), feature("b")], [gone(), feature("b")], [feature("a"), feature("b")]];
    let (verdicts, _) = run(&policy, &windows);
    assert_eq!(verdicts, [Verdict::Drifted, Verdict::Warning, Verdict::Stable]);
}

#[test]
fn windows_that_overlap_do_not_confirm_each_other() {
    let policy = Policy { confirm_windows: 2, of_windows: 3, overlap: 4, ..Policy::default() };
    let odd = || [moved("a"), feature("b")];
    let usual = || [feature("a"), feature("b")];
    // Four windows hold the same odd rows, and the fifth other ones.
    let (verdicts, _) = run(&policy, &[odd(), odd(), odd(), odd(), usual(), usual()]);
    assert!(!verdicts.contains(&Verdict::Drifted), "{verdicts:?}");
    let (verdicts, _) = run(&policy, &[odd(), odd(), odd(), odd(), odd()]);
    assert_eq!(verdicts[4], Verdict::Drifted);
}

#[test]
fn values_in_another_unit_quarantine_a_window_and_the_policy_may_not_ask() {
    let inches =
        UnitChange { factor: 1.0 / 2.54, offset: 0.0, names: "from centimetres to inches".to_owned(), rows: 620 };
    let height = FeatureReport { unit: Some(inches), ..moved("height") };
    let degrees = UnitChange { factor: 5.0 / 9.0, offset: -160.0 / 9.0, names: String::new(), rows: 1_000 };
    let heat = FeatureReport { unit: Some(degrees), ..moved("heat") };
    let features = [height, heat];
    let decided = decide(&facts("w", &features), &Policy::default(), &History::default());
    assert_eq!(decided.verdict, Verdict::Quarantine);
    assert_eq!(
        decided.reasons,
        [
            "height looks as if it came in other units: × 0.394, as from centimetres to inches (62.0 % of its values)",
            "heat looks as if it came in other units: × 0.556 − 17.778 (100.0 % of its values)",
        ]
    );
    let unasked = Policy { units: false, ..Policy::default() };
    assert_eq!(decide(&facts("w", &features), &unasked, &History::default()).verdict, Verdict::Warning);
    assert_ne!(unasked.hash(), Policy::default().hash());
    // What earlier builds kept says nothing of units, and has the hash that it had.
    let before = serde_json::to_value(Policy::default()).unwrap();
    assert!(before.get("units").is_none() && serde_json::from_value::<Policy>(before).unwrap().units);
    let kept = serde_json::to_value(moved("x")).unwrap();
    assert!(kept.get("unit").is_none() && serde_json::from_value::<FeatureReport>(kept).unwrap().unit.is_none());
}
