//! One training, from its reason to its verdict.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use driftmill_models::{Estimator, Progress, artifact};
use driftmill_platform::clickhouse::{Claim, ClickHouse};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::registry::{CHAMPION, ModelVersion, NewVersion, Registry, RunSnapshot};
use driftmill_schemas::message::{RunEvent, RunState, StepMetric};
use driftmill_schemas::model::{CARD_FORMAT, ModelCard};
use driftmill_schemas::pipeline::{Loaded, Pipeline};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::champion::Champion;
use crate::fit::{self, Fitted, fit};
use crate::gates::{Facts, judge};
use crate::gold::{self, Gold};
use crate::halt::Halt;
use crate::life::{self, Level, Life, Lives};
use crate::run::Reason;
use crate::searching::Found;
use crate::snapshot::{self, Since, Snapshot};
use crate::{Error, Judge, reference, rollout};

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

/// What a model of the pipeline says of itself.
fn card_of(loaded: &Loaded, snapshot: &str, params: serde_json::Map<String, serde_json::Value>) -> ModelCard {
    let pipeline = &loaded.pipeline;
    // How it was split and judged. These always serialise.
    let mut how = serde_json::to_vec(&(&pipeline.training.made(), &pipeline.promotion)).unwrap_or_default();
    // The reference that is kept with the model hangs on it.
    if !pipeline.drift.seasonal.is_empty() {
        how.extend(serde_json::to_vec(&pipeline.drift.seasonal).unwrap_or_default());
    }
    ModelCard {
        format: CARD_FORMAT,
        pipeline: pipeline.name.clone(),
        features: pipeline.features.clone(),
        schema: loaded.schema.text.clone(),
        classes: pipeline.label.classes.clone(),
        positive: pipeline.label.positive.clone(),
        algorithm: pipeline.training.algorithm.clone(),
        params,
        seed: pipeline.training.seed,
        snapshot: snapshot.to_owned(),
        entity: pipeline.entity.clone(),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        definition: hex::encode(Sha256::digest(how)),
        imported: false,
        judged: None,
        continues: None,
    }
}

/// A card without what only its own fit could know: the twin that judged it, and the model that it continues.
fn as_declared(mut card: ModelCard, wanted: &ModelCard) -> ModelCard {
    if card.continues.take().is_some() {
        match wanted.params.get(fit::ROUNDS) {
            Some(rounds) => card.params.insert(fit::ROUNDS.to_owned(), rounds.clone()),
            None => card.params.remove(fit::ROUNDS),
        };
    }
    ModelCard { judged: None, ..card }
}

