//! A record as a message: framed Avro, keyed by its entity.

use driftmill_platform::kafka::{Headers, Outgoing};
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::record::{Record, RecordSchema, Value, ValueError, framing};

use crate::checkpoint::SEQUENCE_HEADER;
use crate::partition::partition;

/// Encodes the records of one pipeline.
pub(crate) struct Encoder<'a> {
    schema: &'a RecordSchema,
    framing: framing::SchemaRef,
    entity: Option<usize>,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(loaded: &'a Loaded, framing: framing::SchemaRef) -> Self {
        let entity = loaded.pipeline.entity.as_deref().and_then(|field| loaded.schema.index(field));
        Self { schema: &loaded.schema, framing, entity }
    }

    /// The framed record.
    pub(crate) fn payload(&self, record: &Record) -> Result<Vec<u8>, ValueError> {
        let mut payload = Vec::with_capacity(16 + 10 * record.values.len());
        framing::begin(self.framing, &mut payload);
        record.encode(self.schema, &mut payload)?;
        Ok(payload)
    }

    /// The record's entity as text; empty when the pipeline has none, or the record does not name one.
    pub(crate) fn key(&self, record: &Record) -> Vec<u8> {
        match self.entity.and_then(|index| record.values.get(index)) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Boolean(value)) => value.to_string().into_bytes(),
            Some(Value::Long(value)) => value.to_string().into_bytes(),
            Some(Value::Double(value)) => value.to_string().into_bytes(),
            Some(Value::String(value)) => value.clone().into_bytes(),
        }
    }
}

/// A message of item `sequence` of the source called `key`, for a topic with that many partitions.
pub(crate) fn outgoing(
    entity: Vec<u8>,
    payload: Vec<u8>,
    mut headers: Headers,
    source: &str,
    sequence: u64,
    partitions: usize,
) -> Outgoing {
    headers.push((SEQUENCE_HEADER.to_owned(), format!("{source}:{sequence}").into_bytes()));
    let partition = Some(partition(&entity, sequence, partitions));
    Outgoing { key: entity, payload, headers, timestamp: None, partition }
}
