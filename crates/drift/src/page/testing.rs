//! Reports of made-up windows for the tests.

use super::{Context, Earlier};
use crate::{
    DriftReport, History, Layout, Pane, PaneId, PaneSet, Policy, Profile, ReferenceProfile, Rejects, Values, evaluate,
    testing::Lcg,
};

/// 2026-11-27T14:05:09Z.
pub(super) const JUDGED: i64 = 1_795_788_309_000;

/// A column.
pub(super) enum Column {
    Numbers(Vec<f64>),
    Categories(Vec<Option<&'static str>>),
}

impl Column {
    fn values(&self) -> Values<'_> {
        match self {
            Self::Numbers(values) => Values::Numbers(values),
            Self::Categories(values) => Values::Categories(values),
        }
    }

    fn len(&self) -> usize {
        self.values().len()
    }
}

type Columns = Vec<(&'static str, Column)>;

fn numbers(random: &mut Lcg, rows: usize, mean: f64, std: f64) -> Column {
    Column::Numbers(random.normals(rows, mean, std))
}

/// Every `gap`-th value is missing.
fn with_gaps(column: Column, gap: usize) -> Column {
    match column {
        Column::Numbers(mut values) => {
            values.iter_mut().step_by(gap).for_each(|value| *value = f64::NAN);
            Column::Numbers(values)
        }
        other => other,
    }
}

fn mixture(counts: &[(&'static str, usize)]) -> Column {
    Column::Categories(counts.iter().flat_map(|(name, count)| std::iter::repeat_n(Some(*name), *count)).collect())
}

/// The policy of these reports: one window is enough.
fn policy() -> Policy {
    Policy { confirm_windows: 1, of_windows: 1, min_rows: 50, ..Policy::default() }
}

pub(super) fn judge(reference: &Columns, live: &Columns, policy: &Policy, history: &History) -> DriftReport {
    let columns: Vec<(&str, Values<'_>)> = reference.iter().map(|(name, column)| (*name, column.values())).collect();
    let layout = Layout::new(ReferenceProfile::of(&columns).unwrap()).unwrap();
    let rows = live.first().map_or(0, |(_, column)| column.len());
    let mut profile = Profile::new(&layout);
    for (name, column) in live {
        profile.observe_values(name, column.values(), &[]).unwrap();
    }
    let mut window = PaneSet::new(&layout, 3);
    let from_offset = 1_000 + 1_000 * history.outcomes.len() as i64;
    let id = PaneId { partition: 0, from_offset, to_offset: from_offset + 1 + rows as i64 };
    window.insert(Pane { id, model_version: 3, profile, rejected: 4, max_event_time: JUDGED - 9_000 }).unwrap();
    evaluate(&window, Some(Rejects { rejected: 12, records: 3_012 }), policy, history).unwrap()
}

fn people(random: &mut Lcg, rows: usize, shift: f64) -> Columns {
    vec![
        ("age", numbers(random, rows, 41.0, 11.0)),
        ("income", numbers(random, rows, 52_000.0 + 15_000.0 * shift, 15_000.0)),
        ("debt", numbers(random, rows, 0.3 + 0.05 * shift, 0.1)),
    ]
}

/// Two of three features of numbers moved, for the first time.
pub(super) fn drifted() -> DriftReport {
    let mut random = Lcg::new(71);
    let reference = people(&mut random, 3_000, 0.0);
    let live = people(&mut random, 1_000, 1.0);
    judge(&reference, &live, &policy(), &History::default())
}

/// One of three windows moved, then two, then one that came half of the way back.
pub(super) fn confirmed() -> DriftReport {
    let mut random = Lcg::new(72);
    let reference = people(&mut random, 3_000, 0.0);
    let policy = Policy::default();
    let mut history = History::default();
    let mut judge = |shift: f64| {
        let report = judge(&reference, &people(&mut random, 1_000, shift), &policy, &history);
        history = report.history.clone();
        report
    };
    judge(1.0);
    judge(1.0);
    judge(0.25)
}

/// A feature of categories moved, with one never seen before.
pub(super) fn categories() -> DriftReport {
    let reference = vec![
        ("region", mixture(&[("north", 400), ("south", 900), ("east", 500), ("west", 200)])),
        ("plan", mixture(&[("basic", 1_500), ("plus", 500)])),
    ];
    let live = vec![
        ("region", mixture(&[("north", 400), ("south", 250), ("east", 150), ("atlantis", 200)])),
        ("plan", mixture(&[("basic", 760), ("plus", 240)])),
    ];
    judge(&reference, &live, &policy(), &History::default())
}

/// Half of the incomes and all bonuses are missing.
pub(super) fn quarantine() -> DriftReport {
    let mut random = Lcg::new(73);
    let mut reference = people(&mut random, 3_000, 0.0);
    let mut live = people(&mut random, 1_000, 0.0);
    live[1].1 = with_gaps(numbers(&mut random, 1_000, 52_000.0, 15_000.0), 2);
    reference.push(("bonus", Column::Numbers(vec![f64::NAN; 3_000])));
    live.push(("bonus", Column::Numbers(vec![f64::NAN; 1_000])));
    judge(&reference, &live, &policy(), &History::default())
}

/// Nothing moved.
pub(super) fn stable() -> DriftReport {
    let mut random = Lcg::new(74);
    let reference = people(&mut random, 3_000, 0.0);
    judge(&reference, &people(&mut random, 1_000, 0.0), &policy(), &History::default())
}

/// A model without features, and a window without rows.
pub(super) fn nothing() -> DriftReport {
    judge(&Vec::new(), &Vec::new(), &policy(), &History::default())
}

/// A window whose one feature has no rows: its thresholds are the largest number.
pub(super) fn empty() -> DriftReport {
    let reference = vec![("age", numbers(&mut Lcg::new(75), 500, 41.0, 11.0))];
    judge(&reference, &vec![("age", Column::Numbers(Vec::new()))], &policy(), &History::default())
}

/// A value a minute with a daily rhythm; the window is a night, and warmer than nights are.
pub(super) fn seasonal() -> DriftReport {
    let mut random = Lcg::new(76);
    let mut stream = |from: i64, minutes: i64, shift: f64| -> (Vec<f64>, Vec<i64>) {
        let mut at = |minute: i64| (minute as f64 / 1_440.0 * std::f64::consts::TAU).sin() + shift + random.normal();
        (from..from + minutes).map(|minute| (at(minute), minute * 60_000)).unzip()
    };
    let (values, times) = stream(0, 14 * 1_440, 0.0);
    let reference = ReferenceProfile::build(&[("warmth", &values)]).unwrap().with_hours("warmth", &values, &times);
    let layout = Layout::new(reference).unwrap();
    let (values, times) = stream(14 * 1_440, 360, 1.0);
    let mut profile = Profile::new(&layout);
    profile.observe_values("warmth", Values::Numbers(&values), &times).unwrap();
    let mut window = PaneSet::new(&layout, 8).of(crate::Stream::Predictions);
    let id = PaneId { partition: 2, from_offset: 0, to_offset: 360 };
    window.insert(Pane { id, model_version: 8, profile, rejected: 0, max_event_time: JUDGED }).unwrap();
    evaluate(&window, None, &policy(), &History::default()).unwrap()
}

/// One of each.
pub(super) fn all() -> Vec<DriftReport> {
    vec![drifted(), confirmed(), categories(), quarantine(), stable(), nothing(), empty(), seasonal()]
}

/// So many earlier windows, an hour apart, in which all features come nearer to what they are in `report`.
pub(super) fn context(report: &DriftReport, earlier: usize) -> Context {
    let window = |index: usize| {
        let mut earlier_report = report.clone();
        earlier_report.window_id = format!("earlier {index}");
        for feature in &mut earlier_report.features {
            let part = index as f64 / earlier as f64;
            (feature.d_low, feature.psi) = (feature.d_low * part, feature.psi * part);
        }
        Earlier::of(&earlier_report, JUDGED - 3_600_000 * (earlier - index) as i64)
    };
    Context {
        pipeline: "loan".to_owned(),
        judged_at_ms: JUDGED,
        consequence: Some("a training was started".to_owned()),
        earlier: (0..earlier).map(window).collect(),
    }
}
