//! Records in columns: what expressions are evaluated over.

use std::sync::Arc;

use driftmill_schemas::record::{Field, FieldKind, Record, RecordSchema, Value};

use crate::scratch::View;
use crate::truth::Truth;

/// Why a record does not fit into the columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The record has more or fewer values than the schema has fields.
    #[error("a record of {found} values for a schema of {wanted} fields")]
    Width {
        /// Values of the record.
        found: usize,
        /// Fields of the schema.
        wanted: usize,
    },
    /// A value of another type than its field's.
    #[error("field `{field}` holds no {wanted}")]
    WrongType {
        /// The field.
        field: String,
        /// The type of the field.
        wanted: &'static str,
    },
}

/// A batch of records, one typed column a field. Any field may be null, also one the schema wants: a request carries
/// only what its features need. Reusable: [`clear`](Self::clear) keeps the memory.
#[derive(Debug, Clone)]
pub struct Columns {
    pub(crate) fields: Arc<[Field]>,
    pub(crate) schema: u64,
    pub(crate) rows: usize,
    pub(crate) columns: Vec<Column>,
}

/// The values of one field.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    Boolean(Vec<Truth>),
    /// Ints, longs and timestamps.
    Integer(Vec<Option<i64>>),
    /// Finite, or `NaN` for null.
    Number(Vec<f64>),
    Text(TextColumn),
    /// Encoded images, and bytes that nothing is computed from.
    Bytes(Vec<Option<Arc<[u8]>>>),
}

/// Texts one behind the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextColumn {
    bytes: String,
    /// Where each text begins and how long it is; null: no such text.
    pieces: Vec<Option<(usize, u32)>>,
}

impl TextColumn {
    /// Appends a text. One of 4 GiB or more is null: no message is that long.
    pub(crate) fn push(&mut self, text: Option<&str>) {
        let piece = text.and_then(|text| Some((self.bytes.len(), u32::try_from(text.len()).ok()?)));
        if let (Some(_), Some(text)) = (piece, text) {
            self.bytes.push_str(text);
        }
        self.pieces.push(piece);
    }

    /// Writes references to the texts from row `start` on to `out`.
    pub(crate) fn views(&self, field: u32, start: usize, out: &mut [View]) {
        for (out, piece) in out.iter_mut().zip(&self.pieces[start..]) {
            *out = piece.map_or(View::NULL, |(start, len)| View { buffer: field, len, start });
        }
    }
}

impl Columns {
    /// No rows yet.
    pub fn new(schema: &RecordSchema) -> Self {
        let columns = schema.fields.iter().map(|field| Column::new(field.kind)).collect();
        Self { fields: schema.fields.clone().into(), schema: schema.fingerprint, rows: 0, columns }
    }

    /// The records, in order.
    pub fn from_records(schema: &RecordSchema, records: &[Record]) -> Result<Self, Error> {
        let mut columns = Self::new(schema);
        for record in records {
            columns.push(record)?;
        }
        Ok(columns)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Removes all rows.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Appends a record; after an error the columns are as before.
    pub fn push(&mut self, record: &Record) -> Result<(), Error> {
        if record.values.len() != self.columns.len() {
            return Err(Error::Width { found: record.values.len(), wanted: self.columns.len() });
        }
        for (index, (column, value)) in self.columns.iter_mut().zip(&record.values).enumerate() {
            if !column.push(value) {
                let field = &self.fields[index];
                let error = Error::WrongType { field: field.name.clone(), wanted: field.kind.title() };
                self.truncate(self.rows);
                return Err(error);
            }
        }
        self.rows += 1;
        Ok(())
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows = rows;
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// The bytes of field `index` in each row.
    pub(crate) fn encoded(&self, index: usize) -> &[Option<Arc<[u8]>>] {
        match &self.columns[index] {
            Column::Bytes(values) => values,
            _ => &[],
        }
    }

    /// The text buffer of field `index`.
    pub(crate) fn bytes(&self, index: usize) -> &str {
        match &self.columns[index] {
            Column::Text(text) => &text.bytes,
            _ => "",
        }
    }
}

impl Column {
    fn new(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Boolean => Self::Boolean(Vec::new()),
            FieldKind::Int | FieldKind::Long | FieldKind::Timestamp => Self::Integer(Vec::new()),
            FieldKind::Float | FieldKind::Double => Self::Number(Vec::new()),
            FieldKind::String => Self::Text(TextColumn::default()),
            FieldKind::Bytes => Self::Bytes(Vec::new()),
        }
    }

    /// Whether the value was of the column's type and is in.
    fn push(&mut self, value: &Value) -> bool {
        match (self, value) {
            (Self::Boolean(values), Value::Boolean(value)) => values.push(Truth::from(*value)),
            (Self::Boolean(values), Value::Null) => values.push(Truth::UNKNOWN),
            (Self::Integer(values), Value::Long(value)) => values.push(Some(*value)),
            (Self::Integer(values), Value::Null) => values.push(None),
            (Self::Number(values), Value::Double(value)) => values.push(finite(*value)),
            (Self::Number(values), Value::Null) => values.push(f64::NAN),
            (Self::Text(texts), Value::String(text)) => texts.push(Some(text)),
            (Self::Text(texts), Value::Null) => texts.push(None),
            (Self::Bytes(values), Value::Bytes(bytes)) => values.push(Some(bytes.as_slice().into())),
            (Self::Bytes(values), Value::Null) => values.push(None),
            _ => return false,
        }
        true
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Self::Boolean(values) => values.truncate(rows),
            Self::Integer(values) => values.truncate(rows),
            Self::Number(values) => values.truncate(rows),
            Self::Text(text) => {
                text.pieces.truncate(rows);
                let end = text.pieces.iter().rev().find_map(|piece| piece.map(|(start, len)| start + len as usize));
                text.bytes.truncate(end.unwrap_or(0));
            }
            Self::Bytes(values) => values.truncate(rows),
        }
    }
}

/// The number, or null (`NaN`) if it is infinite.
#[inline]
pub(crate) fn finite(value: f64) -> f64 {
    if value.abs() < f64::INFINITY { value } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_does_not_fit_leaves_no_trace() {
        let schema = RecordSchema::parse(
            r#"{"type":"record","name":"r","fields":[{"name":"s","type":"string"},{"name":"x","type":"double"}]}"#,
        )
        .unwrap();
        let mut columns = Columns::new(&schema);
        let good = Record { values: vec![Value::String("é".to_owned()), Value::Double(1.0)] };
        columns.push(&good).unwrap();
        let bad = Record { values: vec![Value::String("lost".to_owned()), Value::Boolean(true)] };
        assert_eq!(columns.push(&bad), Err(Error::WrongType { field: "x".to_owned(), wanted: "double" }));
        assert_eq!(columns.push(&Record { values: vec![] }), Err(Error::Width { found: 0, wanted: 2 }));
        columns.push(&good).unwrap();
        assert_eq!((columns.rows(), columns.bytes(0)), (2, "éé"));
        columns.clear();
        assert_eq!((columns.rows(), columns.bytes(0)), (0, ""));
    }
}
