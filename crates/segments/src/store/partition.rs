//! A handle to one partition, for whoever serves fetches.

use std::sync::Arc;

use nisshi_sans_io::record::deflated;
use tokio::sync::watch;

use super::Topic;
use crate::error::{Error, Result};
use crate::log::{PartitionLog, Progress};

/// The offsets of a partition at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// The first offset that may be read.
    pub start: i64,
    /// The offset after the last record that consumers may see.
    pub visible: i64,
    /// The offset after the last record.
    pub end: i64,
}

/// One partition of a topic. It stays readable when the topic is deleted, until it is dropped.
#[derive(Debug, Clone)]
pub struct Partition {
    topic: Arc<Topic>,
    log: Arc<PartitionLog>,
}

impl Partition {
    pub(super) fn new(topic: Arc<Topic>, log: Arc<PartitionLog>) -> Self {
        Self { topic, log }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic.name
    }

    /// Where the partition begins and ends.
    pub fn offsets(&self) -> Offsets {
        let Progress { end, visible, .. } = self.log.progress();
        Offsets { start: self.log.start().min(visible), visible, end }
    }

    /// Waits for more records, or for the end of the topic.
    pub fn follow(&self) -> Follower {
        Follower(self.log.watch())
    }

    /// Reads from `offset` on: at most `max_bytes`, but one batch in any case when there is one.
    ///
    /// # Errors
    /// When the disk cannot be read, or holds something else than batches there.
    pub async fn read(&self, offset: i64, max_bytes: usize) -> Result<Vec<deflated::Batch>> {
        let log = self.log.clone();
        read(log, offset, max_bytes).await
    }
}

/// Reads on a thread that may block: what is not in memory takes as long as the disk needs.
pub(crate) async fn read(log: Arc<PartitionLog>, offset: i64, max_bytes: usize) -> Result<Vec<deflated::Batch>> {
    let folder = log.folder().to_owned();
    let reading = tokio::task::spawn_blocking(move || log.read(offset, max_bytes));
    reading.await.unwrap_or_else(|error| Err(Error::io("read", &folder)(std::io::Error::other(error))))
}

/// Follows a partition's end.
#[derive(Debug)]
pub struct Follower(watch::Receiver<Progress>);

impl Follower {
    /// Returns once there is a record at `offset` or after it, or no more will come.
    pub async fn beyond(&mut self, offset: i64) {
        // An error would mean that the log is gone; there is nothing to wait for either.
        let _ = self.0.wait_for(|progress| progress.visible > offset || progress.deleted || progress.failed).await;
    }
}
