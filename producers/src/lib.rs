//! Producers: they read a source (CSV, JSON lines, Parquet, an API that is polled, another topic, a folder of images, a
//! seeded generator, the standard input) and send its records, framed as Avro, to `<pipeline>.raw`. What cannot be read goes to `<pipeline>.rejected` with its original bytes and the reason, and the
//! reading goes on.
//!
//! ```text
//! source ─► items in order ─► skip what is there ─► rate ─► encode ─► Sink::start ─► acknowledgements in order ─► checkpoint
//! ```
//!
//! A source that was interrupted, even by `kill -9`, goes on where it stopped and sends no record twice; how is told in
//! [`Checkpoint`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod checkpoint;
mod dead_letter;
mod encode;
mod error;
mod evidence;
mod folder;
mod job;
mod keeper;
mod known;
mod partition;
mod plan;
mod progress;
mod pump;
mod rate;
mod resume;
mod sink;
mod source;
mod surroundings;

pub use checkpoint::{Checkpoint, SEQUENCE_HEADER, SOURCES_TOPIC};
pub use error::Error;
pub use folder::source_for;
pub use job::{Job, Overrides, Services, preview, run};
pub use progress::{Progress, Summary, Unread};
pub use source::{Content, Fingerprint, Identity, Item, More, Pipe, PipeFormat, Position, Reason, RecordSource, Total};
pub use surroundings::SourceMetrics;
