//! Dead letters after the fact: found, explained, and run once more when what refused them was mended.
//!
//! A replay is an ordinary run of the ingest stage over the bytes that were kept, *at the position the record had*. The row
//! that comes of it is keyed by that position, so that it makes no difference how often, from how many places, or until
//! which moment a replay ran:
//!
//! ```text
//! letter ─► bytes ─► Ingest ─► row:  1. marked as begun ─► 2. row inserted ─► 3. marked as replayed
//!                          └─► none: stays a dead letter, sent again where its reason is another one now
//! ```
//! A crash before 2 leaves a dead letter. A crash before 3 leaves a row, and a letter that is marked as begun: an audit
//! counts the two as one, and the next replay finds the row and finishes the mark. Nothing is taken out of the table of dead
//! letters, and marks have a table of their own, so a letter that is written again late finds its mark where it was.

mod advice;
mod decoded;
mod original;
mod replay;
mod table;

pub use advice::advice;
pub use decoded::decoded;
pub use original::{Kept, Originals, Whence};
pub(crate) use replay::text;
pub use replay::{Outcome, Parts, Replayer};
pub(crate) use table::MarkRow;
pub use table::{Filter, Group, Letter, Table};

use driftmill_platform::error::{Retry, Retryable};
use driftmill_platform::{clickhouse, kafka, stage, store};

/// Why dead letters cannot be looked at or replayed now.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ClickHouse.
    #[error(transparent)]
    ClickHouse(#[from] clickhouse::Error),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// The object store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The ingest stage.
    #[error(transparent)]
    Stage(#[from] stage::Error),
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::ClickHouse(e) => e.retry(),
            Self::Kafka(e) => e.retry(),
            Self::Store(e) => e.retry(),
            Self::Stage(e) => e.retry(),
        }
    }
}
