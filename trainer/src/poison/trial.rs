//! One trial: a champion, a stream, the verdicts on its windows, the trainings they and a schedule start, the gates.

use std::ops::ControlFlow;
use std::sync::Arc;

use driftmill_drift::reference::LABEL;
use driftmill_drift::retrain::{RetrainFacts, RetrainPolicy, Training};
use driftmill_drift::{
    History, Layout, Onset, Pane, PaneId, PaneSet, Policy, Profile, ReferenceProfile, RetrainDecision, Values, Verdict,
    decide_retrain, evaluate,
};
use driftmill_models::Estimator;
use driftmill_models::metrics::accuracy;
use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::Pipeline;
use serde_json::{Map, json};

use super::stream::{Poison, Record, World, rows};
use crate::fit::{Fitted, Rival, answers, fit};
use crate::gates::Facts;
use crate::{Held, Judge, Rows, judge};

const WINDOW: usize = 200;
const WINDOWS: usize = 10;
/// Records that teach and judge the first champion.
const FIRST: usize = 800;
const GOLD: usize = 500;
const HELD_OUT: usize = 4_000;
/// Names of the features.
const FEATURES: [&str; 3] = ["height", "amount", "score"];

/// What came of trials.
#[derive(Debug, Default)]
pub struct Outcome {
    pub trials: u64,
    /// Challengers that were judged.
    pub challengers: u64,
    /// Of those, ones whose snapshot held a poisoned record.
    pub tainted: u64,
    pub tainted_promoted: u64,
    /// Of those, ones that were worse than the champion by more than the margin.
    pub poisoned: u64,
    pub poisoned_of: [u64; 3],
    pub poisoned_promoted: u64,
    /// Poisoned challengers that the gate on the gold set alone refused.
    pub refused_by_gold_alone: u64,
    /// Windows in quarantine, all and by kind of poison.
    pub quarantines: u64,
    pub quarantines_of: [u64; 3],
    pub trials_with_a_new_champion: u64,
    /// Trials whose last champion is worse than their first by more than the margin: several steps, each small.
    pub eroded: u64,
    /// Trials in which a drift began a training.
    pub drift_trainings_trials: u64,
}

impl std::iter::Sum for Outcome {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let of = |a: [u64; 3], b: [u64; 3]| [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
        all.fold(Self::default(), |a, b| Self {
            trials: a.trials + b.trials,
            challengers: a.challengers + b.challengers,
            tainted: a.tainted + b.tainted,
            tainted_promoted: a.tainted_promoted + b.tainted_promoted,
            poisoned: a.poisoned + b.poisoned,
            poisoned_of: of(a.poisoned_of, b.poisoned_of),
            poisoned_promoted: a.poisoned_promoted + b.poisoned_promoted,
            refused_by_gold_alone: a.refused_by_gold_alone + b.refused_by_gold_alone,
            quarantines: a.quarantines + b.quarantines,
            quarantines_of: of(a.quarantines_of, b.quarantines_of),
            eroded: a.eroded + b.eroded,
            trials_with_a_new_champion: a.trials_with_a_new_champion + b.trials_with_a_new_champion,
            drift_trainings_trials: a.drift_trainings_trials + b.drift_trainings_trials,
        })
    }
}

/// A champion with what windows are compared with.
struct Champion {
    version: u64,
    model: Estimator,
    layout: Arc<Layout>,
    history: History,
    onset: Onset,
}

pub struct Trial {
    pipeline: Pipeline,
    policy: Policy,
    gold: Rows,
    held_out: Rows,
    stream: Vec<Record>,
    champion: Champion,
    poison: Option<Poison>,
    /// Offsets of windows in quarantine.
    quarantined: Vec<std::ops::Range<usize>>,
    outcome: Outcome,
}

fn pipeline(seed: u64) -> Pipeline {
    let features: Vec<_> = FEATURES.iter().map(|name| json!({ "name": name })).collect();
    serde_json::from_value(json!({
        "version": 1, "name": "p", "schema": "s", "features": features,
        "label": { "field": "y", "classes": ["0", "1"] },
        "training": {
            "algorithm": "logistic_regression", "params": { "standardize": true }, "seed": seed, "newest_rows": 1500,
        },
        // That gate fits a model a feature: it would take more time than all the others.
        "promotion": { "metric": "accuracy", "leakage": 1.0 },
    }))
    .unwrap()
}

