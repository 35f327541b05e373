//! Delimited text.

mod cells;
mod files;
mod header;
mod join;
mod rows;
#[cfg(test)]
mod tests;
mod wide;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use driftmill_schemas::pipeline::CsvSource;
use driftmill_schemas::record::{Field, Record, RecordSchema, Value, ValueError};

use self::header::{Column, Layout};
use self::join::Joined;
use self::rows::Rows;
use self::wide::Wide;
use super::reason::Reason;
use super::text::Text;
use super::window::Window;
use super::{Content, Item, Position, RecordSource, Total};
use crate::Error;

/// A delimited text file with a header row. Item = row that is not a blank line, or with `unpivot` each cell of it that makes
/// a record. A file without any row but the header, or without even that, is an empty source.
///
/// How many items a row is depends on its own bytes and on `unpivot` alone, never on whether they can be read: a joined row
/// or a file that is there only in the next run must not shift the numbers of what follows.
pub(crate) struct CsvReader<R> {
    rows: Rows<R>,
    text: Text,
    reading: Option<Reading>,
    size: u64,
    file: String,
    sequence: u64,
    raw: Vec<u8>,
    /// Records of the last row that are still to come.
    wide: Option<Wide>,
    /// Records of the next row that came already.
    within: u64,
    /// Whether the last row had no end.
    cut_off: bool,
}

/// How the cells of a row become a record.
struct Reading {
    layout: Layout,
    declared: CsvSource,
    schema: RecordSchema,
    joined: Option<Joined>,
    /// The folder of the files that rows name, without links in its path.
    root: PathBuf,
}

/// How well a file fits a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// No column of it fills a field.
    Nothing,
    /// It has the columns that are needed, and others that are not known.
    Partly,
    /// All of its columns are known.
    Whole,
}

/// A text whose header is read.
struct Opened<R> {
    rows: Rows<R>,
    text: Text,
    header: Option<Vec<String>>,
}

impl<R: Read> Opened<R> {
    /// Reads the header of `reader`, which is called `file` in errors.
    fn new(reader: R, file: &str, declared: &CsvSource) -> Result<Self, Error> {
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
                Some(cells::split(&line, declared.delimiter).map(Cow::into_owned).collect())
            }
        };
        Ok(Self { rows, text, header })
    }
}

impl<R: Read + Seek> CsvReader<R> {
    /// Opens `reader`, which holds `size` bytes and is called `file` in errors, at `position`. What stands beside it is
    /// found from `folder`.
    pub(crate) fn open(
        reader: R,
        size: u64,
        file: &str,
        folder: &Path,
        declared: &CsvSource,
        schema: &RecordSchema,
        position: Position,
    ) -> Result<Self, Error> {
        let mut opened = Self::begin(reader, size, file, folder, declared, schema)?;
        if position.bytes > opened.rows.window.offset() {
            opened.rows.window.seek(position).map_err(read_failed(file))?;
        }
        (opened.sequence, opened.within) = (position.sequence, position.within);
        Ok(opened)
    }
}

impl<R: Read> CsvReader<R> {
    /// Begins to read `reader`, which holds `size` bytes and is called `file` in errors. What stands beside it is found from
    /// `folder`.
    pub(crate) fn begin(
        reader: R,
        size: u64,
        file: &str,
        folder: &Path,
        declared: &CsvSource,
        schema: &RecordSchema,
    ) -> Result<Self, Error> {
        let Opened { rows, text, header } = Opened::new(reader, file, declared)?;
        let mut reading = None;
        if let Some(header) = header {
            let joined = declared.join.as_ref().map(|join| Joined::open(folder, join, declared, schema));
            let joined = joined.transpose()?.flatten();
            let fields = joined.as_ref().map_or(&[][..], |joined| &joined.fields);
            let layout = Layout::new(file, &header, declared, schema, fields)?;
            // An empty path is the working folder, and as a root it would hold every path there is.
            let root = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let root = root.canonicalize().map_err(|error| Error::File {
                file: folder.display().to_string(),
                doing: "found",
                error,
            })?;
            reading = Some(Reading { layout, declared: declared.clone(), schema: schema.clone(), joined, root });
        }
        Ok(Self {
            rows,
            text,
            reading,
            file: file.to_owned(),
            size,
            sequence: 0,
            raw: Vec::new(),
            wide: None,
            within: 0,
            cut_off: false,
        })
    }

    /// How well the file fits; one without a header fits whatever is declared.
    pub(crate) fn fit(&self) -> (Fit, Option<&Reason>) {
        let Some(reading) = &self.reading else { return (Fit::Whole, None) };
        let unknown = reading.layout.unknown.as_ref();
        let fit = match unknown {
            _ if !reading.layout.fills() => Fit::Nothing,
            Some(_) => Fit::Partly,
            None => Fit::Whole,
        };
        (fit, unknown)
    }

    fn position(&self) -> Position {
        let window = &self.rows.window;
        Position { sequence: self.sequence, bytes: window.offset(), lines: window.lines(), within: 0 }
    }

    fn item(&mut self, line: u64, content: Content, next: Position) -> Item {
        let sequence = self.sequence;
        self.sequence += 1;
        Item::numbered(sequence, line, content, Position { sequence: self.sequence, ..next })
    }

