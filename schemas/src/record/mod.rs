//! A raw record: its schema, its fields and values, the forms it is read from, and its two framings on the wire.

pub mod compatibility;
pub mod container;
mod decode;
mod encoder;
mod evolution;
pub mod framing;
mod json;
mod mapping;
mod schema;
mod time;
mod value;

pub use decode::DecodeError;
pub use encoder::Encoder;
pub use evolution::Reading;
pub use json::{ObjectError, ObjectReader};
pub use mapping::{Mapping, MappingError};
pub use schema::{Error, Field, FieldKind, RecordSchema};
pub use time::check_time_format;
pub use value::{Record, Value, ValueError};
