//! The port: where items come from.

mod avro;
mod csv;
mod json_lines;
pub(crate) mod parquet;
mod pipe;
mod reason;
mod synthetic;
mod text;
mod window;

use driftmill_schemas::record::Record;
use serde::{Deserialize, Serialize};

pub(crate) use avro::AvroReader;
pub(crate) use csv::CsvReader;
pub(crate) use json_lines::JsonLinesReader;
pub(crate) use parquet::ParquetReader;
pub(crate) use pipe::{ORIGIN as PIPE, PipeReader};
pub use pipe::{Pipe, PipeFormat};
pub use reason::Reason;
pub(crate) use synthetic::Generator;

use crate::Error;

/// The longest row that is read, in bytes: what is larger would not fit into a message.
pub const MAX_ROW_BYTES: usize = driftmill_platform::kafka::MAX_RECORD_BYTES;
/// The most of one row that is kept as a dead letter's original, and the farthest that a closing quote is looked for.
/// This, not the size of the file, bounds a reader's memory.
pub(crate) const KEPT_ROW_BYTES: usize = 32 << 20;

/// A source of records.
///
/// * **Order.** Items come in the source's own order, and each has the next [`Item::sequence`], from 0. A row that cannot
///   be read is an item like any other; blank lines and the header are none. So a row's number depends on the source's
///   bytes alone, not on how the pipeline file maps its columns.
/// * **Positions.** [`Item::next`] stands behind the item. A source opened there yields exactly what an uninterrupted one
///   would have yielded next.
///
/// ```text
///            item 0      item 1               item 2
/// ├─ header ─┼───────────┼────── blank line ──┼───────────┤
///            0           1 = items[0].next    2           3      Position::sequence
/// ```
/// * **End.** `None` is the end for now: a file that grows is gone on with by opening it at the last position again.
/// * **Memory.** Bounded, whatever the size of the source or of one row.
/// * **Blocking.** `next` may block on the disk: it is not called on a thread that must not.
pub trait RecordSource: Send {
    /// The next item; `None` at the end. An error is for the whole source.
    fn next(&mut self) -> Result<Option<Item>, Error>;

    /// How much there is in all, for a progress bar; `None` when there is no end.
    fn total_hint(&self) -> Option<Total>;

    /// Whether the next item, or the end, can be had without waiting for somebody to write more: what is read already is
    /// not to wait for what is not written yet.
    fn at_hand(&self) -> bool {
        true
    }

    /// Whether the input ended within the last item, where that can be told.
    fn cut_off(&self) -> bool {
        false
    }
}

/// The size of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Bytes of a file: compare with [`Position::bytes`].
    Bytes(u64),
    /// Records: compare with [`Position::sequence`].
    Rows(u64),
}

/// A place between two items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Items before it: the number of the next one.
    pub sequence: u64,
    /// Bytes of the file before it; 0 for a generator.
    #[serde(default)]
    pub bytes: u64,
    /// Lines of the file before it; 0 for a generator.
    #[serde(default)]
    pub lines: u64,
}

/// One item of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its number, from 0.
    pub sequence: u64,
    /// The line it starts in, from 1; for a generator its number.
    pub line: u64,
    /// What it is.
    pub content: Content,
    /// Where the next one starts.
    pub next: Position,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A record of the pipeline's schema.
    Record(Record),
    /// Something that is none.
    Unreadable {
        /// Why.
        reason: Reason,
        /// Its bytes as they stand in the source, without the line's end; at most 32 MiB of them.
        original: Vec<u8>,
    },
}
