//! A record as a message: framed Avro, keyed by its entity.

use super::{Record, RecordSchema, Value, ValueError, framing};
use crate::pipeline::Loaded;

/// Encodes the records of one pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Encoder<'a> {
    schema: &'a RecordSchema,
    framing: framing::SchemaRef,
    entity: Option<usize>,
}

impl<'a> Encoder<'a> {
    /// An encoder whose messages name their schema by `framing`.
    pub fn new(loaded: &'a Loaded, framing: framing::SchemaRef) -> Self {
        let entity = loaded.pipeline.entity.as_deref().and_then(|field| loaded.schema.index(field));
        Self { schema: &loaded.schema, framing, entity }
    }

    /// The framed record.
    pub fn payload(&self, record: &Record) -> Result<Vec<u8>, ValueError> {
        let mut payload = Vec::with_capacity(16 + 10 * record.values.len());
        framing::begin(self.framing, &mut payload);
        record.encode(self.schema, &mut payload)?;
        Ok(payload)
    }

    /// The record's entity as text; empty when the pipeline has none, or the record does not name one.
    pub fn key(&self, record: &Record) -> Vec<u8> {
        let value = self.entity.and_then(|index| record.values.get(index)).and_then(Value::to_text);
        value.map(String::into_bytes).unwrap_or_default()
    }
}
