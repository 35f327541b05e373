//! The drift stage of one pipeline: tumbling windows by count.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use driftmill_drift::{DriftReport, Layout, Pane, PaneSet, Policy, ReferenceProfile, evaluate};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::config;
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_platform::kafka::{MessageBatch, Outgoing};
use driftmill_platform::registry::{self, CHAMPION, Registry};
use driftmill_platform::stage::{Error, Output, Stage, Tally};
use driftmill_schemas::message::{DRIFTED, DriftEvent, WARNING};
use driftmill_schemas::pipeline::{DriftPolicy, Loaded};
use driftmill_schemas::topic::Topics;
use tracing::{info, warn};

use super::restore::restore;

/// How long the state may take to be read back.
const RESTORE_LIMIT: Duration = Duration::from_secs(60);

/// Judges the profiles of one pipeline, window by window. A window belongs to one model version: the first
/// pane of another version that serves starts a window anew, and panes of versions that do not are passed over.
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
    /// Per raw partition, the end of what was judged: panes that a restarted ingest sends again count once.
    judged: BTreeMap<i32, i64>,
    /// The profile offset up to which everything is judged or in the open window; unknown after a start or an error.
    next: Option<i64>,
    /// The version that serves, asked once a batch.
    serving: Option<Option<u64>>,
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
            judged: BTreeMap::new(),
            next: None,
            serving: None,
        }
    }

    fn stuck(&self, reason: impl std::fmt::Display) -> Error {
        Error::Stage { stage: self.name.clone(), reason: reason.to_string() }
    }

    /// Rebuilds what this processor knew before it was started: the last verdicts and the open window.
    async fn restore(&mut self, first: i64) -> Result<(), Error> {
        let events = i64::from(self.loaded.pipeline.drift.of_windows.max(2));
        (self.window, self.judged) = (None, BTreeMap::new());
        let reading = restore(&self.kafka, &self.topics.drift, &self.topics.profiles, events, first);
        let Ok(restored) = tokio::time::timeout(RESTORE_LIMIT, reading).await else {
            let reason = format!("its topics were not read within {RESTORE_LIMIT:?}");
            return Err(Error::Waiting { stage: self.name.clone(), reason });
        };
        let restored = restored?;
        self.recent = restored.events.into();
        for event in &self.recent {
            if let Ok(report) = serde_json::from_value::<DriftReport>(event.report.clone()) {
                note_judged(&mut self.judged, &report);
            }
        }
        let after = self.recent.back().map_or(0, |event| event.next_profile);
        for (offset, payload) in restored.panes {
            // Every window that was full is among the events: replayed panes fill only the one that was open.
            self.take(&payload, offset).await?;
        }
        self.next = Some(first.max(after));
        Ok(())
    }

    /// Whether panes of another version than the open window's are to be counted: only those of the version that serves,
    /// which after a roll-back is the lower number.
    async fn serves(&mut self, version: u64) -> Result<bool, Error> {
        if self.serving.is_none() {
            let champion = self.registry.resolve(&self.loaded.pipeline.name, CHAMPION).await;
            let champion = champion.map_err(|error| self.failed(error))?;
            self.serving = Some(champion.map(|champion| champion.version));
        }
        Ok(self.serving.flatten() == Some(version))
    }

    fn failed(&self, error: registry::Error) -> Error {
        match error.retry() {
            Retry::Later => Error::Waiting { stage: self.name.clone(), reason: error.to_string() },
            Retry::Never => self.stuck(error),
        }
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
        if self.judged.get(&header.id.partition).is_some_and(|judged| header.id.to_offset <= *judged) {
            return Ok(None);
        }
        if current != Some(header.model_version) {
            if current.is_some() && !self.serves(header.model_version).await? {
                return Ok(None);
            }
            let Some(layout) = self.layout(header.model_version).await? else { return Ok(None) };
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
        note_judged(&mut self.judged, &report);
        self.recent.push_back(event.clone());
        while self.recent.len() > self.loaded.pipeline.drift.of_windows.max(2) as usize {
            self.recent.pop_front();
        }
        Ok(event)
    }

    /// The reference of a version; `None` when the registry does not have it (any more), which one pane must not stop us by.
    async fn layout(&self, version: u64) -> Result<Option<Arc<Layout>>, Error> {
        let found = async {
            let version = self.registry.version(&self.loaded.pipeline.name, version).await?;
            self.registry.reference(&version).await
        };
        let json = match found.await {
            Ok(json) => json,
            Err(error) if error.retry() == Retry::Later => return Err(self.failed(error)),
            Err(error) => {
                warn!(pipeline = self.loaded.pipeline.name, version, %error, "panes of this version are passed over");
                return Ok(None);
            }
        };
        let reference: ReferenceProfile = serde_json::from_slice(&json).map_err(|e| self.stuck(e))?;
        Layout::new(reference).map(Some).map_err(|e| self.stuck(e))
    }

    async fn advance(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        let first = batch.offsets().first().copied().unwrap_or_default();
        // The first batch, one after an error, or one of a partition that was elsewhere meanwhile.
        if self.next.is_none_or(|next| first > next) {
            self.restore(first).await?;
        }
        let mut output = Output::default();
        let mut tally = Tally::default();
        for i in 0..batch.len() {
            tally.rows += 1;
            let offset = batch.offsets()[i];
            if self.next.is_some_and(|next| offset < next) {
                continue;
            }
            if let Some(event) = self.take(batch.payload(i), offset).await? {
                let record = Outgoing {
                    key: event.window.clone().into_bytes(),
                    payload: serde_json::to_vec(&event).map_err(|e| self.stuck(e))?,
                    ..Outgoing::default()
                };
                output.records.push((self.topics.drift.clone(), record));
            }
            self.next = Some(offset + 1);
        }
        output.tallies.insert(0, tally);
        Ok(output)
    }
}

#[async_trait]
impl Stage for DriftWindows {
    fn name(&self) -> &str {
        &self.name
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        self.serving = None;
        let outcome = self.advance(batch).await;
        if outcome.is_err() {
            // Windows that this attempt completed were not sent: everything is rebuilt from the topics.
            self.next = None;
        }
        outcome
    }
}

/// Remembers how far a report's window reached in each partition.
fn note_judged(judged: &mut BTreeMap<i32, i64>, report: &DriftReport) {
    for range in &report.ranges {
        let end = judged.entry(range.partition).or_insert(range.to_offset);
        *end = (*end).max(range.to_offset);
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
