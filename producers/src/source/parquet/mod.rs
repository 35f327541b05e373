//! Parquet files, read one after the other.
//!
//! ```text
//! a.parquet  row group 0 │ row group 1     b.parquet  row group 0      files by name; rows numbered over all of them
//!            0 1 2 3     │ 4 5                        6 7 8            Position::sequence
//! ```
//!
//! A batch of rows is decoded at a time, and of the columns only those that fill fields: the memory is that of some pages,
//! whatever the size of a row group or of the file. Where a file's rows begin is known from the footers of those before it,
//! so going on at a row reads none of them.

mod cells;
mod columns;
mod file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use driftmill_schemas::pipeline::ParquetSource;
use driftmill_schemas::record::{Record, RecordSchema, Value, ValueError};

use self::file::RowReader;
pub(crate) use self::file::rows;
use super::{Content, Item, Position, Reason, RecordSource, Total};
use crate::Error;

/// The files that `path` names, by name: itself, or those that a pattern with `*`, `?` or `[…]` finds.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let shown = path.display().to_string();
    let failed = |reason: String| Error::Parquet { file: shown.clone(), reason };
    if path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let found = glob::glob(&shown).map_err(|e| failed(format!("the pattern is none: {e}")))?;
    let mut files = found.collect::<Result<Vec<_>, _>>().map_err(|e| failed(e.to_string()))?;
    if files.is_empty() {
        return Err(failed("there is no such file".to_owned()));
    }
    files.sort();
    Ok(files)
}

/// The rows of all files. Item = row; its line is its number in its file, from 1.
pub(crate) struct ParquetReader {
    files: Vec<PathBuf>,
    declared: ParquetSource,
    schema: RecordSchema,
    /// The file that is being read, by its place in `files`.
    at: usize,
    reader: Option<RowReader>,
    sequence: u64,
    rows: u64,
}

impl ParquetReader {
    /// Opens the files that `path` names at `position`.
    pub(crate) fn open(
        path: &Path,
        declared: &ParquetSource,
        schema: &RecordSchema,
        position: Position,
    ) -> Result<Self, Error> {
        let files = files(path)?;
        let counts = files.iter().map(|file| rows(file)).collect::<Result<Vec<_>, _>>()?;
        let (mut at, mut skip) = (0, position.sequence);
        while at < files.len() && skip >= counts[at] {
            skip -= counts[at];
            at += 1;
        }
        let total = counts.iter().sum();
        let (declared, schema, sequence) = (declared.clone(), schema.clone(), position.sequence);
        let mut opened = Self { files, declared, schema, at, reader: None, sequence, rows: total };
        opened.open_file(skip)?;
        Ok(opened)
    }

    fn open_file(&mut self, skip: u64) -> Result<(), Error> {
        self.reader = match self.files.get(self.at) {
            Some(file) => Some(RowReader::open(file, &self.declared, &self.schema, skip)?),
            None => None,
        };
        Ok(())
    }
}

impl RecordSource for ParquetReader {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        while let Some(reader) = &mut self.reader {
            let Some(row) = reader.next_row()? else {
                self.at += 1;
                self.open_file(0)?;
                continue;
            };
            let (line, place, cells) = (row.number + 1, row.place(), row.cells);
            let content = match record(&self.schema, cells.iter().map(|cell| (cell.field, cell.value.clone()))) {
                Ok(values) => Content::Record(Record { values }),
                Err((field, error)) => {
                    let column = cells.iter().find(|cell| cell.field == field).map(|cell| cell.column.to_string());
                    let column = column.unwrap_or_else(|| self.schema.fields[field].name.clone());
                    let original = cells::json(&cells);
                    Content::Unreadable { reason: Reason::Cell { place, column, error }, original }
                }
            };
            let sequence = self.sequence;
            self.sequence += 1;
            let next = Position { sequence: self.sequence, ..Position::default() };
            return Ok(Some(Item::numbered(sequence, line, content, next)));
        }
        Ok(None)
    }

    fn total_hint(&self) -> Option<Total> {
        Some(Total::Rows(self.rows))
    }
}

/// The values of a row; or the field at fault, and why.
fn record(
    schema: &RecordSchema,
    cells: impl Iterator<Item = (usize, Value)>,
) -> Result<Vec<Value>, (usize, ValueError)> {
    let mut values = vec![Value::Null; schema.fields.len()];
    for (field, value) in cells {
        values[field] = value.for_field(&schema.fields[field]).map_err(|error| (field, error))?;
    }
    Ok(values)
}
