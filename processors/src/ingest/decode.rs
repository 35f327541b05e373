//! Avro messages into columns, with the bad ones named.
//!
//! A batch is decoded in one go, because almost always every message is good. Where a message is refused, those before it
//! are decoded again without it; where a run of messages is refused only as a whole, it is halved until the bad ones are
//! alone.

use std::collections::HashMap;
use std::ops::Range;

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
    /// Columns, each with the messages its rows came from, ascending.
    pub parts: Vec<(RecordBatch, Vec<usize>)>,
    /// Messages that are no records.
    pub faults: Vec<Fault>,
}

/// Decodes messages of the schemas it knows into the columns of the reader's schema.
#[derive(Debug)]
pub struct AvroDecoder {
    reader: RecordSchema,
    writers: HashMap<SchemaRef, Writer>,
}

/// A schema that messages were written with.
#[derive(Debug)]
struct Writer {
    text: String,
    /// Made once and used for every batch; gone after an error, because half a record may be left in it.
    decoder: Option<Decoder>,
}

impl Writer {
    fn new(text: String) -> Self {
        Self { text, decoder: None }
    }
}

/// Rows after which a decoder wants to be emptied: more than any batch has.
const DECODER_ROWS: usize = 1 << 20;

/// Messages of one writer: index in the batch and body.
type Bodies<'a> = Vec<(usize, &'a [u8])>;

/// Why bodies did not become columns.
enum Refusal {
    /// The body at this place was refused; nothing after it was looked at.
    At(usize, String),
    /// All of them together were.
    Whole(String),
}

impl AvroDecoder {
    /// A decoder into the columns of `reader`, which knows that one schema.
    pub fn new(reader: RecordSchema) -> Self {
        let own = (SchemaRef::Fingerprint(reader.fingerprint), Writer::new(reader.text.clone()));
        Self { reader, writers: HashMap::from([own]) }
    }

