//! The panes that the profiles topic still holds.

use std::sync::Arc;

use driftmill_drift::{Layout, Pane, Stream};
use driftmill_platform::config;
use driftmill_platform::kafka::{self, Admin, read_range};
use driftmill_platform::registry::{self, Registry};
use driftmill_schemas::topic::Topics;
use tokio_util::sync::CancellationToken;

use crate::references::References;

/// Why history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The topic.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// The references.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

/// A pane with its place.
#[derive(Debug)]
pub struct StoredPane {
    /// Its offset in the profiles topic.
    pub offset: i64,
    /// When it was published, milliseconds since 1970 UTC.
    pub at: i64,
    /// What it counts.
    pub stream: Stream,
    /// The cells it counts over.
    pub layout: Arc<Layout>,
    /// The pane.
    pub pane: Pane,
}

/// What there is of the past.
#[derive(Debug, Default)]
pub struct History {
    /// The panes, in the order in which they were published.
    pub panes: Vec<StoredPane>,
    /// Records that are no pane, or one of a version whose reference is gone.
    pub unusable: u64,
}

/// Reads every pane of `pipeline` that the topic still holds; `progress` is told how many of how many records were read.
///
/// # Errors
/// Kafka or the registry is away.
pub async fn read(
    kafka: &config::Kafka,
    registry: Registry,
    pipeline: &str,
    cancel: &CancellationToken,
    mut progress: impl FnMut(u64, u64),
) -> Result<History, Error> {
    let topic = Topics::of(pipeline).profiles;
    let (low, end) = Admin::new(kafka)?.watermarks(&topic).await?.first().copied().unwrap_or_default();
    let mut records = Vec::new();
    read_range(kafka, &topic, low, end, cancel, |batch, i| {
        records.push((batch.offsets()[i], batch.timestamps()[i], batch.payload(i).to_vec()));
    })
    .await?;
    let mut references = References::new(registry, pipeline);
    let (mut history, all) = (History::default(), records.len() as u64);
    for (offset, at, payload) in records {
        progress(history.panes.len() as u64 + history.unusable, all);
        let found = match Pane::peek(&payload) {
            Ok(header) => references.of(header.model_version).await?.map(|layout| (header.stream, layout)),
            Err(_) => None,
        };
        let pane = found.and_then(|(stream, layout)| {
            let pane = Pane::from_json(&layout, &payload).ok()?;
            Some(StoredPane { offset, at, stream, layout, pane })
        });
        match pane {
            Some(pane) => history.panes.push(pane),
            None => history.unusable += 1,
        }
    }
    Ok(history)
}
