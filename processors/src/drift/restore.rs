//! The state of a restarted processor, from the two topics that hold it.

use driftmill_platform::config;
use driftmill_platform::kafka::{Admin, Error, read_range};
use driftmill_schemas::message::DriftEvent;
use tokio_util::sync::CancellationToken;

/// Payload of a profile record, with its offset.
pub type StoredPane = (i64, Vec<u8>);

/// What was decided last, and the panes that arrived since.
#[derive(Debug, Default)]
pub struct Restored {
    /// The newest drift events, oldest first.
    pub events: Vec<DriftEvent>,
    /// Panes of the window that was open.
    pub panes: Vec<StoredPane>,
}

/// Reads the last `events` events of the drift topic, and the panes from where the last of them left off up to `until`.
pub async fn restore(
    kafka: &config::Kafka,
    drift_topic: &str,
    profiles_topic: &str,
    events: i64,
    until: i64,
) -> Result<Restored, Error> {
    let (admin, cancel) = (Admin::new(kafka)?, CancellationToken::new());
    let mut restored = Restored::default();
    let bounds = |marks: Vec<(i64, i64)>| marks.first().copied().unwrap_or_default();
    let (low, end) = bounds(admin.watermarks(drift_topic).await?);
    read_range(kafka, drift_topic, low.max(end - events), end, &cancel, |batch, i| {
        restored.events.extend(serde_json::from_slice::<DriftEvent>(batch.payload(i)).ok());
    })
    .await?;
    let (low, _) = bounds(admin.watermarks(profiles_topic).await?);
    let from = restored.events.last().map_or(low, |event| event.next_profile.max(low));
    read_range(kafka, profiles_topic, from, until, &cancel, |batch, i| {
        restored.panes.push((batch.offsets()[i], batch.payload(i).to_vec()));
    })
    .await?;
    Ok(restored)
}
