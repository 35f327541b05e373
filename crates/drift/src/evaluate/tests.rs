//! What peers get wrong, from columns to verdict.

use super::*;
use crate::{
    ks,
    layout::Layout,
    pane::{Pane, PaneId},
    testing::Lcg,
};
use std::sync::Arc;

/// The window of one batch.
fn window(layout: &Arc<Layout>, columns: &[(&str, &[f64])]) -> PaneSet {
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    let mut profile = Profile::new(layout);
    profile.observe_batch(rows, columns).unwrap();
    let mut window = PaneSet::new(layout, 1);
    if rows > 0 {
        let id = PaneId { partition: 0, from_offset: 0, to_offset: rows as i64 };
        window.insert(Pane { id, model_version: 1, profile, rejected: 0, max_event_time: 0 }).unwrap();
    }
    window
}

/// One window judged at once, without waiting for a second.
fn judge(reference: &[f64], live: &[f64]) -> DriftReport {
    let policy = Policy { confirm_windows: 1, of_windows: 1, min_rows: 50, ..Policy::default() };
    let window = window(&Layout::of(&[("x", reference)]), &[("x", live)]);
    evaluate(&window, None, &policy, &History::default()).unwrap()
}

fn raw(report: &DriftReport, reference: &[f64], live: &[f64]) -> f64 {
    let d = ks::statistic(reference, live).unwrap();
    let feature = &report.features[0];
    assert!(feature.d_low <= d + 1e-12 && d <= feature.d_high + 1e-12, "{d} {feature:?}");
    d
}

#[test]
fn one_outlier_in_the_reference_hides_nothing() {
    let mut random = Lcg::new(21);
    let (mut reference, live) = (random.normals(5_000, 0.0, 1.0), random.normals(1_000, 1.0, 1.0));
    reference.push(1e6);
    let report = judge(&reference, &live);
    assert_eq!(report.verdict, Verdict::Drifted);
    assert!(raw(&report, &reference, &live) > 0.36);
    assert!(report.features[0].d_high - report.features[0].d_low < 1.0 / 1_000.0);
    assert!(report.features[0].psi > 0.8, "{}", report.features[0].psi);
}

#[test]
fn a_very_heavy_tail_is_measured_like_any_other() {
    let mut random = Lcg::new(22);
    let reference: Vec<f64> = random.normals(10_000, 0.0, 4.0).iter().map(|x| x.exp()).collect();
    let live: Vec<f64> = random.normals(2_000, 2.1, 4.0).iter().map(|x| x.exp()).collect();
    let report = judge(&reference, &live);
    assert_eq!(report.verdict, Verdict::Drifted);
    assert!((raw(&report, &reference, &live) - 0.205).abs() < 0.03);
    let same: Vec<f64> = random.normals(2_000, 0.0, 4.0).iter().map(|x| x.exp()).collect();
    assert_eq!(judge(&reference, &same).verdict, Verdict::Stable);
}

#[test]
fn a_tiny_shift_of_many_rows_is_no_drift() {
    let mut random = Lcg::new(23);
    // V3: significant, and far too small to matter.
    let report = judge(&random.normals(60_000, 0.0, 1.0), &random.normals(60_000, 0.02, 1.0));
    assert!(report.features[0].q < 0.05, "{:?}", report.features[0]);
    assert_eq!(report.verdict, Verdict::Stable);
}

