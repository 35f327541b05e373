//! Records of another schema as records of ours: columns found by name, values taken where the type allows it.

use std::collections::BTreeMap;

use super::{Record, RecordSchema, Value, ValueError};
use crate::name;

/// Why no record of another schema can be one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A column that is no field: dropping what somebody sent is losing data.
    #[error("its schema has the field `{field}`, which the pipeline's has not{hint}")]
    Unknown {
        /// The field.
        field: String,
        /// "did you mean", or nothing.
        hint: String,
    },
    /// Two columns fill one field.
    #[error("its schema fills the field `{field}` twice: pass over one of its fields under `ignore`")]
    Twice {
        /// The field.
        field: String,
    },
    /// A field that must have a value has no column.
    #[error("its schema lacks the field `{field}`, which must have a value")]
    Missing {
        /// The field.
        field: String,
    },
}

/// From the fields of one schema to those of another.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// For each field of ours: the other's.
    from: Vec<Option<usize>>,
    /// Fields of the other's records.
    width: usize,
    schema: RecordSchema,
}

impl Mapping {
    /// From records of `writer` to records of `reader`.
    pub fn new(writer: &RecordSchema, reader: &RecordSchema) -> Result<Self, MappingError> {
        Self::renamed(writer, reader, &BTreeMap::new(), &[])
    }

    /// The same; `columns` says which field of `reader` one of `writer` fills, and those in `ignore` fill none.
    pub fn renamed(
        writer: &RecordSchema,
        reader: &RecordSchema,
        columns: &BTreeMap<String, String>,
        ignore: &[String],
    ) -> Result<Self, MappingError> {
        let mut from = vec![None; reader.fields.len()];
        for (index, column) in writer.names().enumerate() {
            let name = match columns.get(column) {
                Some(name) => name,
                None if ignore.iter().any(|ignored| ignored == column) => continue,
                None => column,
            };
            let Some(field) = reader.index(name) else {
                let hint = name::did_you_mean(column, reader.names());
                return Err(MappingError::Unknown { field: column.to_owned(), hint });
            };
            if from[field].replace(index).is_some() {
                return Err(MappingError::Twice { field: name.to_owned() });
            }
        }
        let missing = reader.fields.iter().zip(&from).find(|(field, from)| from.is_none() && !field.nullable);
        match missing {
            Some((field, _)) => Err(MappingError::Missing { field: field.name.clone() }),
            None => Ok(Self { from, width: writer.fields.len(), schema: reader.clone() }),
        }
    }

    /// Whether each field stays in its place.
    pub fn is_identity(&self) -> bool {
        self.width == self.from.len() && self.from.iter().enumerate().all(|(to, from)| *from == Some(to))
    }

    /// The record as one of ours.
    pub fn apply(&self, mut record: Record) -> Result<Record, ValueError> {
        let values = self.from.iter().zip(&self.schema.fields).map(|(from, field)| {
            let value = from.and_then(|index| record.values.get_mut(index));
            value.map_or(Value::Null, |value| std::mem::replace(value, Value::Null)).for_field(field)
        });
        Ok(Record { values: values.collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &str) -> RecordSchema {
        RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap()
    }

    #[test]
    fn fields_are_found_by_name_and_numbers_widened() {
        let writer = schema(r#"{"name":"b","type":"int"},{"name":"a","type":["null","double"]}"#);
        let reader =
            schema(r#"{"name":"a","type":"int"},{"name":"b","type":"double"},{"name":"c","type":["null","string"]}"#);
        let mapping = Mapping::new(&writer, &reader).unwrap();
        let apply = |a: Value| mapping.apply(Record { values: vec![Value::Long(7), a] });
        let wanted = vec![Value::Long(2), Value::Double(7.0), Value::Null];
        assert_eq!(apply(Value::Double(2.0)).unwrap().values, wanted);
        assert_eq!(apply(Value::Null).unwrap_err(), ValueError::Missing { field: "a".to_owned() });
        for bad in [2.5, 1e12, f64::NAN] {
            assert!(matches!(apply(Value::Double(bad)), Err(ValueError::WrongType { .. })), "{bad}");
        }
    }

    #[test]
    fn fields_may_be_renamed_and_passed_over() {
        let writer = schema(r#"{"name":"a","type":"int"},{"name":"b","type":"int"},{"name":"c","type":"int"}"#);
        let reader = schema(r#"{"name":"c","type":"int"},{"name":"z","type":"int"}"#);
        let to = |name: &str| [("a".to_owned(), name.to_owned())].into();
        let mapping = Mapping::renamed(&writer, &reader, &to("z"), &["b".to_owned()]).unwrap();
        let record = Record { values: [1, 2, 3].map(Value::Long).to_vec() };
        assert_eq!(mapping.apply(record).unwrap().values, [Value::Long(3), Value::Long(1)]);
        assert!(!mapping.is_identity() && Mapping::new(&writer, &writer).unwrap().is_identity());
        let twice = Mapping::renamed(&writer, &reader, &to("c"), &["b".to_owned()]).unwrap_err();
        assert_eq!(twice, MappingError::Twice { field: "c".to_owned() });
    }

    #[test]
    fn a_field_too_many_or_one_too_few_is_told_before_any_record() {
        let reader = schema(r#"{"name":"length","type":"double"}"#);
        let error = Mapping::new(&schema(r#"{"name":"lenght","type":"double"}"#), &reader).unwrap_err().to_string();
        assert!(error.contains("did you mean `length`"), "{error}");
        let none = schema("");
        assert_eq!(Mapping::new(&none, &reader).unwrap_err(), MappingError::Missing { field: "length".to_owned() });
    }
}
