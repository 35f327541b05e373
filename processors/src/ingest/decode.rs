//! Avro messages into columns, with the bad ones named.
//!
//! A batch is decoded in one go, because almost always every message is good. Only when that fails is it halved, until the
//! bad ones are alone.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_avro::reader::{Decoder, DecoderMode, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, SchemaStore};
use driftmill_platform::kafka::MessageBatch;
use driftmill_schemas::record::RecordSchema;
use driftmill_schemas::record::framing::{self, SchemaRef};

/// Why a message is not a record of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Message of the batch.
    pub index: usize,
    /// Kind, for counting.
    pub kind: &'static str,
    /// What was wrong, for people.
    pub message: String,
}

/// Decoded records of one batch.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Columns, by writer schema: each with the messages its rows came from, ascending.
    pub parts: Vec<(RecordBatch, Vec<usize>)>,
    /// Messages that are no records.
    pub faults: Vec<Fault>,
}

/// Decodes messages of the schemas it knows into the columns of the reader's schema.
#[derive(Debug)]
pub struct AvroDecoder {
    reader: RecordSchema,
    writers: HashMap<SchemaRef, String>,
}

impl AvroDecoder {
    /// A decoder into the columns of `reader`, which knows that one schema.
    pub fn new(reader: RecordSchema) -> Self {
        let writers = HashMap::from([(SchemaRef::Fingerprint(reader.fingerprint), reader.text.clone())]);
        Self { reader, writers }
    }

    /// The schemas that messages of `batch` name and that are not known yet.
    pub fn unknown(&self, batch: &MessageBatch) -> Vec<SchemaRef> {
        let mut unknown = Vec::new();
        for i in 0..batch.len() {
            if let Ok((schema, _)) = framing::split(batch.payload(i))
                && !self.writers.contains_key(&schema)
                && !unknown.contains(&schema)
            {
                unknown.push(schema);
            }
        }
        unknown
    }

    /// Makes a writer's schema known.
    pub fn learn(&mut self, named: SchemaRef, avro: String) {
        self.writers.insert(named, avro);
    }

    /// Decodes every message of `batch` into one row or one fault.
    pub fn decode(&self, batch: &MessageBatch) -> Decoded {
        let mut decoded = Decoded::default();
        let mut bodies: HashMap<SchemaRef, Vec<(usize, &[u8])>> = HashMap::new();
        for index in 0..batch.len() {
            match framing::split(batch.payload(index)) {
                Ok((schema, body)) if self.writers.contains_key(&schema) => {
                    bodies.entry(schema).or_default().push((index, body));
                }
                Ok((schema, _)) => {
                    decoded.faults.push(Fault { index, kind: "UnknownSchema", message: self.unknown_schema(schema) });
                }
                Err(e) => decoded.faults.push(Fault { index, kind: "NotAvro", message: e.to_string() }),
            }
        }
        for (schema, bodies) in bodies {
            self.decode_part(&self.writers[&schema], &bodies, &mut decoded);
        }
        decoded.parts.sort_by_key(|(_, indices)| indices.first().copied());
        decoded.faults.sort_by_key(|fault| fault.index);
        decoded
    }

    /// Decodes messages of one writer: all at once, and where that fails, each half by itself. A bad message costs a few
    /// more passes, not one decoder for each of its good neighbours.
    fn decode_part(&self, writer: &str, bodies: &[(usize, &[u8])], decoded: &mut Decoded) {
        match self.attempt(writer, bodies) {
            Ok(columns) => decoded.parts.push((columns, bodies.iter().map(|(index, _)| *index).collect())),
            Err(message) if bodies.len() == 1 => {
                let (index, kind) = (bodies[0].0, "Undecodable");
                decoded.faults.push(Fault { index, kind, message });
            }
            Err(_) => {
                let (first, second) = bodies.split_at(bodies.len() / 2);
                self.decode_part(writer, first, decoded);
                self.decode_part(writer, second, decoded);
            }
        }
    }

    fn attempt(&self, writer: &str, bodies: &[(usize, &[u8])]) -> Result<RecordBatch, String> {
        let mut decoder = self.decoder(writer, bodies.len().max(1))?;
        for (_, body) in bodies {
            match decoder.decode(body) {
                Ok(used) if used == body.len() => {}
                Ok(used) => {
                    return Err(format!("{} bytes follow the record, which ends after {used}", body.len() - used));
                }
                Err(e) => return Err(format!("the body does not fit its schema: {e}")),
            }
        }
        match decoder.flush() {
            Ok(Some(columns)) if columns.num_rows() == bodies.len() => Ok(columns),
            Ok(_) => Err("the body holds no whole record".to_owned()),
            Err(e) => Err(format!("the body does not fit its schema: {e}")),
        }
    }

