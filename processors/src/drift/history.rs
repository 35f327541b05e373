//! The panes that the profiles topic still holds.

use std::sync::Arc;

use driftmill_drift::{Layout, Pane, Stream};
use driftmill_platform::config;
use driftmill_platform::kafka::{self, Admin, read_range};
use driftmill_platform::registry::{self, Registry};
use driftmill_schemas::topic::Topics;
use tokio_util::sync::CancellationToken;

use super::restore;
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

/// What there was of the past.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    /// Panes.
    pub panes: u64,
    /// Their records.
    pub records: u64,
    /// When the first and the last of them were published, milliseconds since 1970 UTC.
    pub span: Option<(i64, i64)>,
    /// Records that are no pane, or one of a version whose reference is gone.
    pub unusable: u64,
}

/// Records that are read at once.
const CHUNK: i64 = 5_000;

/// Gives every pane of `pipeline` that the topic still holds to `visit`, in the order in which they were published, with how many of
/// how many records were read.
///
/// # Errors
/// Kafka or the registry is away.
pub async fn read(
    kafka: &config::Kafka,
    registry: Registry,
    pipeline: &str,
    cancel: &CancellationToken,
    mut visit: impl FnMut(StoredPane, (u64, u64)),
) -> Result<Seen, Error> {
    let topic = Topics::of(pipeline).profiles;
    let (low, end) = Admin::new(kafka)?.watermarks(&topic).await?.first().copied().unwrap_or_default();
    let mut references = References::new(registry, pipeline);
    let (mut seen, mut from) = (Seen::default(), low);
    while from < end && !cancel.is_cancelled() {
        let to = end.min(from.saturating_add(CHUNK));
        let mut records = Vec::new();
        read_range(kafka, &topic, from, to, cancel, |batch, i| {
            records.push((batch.offsets()[i], batch.timestamps()[i], batch.payload(i).to_vec()));
        })
        .await?;
        for (offset, at, payload) in records {
            let found = match Pane::peek(&payload) {
                Ok(header) => references.of(header.model_version).await?.map(|layout| (header.stream, layout)),
                Err(_) => None,
            };
            let pane = found.and_then(|(stream, layout)| {
                let payload = restore::StoredPane { offset, at, payload, is_taken: false };
                let pane = payload.pane(&layout).ok()?;
                Some(StoredPane { offset, at, stream, layout, pane })
            });
            let Some(pane) = pane else {
                seen.unusable += 1;
                continue;
            };
            seen.panes += 1;
            seen.records += pane.pane.records();
            seen.span = Some((seen.span.map_or(at, |(first, _)| first), at));
            visit(pane, ((offset - low) as u64, (end - low) as u64));
        }
        from = to;
    }
    Ok(seen)
}
