//! Messages of another topic as records of ours.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use driftmill_schemas::record::framing::{self, SchemaRef};
use driftmill_schemas::record::{Mapping, Record, RecordSchema};

use crate::source::{Content, Reason};

/// A schema that messages were written with.
enum Writer {
    /// One whose records become ours.
    Known(Box<(RecordSchema, Mapping)>),
    /// One of which that is not so, and why.
    Unknown(String),
}

/// What a message is, or what must be known first.
pub(super) enum Lookup {
    Done(Content),
    /// The schema of this name.
    Wanted(SchemaRef),
}

/// Decodes messages of the schemas it knows.
pub(super) struct Decoder {
    writers: HashMap<SchemaRef, Writer>,
    own: RecordSchema,
    columns: BTreeMap<String, String>,
    ignore: Vec<String>,
    /// How our own messages name our schema.
    framing: SchemaRef,
}

impl Decoder {
    /// A decoder of messages of the pipeline's own schema and of the one they are said to be `written` with.
    pub(super) fn new(
        own: &RecordSchema,
        written: Option<RecordSchema>,
        columns: &BTreeMap<String, String>,
        ignore: &[String],
        framing: SchemaRef,
    ) -> Result<Self, String> {
        let (columns, ignore) = (columns.clone(), ignore.to_vec());
        let mut decoder = Self { writers: HashMap::new(), own: own.clone(), columns, ignore, framing };
        let ours = SchemaRef::Fingerprint(own.fingerprint);
        match written {
            Some(written) => {
                let named = SchemaRef::Fingerprint(written.fingerprint);
                let mapping = decoder.mapping(&written)?;
                decoder.writers.insert(named, Writer::Known(Box::new((written, mapping))));
            }
            None => {
                let mapping = decoder.mapping(own)?;
                decoder.writers.insert(ours, Writer::Known(Box::new((own.clone(), mapping))));
            }
        }
        // Our own messages are our own whatever else is declared.
        for named in [ours, framing] {
            if let Entry::Vacant(writer) = decoder.writers.entry(named) {
                let same = Mapping::new(own, own).map_err(|error| error.to_string())?;
                writer.insert(Writer::Known(Box::new((own.clone(), same))));
            }
        }
        Ok(decoder)
    }

    fn mapping(&self, writer: &RecordSchema) -> Result<Mapping, String> {
        Mapping::renamed(writer, &self.own, &self.columns, &self.ignore).map_err(|error| error.to_string())
    }

    /// What a message is.
    pub(super) fn content(&self, payload: &[u8]) -> Lookup {
        let unreadable = |reason| Lookup::Done(Content::Unreadable { reason, original: payload.to_vec() });
        let foreign = |kind, message| unreadable(Reason::Foreign { kind, message });
        let (named, mut body) = match framing::split(payload) {
            Ok(split) => split,
            Err(error) => return foreign("NotAvro", error.to_string()),
        };
        let (writer, mapping) = match self.writers.get(&named) {
            Some(Writer::Known(known)) => (&known.0, &known.1),
            Some(Writer::Unknown(reason)) => return foreign("UnknownSchema", reason.clone()),
            None => return Lookup::Wanted(named),
        };
        let record = match Record::decode(writer, &mut body) {
            Ok(record) if body.is_empty() => record,
            Ok(_) => return foreign("Undecodable", format!("{} bytes follow the record", body.len())),
            Err(error) => return foreign("Undecodable", error.to_string()),
        };
        let same = named == self.framing && mapping.is_identity() && *writer == self.own;
        match mapping.apply(record) {
            Ok(record) if same => Lookup::Done(Content::Framed(record, payload.to_vec())),
            Ok(record) => Lookup::Done(Content::Record(record)),
            Err(error) => unreadable(Reason::Value(error)),
        }
    }