    fn decoder(&self, writer: &str, rows: usize) -> Result<Decoder, String> {
        let unusable = |e: String| format!("its schema cannot be read as the pipeline's: {e}");
        let mut store = SchemaStore::new();
        let fingerprint: Fingerprint =
            store.register(AvroSchema::new(writer.to_owned())).map_err(|e| unusable(e.to_string()))?;
        ReaderBuilder::new()
            .with_batch_size(rows)
            .with_decoder_mode(DecoderMode::UnframedDatum)
            .with_utf8_view(true)
            .with_reader_schema(AvroSchema::new(self.reader.text.clone()))
            .with_writer_schema_store(store)
            .with_active_fingerprint(fingerprint)
            .build_decoder()
            .map_err(|e| unusable(e.to_string()))
    }

    fn unknown_schema(&self, schema: SchemaRef) -> String {
        match schema {
            SchemaRef::Fingerprint(print) => format!(
                "was written with a schema of fingerprint {print:016x}, which is not known here; the pipeline's is {:016x}",
                self.reader.fingerprint
            ),
            SchemaRef::RegistryId(id) => {
                format!(
                    "was written with schema {id} of a registry: set DRIFTMILL_SCHEMA_REGISTRY so that it can be fetched"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftmill_schemas::record::{Record, Value};

    const TEXT: &str = r#"{"type":"record","name":"r","fields":[
        {"name":"x","type":["null","double"]},{"name":"s","type":"string"}]}"#;

    fn message(schema: &RecordSchema, x: Option<f64>, s: &str) -> Vec<u8> {
        let mut out = Vec::new();
        framing::begin(SchemaRef::Fingerprint(schema.fingerprint), &mut out);
        let record = Record { values: vec![x.map_or(Value::Null, Value::Double), Value::String(s.to_owned())] };
        record.encode(schema, &mut out).unwrap();
        out
    }

    fn batch(messages: &[Vec<u8>]) -> MessageBatch {
        let mut batch = MessageBatch::new("r.raw", false);
        for (offset, message) in messages.iter().enumerate() {
            batch.push(0, offset as i64, 0, message, Vec::new());
        }
        batch
    }

    #[test]
    fn good_messages_become_columns_and_each_bad_one_a_fault_of_its_own() {
        let schema = RecordSchema::parse(TEXT).unwrap();
        let good = message(&schema, Some(1.5), "a");
        let mut trailing = good.clone();
        trailing.push(0);
        let mut torn = good.clone();
        torn.truncate(good.len() - 1);
        let mut bad_text = good.clone();
        *bad_text.last_mut().unwrap() = 0xff;
        let mut foreign = good.clone();
        foreign[2] ^= 1;
        let messages =
            [good, b"{}".to_vec(), trailing, torn, bad_text, foreign, Vec::new(), message(&schema, None, "é")];
        let decoded = AvroDecoder::new(schema).decode(&batch(&messages));
        let bad: Vec<_> = decoded.faults.iter().map(|f| (f.index, f.kind)).collect();
        let undecodable = "Undecodable";
        assert_eq!(
            bad,
            [
                (1, "NotAvro"),
                (2, undecodable),
                (3, undecodable),
                (4, undecodable),
                (5, "UnknownSchema"),
                (6, "NotAvro")
            ]
        );
        let kept: Vec<usize> = decoded.parts.iter().flat_map(|(_, indices)| indices.clone()).collect();
        let rows: usize = decoded.parts.iter().map(|(columns, _)| columns.num_rows()).sum();
        assert_eq!((rows, kept), (2, vec![0, 7]));
    }

    #[test]
    fn a_length_that_promises_more_than_there_is_is_a_fault() {
        let schema = RecordSchema::parse(TEXT).unwrap();
        let mut hostile = Vec::new();
        framing::begin(SchemaRef::Fingerprint(schema.fingerprint), &mut hostile);
        // null x, then a string of 2^62 bytes; and one of a negative length.
        for tail in [&[0x00, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f][..], &[0x00, 0x03], &[0x04]] {
            let mut one = hostile.clone();
            one.extend_from_slice(tail);
            let decoded = AvroDecoder::new(schema.clone()).decode(&batch(&[one]));
            assert_eq!((decoded.parts.len(), decoded.faults.len()), (0, 1), "{decoded:?}");
        }
    }

    #[test]
    fn an_older_writer_is_read_with_the_defaults_of_the_reader() {
        let newer = TEXT.replace("]}\n", "").replace(
            r#"{"name":"s","type":"string"}]}"#,
            r#"{"name":"s","type":"string"},{"name":"t","type":["null","long"],"default":null}]}"#,
        );
        let older = RecordSchema::parse(TEXT).unwrap();
        let mut decoder = AvroDecoder::new(RecordSchema::parse(&newer).unwrap());
        let message = message(&older, Some(2.0), "b");
        assert_eq!(decoder.unknown(&batch(std::slice::from_ref(&message))).len(), 1);
        decoder.learn(SchemaRef::Fingerprint(older.fingerprint), older.text.clone());
        let decoded = decoder.decode(&batch(&[message]));
        assert_eq!(decoded.parts[0].0.num_columns(), 3);
    }
}
