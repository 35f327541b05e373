//! A second file, whose columns are added to the rows that share its key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io;
use std::path::Path;

use driftmill_schemas::name::{did_you_mean, shortened};
use driftmill_schemas::pipeline::{CsvJoin, CsvSource};
use driftmill_schemas::record::{RecordSchema, Value};

use super::super::reason::Reason;
use super::{Opened, cells, read_failed, value};
use crate::Error;

/// The largest file that is held in memory.
const MAX_BYTES: u64 = 256 << 20;

/// The rows of a file by their key.
pub(super) struct Joined {
    file: String,
    required: bool,
    /// Fields, and the headers that fill them.
    pub fields: Vec<usize>,
    headers: Vec<String>,
    rows: HashMap<String, Row>,
}

struct Row {
    line: u64,
    /// One for each field.
    cells: Vec<String>,
}

impl Joined {
    /// Reads the file that `join` names, whose path starts from `folder`; `None` when it is missing and may be.
    pub(super) fn open(
        folder: &Path,
        join: &CsvJoin,
        declared: &CsvSource,
        schema: &RecordSchema,
    ) -> Result<Option<Self>, Error> {
        let path = folder.join(&join.path);
        let name = path.display().to_string();
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !join.required => return Ok(None),
            opened => opened.map_err(|error| Error::File { file: name.clone(), doing: "opened", error })?,
        };
        let at_fault = |reason: String| Error::Joined { place: name.clone(), reason };
        if !metadata.is_file() {
            return Err(at_fault("is no file".to_owned()));
        }
        if metadata.len() > MAX_BYTES {
            let (bytes, most) = (metadata.len(), MAX_BYTES >> 20);
            return Err(at_fault(format!(
                "has {bytes} bytes, and a joined file is held in memory: at most {most} MiB"
            )));
        }
        let mut opened = Opened::new(file, &name, declared)?;
        let header = opened.header.take().ok_or_else(|| at_fault("has no header".to_owned()))?;
        let find = |wanted: &str| {
            header.iter().position(|text| text == wanted || text.trim() == wanted).ok_or_else(|| {
                let hint = did_you_mean(wanted, header.iter().map(|text| text.trim()));
                let header: Vec<String> = header.iter().map(|text| format!("`{}`", shortened(text, 60))).collect();
                let (place, header) = (format!("{name}:1"), header.join(", "));
                let reason = format!("`join` needs the column `{wanted}`, and the file has {header}{hint}");
                Error::Joined { place, reason }
            })
        };
        let key = find(&join.on)?;
        let (mut places, mut fields, mut headers) = (Vec::new(), Vec::new(), Vec::new());
        for (column, field) in &join.columns {
            places.push(find(column)?);
            let unknown =
                || at_fault(format!("the schema has no field `{field}`{}", did_you_mean(field, schema.names())));
            fields.push(schema.index(field).ok_or_else(unknown)?);
            headers.push(column.clone());
        }
        let mut rows = HashMap::new();
        let mut raw = Vec::new();
        while let Some(row) = opened.rows.next(Some(header.len()), &mut raw).map_err(read_failed(&name))? {
            let at_fault = |reason: String| Error::Joined { place: format!("{name}:{}", row.line), reason };
            let found = row.cells.map_err(|reason| at_fault(reason.to_string()))?;
            if found != header.len() {
                return Err(at_fault(Reason::Cells { found, wanted: header.len() }.to_string()));
            }
            let line = opened.text.decode(&raw);
            let line = line.ok_or_else(|| at_fault(Reason::Encoding(opened.text.name()).to_string()))?;
            let mut cells: Vec<_> = cells::split(&line, declared.delimiter).collect();
            let text = cells[key].trim().to_owned();
            if text.is_empty() {
                return Err(at_fault(format!("column `{}`: a row without a key belongs to none", join.on)));
            }
            let kept = places.iter().map(|place| std::mem::take(&mut cells[*place]).into_owned()).collect();
            match rows.entry(text) {
                Entry::Vacant(free) => {
                    free.insert(Row { line: row.line, cells: kept });
                }
                Entry::Occupied(taken) => {
                    let (key, first) = (shortened(taken.key(), 60), taken.get().line);
                    let reason = format!("column `{}`: the key `{key}` stands in line {first}, too", join.on);
                    return Err(at_fault(reason));
                }
            }
        }
        Ok(Some(Self { file: name, required: join.required, fields, headers, rows }))
    }

    /// Adds the columns of the row with that key.
    pub(super) fn fill(
        &self,
        key: &str,
        values: &mut [Value],
        declared: &CsvSource,
        schema: &RecordSchema,
    ) -> Result<(), Reason> {
        let Some(row) = self.rows.get(key.trim()) else {
            let (key, file) = (shortened(key.trim(), 60), self.file.clone());
            return if self.required { Err(Reason::NoMatch { key, file }) } else { Ok(()) };
        };
        for ((index, cell), header) in self.fields.iter().zip(&row.cells).zip(&self.headers) {
            values[*index] = value(cell, &schema.fields[*index], &values[*index], declared).map_err(|error| {
                Reason::Cell { place: format!("{}:{}", self.file, row.line), column: header.clone(), error }
            })?;
        }
        Ok(())
    }
}
