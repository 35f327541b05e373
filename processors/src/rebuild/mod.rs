//! Makes features anew from the raw topic, beside the live ones, and puts them in force.
//!
//! ```text
//! raw topic, part of it ─► the ingest stage ─► <p>_features_v<n>_rows ─► compared ─► in force: one change of a view
//!            every chunk is entered into the ledger, so a run that was killed goes on
//! ```
//! The processors go on all the while: they write the live table, which the view shows outside of the rebuilt offsets.

mod compare;
mod place;
mod swap;

pub use compare::Comparison;
pub use place::{Place, ranges};

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::backoff::Backoff;
use driftmill_platform::clickhouse::{self, Claim, ClickHouse, FeatureVersion, Ledger, LedgerEntry, Offsets, quote};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::config;
use driftmill_platform::error::{Retry, Retryable};
use driftmill_platform::kafka::{self, Coverage, Fetcher, MessageBatch, OffsetRange, Position, Producer};
use driftmill_platform::metrics::Metrics;
use driftmill_platform::schemas::Schemas;
use driftmill_platform::stage::{self, Output, token};
use driftmill_schemas::pipeline::{KnownIn, Loaded, Rule};
use driftmill_schemas::topic::Topics;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::ingest::champion::Known;
use crate::ingest::{AddedColumns, Ingest, IngestMetrics, Needs, TopicHistory};

/// Why features cannot be made anew now.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ClickHouse.
    #[error(transparent)]
    ClickHouse(#[from] clickhouse::Error),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// The ingest stage.
    #[error(transparent)]
    Stage(#[from] stage::Error),
    /// It was stopped.
    #[error("stopped; the same command goes on from here")]
    Stopped,
    /// There is nothing to be done, or it cannot be done; why, and what to do.
    #[error("{0}")]
    Impossible(String),
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::ClickHouse(e) => e.retry(),
            Self::Kafka(e) => e.retry(),
            Self::Stage(e) => e.retry(),
            Self::Stopped | Self::Impossible(_) => Retry::Never,
        }
    }
}

/// Adapters that are needed.
#[derive(Clone)]
pub struct Services {
    /// Where the raw topic is.
    pub kafka: config::Kafka,
    /// Where the tables are.
    pub clickhouse: ClickHouse,
    /// Sends letters of what is refused now.
    pub producer: Producer,
    /// Where schemas are that messages name.
    pub schemas: Schemas,
    /// Dates versions.
    pub clock: SharedClock,
}

/// A version that is being made.
pub struct Rebuild {
    loaded: Arc<Loaded>,
    services: Services,
    topic: String,
    version: FeatureVersion,
    claim: Arc<Claim>,
    ledger: Ledger,
    ingest: Ingest,
    fetcher: Fetcher,
}

