//! One stream of panes, watched window by window. No I/O: what it needs after a restart is its checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftmill_drift::evaluate::evaluate_with;
use driftmill_drift::windowing::Position;
use driftmill_drift::{
    Between, DriftReport, FeatureAlarm, History, Layout, Onset, Pane, PaneId, PaneSet, Policy, Span, Stream, Windows,
    evaluate, pane,
};
use serde::{Deserialize, Serialize};

/// Why a pane cannot be taken into account.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pane does not fit: it is passed over.
    #[error(transparent)]
    Pane(#[from] pane::Error),
    /// The window cannot be judged.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
}

/// What a watch knew after some pane.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// The version whose reference panes were compared with.
    pub model_version: u64,
    /// The profiles' offset from which on panes are needed to fill the open windows again.
    pub from: i64,
    /// The profiles' offset up to which panes had been taken.
    pub next: i64,
    /// Where the windows stood.
    pub position: Position,
    /// The latest judged windows.
    pub history: History,
    /// Where the drift began, if there is one.
    pub onset: Onset,
    /// Per partition, the end of what was judged: panes that a restarted processor sends again count once.
    pub judged: BTreeMap<i32, i64>,
    /// The detectors between windows.
    pub between: Between,
}

/// What a pane brought to light.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Detectors raised an alarm, before any window is full.
    Alarms(Vec<FeatureAlarm>),
    /// A window ended and was judged; with the first offsets of the drift that is going on.
    Judged(Box<DriftReport>, Vec<(i32, i64)>),
}

/// The windows of one stream and model version, and what was judged of them.
#[derive(Debug)]
pub struct Watch {
    windows: Windows,
    history: History,
    onset: Onset,
    judged: BTreeMap<i32, i64>,
    between: Between,
}

impl Watch {
    /// Goes on from a checkpoint, whose panes from `from` to `next` come again by [`keep`](Self::keep); begins anew where that
    /// was made under another version. What was judged stays judged.
    pub fn new(stream: Stream, span: Span, layout: &Arc<Layout>, version: u64, checkpoint: Checkpoint) -> Self {
        let Checkpoint { model_version, position, history, onset, judged, between, .. } = checkpoint;
        let (position, history, onset, between) =
            if model_version == version { (position, history, onset, between) } else { Default::default() };
        Self { windows: Windows::new(span, layout, version, position).of(stream), history, onset, judged, between }
    }

    /// The version watched.
    pub fn model_version(&self) -> u64 {
        self.windows.model_version()
    }

    /// The cells counted over.
    pub fn layout(&self) -> &Arc<Layout> {
        self.windows.layout()
    }

    /// Whether a pane was judged, whole: it comes again because a processor was restarted.
    pub fn is_judged(&self, id: PaneId) -> bool {
        self.judged.get(&id.partition).is_some_and(|judged| id.to_offset <= *judged)
    }

    /// Takes a pane at `offset` of the profiles that an earlier run had taken.
    pub fn keep(&mut self, offset: i64, pane: Pane) -> Result<(), Error> {
        Ok(self.windows.keep(offset, pane)?)
    }

    /// Takes a pane at `offset` of the profiles; returns what it brought to light, alarms first.
    pub fn push(&mut self, offset: i64, pane: Pane, policy: &Policy) -> Result<Vec<Outcome>, Error> {
        let alarms = self.between.advance(self.windows.layout(), &pane);
        let ended = self.windows.push(offset, pane)?;
        let mut outcomes = Vec::new();
        if !alarms.is_empty() {
            outcomes.push(Outcome::Alarms(alarms));
        }
        for window in ended {
            let report = self.judge(&window, policy)?;
            outcomes.push(Outcome::Judged(Box::new(report), self.since()));
        }
        Ok(outcomes)
    }

    fn judge(&mut self, window: &PaneSet, policy: &Policy) -> Result<DriftReport, Error> {
        let policy = policy.at_level(self.layout().calibration().map(|calibrated| calibrated.alpha));
        let alarms: Vec<String> = self.between.alarmed.iter().cloned().collect();
        let report = evaluate_with(window, None, &policy, &self.history, &alarms)?;
        self.history = report.history.clone();
        self.onset.advance(&report);
        if report.verdict.is_judgement() {
            // What is confirmed is known: its detector keeps silent until it has come back.
            let last = self.history.outcomes.last();
            self.between.judged(|name| last.is_some_and(|last| last.confirmed.iter().any(|held| held == name)));
        }
        note_judged(&mut self.judged, &report);
        Ok(report)
    }

    /// The first offsets of the drift that is going on.
    pub fn since(&self) -> Vec<(i32, i64)> {
        self.onset.since.iter().map(|(partition, from)| (*partition, *from)).collect()
    }

