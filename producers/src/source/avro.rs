//! An Avro object container.

use std::io::Read;

use driftmill_schemas::record::container::{self, Container};
use driftmill_schemas::record::{Mapping, RecordSchema};

use super::{Content, Item, Position, Reason, RecordSource, Total};
use crate::Error;

/// A container whose fields are found by name. Item = record; its line is its number, from 1.
pub(crate) struct AvroReader<R> {
    container: Container<R>,
    mapping: Mapping,
    file: String,
    sequence: u64,
}

impl<R: Read> AvroReader<R> {
    /// Opens `reader`, which is called `file` in errors, at its first record.
    pub(crate) fn open(reader: R, file: &str, schema: &RecordSchema) -> Result<Self, Error> {
        let container = Container::open(reader).map_err(|error| failed(file, error))?;
        let mapping = Mapping::new(container.schema(), schema)
            .map_err(|error| Error::Container { file: file.to_owned(), reason: error.to_string() })?;
        Ok(Self { container, mapping, file: file.to_owned(), sequence: 0 })
    }
}

fn failed(file: &str, error: container::Error) -> Error {
    match error {
        container::Error::Io(error) => Error::File { file: file.to_owned(), doing: "read", error },
        other => Error::Container { file: file.to_owned(), reason: other.to_string() },
    }
}

impl<R: Read + Send> RecordSource for AvroReader<R> {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        let record = self.container.next_record().map_err(|error| failed(&self.file, error))?;
        let Some(record) = record else { return Ok(None) };
        let content = match self.mapping.apply(record.clone()) {
            Ok(record) => Content::Record(record),
            // Its bytes are no more readable than this without the container's schema.
            Err(error) => {
                Content::Unreadable { reason: Reason::Value(error), original: format!("{record:?}").into_bytes() }
            }
        };
        let sequence = self.sequence;
        self.sequence += 1;
        let next = Position { sequence: self.sequence, ..Position::default() };
        Ok(Some(Item::numbered(sequence, self.sequence, content, next)))
    }

    fn total_hint(&self) -> Option<Total> {
        None
    }

    fn at_hand(&self) -> bool {
        self.container.at_hand() > 0
    }
}
