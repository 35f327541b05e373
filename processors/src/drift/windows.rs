//! The drift stage of one pipeline: its streams of panes, and the events that their windows make.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use driftmill_drift::pane::PaneHeader;
use driftmill_drift::{FeatureAlarm, Pane, Policy, Span, Stream};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::config;
use driftmill_platform::kafka::{MAX_RECORD_BYTES, MessageBatch, Outgoing};
use driftmill_platform::registry::{CHAMPION, Registry};
use driftmill_platform::stage::{Error, Output, Stage, Tally};
use driftmill_schemas::message::{ALARM, DRIFTED, DriftEvent};
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::topic::Topics;
use tracing::{info, warn};

use super::policy::{policy, span};
use super::restore::{StoredPane, restore};
use super::watch::{self, Checkpoint, Outcome, Watch};
use crate::references::{References, failed};

/// How long the state may take to be read back.
const RESTORE_LIMIT: Duration = Duration::from_secs(60);

/// Judges the profiles of one pipeline, window by window: of the records that are ingested, and of the predictions that are
/// served. A window belongs to one model version: the first pane of another version that serves starts a window anew, and
/// panes of versions that do not are passed over.
pub struct DriftWindows {
    name: String,
    loaded: Arc<Loaded>,
    topics: Topics,
    policy: Policy,
    span: Span,
    references: References,
    kafka: config::Kafka,
    clock: SharedClock,
    watches: BTreeMap<Stream, Watch>,
    /// What is known of streams that have no watch yet.
    checkpoints: BTreeMap<Stream, Checkpoint>,
    /// The profile offset up to which everything is judged or in an open window; unknown after a start or an error.
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
        let pipeline = &loaded.pipeline;
        Self {
            name: format!("drift.{}", pipeline.name),
            topics: Topics::of(&pipeline.name),
            policy: policy(&pipeline.drift),
            span: span(&pipeline.drift),
            references: References::new(registry, &pipeline.name),
            loaded,
            kafka,
            clock,
            watches: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            next: None,
            serving: None,
        }
    }

    fn stuck(&self, reason: impl std::fmt::Display) -> Error {
        Error::Stage { stage: self.name.clone(), reason: reason.to_string() }
    }

    /// Rebuilds what this processor knew before it was started: the last verdicts and the open windows.
    ///
    /// Returns the events of windows that end on the way: there are none unless the pipeline file has changed.
    async fn restore(&mut self, first: i64) -> Result<Vec<DriftEvent>, Error> {
        self.watches.clear();
        let reading = restore(&self.kafka, &self.topics.drift, &self.topics.profiles, first);
        let Ok(restored) = tokio::time::timeout(RESTORE_LIMIT, reading).await else {
            let reason = format!("its topics were not read within {RESTORE_LIMIT:?}");
            return Err(Error::Waiting { stage: self.name.clone(), reason });
        };
        let restored = restored?;
        self.checkpoints = restored.checkpoints;
        let mut events = Vec::new();
        for stored in restored.panes {
            let Some(header) = self.header(&stored.payload, stored.offset) else { continue };
            if stored.is_taken {
                self.keep(&header, &stored).await?;
            } else {
                events.extend(self.take(&header, &stored).await?);
            }
        }
        self.next = Some(first.max(restored.next));
        Ok(events)
    }

    /// Whether panes of another version than the watched one are to be counted: only those of the version that serves, which
    /// after a roll-back is the lower number.
    async fn serves(&mut self, version: u64) -> Result<bool, Error> {
        if self.serving.is_none() {
            let champion = self.references.registry().resolve(&self.loaded.pipeline.name, CHAMPION).await;
            let champion = champion.map_err(|error| failed(&self.name, &error))?;
            self.serving = Some(champion.map(|champion| champion.version));
        }
        Ok(self.serving.flatten() == Some(version))
    }

    fn header(&self, payload: &[u8], offset: i64) -> Option<PaneHeader> {
        Pane::peek(payload)
            .inspect_err(|error| warn!(topic = self.topics.profiles, offset, %error, "this record is no pane"))
            .ok()
    }

    /// The watch that a pane belongs to, made where there is none; `None` for panes of versions that are not watched.
    async fn watch(&mut self, header: &PaneHeader) -> Result<Option<&mut Watch>, Error> {
        let watched = self.watches.get(&header.stream).map(Watch::model_version);
        let known = || self.checkpoints.get(&header.stream).and_then(Watch::version_of);
        let current = watched.or_else(known);
        if watched != Some(header.model_version) {
            if current.is_some_and(|current| current != header.model_version)
                && !self.serves(header.model_version).await?
            {
                return Ok(None);
            }
            let found = self.references.of(header.model_version).await;
            let Some(layout) = found.map_err(|error| failed(&self.name, &error))? else { return Ok(None) };
            // What was judged of another version stays judged.
            let checkpoint = match self.watches.get(&header.stream) {
                Some(watch) => watch.checkpoint(0),
                None => self.checkpoints.remove(&header.stream).unwrap_or_default(),
            };
            let watch = Watch::new(header.stream, self.span, &layout, header.model_version, checkpoint);
            self.watches.insert(header.stream, watch);
        }
        Ok(self.watches.get_mut(&header.stream))
    }

    async fn keep(&mut self, header: &PaneHeader, stored: &StoredPane) -> Result<(), Error> {
        let topic = self.topics.profiles.clone();
        let watched = self.watches.get(&header.stream).map(Watch::model_version);
        let of = watched.or_else(|| self.checkpoints.get(&header.stream).and_then(Watch::version_of));
        // Panes of a version before the one of the checkpoint.
        if of.is_some_and(|of| of != header.model_version) {
            return Ok(());
        }
        let Some(watch) = self.watch(header).await? else { return Ok(()) };
        let kept = stored.pane(watch.layout()).map_err(watch::Error::from);
        if let Err(error) = kept.and_then(|pane| watch.keep(stored.offset, pane)) {
            warn!(topic, offset = stored.offset, %error, "this pane cannot be counted");
        }
        Ok(())
    }

    /// Takes a pane; returns the events of the windows that it ends.
    async fn take(&mut self, header: &PaneHeader, stored: &StoredPane) -> Result<Vec<DriftEvent>, Error> {
        let offset = stored.offset;
        let (topic, policy) = (self.topics.profiles.clone(), self.policy.clone());
        let Some(watch) = self.watch(header).await? else { return Ok(Vec::new()) };
        if watch.is_judged(header.id) {
            return Ok(Vec::new());
        }
        let pane = match stored.pane(watch.layout()) {
            Ok(pane) => pane,
            Err(error) => {
                warn!(topic, offset, %error, "this pane cannot be counted");
                return Ok(Vec::new());
            }
        };
        let before = self.checkpoint(offset);
        let Some(watch) = self.watches.get_mut(&header.stream) else { return Ok(Vec::new()) };
        match watch.push(offset, pane, &policy) {
            Ok(outcomes) => {
                let after = self.checkpoint(offset + 1);
                let last = outcomes.len();
                let event = |(i, outcome): (usize, Outcome)| {
                    // What is followed by another outcome of the same pane says that the pane is still to be taken.
                    let (next, checkpoint) = if i + 1 == last { (offset + 1, &after) } else { (offset, &before) };
                    self.event(header, &outcome, next, checkpoint)
                };
                outcomes.into_iter().enumerate().map(event).collect()
            }
            Err(watch::Error::Pane(error)) => {
                warn!(topic, offset, %error, "this pane cannot be counted");
                Ok(Vec::new())
            }
            Err(error @ watch::Error::Evaluate(_)) => Err(self.stuck(error)),
        }
    }

    /// What to go on from, of every stream, once the pane before `next` has been taken.
    fn checkpoint(&self, next: i64) -> BTreeMap<Stream, Checkpoint> {
        let mut checkpoints = self.checkpoints.clone();
        // A stream that needs no pane of the past is not to pin one.
        for checkpoint in checkpoints.values_mut().filter(|checkpoint| checkpoint.from >= checkpoint.next) {
            (checkpoint.from, checkpoint.next) = (next, next);
        }
        checkpoints.extend(self.watches.iter().map(|(stream, watch)| (*stream, watch.checkpoint(next))));
        checkpoints
    }

    fn event(
        &self,
        header: &PaneHeader,
        outcome: &Outcome,
        next_profile: i64,
        checkpoint: &BTreeMap<Stream, Checkpoint>,
    ) -> Result<DriftEvent, Error> {
        let mut event = DriftEvent {
            window: String::new(),
            pipeline: self.loaded.pipeline.name.clone(),
            at: self.clock.now(),
            model_version: header.model_version,
            verdict: ALARM.to_owned(),
            rows: 0,
            reasons: Vec::new(),
            since: Vec::new(),
            next_profile,
            report: serde_json::Value::Null,
            stream: header.stream.name().to_owned(),
            checkpoint: serde_json::to_value(checkpoint).map_err(|e| self.stuck(e))?,
        };
        match outcome {
            Outcome::Judged(report, since) => {
                let verdict = serde_json::to_value(report.verdict).ok();
                event.verdict = verdict.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
                event.window = report.window_id.clone();
                event.rows = report.rows;
                event.reasons = report.reasons.clone();
                event.report = serde_json::to_value(report).map_err(|e| self.stuck(e))?;
                if event.verdict == DRIFTED {
                    event.since.clone_from(since);
                }
            }
            Outcome::Alarms(alarms) => {
                // Evidence of these rows, of this version: the same pane raises the same alarm again.
                event.window = format!("alarm-{}-v{}-{}", event.stream, header.model_version, header.id);
                event.rows = alarms.iter().map(|found| found.alarm.since).max().unwrap_or(0);
                event.reasons = alarms.iter().map(FeatureAlarm::told).collect();
                event.report = serde_json::json!({ "pane": header.id, "alarms": alarms });
            }
        }
        let DriftEvent { pipeline, stream, verdict, rows, .. } = &event;
        info!(pipeline, stream, verdict, rows, why = event.reasons.join("; "), "drift");
        Ok(event)
    }

    fn send(&self, event: DriftEvent, output: &mut Output) -> Result<(), Error> {
        let key = event.window.clone().into_bytes();
        let payload = payload_of(event).map_err(|e| self.stuck(e))?;
        output.records.push((self.topics.drift.clone(), Outgoing { key, payload, ..Outgoing::default() }));
        Ok(())
    }

    async fn advance(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        let first = batch.offsets().first().copied().unwrap_or_default();
        // The first batch, one after an error, or one of a partition that was elsewhere meanwhile.
        let mut missed = Vec::new();
        if self.next.is_none_or(|next| first > next) {
            missed = self.restore(first).await?;
        }
        let mut output = Output::default();
        missed.into_iter().try_for_each(|event| self.send(event, &mut output))?;
        let mut tally = Tally::default();
        for i in 0..batch.len() {
            tally.rows += 1;
            let offset = batch.offsets()[i];
            if self.next.is_some_and(|next| offset < next) {
                continue;
            }
            let (at, payload) = (batch.timestamps()[i], batch.payload(i).to_vec());
            let events = match self.header(&payload, offset) {
                Some(header) => self.take(&header, &StoredPane { offset, at, payload, is_taken: false }).await?,
                None => Vec::new(),
            };
            events.into_iter().try_for_each(|event| self.send(event, &mut output))?;
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

/// An event as it is sent: without the cells of its features, which are there to be looked at, where it would be too large.
fn payload_of(mut event: DriftEvent) -> serde_json::Result<Vec<u8>> {
    let payload = serde_json::to_vec(&event)?;
    if payload.len() <= MAX_RECORD_BYTES {
        return Ok(payload);
    }
    let features = event.report.get_mut("features").and_then(serde_json::Value::as_array_mut);
    for feature in features.into_iter().flatten().filter_map(serde_json::Value::as_object_mut) {
        feature.remove("cells");
    }
    let payload = serde_json::to_vec(&event)?;
    if payload.len() <= MAX_RECORD_BYTES {
        return Ok(payload);
    }
    // The verdict and what the next start needs: features by the thousand are to be found in the panes.
    let ranges = event.report.get("ranges").cloned().unwrap_or_default();
    event.report = serde_json::json!({ "ranges": ranges, "too_large": true });
    event.reasons.truncate(REASONS_KEPT);
    serde_json::to_vec(&event)
}

/// Reasons that an event keeps which would be too large with all of them.
const REASONS_KEPT: usize = 50;