    /// The schemas that messages of `batch` name and that are not known yet.
    pub fn unknown(&self, batch: &MessageBatch) -> Vec<SchemaRef> {
        let mut unknown = Vec::new();
        let mut last = None;
        for i in 0..batch.len() {
            if let Ok((schema, _)) = framing::split(batch.payload(i))
                && last.replace(schema) != Some(schema)
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
        self.writers.insert(named, Writer::new(avro));
    }

    /// Decodes each of the messages `range` of `batch` into one row or one fault.
    pub fn decode(&mut self, batch: &MessageBatch, range: Range<usize>) -> Decoded {
        let mut decoded = Decoded::default();
        // Almost always there is one writer, so its messages are found without a look into a map.
        let mut by_writer: Vec<(SchemaRef, Bodies<'_>)> = Vec::new();
        let mut last = 0;
        for index in range.clone() {
            let (schema, body) = match framing::split(batch.payload(index)) {
                Ok(split) => split,
                Err(e) => {
                    decoded.faults.push(Fault { index, kind: "NotAvro", message: e.to_string() });
                    continue;
                }
            };
            if by_writer.get(last).is_none_or(|(writer, _)| *writer != schema) {
                last = match by_writer.iter().position(|(writer, _)| *writer == schema) {
                    Some(place) => place,
                    None if self.writers.contains_key(&schema) => {
                        by_writer.push((schema, Vec::with_capacity(range.end - index)));
                        by_writer.len() - 1
                    }
                    None => {
                        let message = self.unknown_schema(schema);
                        decoded.faults.push(Fault { index, kind: "UnknownSchema", message });
                        continue;
                    }
                };
            }
            by_writer[last].1.push((index, body));
        }
        for (schema, bodies) in by_writer {
            self.decode_all(schema, &bodies, &mut decoded);
        }
        decoded.parts.sort_by_key(|(_, indices)| indices.first().copied());
        decoded.faults.sort_by_key(|fault| fault.index);
        decoded
    }

    /// Decodes messages of one writer. A bad one costs its neighbours one more pass.
    fn decode_all(&mut self, schema: SchemaRef, mut bodies: &[(usize, &[u8])], decoded: &mut Decoded) {
        while !bodies.is_empty() {
            match self.attempt(schema, bodies) {
                Ok(columns) => {
                    decoded.parts.push((columns, bodies.iter().map(|(index, _)| *index).collect()));
                    return;
                }
                Err(Refusal::At(place, message)) => {
                    let (before, rest) = bodies.split_at(place);
                    self.decode_all(schema, before, decoded);
                    decoded.faults.push(Fault { index: rest[0].0, kind: "Undecodable", message });
                    bodies = &rest[1..];
                }
                Err(Refusal::Whole(message)) if bodies.len() == 1 => {
                    decoded.faults.push(Fault { index: bodies[0].0, kind: "Undecodable", message });
                    return;
                }
                Err(Refusal::Whole(_)) => {
                    let (first, second) = bodies.split_at(bodies.len() / 2);
                    self.decode_all(schema, first, decoded);
                    bodies = second;
                }
            }
        }
    }

    fn attempt(&mut self, schema: SchemaRef, bodies: &[(usize, &[u8])]) -> Result<RecordBatch, Refusal> {
        let Some(writer) = self.writers.get_mut(&schema) else {
            return Err(Refusal::Whole("its schema is not known any more".to_owned()));
        };
        let mut decoder = match writer.decoder.take() {
            Some(decoder) => decoder,
            None => decoder(&self.reader, &writer.text).map_err(Refusal::Whole)?,
        };
        for (place, (_, body)) in bodies.iter().enumerate() {
            match decoder.decode(body) {
                Ok(used) if used == body.len() => {}
                Ok(used) => {
                    let more = body.len() - used;
                    let message = format!("{more} bytes follow the record, which ends after {used}");
                    return Err(Refusal::At(place, message));
                }
                Err(e) => return Err(Refusal::At(place, format!("the body does not fit its schema: {e}"))),
            }
        }
        match decoder.flush() {
            Ok(Some(columns)) if columns.num_rows() == bodies.len() => {
                writer.decoder = Some(decoder);
                Ok(columns)
            }
            Ok(_) => Err(Refusal::Whole("the body holds no whole record".to_owned())),
            Err(e) => Err(Refusal::Whole(format!("the body does not fit its schema: {e}"))),
        }
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

fn decoder(reader: &RecordSchema, writer: &str) -> Result<Decoder, String> {
    let unusable = |e: String| format!("its schema cannot be read as the pipeline's: {e}");
    let mut store = SchemaStore::new();
    let fingerprint: Fingerprint =
        store.register(AvroSchema::new(writer.to_owned())).map_err(|e| unusable(e.to_string()))?;
    let builder = ReaderBuilder::new()
        .with_batch_size(DECODER_ROWS)
        .with_decoder_mode(DecoderMode::UnframedDatum)
        // As views, arrow-avro 60.1 gives an empty text for a null.
        .with_utf8_view(false)
        .with_writer_schema_store(store)
        .with_active_fingerprint(fingerprint);
    // The same schema needs no projection, which takes a fifth of the time.
    let builder = match writer == reader.text {
        true => builder,
        false => builder.with_reader_schema(AvroSchema::new(reader.text.clone())),
    };
    builder.build_decoder().map_err(|e| unusable(e.to_string()))
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

    fn decode(decoder: &mut AvroDecoder, messages: &[Vec<u8>]) -> Decoded {
        decoder.decode(&batch(messages), 0..messages.len())
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
        let decoded = decode(&mut AvroDecoder::new(schema), &messages);
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
    fn a_null_text_is_no_empty_text() {
        let nullable = TEXT.replace(r#"{"name":"s","type":"string"}"#, r#"{"name":"s","type":["null","string"]}"#);
        let schema = RecordSchema::parse(&nullable).unwrap();
        let message = |s: Value| {
            let mut out = Vec::new();
            framing::begin(SchemaRef::Fingerprint(schema.fingerprint), &mut out);
            Record { values: vec![Value::Null, s] }.encode(&schema, &mut out).unwrap();
            out
        };
        let messages = [message(Value::Null), message(Value::String(String::new()))];
        let decoded = decode(&mut AvroDecoder::new(schema.clone()), &messages);
        let texts = super::super::fields::texts(&decoded.parts[0].0, "s");
        assert_eq!(texts.iter().collect::<Vec<_>>(), [None, Some("")]);
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
            let decoded = decode(&mut AvroDecoder::new(schema.clone()), &[one]);
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
        let decoded = decode(&mut decoder, &[message]);
        assert_eq!(decoded.parts[0].0.num_columns(), 3);
    }
}
