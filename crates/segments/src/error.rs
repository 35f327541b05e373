//! What can go wrong with the store, said so that the reader knows where to look.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "open", "write to".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file system is full. Nothing was stored; the same request succeeds once there is space again.
    #[error("no space left to write {}: nothing of this request was stored; free some space and it goes on", path.display())]
    NoSpace {
        /// The file that should have grown.
        path: PathBuf,
    },
    /// A file was damaged by something other than an interrupted write.
    #[error(
        "{} is damaged at byte {position}: {reason}. Restore the file from a copy; or, to give up the records from \
         offset {offset} on, cut it to {position} bytes and delete the files beside it with higher numbers",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage begins, in bytes.
        position: u64,
        /// The first offset that cannot be read.
        offset: i64,
        /// What is wrong there.
        reason: String,
    },
    /// An earlier `fdatasync` failed: what the operating system holds of this file is not known any more.
    #[error("{} could not be made durable earlier; restart the broker to go on with what is on the disk", path.display())]
    Poisoned {
        /// The partition's folder.
        path: PathBuf,
    },
    /// The topic was deleted while it was written to.
    #[error("the topic of {} was deleted", path.display())]
    Deleted {
        /// The partition's folder.
        path: PathBuf,
    },
    /// The folder holds what another version wrote.
    #[error("{} was written by another version: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is not understood.
        reason: String,
    },
    /// An idempotent batch is neither the next one nor a repetition.
    #[error("producer {producer_id} sent sequence {got} where {expected} was due")]
    OutOfOrder {
        /// The producer.
        producer_id: i64,
        /// Sequence number that continues the partition.
        expected: i32,
        /// Sequence number that came.
        got: i32,
    },
    /// The batch is of an epoch that a newer one replaced.
    #[error("producer {producer_id} at epoch {epoch} was replaced by a newer epoch")]
    Fenced {
        /// The producer.
        producer_id: i64,
        /// Its epoch.
        epoch: i16,
    },
    /// The producer's state was given up here, because it is long unused or older than the topic.
    #[error("nothing is known of producer {producer_id} any more")]
    UnknownProducer {
        /// The producer.
        producer_id: i64,
    },
}

impl Error {
    /// Wraps what the operating system said about `path`, and tells a full disk from other trouble.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Io { action, path, source },
        }
    }
}

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;
