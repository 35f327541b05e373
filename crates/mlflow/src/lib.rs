//! Mirrors training runs and models to a real MLflow server, through its REST API, so that they look at home there.
//!
//! ```text
//! experiment ─► run, with its tag ─► params, tags, dataset ─► logged model, with its tag ─► metrics ─► files ─► model is ready
//!            ─► log ─► registered version, with its tag ─► aliases ─► the run ends
//! ```
//!
//! Everything that is made is made together with the tag `driftmill.run_id`, and looked for by it before it is made: a run
//! that is mirrored again, because the process died in the middle or the server was away, goes on where it stopped and is
//! never there twice. That holds for one mirror of a run at a time; two at once may each find nothing and make it.
//!
//! Nothing here waits or tries again: an [`Error`] says whether that makes sense, and the caller has a queue.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
mod error;
mod http;
mod mlmodel;
mod names;
mod registry;
mod run;
mod settings;
#[cfg(test)]
mod tests;
mod tracking;

pub use error::{Error, Retry, Said};
pub use run::{Column, ColumnType, Dataset, Gate, InputExample, Mirrored, Model, Run, Signature, State, StepMetric};
pub use settings::MlflowSettings;

use bytes::Bytes;
use tracing::debug;

/// The tag by which all of a run is found again.
pub const RUN_TAG: &str = "driftmill.run_id";
/// The tag with our number of a version.
pub const VERSION_TAG: &str = "driftmill.version";
/// The run's log, among its files.
const LOG: &str = "logs/driftmill.log";

/// A mirror of our runs on one MLflow server. Clones share connections.
#[derive(Debug, Clone)]
pub struct Mirror {
    client: http::Client,
}

impl Mirror {
    /// A mirror on this server. Asks it nothing yet.
    pub fn new(settings: &MlflowSettings) -> Result<Self, Error> {
        Ok(Self { client: http::Client::new(settings)? })
    }

    /// Shows the run, and what it made, in MLflow as they are now. What is there already stays; what is missing is added.
    pub async fn mirror(&self, run: &Run) -> Result<Mirrored, Error> {
        let client = &self.client;
        let experiment = tracking::experiment(client, &run.pipeline).await?;
        let mlflow = tracking::run(client, &experiment, run).await?;
        let run_id = &mlflow.info.run_id;
        debug!(run = %run.run_id, mlflow = run_id, pipeline = run.pipeline, "mirroring");
        tracking::texts(client, &mlflow, run).await?;
        if let Some(dataset) = &run.dataset {
            tracking::dataset(client, &mlflow, dataset).await?;
        }
        let logged = match &run.model {
            Some(model) => Some((model, registry::logged_model(client, &experiment, run_id, run, model).await?)),
            None => None,
        };
        let model_id = logged.as_ref().map(|(_, logged)| logged.info.model_id.clone());
        tracking::metrics(client, &mlflow, run, model_id.as_deref()).await?;
        if let Some((model, logged)) = &logged {
            registry::upload(client, run_id, logged, run, model).await?;
        }
        if let Some(log) = &run.logs {
            let what = format!("run {}", run.run_id);
            client.upload(&what, &mlflow.info.artifact_uri, LOG, Bytes::from(log.clone())).await?;
        }
        let model_version = match &logged {
            Some((model, logged)) => Some(self.register(&mlflow, &logged.info.model_id, run, model).await?),
            None => None,
        };
        tracking::end(client, &mlflow, run).await?;
        Ok(Mirrored { experiment_id: experiment, run_id: run_id.clone(), model_id, model_version })
    }

    async fn register(
        &self,
        mlflow: &tracking::MlflowRun,
        model_id: &str,
        run: &Run,
        model: &Model,
    ) -> Result<String, Error> {
        if !mlflow.made(model_id) {
            let last = run.steps.iter().map(|step| step.step).max().unwrap_or_default();
            tracking::output(&self.client, mlflow, model_id, last).await?;
        }
        let version = registry::version(&self.client, &mlflow.info.run_id, model_id, run, model).await?;
        for alias in &model.aliases {
            registry::point(&self.client, &run.pipeline, alias, &version).await?;
        }
        Ok(version)
    }

    /// Points an alias to our version of a pipeline's model, as after a promotion by hand or a roll-back. `false` when MLflow
    /// does not have that version (yet): its run is to be mirrored first.
    pub async fn set_alias(&self, pipeline: &str, alias: &str, version: u64) -> Result<bool, Error> {
        match registry::number(&self.client, pipeline, version).await? {
            Some(number) => registry::point(&self.client, pipeline, alias, &number).await.map(|()| true),
            None => Ok(false),
        }
    }
}
