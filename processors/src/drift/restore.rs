//! The state of a restarted processor, from the two topics that hold it.

use std::collections::BTreeMap;

use driftmill_drift::{DriftReport, Onset, Stream, Verdict};
use driftmill_platform::config;
use driftmill_platform::kafka::{Admin, Error, read_range};
use driftmill_schemas::message::DriftEvent;
use tokio_util::sync::CancellationToken;

use super::watch::{Checkpoint, note_judged};

/// Payload of a profile record, with its offset.
pub type StoredPane = (i64, Vec<u8>);

/// What was known after the last verdict, and the panes since.
#[derive(Debug, Default)]
pub struct Restored {
    /// By stream, what its watch knew.
    pub checkpoints: BTreeMap<Stream, Checkpoint>,
    /// The profiles' offset up to which panes are in the checkpoints.
    pub next: i64,
    /// Panes from the first that a checkpoint needs.
    pub panes: Vec<StoredPane>,
}

/// Reads the last event of the drift topic, and the panes that its checkpoint needs and that came since, up to `until`.
pub async fn restore(
    kafka: &config::Kafka,
    drift_topic: &str,
    profiles_topic: &str,
    until: i64,
) -> Result<Restored, Error> {
    let (admin, cancel) = (Admin::new(kafka)?, CancellationToken::new());
    let mut restored = Restored::default();
    let bounds = |marks: Vec<(i64, i64)>| marks.first().copied().unwrap_or_default();
    let (low, end) = bounds(admin.watermarks(drift_topic).await?);
    let mut last: Option<DriftEvent> = None;
    // Not only the last record: somebody else may have written one that is no event.
    read_range(kafka, drift_topic, low.max(end - LOOK_BACK), end, &cancel, |batch, i| {
        last = serde_json::from_slice::<DriftEvent>(batch.payload(i)).ok().or(last.take());
    })
    .await?;
    if let Some(event) = last {
        restored.next = event.next_profile;
        restored.checkpoints = checkpoints(&event);
    }
    let (low, _) = bounds(admin.watermarks(profiles_topic).await?);
    let needed = restored.checkpoints.values().map(|checkpoint| checkpoint.from).min();
    let from = needed.unwrap_or(restored.next).min(restored.next).max(low);
    read_range(kafka, profiles_topic, from, until, &cancel, |batch, i| {
        restored.panes.push((batch.offsets()[i], batch.payload(i).to_vec()));
    })
    .await?;
    Ok(restored)
}

/// Records of the drift topic that are looked at for the last event.
const LOOK_BACK: i64 = 4;

/// What each stream's watch knew after an event.
fn checkpoints(event: &DriftEvent) -> BTreeMap<Stream, Checkpoint> {
    if let Ok(checkpoints) = serde_json::from_value(event.checkpoint.clone()) {
        return checkpoints;
    }
    // An event of a build that wrote no checkpoint: records alone were watched, in windows that do not overlap.
    let Ok(report) = serde_json::from_value::<DriftReport>(event.report.clone()) else { return BTreeMap::new() };
    let mut checkpoint = Checkpoint {
        model_version: event.model_version,
        from: event.next_profile,
        next: event.next_profile,
        history: report.history.clone(),
        ..Checkpoint::default()
    };
    note_judged(&mut checkpoint.judged, &report);
    if report.verdict == Verdict::Drifted {
        checkpoint.onset = Onset { windows: 2, since: event.since.iter().copied().collect() };
    } else {
        checkpoint.onset.advance(&report);
    }
    BTreeMap::from([(Stream::Records, checkpoint)])
}
