//! How a source goes on exactly where it stopped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::source::Position;

/// Compacted topic of checkpoints, keyed by `pipeline/source`, with one partition.
pub const SOURCES_TOPIC: &str = driftmill_schemas::topic::SOURCES;

/// Header of every message that a source sent, record or dead letter: `<source>:<identity of the item>`, where the source
/// is `<name>@<16 hexadecimal digits>`. The digits stand for what the source reads (a path, a URL, or a generator's
/// declaration), so that two files sent under one name are two sources. The identity is the item's number, or
/// `<partition>/<offset>` of the topic it is from, or `#` and a fingerprint of what it is.
pub const SEQUENCE_HEADER: &str = driftmill_schemas::message::dead_letter::SEQUENCE;

/// What is known to be acknowledged of one source.
///
/// A checkpoint is always behind: it is written every few seconds, while records are in flight. The topics themselves
/// hold the rest of the truth, as every message carries its item's number:
///
/// ```text
/// items        0 1 2 3 4 5 6 7 8 9        acknowledged in order up to 4, in flight 5 to 8, killed here
/// partition 0  0 . 2 . 4 . 6              6 arrived
/// partition 1  . 1 . 3 .                  5 and 7 were lost on the way
///                      └ checkpoint: position 4; from partition 0 offset 2, partition 1 offset 2
/// next run: reads both partitions from there on, finds {4, 6}, reads the source from item 4, sends 5, 7, 8, 9
/// ```
///
/// Why none is lost: the position moves past an item only when it and all before it are acknowledged. Why none comes
/// twice: whatever of this source lies beyond the position lies at or after the checkpoint's offsets, because the
/// idempotent producer keeps the order within a partition, and offsets move only with the position; so the next run sees
/// it and skips it. Dead letters are found in `<pipeline>.rejected` in the same way.
///
/// **Items without numbers.** What another topic holds comes in an order of its own each time, so its items are found by
/// their places there, and each partition has a position. What an API answers, or a folder holds, has no order at all: its
/// items are found by fingerprints, and the checkpoint remembers those of everything that may come again; what the topics'
/// tails hold beyond it is added to them. The rest is the same: an item counts when it is acknowledged, and a checkpoint
/// that is behind is made up for by what the topics hold.
///
/// The next run begins by writing a checkpoint of its own. Before the first record of a source there is one, too, with the
/// ends of the topics: that is why a new source needs not read them, and why `--restart`, which begins at item 0 with the
/// ends of now, sends everything once more.
///
/// **Limits.** Two processes must not send one source at the same time. A second one that sees an unfinished checkpoint
/// watches the topics for half a second and refuses if records of the source still arrive; a first one that is slower
/// than that goes unnoticed. The same pause lets a killed process's last request, still on the wire, arrive before the
/// topics are read. And a file may grow but not change before the position, which the [`evidence`](Self::evidence)
/// tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The pipeline.
    pub pipeline: String,
    /// The source: `<name>@<digits>`.
    pub source: String,
    /// Every item before it is acknowledged.
    pub position: Position,
    /// For each partition of `<pipeline>.raw`: nothing beyond the position lies before this offset.
    pub raw: Vec<i64>,
    /// The same of `<pipeline>.rejected`.
    pub rejected: Vec<i64>,
    /// Whether nothing at all lies beyond the position: the run ended in order.
    pub clean: bool,
    /// Hash of what was read of a file: of its first and last MiB before the position, and so of all of a file of up to
    /// 2 MiB. A change in the middle of a larger one that keeps its length goes unnoticed. Of Parquet files: the names,
    /// sizes and footers of those that were read.
    #[serde(default)]
    pub evidence: Option<String>,
    /// What a source that is polled wrote down when its last item was acknowledged: the values that conditional requests
    /// and cursors are made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Of a source that reads another topic: for each partition, the offset it reads next.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<i32, i64>,
    /// Fingerprints, 12 bytes each, in base64, of the acknowledged items of a source that may yield them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// Objects of the store that hold further ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed: Vec<String>,
    /// When it was written, milliseconds since 1970 UTC.
    pub at: i64,
}

impl Checkpoint {
    /// The key that compaction goes by.
    pub fn key(&self) -> String {
        format!("{}/{}", self.pipeline, self.source)
    }
}