#[test]
fn small_windows_do_not_cry_wolf() {
    let mut random = Lcg::new(24);
    for (rows, live_rows) in [(5_000, 50), (5_000, 100), (5_000, 200), (200, 200)] {
        let (mut drifted, mut above_psi) = (0, 0);
        let runs = 300;
        let mut layout = Layout::of(&[]);
        let policy = Policy { confirm_windows: 1, of_windows: 1, min_rows: 50, ..Policy::default() };
        for run in 0..runs {
            if run % 10 == 0 || rows == 200 {
                layout = Layout::of(&[("x", &random.normals(rows, 0.0, 1.0))]);
            }
            let live = random.normals(live_rows, 0.0, 1.0);
            let report = evaluate(&window(&layout, &[("x", &live)]), None, &policy, &History::default()).unwrap();
            drifted += usize::from(report.verdict == Verdict::Drifted);
            above_psi += usize::from(report.features[0].psi > report.features[0].psi_threshold);
        }
        // At most α = 5 %, with three standard deviations of the simulation.
        assert!(drifted <= 26, "{rows} v {live_rows}: {drifted} of {runs} false alarms");
        assert!(above_psi <= 30, "{rows} v {live_rows}: {above_psi} of {runs} PSI above its threshold");
    }
}

#[test]
fn twenty_undrifted_columns_flag_at_the_configured_rate() {
    let mut random = Lcg::new(25);
    let names: Vec<String> = (0..20).map(|index| format!("x{index}")).collect();
    let (mut significant, mut drifted) = (0, 0);
    let runs = 300;
    let policy = Policy { confirm_windows: 1, of_windows: 1, ..Policy::default() };
    let mut layout = Layout::of(&[]);
    for run in 0..runs {
        if run % 10 == 0 {
            let columns: Vec<Vec<f64>> = names.iter().map(|_| random.by_ref().take(8_000).collect()).collect();
            let columns: Vec<(&str, &[f64])> =
                names.iter().zip(&columns).map(|(name, column)| (name.as_str(), column.as_slice())).collect();
            layout = Layout::of(&columns);
        }
        // Past the exact test's bound, to keep the simulation short.
        let columns: Vec<Vec<f64>> = names.iter().map(|_| random.by_ref().take(1_300).collect()).collect();
        let columns: Vec<(&str, &[f64])> =
            names.iter().zip(&columns).map(|(name, column)| (name.as_str(), column.as_slice())).collect();
        let report = evaluate(&window(&layout, &columns), None, &policy, &History::default()).unwrap();
        significant += usize::from(report.features.iter().any(|feature| feature.q < policy.alpha));
        drifted += usize::from(report.verdict == Verdict::Drifted);
    }
    let rate = significant as f64 / runs as f64;
    assert!((0.01..0.09).contains(&rate), "{rate} of the runs have a significant column");
    assert_eq!(drifted, 0);
}

#[test]
fn half_the_values_missing_is_never_stable_and_never_trained_on() {
    let mut random = Lcg::new(26);
    let reference = random.normals(5_000, 0.0, 1.0);
    let mut live = random.normals(1_000, 0.0, 1.0);
    live.iter_mut().step_by(2).for_each(|value| *value = f64::NAN);
    let report = judge(&reference, &live);
    assert_eq!(report.verdict, Verdict::Quarantine);
    assert!(report.features[0].psi > 0.2);
    // Where half was missing always, that is nothing new.
    let mut usual = reference.clone();
    usual.iter_mut().step_by(2).for_each(|value| *value = f64::NAN);
    let report = judge(&usual, &live);
    assert_eq!(report.verdict, Verdict::Stable);
    assert!(report.features[0].psi < report.features[0].psi_threshold / 2.0);
    let all_missing = judge(&reference, &vec![f64::NAN; 500]);
    assert_eq!(all_missing.verdict, Verdict::Quarantine);
}

#[test]
fn columns_without_information_give_numbers_and_no_panic() {
    let (one, none) = (vec![3.0], vec![]);
    let constant = vec![7.0; 300];
    let missing = vec![f64::NAN; 300];
    let usual = Lcg::new(27).normals(300, 0.0, 1.0);
    let columns = [&one, &none, &constant, &missing, &usual];
    for reference in columns {
        for live in columns {
            let report = judge(reference, live);
            let feature = &report.features[0];
            for number in [feature.p, feature.q, feature.d_low, feature.d_high, feature.psi, feature.psi_threshold] {
                assert!(number.is_finite(), "{feature:?}");
            }
            assert!((0.0..=1.0).contains(&feature.p) && feature.d_low <= feature.d_high);
            let json = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<DriftReport>(&json).unwrap(), report);
            if live.len() < 50 {
                assert_eq!(report.verdict, Verdict::TooFewRows);
            } else if reference == live {
                assert_eq!(report.verdict, Verdict::Stable, "{:?}", report.reasons);
            }
        }
    }
}