/// Lets others have it. One that cannot be given back is nobody's after some seconds.
async fn release(claim: Claim) {
    if let Err(error) = claim.release().await {
        warn!(%error, "whoever comes next waits for some seconds");
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

/// How often a pipeline without a model is looked at, and one that another process trains.
const LOOK: Duration = Duration::from_secs(1);

/// Is told of a step of the fit of a pipeline.
pub(crate) type Listener = dyn Fn(&str, &Progress) + Send + Sync;

/// Trains the pipelines of this process, one run a pipeline at a time.
pub struct Trainer {
    pipelines: HashMap<String, (Arc<Loaded>, Mutex<()>)>,
    clickhouse: ClickHouse,
    registry: Registry,
    clock: SharedClock,
    progress: Arc<Listener>,
    lives: Lives,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Count {
    count: u64,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer").field("pipelines", &self.pipelines.keys()).finish_non_exhaustive()
    }
}

impl Trainer {
    /// A trainer of these pipelines.
    pub fn new(pipelines: Vec<Arc<Loaded>>, clickhouse: ClickHouse, registry: Registry, clock: SharedClock) -> Self {
        let pipelines =
            pipelines.into_iter().map(|loaded| (loaded.pipeline.name.clone(), (loaded, Mutex::new(())))).collect();
        let progress = Arc::new(|pipeline: &str, step: &Progress| {
            debug!(pipeline, step = step.step, number = step.number, metrics = ?step.metrics, device = step.device, "fitting");
        });
        Self { pipelines, clickhouse, registry, clock, progress, lives: Lives::default() }
    }

    /// The same trainer, which tells `listener` of every step of a fit, with the pipeline's name. It is called on the thread
    /// that fits.
    pub fn telling(self, listener: impl Fn(&str, &Progress) + Send + Sync + 'static) -> Self {
        Self { progress: Arc::new(listener), ..self }
    }

    pub(crate) fn loaded(&self, pipeline: &str) -> Option<&Arc<Loaded>> {
        self.pipelines.get(pipeline).map(|(loaded, _)| loaded)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        self.pipelines.values().map(|(loaded, _)| loaded)
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn clickhouse(&self) -> &ClickHouse {
        &self.clickhouse
    }

    pub(crate) fn listener(&self) -> &Arc<Listener> {
        &self.progress
    }

    pub(crate) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Labelled rows of a pipeline since `since`.
    pub(crate) async fn rows_since(&self, loaded: &Loaded, since: &Since) -> Result<u64, Error> {
        snapshot::count(&self.clickhouse, &loaded.pipeline, since).await
    }

    /// Trains every pipeline that has enough rows and never had a run, as soon as it has; until `cancel` fires.
    pub async fn train_the_untrained(&self, cancel: CancellationToken) -> Result<(), Error> {
        let mut waiting: Vec<&Arc<Loaded>> = self.pipelines.values().map(|(loaded, _)| loaded).collect();
        while !waiting.is_empty() && !cancel.is_cancelled() {
            let mut still = Vec::new();
            for loaded in waiting {
                match self.train_if_untrained(loaded).await {
                    Ok(true) => {}
                    Ok(false) => still.push(loaded),
                    Err(error) => {
                        warn!(pipeline = loaded.pipeline.name, %error, "looking again later");
                        still.push(loaded);
                    }
                }
            }
            waiting = still;
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    /// True when the pipeline has had a run, this one or another.
    async fn train_if_untrained(&self, loaded: &Loaded) -> Result<bool, Error> {
        let pipeline = &loaded.pipeline;
        if self.is_done(pipeline.name.as_str(), &Reason::First).await? {
            return Ok(true);
        }
        match self.registry.versions(&pipeline.name).await?.as_slice() {
            [] => {}
            // Interrupted once it had its version: its run ends with that.
            [only] if only.run_id == Reason::First.run_id(&pipeline.name) => {
                self.train(&pipeline.name, &Reason::First).await?;
                return Ok(true);
            }
            _ => return Ok(true),
        }
        if self.rows_since(loaded, &Since::Newest).await? < pipeline.training.min_rows {
            return Ok(false);
        }
        self.train(&pipeline.name, &Reason::First).await?;
        Ok(true)
    }

    /// Trains one pipeline for one reason. `None` when that reason was dealt with before. An error is one that trying
    /// again may cure; everything else is the state of the run.
    pub async fn train(&self, pipeline: &str, reason: &Reason) -> Result<Option<RunEvent>, Error> {
        self.train_on(pipeline, reason, None).await
    }

    /// Like [`Self::train`], on rows from elsewhere instead of the feature table: an Arrow IPC stream with `_partition`,
    /// `_offset`, `event_time`, `label` and the features.
    pub async fn train_on(
        &self,
        pipeline: &str,
        reason: &Reason,
        rows: Option<Bytes>,
    ) -> Result<Option<RunEvent>, Error> {
        self.run(pipeline, reason, rows, None).await
    }

    /// Registers a model that was fitted elsewhere, judged by rows that it has not seen (as [`Self::train_on`] takes them); its
    /// gates decide whether it is promoted.
    pub async fn import(
        &self,
        pipeline: &str,
        reason: &Reason,
        model: Estimator,
        rows: Bytes,
    ) -> Result<Option<RunEvent>, Error> {
        self.run(pipeline, reason, Some(rows), Some(model)).await
    }

    async fn run(
        &self,
        pipeline: &str,
        reason: &Reason,
        rows: Option<Bytes>,
        given: Option<Estimator>,
    ) -> Result<Option<RunEvent>, Error> {
        let Some((loaded, alone)) = self.pipelines.get(pipeline) else {
            return Err(Error::NoPipeline(pipeline.to_owned()));
        };
        let _alone = alone.lock().await;
        if self.was_done(pipeline, reason).await? {
            return Ok(None);
        }
        // What a person trains on a file is nobody else's reason, and may take long.
        if rows.is_some() {
            return self.run_claimed(loaded, reason, rows, given, None).await;
        }
        // One process trains a pipeline at a time: the others find then that the reason was dealt with.
        let claim = self.claim(&format!("training of {pipeline}")).await?;
        let ended = self.run_claimed(loaded, reason, rows, given, Some(&claim)).await;
        release(claim).await;
        ended
    }

    async fn was_done(&self, pipeline: &str, reason: &Reason) -> Result<bool, Error> {
        let done = self.is_done(pipeline, reason).await?;
        if done {
            self.lives.end(reason.run_id(pipeline));
            info!(pipeline, cause = reason.cause(), "this reason was dealt with before");
        }
        Ok(done)
    }

    /// Waits until no other process has the right to do `what`.
    async fn claim(&self, what: &str) -> Result<Claim, Error> {
        let (mut told, mut pause) = (false, LOOK);
        loop {
            if let Some(claim) = Claim::of(&self.clickhouse, what).await? {
                return Ok(claim);
            }
            if !told {
                info!(what, "another process is at it, or ended while it was: waiting");
                told = true;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK * 5);
        }
    }

    async fn run_claimed(
        &self,
        loaded: &Arc<Loaded>,
        reason: &Reason,
        rows: Option<Bytes>,
        given: Option<Estimator>,
        claim: Option<&Claim>,
    ) -> Result<Option<RunEvent>, Error> {
        let pipeline = loaded.pipeline.name.as_str();
        if self.was_done(pipeline, reason).await? {
            return Ok(None);
        }
        let mut event = RunEvent {
            run_id: reason.run_id(pipeline),
            cause: reason.cause(),
            request_id: reason.request_id(),
            pipeline: pipeline.to_owned(),
            at: self.clock.now(),
            state: RunState::Started,
            detail: reason.cause(),
            metrics: Default::default(),
            model_version: None,
            gates: Vec::new(),
            started: self.clock.now(),
            steps: Vec::new(),
            attempt: reason.attempt(),
        };
        self.registry.record_run(&event).await?;
        info!(pipeline, run = %event.run_id, cause = event.cause, "training");
        let training = &loaded.pipeline.training;
        let by_hand = rows.is_some();
        let life = self.lives.of(event.run_id, pipeline, claim, &self.registry, &self.clock);
        if life.is_new() {
            life.tell(Level::Info, life::beginning(reason, training, by_hand)).await;
        } else if self.registry.of_run(pipeline, event.run_id).await?.is_some() {
            life.settle();
        }
        let work = self.work(loaded, reason, rows, given, &life, &mut event);
        let outcome = life.in_time(life::limit(training, by_hand), work).await;
        life.ended(outcome, training, reason, by_hand, &mut event).await?;
        if event.state != RunState::RollingOut {
            event.at = self.clock.now();
        }
        life.tell_end(&event).await;
        self.registry.record_run(&event).await?;
        self.lives.end(event.run_id);
        gold::freeze_after(&self.registry, loaded).await;
        info!(pipeline, run = %event.run_id, state = ?event.state, detail = event.detail, version = event.model_version, "trained");
        Ok(Some(event))
    }

    async fn work(
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
    async fn snapshot(
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
    async fn searched_snapshot(&self, pipeline: &Pipeline, reason: &Reason) -> Result<Option<String>, Error> {
        for run in reason.attempts(&pipeline.name) {
            if let Some(hash) = self.registry.searched_snapshot(&pipeline.name, run).await? {
                return Ok(Some(hash));
            }
        }
        Ok(None)
    }

    /// The newest version that the same code made of the same rows, features and parameters: fitting again would make the
    /// same model.
    async fn unchanged(
        &self,
        loaded: &Loaded,
        snapshot: &Snapshot,
        overrides: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Option<ModelVersion>, Error> {
        let mut params = loaded.pipeline.training.params.clone();
        params.extend(overrides.clone());
        let versions = self.registry.versions(&loaded.pipeline.name).await?;
        let newest = versions.into_iter().rev().find(|version| version.snapshot == snapshot.hash);
        let Some(version) = newest else { return Ok(None) };
        // Its gates were asked against the champion of that day: against another one they must be asked again.
        let champion = self.registry.resolve(&loaded.pipeline.name, CHAMPION).await?;
        // One that does not serve may do so by the gold set of today.
        let gold = self.registry.gold_history(&loaded.pipeline.name).await?;
        let other_gold = gold.first().is_some_and(|gold| gold.at >= version.created_at);
        if champion.as_ref().map_or(other_gold, |champion| champion.version != version.version) {
            return Ok(None);
        }
        // One that cannot be read is made anew.
        let bytes = self.registry.artifact(&version).await?;
        let card = artifact::decode(&bytes).ok().and_then(|(_, header)| ModelCard::from_header(header).ok());
        let wanted = card_of(loaded, &snapshot.hash, params);
        let same = card.is_some_and(|card| as_declared(card, &wanted) == wanted);
        Ok(same.then_some(version))
    }

    async fn champion_of(&self, pipeline: &Pipeline) -> Result<Option<u64>, Error> {
        Ok(self.registry.champions(&pipeline.name).await?.map(|(champion, _)| champion.version))
    }

    /// Why a version cannot take over that was judged while `before` was champion, if it is not any more.
    async fn is_overtaken(
        &self,
        pipeline: &Pipeline,
        before: Option<u64>,
        reason: &Reason,
    ) -> Result<Option<String>, Error> {
        let now = self.champion_of(pipeline).await?;
        let Some(now) = now.filter(|now| Some(*now) != before && !reason.forced()) else { return Ok(None) };
        Ok(Some(format!(
            "version {now} became champion while this one was registered, which was not compared with it: train again, \
             or promote it by hand"
        )))
    }

    /// Lets a registered version take over, unless a gate refused it and nobody insists.
    async fn decide(&self, loaded: &Loaded, reason: &Reason, event: &mut RunEvent, version: u64) -> Result<(), Error> {
        event.model_version = Some(version);
        let refusals: Vec<String> = event
            .gates
            .iter()
            .filter(|gate| !gate.passed)
            .map(|gate| format!("not {}: {}", gate.gate, gate.detail))
            .collect();
        if !refusals.is_empty() && !reason.forced() {
            event.state = RunState::Refused;
            event.detail = refusals.join("; ");
            return Ok(());
        }
        event.detail = event.cause.clone();
        let at_once = loaded.pipeline.rollout.is_direct() || reason.forced() || reason.direct();
        let champion = self.registry.champions(&event.pipeline).await?.map(|(champion, _)| champion);
        match champion.filter(|champion| !at_once && champion.version != version) {
            Some(champion) => {
                event.state = RunState::RollingOut;
                // Said before it begins: what its rollout says comes later.
                event.at = self.clock.now();
                self.registry.record_run(event).await?;
                let challenger = self.registry.version(&event.pipeline, version).await?;
                let (registry, clickhouse) = (&self.registry, &self.clickhouse);
                {
                    let of = (event.run_id, event.cause.as_str());
                    rollout::begin(registry, clickhouse, loaded, &challenger, &champion, of, self.clock.now()).await
                }
            }
            // Nobody to compare with, or nobody who waits for it.
            None => {
                event.state = RunState::Promoted;
                Ok(self.registry.set_alias(&event.pipeline, CHAMPION, version, &event.cause).await?)
            }
        }
    }

    async fn register(
        &self,
        loaded: &Loaded,
        snapshot: &Snapshot,
        fitted: Fitted,
        continues: Option<u64>,
        event: &RunEvent,
    ) -> Result<ModelVersion, Error> {
        let pipeline = &loaded.pipeline;
        let mut card = card_of(loaded, &snapshot.hash, fitted.params.clone());
        card.imported = fitted.imported;
        card.continues = continues;
        if fitted.imported {
            card.algorithm = fitted.model.algorithm().to_owned();
        }
        let lost = |e: String| Error::Lost(e);
        if let Some(judged) = &fitted.judged {
            let header = serde_json::to_value(&card).map_err(|e| lost(e.to_string()))?;
            let artifact = artifact::encode(judged, &header).map_err(|e| lost(e.to_string()))?;
            let kept = self.registry.store().put(artifact.into()).await;
            card.judged = Some(kept.map_err(driftmill_platform::registry::Error::from)?);
        }
        let header = serde_json::to_value(&card).map_err(|e| lost(e.to_string()))?;
        let artifact = artifact::encode(&fitted.model, &header).map_err(|e| lost(e.to_string()))?;
        // Sorts every column: the other tasks of this thread move elsewhere meanwhile.
        let reference = tokio::task::block_in_place(|| reference::of(pipeline, &snapshot.rows, &fitted));
        let reference = reference.map_err(lost)?;
        let new = NewVersion {
            pipeline: pipeline.name.clone(),
            run_id: event.run_id,
            algorithm: card.algorithm.clone(),
            artifact: artifact.into(),
            reference: reference.into(),
            snapshot: snapshot.hash.clone(),
            rows: snapshot.rows.len() as u64,
            metrics: fitted.metrics,
            gates: event.gates.clone(),
        };
        // Trainings on files go on beside others, and versions are numbered one after the other.
        let claim = self.claim(&format!("versions of {}", pipeline.name)).await?;
        let registered = self.registry.register(new).await;
        release(claim).await;
        Ok(registered?)
    }

    /// Whether the run of that reason has ended before.
    pub(crate) async fn is_done(&self, pipeline: &str, reason: &Reason) -> Result<bool, Error> {
        let run = reason.run_id(pipeline);
        let sql = format!(
            "SELECT count() AS count FROM runs WHERE pipeline = '{pipeline}' AND run_id = '{run}' AND state != 'started'"
        );
        Ok(self.clickhouse.row::<Count>(&sql).await?.count > 0)
    }
}
