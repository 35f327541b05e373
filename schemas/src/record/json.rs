//! A JSON object as a record: a line of a JSON-lines source, a pushed record.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{Record, RecordSchema, Value, ValueError};
use crate::name::{self, shortened};

/// Characters of a parser's complaint that are told: a text in the wrong place is quoted in full, whatever its length.
const SHOWN: usize = 200;

/// Why a text is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// A value is missing, or of another type.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A key that is no field: dropping what somebody sent is losing data.
    #[error("unknown key `{key}`{hint}")]
    UnknownKey {
        /// The key, shortened.
        key: String,
        /// "did you mean", or nothing.
        hint: String,
    },
    /// Two keys of the object fill the same field.
    #[error("field `{field}` is given twice")]
    GivenTwice {
        /// The field.
        field: String,
    },
    /// No JSON object.
    #[error("is no JSON object: {0}")]
    Json(String),
}

impl ObjectError {
    /// The kind, for counting: `MissingValue`, `WrongType`, `UnknownKey`, `GivenTwice` or `InvalidJson`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Value(error) => error.kind(),
            Self::UnknownKey { .. } => "UnknownKey",
            Self::GivenTwice { .. } => "GivenTwice",
            Self::Json(_) => "InvalidJson",
        }
    }

    /// The field or key that is at fault, when it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Value(error) => Some(error.field()),
            Self::UnknownKey { key: field, .. } | Self::GivenTwice { field } => Some(field),
            Self::Json(_) => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Field(usize),
    Ignored,
}

/// Reads JSON objects as records of one schema.
#[derive(Debug, Clone)]
pub struct ObjectReader {
    keys: BTreeMap<String, Key>,
    schema: RecordSchema,
}

impl ObjectReader {
    /// A reader by the fields' own names.
    pub fn new(schema: &RecordSchema) -> Self {
        Self::renamed(schema, &BTreeMap::new(), &[])
    }

    /// A reader that takes the keys of `columns` for the fields they name, and passes over those in `ignore`. What comes
    /// later wins: `columns` over `ignore` over the fields' own names.
    pub fn renamed(schema: &RecordSchema, columns: &BTreeMap<String, String>, ignore: &[String]) -> Self {
        let mut keys: BTreeMap<String, Key> =
            schema.names().enumerate().map(|(index, name)| (name.to_owned(), Key::Field(index))).collect();
        keys.extend(ignore.iter().map(|key| (key.clone(), Key::Ignored)));
        for (key, field) in columns {
            if let Some(index) = schema.index(field) {
                keys.insert(key.clone(), Key::Field(index));
            }
        }
        Self { keys, schema: schema.clone() }
    }

    /// The record that `text` is. A field without a key is null. serde_json itself stops at 128 levels of nesting, so no
    /// text can exhaust the stack.
    pub fn read(&self, text: &str) -> Result<Record, ObjectError> {
        let Entries(entries) = serde_json::from_str(text).map_err(|error| {
            // The line of a file or body stands beside the reason; the parser's own begins with the object.
            ObjectError::Json(shortened(&error.to_string(), SHOWN).replace(" at line 1 column ", " at column "))
        })?;
        let mut values: Vec<Option<Value>> = vec![None; self.schema.fields.len()];
        for (key, value) in &entries {
            match self.keys.get(key) {
                Some(Key::Ignored) => {}
                Some(&Key::Field(index)) => {
                    let field = &self.schema.fields[index];
                    if values[index].replace(Value::from_json(value, field)?).is_some() {
                        return Err(ObjectError::GivenTwice { field: field.name.clone() });
                    }
                }
                None => {
                    let hint = name::did_you_mean(key, self.keys.keys().map(String::as_str));
                    return Err(ObjectError::UnknownKey { key: shortened(key, 60), hint });
                }
            }
        }
        let values = values
            .into_iter()
            .zip(&self.schema.fields)
            .map(|(value, field)| value.map_or_else(|| Value::null(field), Ok))
            .collect::<Result<_, _>>()?;
        Ok(Record { values })
    }
}

/// An object with all of its keys, also one that is given twice: a map would drop the first.
struct Entries(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_names_its_kind_and_field() {
        let schema = RecordSchema::parse(
            r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"},{"name":"name","type":["null","string"]}]}"#,
        )
        .unwrap();
        let reader =
            ObjectReader::renamed(&schema, &[("Name".to_owned(), "name".to_owned())].into(), &["x".to_owned()]);
        for (text, kind, field) in [
            (r#"{"id":"a"}"#, "WrongType", Some("id")),
            (r#"{"name":"a"}"#, "MissingValue", Some("id")),
            (r#"{"id":1,"idd":1}"#, "UnknownKey", Some("idd")),
            (r#"{"id":1,"id":2}"#, "GivenTwice", Some("id")),
            (r#"{"id":1,"Name":"a","name":"b"}"#, "GivenTwice", Some("name")),
            ("[1]", "InvalidJson", None),
            (r#"{"id":1"#, "InvalidJson", None),
        ] {
            let error = reader.read(text).unwrap_err();
            assert_eq!((error.kind(), error.field()), (kind, field), "{text}");
        }
        let record = reader.read(r#"{"id":1,"x":[{}],"Name":"n"}"#).unwrap();
        assert_eq!(record.values, [Value::Long(1), Value::String("n".to_owned())]);
        assert_eq!(ObjectReader::new(&schema).read(r#"{"id":1}"#).unwrap().values[1], Value::Null);
    }
}
