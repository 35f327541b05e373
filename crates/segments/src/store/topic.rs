//! One topic: its configuration and its logs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nisshi_storage::max_message_bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::log::{Compaction, Limits, PartitionLog, Retention};
use crate::options::Options;

const DAY: i64 = Duration::from_hours(24).as_millis() as i64;
/// The most bytes of a segment: positions in an index have 32 bits.
const MOST_SEGMENT: u64 = 1 << 30;

/// A topic as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredTopic {
    pub id: [u8; 16],
    pub partitions: i32,
    pub replication_factor: i16,
    /// What was set, by name.
    pub configs: BTreeMap<String, Option<String>>,
    /// The folder's name.
    pub folder: String,
    /// Producer ids up to this one were given away before the topic was made.
    pub producers_before: i64,
    /// Its deletion has begun.
    #[serde(default)]
    pub deleted: bool,
}

impl StoredTopic {
    pub fn decode(name: &str, value: &[u8], folder: &Path) -> Result<Self> {
        let undecodable = |error: serde_json::Error| {
            let reason = format!("the entry of topic {name} is not understood: {error}");
            Error::Format { path: folder.join("journal"), reason }
        };
        serde_json::from_slice(value).map_err(undecodable)
    }

    pub fn encode(&self) -> Vec<u8> {
        // Strings and numbers: this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A topic with its logs.
#[derive(Debug)]
pub(crate) struct Topic {
    pub name: String,
    pub id: Uuid,
    pub stored: StoredTopic,
    pub logs: Vec<Arc<PartitionLog>>,
    /// The most bytes of a batch.
    pub max_message_bytes: usize,
}

impl Topic {
    pub fn new(name: String, stored: StoredTopic, logs: Vec<Arc<PartitionLog>>) -> Self {
        let configured = stored.configs.get(max_message_bytes::KEY).and_then(Option::as_deref);
        let max_message_bytes = max_message_bytes::limit(&name, configured);
        Self { id: Uuid::from_bytes(stored.id), name, stored, logs, max_message_bytes }
    }

    /// The log of a partition; `None` when the topic has no such partition.
    pub fn log(&self, partition: i32) -> Option<&Arc<PartitionLog>> {
        self.logs.get(usize::try_from(partition).ok()?)
    }

    /// When to begin a new segment.
    pub fn limits(&self, options: &Options) -> Limits {
        let bytes = self.number("segment.bytes").and_then(|bytes| u64::try_from(bytes).ok());
        Limits {
            segment_bytes: bytes.unwrap_or(options.segment_bytes).min(MOST_SEGMENT),
            segment_ms: self.number("segment.ms").filter(|age| *age > 0).unwrap_or(7 * DAY),
        }
    }

    /// What may be deleted from the beginning; `None` when nothing may. Kafka's default keeps a week.
    pub fn retention(&self) -> Option<Retention> {
        let policy = self.get("cleanup.policy").unwrap_or("delete");
        policy.split(',').any(|policy| policy.trim() == "delete").then(|| Retention {
            milliseconds: Some(self.number("retention.ms").unwrap_or(7 * DAY)).filter(|kept| *kept >= 0),
            bytes: self.number("retention.bytes").and_then(|bytes| u64::try_from(bytes).ok()),
        })
    }

    /// How to compact; `None` when all records stay.
    pub fn compaction(&self, options: &Options, now: i64) -> Option<Compaction> {
        let policy = self.get("cleanup.policy").unwrap_or("delete");
        let compacted = policy.split(',').any(|policy| policy.trim() == "compact");
        let tombstones = self.number("delete.retention.ms").filter(|kept| *kept >= 0).unwrap_or(DAY);
        compacted.then(|| Compaction {
            tombstones_before: now.saturating_sub(tombstones),
            segment_bytes: self.limits(options).segment_bytes,
        })
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.stored.configs.get(key)?.as_deref()
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.trim().parse().ok()
    }
}
