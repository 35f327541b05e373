//! Where the records of a pipeline come from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CsvSource, HttpSource, ImageSource, SyntheticSource, TopicSource};

/// A named source. Exactly one of `csv`, `json_lines`, `parquet`, `http`, `topic`, `images` and
/// `synthetic` is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name to start it by: `driftmill produce PIPELINE --source NAME`.
    pub name: String,
    /// Whether `driftmill up` starts it by itself.
    #[serde(default)]
    pub start: Start,
    /// Records a second at most; absent: as fast as the broker takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// A delimited text file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvSource>,
    /// A file with one JSON object a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_lines: Option<JsonLinesSource>,
    /// Parquet files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parquet: Option<ParquetSource>,
    /// An HTTP API that is asked again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSource>,
    /// Another topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicSource>,
    /// A folder of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageSource>,
    /// A seeded generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<SyntheticSource>,
}

/// The one kind a source is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SourceKind<'a> {
    /// Delimited text.
    Csv(&'a CsvSource),
    /// JSON lines.
    JsonLines(&'a JsonLinesSource),
    /// Parquet.
    Parquet(&'a ParquetSource),
    /// Polled.
    Http(&'a HttpSource),
    /// Read from another topic.
    Topic(&'a TopicSource),
    /// Read from a folder of images.
    Images(&'a ImageSource),
    /// Generated.
    Synthetic(&'a SyntheticSource),
}

impl Source {
    /// The kind; `None` when not exactly one is declared (which `driftmill check` reports).
    pub fn kind(&self) -> Option<SourceKind<'_>> {
        let mut declared = [
            self.csv.as_ref().map(SourceKind::Csv),
            self.json_lines.as_ref().map(SourceKind::JsonLines),
            self.parquet.as_ref().map(SourceKind::Parquet),
            self.http.as_ref().map(SourceKind::Http),
            self.topic.as_ref().map(SourceKind::Topic),
            self.images.as_ref().map(SourceKind::Images),
            self.synthetic.as_ref().map(SourceKind::Synthetic),
        ]
        .into_iter()
        .flatten();
        declared.next().filter(|_| declared.next().is_none())
    }
}

impl Source {
    /// Whether it waits for more when it has sent what there is.
    pub fn follows(&self) -> bool {
        match self.kind() {
            Some(SourceKind::Http(http)) => http.every.is_some(),
            Some(SourceKind::Topic(topic)) => topic.follows(),
            Some(SourceKind::Images(images)) => images.every.is_some(),
            _ => false,
        }
    }
}

/// The kinds, for whoever declares none or several.
pub const SOURCE_KINDS: &str =
    "give exactly one of `csv`, `json_lines`, `parquet`, `http`, `topic`, `images` and `synthetic`";

/// Who starts a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// `driftmill up` starts it.
    Automatic,
    /// Only `driftmill produce` starts it.
    #[default]
    Manual,
}

/// A file with one JSON object a line; keys are field names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonLinesSource {
    /// Path, relative to the pipeline file.
    pub path: String,
    /// Key of the object → field of the record.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Keys to pass over.
    #[serde(default)]
    pub ignore: Vec<String>,
}

impl JsonLinesSource {
    /// A file whose keys are the fields' names.
    pub fn at(path: &str) -> Self {
        Self { path: path.to_owned(), columns: BTreeMap::new(), ignore: Vec::new() }
    }
}

/// One Parquet file or several, read one after the other in the order of their names. Columns of numbers, booleans, texts,
/// decimals, dates and timestamps fill fields of a type that holds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParquetSource {
    /// Path, relative to the pipeline file; `*`, `?`, `[…]` and `**` stand for parts of names, as in `data/*.parquet`.
    pub path: String,
    /// Column of the file → field of the record. A column that has a field's name needs no entry.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Columns to pass over. Any other column that no field is named for is an error.
    #[serde(default)]
    pub ignore: Vec<String>,
}

impl ParquetSource {
    /// A file whose columns have the fields' names.
    pub fn at(path: &str) -> Self {
        Self { path: path.to_owned(), columns: BTreeMap::new(), ignore: Vec::new() }
    }
}
