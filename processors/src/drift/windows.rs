//! The drift stage of one pipeline: tumbling windows by count.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use driftmill_drift::{DriftReport, Layout, Pane, PaneSet, Policy, ReferenceProfile, evaluate};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::config;
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_platform::kafka::{MessageBatch, Outgoing};
use driftmill_platform::registry::{self, Registry};
use driftmill_platform::stage::{Error, Output, Stage, Tally};
use driftmill_schemas::message::{DRIFTED, DriftEvent, WARNING};
use driftmill_schemas::pipeline::{DriftPolicy, Loaded};
use driftmill_schemas::topic::Topics;
use tracing::{info, warn};

use super::restore::restore;

/// Judges the profiles of one pipeline, window by window. A window belongs to one model version; panes of an older
/// version than the newest seen are passed over, and the first of a newer one starts a window anew.
pub struct DriftWindows {
    name: String,
    loaded: Arc<Loaded>,
    topics: Topics,
    policy: Policy,
    registry: Registry,
    kafka: config::Kafka,
    clock: SharedClock,
    window: Option<PaneSet>,
    recent: VecDeque<DriftEvent>,
    restored: bool,
}

impl std::fmt::Debug for DriftWindows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DriftWindows").field("name", &self.name).finish_non_exhaustive()
    }
}

impl DriftWindows {
    /// The stage of `loaded`.
    pub fn new(loaded: Arc<Loaded>, registry: Registry, kafka: config::Kafka, clock: SharedClock) -> Self {
        Self {
            name: format!("drift.{}", loaded.pipeline.name),
            topics: Topics::of(&loaded.pipeline.name),
            policy: policy(&loaded.pipeline.drift),
            loaded,
            registry,
            kafka,
            clock,
            window: None,
            recent: VecDeque::new(),
            restored: false,
        }
    }

    fn stuck(&self, reason: impl std::fmt::Display) -> Error {
        Error::Stage { stage: self.name.clone(), reason: reason.to_string() }
    }

    /// Rebuilds what this processor knew before it was started: the last verdicts and the open window.
    async fn restore(&mut self, first: i64) -> Result<(), Error> {
        let events = i64::from(self.loaded.pipeline.drift.of_windows.max(2));
        let restored = restore(&self.kafka, &self.topics.drift, &self.topics.profiles, events, first).await?;
        self.recent = restored.events.into();
        for (offset, payload) in restored.panes {
            // Every window that was full is among the events: replayed panes fill only the one that was open.
            self.take(&payload, offset).await?;
        }
        self.restored = true;
        Ok(())
    }

    /// Adds a pane; returns the event of the window it completes.
    async fn take(&mut self, payload: &[u8], offset: i64) -> Result<Option<DriftEvent>, Error> {
        let header = match Pane::peek(payload) {
            Ok(header) => header,
            Err(error) => {
                warn!(topic = self.topics.profiles, offset, %error, "this record is no pane");
                return Ok(None);
            }
        };
        let current = self.window.as_ref().map(PaneSet::model_version);
        if current.is_some_and(|current| header.model_version < current) {
            return Ok(None);
        }
        if current != Some(header.model_version) {
            let layout = self.layout(header.model_version).await?;
            self.recent.retain(|event| event.model_version == header.model_version);
            self.window = Some(PaneSet::new(&layout, header.model_version));
        }
        let Some(window) = &mut self.window else { return Ok(None) };
        let inserted = Pane::from_json(window.layout(), payload).and_then(|pane| window.insert(pane));
        if let Err(error) = inserted {
            warn!(topic = self.topics.profiles, offset, %error, "this pane cannot be counted");
            return Ok(None);
        }
        if window.rows() + window.rejected() < self.loaded.pipeline.drift.window_rows {
            return Ok(None);
        }
        self.judge(offset).map(Some)
    }

    /// Judges the open window, which ends with the pane at `offset`, and opens the next.
    fn judge(&mut self, offset: i64) -> Result<DriftEvent, Error> {
        let Some(window) = self.window.take() else { return Err(self.stuck("there is no open window")) };
        self.window = Some(PaneSet::new(window.layout(), window.model_version()));
        let history = self
            .recent
            .back()
            .and_then(|event| serde_json::from_value::<DriftReport>(event.report.clone()).ok())
            .map(|report| report.history)
            .unwrap_or_default();
        let report = evaluate(&window, None, &self.policy, &history).map_err(|e| self.stuck(e))?;
        let verdict = serde_json::to_value(report.verdict).ok().and_then(|v| v.as_str().map(str::to_owned));
        let mut event = DriftEvent {
            window: report.window_id.clone(),
            pipeline: self.loaded.pipeline.name.clone(),
            at: self.clock.now(),
            model_version: report.model_version,
            verdict: verdict.unwrap_or_default(),
            rows: report.rows,
            reasons: report.reasons.clone(),
            since: Vec::new(),
            next_profile: offset + 1,
            report: serde_json::to_value(&report).map_err(|e| self.stuck(e))?,
        };
        if event.verdict == DRIFTED {
            let events: Vec<&DriftEvent> = self.recent.iter().chain([&event]).collect();
            event.since = since(&events);
        }
        info!(
            pipeline = event.pipeline,
            verdict = event.verdict,
            rows = event.rows,
            why = event.reasons.join("; "),
            "window"
        );
        self.recent.push_back(event.clone());
        while self.recent.len() > self.loaded.pipeline.drift.of_windows.max(2) as usize {
            self.recent.pop_front();
        }
        Ok(event)
    }

