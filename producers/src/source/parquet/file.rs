//! One Parquet file, row by row.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use driftmill_schemas::pipeline::ParquetSource;
use driftmill_schemas::record::RecordSchema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::cells::{Cell, value};
use super::columns::{Column, columns};
use crate::Error;

/// Rows decoded at once.
const BATCH_ROWS: usize = 1024;

/// A row and where it stands.
pub(super) struct Row {
    file: Arc<str>,
    group: usize,
    /// Its number in the file, from 0.
    pub(super) number: u64,
    pub(super) cells: Vec<Cell>,
}

impl Row {
    /// Where it stands, for people.
    pub(super) fn place(&self) -> String {
        format!("`{}`, row group {}, row {}", self.file, self.group, self.number + 1)
    }
}

/// The rows of one file.
pub(super) struct RowReader {
    batches: ParquetRecordBatchReader,
    columns: Vec<Column>,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    at: usize,
    number: u64,
    /// For each row group: the number of the first row behind it.
    ends: Vec<u64>,
    name: Arc<str>,
}

fn failed(path: &Path) -> impl Fn(parquet::errors::ParquetError) -> Error {
    let file = path.display().to_string();
    move |error| Error::Parquet { file: file.clone(), reason: error.to_string() }
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, Error> {
    let name = || path.display().to_string();
    let file = File::open(path).map_err(|error| Error::File { file: name(), doing: "opened", error })?;
    // What Arrow wrote beside the schema is how it held the columns in memory, and of no interest here.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(failed(path))
}

fn ends(builder: &ParquetRecordBatchReaderBuilder<File>) -> Vec<u64> {
    let groups = builder.metadata().row_groups().iter();
    groups
        .scan(0, |end, group| {
            *end += u64::try_from(group.num_rows()).unwrap_or_default();
            Some(*end)
        })
        .collect()
}

/// How many rows a file has, by its footer.
pub(crate) fn rows(path: &Path) -> Result<u64, Error> {
    Ok(ends(&builder(path)?).last().copied().unwrap_or_default())
}

impl RowReader {
    /// Opens a file at the row with the number `skip`.
    pub(super) fn open(path: &Path, declared: &ParquetSource, schema: &RecordSchema, skip: u64) -> Result<Self, Error> {
        let name: Arc<str> = path.display().to_string().into();
        let builder = builder(path)?;
        let columns = columns(&name, builder.schema(), declared, schema)?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().map(|column| column.index));
        let ends = ends(&builder);
        let offset = usize::try_from(skip).unwrap_or(usize::MAX);
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).with_offset(offset).build();
        Ok(Self { batches: batches.map_err(failed(path))?, columns, batch: None, at: 0, number: skip, ends, name })
    }

    /// The next row; `None` at the end.
    pub(super) fn next_row(&mut self) -> Result<Option<Row>, Error> {
        while self.batch.as_ref().is_none_or(|batch| self.at >= batch.num_rows()) {
            match self.batches.next() {
                None => return self.at_the_end(),
                Some(batch) => {
                    let batch = batch.map_err(|error| self.broken(&error))?;
                    (self.batch, self.at) = (Some(batch), 0);
                }
            }
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        // The projection keeps the file's order of columns, and so does `columns`.
        let cells = self.columns.iter().zip(batch.columns()).map(|(column, array)| Cell {
            field: column.field,
            column: Arc::clone(&column.name),
            value: value(array, self.at),
        });
        let row =
            Row { file: Arc::clone(&self.name), group: self.group(), number: self.number, cells: cells.collect() };
        self.at += 1;
        self.number += 1;
        Ok(Some(row))
    }

    /// A file that holds fewer rows than its footer says would shift the numbers of all that follow.
    fn at_the_end(&self) -> Result<Option<Row>, Error> {
        let wanted = self.ends.last().copied().unwrap_or_default();
        if self.number < wanted {
            return Err(self.broken(&format!("it ends there, and its footer promises {wanted} rows")));
        }
        Ok(None)
    }

    /// The row group of the next row.
    fn group(&self) -> usize {
        self.ends.partition_point(|end| *end <= self.number)
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> Error {
        let reason = format!("row group {}, at or after row {}: {error}", self.group(), self.number + 1);
        Error::Parquet { file: self.name.to_string(), reason }
    }
}
