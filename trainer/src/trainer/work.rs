//! From the rows to a version, and to what becomes of it.

use std::sync::Arc;

use bytes::Bytes;
use driftmill_models::{Estimator, Progress, artifact};
use driftmill_platform::registry::RunSnapshot;
use driftmill_schemas::message::{RunEvent, RunState, StepMetric};
use driftmill_schemas::pipeline::{Loaded, Pipeline};
use tokio::time::Instant;
use tracing::info;

use super::Trainer;
use super::version::card_of;
use crate::champion::Champion;
use crate::fit::{self, fit};
use crate::gates::{Facts, judge};
use crate::gold::Gold;
use crate::halt::Halt;
use crate::life::{self, Level, Life};
use crate::run::Reason;
use crate::searching::Found;
use crate::snapshot::{self, Snapshot};
use crate::{Error, Judge};

/// Steps that are kept of a run: its event must fit into a message.
const MOST_STEPS: usize = 5_000;

/// Keeps what was measured in a step. Members of a fusion, and a fit that is repeated on all rows, have steps of the same
/// numbers: the later ones replace the earlier where they are shown.
fn note(progress: &Progress, at: i64, steps: &mut Vec<StepMetric>) {
    for (name, value) in &progress.metrics {
        if steps.len() < MOST_STEPS && value.is_finite() {
            let step = StepMetric { name: (*name).to_owned(), step: progress.number as u64, value: *value, at };
            steps.push(step);
        }
    }
}

/// The pipeline with the classes that its rows have.
fn with_classes(loaded: &Arc<Loaded>, classes: &[String]) -> Arc<Loaded> {
    if loaded.pipeline.label.classes == classes {
        return Arc::clone(loaded);
    }
    let mut with = Loaded::clone(loaded);
    with.pipeline.label.classes = classes.to_vec();
    Arc::new(with)
}

impl Trainer {
    pub(super) async fn work(
        &self,
        loaded: &Arc<Loaded>,
        reason: &Reason,
        rows: Option<Bytes>,
        given: Option<Estimator>,
        life: &Life<'_>,
        event: &mut RunEvent,
    ) -> Result<(), Error> {
        let pipeline = &loaded.pipeline;
        // A run that was interrupted after it registered its version goes on with that version and what was said of it:
        // another fit would be judged, and this one promoted.
        let registered = self.registry.of_run(&pipeline.name, event.run_id).await?;
        if let Some(version) = registered {
            life.settle();
            event.metrics = version.metrics;
            event.gates = version.gates;
            return self.decide(loaded, reason, event, version.version).await;
        }
        let of_a_file = rows.is_some();
        let snapshot = self.snapshot(pipeline, reason, rows, event).await?;
        life.tell(Level::Info, format!("snapshot {}: {} labelled rows", snapshot.hash, snapshot.rows.len())).await;
        // Which classes there are is known now.
        let loaded = &with_classes(loaded, &snapshot.rows.classes);
        let pipeline = &loaded.pipeline;
        let gold = Gold::of(&self.registry, loaded).await?;
        let held = Gold::held(gold.as_ref(), pipeline);
        let found = match &given {
            None => self.search(loaded, &snapshot, &held, reason, event).await?,
            Some(_) => Found::default(),
        };
        if !found.metrics.is_empty() {
            let best = serde_json::Value::Object(found.params.clone());
            life.tell(Level::Info, format!("searched for hyper-parameters; the best differ in {best}")).await;
        }
        let mut params = reason.params();
        params.extend(found.params);
        let (rows, of) = (snapshot.rows.clone(), Arc::clone(loaded));
        if given.is_none()
            && let Some(version) = self.unchanged(loaded, &snapshot, &params).await?
        {
            info!(pipeline = pipeline.name, version = version.version, "nothing changed since this version: no fit");
            life.tell(Level::Info, format!("nothing has changed since version {}: no fit", version.version)).await;
            life.settle();
            event.metrics = version.metrics;
            event.gates = version.gates;
            return self.decide(loaded, reason, event, version.version).await;
        }
        // Rows of a file are split by their places in it, which another file fills otherwise.
        let continuable = pipeline.training.warm_start.is_some() && given.is_none() && !of_a_file;
        let earlier = match continuable {
            true => Champion::of(&self.registry, loaded).await?,
            false => None,
        };
        let declared = card_of(loaded, &snapshot.hash, params.clone());
        let earlier = earlier.and_then(|champion| champion.into_model(&declared));
        let continues = earlier.as_ref().map(|(version, _)| *version);
        let given_elsewhere = given.is_some();
        let (progress, clock, halt) = (Arc::clone(&self.progress), Arc::clone(&self.clock), Halt::default());
        let signal = halt.signal();
        let fitting = move || {
            let mut steps = Vec::new();
            if let Some(model) = given {
                return (fit::imported(model, &rows, &of.pipeline), steps);
            }
            let earlier = earlier.as_ref().map(|(_, model)| model);
            let fitted = fit(&rows, &of.pipeline, &params, earlier, &held, &mut |step| {
                if let (1, Some(device)) = (step.number, &step.device) {
                    info!(pipeline = of.pipeline.name, device, "training on a graphics card");
                }
                progress(&of.pipeline.name, step);
                note(step, clock.now(), &mut steps);
                signal.flow()
            });
            (fitted, steps)
        };
        let algorithm =
            if given_elsewhere { "a model that was fitted elsewhere" } else { &pipeline.training.algorithm };
        life.tell(Level::Info, format!("fitting {algorithm}{}", life::continuing(continues))).await;
        let began = Instant::now();
        // Seconds of arithmetic: on a thread that may be blocked.
        let (fitted, steps) = tokio::task::spawn_blocking(fitting).await.map_err(|e| Error::Lost(e.to_string()))?;
        event.steps = steps;
        let mut fitted = fitted?;
        fitted.metrics.extend(found.metrics);
        event.metrics = fitted.metrics.clone();
        life.tell(Level::Info, life::fitted(&fitted, began.elapsed())).await;
        let gold = gold.map(|gold| (gold.name, gold.rows));
        let (fitted, gates, before) = loop {
            let before = self.champion_of(pipeline).await?;
            let champion = Champion::of(&self.registry, loaded).await?;
            // The champion is asked, and gates fit models of their own: on a thread that may be blocked.
            let (of, gold) = (Arc::clone(loaded), gold.clone());
            let judging = move || {
                let asked = |rows| champion.as_ref().map(|champion| champion.said_of(rows, &of.pipeline)).transpose();
                let rival = asked(&fitted.test)?.flatten();
                let gold = match gold {
                    Some((name, rows)) => {
                        let champion = rows.as_ref().ok().map(asked).transpose()?.flatten().flatten();
                        Some(Judge { name, rows, champion })
                    }
                    None => None,
                };
                let judged = fitted.judged.as_ref().unwrap_or(&fitted.model);
                let served = &fitted.model;
                let size = artifact::encode(served, &serde_json::Value::Null).map_or(usize::MAX, |bytes| bytes.len());
                let facts = Facts {
                    train: &fitted.train,
                    test: &fitted.test,
                    model: judged,
                    served,
                    size,
                    said: &fitted.said,
                    champion: rival.as_ref().map(|(version, said)| (*version, said)),
                    gold: gold.as_ref(),
                };
                let gates = judge(&of.pipeline, &facts);
                Ok::<_, Error>((fitted, gates))
            };
            let judged = tokio::task::spawn_blocking(judging).await.map_err(|e| Error::Lost(e.to_string()))?;
            let (back, gates) = judged?;
            fitted = back;
            // Trainings on files and promotions by hand go on beside this one.
            match self.champion_of(pipeline).await? {
                now if now == before => break (fitted, gates, before),
                _ => life.tell(Level::Info, "another version has become champion: judging once more").await,
            }
        };
        event.gates = gates;
        life.tell_gates(&event.gates).await;
        life.is_alone().await?;
        life.settle();
        let continues = continues.filter(|_| fitted.continued);
        let version = self.register(loaded, &snapshot, fitted, continues, event).await?;
        life.tell(Level::Info, format!("registered as version {}", version.version)).await;
        if let Some(detail) = self.is_overtaken(pipeline, before, reason).await? {
            event.model_version = Some(version.version);
            event.state = RunState::Refused;
            event.detail = detail;
            return Ok(());
        }
        self.decide(loaded, reason, event, version.version).await
    }

