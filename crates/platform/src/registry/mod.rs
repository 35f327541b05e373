//! The model registry: artifacts by hash in the object store, versions and aliases in ClickHouse, changes announced on a
//! compacted topic that gateways follow. Aliases (`champion`, `challenger`) move; a version never changes.
//!
//! ```text
//! register:  put artifact ─► put reference profile ─► insert the version      (a version that is visible is whole)
//! set alias: insert the alias row ─► announce                                 (a lost announcement is found at restart)
//! ```

mod decisions;
mod follow;
mod gold;
mod releases;
mod rollouts;
mod rows;
mod runs;
mod schedules;
mod searches;

pub use decisions::DriftDecision;
pub use follow::follow;
pub use gold::{GoldSet, NewGoldSet};
pub use releases::Release;
pub use rollouts::{CHALLENGER, Rollout, Stage};
pub use runs::{LogLine, PendingRetry, RUN_ORDER, RunDetail, RunSnapshot, RunSummary};
pub use schedules::{Firing, Switch};
pub use searches::SearchScore;

use std::collections::BTreeMap;

use bytes::Bytes;
use driftmill_schemas::message::{AliasEvent, GateResult, RunEvent};
use driftmill_schemas::topic;
use uuid::Uuid;

use crate::clickhouse::{self, ClickHouse};
use crate::clock::SharedClock;
use crate::error::{Retry, Retryable};
use crate::kafka::{self, Outgoing, Producer};
use crate::store::{self, Store};

use rows::{AliasRow, RunRow, StepRow, VersionRow};

/// The alias of the version that serves.
pub const CHAMPION: &str = "champion";

/// A failed registry call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Metadata.
    #[error(transparent)]
    ClickHouse(#[from] clickhouse::Error),
    /// Artifacts.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Announcements.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// There is no such version.
    #[error(
        "pipeline `{pipeline}` has no model version {version}; `driftmill models list {pipeline}` shows those it has"
    )]
    NoVersion {
        /// The pipeline.
        pipeline: String,
        /// The version.
        version: u64,
    },
    /// A row does not parse.
    #[error("the registry's row of `{pipeline}` version {version} is damaged: {reason}")]
    Damaged {
        /// The pipeline.
        pipeline: String,
        /// The version.
        version: u64,
        /// What is wrong.
        reason: String,
    },
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::ClickHouse(e) => e.retry(),
            Self::Store(e) => e.retry(),
            Self::Kafka(e) => e.retry(),
            Self::NoVersion { .. } | Self::Damaged { .. } => Retry::Never,
        }
    }
}

/// What a training hands over.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The pipeline.
    pub pipeline: String,
    /// The run that made it.
    pub run_id: Uuid,
    /// Name of the algorithm.
    pub algorithm: String,
    /// The encoded model.
    pub artifact: Bytes,
    /// The reference profile of its training rows, as JSON.
    pub reference: Bytes,
    /// Hash of the data snapshot it was fitted on.
    pub snapshot: String,
    /// Rows of the snapshot.
    pub rows: u64,
    /// Metrics on the test rows.
    pub metrics: BTreeMap<String, f64>,
    /// What the gates said.
    pub gates: Vec<GateResult>,
}

/// A registered version.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ModelVersion {
    /// The pipeline.
    pub pipeline: String,
    /// Its number, from 1.
    pub version: u64,
    /// The run that made it.
    pub run_id: Uuid,
    /// Milliseconds since 1970 UTC.
    pub created_at: i64,
    /// Name of the algorithm.
    pub algorithm: String,
    /// Hash of the artifact.
    pub artifact: String,
    /// Hash of the reference profile.
    pub reference: String,
    /// Hash of the data snapshot.
    pub snapshot: String,
    /// Rows of the snapshot.
    pub rows: u64,
    /// Metrics on the test rows.
    pub metrics: BTreeMap<String, f64>,
    /// What the gates said.
    pub gates: Vec<GateResult>,
}

/// Where an alias points, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Alias {
    /// Its name.
    pub alias: String,
    /// The version.
    pub version: u64,
    /// Since when, milliseconds since 1970 UTC.
    pub at: i64,
    /// Orders the moves of one alias.
    pub sequence: u64,
    /// Why it moved there.
    pub reason: String,
}

/// The registry. Clones share connections.
#[derive(Debug, Clone)]
pub struct Registry {
    clickhouse: ClickHouse,
    store: Store,
    producer: Producer,
    clock: SharedClock,
}

impl Registry {
    /// A registry over these.
    pub fn new(clickhouse: ClickHouse, store: Store, producer: Producer, clock: SharedClock) -> Self {
        Self { clickhouse, store, producer, clock }
    }

    /// Keeps a new version and gives it the next number of its pipeline. One trainer per pipeline registers at a time.
    pub async fn register(&self, new: NewVersion) -> Result<ModelVersion, Error> {
        let artifact = self.store.put(new.artifact).await?;
        let reference = self.store.put(new.reference).await?;
        let last = self.versions(&new.pipeline).await?.iter().map(|v| v.version).max().unwrap_or(0);
        let version = ModelVersion {
            pipeline: new.pipeline,
            version: last + 1,
            run_id: new.run_id,
            created_at: self.clock.now(),
            algorithm: new.algorithm,
            artifact,
            reference,
            snapshot: new.snapshot,
            rows: new.rows,
            metrics: new.metrics,
            gates: new.gates,
        };
        self.clickhouse.insert_rows("model_versions", &[VersionRow::from(&version)]).await?;
        Ok(version)
    }

