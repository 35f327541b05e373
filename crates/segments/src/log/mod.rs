//! The log of one partition: record batches in segments, appended at the end, read by offset or time.
//!
//! ```text
//! <topic folder>/<partition>/
//!   00000000000000000000.log     batches as they came, one after the other; the name is the first offset
//!   00000000000000000000.index   where the batches of a closed segment begin (rebuilt when missing)
//!   00000000000000734211.log     the segment that is written to
//!   producers                    state of the idempotent producers up to some offset (the rest is replayed)
//! ```
//!
//! A partition that was never written to has no folder. The next offset is always known from the files: a log whose
//! records were all deleted keeps an empty segment with the right name.

mod append;
mod clean;
mod compact;
pub(crate) mod files;
mod index;
mod producers;
mod read;
mod recovery;
mod scan;
mod sync;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use self::files::Files;
use self::index::{Index, Summary};
use self::producers::Producers;
use crate::error::Error;
use crate::options::Options;
use crate::syncer::Queue;

pub(crate) use self::append::Limits;
pub(crate) use self::clean::Retention;
pub(crate) use self::compact::Compaction;
pub(crate) use self::recovery::Trust;
pub(crate) use self::sync::SyncPoint;

/// What all logs of a store share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub options: Options,
    pub files: Files,
    pub queue: Queue,
}

/// The log of one partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    folder: PathBuf,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// The first offset that may be read.
    start: AtomicI64,
    /// It waits in the queue of logs to be synced.
    pub(crate) queued: AtomicBool,
    progress: watch::Sender<Progress>,
}

/// How far a log has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The offset after the last batch.
    pub end: i64,
    /// The offset after the last batch that consumers may see and producers are told of.
    pub visible: i64,
    /// The disk failed to keep what it was given; nothing more is taken.
    pub failed: bool,
    /// The topic was deleted.
    pub deleted: bool,
}

#[derive(Debug)]
struct State {
    /// By offset; the last one is written to.
    segments: Vec<Segment>,
    /// The index of the last segment.
    active: Index,
    producers: Producers,
    /// The last segment's file may be longer than its batches: an append failed and could not be taken back.
    torn: bool,
    /// First offsets of segments with batches that were not forced to the disk.
    unsynced: BTreeSet<i64>,
    /// Files were made that the folder may forget in a power cut.
    new_names: bool,
    /// The offset up to which keys are unique; unknown after a start.
    compacted: i64,
}

/// One segment, as far as it is known without opening it.
#[derive(Debug, Clone, Copy)]
struct Segment {
    base: i64,
    summary: Summary,
    /// When it was begun, milliseconds since 1970.
    created: i64,
    /// When it was last written to.
    modified: i64,
}

impl PartitionLog {
    /// A log without records, whose folder is made by the first append.
    pub fn empty(folder: PathBuf, shared: Arc<Shared>, start: i64, forgotten_producers: i64) -> Self {
        let state = State {
            segments: Vec::new(),
            active: Index::new(start, shared.options.index_interval),
            producers: Producers::new(forgotten_producers),
            torn: false,
            unsynced: BTreeSet::new(),
            new_names: false,
            compacted: 0,
        };
        Self::with(folder, shared, state, start)
    }

    fn with(folder: PathBuf, shared: Arc<Shared>, state: State, start: i64) -> Self {
        let end = state.active.summary().end;
        let (progress, _) = watch::channel(Progress { end, visible: end, failed: false, deleted: false });
        let queued = AtomicBool::new(false);
        Self { folder, shared, state: Mutex::new(state), start: AtomicI64::new(start), queued, progress }
    }

    /// The first offset that may be read.
    pub fn start(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// How far the log has got.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Follows the log's progress.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// The greatest producer id that was ever seen here; -1 when there was none.
    pub fn greatest_producer(&self) -> i64 {
        self.lock().producers.greatest()
    }

    /// The log's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes no more batches and wakes everybody who waits: the topic is being deleted.
    pub fn mark_deleted(&self) {
        let state = self.lock();
        self.progress.send_modify(|progress| progress.deleted = true);
        for segment in &state.segments {
            self.shared.files.forget(&self.log_path(segment.base));
        }
    }

    // A panic while the lock was held leaves a state that is at worst `torn`: each change is made after its write.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_path(&self, base: i64) -> PathBuf {
        log_path(&self.folder, base)
    }

    fn index_path(&self, base: i64) -> PathBuf {
        self.log_path(base).with_extension("index")
    }

    fn producers_path(&self) -> PathBuf {
        self.folder.join("producers")
    }

    fn corrupt(&self, base: i64, position: u64, offset: i64, reason: impl Into<String>) -> Error {
        Error::Corrupt { path: self.log_path(base), position, offset, reason: reason.into() }
    }
}

fn log_path(folder: &Path, base: i64) -> PathBuf {
    folder.join(format!("{base:020}.log"))
}

impl State {
    fn last(&self) -> Option<&Segment> {
        self.segments.last()
    }

    /// The segment that holds `offset`, or the first one after it.
    fn segment_of(&self, offset: i64) -> Option<usize> {
        let after = self.segments.partition_point(|segment| segment.base <= offset);
        (!self.segments.is_empty()).then(|| after.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests;
