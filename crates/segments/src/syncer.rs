//! The thread that forces what was written to the disk: at intervals, or as soon as somebody waits for it.
//!
//! One thread for all partitions: while it syncs, appends go on, and everything that arrived meanwhile is covered by the
//! next round. That is the group commit of [`Durability::Power`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use crate::disk;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::log::{PartitionLog, Shared, SyncPoint};
use crate::options::{Durability, Options, Space};

/// Logs with something to sync.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    logs: Vec<Arc<PartitionLog>>,
    journal: bool,
    stop: bool,
}

impl Queue {
    /// Adds a log, once.
    pub fn push(&self, log: &Arc<PartitionLog>) {
        if !log.queued.swap(true, Ordering::AcqRel) {
            self.change(|waiting| waiting.logs.push(log.clone()));
        }
    }

    /// Asks for the journal.
    pub fn push_journal(&self) {
        self.change(|waiting| waiting.journal = true);
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut waiting);
        self.changed.notify_one();
    }

    /// Waits until there is something to do; `None` when it is time to stop.
    fn take(&self, pause: Duration) -> Option<(Vec<Arc<PartitionLog>>, bool)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.logs.is_empty() && !waiting.journal && !waiting.stop {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if !pause.is_zero() {
            let stopping = self.changed.wait_timeout_while(waiting, pause, |waiting| !waiting.stop);
            waiting = stopping.unwrap_or_else(PoisonError::into_inner).0;
        }
        if waiting.stop {
            return None;
        }
        Some((std::mem::take(&mut waiting.logs), std::mem::take(&mut waiting.journal)))
    }
}

/// What is known to be on the disk, as a file. It may lag behind, never run ahead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Names the run of the operating system; another one at the next start means that the machine went down.
    boot: String,
    /// By the partition's folder, relative to the store's.
    points: BTreeMap<String, SyncPoint>,
}

impl Checkpoint {
    /// Reads the checkpoint in `folder`; an empty one when there is none.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = path(folder);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::io("read", &path)(error)),
            // A damaged one is as good as none: more is verified.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        }
    }

    /// Whether the machine has been up since the checkpoint was written.
    pub fn is_of_this_boot(&self) -> bool {
        !self.boot.is_empty() && self.boot == boot_id()
    }

    /// The last known sync of the partition in `folder`.
    pub fn point(&self, folder: &Path) -> Option<SyncPoint> {
        self.points.get(folder.to_str()?).copied()
    }

    /// Notes a sync.
    pub fn set(&mut self, folder: &Path, point: SyncPoint) {
        if let Some(folder) = folder.to_str() {
            self.points.insert(folder.to_owned(), point);
        }
    }

    /// Forgets all folders but those of which `keep` holds.
    pub fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.points.retain(|folder, _| keep(Path::new(folder)));
    }

    /// Writes the checkpoint for this run of the operating system.
    pub fn write(&mut self, folder: &Path, space: &Space) -> Result<()> {
        self.boot = boot_id();
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        disk::replace(&path(folder), &bytes, space, false)
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("checkpoint")
}

/// Differs after each start of the machine; empty where the system does not tell, which verifies more.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Syncer(JoinHandle<Checkpoint>);

impl Syncer {
    /// Starts the thread.
    pub fn start(
        options: &Options,
        shared: Arc<Shared>,
        journal: Arc<Journal>,
        mut checkpoint: Checkpoint,
    ) -> Result<Self> {
        // With a sync for every acknowledgement, the checkpoint would be most of what is written.
        let (pause, rounds) = match options.durability {
            Durability::Process => (options.sync_interval, 1),
            Durability::Power => (Duration::ZERO, 256),
        };
        let (folder, space) = (options.folder.clone(), options.space.clone());
        let root = folder.clone();
        let run = move || {
            let mut round = 0_u32;
            while let Some((logs, metadata)) = shared.queue.take(pause) {
                round = round.wrapping_add(1);
                if metadata && let Err(error) = journal.sync() {
                    error!(%error, "groups and offsets could not be made durable");
                }
                for log in logs {
                    log.queued.store(false, Ordering::Release);
                    if let Ok(point) = log.sync()
                        && let Ok(relative) = log.folder().strip_prefix(&folder)
                    {
                        checkpoint.set(relative, point);
                    }
                }
                if !round.is_multiple_of(rounds) {
                    continue;
                }
                checkpoint.retain(|partition| folder.join(partition).exists());
                if let Err(error) = checkpoint.write(&folder, &space) {
                    warn!(%error, "the checkpoint was not written; a start after a power cut verifies more");
                }
            }
            checkpoint
        };
        thread::Builder::new()
            .name("driftmill-broker-sync".to_owned())
            .spawn(run)
            .map(Self)
            .map_err(Error::io("start the thread that syncs", &root))
    }

    /// Ends the thread and returns what it knew.
    pub fn stop(self, queue: &Queue) -> Checkpoint {
        queue.change(|waiting| waiting.stop = true);
        let checkpoint = self.0.join().unwrap_or_default();
        // A log holds the queue that it waits in.
        queue.change(|waiting| waiting.logs.clear());
        checkpoint
    }
}
