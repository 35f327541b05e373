//! A policy tried on what was: stored panes go through the same windows and detectors, judged by another policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftmill_drift::retrain::{RetrainFacts, RetrainPolicy, Training};
use driftmill_drift::{
    DriftReport, FeatureAlarm, Layout, Pane, Policy, RetrainDecision, Stream, Verdict, decide_retrain,
};
use driftmill_schemas::pipeline::DriftPolicy;
use serde::Serialize;

use super::policy::{policy, retraining, span};
use super::watch::{Checkpoint, Error, Outcome, Watch};

/// What happened at one pane of the past.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// When its pane was published, milliseconds since 1970 UTC.
    pub at: i64,
    /// What was watched.
    pub stream: Stream,
    /// The version it was compared with.
    pub model_version: u64,
    /// The verdict, or `alarm`.
    pub verdict: String,
    /// Records of the window.
    pub rows: u64,
    /// Why.
    pub reasons: Vec<String>,
    /// What would have been decided of a confirmed drift.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<RetrainDecision>,
}

/// One policy over the past.
#[derive(Debug)]
pub struct Rehearsal {
    declared: DriftPolicy,
    policy: Policy,
    watches: BTreeMap<Stream, Watch>,
    trainings: Vec<Training>,
    /// Rows since the drift that is going on began.
    drifting: u64,
    moments: Vec<Moment>,
    passed_over: u64,
    /// Panes in a row of a version lower than the one watched.
    lower: u32,
}

/// So many panes in a row of a lower version are a roll-back; fewer are those of the version that was just replaced.
const ROLLED_BACK: u32 = 4;

impl Rehearsal {
    /// Nothing has happened yet.
    pub fn new(declared: DriftPolicy) -> Self {
        let (watches, trainings, moments) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { policy: policy(&declared), declared, watches, trainings, drifting: 0, moments, passed_over: 0, lower: 0 }
    }

