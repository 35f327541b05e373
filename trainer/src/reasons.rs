//! The topics that give reasons to train, as stages: a reason is done when its run has ended, and only then are its
//! offsets entered into the ledger.

use std::sync::Arc;

use async_trait::async_trait;
use driftmill_drift::retrain::{Decided, RetrainFacts, RetrainPolicy, Training};
use driftmill_drift::{RetrainDecision, Verdict};
use driftmill_platform::clickhouse::{quote, quote_text};
use driftmill_platform::kafka::MessageBatch;
use driftmill_platform::registry::{CHAMPION, DriftDecision};
use driftmill_platform::stage::{Error as StageError, Output, Stage};
use driftmill_schemas::message::{DRIFTED, DriftEvent, PERFORMANCE, TrainingRequest};
use driftmill_schemas::pipeline::Loaded;
use serde::Deserialize;
use tracing::{info, warn};

use crate::run::Reason;
use crate::{Error, Trainer};

/// Requests of people and programs.
#[derive(Debug)]
pub struct Requests {
    trainer: Arc<Trainer>,
}

impl Requests {
    /// The stage over the trainings topic.
    pub fn new(trainer: Arc<Trainer>) -> Self {
        Self { trainer }
    }
}

const REQUESTS: &str = "trainer.requests";

#[async_trait]
impl Stage for Requests {
    fn name(&self) -> &str {
        REQUESTS
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, StageError> {
        for i in 0..batch.len() {
            let request: TrainingRequest = match serde_json::from_slice(batch.payload(i)) {
                Ok(request) => request,
                Err(error) => {
                    warn!(offset = batch.offsets()[i], %error, "this record is no training request");
                    continue;
                }
            };
            let pipeline = request.pipeline.clone();
            match self.trainer.train(&pipeline, &Reason::of_request(request)).await {
                Ok(_) => {}
                Err(Error::NoPipeline(name)) => warn!(pipeline = name, "asked to train a pipeline that is not here"),
                Err(error) => return Err(waiting(REQUESTS, &error)),
            }
        }
        Ok(Output::default())
    }
}

/// Drift reports of one pipeline.
#[derive(Debug)]
pub struct Reports {
    trainer: Arc<Trainer>,
    name: String,
    pipeline: String,
}

#[derive(clickhouse::Row, Deserialize)]
struct PastRun {
    caused_by: String,
    started: i64,
    ended: i64,
}

#[derive(clickhouse::Row, Deserialize)]
struct Shown {
    count: u64,
}

impl Reports {
    /// The stage over the drift topic of `pipeline`.
    pub fn new(trainer: Arc<Trainer>, pipeline: &str) -> Self {
        Self { trainer, name: format!("trainer.drift.{pipeline}"), pipeline: pipeline.to_owned() }
    }

    /// Trains when the event asks for it and the policy lets it.
    async fn consider(&self, event: DriftEvent) -> Result<(), Error> {
        let Some(loaded) = self.trainer.loaded(&self.pipeline) else { return Ok(()) };
        let policy = &loaded.pipeline.drift;
        // Where the drift of predictions began is not known in offsets of records: it is told, and the records' own drift trains.
        let is_reason = event.stream == "records" || event.stream == PERFORMANCE;
        if event.verdict != DRIFTED || !is_reason || !policy.retrain {
            return Ok(());
        }
        let reason =
            Reason::Drift { window: event.window.clone(), champion: event.model_version, since: event.since.clone() };
        // A run that was interrupted after it registered its version is finished, whoever serves by now: it may be its own
        // model.
        if !self.has_begun(&reason).await? {
            let champion = self.trainer.registry().resolve(&self.pipeline, CHAMPION).await?;
            if champion.map(|version| version.version) != Some(event.model_version) {
                info!(
                    pipeline = self.pipeline,
                    window = event.window,
                    "this drift is from a version that no longer serves"
                );
                return Ok(());
            }
            if self.trainer.is_done(&self.pipeline, &reason).await? {
                return Ok(());
            }
            self.is_shown(&event.window).await?;
            if !self.may_train(loaded, &event, &reason).await? {
                return Ok(());
            }
        }
        self.trainer.train(&self.pipeline, &reason).await.map(|_| ())
    }

    async fn has_begun(&self, reason: &Reason) -> Result<bool, Error> {
        let run = reason.run_id(&self.pipeline);
        Ok(self.trainer.registry().of_run(&self.pipeline, run).await?.is_some())
    }

