//! The records of a body: messages for Kafka, or what is wrong with them and where.

use std::fmt;

use bytes::Bytes;
use driftmill_platform::kafka::{MAX_RECORD_BYTES, Outgoing};
use driftmill_schemas::message::REQUEST_HEADER;
use driftmill_schemas::name::shortened;
use driftmill_schemas::record::container::{self, Container};
use driftmill_schemas::record::framing::{self, SchemaRef};
use driftmill_schemas::record::{Encoder, Mapping, ObjectError, Record, ValueError};
use serde::Serialize;

use super::MOST_RECORDS;
use super::format::Format;
use super::split::{self, Element};
use crate::app::Served;
use crate::fault::Fault;
use crate::request_id::RequestId;

/// Characters of a reason that the answer shows.
const SHOWN: usize = 300;

/// What every message of a request carries.
pub(super) struct Stamp {
    pub(super) framing: SchemaRef,
    /// When the request came, milliseconds since 1970 UTC.
    pub(super) at: i64,
    pub(super) request: RequestId,
}

/// Which record of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    record: usize,
    line: Option<u64>,
}

/// A record that is not in Kafka, and why.
#[derive(Debug, Serialize)]
pub(super) struct Bad {
    /// Its number in the body, from 0.
    pub(super) record: usize,
    /// The line it begins in, from 1; Avro has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// The field or key at fault, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    pub(super) kind: &'static str,
    message: String,
}

impl Place {
    /// The place of record `record` of a body.
    pub(super) fn of(record: usize, line: u64) -> Self {
        Self { record, line: Some(line) }
    }

    pub(super) fn not_utf8(self) -> Bad {
        self.bad(None, "InvalidEncoding", "is not valid UTF-8".to_owned())
    }

    pub(super) fn bad(self, field: Option<&str>, kind: &'static str, message: String) -> Bad {
        let field = field.map(str::to_owned);
        Bad { record: self.record, line: self.line, field, kind, message: shortened(&message, SHOWN) }
    }
}

/// The records of one body.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) records: usize,
    pub(super) messages: Vec<(Place, Outgoing)>,
    pub(super) bad: Vec<Bad>,
}

/// Reads a body. A fault is for all of it: nothing of it can be told apart, or it holds nothing, or too much.
pub(super) fn read(bytes: &Bytes, format: Format, served: &Served, stamp: &Stamp) -> Result<Reading, Fault> {
    let encoder = Encoder::new(&served.loaded, stamp.framing);
    let mut reader = Reader { served, encoder, stamp, reading: Reading::default() };
    match format {
        Format::Lines => reader.objects(split::lines(bytes)?)?,
        Format::Json => reader.objects(split::json(bytes)?)?,
        Format::Avro if bytes.starts_with(&container::MAGIC) => reader.container(bytes)?,
        Format::Avro => reader.single_objects(bytes)?,
    }
    if reader.reading.records == 0 {
        return Err(Fault::bad_request("the body holds no records"));
    }
    Ok(reader.reading)
}

struct Reader<'a> {
    served: &'a Served,
    encoder: Encoder<'a>,
    stamp: &'a Stamp,
    reading: Reading,
}

impl Reader<'_> {
    /// The place of the next record.
    fn place(&mut self, line: Option<u64>) -> Result<Place, Fault> {
        let record = self.reading.records;
        self.reading.records += 1;
        if self.reading.records > MOST_RECORDS { Err(split::too_many()) } else { Ok(Place { record, line }) }
    }

    fn take(&mut self, place: Place, record: Result<Record, ObjectError>) {
        let encoded = record.and_then(|record| Ok((self.encoder.key(&record), self.encoder.payload(&record)?)));
        match encoded {
            Err(error) => self.reading.bad.push(place.bad(error.field(), error.kind(), error.to_string())),
            Ok((_, payload)) if payload.len() > MAX_RECORD_BYTES => {
                let message = format!("{} bytes where {MAX_RECORD_BYTES} are the most", payload.len());
                self.reading.bad.push(place.bad(None, "TooLong", message));
            }
            Ok((key, payload)) => {
                let headers = vec![(REQUEST_HEADER.to_owned(), self.stamp.request.as_str().as_bytes().to_vec())];
                let message = Outgoing { key, payload, headers, timestamp: Some(self.stamp.at), partition: None };
                self.reading.messages.push((place, message));
            }
        }
    }

    fn objects(&mut self, elements: Vec<Element<'_>>) -> Result<(), Fault> {
        for Element { line, text } in elements {
            let place = self.place(Some(line))?;
            match text {
                Some(text) => self.take(place, self.served.objects.read(text)),
                None => self.reading.bad.push(place.not_utf8()),
            }
        }
        Ok(())
    }

    /// An Avro object container.
    fn container(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let broken = |e: &dyn fmt::Display| Fault::bad_request(format!("the Avro container: {e}"));
        let mut container = Container::open(bytes).map_err(|e| broken(&e))?;
        let mapping = Mapping::new(container.schema(), &self.served.loaded.schema).map_err(|e| broken(&e))?;
        while let Some(record) = container.next_record().map_err(|e| broken(&e))? {
            let place = self.place(None)?;
            self.take(place, mapping.apply(record).map_err(ObjectError::Value));
        }
        Ok(())
    }

    /// Records in single-object encoding, one after the other.
    fn single_objects(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        let schema = &self.served.loaded.schema;
        let finite = |record: Record| -> Result<Record, ObjectError> {
            let values = record.values.into_iter().zip(&schema.fields).map(|(value, field)| value.for_field(field));
            Ok(Record { values: values.collect::<Result<_, ValueError>>()? })
        };
        while !bytes.is_empty() {
            let number = self.reading.records;
            let broken = |e: &dyn fmt::Display| Fault::bad_request(format!("Avro record {number}: {e}"));
            match framing::split(bytes).map_err(|e| broken(&e))? {
                (SchemaRef::Fingerprint(print), body) if print == schema.fingerprint => bytes = body,
                (SchemaRef::Fingerprint(print), _) => {
                    return Err(broken(&format!(
                        "its schema has the fingerprint {print:016x} and the pipeline's {:016x}: send a container, which \
                         brings its schema along",
                        schema.fingerprint
                    )));
                }
                (SchemaRef::RegistryId(_), _) => {
                    return Err(broken(&"the Confluent wire format is not read here: use single-object encoding"));
                }
            }
            let record = Record::decode(schema, &mut bytes).map_err(|e| broken(&e))?;
            let place = self.place(None)?;
            self.take(place, finite(record));
        }
        Ok(())
    }
}
