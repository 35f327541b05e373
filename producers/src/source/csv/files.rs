//! Files that a row names.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use driftmill_schemas::name::shortened;
use driftmill_schemas::pipeline::{CsvFile, CsvSource, PathTemplate, Unnamed};
use driftmill_schemas::record::RecordSchema;

use super::super::reason::Reason;

/// A field that holds the content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attachment {
    pub field: usize,
    /// Places of the columns that the path is made of.
    pub columns: Vec<usize>,
    template: PathTemplate,
    required: bool,
    max_bytes: usize,
}

impl Attachment {
    /// What `declared` comes down to in a file whose columns `find` knows. The outer error is one of the declaration.
    pub(super) fn new<E>(
        declared: &CsvFile,
        schema: &RecordSchema,
        find: impl Fn(&str) -> Result<usize, E>,
    ) -> Result<Result<Self, E>, String> {
        let template = PathTemplate::parse(&declared.path)?;
        let field = schema.index(&declared.field);
        let field = field.ok_or_else(|| format!("`files`: the schema has no field `{}`", declared.field))?;
        let columns = template.columns().map(find).collect::<Result<_, _>>();
        let (required, max_bytes) = (declared.required, declared.max_bytes);
        Ok(columns.map(|columns| Self { field, columns, template, required, max_bytes }))
    }

    /// The content of the file that the row of these cells names; `None` when there is none and none is needed. `root` is
    /// a folder without links in its path, which the file must lie in.
    pub(super) fn content(
        &self,
        root: &Path,
        cells: &[Cow<'_, str>],
        declared: &CsvSource,
    ) -> Result<Option<Vec<u8>>, Reason> {
        let named =
            self.columns.iter().map(|place| Some(cells[*place].as_ref()).filter(|cell| !declared.is_null(cell)));
        let path = match self.template.fill(named) {
            Ok(path) => path,
            Err(Unnamed::Empty(_)) if !self.required => return Ok(None),
            Err(Unnamed::Empty(column)) => {
                let fault = format!("no file is named, because the column `{column}` is empty");
                return Err(Reason::File { kind: "MissingFile", fault });
            }
            Err(Unnamed::Forbidden(column, cell)) => {
                let cell = shortened(&cell, 60);
                let fault = format!("column `{column}`: `{cell}` names no file in this folder, but leads elsewhere");
                return Err(Reason::File { kind: "ForbiddenPath", fault });
            }
        };
        let refused = |kind, fault: String| Err(Reason::File { kind, fault: format!("file `{path}` {fault}") });
        match read(root, &path, self.max_bytes) {
            Ok(content) => Ok(Some(content)),
            Err(Fault::Missing) if !self.required => Ok(None),
            Err(Fault::Missing) => refused("MissingFile", "does not exist".to_owned()),
            Err(Fault::Elsewhere) => refused(
                "ForbiddenLink",
                "is a link to a place outside of the folder: put the file itself there".to_owned(),
            ),
            Err(Fault::NoFile) => refused("UnreadableFile", "is no ordinary file".to_owned()),
            Err(Fault::TooLarge(bytes)) => {
                refused("TooLong", format!("has {bytes} bytes where `max_bytes` allows {}", self.max_bytes))
            }
            Err(Fault::Unreadable(error)) => refused("UnreadableFile", format!("cannot be read: {error}")),
        }
    }
}

enum Fault {
    Missing,
    Elsewhere,
    NoFile,
    TooLarge(u64),
    Unreadable(io::ErrorKind),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            kind => Self::Unreadable(kind),
        }
    }
}

fn read(root: &Path, path: &str, max_bytes: usize) -> Result<Vec<u8>, Fault> {
    let full = root.join(path).canonicalize()?;
    if !full.starts_with(root) {
        return Err(Fault::Elsewhere);
    }
    let metadata = full.metadata()?;
    // Sockets and pipes would be waited for.
    if !metadata.is_file() {
        return Err(Fault::NoFile);
    }
    let limit = max_bytes as u64;
    if metadata.len() > limit {
        return Err(Fault::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    File::open(&full)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes { Err(Fault::TooLarge(bytes.len() as u64)) } else { Ok(bytes) }
}
