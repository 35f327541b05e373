//! Schemas of raw records: announced before the first record is written, and found again by whoever reads one.
//!
//! ```text
//! producer ─► announce ─► compatible with the versions so far? ─┬─ no ─► refused, nothing is written
//!                                                               └─ yes ─► a new version ─► records that name it
//! processor ─► a message names a schema for the first time ─► find ─┬─► its text
//!                                                                   ├─► nobody knows it: a dead letter
//!                                                                   └─► who would know is away: wait
//! ```
//! With a schema registry, versions are those of the subject `<topic>-value` and messages name its ids; else they are
//! records of the topic `driftmill.schemas` and messages name fingerprints. Both are always found.

mod announced;
mod misses;

use async_trait::async_trait;
use driftmill_schemas::pipeline::Pipeline;
use driftmill_schemas::record::RecordSchema;
use driftmill_schemas::record::compatibility::{self, Incompatibility, Mode, Version};
use driftmill_schemas::record::framing::SchemaRef;
use driftmill_schemas::topic::Topics;
use tracing::{info, warn};

pub use announced::AnnouncedSchemas;
use misses::{Ask, Misses};

use crate::clock::SharedClock;
use crate::error::{Retry, Retryable};
use crate::kafka;
use crate::schema_registry::{self, SchemaRegistry};

/// Why a schema was not announced or not looked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Records of it would not be readable, or not make earlier ones readable.
    #[error(
        "the schema of pipeline `{pipeline}` does not go together with its earlier versions (compatibility {mode}), so \
         nothing is sent: {}{hint}",
        told(incompatibilities)
    )]
    Incompatible {
        /// The pipeline.
        pipeline: String,
        /// What it was checked by.
        mode: Mode,
        /// Every reason.
        incompatibilities: Vec<Incompatibility>,
        /// Under which other mode it would pass, or nothing.
        hint: String,
    },
    /// The registry's own check refuses what ours let through.
    #[error("the schema registry refuses the schema of pipeline `{pipeline}`, so nothing is sent: {message}")]
    Refused {
        /// The pipeline.
        pipeline: String,
        /// The registry's words.
        message: String,
    },
    /// The registry.
    #[error(transparent)]
    Registry(#[from] schema_registry::Error),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Registry(error) => error.retry(),
            Self::Kafka(error) => error.retry(),
            Self::Incompatible { .. } | Self::Refused { .. } => Retry::Never,
        }
    }
}

fn told(incompatibilities: &[Incompatibility]) -> String {
    incompatibilities.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The port of those who write records.
#[async_trait]
pub trait Announce: Send + Sync {
    /// Makes the schema known as one that records of the pipeline are written with from now on, unless it is incompatible
    /// with those before it; returns what messages name it by. One that is known already is not checked again.
    async fn announce(&self, pipeline: &Pipeline, schema: &RecordSchema) -> Result<SchemaRef, Error>;
}

/// What is known of a schema that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Its text.
    Schema(String),
    /// Nobody knows it, or it is none of Avro; why, for people.
    Nowhere(String),
}

/// Schemas, wherever they are. Clones share what was found.
#[derive(Debug, Clone)]
pub struct Schemas {
    announced: AnnouncedSchemas,
    registry: Option<SchemaRegistry>,
    misses: Misses,
    clock: SharedClock,
}

impl Schemas {
    /// Schemas in `registry`, if there is one, and in the topic.
    pub fn new(announced: AnnouncedSchemas, registry: Option<SchemaRegistry>, clock: SharedClock) -> Self {
        Self { announced, registry, misses: Misses::default(), clock }
    }

    /// What is known of each of `named`, which messages of `pipeline` do. An error means that it is not known what is known:
    /// to be tried again.
    pub async fn find(&self, pipeline: &str, named: &[SchemaRef]) -> Result<Vec<(SchemaRef, Found)>, Error> {
        let mut found = Vec::with_capacity(named.len());
        let mut prints = Vec::new();
        for &name in named {
            match name {
                SchemaRef::Fingerprint(print) => prints.push(print),
                SchemaRef::RegistryId(id) => found.push((name, self.find_id(id).await?)),
            }
        }
        let texts = self.announced.find(pipeline, &prints).await?;
        found.extend(prints.into_iter().zip(texts).map(|(print, text)| {
            let nowhere = || {
                format!(
                    "was written with a schema of fingerprint {print:016x}, which is neither the pipeline's nor one that a \
                     producer announced: announce it (`driftmill produce` does), then replay"
                )
            };
            (SchemaRef::Fingerprint(print), text.map_or_else(|| Found::Nowhere(nowhere()), Found::Schema))
        }));
        Ok(found)
    }

