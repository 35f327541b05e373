//! The port to the registry: what the gateway asks of it.

use async_trait::async_trait;
use bytes::Bytes;
use driftmill_platform::registry::{Alias, CHAMPION, Error, ModelVersion, Registry, Rollout, RunDetail, RunSummary};
use uuid::Uuid;

/// Versions, aliases and artifacts. Every call may be repeated.
#[async_trait]
pub(crate) trait Catalog: Send + Sync {
    /// The version that shall serve; `None` when the pipeline has no champion yet.
    async fn champion(&self, pipeline: &str) -> Result<Option<ModelVersion>, Error>;
    /// The newest step of its newest rollout, whether it goes on or has ended.
    async fn rollout(&self, pipeline: &str) -> Result<Option<Rollout>, Error>;
    /// One version.
    async fn version(&self, pipeline: &str, version: u64) -> Result<ModelVersion, Error>;
    /// The encoded model of a version, checked against its hash.
    async fn artifact(&self, version: &ModelVersion) -> Result<Bytes, Error>;
    /// All versions of a pipeline, oldest first.
    async fn versions(&self, pipeline: &str) -> Result<Vec<ModelVersion>, Error>;
    /// Where its aliases point.
    async fn aliases(&self, pipeline: &str) -> Result<Vec<Alias>, Error>;
    /// Makes `version` the champion and announces it.
    async fn promote(&self, pipeline: &str, version: u64, reason: &str) -> Result<(), Error>;
    /// The newest trainings of a pipeline, the newest first.
    async fn runs(&self, pipeline: &str, limit: u32) -> Result<Vec<RunSummary>, Error>;
    /// All of one training; `None` when there is none of that id.
    async fn run(&self, pipeline: &str, id: Uuid) -> Result<Option<RunDetail>, Error>;
}

#[async_trait]
impl Catalog for Registry {
    async fn champion(&self, pipeline: &str) -> Result<Option<ModelVersion>, Error> {
        self.resolve(pipeline, CHAMPION).await
    }

    async fn rollout(&self, pipeline: &str) -> Result<Option<Rollout>, Error> {
        Registry::rollout(self, pipeline).await
    }

    async fn version(&self, pipeline: &str, version: u64) -> Result<ModelVersion, Error> {
        Registry::version(self, pipeline, version).await
    }

    async fn artifact(&self, version: &ModelVersion) -> Result<Bytes, Error> {
        Registry::artifact(self, version).await
    }

    async fn versions(&self, pipeline: &str) -> Result<Vec<ModelVersion>, Error> {
        Registry::versions(self, pipeline).await
    }

    async fn aliases(&self, pipeline: &str) -> Result<Vec<Alias>, Error> {
        Registry::aliases(self, pipeline).await
    }

    async fn promote(&self, pipeline: &str, version: u64, reason: &str) -> Result<(), Error> {
        self.set_alias(pipeline, CHAMPION, version, reason).await
    }

    async fn runs(&self, pipeline: &str, limit: u32) -> Result<Vec<RunSummary>, Error> {
        Registry::runs(self, Some(pipeline), limit).await
    }

    async fn run(&self, pipeline: &str, id: Uuid) -> Result<Option<RunDetail>, Error> {
        match self.runs_called(pipeline, &id.to_string()).await?.pop() {
            Some(summary) => self.run_detail(summary).await.map(Some),
            None => Ok(None),
        }
    }
}
