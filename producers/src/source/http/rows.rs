//! The rows of an answer.

use std::io::Cursor;
use std::path::Path;

use driftmill_schemas::pipeline::{CsvSource, HttpSource, JsonLinesSource, RowFormat};
use driftmill_schemas::record::{ObjectReader, RecordSchema};
use serde_json::value::RawValue;

use super::pointer;
use crate::Error;
use crate::source::{Content, CsvReader, JsonLinesReader, MAX_ROW_BYTES, Reason, RecordSource};

/// What an answer is called in errors of the readers of files.
const NAME: &str = "the answer";

/// Reads answers as a source declares.
pub(super) enum Rows {
    Json(ObjectReader, String),
    Ndjson(JsonLinesSource, RecordSchema),
    Csv(Box<CsvSource>, RecordSchema),
}

impl Rows {
    pub(super) fn new(declared: &HttpSource, schema: &RecordSchema) -> Self {
        let (columns, ignore) = (declared.columns.clone(), declared.ignore.clone());
        match declared.format {
            RowFormat::Json => Self::Json(ObjectReader::renamed(schema, &columns, &ignore), declared.records.clone()),
            RowFormat::Ndjson => {
                Self::Ndjson(JsonLinesSource { columns, ignore, ..JsonLinesSource::at(NAME) }, schema.clone())
            }
            RowFormat::Csv => Self::Csv(Box::new(CsvSource { columns, ignore, ..CsvSource::at(NAME) }), schema.clone()),
        }
    }

    /// The rows of `body`, good and bad. `Err` says why there are none to be found: a row alone is never the reason.
    pub(super) fn read(&self, body: &[u8]) -> Result<Vec<Content>, String> {
        let size = body.len() as u64;
        match self {
            Self::Json(objects, pointer) => array(objects, pointer, body),
            Self::Ndjson(declared, schema) => {
                all(JsonLinesReader::begin(Cursor::new(body.to_vec()), size, NAME, declared, schema))
            }
            Self::Csv(declared, schema) => {
                all(CsvReader::begin(Cursor::new(body.to_vec()), size, NAME, Path::new(""), declared, schema))
            }
        }
    }
}

fn all(reader: Result<impl RecordSource, Error>) -> Result<Vec<Content>, String> {
    let mut reader = reader.map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    while let Some(item) = reader.next().map_err(|error| error.to_string())? {
        rows.push(item.content);
    }
    Ok(rows)
}

fn array(objects: &ObjectReader, pointer: &str, body: &[u8]) -> Result<Vec<Content>, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let value: &RawValue = serde_json::from_slice(body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    let found = pointer::find(value, pointer)
        .ok_or_else(|| format!("the answer has nothing at `{pointer}`, where `records` says its rows are"))?;
    if found.get() == "null" {
        return Ok(Vec::new());
    }
    let rows: Vec<&RawValue> = serde_json::from_str(found.get()).map_err(|_| {
        let hint = if pointer.is_empty() { "; if they stand inside of it, say where by `records`" } else { "" };
        format!("the answer has no array of rows at `{pointer}`{hint}")
    })?;
    Ok(rows.into_iter().map(|row| content(objects, row.get())).collect())
}

fn content(objects: &ObjectReader, row: &str) -> Content {
    let unreadable = |reason| Content::Unreadable { reason, original: row.as_bytes().to_vec() };
    if row.len() > MAX_ROW_BYTES {
        return unreadable(Reason::too_long(row.len() as u64, row.len()));
    }
    match objects.read(row) {
        Ok(record) => Content::Record(record),
        Err(error) => unreadable(Reason::from(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, body: &str) -> Result<Vec<&'static str>, String> {
        let schema = RecordSchema::parse(
            r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"},{"name":"x","type":["null","double"]}]}"#,
        )
        .unwrap();
        let declared: HttpSource = serde_json::from_str(&format!(r#"{{"url":"http://h"{text}}}"#)).unwrap();
        let rows = Rows::new(&declared, &schema).read(body.as_bytes())?;
        let kind = |row: Content| match row {
            Content::Unreadable { reason, .. } => reason.kind(),
            _ => "record",
        };
        Ok(rows.into_iter().map(kind).collect())
    }

    #[test]
    fn rows_are_found_in_every_format_and_a_bad_one_is_alone() {
        let inside = r#","records":"/data","columns":{"ID":"id"},"ignore":["z"]"#;
        assert_eq!(read("", r#"[{"id":1},{"id":"a"},7]"#).unwrap(), ["record", "WrongType", "InvalidJson"]);
        assert_eq!(read(inside, r#"{"data":[{"ID":1,"z":2}],"more":3}"#).unwrap(), ["record"]);
        assert_eq!(read(inside, r#"{"data":null}"#).unwrap(), [""; 0]);
        assert_eq!(read("", " \n").unwrap(), [""; 0]);
        assert_eq!(read(r#","format":"ndjson""#, "{\"id\":1}\n\n{\"id\":\n{\"id\":3}").unwrap().len(), 3);
        assert_eq!(read(r#","format":"csv""#, "id,x\n1,2\nb,3\n").unwrap(), ["record", "WrongType"]);
    }

    #[test]
    fn an_answer_that_is_none_is_told() {
        for (text, body, part) in [
            ("", "<html>", "is no JSON"),
            ("", r#"{"data":[]}"#, "say where by `records`"),
            (r#","records":"/rows""#, r#"{"data":[]}"#, "nothing at `/rows`"),
            (r#","format":"csv""#, "x\n1\n", "no column for the field `id`"),
        ] {
            let error = read(text, body).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