impl std::fmt::Debug for Rebuild {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rebuild").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Names what rows are made by: whatever of a pipeline decides which record becomes which row. A set of known values that is
/// asked for in ClickHouse may be another one every time, so then no two are the same: `now` tells them apart.
pub fn definition(loaded: &Loaded, now: i64) -> String {
    let pipeline = &loaded.pipeline;
    let mut digest = Sha256::new();
    for expectation in &pipeline.expectations {
        match expectation.rule() {
            Ok(Rule::KnownIn(_, KnownIn { file: Some(file), .. })) => {
                // One that cannot be read is told when the stage is made.
                digest.update(std::fs::read(loaded.folder.join(file)).unwrap_or_default());
            }
            Ok(Rule::KnownIn(..)) => digest.update(now.to_be_bytes()),
            _ => {}
        }
    }
    let parts = (
        &loaded.schema.text,
        &pipeline.expectations,
        &pipeline.features,
        &pipeline.label,
        &pipeline.entity,
        &pipeline.event_time,
    );
    // These always serialise.
    digest.update(serde_json::to_vec(&parts).unwrap_or_default());
    hex::encode(&digest.finalize()[..8])
}

/// The version that stands beside the live rows, if one does.
pub async fn beside(clickhouse: &ClickHouse, pipeline: &str) -> Result<Option<FeatureVersion>, Error> {
    let versions = clickhouse.feature_versions(pipeline).await?;
    Ok(versions.into_iter().rev().find(|version| version.state == FeatureVersion::BESIDE))
}

/// Throws a version away that stands beside the live rows. Letters that were made for it are settled.
pub async fn discard(clickhouse: &ClickHouse, version: FeatureVersion, now: i64) -> Result<(), Error> {
    let known = clickhouse.feature_versions(&version.pipeline).await?;
    if known.iter().any(|known| known.version == version.version && known.state == FeatureVersion::IN_FORCE) {
        return Err(Error::Impossible(format!("version {} is in force", version.version)));
    }
    swap::settle(clickhouse, &version.pipeline, &version.ranges, now).await?;
    drop_version(clickhouse, version, now).await
}

async fn drop_version(clickhouse: &ClickHouse, version: FeatureVersion, now: i64) -> Result<(), Error> {
    let table = version.table();
    clickhouse.note_feature_version(&FeatureVersion { state: FeatureVersion::GONE, at: now, ..version }).await?;
    clickhouse.execute(&format!("DROP VIEW IF EXISTS {}", quote(&table.view))).await?;
    clickhouse.execute(&format!("DROP TABLE IF EXISTS {}", quote(&table.rows))).await?;
    Ok(())
}

impl Rebuild {
    /// Begins a version of the rows at `ranges`; or goes on with the one that stands beside the live rows, if it is made by the
    /// same definition and of no more offsets, and throws it away if not. `alone`: it is left as it is, and never gone on with.
    ///
    /// Whoever calls this has the [`Claim`] of the pipeline's replays, and passes it on.
    pub async fn begin(
        loaded: Arc<Loaded>,
        ranges: Vec<Offsets>,
        alone: bool,
        claim: Arc<Claim>,
        services: Services,
    ) -> Result<Self, Error> {
        let (pipeline, now) = (loaded.pipeline.name.clone(), services.clock.now());
        let definition = definition(&loaded, now);
        let clickhouse = &services.clickhouse;
        let versions = clickhouse.feature_versions(&pipeline).await?;
        let last = versions.last().map_or(0, |last| last.version);
        let mut found = None;
        for version in versions.into_iter().rev().filter(|version| version.state == FeatureVersion::BESIDE && !alone) {
            if found.is_none() && version.definition == definition && begins_alike(&version.ranges, &ranges) {
                found = Some(version);
            } else {
                discard(clickhouse, version, now).await?;
            }
        }
        let version = match found {
            Some(found) => {
                // What a swap that was killed took over from an earlier version is not of this definition.
                let (rows, made) = (quote(&found.table().rows), found.covers());
                clickhouse.execute(&format!("DELETE FROM {rows} WHERE NOT ({made})")).await?;
                FeatureVersion { ranges, at: now, ..found }
            }
            None => {
                let state = FeatureVersion::BESIDE;
                FeatureVersion { pipeline: pipeline.clone(), version: last + 1, ranges, definition, state, at: now }
            }
        };
        let live = clickhouse::FeatureTable::of(&pipeline).rows;
        let table = version.table();
        let rows = quote(&table.rows);
        clickhouse.execute(&format!("CREATE TABLE IF NOT EXISTS {rows} AS {}", quote(&live))).await?;
        clickhouse.note_feature_version(&version).await?;
        // One that is gone on with was made before the live table got its newest features.
        clickhouse.copy_columns(&live, &table.rows).await?;
        clickhouse.execute(&table.view_statement()).await?;
        Ok(Self {
            topic: Topics::of(&pipeline).raw,
            ledger: Ledger::new(services.clickhouse.clone(), stage_of(&version)),
            ingest: ingest(&loaded, &services)?,
            fetcher: Fetcher::new(&services.kafka)?,
            loaded,
            services,
            version,
            claim,
        })
    }

    /// Fails when somebody else replays the pipeline by now.
    async fn still_ours(&self) -> Result<(), Error> {
        if self.claim.holds().await? {
            return Ok(());
        }
        Err(Error::Impossible(
            "this replay stood still for so long that another one may have begun: start it again".to_owned(),
        ))
    }

    /// The version.
    pub fn version(&self) -> &FeatureVersion {
        &self.version
    }

