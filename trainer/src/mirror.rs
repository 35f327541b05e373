//! Shows runs and models in MLflow, too: two stages over topics, so that a server that is away makes them wait, and not the
//! trainings.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use driftmill_mlflow::{
    Column, ColumnType, Dataset, Error as MlflowError, Gate, Mirror, Model, Retry, Run, Signature, State, StepMetric,
};
use driftmill_models::artifact;
use driftmill_platform::error::{Retry as RetryLater, Retryable as _};
use driftmill_platform::kafka::MessageBatch;
use driftmill_platform::registry::{ModelVersion, Registry};
use driftmill_platform::stage::{Error as StageError, Output, Stage};
use driftmill_schemas::message::{AliasEvent, RunEvent, RunState};
use driftmill_schemas::model::ModelCard;
use driftmill_schemas::pipeline::{FeatureType, Loaded};
use serde_json::json;
use tracing::warn;

use crate::{Error, model_card};

const RUNS: &str = "mlflow.runs";
const ALIASES: &str = "mlflow.aliases";

/// Mirrors runs that have ended.
#[derive(Debug)]
pub struct MirrorRuns {
    mirror: Mirror,
    registry: Registry,
    pipelines: HashMap<String, Arc<Loaded>>,
}

impl MirrorRuns {
    /// The stage over the topic of runs.
    pub fn new(mirror: Mirror, registry: Registry, pipelines: &[Arc<Loaded>]) -> Self {
        let named = pipelines.iter().map(|loaded| (loaded.pipeline.name.clone(), Arc::clone(loaded)));
        Self { mirror, registry, pipelines: named.collect() }
    }

    /// The run with its model, if it made one.
    async fn run(&self, loaded: &Loaded, event: &RunEvent) -> Result<Run, Error> {
        let version = self.registry.of_run(&event.pipeline, event.run_id).await?;
        let mut run = Run {
            run_id: event.run_id,
            pipeline: event.pipeline.clone(),
            name: event.cause.clone(),
            state: match event.state {
                RunState::Started => State::Running,
                RunState::Promoted | RunState::RollingOut => State::Finished,
                RunState::Refused | RunState::RolledBack => State::Refused,
                RunState::Failed | RunState::TimedOut => State::Failed,
            },
            detail: event.detail.clone(),
            started: event.started,
            ended: event.at,
            metrics: event.metrics.clone(),
            tags: BTreeMap::from([("cause".to_owned(), event.cause.clone())]),
            ..Run::default()
        };
        let gate = |gate: &driftmill_schemas::message::GateResult| Gate {
            name: gate.gate.clone(),
            passed: gate.passed,
            detail: gate.detail.clone(),
        };
        run.gates = event.gates.iter().map(gate).collect();
        let step = |step: &driftmill_schemas::message::StepMetric| StepMetric {
            name: step.name.clone(),
            step: i64::try_from(step.step).unwrap_or(i64::MAX),
            value: step.value,
            at: step.at,
        };
        run.steps = event.steps.iter().map(step).collect();
        if let Some(version) = version {
            match self.add_model(loaded, &version, &mut run).await {
                Err(error) if error.retry() == RetryLater::Later => return Err(error),
                Err(error) => {
                    // Written by an earlier build, say: the run is shown without it, and holds up nothing.
                    let (pipeline, version) = (&event.pipeline, version.version);
                    warn!(pipeline, version, %error, "the model cannot be read; its run is mirrored without it");
                }
                Ok(()) => {}
            }
        }
        Ok(run)
    }