    /// The next record of the row that is taken apart, if there is one.
    fn narrow(&mut self) -> Option<Item> {
        let (reading, wide) = (self.reading.as_ref()?, self.wide.as_mut()?);
        let Some((column, cell)) = wide.cells.pop_front() else {
            self.wide = None;
            return None;
        };
        wide.start.within += 1;
        let record = wide.base.clone().and_then(|base| reading.narrow(base, column, &cell));
        let content = match record {
            Ok(record) => Content::Record(record),
            Err(reason) => Content::Unreadable { reason, original: wide.original.clone() },
        };
        let (line, last, start) = (wide.line, wide.cells.is_empty(), wide.start);
        let next = if last { self.position() } else { start };
        Some(self.item(line, content, next))
    }
}

pub(super) fn read_failed(file: &str) -> impl Fn(std::io::Error) -> Error {
    let file = file.to_owned();
    move |error| Error::File { file: file.clone(), doing: "read", error }
}

impl<R: Read + Send> RecordSource for CsvReader<R> {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            if let Some(item) = self.narrow() {
                return Ok(Some(item));
            }
            let Some(reading) = &self.reading else { return Ok(None) };
            let (wanted, start) = (reading.layout.columns.len(), self.position());
            let found = self.rows.next(Some(wanted), &mut self.raw).map_err(read_failed(&self.file))?;
            let Some(row) = found else { return Ok(None) };
            self.cut_off = !row.ended;
            let came = std::mem::take(&mut self.within);
            let read = row.cells.and_then(|found| {
                if let Some(reason) = reading.layout.unknown.as_ref().filter(|_| reading.layout.unpivot.is_none()) {
                    return Err(reason.clone());
                }
                if found != wanted {
                    return Err(Reason::Cells { found, wanted });
                }
                let line = self.text.decode(&self.raw).ok_or(Reason::Encoding(self.text.name()))?;
                let cells: Vec<_> = cells::split(&line, reading.declared.delimiter).collect();
                match reading.unpivoted(&cells) {
                    None => reading.record(&cells).map(Content::Record),
                    Some(unpivoted) => {
                        let unknown = reading.layout.unknown.clone();
                        let base = unknown.map_or_else(|| reading.record(&cells), Err);
                        let original = self.raw.clone();
                        let mut wide = Wide { base, original, cells: unpivoted, line: row.line, start };
                        wide.skip(came);
                        self.wide = Some(wide);
                        Ok(Content::Nothing)
                    }
                }
            });
            let content = match read {
                Ok(Content::Nothing) => continue,
                Ok(content) => content,
                Err(reason) => Content::Unreadable { reason, original: std::mem::take(&mut self.raw) },
            };
            let next = self.position();
            return Ok(Some(self.item(row.line, content, next)));
        }
    }

    fn total_hint(&self) -> Option<Total> {
        Some(Total::Bytes(self.size))
    }

    fn at_hand(&self) -> bool {
        self.wide.as_ref().is_some_and(|wide| !wide.cells.is_empty()) || self.rows.window.holds_a_line()
    }

    fn cut_off(&self) -> bool {
        self.cut_off
    }
}

impl Reading {
    /// What the cells of a row, one for each column, its joined row and its files fill.
    fn record(&self, cells: &[Cow<'_, str>]) -> Result<Record, Reason> {
        let Self { layout, declared, schema, joined, root } = self;
        let mut values = layout.initial.clone();
        for (cell, column) in cells.iter().zip(&layout.columns) {
            if let Column::Field(index) = *column {
                values[index] = value(cell, &schema.fields[index], &layout.initial[index], declared)?;
            }
        }
        if let (Some(joined), Some(key)) = (joined, layout.key) {
            joined.fill(&cells[key], &mut values, declared, schema)?;
        }
        for attachment in &layout.attachments {
            if let Some(content) = attachment.content(root, cells, declared)? {
                values[attachment.field] = Value::Bytes(content);
            }
        }
        Ok(Record { values })
    }

    /// The cells that make a record each; `None` when rows are not taken apart.
    fn unpivoted(&self, cells: &[Cow<'_, str>]) -> Option<VecDeque<(usize, String)>> {
        let unpivot = self.declared.unpivot.as_ref()?;
        let kept = |cell: &str| unpivot.keep_empty || !self.declared.is_null(cell);
        let columns = cells.iter().zip(&self.layout.columns).filter_map(|(cell, column)| match *column {
            Column::Unpivoted(name) if kept(cell) => Some((name, cell.clone().into_owned())),
            _ => None,
        });
        Some(columns.collect())
    }

    /// The record of one cell: what its row gave, the name of its column, and itself.
    fn narrow(&self, base: Record, column: usize, cell: &str) -> Result<Record, Reason> {
        let mut values = base.values;
        if let Some((name, at)) = self.layout.unpivot {
            values[name] = self.layout.names[column].clone();
            values[at] = value(cell, &self.schema.fields[at], &self.layout.initial[at], &self.declared)?;
        }
        Ok(Record { values })
    }
}

/// What a cell is in `field`; `none` when it is empty.
fn value(cell: &str, field: &Field, none: &Value, declared: &CsvSource) -> Result<Value, ValueError> {
    let replacement = declared.replacement(&field.name, cell);
    if replacement.is_none() && declared.is_null(cell) {
        return if *none == Value::Null { Value::null(field) } else { Ok(none.clone()) };
    }
    let text = replacement.unwrap_or(cell);
    match declared.formats.get(&field.name) {
        Some(format) => Value::from_time(text, format, field),
        None => Value::from_text(text, field),
    }
}
