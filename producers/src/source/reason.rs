//! Why a row of a source is no record.

use driftmill_schemas::record::{ObjectError, ValueError};

/// What is wrong with a row. Its text goes into the dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A value is missing, or of another type.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A value of a file of columns.
    #[error("{place}, column `{column}`: {error}")]
    Cell {
        /// File, row group and row.
        place: String,
        /// The column.
        column: String,
        /// What is wrong with the value.
        error: ValueError,
    },
    /// A column that no field is named for.
    #[error("unknown column `{column}`{hint}; map it under `columns`, or list it under `ignore`")]
    UnknownColumn {
        /// The header, shortened.
        column: String,
        /// "did you mean", or nothing.
        hint: String,
    },
    /// A key that no field is named for.
    #[error("unknown key `{key}`{hint}; map it under `columns`, or list it under `ignore`")]
    UnknownKey {
        /// The key, shortened.
        key: String,
        /// "did you mean", or nothing.
        hint: String,
    },
    /// Two keys of one object fill the same field.
    #[error("field `{field}` is given twice")]
    GivenTwice {
        /// The field.
        field: String,
    },
    /// More or fewer cells than the header has.
    #[error("{found} cells where the header has {wanted}")]
    Cells {
        /// Cells of the row.
        found: usize,
        /// Columns of the header.
        wanted: usize,
    },
    /// A quote that is opened and never closed.
    #[error("a quote is opened in this line and never closed")]
    UnclosedQuote,
    /// Something other than a delimiter behind a closing quote.
    #[error(
        "a quote opened in this line is closed in the middle of a cell; a quote inside of a quoted cell is written twice"
    )]
    TextAfterQuote,
    /// A quote inside of a cell that does not begin with one.
    #[error("a quote in the middle of an unquoted cell; quote the whole cell, and write the inner quote twice")]
    StrayQuote,
    /// A quote that swallowed further lines, which then make no row.
    #[error(
        "a quote opened in this line is closed only {lines} lines below, and what lies between has {found} cells where the header has {wanted}"
    )]
    RunawayQuote {
        /// Lines to the closing quote.
        lines: u64,
        /// Cells of the row that would be.
        found: usize,
        /// Columns of the header.
        wanted: usize,
    },
    /// Bytes that are no text in the source's encoding.
    #[error("is not valid {0}")]
    Encoding(&'static str),
    /// Too large for a message.
    #[error("{bytes} bytes where {limit} are the most{kept}")]
    TooLong {
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: usize,
        /// What is said when the original is cut, too; else nothing.
        kept: String,
    },
    /// A message of another topic that is no record of ours.
    #[error("{message}")]
    Foreign {
        /// The kind.
        kind: &'static str,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A file that is no image, or not a whole one.
    #[error("{fault}")]
    Image {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        fault: String,
    },
    /// A file that the row names.
    #[error("{fault}")]
    File {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        fault: String,
    },
    /// A row whose key the joined file does not have.
    #[error("the key `{key}` is not in `{file}`, which has a row for every one by `join`")]
    NoMatch {
        /// The key, shortened.
        key: String,
        /// The joined file.
        file: String,
    },
    /// No JSON object.
    #[error("is no JSON object: {0}")]
    Json(String),
}

impl Reason {
    /// The kind of the reason: what equal reasons are counted by, and a dead letter's exception class.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Value(error) | Self::Cell { error, .. } => error.kind(),
            Self::UnknownKey { .. } => "UnknownKey",
            Self::UnknownColumn { .. } => "UnknownColumn",
            Self::GivenTwice { .. } => "GivenTwice",
            Self::Cells { .. } => "CellCount",
            Self::UnclosedQuote | Self::TextAfterQuote | Self::StrayQuote | Self::RunawayQuote { .. } => "BrokenQuote",
            Self::Encoding(_) => "InvalidEncoding",
            Self::TooLong { .. } => "TooLong",
            Self::Foreign { kind, .. } | Self::Image { kind, .. } | Self::File { kind, .. } => kind,
            Self::NoMatch { .. } => "NoMatch",
            Self::Json(_) => "InvalidJson",
        }
    }

    pub(crate) fn too_long(bytes: u64, kept: usize) -> Self {
        let kept = if (kept as u64) < bytes { format!("; only the first {kept} are kept") } else { String::new() };
        Self::TooLong { bytes, limit: super::MAX_ROW_BYTES, kept }
    }
}

impl From<ObjectError> for Reason {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Value(error) => Self::Value(error),
            ObjectError::UnknownKey { key, hint } => Self::UnknownKey { key, hint },
            ObjectError::GivenTwice { field } => Self::GivenTwice { field },
            ObjectError::Json(complaint) => Self::Json(complaint),
        }
    }
}