    /// All versions of a pipeline, oldest first.
    pub async fn versions(&self, pipeline: &str) -> Result<Vec<ModelVersion>, Error> {
        let query = self
            .clickhouse
            .client()
            .query("SELECT ?fields FROM model_versions FINAL WHERE pipeline = ? ORDER BY version")
            .bind(pipeline);
        let rows = self.clickhouse.in_time("read model versions", query.fetch_all::<VersionRow>()).await?;
        rows.into_iter().map(VersionRow::into_version).collect()
    }

    /// The version that a training registered, if it did.
    pub async fn of_run(&self, pipeline: &str, run: Uuid) -> Result<Option<ModelVersion>, Error> {
        Ok(self.versions(pipeline).await?.into_iter().find(|version| version.run_id == run))
    }

    /// One version.
    pub async fn version(&self, pipeline: &str, version: u64) -> Result<ModelVersion, Error> {
        let all = self.versions(pipeline).await?;
        all.into_iter()
            .find(|found| found.version == version)
            .ok_or_else(|| Error::NoVersion { pipeline: pipeline.to_owned(), version })
    }

    /// Where the aliases of a pipeline point now.
    pub async fn aliases(&self, pipeline: &str) -> Result<Vec<Alias>, Error> {
        let query = self
            .clickhouse
            .client()
            .query(
                "SELECT ?fields FROM model_aliases WHERE pipeline = ? ORDER BY alias, sequence DESC LIMIT 1 BY alias",
            )
            .bind(pipeline);
        let rows = self.clickhouse.in_time("read model aliases", query.fetch_all::<AliasRow>()).await?;
        Ok(rows.into_iter().map(AliasRow::into_alias).collect())
    }

    /// Where an alias of a pipeline has pointed, the newest first.
    pub async fn history(&self, pipeline: &str, alias: &str) -> Result<Vec<Alias>, Error> {
        let query = self
            .clickhouse
            .client()
            .query("SELECT ?fields FROM model_aliases WHERE pipeline = ? AND alias = ? ORDER BY sequence DESC")
            .bind(pipeline)
            .bind(alias);
        let rows = self.clickhouse.in_time("read model aliases", query.fetch_all::<AliasRow>()).await?;
        Ok(rows.into_iter().map(AliasRow::into_alias).collect())
    }

    /// The version an alias points to.
    pub async fn resolve(&self, pipeline: &str, alias: &str) -> Result<Option<ModelVersion>, Error> {
        match self.aliases(pipeline).await?.into_iter().find(|found| found.alias == alias) {
            Some(found) => self.version(pipeline, found.version).await.map(Some),
            None => Ok(None),
        }
    }

    /// Points an alias to a version and announces it. Pointing it to where it points already changes nothing, but
    /// announces again: that is how a lost announcement is made good.
    pub async fn set_alias(&self, pipeline: &str, alias: &str, version: u64, reason: &str) -> Result<(), Error> {
        let target = self.version(pipeline, version).await?;
        let now = self.clock.now();
        let current = self.aliases(pipeline).await?.into_iter().find(|found| found.alias == alias);
        if current.as_ref().is_none_or(|current| current.version != version) {
            let row = AliasRow {
                pipeline: pipeline.to_owned(),
                alias: alias.to_owned(),
                version,
                at: now,
                // By the clock, and after what was there in any case: clocks of two machines differ.
                sequence: current
                    .map_or(0, |current| current.sequence + 1)
                    .max(u64::try_from(now).unwrap_or_default() << 16),
                reason: reason.to_owned(),
            };
            self.clickhouse.insert_rows("model_aliases", &[row]).await?;
        }
        let event = AliasEvent {
            pipeline: pipeline.to_owned(),
            alias: alias.to_owned(),
            version,
            artifact: target.artifact,
            at: now,
            reason: reason.to_owned(),
        };
        self.announce(topic::MODELS, format!("{pipeline}/{alias}"), &event).await
    }

    /// The encoded model of a version, checked against its hash.
    pub async fn artifact(&self, version: &ModelVersion) -> Result<Bytes, Error> {
        Ok(self.store.get(&version.artifact).await?)
    }

    /// The reference profile of a version, as JSON.
    pub async fn reference(&self, version: &ModelVersion) -> Result<Bytes, Error> {
        Ok(self.store.get(&version.reference).await?)
    }

    /// The object store, for snapshots.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Records a state of a run, and announces it.
    pub async fn record_run(&self, event: &RunEvent) -> Result<(), Error> {
        self.clickhouse.insert_rows("runs", &[RunRow::from(event)]).await?;
        if !event.steps.is_empty() {
            let steps: Vec<StepRow> = event.steps.iter().map(|step| StepRow::of(event, step)).collect();
            self.clickhouse.insert_rows("run_steps", &steps).await?;
        }
        self.announce(topic::RUNS, event.run_id.to_string(), event).await
    }

    async fn announce<T: serde::Serialize>(&self, topic: &str, key: String, message: &T) -> Result<(), Error> {
        let payload = serde_json::to_vec(message).unwrap_or_default();
        let record = Outgoing { key: key.into_bytes(), payload, ..Outgoing::default() };
        self.producer.send(topic, record).await?;
        Ok(())
    }
}