    /// The version that a checkpoint is of; none of an empty one.
    pub fn version_of(checkpoint: &Checkpoint) -> Option<u64> {
        (checkpoint.model_version > 0).then_some(checkpoint.model_version)
    }

    /// What to go on from, once the pane before `next` has been taken.
    pub fn checkpoint(&self, next: i64) -> Checkpoint {
        Checkpoint {
            model_version: self.model_version(),
            from: self.windows.oldest().unwrap_or(next).min(next),
            next,
            position: self.windows.position(),
            history: self.history.clone(),
            onset: self.onset.clone(),
            judged: self.judged.clone(),
            between: self.between.clone(),
        }
    }
}

/// Remembers how far a report's window reached in each partition.
pub fn note_judged(judged: &mut BTreeMap<i32, i64>, report: &DriftReport) {
    for range in &report.ranges {
        let end = judged.entry(range.partition).or_insert(range.to_offset);
        *end = (*end).max(range.to_offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftmill_drift::history::{Wanted, calibrate};
    use driftmill_drift::{Profile, ReferenceProfile};

    fn layout() -> Arc<Layout> {
        let x: Vec<f64> = (0..1_000).map(|i| f64::from(i * 389 % 1_000) / 1_000.0).collect();
        let mut reference = ReferenceProfile::build(&[("x", &x)]).unwrap();
        let wanted = Wanted { alpha: 0.05, window_rows: 40, alarms_per_100k: 1.0, seed: 1 };
        calibrate(&mut reference, &[("x", x.as_slice().into())], &wanted).unwrap();
        Layout::new(reference).unwrap()
    }

    fn policy() -> Policy {
        Policy { min_rows: 20, ..Policy::default() }
    }

    fn pane(layout: &Arc<Layout>, version: u64, from: i64, shift: f64) -> Pane {
        let mut profile = Profile::new(layout);
        let values: Vec<f64> = (0..10).map(|i| ((from * 7 + i) % 100) as f64 / 100.0 + shift).collect();
        profile.observe("x", &values).unwrap();
        let id = PaneId { partition: 0, from_offset: from, to_offset: from + 10 };
        Pane { id, model_version: version, profile, rejected: 0, max_event_time: from }
    }

    fn run(watch: &mut Watch, offsets: std::ops::Range<i64>) -> Vec<Outcome> {
        let layout = Arc::clone(watch.layout());
        offsets
            .flat_map(|i| watch.push(i, pane(&layout, 1, i * 10, if i > 20 { 0.6 } else { 0.0 }), &policy()).unwrap())
            .collect()
    }

    #[test]
    fn a_restart_changes_no_verdict_wherever_it_comes() {
        let layout = layout();
        for span in [Span::tumbling(40), Span::Rows { rows: 40, step: 20 }] {
            let mut whole = Watch::new(Stream::Records, span, &layout, 1, Checkpoint::default());
            let all = run(&mut whole, 0..40);
            assert!(all.len() > 8 && !whole.since().is_empty(), "{span:?}");
            assert!(all.iter().any(|outcome| matches!(outcome, Outcome::Alarms(_))), "{span:?}");
            for stop in 1..40 {
                let mut first = Watch::new(Stream::Records, span, &layout, 1, Checkpoint::default());
                let mut seen = run(&mut first, 0..stop);
                let json = serde_json::to_string(&first.checkpoint(stop)).unwrap();
                let checkpoint: Checkpoint = serde_json::from_str(&json).unwrap();
                let from = checkpoint.from;
                let mut second = Watch::new(Stream::Records, span, &layout, 1, checkpoint);
                for i in from..stop {
                    second.keep(i, pane(&layout, 1, i * 10, if i > 20 { 0.6 } else { 0.0 })).unwrap();
                }
                seen.extend(run(&mut second, stop..40));
                assert!(seen == all && second.since() == whole.since(), "{span:?} stopped after {stop}");
            }
        }
    }

    #[test]
    fn another_version_begins_anew_and_what_was_judged_stays_judged() {
        let layout = layout();
        let mut watch = Watch::new(Stream::Records, Span::tumbling(20), &layout, 1, Checkpoint::default());
        assert_eq!(run(&mut watch, 0..2).len(), 1);
        let next = Watch::new(Stream::Records, Span::tumbling(20), &layout, 2, watch.checkpoint(2));
        assert_eq!((next.model_version(), next.history.outcomes.len()), (2, 0));
        assert!(next.is_judged(PaneId { partition: 0, from_offset: 10, to_offset: 20 }));
        assert!(!next.is_judged(PaneId { partition: 0, from_offset: 10, to_offset: 30 }));
    }
}
