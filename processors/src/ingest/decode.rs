//! Avro messages into columns, with the bad ones named.
//!
//! A batch is decoded in one go, because almost always every message is good. Where a message is refused, those before it
//! are decoded again without it; where a run of messages is refused only as a whole, it is halved until the bad ones are
//! alone.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_avro::reader::{Decoder, DecoderMode, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, SchemaStore};
use driftmill_platform::kafka::MessageBatch;
use driftmill_schemas::record::framing::{self, SchemaRef};
use driftmill_schemas::record::{Field, Reading, RecordSchema};

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

/// Decodes messages of the schemas it knows into the columns of the reader's schema, and those that their writers added.
#[derive(Debug)]
pub struct AvroDecoder {
    reader: RecordSchema,
    writers: HashMap<SchemaRef, Writer>,
    /// Schemas that nobody knows, and why.
    nowhere: HashMap<SchemaRef, String>,
}

/// A schema that messages were written with.
#[derive(Debug)]
struct Writer {
    text: String,
    /// How its records are read; the error is why none can be.
    reading: Result<Reading, String>,
    /// Made once and used for every batch; gone after an error, because half a record may be left in it.
    decoder: Option<Decoder>,
}

impl Writer {
    fn new(text: String, reader: &RecordSchema) -> Self {
        let reading = Reading::of(&text, reader);
        let mut writer = Self { text, reading, decoder: None };
        // What cannot be read at all is found out once, and not with each of its messages.
        match writer.new_decoder() {
            Ok(decoder) => writer.decoder = Some(decoder),
            Err(reason) => writer.reading = Err(reason),
        }
        writer
    }

    fn new_decoder(&self) -> Result<Decoder, String> {
        let reading = self.reading.as_ref().map_err(Clone::clone)?;
        let unusable = |e: String| format!("its schema cannot be read as the pipeline's: {e}");
        let mut store = SchemaStore::new();
        let fingerprint: Fingerprint =
            store.register(AvroSchema::new(self.text.clone())).map_err(|e| unusable(e.to_string()))?;
        let builder = ReaderBuilder::new()
            .with_batch_size(DECODER_ROWS)
            .with_decoder_mode(DecoderMode::UnframedDatum)
            // As views, arrow-avro 60.1 gives an empty text for a null.
            .with_utf8_view(false)
            .with_writer_schema_store(store)
            .with_active_fingerprint(fingerprint);
        // The same schema needs no projection, which takes a fifth of the time.
        let builder = match &reading.reader {
            None => builder,
            Some(reader) => builder.with_reader_schema(AvroSchema::new(reader.clone())),
        };
        builder.build_decoder().map_err(|e| unusable(e.to_string()))
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
        let own = (SchemaRef::Fingerprint(reader.fingerprint), Writer::new(reader.text.clone(), &reader));
        Self { reader, writers: HashMap::from([own]), nowhere: HashMap::new() }
    }

    /// The schemas that messages of `batch` name, each once.
    pub fn named(batch: &MessageBatch) -> Vec<SchemaRef> {
        let mut named = Vec::new();
        let mut seen = HashSet::new();
        let mut last = None;
        for i in 0..batch.len() {
            if let Ok((schema, _)) = framing::split(batch.payload(i))
                && last.replace(schema) != Some(schema)
                && seen.insert(schema)
            {
                named.push(schema);
            }
        }
        named
    }

    /// Those of `named` that are not known yet. Of what was not to be found it is not known whether it still is not.
    pub fn unknown(&mut self, named: &[SchemaRef]) -> Vec<SchemaRef> {
        self.nowhere.clear();
        named.iter().filter(|named| !self.writers.contains_key(named)).copied().collect()
    }

    /// Makes a writer's schema known.
    pub fn learn(&mut self, named: SchemaRef, avro: String) {
        self.writers.insert(named, Writer::new(avro, &self.reader));
    }

    /// Notes why a schema cannot be known, until [`AvroDecoder::unknown`] is asked again.
    pub fn give_up(&mut self, named: SchemaRef, reason: String) {
        self.nowhere.insert(named, reason);
    }