    /// Asks the policy. Every refusal is final for this window: while the drift lasts, the next window asks again.
    async fn may_train(&self, loaded: &Loaded, event: &DriftEvent, reason: &Reason) -> Result<bool, Error> {
        let declared = &loaded.pipeline.drift;
        let policy = RetrainPolicy {
            cool_down_ms: i64::try_from(declared.cool_down).unwrap_or(i64::MAX / 1000).saturating_mul(1000),
            daily_budget: declared.daily_budget,
            min_rows: declared.retrain_rows,
        };
        let trainings = self.past(reason).await?;
        let facts = RetrainFacts {
            event_id: &event.window,
            verdict: Verdict::Drifted,
            reasons: &event.reasons,
            now_ms: self.trainer.clock().now(),
            trainings: &trainings,
            rows: self.trainer.rows_since(loaded, &reason.since()).await?,
        };
        let decided = Decided::of(&facts, &policy);
        info!(pipeline = self.pipeline, window = event.window, decision = ?decided.decision, "drift");
        self.record(&decided).await?;
        Ok(matches!(decided.decision, RetrainDecision::Train { .. }))
    }

    async fn record(&self, decided: &Decided) -> Result<(), Error> {
        let word = serde_json::to_value(&decided.decision).ok();
        let word = word.and_then(|value| value["decision"].as_str().map(str::to_owned));
        let decision = DriftDecision {
            pipeline: self.pipeline.clone(),
            window: decided.event_id.clone(),
            at: decided.now_ms,
            decision: word.unwrap_or_default(),
            told: decided.decision.told(),
            facts: serde_json::to_string(decided).unwrap_or_default(),
        };
        Ok(self.trainer.registry().record_decision(decision).await?)
    }

    /// Waits until the table shows the window: then it shows the windows before it, too, and those in quarantine among them
    /// are not learned from.
    async fn is_shown(&self, window: &str) -> Result<(), Error> {
        let table = quote(&format!("{}_drift_rows", self.pipeline));
        let sql = format!("SELECT count() AS count FROM {table} WHERE window = {}", quote_text(window));
        if self.trainer.clickhouse().row::<Shown>(&sql).await?.count > 0 {
            return Ok(());
        }
        Err(Error::Behind { pipeline: self.pipeline.clone(), window: window.to_owned() })
    }

    /// Trainings that other drifts started, and what is being rolled out. A run of this very reason is one that was interrupted: it is
    /// to be repeated.
    async fn past(&self, reason: &Reason) -> Result<Vec<Training>, Error> {
        let sql = format!(
            "SELECT any(r.cause) AS caused_by, toUnixTimestamp64Milli(min(r.at)) AS started, \
             toUnixTimestamp64Milli(maxIf(r.at, r.state != 'started')) AS ended FROM runs AS r \
             WHERE pipeline = '{}' AND startsWith(cause, 'drift ') AND run_id != '{}' GROUP BY run_id ORDER BY started DESC \
             LIMIT 1000",
            self.pipeline,
            reason.run_id(&self.pipeline)
        );
        let runs = self.trainer.clickhouse().rows::<PastRun>(&sql).await?;
        let training = |run: PastRun| Training {
            event_id: event_of(&run.caused_by),
            started_ms: run.started,
            // A run without an end is one that this trainer, being the only one of the pipeline, died in: the same
            // reason repeats it, so it does not block others for ever.
            finished_ms: Some(run.ended.max(run.started)),
        };
        let mut trainings: Vec<Training> = runs.into_iter().map(training).collect();
        // What is rolled out is not over, whoever wished it: another training would begin anew what this one is about to end, or take
        // its place before it is known to be good.
        let rollout = self.trainer.registry().rollout(&self.pipeline).await?;
        trainings.extend(rollout.filter(|rollout| rollout.stage.is_open()).map(|rollout| Training {
            event_id: event_of(&rollout.cause),
            started_ms: rollout.begun,
            finished_ms: None,
        }));
        Ok(trainings)
    }
}

#[async_trait]
impl Stage for Reports {
    fn name(&self) -> &str {
        &self.name
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, StageError> {
        for i in 0..batch.len() {
            match serde_json::from_slice::<DriftEvent>(batch.payload(i)) {
                Ok(event) => self.consider(event).await.map_err(|error| waiting(&self.name, &error))?,
                Err(error) => warn!(offset = batch.offsets()[i], %error, "this record is no drift event"),
            }
        }
        Ok(Output::default())
    }
}

/// The drift event that a cause names; empty for another cause.
fn event_of(cause: &str) -> String {
    let mut words = cause.split(' ');
    if words.next() != Some("drift") {
        return String::new();
    }
    words.next().unwrap_or_default().to_owned()
}

fn waiting(stage: &str, error: &Error) -> StageError {
    use driftmill_platform::error::{Retry, Retryable as _};
    let (stage, reason) = (stage.to_owned(), error.to_string());
    match error.retry() {
        Retry::Later => StageError::Waiting { stage, reason },
        Retry::Never => StageError::Stage { stage, reason },
    }
}
