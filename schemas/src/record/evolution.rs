//! What a schema that messages were written with means to a pipeline whose own schema is another.

use apache_avro::schema::Schema;
use serde_json::Value;

use super::compatibility::faults;
use super::{Field, RecordSchema, schema};

/// How records of a writer's schema are read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The schema to read them with: the pipeline's, and what the writer added; absent: the writer's own is the pipeline's.
    pub reader: Option<String>,
    /// Fields that the pipeline's schema does not have.
    pub added: Vec<Field>,
    /// Fields that it does not have and that no column can hold: name and reason.
    pub unusable: Vec<(String, String)>,
}

impl Reading {
    /// How records written with the schema `writer` become records of `own`; the error says, for people, why none can. What
    /// hinders some of them only is seen at each.
    pub fn of(writer: &str, own: &RecordSchema) -> Result<Self, String> {
        let avro = Schema::parse_str(writer).map_err(|e| format!("its schema is no Avro schema: {e}"))?;
        let faults: Vec<String> =
            faults(&avro, own.avro()).iter().filter(|fault| !fault.partial).map(ToString::to_string).collect();
        if !faults.is_empty() {
            return Err(format!("its schema cannot be read as the pipeline's: {}", faults.join("; ")));
        }
        let (Schema::Record(written), Schema::Record(read)) = (&avro, own.avro()) else {
            return Err("its schema describes no record".to_owned());
        };
        if RecordSchema::parse(writer).is_ok_and(|writer| writer == *own) {
            return Ok(Self::default());
        }
        let mut reading = Self::default();
        for field in &written.fields {
            if read.fields.iter().any(|known| known.name == field.name || known.aliases.contains(&field.name)) {
                continue;
            }
            match schema::field(field) {
                Ok(field) => reading.added.push(field),
                Err(error) => reading.unusable.push((field.name.clone(), error.to_string())),
            }
        }
        reading.reader = Some(extended(&own.text, writer, &reading.added)?);
        Ok(reading)
    }
}

/// The schema `own` with the fields `added` of `writer`, under the name that the writer has: decoders compare full names,
/// though the specification leaves namespaces out.
fn extended(own: &str, writer: &str, added: &[Field]) -> Result<String, String> {
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| e.to_string());
    let (mut own, writer) = (parse(own)?, parse(writer)?);
    let (Some(record), Some(written)) = (own.as_object_mut(), writer.as_object()) else {
        return Err("its schema describes no record".to_owned());
    };
    for key in ["name", "namespace"] {
        record.remove(key);
        if let Some(value) = written.get(key) {
            record.insert(key.to_owned(), value.clone());
        }
    }
    let typed = |name: &str| {
        let fields = written.get("fields").and_then(Value::as_array)?;
        fields.iter().find(|field| field.get("name").is_some_and(|found| found == name))?.get("type").cloned()
    };
    if let Some(fields) = record.get_mut("fields").and_then(Value::as_array_mut) {
        for field in added {
            if let Some(kind) = typed(&field.name) {
                fields.push(serde_json::json!({ "name": field.name, "type": kind }));
            }
        }
    }
    Ok(own.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FieldKind;

    const OWN: &str = r#"{"type":"record","name":"r","fields":[
        {"name":"a","type":"double"},{"name":"b","type":["null","string"],"default":null,"aliases":["old_b"]}]}"#;

    fn reading(fields: &str) -> Result<Reading, String> {
        let writer = format!(r#"{{"type":"record","name":"r","namespace":"com.example","fields":[{fields}]}}"#);
        Reading::of(&writer, &RecordSchema::parse(OWN).unwrap())
    }

    #[test]
    fn what_a_writer_added_is_read_beside_what_the_pipeline_knows() {
        let fields = r#"{"name":"new","type":["null","long"],"default":null},{"name":"a","type":"int"},
            {"name":"tags","type":{"type":"array","items":"string"}},{"name":"old_b","type":"string"}"#;
        let reading = reading(fields).unwrap();
        assert_eq!(
            reading.added.iter().map(|f| (f.name.as_str(), f.kind)).collect::<Vec<_>>(),
            [("new", FieldKind::Long)]
        );
        assert!(matches!(&reading.unusable[..], [(name, why)] if name == "tags" && why.contains("array")));
        let reader: Value = serde_json::from_str(&reading.reader.unwrap()).unwrap();
        assert_eq!((&reader["namespace"], &reader["fields"][2]["name"]), (&"com.example".into(), &"new".into()));
    }

    #[test]
    fn the_pipeline_s_own_schema_however_it_is_written_needs_no_other_reader() {
        let spaced = OWN.replace(':', " : ");
        assert_eq!(Reading::of(&spaced, &RecordSchema::parse(OWN).unwrap()), Ok(Reading::default()));
    }

    #[test]
    fn a_writer_of_which_no_record_can_be_read_is_refused_with_its_reason() {
        let why = reading(r#"{"name":"a","type":"string"}"#).unwrap_err();
        assert!(why.contains("field `a`: string cannot be read as double"), "{why}");
        let why = reading(r#"{"name":"b","type":"string"}"#).unwrap_err();
        assert!(why.contains("field `a` is missing in it, and has no default"), "{why}");
        assert!(reading(r#"{"name":"a","type":["null","double"]}"#).is_ok(), "most of its values may be there");
        assert!(Reading::of("{", &RecordSchema::parse(OWN).unwrap()).unwrap_err().contains("no Avro schema"));
        assert!(Reading::of("\"int\"", &RecordSchema::parse(OWN).unwrap()).is_err());
    }
}