    /// The schema that messages name so is `text`.
    pub(super) fn learn(&mut self, named: SchemaRef, text: &str) {
        let writer = RecordSchema::parse(text).map_err(|error| error.to_string()).and_then(|writer| {
            let mapping = self.mapping(&writer)?;
            Ok(Writer::Known(Box::new((writer, mapping))))
        });
        let writer =
            writer.unwrap_or_else(|reason| Writer::Unknown(format!("is written with another schema: {reason}")));
        self.writers.insert(named, writer);
    }

    /// The schema that messages name so cannot be had.
    pub(super) fn is_unknown(&mut self, named: SchemaRef, reason: String) {
        self.writers.insert(named, Writer::Unknown(reason));
    }
}

#[cfg(test)]
mod tests {
    use driftmill_schemas::record::Value;

    use super::*;

    fn schema(fields: &str) -> RecordSchema {
        RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap()
    }

    fn message(named: SchemaRef, schema: &RecordSchema, values: &[Value]) -> Vec<u8> {
        let mut message = Vec::new();
        framing::begin(named, &mut message);
        Record { values: values.to_vec() }.encode(schema, &mut message).unwrap();
        message
    }

    const ID: &str = r#"{"name":"id","type":"long"}"#;

    #[test]
    fn records_of_the_own_schema_stay_as_they_are_and_others_are_encoded_anew() {
        let own = schema(ID);
        let print = SchemaRef::Fingerprint(own.fingerprint);
        let other = schema(r#"{"name":"number","type":"int"},{"name":"x","type":"double"}"#);
        let columns = [("number".to_owned(), "id".to_owned())].into();
        let mut decoder = Decoder::new(&own, Some(other.clone()), &columns, &["x".to_owned()], print).unwrap();
        let ours = message(print, &own, &[Value::Long(5)]);
        let record = Record { values: vec![Value::Long(5)] };
        let Lookup::Done(Content::Framed(found, bytes)) = decoder.content(&ours) else { panic!() };
        assert_eq!((found, bytes), (record.clone(), ours));
        let theirs = [Value::Long(5), Value::Double(1.5)];
        let print = SchemaRef::Fingerprint(other.fingerprint);
        let Lookup::Done(content) = decoder.content(&message(print, &other, &theirs)) else { panic!() };
        assert_eq!(content, Content::Record(record.clone()));
        // What somebody else knows is asked for once.
        let registered = message(SchemaRef::RegistryId(7), &other, &theirs);
        assert!(matches!(decoder.content(&registered), Lookup::Wanted(SchemaRef::RegistryId(7))));
        decoder.learn(SchemaRef::RegistryId(7), &other.text);
        let Lookup::Done(content) = decoder.content(&registered) else { panic!() };
        assert_eq!(content, Content::Record(record));
    }

    #[test]
    fn what_is_no_record_is_a_dead_letter_with_its_reason() {
        let own = schema(ID);
        let print = SchemaRef::Fingerprint(own.fingerprint);
        let mut decoder = Decoder::new(&own, None, &BTreeMap::new(), &[], print).unwrap();
        for named in [SchemaRef::RegistryId(3), SchemaRef::Fingerprint(1)] {
            decoder.is_unknown(named, "nobody knows it".to_owned());
        }
        let mut long = message(print, &own, &[Value::Long(5)]);
        long.push(0);
        for (bytes, kind) in [
            (b"".to_vec(), "NotAvro"),
            (b"{}".to_vec(), "NotAvro"),
            (message(print, &own, &[Value::Long(5)])[..10].to_vec(), "Undecodable"),
            (long, "Undecodable"),
            (message(SchemaRef::Fingerprint(1), &own, &[Value::Long(5)]), "UnknownSchema"),
            (message(SchemaRef::RegistryId(3), &own, &[Value::Long(5)]), "UnknownSchema"),
        ] {
            let Lookup::Done(Content::Unreadable { reason, original }) = decoder.content(&bytes) else { panic!() };
            assert_eq!((reason.kind(), original), (kind, bytes));
        }
        let other = schema(r#"{"name":"number","type":"int"}"#);
        let error = Decoder::new(&own, Some(other), &BTreeMap::new(), &[], print).err().unwrap();
        assert!(error.contains("`number`"), "{error}");
    }
}