    async fn add_model(&self, loaded: &Loaded, version: &ModelVersion, run: &mut Run) -> Result<(), Error> {
        let artifact = self.registry.artifact(version).await?;
        let lost = |reason: String| Error::Lost(reason);
        let (_, header) = artifact::decode(&artifact).map_err(|e| lost(e.to_string()))?;
        let card = ModelCard::from_header(header).map_err(|e| lost(e.to_string()))?;
        run.params = card.params.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        run.params.insert("algorithm".to_owned(), card.algorithm.clone());
        run.params.insert("seed".to_owned(), card.seed.to_string());
        run.tags.insert("code_version".to_owned(), card.code_version.clone());
        run.tags.insert("snapshot".to_owned(), version.snapshot.clone());
        let inputs = columns(&card);
        run.dataset = Some(Dataset {
            name: format!("{} snapshot", version.pipeline),
            digest: version.snapshot.clone(),
            source: format!("sha256/{}", version.snapshot),
            schema: inputs.clone(),
            profile: json!({ "num_rows": version.rows }),
        });
        let answer = if card.classes.is_empty() { ColumnType::Double } else { ColumnType::String };
        let aliases = self.registry.aliases(&version.pipeline).await?;
        run.model = Some(Model {
            version: version.version,
            artifact,
            file_name: format!("{}-v{}.model", version.pipeline, version.version),
            algorithm: card.algorithm.clone(),
            card_markdown: model_card(&loaded.pipeline, version, &card),
            signature: Some(Signature {
                inputs,
                outputs: vec![Column { kind: answer, name: loaded.pipeline.label.field.clone(), required: true }],
            }),
            input_example: None,
            aliases: aliases
                .into_iter()
                .filter(|alias| alias.version == version.version)
                .map(|alias| alias.alias)
                .collect(),
        });
        Ok(())
    }
}

/// The features as MLflow's signature names them.
fn columns(card: &ModelCard) -> Vec<Column> {
    let column = |feature: &driftmill_schemas::pipeline::Feature| Column {
        kind: match feature.kind {
            FeatureType::Number => ColumnType::Double,
            FeatureType::Category | FeatureType::Text => ColumnType::String,
            FeatureType::Image => ColumnType::Binary,
        },
        name: feature.name.clone(),
        required: false,
    };
    card.features.iter().map(column).collect()
}

#[async_trait]
impl Stage for MirrorRuns {
    fn name(&self) -> &str {
        RUNS
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, StageError> {
        for i in 0..batch.len() {
            let Ok(event) = serde_json::from_slice::<RunEvent>(batch.payload(i)) else { continue };
            let Some(loaded) = self.pipelines.get(&event.pipeline).filter(|_| event.state.is_final()) else { continue };
            let run = match self.run(loaded, &event).await {
                Ok(run) => run,
                Err(error) if error.retry() == RetryLater::Later => return Err(waiting(RUNS, &error)),
                Err(error) => {
                    warn!(pipeline = event.pipeline, %error, "this run cannot be mirrored; it is passed over");
                    continue;
                }
            };
            settle(RUNS, &event.pipeline, self.mirror.mirror(&run).await)?;
            // They may have moved while the model was on its way.
            let aliases = self.registry.aliases(&event.pipeline).await.map_err(|error| waiting(RUNS, &error))?;
            for alias in aliases {
                let set = self.mirror.set_alias(&event.pipeline, &alias.alias, alias.version).await;
                settle(RUNS, &event.pipeline, set)?;
            }
        }
        Ok(Output::default())
    }
}

/// Mirrors where aliases point: promotions by hand and roll-backs have no run.
#[derive(Debug)]
pub struct MirrorAliases {
    mirror: Mirror,
}

impl MirrorAliases {
    /// The stage over the topic of aliases.
    pub fn new(mirror: Mirror) -> Self {
        Self { mirror }
    }
}

#[async_trait]
impl Stage for MirrorAliases {
    fn name(&self) -> &str {
        ALIASES
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, StageError> {
        for i in 0..batch.len() {
            let Ok(event) = serde_json::from_slice::<AliasEvent>(batch.payload(i)) else { continue };
            // A version that is not there yet comes with its run, and has its aliases then.
            settle(
                ALIASES,
                &event.pipeline,
                self.mirror.set_alias(&event.pipeline, &event.alias, event.version).await,
            )?;
        }
        Ok(Output::default())
    }
}

/// What the server does not take now waits; what it never takes is told and passed over.
fn settle<T>(stage: &'static str, pipeline: &str, outcome: Result<T, MlflowError>) -> Result<(), StageError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => match error.retry() {
            Retry::Later(_) => Err(waiting(stage, &error)),
            Retry::Never => {
                warn!(pipeline, %error, "MLflow does not take this; it is passed over");
                Ok(())
            }
        },
    }
}

fn waiting(stage: &str, error: &impl ToString) -> StageError {
    StageError::Waiting { stage: stage.to_owned(), reason: error.to_string() }
}