    /// What messages that name `named` have beyond the reader's schema: fields, and fields that no column can hold, with the
    /// reason.
    pub fn beyond(&self, named: SchemaRef) -> (&[Field], &[(String, String)]) {
        match self.writers.get(&named).map(|writer| &writer.reading) {
            Some(Ok(reading)) => (&reading.added, &reading.unusable),
            _ => (&[], &[]),
        }
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
        if let Some(Writer { reading: Err(message), .. }) = self.writers.get(&schema) {
            let fault =
                |(index, _): &(usize, &[u8])| Fault { index: *index, kind: "Unreadable", message: message.clone() };
            decoded.faults.extend(bodies.iter().map(fault));
            return;
        }
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
            None => writer.new_decoder().map_err(Refusal::Whole)?,
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
        self.nowhere.get(&schema).cloned().unwrap_or_else(|| match schema {
            SchemaRef::Fingerprint(print) => format!(
                "was written with a schema of fingerprint {print:016x}, which is not known here; the pipeline's is {:016x}",
                self.reader.fingerprint
            ),
            SchemaRef::RegistryId(id) => format!("was written with schema {id} of a registry, which is not known here"),
        })
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
        let named = AvroDecoder::named(&batch(std::slice::from_ref(&message)));
        assert_eq!(decoder.unknown(&named).len(), 1);
        decoder.learn(SchemaRef::Fingerprint(older.fingerprint), older.text.clone());
        let decoded = decode(&mut decoder, &[message]);
        assert_eq!(decoded.parts[0].0.num_columns(), 3);
    }

    fn written(text: &str, values: Vec<Value>) -> (SchemaRef, String, Vec<u8>) {
        let schema = RecordSchema::parse(text).unwrap();
        let named = SchemaRef::Fingerprint(schema.fingerprint);
        let mut out = Vec::new();
        framing::begin(named, &mut out);
        Record { values }.encode(&schema, &mut out).unwrap();
        (named, schema.text, out)
    }

    #[test]
    fn what_newer_writers_added_comes_beside_the_reader_s_columns() {
        let mut decoder = AvroDecoder::new(RecordSchema::parse(TEXT).unwrap());
        let newer = r#"{"type":"record","name":"r","namespace":"com.example","fields":[
            {"name":"t","type":["null","long"],"default":null},{"name":"s","type":"string"},
            {"name":"x","type":["null","float"]},{"name":"u","type":"int"}]}"#;
        let values = vec![Value::Long(7), Value::String("a".to_owned()), Value::Double(0.5), Value::Long(-3)];
        let (named, text, message) = written(newer, values);
        decoder.learn(named, text);
        assert_eq!(decoder.beyond(named).0.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["t", "u"]);
        let decoded = decode(&mut decoder, &[message]);
        let text = |name: &str| super::super::fields::texts(&decoded.parts[0].0, name).value(0).to_owned();
        assert_eq!([text("x"), text("s"), text("t"), text("u")], ["0.5", "a", "7", "-3"], "{:?}", decoded.faults);
    }

    #[test]
    fn each_message_of_a_schema_that_cannot_be_read_is_a_fault_with_the_reason() {
        let mut decoder = AvroDecoder::new(RecordSchema::parse(TEXT).unwrap());
        let other = TEXT.replace(r#""type":"string""#, r#""type":"long""#);
        let (named, text, message) = written(&other, vec![Value::Null, Value::Long(1)]);
        decoder.learn(named, text);
        let decoded = decode(&mut decoder, &[message.clone(), message]);
        assert_eq!((decoded.parts.len(), decoded.faults.len()), (0, 2));
        let fault = &decoded.faults[1];
        assert!(
            fault.kind == "Unreadable" && fault.message.contains("`s`: long cannot be read as string"),
            "{fault:?}"
        );
    }

    #[test]
    fn of_a_field_that_may_be_null_now_only_the_nulls_are_faults() {
        let mut decoder = AvroDecoder::new(RecordSchema::parse(TEXT).unwrap());
        let nullable = TEXT.replace(r#""type":"string""#, r#""type":["null","string"]"#);
        let (named, text, null) = written(&nullable, vec![Value::Null, Value::Null]);
        let (_, _, good) = written(&nullable, vec![Value::Null, Value::String("b".to_owned())]);
        decoder.learn(named, text);
        let decoded = decode(&mut decoder, &[good.clone(), null, good]);
        let kept: Vec<usize> = decoded.parts.iter().flat_map(|(_, indices)| indices.clone()).collect();
        assert_eq!((kept, decoded.faults.len()), (vec![0, 2], 1), "{:?}", decoded.faults);
        assert_eq!(super::super::fields::texts(&decoded.parts[0].0, "s").value(0), "b");
    }

    #[test]
    fn a_schema_that_nobody_knows_is_a_fault_with_what_was_found_out_and_asked_for_again() {
        let mut decoder = AvroDecoder::new(RecordSchema::parse(TEXT).unwrap());
        let message = [0, 0, 0, 0, 9, 1, 2];
        let named = AvroDecoder::named(&batch(&[message.to_vec()]));
        assert_eq!(decoder.unknown(&named), [SchemaRef::RegistryId(9)]);
        decoder.give_up(named[0], "the registry does not know it".to_owned());
        let decoded = decode(&mut decoder, &[message.to_vec()]);
        assert_eq!(decoded.faults[0].message, "the registry does not know it");
        assert_eq!(decoder.unknown(&named), [SchemaRef::RegistryId(9)]);
    }
}
