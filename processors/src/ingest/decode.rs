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
mod tests;
