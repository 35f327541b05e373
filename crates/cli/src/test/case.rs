//! The file of a case.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

/// What a case gives and expects.
#[derive(Debug)]
pub struct Case {
    /// The file's text.
    pub text: String,
    /// What it says.
    pub file: CaseFile,
}

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// One sentence for people.
    #[serde(default, rename = "description")]
    _description: String,
    /// Records as JSON objects. `_at` says when one arrives: RFC 3339, or milliseconds since 1970 UTC.
    #[serde(default)]
    pub given: Option<Vec<Spanned<Map<String, Value>>>>,
    /// Records of one of the pipeline's sources.
    #[serde(default)]
    pub source: Option<FromSource>,
    /// What becomes of each record.
    #[serde(default)]
    pub expected: Option<Vec<Spanned<Expected>>>,
    /// What becomes of the windows that rows lie in, by the expectations of windows.
    #[serde(default)]
    pub windows: Option<Vec<Spanned<ExpectedWindow>>>,
}

/// The first records of a source.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromSource {
    /// The source.
    pub name: String,
    /// How many of its records.
    pub rows: usize,
    /// Another file than the source's, relative to the case.
    #[serde(default)]
    pub file: Option<String>,
}

/// What is expected of a record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Expected {
    /// A row with these values; columns that are not named may hold anything, but for `_quarantined` and `_breaches`.
    Row(Map<String, Value>),
    /// A dead letter.
    Rejected(Rejection),
}

/// What is expected of a dead letter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// Its kind.
    #[serde(default)]
    pub error: Option<String>,
    /// The expectation that the record breaks.
    #[serde(default)]
    pub expectation: Option<String>,
    /// Part of its reason.
    #[serde(default)]
    pub message: Option<String>,
}

/// What is expected of a window.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedWindow {
    /// The expectation.
    pub expectation: String,
    /// Start, as RFC 3339.
    pub from: String,
    /// Whether it is met.
    pub met: bool,
}

impl Case {
    /// Reads the file.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
        Self::parse(text, file)
    }

    /// Reads its text.
    pub fn parse(text: String, file: &Path) -> anyhow::Result<Self> {
        // `NO` is a country, not a boolean.
        let options = serde_saphyr::options! { strict_booleans: true };
        let parsed: CaseFile = serde_saphyr::from_str_with_options(&text, options).map_err(|error| {
            let place = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
            let said = error.without_snippet().to_string();
            let said = said.lines().next().unwrap_or_default().split(" at line ").next().unwrap_or_default().to_owned();
            anyhow::anyhow!("{}{place}: {said}", file.display())
        })?;
        if parsed.given.as_ref().is_some_and(Vec::is_empty) || parsed.given.is_some() == parsed.source.is_some() {
            anyhow::bail!("{}: give exactly one of `given`, with a record or more, and `source`", file.display());
        }
        Ok(Self { text, file: parsed })
    }
}
