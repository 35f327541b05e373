//! The storage of the embedded broker: append-only segments behind the broker library's [`nisshi_storage::Storage`].
//!
//! ```text
//! <folder>/
//!   format                      what these files are
//!   checkpoint                  up to where they are known to be on the disk
//!   journal/<number>            topics, groups, committed offsets, producer ids
//!   topics/<name>-<id>/<partition>/
//!     <first offset>.log        record batches, as the producers sent them
//!     <first offset>.index      where they begin
//!     producers                 what tells a repeated batch from a new one
//! ```
//!
//! - `log/`: one partition's log: `append`, `read`, `sync`, `recovery`, `clean` (retention), `compact`, with `index`,
//!   `scan`, `producers` and `files` (the bounded set of open ones) beneath
//! - `journal`: a map in memory with a file of changes
//! - `syncer`: the thread that forces both to the disk
//! - `store/`: topics, opening, closing, maintenance
//! - `storage/`: the library's trait, method by method
//!
//! **What an acknowledgement means.** [`Durability::Process`], the default: the record was handed to the operating
//! system by one `pwritev`, so no end of this process loses it; a power cut loses at most the last second (the file is
//! forced to the disk that often). [`Durability::Power`]: `fdatasync` comes first. There is one copy: a disk that dies
//! takes everything with it, as with any single broker.
//!
//! **What blocks.** Appends, reads and changes run on the runtime's threads for blocking calls: each is a copy from or to
//! the page cache, microseconds a batch, but a disk that is behind makes them wait. Ends of partitions, metadata,
//! configurations, groups and committed offsets are answered from memory.
//!
//! **What a crash of the machine leaves.** With [`Durability::Process`], the end of a partition may lie before what was
//! acknowledged, and the next records get the lost ones' offsets. Whoever keeps positions elsewhere, as our ledger
//! does, cannot tell them from those it has seen: where that matters, use [`Durability::Power`].
//!
//! **What it takes.** Memory: per partition a few kilobytes, an index entry for every 16 KiB of the segment that is written
//! to, and 100 bytes for each producer of the last week; per open file (256 at most) an index of 160 KiB at most; during
//! a compaction 40 MB at most. Files: `Options::open_files`.
//!
//! **What is not there.** Transactions are refused with `UNSUPPORTED_VERSION`, which a client reports at once; user
//! credentials are refused; partitions cannot be added to a topic (the library has no call for that).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
mod disk;
mod error;
mod journal;
mod log;
mod options;
mod storage;
mod store;
mod syncer;
#[cfg(test)]
mod testing;

pub use error::{Error, Result};
pub use options::{Clock, Durability, Options, Space};
pub use store::{Follower, Offsets, Partition, SegmentStore};