    async fn layout(&self, version: u64) -> Result<Arc<Layout>, Error> {
        let failed = |error: registry::Error| match error.retry() {
            Retry::Later => Error::Waiting { stage: self.name.clone(), reason: error.to_string() },
            Retry::Never => self.stuck(error),
        };
        let version = self.registry.version(&self.loaded.pipeline.name, version).await.map_err(failed)?;
        let json = self.registry.reference(&version).await.map_err(failed)?;
        let reference: ReferenceProfile = serde_json::from_slice(&json).map_err(|e| self.stuck(e))?;
        Layout::new(reference).map_err(|e| self.stuck(e))
    }
}

#[async_trait]
impl Stage for DriftWindows {
    fn name(&self) -> &str {
        &self.name
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        if !self.restored {
            self.restore(batch.offsets().first().copied().unwrap_or_default()).await?;
        }
        let mut output = Output::default();
        let mut tally = Tally::default();
        for i in 0..batch.len() {
            tally.rows += 1;
            if let Some(event) = self.take(batch.payload(i), batch.offsets()[i]).await? {
                let record = Outgoing {
                    key: event.window.clone().into_bytes(),
                    payload: serde_json::to_vec(&event).map_err(|e| self.stuck(e))?,
                    ..Outgoing::default()
                };
                output.records.push((self.topics.drift.clone(), record));
            }
        }
        output.tallies.insert(0, tally);
        Ok(output)
    }
}

/// Where the drift that `events` end with began: the first offset, by partition, that a new model should learn from. What
/// an earlier window of the same drift said stays; otherwise it is the second of the unbroken run of moved windows,
/// because the first holds rows from before the drift as well.
fn since(events: &[&DriftEvent]) -> Vec<(i32, i64)> {
    let run = events.iter().rev().take_while(|event| event.verdict == DRIFTED || event.verdict == WARNING).count();
    let run = &events[events.len() - run..];
    if let Some(known) = run.iter().find(|event| !event.since.is_empty()) {
        return known.since.clone();
    }
    let first = run.get(1).or(run.first());
    let report = first.and_then(|event| serde_json::from_value::<DriftReport>(event.report.clone()).ok());
    let mut since: Vec<(i32, i64)> = Vec::new();
    for range in report.into_iter().flat_map(|report| report.ranges) {
        match since.iter_mut().find(|(partition, _)| *partition == range.partition) {
            Some((_, from)) => *from = (*from).min(range.from_offset),
            None => since.push((range.partition, range.from_offset)),
        }
    }
    since
}

/// The thresholds of the pipeline file in the drift library's terms.
fn policy(declared: &DriftPolicy) -> Policy {
    Policy {
        alpha: declared.alpha,
        ks_effect: declared.ks_effect,
        psi_threshold: declared.psi_threshold,
        min_rows: (declared.window_rows / 2).max(1),
        missing_surge: declared.missing_surge,
        rejects_surge: declared.rejects_surge,
        confirm_windows: declared.windows as usize,
        of_windows: declared.of_windows as usize,
        ..Policy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftmill_drift::{PaneId, Profile};

    fn event(verdict: &str, from: i64) -> DriftEvent {
        let reference = ReferenceProfile::build(&[("x", &[1.0, 2.0, 3.0])]).unwrap();
        let layout = Layout::new(reference).unwrap();
        let mut window = PaneSet::new(&layout, 1);
        for partition in 0..2 {
            let id = PaneId { partition, from_offset: from, to_offset: from + 10 };
            let pane = Pane { id, model_version: 1, profile: Profile::new(&layout), rejected: 0, max_event_time: 0 };
            window.insert(pane).unwrap();
        }
        let report = evaluate(&window, None, &Policy::default(), &Default::default()).unwrap();
        DriftEvent {
            window: from.to_string(),
            pipeline: "p".to_owned(),
            at: 0,
            model_version: 1,
            verdict: verdict.to_owned(),
            rows: 20,
            reasons: Vec::new(),
            since: Vec::new(),
            next_profile: 0,
            report: serde_json::to_value(report).unwrap(),
        }
    }

    #[test]
    fn a_drift_begins_after_the_window_that_holds_both_sides() {
        let events = [event("stable", 0), event(WARNING, 10), event(DRIFTED, 20), event(DRIFTED, 30)];
        assert_eq!(since(&events.iter().collect::<Vec<_>>()), [(0, 20), (1, 20)]);
        let sudden = [event("stable", 0), event(DRIFTED, 10)];
        assert_eq!(since(&sudden.iter().collect::<Vec<_>>()), [(0, 10), (1, 10)]);
    }

    #[test]
    fn a_drift_that_goes_on_keeps_its_beginning() {
        let mut events = [event(DRIFTED, 20), event(DRIFTED, 30), event(DRIFTED, 40)];
        events[0].since = vec![(0, 7)];
        assert_eq!(since(&events.iter().collect::<Vec<_>>()), [(0, 7)]);
    }
}
