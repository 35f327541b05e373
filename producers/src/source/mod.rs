//! The port: where items come from.

mod avro;
mod csv;
mod http;
mod identity;
mod images;
mod json_lines;
mod live;
pub(crate) mod parquet;
mod pipe;
mod reason;
mod synthetic;
mod text;
mod topic;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use driftmill_schemas::record::{Record, Value};
use serde::{Deserialize, Serialize};

pub(crate) use avro::AvroReader;
pub(crate) use csv::{CsvReader, Fit};
pub(crate) use http::HttpReader;
pub use identity::{Fingerprint, Identity};
#[cfg(test)]
pub(crate) use images::images_format;
pub(crate) use images::{ImageReader, image_files};
pub(crate) use json_lines::JsonLinesReader;
pub(crate) use live::{Live, Opening};
pub(crate) use parquet::ParquetReader;
pub(crate) use pipe::{ORIGIN as PIPE, PipeReader};
pub use pipe::{Pipe, PipeFormat};
pub use reason::Reason;
pub(crate) use synthetic::Generator;
pub(crate) use topic::TopicReader;

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

    /// Of a source that reads another topic: the offset of each partition that it begins at.
    fn places(&self) -> BTreeMap<i32, i64> {
        BTreeMap::new()
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
    /// Of the row that begins here: items before it, when several are made of one row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub within: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
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
    /// What else is known of an item that is no row of a file.
    pub more: Option<Box<More>>,
}

/// What is known of an item of a source that is no file.
#[derive(Debug, Clone, PartialEq)]
pub struct More {
    /// What it is found by in the next run.
    pub identity: Identity,
    /// Where it stands, for people; its source's name and its line otherwise.
    pub place: Option<String>,
    /// When it happened, if it is told: milliseconds since 1970 UTC.
    pub timestamp: Option<i64>,
    /// What the source is to be opened with once this item is acknowledged; absent: what was said before.
    pub state: Option<Arc<str>>,
    /// Items that cannot come any more, and need not be remembered once this one is acknowledged.
    pub forget: Vec<Fingerprint>,
}

impl More {
    /// An item that is found by `identity`, and nothing else.
    pub(crate) fn of(identity: Identity) -> Self {
        Self { identity, place: None, timestamp: None, state: None, forget: Vec::new() }
    }
}

impl Item {
    /// A row of a file, which is found by its number.
    pub(crate) fn numbered(sequence: u64, line: u64, content: Content, next: Position) -> Self {
        Self { sequence, line, content, next, more: None }
    }

    /// Bytes it holds besides those that [`Position::bytes`] counts.
    pub(crate) fn weight(&self) -> usize {
        match &self.content {
            Content::Framed(_, payload) => payload.len(),
            Content::Unreadable { original, .. } if self.more.is_some() => original.len(),
            Content::Record(record) if self.more.is_some() => record.values.iter().map(Value::weight).sum(),
            // Most of what is bytes stands beside the file, or is generated.
            Content::Record(record) => {
                record.values.iter().filter(|value| matches!(value, Value::Bytes(_))).map(Value::weight).sum()
            }
            _ => 0,
        }
    }

    /// What it is found by in the next run.
    pub(crate) fn identity(&self) -> Identity {
        self.more.as_ref().map_or(Identity::Number(self.sequence), |more| more.identity)
    }
}

/// What an item is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A record of the pipeline's schema.
    Record(Record),
    /// The same, and the message it already is.
    Framed(Record, Vec<u8>),
    /// Something that is none.
    Unreadable {
        /// Why.
        reason: Reason,
        /// Its bytes as they stand in the source, without the line's end; at most 32 MiB of them.
        original: Vec<u8>,
    },
    /// Nothing to send: only what [`Item::more`] tells has changed. It has the number of the next item.
    Nothing,
}