/// The thresholds of a pipeline file that says nothing of drift.
fn policy(pipeline: &Pipeline) -> Policy {
    let declared = &pipeline.drift;
    Policy {
        alpha: declared.alpha,
        ks_effect: declared.ks_effect,
        psi_threshold: declared.psi_threshold,
        min_rows: WINDOW as u64 / 2,
        missing_surge: declared.missing_surge,
        rejects_surge: declared.rejects_surge,
        confirm_windows: declared.windows as usize,
        of_windows: declared.of_windows as usize,
        ..Policy::default()
    }
}

/// A fit as a run makes it.
fn fitted(rows: &Rows, pipeline: &Pipeline) -> Fitted {
    fit(rows, pipeline, &Map::new(), None, &Held::default(), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// What windows are compared with: every feature, and the label.
fn reference(records: &[Record]) -> Arc<Layout> {
    let columns: Vec<Vec<f64>> =
        (0..3).map(|index| records.iter().map(|record| record.values[index]).collect()).collect();
    let labels: Vec<Option<&str>> = records.iter().map(|record| Some(["0", "1"][record.label])).collect();
    let mut all: Vec<(&str, Values<'_>)> =
        FEATURES.iter().zip(&columns).map(|(name, values)| (*name, values.as_slice().into())).collect();
    all.push((LABEL, Values::Categories(&labels)));
    Layout::new(ReferenceProfile::of(&all).unwrap()).unwrap()
}

impl Trial {
    /// A trial whose stream is poisoned, or whose inputs move.
    pub fn new(seed: u64, poison: Option<Poison>, moves: bool) -> Self {
        let mut world = World::new(seed);
        let take = |world: &mut World, count: usize| (0..count).map(|_| world.record(0.0)).collect::<Vec<_>>();
        let (first, gold, held_out) = (take(&mut world, FIRST), take(&mut world, GOLD), take(&mut world, HELD_OUT));
        let pipeline = pipeline(seed);
        let length = WINDOW * WINDOWS;
        let moved = 0.6 + 0.6 * world.random.uniform();
        let begin = world.random.below(length - WINDOW);
        let size = if world.random.uniform() < 0.3 { length } else { 40 + world.random.below(960) };
        let batch = begin..begin + size;
        let mut stream = first.clone();
        stream.extend((0..length).map(|at| {
            let record = world.record(if moves && at >= 2 * WINDOW { moved } else { 0.0 });
            match poison {
                Some(kind) if batch.contains(&at) => world.poison(record, kind),
                _ => record,
            }
        }));
        let all =
            |records: &[Record], partition| rows(records, &(0..records.len() as i64).collect::<Vec<_>>(), partition);
        let champion = Champion {
            version: 1,
            model: fitted(&all(&first, 0), &pipeline).model,
            layout: reference(&first),
            history: History::default(),
            onset: Onset::default(),
        };
        Self {
            // In every second trial nobody looks for units, and the gates are alone with them.
            policy: Policy { units: seed.is_multiple_of(2), ..policy(&pipeline) },
            pipeline,
            gold: all(&gold, 1),
            held_out: all(&held_out, 2),
            stream,
            champion,
            poison,
            quarantined: Vec::new(),
            outcome: Outcome { trials: 1, ..Outcome::default() },
        }
    }

    /// Runs the stream to its end.
    pub fn run(mut self) -> Outcome {
        let mut trainings: Vec<Training> = Vec::new();
        let first = self.accuracy(&self.champion.model);
        for window in 0..WINDOWS {
            let range = FIRST + window * WINDOW..FIRST + (window + 1) * WINDOW;
            let now_ms = window as i64 * 60_000;
            let (id, verdict, reasons) = self.watch(range.clone());
            let since = self.champion.onset.since.get(&0).map_or(0, |since| *since as usize);
            let facts = RetrainFacts {
                event_id: &id,
                verdict,
                reasons: &reasons,
                now_ms,
                trainings: &trainings,
                rows: self.learnable(since..range.end).len() as u64,
            };
            let limits = RetrainPolicy { cool_down_ms: 0, ..RetrainPolicy::default() };
            let limits = RetrainPolicy { min_rows: self.pipeline.drift.retrain_rows, ..limits };
            if let RetrainDecision::Train { event_id, .. } = decide_retrain(&facts, &limits) {
                trainings.push(Training { event_id, started_ms: now_ms, finished_ms: Some(now_ms) });
                self.outcome.drift_trainings_trials = 1;
                self.train(self.learnable(since..range.end));
            }
            // A schedule asks whatever the verdict is, and takes the newest rows.
            if self.poison.is_some() && (window + 1) % (WINDOWS / 2) == 0 {
                let all = self.learnable(0..range.end);
                let newest = self.pipeline.training.newest_rows.unwrap_or(u64::MAX) as usize;
                self.train(all[all.len().saturating_sub(newest)..].to_vec());
            }
        }
        let lost = first - self.accuracy(&self.champion.model);
        self.outcome.eroded = u64::from(lost > self.pipeline.promotion.margin);
        self.outcome
    }

    /// Judges a window; notes what is in quarantine.
    fn watch(&mut self, range: std::ops::Range<usize>) -> (String, Verdict, Vec<String>) {
        let (records, champion) = (&self.stream[range.clone()], &mut self.champion);
        let mut profile = Profile::new(&champion.layout);
        for (index, name) in FEATURES.iter().enumerate() {
            let values: Vec<f64> = records.iter().map(|record| record.values[index]).collect();
            profile.observe(name, &values).unwrap();
        }
        let labels: Vec<Option<&str>> = records.iter().map(|record| Some(["0", "1"][record.label])).collect();
        profile.observe_values(LABEL, Values::Categories(&labels), &[]).unwrap();
        let id = PaneId { partition: 0, from_offset: range.start as i64, to_offset: range.end as i64 };
        let mut window = PaneSet::new(&champion.layout, champion.version);
        let pane = Pane { id, model_version: champion.version, profile, rejected: 0, max_event_time: range.end as i64 };
        window.insert(pane).unwrap();
        let report = evaluate(&window, None, &self.policy, &champion.history).unwrap();
        champion.history = report.history.clone();
        champion.onset.advance(&report);
        if report.verdict == Verdict::Quarantine {
            self.outcome.quarantines += 1;
            if let Some(kind) = self.poison {
                self.outcome.quarantines_of[kind as usize] += 1;
            }
            self.quarantined.push(range);
        }
        (report.window_id, report.verdict, report.reasons)
    }

    /// Offsets of a snapshot: without those in quarantine.
    fn learnable(&self, range: std::ops::Range<usize>) -> Vec<usize> {
        range.filter(|offset| !self.quarantined.iter().any(|bad| bad.contains(offset))).collect()
    }

    /// Trains on these offsets, and promotes what the gates let pass.
    fn train(&mut self, offsets: Vec<usize>) {
        let records: Vec<Record> = offsets.iter().map(|&offset| self.stream[offset]).collect();
        let positions: Vec<i64> = offsets.iter().map(|&offset| offset as i64).collect();
        let fitted = fitted(&rows(&records, &positions, 0), &self.pipeline);
        let gates = self.judged(&fitted);
        let promoted = gates.iter().all(|gate| gate.passed);
        self.outcome.challengers += 1;
        if records.iter().any(|record| record.poisoned) {
            self.outcome.tainted += 1;
            self.outcome.tainted_promoted += u64::from(promoted);
            let worse = self.accuracy(&self.champion.model) - self.accuracy(&fitted.model);
            if worse > self.pipeline.promotion.margin {
                self.outcome.poisoned += 1;
                self.outcome.poisoned_promoted += u64::from(promoted);
                if let Some(kind) = self.poison {
                    self.outcome.poisoned_of[kind as usize] += 1;
                }
                let mut refused = gates.iter().filter(|gate| !gate.passed);
                let by_gold = refused.next().is_some_and(|gate| gate.gate.contains("gold")) && refused.next().is_none();
                self.outcome.refused_by_gold_alone += u64::from(by_gold);
            }
        }
        if promoted {
            self.outcome.trials_with_a_new_champion = 1;
            self.champion = Champion {
                version: self.champion.version + 1,
                model: fitted.model,
                layout: reference(&records),
                history: History::default(),
                onset: Onset::default(),
            };
        }
    }

    /// What the gates say of a challenger.
    fn judged(&self, fitted: &Fitted) -> Vec<GateResult> {
        let said = |rows: &Rows| Rival::Answers(answers(&self.champion.model, rows).unwrap());
        let version = self.champion.version;
        let rival = said(&fitted.test);
        let gold =
            Judge { name: "gold".to_owned(), rows: Ok(self.gold.clone()), champion: Some((version, said(&self.gold))) };
        let facts = Facts {
            train: &fitted.train,
            test: &fitted.test,
            model: &fitted.model,
            served: &fitted.model,
            size: 0,
            said: &fitted.said,
            champion: Some((version, &rival)),
            gold: Some(&gold),
        };
        judge(&self.pipeline, &facts)
    }

    fn accuracy(&self, model: &Estimator) -> f64 {
        let of = |target: &driftmill_models::Target| match target {
            driftmill_models::Target::Classes { labels, .. } => labels.to_vec(),
            driftmill_models::Target::Values(_) => Vec::new(),
        };
        accuracy(&of(&self.held_out.target), &of(&answers(model, &self.held_out).unwrap())).unwrap()
    }
}
