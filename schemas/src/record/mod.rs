//! A raw record: its schema, its fields and values, and its two framings on the wire.

pub mod framing;
mod schema;
mod value;

pub use schema::{Error, Field, FieldKind, RecordSchema};
pub use value::{Record, Value, ValueError};
