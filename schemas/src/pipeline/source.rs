//! Where the records of a pipeline come from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CsvSource, HttpSource, ImageSource, TopicSource};

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

/// A seeded generator: the same seed gives the same records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSource {
    /// Seed of everything drawn.
    pub seed: u64,
    /// Records to make; absent: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Field that counts the records, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<String>,
    /// How each field is drawn.
    pub fields: BTreeMap<String, SyntheticField>,
    /// How the label is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What changes on the way, by record number.
    #[serde(default)]
    pub drift: Vec<Drift>,
}

/// How one field is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticField {
    /// The distribution for every record that no class of its own has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<Distribution>,
    /// The distribution by class of the outcome.
    #[serde(default)]
    pub by_class: BTreeMap<String, Distribution>,
    /// Share of records in which the field is null (the field must be nullable).
    #[serde(default)]
    pub missing: f64,
    /// Decimal places kept; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u32>,
    /// Smallest and largest value: what is beyond is moved to the bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamp: Option<(f64, f64)>,
}

/// A distribution of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation, ≥ 0.
        std: f64,
    },
    /// Log-normal.
    LogNormal {
        /// Mean of the logarithm.
        mean: f64,
        /// Standard deviation of the logarithm, ≥ 0.
        std: f64,
    },
    /// Continuous uniform over `[from, to)`.
    Uniform {
        /// Lower bound.
        from: f64,
        /// Upper bound.
        to: f64,
    },
    /// Every integer from `from` to `to`, both included, equally often.
    Integer {
        /// Lower bound.
        from: i64,
        /// Upper bound.
        to: i64,
    },
    /// 1 with probability `p`, else 0.
    Bernoulli {
        /// Probability of 1.
        p: f64,
    },
}

impl Distribution {
    /// Mean and standard deviation, for standardising what an outcome depends on.
    pub fn moments(&self) -> (f64, f64) {
        match *self {
            Self::Normal { mean, std } => (mean, std),
            Self::LogNormal { mean, std } => {
                let variance = std * std;
                let centre = (mean + variance / 2.0).exp();
                (centre, centre * (variance.exp() - 1.0).sqrt())
            }
            Self::Uniform { from, to } => ((from + to) / 2.0, (to - from) / 12f64.sqrt()),
            Self::Integer { from, to } => {
                let values = (to - from + 1) as f64;
                ((from + to) as f64 / 2.0, ((values * values - 1.0) / 12.0).sqrt())
            }
            Self::Bernoulli { p } => (p, (p * (1.0 - p)).sqrt()),
        }
    }
}

/// How the label is drawn: by class weights, or (with two classes) by log-odds that depend on fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The label's field.
    pub field: String,
    /// Weight of each class, in the label's order of classes.
    pub weights: Vec<f64>,
    /// Field → change of the second class's log-odds per standard deviation of the field, times `signal`.
    #[serde(default)]
    pub depends_on: BTreeMap<String, f64>,
    /// Strength of the dependence: 0 makes the label independent of everything.
    #[serde(default)]
    pub signal: f64,
}

/// One scheduled change of a generated stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// First record that differs, from 0.
    pub at_row: u64,
    /// Records over which the change grows from nothing to its full size; 0: at once.
    #[serde(default)]
    pub over_rows: u64,
    /// The field that changes.
    pub field: String,
    /// Added to the value.
    #[serde(default)]
    pub shift: f64,
    /// Multiplies the value (before the shift).
    #[serde(default = "one")]
    pub scale: f64,
    /// Added to the share of nulls.
    #[serde(default)]
    pub missing: f64,
}

fn one() -> f64 {
    1.0
}
