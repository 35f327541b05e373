//! Delimited text.

mod cells;
mod header;
mod rows;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek};

use driftmill_schemas::pipeline::CsvSource;
use driftmill_schemas::record::{Record, RecordSchema, Value};

use self::header::{Column, Layout};
use self::rows::Rows;
use super::reason::Reason;
use super::text::Text;
use super::window::Window;
use super::{Content, Item, Position, RecordSource, Total};
use crate::Error;

/// A delimited text file with a header row. Item = row that is not a blank line. A file without any row but the header,
/// or without even that, is an empty source.
pub(crate) struct CsvReader<R> {
    rows: Rows<R>,
    text: Text,
    layout: Option<Layout>,
    declared: CsvSource,
    schema: RecordSchema,
    file: String,
    size: u64,
    sequence: u64,
    raw: Vec<u8>,
    /// Whether the last row had no end.
    cut_off: bool,
}

impl<R: Read + Seek> CsvReader<R> {
    /// Opens `reader`, which holds `size` bytes and is called `file` in errors, at `position`.
    pub(crate) fn open(
        reader: R,
        size: u64,
        file: &str,
        declared: &CsvSource,
        schema: &RecordSchema,
        position: Position,
    ) -> Result<Self, Error> {
        let mut opened = Self::begin(reader, size, file, declared, schema)?;
        if position.bytes > opened.rows.window.offset() {
            opened.rows.window.seek(position).map_err(read_failed(file))?;
        }
        opened.sequence = position.sequence;
        Ok(opened)
    }
}

impl<R: Read> CsvReader<R> {
    /// Begins to read `reader`, which holds `size` bytes and is called `file` in errors.
    pub(crate) fn begin(
        reader: R,
        size: u64,
        file: &str,
        declared: &CsvSource,
        schema: &RecordSchema,
    ) -> Result<Self, Error> {
        let at_fault = |reason: String| Error::Header { file: file.to_owned(), reason };
        let failed = read_failed(file);
        let mut window = Window::new(reader);
        window.fill_beginning().map_err(&failed)?;
        let (text, mark) = Text::labelled(&declared.encoding).map_err(at_fault)?.sniff(window.bytes());
        if !text.splits_at(declared.delimiter) {
            let delimiter = declared.delimiter;
            return Err(at_fault(format!(
                "`delimiter: {delimiter:?}` cannot separate cells in {}: use a comma, a semicolon, a tab or another ASCII sign",
                text.name()
            )));
        }
        window.units = text.units;
        window.advance(mark, 0);
        let mut rows = Rows::new(window, declared.delimiter);
        let mut raw = Vec::new();
        let header = match rows.next(None, &mut raw).map_err(&failed)? {
            None => None,
            Some(row) => {
                row.cells.map_err(|reason| at_fault(reason.to_string()))?;
                let line = text.decode(&raw).ok_or_else(|| at_fault(Reason::Encoding(text.name()).to_string()))?;
                let header: Vec<String> =
                    cells::split(&line, declared.delimiter).map(|cell| cell.into_owned()).collect();
                Some(Layout::new(file, &header, declared, schema)?)
            }
        };
        Ok(Self {
            rows,
            text,
            layout: header,
            declared: declared.clone(),
            schema: schema.clone(),
            file: file.to_owned(),
            size,
            sequence: 0,
            raw,
            cut_off: false,
        })
    }
}

pub(super) fn read_failed(file: &str) -> impl Fn(std::io::Error) -> Error {
    let file = file.to_owned();
    move |error| Error::File { file: file.clone(), doing: "read", error }
}

impl<R: Read + Send> RecordSource for CsvReader<R> {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        let Some(layout) = &self.layout else { return Ok(None) };
        let wanted = layout.columns.len();
        let found = self.rows.next(Some(wanted), &mut self.raw).map_err(read_failed(&self.file))?;
        let Some(row) = found else { return Ok(None) };
        self.cut_off = !row.ended;
        let read = row.cells.and_then(|found| match &layout.unknown {
            Some(reason) => Err(reason.clone()),
            None if found != wanted => Err(Reason::Cells { found, wanted }),
            None => {
                let line = self.text.decode(&self.raw).ok_or(Reason::Encoding(self.text.name()))?;
                record(&line, layout, &self.declared, &self.schema)
            }
        });
        let content = match read {
            Ok(record) => Content::Record(record),
            Err(reason) => Content::Unreadable { reason, original: std::mem::take(&mut self.raw) },
        };
        let sequence = self.sequence;
        self.sequence += 1;
        let window = &self.rows.window;
        let next = Position { sequence: self.sequence, bytes: window.offset(), lines: window.lines() };
        Ok(Some(Item::numbered(sequence, row.line, content, next)))
    }

    fn total_hint(&self) -> Option<Total> {
        Some(Total::Bytes(self.size))
    }

    fn at_hand(&self) -> bool {
        self.rows.window.holds_a_line()
    }

    fn cut_off(&self) -> bool {
        self.cut_off
    }
}

/// Reads the cells of `line`, which has one for each column.
fn record(line: &str, layout: &Layout, declared: &CsvSource, schema: &RecordSchema) -> Result<Record, Reason> {
    let mut values = vec![Value::Null; schema.fields.len()];
    for (cell, column) in cells::split(line, declared.delimiter).zip(&layout.columns) {
        let Column::Field(index) = *column else { continue };
        let field = &schema.fields[index];
        let replaced = declared.replace.get(&field.name).and_then(|texts| texts.get(cell.trim()));
        let text = replaced.map_or(cell.as_ref(), String::as_str);
        values[index] = if replaced.is_none() && declared.null.iter().any(|null| null == text.trim()) {
            Value::from_json(&serde_json::Value::Null, field)?
        } else {
            Value::from_text(text, field)?
        };
    }
    Ok(Record { values })
}