    async fn find_id(&self, id: u32) -> Result<Found, Error> {
        let Some(registry) = &self.registry else {
            return Ok(Found::Nowhere(format!(
                "was written with schema {id} of a registry: set DRIFTMILL_SCHEMA_REGISTRY so that it can be fetched"
            )));
        };
        // An id is a positive number of 31 bits; about any other, registries only complain.
        if i32::try_from(id).is_err() {
            return Ok(Found::Nowhere(format!("names schema {id}, and no schema registry has ids of this size")));
        }
        let now = self.clock.now();
        let unknown = || Found::Nowhere(format!("names schema {id}, which the schema registry does not know"));
        match self.misses.ask(id, now) {
            Ask::Known => return Ok(unknown()),
            Ask::TooMany => {
                return Ok(Found::Nowhere(format!(
                    "names schema {id}, which the schema registry was not asked for, because it did not know too many \
                     others a moment ago: replay"
                )));
            }
            Ask::Registry => {}
        }
        match registry.schema(id).await? {
            Some(schema) if schema.kind.as_deref().is_none_or(|kind| kind == "AVRO") => {
                Ok(Found::Schema(schema.schema))
            }
            Some(schema) => {
                let kind = schema.kind.unwrap_or_default();
                Ok(Found::Nowhere(format!(
                    "names schema {id} of the registry, which is of the type {kind} and not Avro"
                )))
            }
            None => {
                self.misses.missed(id, now);
                Ok(unknown())
            }
        }
    }

    async fn register(
        &self,
        registry: &SchemaRegistry,
        pipeline: &Pipeline,
        schema: &RecordSchema,
    ) -> Result<u32, Error> {
        let subject = format!("{}-value", Topics::of(&pipeline.name).raw);
        if let Some(id) = registry.id_of(&subject, &schema.text).await? {
            return Ok(id);
        }
        let set = registry.compatibility(&subject).await?;
        let mode = pipeline.compatibility.or(set).unwrap_or_default();
        let numbers = registry.versions(&subject).await?;
        let compared = if mode.is_transitive() { &numbers[..] } else { &numbers[numbers.len().saturating_sub(1)..] };
        let mut versions = Vec::with_capacity(compared.len());
        for &number in compared {
            let Some(version) = registry.version(&subject, number).await? else { continue };
            match Version::parse(number, &version.schema) {
                Ok(version) => versions.push(version),
                // Ours to compare are Avro schemas; about any other the registry has the last word.
                Err(error) => warn!(subject, version = number, %error, "a version is left to the registry's own check"),
            }
        }
        check(pipeline, mode, &versions, schema)?;
        if set != Some(mode)
            && let Err(error) = registry.set_compatibility(&subject, mode).await
        {
            match error.retry() {
                Retry::Later => return Err(error.into()),
                // A registry that somebody else rules has a rule of its own, and applies it below.
                Retry::Never => warn!(subject, %mode, %error, "the registry keeps its own rule"),
            }
        }
        match registry.register(&subject, &schema.text).await {
            Ok(id) => {
                info!(subject, id, %mode, "a new version of the schema is registered");
                Ok(id)
            }
            Err(schema_registry::Error::Refused { status: 409 | 422, message, .. }) => {
                Err(Error::Refused { pipeline: pipeline.name.clone(), message })
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Announce for Schemas {
    async fn announce(&self, pipeline: &Pipeline, schema: &RecordSchema) -> Result<SchemaRef, Error> {
        match &self.registry {
            Some(registry) => Ok(SchemaRef::RegistryId(self.register(registry, pipeline, schema).await?)),
            None => {
                self.announced.announce(pipeline, schema, self.clock.now()).await?;
                Ok(SchemaRef::Fingerprint(schema.fingerprint))
            }
        }
    }
}

/// Refuses `schema` if it is incompatible with `versions`.
fn check(pipeline: &Pipeline, mode: Mode, versions: &[Version], schema: &RecordSchema) -> Result<(), Error> {
    compatibility::check(mode, versions, schema).map_err(|incompatibilities| {
        let hint = match compatibility::milder(mode, versions, schema) {
            Some(milder) => format!(
                ". `compatibility: {milder}` in the pipeline file would let it pass{}",
                match milder {
                    Mode::Backward | Mode::BackwardTransitive => ", if processors have it before producers do",
                    Mode::Forward | Mode::ForwardTransitive => ", and processors could not read old records with it",
                    _ => "",
                }
            ),
            None => String::new(),
        };
        Error::Incompatible { pipeline: pipeline.name.clone(), mode, incompatibilities, hint }
    })
}
