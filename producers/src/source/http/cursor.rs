//! How far the rows of an API were read, by a field that grows.

use chrono::{DateTime, SecondsFormat};
use driftmill_schemas::pipeline::{CursorTime, RowCursor};
use driftmill_schemas::record::{FieldKind, Record, RecordSchema, Value, ValueError};
use serde::{Deserialize, Serialize};

use crate::source::{Content, Reason};

/// A value of the cursor's field: numbers before texts, which are compared by their bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Mark {
    Number(i64),
    Text(String),
}

/// The declared cursor, found in the schema.
#[derive(Debug, Clone)]
pub(super) struct CursorField {
    index: usize,
    name: String,
    parameter: String,
    start: Option<String>,
    timestamp: Option<CursorTime>,
}

impl CursorField {
    pub(super) fn new(declared: &RowCursor, schema: &RecordSchema) -> Result<Self, String> {
        let index = schema
            .index(&declared.field)
            .ok_or_else(|| format!("`cursor`: the schema has no field `{}`", declared.field))?;
        let is_time = schema.fields[index].kind == FieldKind::Timestamp;
        Ok(Self {
            index,
            name: declared.field.clone(),
            parameter: declared.parameter.clone(),
            start: declared.start.clone(),
            timestamp: is_time.then_some(declared.time),
        })
    }

    /// The mark of a record; `None` when it has none.
    pub(super) fn mark(&self, record: &Record) -> Option<Mark> {
        match record.values.get(self.index)? {
            Value::Long(number) => Some(Mark::Number(*number)),
            Value::String(text) => Some(Mark::Text(text.clone())),
            _ => None,
        }
    }

    /// The query's parameter and its value, when the rows up to `reached` are known.
    pub(super) fn parameter(&self, reached: Option<&Mark>) -> Option<(&str, String)> {
        let value = match (reached, self.timestamp) {
            (None, _) => self.start.clone()?,
            (Some(Mark::Text(text)), _) => text.clone(),
            (Some(Mark::Number(at)), Some(CursorTime::Rfc3339)) => DateTime::from_timestamp_millis(*at)
                .map_or_else(|| at.to_string(), |at| at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            (Some(Mark::Number(at)), Some(CursorTime::Seconds)) => at.div_euclid(1_000).to_string(),
            (Some(Mark::Number(number)), Some(CursorTime::Milliseconds) | None) => number.to_string(),
        };
        Some((&self.parameter, value))
    }

    /// The row, or that it is unreadable because the field has no value.
    pub(super) fn checked(&self, schema: &RecordSchema, content: Content) -> Content {
        match content {
            Content::Record(record) if self.mark(&record).is_none() => {
                let fields = schema.names().zip(&record.values);
                let fields = fields.map(|(name, value)| (name.to_owned(), value.to_text().into()));
                let original = serde_json::Value::Object(fields.collect()).to_string().into_bytes();
                let reason = Reason::Value(ValueError::Missing { field: self.name.clone() });
                Content::Unreadable { reason, original }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: &str, time: CursorTime) -> CursorField {
        let schema =
            RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{{"name":"at","type":{kind}}}]}}"#))
                .unwrap();
        let declared = RowCursor {
            field: "at".to_owned(),
            parameter: "since".to_owned(),
            start: Some("s".to_owned()),
            time,
            ordered: false,
        };
        CursorField::new(&declared, &schema).unwrap()
    }

    #[test]
    fn a_mark_is_sent_as_its_field_is_written() {
        let time = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
        for (kind, how, mark, wanted) in [
            (time, CursorTime::Rfc3339, Some(Mark::Number(1_500)), "1970-01-01T00:00:01.500Z"),
            (time, CursorTime::Seconds, Some(Mark::Number(1_500)), "1"),
            (time, CursorTime::Milliseconds, Some(Mark::Number(1_500)), "1500"),
            ("\"long\"", CursorTime::Rfc3339, Some(Mark::Number(-7)), "-7"),
            ("\"string\"", CursorTime::Rfc3339, Some(Mark::Text("a1".to_owned())), "a1"),
            ("\"long\"", CursorTime::Rfc3339, None, "s"),
        ] {
            assert_eq!(field(kind, how).parameter(mark.as_ref()), Some(("since", wanted.to_owned())));
        }
    }

    #[test]
    fn marks_keep_their_order_and_come_back_from_json() {
        let marks = [Mark::Number(-1), Mark::Number(10), Mark::Text("10".to_owned()), Mark::Text("9".to_owned())];
        assert!(marks.is_sorted());
        for mark in marks {
            let text = serde_json::to_string(&mark).unwrap();
            assert_eq!(serde_json::from_str::<Mark>(&text).unwrap(), mark);
        }
    }
}