    /// Takes the pane at `offset`, which was published at `at`, counted over `layout`.
    ///
    /// Versions follow each other as they did: another version begins its windows anew. The last panes of the version before it,
    /// which was still counted against for a moment, are passed over; after a roll-back there are more of them.
    ///
    /// # Errors
    /// A policy out of range; windows of too many rows.
    pub fn take(
        &mut self,
        offset: i64,
        at: i64,
        stream: Stream,
        layout: &Arc<Layout>,
        pane: Pane,
    ) -> Result<(), Error> {
        let version = pane.model_version;
        match self.watches.get(&stream).map(Watch::model_version) {
            Some(current) if current == version => self.lower = 0,
            Some(current) if version < current && self.lower + 1 < ROLLED_BACK => {
                self.lower += 1;
                self.passed_over += 1;
                return Ok(());
            }
            _ => {
                self.lower = 0;
                let checkpoint =
                    self.watches.get(&stream).map_or_else(Checkpoint::default, |watch| watch.checkpoint(0));
                let watch = Watch::new(stream, span(&self.declared), layout, version, checkpoint);
                self.watches.insert(stream, watch);
            }
        }
        let Some(watch) = self.watches.get_mut(&stream) else { return Ok(()) };
        if watch.is_judged(pane.id) {
            return Ok(());
        }
        match watch.push(offset, pane, &self.policy) {
            Ok(outcomes) => outcomes.into_iter().for_each(|outcome| self.note(at, stream, version, outcome)),
            Err(Error::Pane(_)) => self.passed_over += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn note(&mut self, at: i64, stream: Stream, model_version: u64, outcome: Outcome) {
        let moment = match outcome {
            Outcome::Alarms(alarms) => Moment {
                at,
                stream,
                model_version,
                verdict: "alarm".to_owned(),
                rows: alarms.iter().map(|found| found.alarm.since).max().unwrap_or(0),
                reasons: alarms.iter().map(FeatureAlarm::told).collect(),
                decision: None,
            },
            Outcome::Judged(report, _) => {
                let decision = (stream == Stream::Records).then(|| self.decide(at, &report)).flatten();
                let verdict = serde_json::to_value(report.verdict).ok();
                Moment {
                    at,
                    stream,
                    model_version,
                    verdict: verdict.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default(),
                    rows: report.rows,
                    reasons: report.reasons,
                    decision,
                }
            }
        };
        self.moments.push(moment);
    }

    /// What would have been decided. A training that would have begun takes no time, and every row has its label.
    fn decide(&mut self, at: i64, report: &DriftReport) -> Option<RetrainDecision> {
        match report.verdict {
            Verdict::Warning | Verdict::Drifted => self.drifting += report.rows,
            Verdict::Stable => self.drifting = 0,
            Verdict::TooFewRows | Verdict::Quarantine => {}
        }
        if report.verdict != Verdict::Drifted || !self.declared.retrain {
            return None;
        }
        let facts = RetrainFacts {
            event_id: &report.window_id,
            verdict: report.verdict,
            reasons: &[],
            now_ms: at,
            trainings: &self.trainings,
            rows: self.drifting,
        };
        let limits: RetrainPolicy = retraining(&self.declared);
        let decision = decide_retrain(&facts, &limits);
        if matches!(decision, RetrainDecision::Train { .. }) {
            let event_id = report.window_id.clone();
            self.trainings.push(Training { event_id, started_ms: at, finished_ms: Some(at) });
        }
        Some(decision)
    }

    /// What happened, in order, and how many panes fitted no window.
    pub fn finish(self) -> (Vec<Moment>, u64) {
        (self.moments, self.passed_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftmill_drift::{PaneId, Profile, ReferenceProfile};

    fn moments(declared: DriftPolicy) -> Vec<Moment> {
        let x: Vec<f64> = (0..2_000).map(|i| f64::from(i * 389 % 2_000) / 2_000.0).collect();
        let layout = Layout::new(ReferenceProfile::build(&[("x", &x)]).unwrap()).unwrap();
        let mut rehearsal = Rehearsal::new(declared);
        for i in 0..60 {
            let mut profile = Profile::new(&layout);
            // From the twentieth pane on everything is larger by a half.
            let values: Vec<f64> =
                (0..50).map(|k| x[((i * 50 + k) * 7 % 2_000) as usize] + if i >= 20 { 0.5 } else { 0.0 }).collect();
            profile.observe("x", &values).unwrap();
            let id = PaneId { partition: 0, from_offset: i * 50, to_offset: i * 50 + 50 };
            let pane = Pane { id, model_version: 1, profile, rejected: 0, max_event_time: i };
            rehearsal.take(i, i * 1_000, Stream::Records, &layout, pane).unwrap();
        }
        rehearsal.finish().0
    }

    fn trainings(moments: &[Moment]) -> usize {
        moments.iter().filter(|moment| matches!(moment.decision, Some(RetrainDecision::Train { .. }))).count()
    }

    #[test]
    fn a_roll_back_is_followed_and_the_last_panes_of_the_version_before_are_passed_over() {
        let x: Vec<f64> = (0..500).map(f64::from).collect();
        let layout = Layout::new(ReferenceProfile::build(&[("x", &x)]).unwrap()).unwrap();
        let mut rehearsal = Rehearsal::new(DriftPolicy { window_rows: 100, ..DriftPolicy::default() });
        // Version 2 serves, two late panes of version 1 follow; then version 1 serves again.
        let versions = [1, 1, 2, 1, 1, 2, 2, 1, 1, 1, 1, 1, 1];
        for (i, version) in versions.into_iter().enumerate() {
            let mut profile = Profile::new(&layout);
            profile.observe("x", &x[..100]).unwrap();
            let i = i as i64;
            let id = PaneId { partition: 0, from_offset: i * 100, to_offset: i * 100 + 100 };
            let pane = Pane { id, model_version: version, profile, rejected: 0, max_event_time: i };
            rehearsal.take(i, i, Stream::Records, &layout, pane).unwrap();
        }
        let (moments, passed_over) = rehearsal.finish();
        let judged: Vec<u64> =
            moments.iter().filter(|moment| moment.verdict != "alarm").map(|moment| moment.model_version).collect();
        assert_eq!((judged, passed_over), (vec![1, 1, 2, 2, 2, 1, 1, 1], 5));
    }

    #[test]
    fn policies_differ_in_what_they_would_have_done() {
        let base = DriftPolicy { window_rows: 200, retrain_rows: 400, cool_down: 10, ..DriftPolicy::default() };
        let usual = moments(base.clone());
        assert_eq!(usual.iter().filter(|moment| moment.verdict == "stable").count(), 5);
        let first =
            |moments: &[Moment]| moments.iter().find(|moment| moment.verdict == "drifted").map(|found| found.at);
        assert_eq!(first(&usual), Some(27_000), "two windows of four panes confirm it");
        let eager = moments(DriftPolicy { windows: 1, of_windows: 1, retrain_rows: 200, ..base.clone() });
        assert_eq!(first(&eager), Some(23_000));
        assert_eq!(trainings(&eager), 4, "one, and another after each cool-down while the drift lasts");
        let patient = moments(DriftPolicy { cool_down: 3_600, ..base.clone() });
        assert_eq!(trainings(&patient), 1);
        assert_eq!(trainings(&moments(DriftPolicy { retrain: false, ..base })), 0);
    }
}
