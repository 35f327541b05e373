//! The state of a restarted processor, from the two topics that hold it.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftmill_drift::{DriftReport, Layout, Onset, Pane, Stream, Verdict, pane};
use driftmill_platform::config;
use driftmill_platform::kafka::{Admin, Error, read_range};
use driftmill_schemas::message::{DriftEvent, PERFORMANCE};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::watch::{Checkpoint, note_judged};

/// A record of the profiles topic.
#[derive(Debug)]
pub struct StoredPane {
    /// Its offset.
    pub offset: i64,
    /// When it was published, milliseconds since 1970 UTC.
    pub at: i64,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Whether the run before had taken it.
    pub is_taken: bool,
}

/// How much later than its pane was published an event may have happened. One that claims more, in seconds taken for
/// milliseconds for example, would end all windows of time up to then.
const AHEAD_MS: i64 = 60_000;

impl StoredPane {
    /// The pane, no later than it can have happened.
    pub fn pane(&self, layout: &Arc<Layout>) -> Result<Pane, pane::Error> {
        let mut pane = Pane::from_json(layout, &self.payload)?;
        pane.max_event_time = pane.max_event_time.min(self.at.saturating_add(AHEAD_MS));
        Ok(pane)
    }
}

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

/// Panes of the past that are read for a stream at most. A window that needs more of them begins anew.
const MOST_PANES: i64 = 20_000;

/// Reads the last event of the drift topic, and the panes that its checkpoints need and that came since, up to `until`, or to
/// where the event stands: it may have been sent, and the ledger not know of it.
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
    // Not only the last record: others write of what they watch, and somebody else may have written one that is no event.
    read_range(kafka, drift_topic, low.max(end - LOOK_BACK), end, &cancel, |batch, i| {
        let event = serde_json::from_slice::<DriftEvent>(batch.payload(i)).ok();
        last = event.filter(|event| event.stream != PERFORMANCE).or(last.take());
    })
    .await?;
    if let Some(event) = last {
        restored.next = event.next_profile;
        restored.checkpoints = checkpoints(&event);
    }
    let next = restored.next;
    for (stream, checkpoint) in &mut restored.checkpoints {
        if next - checkpoint.from > MOST_PANES {
            warn!(
                stream = stream.name(),
                from = checkpoint.from,
                next,
                "the open window is too old to be read back: it begins anew"
            );
            (checkpoint.from, checkpoint.position) = (checkpoint.next.max(next), Default::default());
        }
    }
    let (low, _) = bounds(admin.watermarks(profiles_topic).await?);
    let needed = restored.checkpoints.values().map(|checkpoint| checkpoint.from.min(checkpoint.next)).min();
    let from = needed.unwrap_or(next).min(next).max(low);
    let (checkpoints, panes) = (&restored.checkpoints, &mut restored.panes);
    read_range(kafka, profiles_topic, from, until.max(next), &cancel, |batch, i| {
        let (offset, payload) = (batch.offsets()[i], batch.payload(i));
        let Ok(header) = Pane::peek(payload) else { return };
        let (from, taken) = checkpoints.get(&header.stream).map_or((next, next), |known| (known.from, known.next));
        // What nobody needs is not held in memory.
        if offset >= from.min(taken) {
            let is_taken = offset < taken;
            panes.push(StoredPane { offset, at: batch.timestamps()[i], payload: payload.to_vec(), is_taken });
        }
    })
    .await?;
    Ok(restored)
}

/// Records of the drift topic that are looked at for the last event.
const LOOK_BACK: i64 = 64;

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