#[test]
fn a_constant_that_changes_is_drift() {
    let constant = vec![7.0; 300];
    assert_eq!(judge(&constant, &[7.5; 300]).verdict, Verdict::Drifted);
    assert_eq!(judge(&constant, &[7.0f64.next_up(); 300]).features[0].d_low, 1.0);
    assert_eq!(judge(&constant, &constant).features[0].d_high, 0.0);
}

#[test]
fn infinities_are_values_like_others() {
    let with = |share: usize| -> Vec<f64> {
        let value = |i: usize| if i.is_multiple_of(share) { f64::INFINITY } else { i as f64 % 97.0 };
        (0..1_000).map(value).collect()
    };
    assert_eq!(judge(&with(10), &with(10)).features[0].d_high, 0.0);
    assert_eq!(judge(&with(10), &with(2)).verdict, Verdict::Drifted);
}

#[test]
fn the_report_is_replayed_to_the_same_decision() {
    let mut random = Lcg::new(28);
    let layout = Layout::of(&[("x", &random.normals(3_000, 0.0, 1.0))]);
    let policy = Policy::default();
    let mut history = History::default();
    let mut verdicts = Vec::new();
    for index in 0..8i64 {
        let mean = if (2..6).contains(&index) { 1.0 } else { 0.0 };
        let mut profile = Profile::new(&layout);
        profile.observe("x", &random.normals(500, mean, 1.0)).unwrap();
        let id = PaneId { partition: 0, from_offset: index * 500, to_offset: index * 500 + 500 };
        let mut window = PaneSet::new(&layout, 1);
        window.insert(Pane { id, model_version: 1, profile, rejected: 0, max_event_time: index }).unwrap();
        let report = evaluate(&window, None, &policy, &history).unwrap();
        // A processor that starts again has the last event only.
        let stored: DriftReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        let again = stored.replay();
        assert_eq!((again.verdict, &again.reasons, &again.history), (report.verdict, &report.reasons, &report.history));
        assert_eq!(evaluate(&window, None, &policy, &stored.history).unwrap(), report);
        history = stored.history;
        verdicts.push(report.verdict);
    }
    use Verdict::{Drifted, Stable, Warning};
    assert_eq!(verdicts, [Stable, Stable, Warning, Drifted, Drifted, Drifted, Stable, Stable]);
}

#[test]
fn the_window_id_does_not_tell_how_batches_were_cut() {
    let layout = Layout::of(&[("x", &[1.0, 2.0, 3.0])]);
    let cut = |at: &[i64]| {
        let mut window = PaneSet::new(&layout, 1);
        for pair in at.windows(2) {
            let mut profile = Profile::new(&layout);
            profile.observe("x", &vec![2.0; (pair[1] - pair[0]) as usize]).unwrap();
            let id = PaneId { partition: 0, from_offset: pair[0], to_offset: pair[1] };
            window.insert(Pane { id, model_version: 1, profile, rejected: 0, max_event_time: 0 }).unwrap();
        }
        evaluate(&window, None, &Policy::default(), &History::default()).unwrap()
    };
    assert_eq!(cut(&[0, 10, 30]), cut(&[0, 25, 30]));
    assert_ne!(cut(&[0, 30]).window_id, cut(&[0, 31]).window_id);
    assert_eq!(cut(&[0]).verdict, Verdict::TooFewRows);
    let bad = Policy { alpha: 2.0, ..Policy::default() };
    assert!(matches!(evaluate(&PaneSet::new(&layout, 1), None, &bad, &History::default()), Err(Error::Policy(_))));
}
