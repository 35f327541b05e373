//! What a store is opened with.

use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use url::Url;

/// What an acknowledged record survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Any end of the process, `kill -9` included: an acknowledged record has been handed to the operating system.
    /// Everything is forced to the disk every [`Options::sync_interval`], so a power cut or a crash of the operating
    /// system loses at most what was acknowledged since. Apache Kafka's default promises less on a single node: it
    /// leaves the time to the operating system.
    Process,
    /// A power cut too: a record is acknowledged, and shown to consumers, after `fdatasync`. Records that arrive while
    /// one is under way share the next. A produce request takes as long as the disk needs, so throughput depends on
    /// how many are in flight.
    Power,
}

/// How many bytes the store may still write before it behaves as if the disk were full.
#[derive(Debug, Clone, Default)]
pub enum Space {
    /// As many as the file system has.
    #[default]
    Disk,
    /// This many, counted down: how tests fill a disk.
    Limited(Arc<AtomicU64>),
}

/// Tells the time. Injected, so that retention and rolling can be tested.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Milliseconds since 1970.
    pub(crate) fn millis(&self) -> i64 {
        millis((self.0)())
    }
}

impl Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Milliseconds since 1970; 0 for a time before.
pub(crate) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store's folder, made when missing. The caller sees to it that no other process uses it.
    pub folder: PathBuf,
    /// What an acknowledged record survives.
    pub durability: Durability,
    /// How often everything is forced to the disk with [`Durability::Process`].
    pub sync_interval: Duration,
    /// A segment that would grow beyond this many bytes is closed and a new one begun (at most 1 GiB). Topics may set
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// An entry goes into a segment's index for every this many bytes.
    pub index_interval: u64,
    /// The most files that are open at once, besides those being written at this moment.
    pub open_files: usize,
    /// Space left.
    pub space: Space,
    /// The time.
    pub clock: Clock,
    /// The cluster's name, for clients.
    pub cluster_id: String,
    /// This broker's id.
    pub node_id: i32,
    /// The address clients reach this broker at.
    pub advertised: Url,
}

impl Options {
    /// The defaults: 128 MiB segments, an index entry every 16 KiB, 256 open files, the disk reached once a second.
    pub fn new(folder: PathBuf, clock: Clock, advertised: Url) -> Self {
        Self {
            folder,
            durability: Durability::Process,
            sync_interval: Duration::from_secs(1),
            segment_bytes: 128 << 20,
            index_interval: 16 << 10,
            open_files: 256,
            space: Space::Disk,
            clock,
            cluster_id: "driftmill".to_owned(),
            node_id: 1,
            advertised,
        }
    }
}
