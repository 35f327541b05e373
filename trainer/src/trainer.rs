//! Trains the pipelines of this process: one run a pipeline at a time, from its reason to its end.

mod version;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use driftmill_models::{Estimator, Progress};
use driftmill_platform::clickhouse::{Claim, ClickHouse};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::registry::Registry;
use driftmill_schemas::message::{RunEvent, RunState};
use driftmill_schemas::pipeline::Loaded;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::Error;
use crate::gold;
use crate::life::{self, Level, Lives};
use crate::run::Reason;
use crate::snapshot::{self, Since};

/// Lets others have it. One that cannot be given back is nobody's after some seconds.
async fn release(claim: Claim) {
    if let Err(error) = claim.release().await {
        warn!(%error, "whoever comes next waits for some seconds");
    }
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

    /// Whether the run of that reason has ended before.
    pub(crate) async fn is_done(&self, pipeline: &str, reason: &Reason) -> Result<bool, Error> {
        let run = reason.run_id(pipeline);
        let sql = format!(
            "SELECT count() AS count FROM runs WHERE pipeline = '{pipeline}' AND run_id = '{run}' AND state != 'started'"
        );
        Ok(self.clickhouse.row::<Count>(&sql).await?.count > 0)
    }
}
