//! Raw records become features: decode, validate, featurize, profile, encode, each a loop over columns.

mod added;
pub mod champion;
mod dead_letter;
mod decode;
mod encode;
pub(crate) mod fields;
mod judge;
mod pool;
mod profiler;
mod stage;

pub use added::{AddedColumn, AddedColumns, ColumnKind};
pub use dead_letter::{Place, dead_letter};
pub use decode::{AvroDecoder, Decoded, Fault};
pub use stage::{Ingest, IngestMetrics};