    /// The rows of a run. One that was interrupted while it searched goes on with those that it had.
    pub(super) async fn snapshot(
        &self,
        pipeline: &Pipeline,
        reason: &Reason,
        rows: Option<Bytes>,
        event: &RunEvent,
    ) -> Result<Snapshot, Error> {
        let store = self.registry.store();
        match rows {
            Some(arrow) => snapshot::keep(store, pipeline, arrow).await,
            None => match self.searched_snapshot(pipeline, reason).await? {
                Some(hash) => snapshot::fetch(store, pipeline, &hash).await,
                None => {
                    // Before the rows are: what comes in between is counted as new once more, and never lost.
                    let reached = snapshot::reached(&self.clickhouse, pipeline).await?;
                    // The newest one, also where the clock was put back.
                    let newest = self.registry.newest_snapshot(&pipeline.name).await?;
                    let note = RunSnapshot {
                        pipeline: pipeline.name.clone(),
                        run_id: event.run_id,
                        snapshot: String::new(),
                        rows: 0,
                        reached,
                        at: newest.map_or(i64::MIN, |newest| newest.at + 1).max(self.clock.now()),
                    };
                    // A run that fails here has been a reason for these rows all the same.
                    self.registry.record_snapshot(note.clone()).await?;
                    let taken = snapshot::take(&self.clickhouse, store, pipeline, &reason.since()).await?;
                    let rows = taken.rows.len() as u64;
                    self.registry.record_snapshot(RunSnapshot { snapshot: taken.hash.clone(), rows, ..note }).await?;
                    Ok(taken)
                }
            },
        }
    }

    /// The snapshot that this run has searched on, or the attempts before it.
    pub(super) async fn searched_snapshot(
        &self,
        pipeline: &Pipeline,
        reason: &Reason,
    ) -> Result<Option<String>, Error> {
        for run in reason.attempts(&pipeline.name) {
            if let Some(hash) = self.registry.searched_snapshot(&pipeline.name, run).await? {
                return Ok(Some(hash));
            }
        }
        Ok(None)
    }
}
