//! The way in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use driftmill_platform::clock::SharedClock;
use driftmill_platform::config;
use driftmill_platform::kafka::{Admin, Producer, TopicSpec};
use driftmill_platform::schemas::Schemas;
use driftmill_platform::store::Store;
use driftmill_schemas::pipeline::{Loaded, Source, SourceKind};
use driftmill_schemas::record::framing::SchemaRef;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::checkpoint::SOURCES_TOPIC;
use crate::plan::Plan;
use crate::progress::{Progress, Summary};
use crate::pump::{self, CHECKPOINT_EVERY};
use crate::sink::KafkaSink;
use crate::source::{Item, Live, Opening, Pipe, Position};
use crate::surroundings::{SourceMetrics, Surroundings};

/// What to send.
#[derive(Debug, Clone)]
pub struct Job {
    /// The pipeline.
    pub loaded: Arc<Loaded>,
    /// One of its sources.
    pub source: Source,
    /// What is wanted otherwise this time.
    pub overrides: Overrides,
    /// What is read instead of the source's file.
    pub pipe: Option<Pipe>,
    /// How records name their schema: by [`Job::fingerprint`], or by the id that a schema registry gave.
    pub framing: SchemaRef,
}

impl Job {
    /// The framing without a schema registry: single objects with the schema's fingerprint.
    pub fn fingerprint(loaded: &Loaded) -> SchemaRef {
        SchemaRef::Fingerprint(loaded.schema.fingerprint)
    }
}

/// What a run does otherwise than the pipeline file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Items in all, from the beginning of the source: with 100, a second run sends nothing and with 150, 50 more.
    pub rows: Option<u64>,
    /// Records a second.
    pub rate: Option<f64>,
    /// A generator's seed.
    pub seed: Option<u64>,
    /// How much a generator's label depends on its fields.
    pub signal: Option<f64>,
    /// Another file than the source's.
    pub from: Option<PathBuf>,
    /// Begin at item [`Overrides::skip`], whatever was sent before.
    pub restart: bool,
    /// Items of a pipe that a restart passes over.
    pub skip: u64,
}

/// What a run needs.
#[derive(Debug, Clone)]
pub struct Services {
    /// Sends everything.
    pub producer: Producer,
    /// Kafka, for looking at topics.
    pub settings: config::Kafka,
    /// Keeps originals that are too large for a message.
    pub store: Store,
    /// Dates messages.
    pub clock: SharedClock,
    /// Hears how far the run is.
    pub progress: watch::Sender<Progress>,
    /// Finds the schemas of records that another topic holds.
    pub schemas: Option<Schemas>,
    /// Counts what sources do besides sending records.
    pub metrics: SourceMetrics,
}

/// Sends a source to its end, or until `cancel` fires; the summary then tells where the next run goes on.
///
/// The pipeline's own topics must exist; the one for checkpoints is created. After an error that can be retried, the same
/// call goes on where this one stopped (unless it reads a pipe, which cannot be read twice): everything that was sent is acknowledged or has failed before the error is
/// returned. After a cancellation, acknowledgements are waited for three seconds at most; what is still in flight then
/// is found by the next run, in another process. Dropping the future is like killing the process: do not start the same
/// source again with the same producer.
pub async fn run(job: Job, services: Services, cancel: CancellationToken) -> Result<Summary, Error> {
    let admin = Admin::new(&services.settings)?;
    admin.ensure(&[TopicSpec { name: SOURCES_TOPIC.to_owned(), partitions: 1, compacted: true }]).await?;
    let around =
        Surroundings { kafka: services.settings.clone(), schemas: services.schemas, metrics: services.metrics };
    let sink = KafkaSink::new(services.producer, admin, services.settings);
    let tools = pump::Tools {
        store: &services.store,
        clock: &services.clock,
        around: &around,
        progress: &services.progress,
        checkpoint_every: CHECKPOINT_EVERY,
    };
    pump::produce(&sink, &job, tools, &cancel).await
}

/// The first items of a source, at most `rows` of them; nothing is sent. For sources that end: files and generators. It blocks
/// on the disk.
pub fn preview(job: &Job, rows: usize, clock: SharedClock) -> Result<Vec<Item>, Error> {
    if matches!(job.source.kind(), Some(SourceKind::Http(_) | SourceKind::Topic(_))) {
        let reason = "it reads from elsewhere, and may give something else every time: write what it gives into a file";
        return Err(Error::Declaration { source_name: job.source.name.clone(), reason: reason.to_owned() });
    }
    let live = Live {
        runtime: Handle::current(),
        cancel: CancellationToken::new(),
        progress: watch::Sender::default(),
        clock,
        framing: job.framing,
        around: Surroundings::default(),
    };
    let (position, known) = (Position::default(), BTreeSet::new());
    let opening = Opening { position, state: None, places: BTreeMap::new(), known, live };
    let mut source = Plan::new(job)?.open(&job.loaded, opening)?;
    let mut items = Vec::new();
    while items.len() < rows
        && let Some(item) = source.next()?
    {
        items.push(item);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only if a run may move between threads, as tasks do.
    #[allow(dead_code)]
    fn a_run_can_be_a_task(job: Job, services: Services) {
        drop(tokio::spawn(run(job, services, CancellationToken::new())));
    }
}
