//! Raw records become features: decode, validate, featurize, profile, encode, each a loop over columns.

mod added;
pub mod champion;
mod check;
mod dead_letter;
mod decode;
mod encode;
pub(crate) mod fields;
mod history;
mod judge;
mod metrics;
mod pool;
mod profiler;
mod rules;
mod stage;

pub use added::{AddedColumn, AddedColumns, ColumnKind};
pub use check::check;
pub use dead_letter::{Place, dead_letter};
pub use decode::{AvroDecoder, Decoded, Fault};
pub use history::{History, NoHistory, TopicHistory};
pub use metrics::IngestMetrics;
pub use stage::{Ingest, Needs};