    /// Makes the rows; `progress` hears how many offsets are done. What Kafka or ClickHouse cannot do now is tried again
    /// until `cancel` fires.
    pub async fn run(&mut self, mut progress: impl FnMut(u64), cancel: &CancellationToken) -> Result<(), Error> {
        for (partition, from, to) in self.version.ranges.clone() {
            self.still_ours().await?;
            let reached = self.ledger.resume(&self.topic, &[partition]).await?;
            let mut next = match reached.first() {
                Some(Position::At(next) | Position::After { next, .. }) => (*next).clamp(from, to),
                _ => from,
            };
            progress((next - from).unsigned_abs());
            let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5), next.unsigned_abs());
            while next < to {
                if cancel.is_cancelled() {
                    return Err(Error::Stopped);
                }
                let step = tokio::select! {
                    step = self.step(partition, next, to) => step,
                    () = cancel.cancelled() => return Err(Error::Stopped),
                };
                match step {
                    Ok(reached) => {
                        progress((reached - next).unsigned_abs());
                        next = reached;
                    }
                    Err(error) if error.retry() == Retry::Later => {
                        let pause = backoff.pause();
                        warn!(%error, ?pause, "the replay goes on in a moment");
                        tokio::select! {
                            () = tokio::time::sleep(pause) => {}
                            () = cancel.cancelled() => return Err(Error::Stopped),
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Makes rows of the next messages of a partition, and returns where the ones after them begin.
    async fn step(&mut self, partition: i32, from: i64, to: i64) -> Result<i64, Error> {
        let (batch, reached) = self.fetcher.scan(&self.topic, partition, from, to).await?;
        let range = OffsetRange { topic: self.topic.clone(), partition, from, to: reached };
        let output = match batch.is_empty() {
            true => Output::default(),
            false => self.ingest.process(&batch).await?,
        };
        if !output.inserts.is_empty() {
            // A field that came later is a column of the live table by now.
            let live = clickhouse::FeatureTable::of(&self.version.pipeline).rows;
            self.services.clickhouse.copy_columns(&live, &self.version.table().rows).await?;
        }
        for mut insert in output.inserts {
            insert.table = self.version.table().rows;
            insert.token = token(&stage_of(&self.version), std::slice::from_ref(&range), &insert.body);
            self.services.clickhouse.insert(&insert).await?;
        }
        let tally = output.tallies.get(&partition).copied().unwrap_or_default();
        let entry = LedgerEntry { coverage: Coverage::from(range), rows: tally.rows, rejected: tally.rejected };
        self.ledger.enter(&[entry], self.services.clock.now()).await?;
        Ok(reached)
    }
}

/// The name in the ledger.
fn stage_of(version: &FeatureVersion) -> String {
    format!("rebuild.{}.{}", version.pipeline, version.version)
}

/// Whether rows of `ranges` can go on where those of `found` ended.
fn begins_alike(found: &[Offsets], ranges: &[Offsets]) -> bool {
    let first = |ranges: &[Offsets]| ranges.iter().map(|(partition, from, _)| (*partition, *from)).collect::<Vec<_>>();
    first(found) == first(ranges) && found.iter().zip(ranges).all(|(found, range)| found.2 <= range.2)
}

fn ingest(loaded: &Arc<Loaded>, services: &Services) -> Result<Ingest, stage::Error> {
    let metrics = IngestMetrics::new(&Metrics::default());
    let needs = Needs {
        schemas: Some(services.schemas.clone()),
        added: Some(AddedColumns::new(services.clickhouse.clone(), loaded, metrics.clone())),
        // No pane of drift counts is made: the offsets have theirs.
        champion: watch::channel(Known::Nobody).1,
        metrics,
        history: Box::new(TopicHistory::new(services.kafka.clone())),
        clickhouse: Some(services.clickhouse.clone()),
        clock: Arc::clone(&services.clock),
    };
    Ingest::new(Arc::clone(loaded), needs)
}

/// Messages that can be judged together: where records are compared with those before them, only neighbours are.
fn apart(judge: &Ingest, batch: MessageBatch) -> Vec<MessageBatch> {
    if !judge.looks_back() {
        return vec![batch];
    }
    let one = |i: usize| {
        let mut one = MessageBatch::new(batch.topic(), false);
        let (partition, offset, at) = (batch.partitions()[i], batch.offsets()[i], batch.timestamps()[i]);
        one.push(partition, offset, at, batch.payload(i), kafka::Headers::new());
        one
    };
    (0..batch.len()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use driftmill_schemas::pipeline::parse;

    #[test]
    fn a_version_is_gone_on_with_when_it_begins_alike_and_ends_no_later() {
        let found = [(0, 5, 10), (1, 0, 7)];
        assert!(begins_alike(&found, &[(0, 5, 10), (1, 0, 9)]));
        assert!(!begins_alike(&found, &[(0, 5, 9), (1, 0, 9)]), "it holds more than is wanted");
        assert!(!begins_alike(&found, &[(0, 4, 10), (1, 0, 9)]), "it lacks what is wanted");
        assert!(!begins_alike(&found, &[(0, 5, 10)]));
    }

    fn loaded(folder: &Path, known_in: &str) -> Loaded {
        let avro =
            r#"{"type":"record","name":"r","fields":[{"name":"x","type":"double"},{"name":"s","type":"string"}]}"#;
        let text = format!(
            "version: 1\nname: things\nschema: record.avsc\nexpectations:\n  - {{ field: s, known_in: {{ {known_in} }} }}\n\
             features:\n  - name: x\nlabel: {{ field: s, classes: [a, b] }}\ntraining: {{ algorithm: constant }}\n"
        );
        let (pipeline, schema, places) = parse(&text, Path::new("pipeline.yaml"), |_| Ok(avro.to_owned())).unwrap();
        Loaded { pipeline, schema, folder: folder.to_owned(), places }
    }

    #[test]
    fn a_set_of_known_values_is_part_of_what_names_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let file = loaded(folder.path(), "file: codes");
        std::fs::write(folder.path().join("codes"), "a").unwrap();
        let before = definition(&file, 1);
        assert_eq!(definition(&file, 2), before);
        std::fs::write(folder.path().join("codes"), "a\nb").unwrap();
        assert_ne!(definition(&file, 2), before);
        let query = loaded(folder.path(), "query: SELECT 1");
        assert_ne!(definition(&query, 1), definition(&query, 2), "it may be another set every time");
    }
}
