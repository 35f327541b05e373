//! The pipeline file: one versioned YAML per pipeline that declares everything about it but its URLs and secrets.

mod csv_source;
mod distribution;
mod drift;
mod expectation;
mod feature;
mod image_source;
mod load;
mod path_template;
mod polling;
mod problem;
mod rollout;
mod schedule;
mod search;
mod serving;
mod source;
mod synthetic_source;
mod topic_source;
mod training;

pub use csv_source::{CsvFile, CsvJoin, CsvSource, Unpivot};
pub use distribution::{Distribution, Picture, Shape, Shapes, Words};
pub use drift::DriftPolicy;
pub use expectation::{Expectation, Fresh, KnownIn, MOST_REMEMBERED, NullRate, Rule, Severity, Unique, Volume};
pub use feature::{Feature, FeatureType};
pub use image_source::{ImagePart, ImageSource};
pub use load::{Loaded, json_schema, load, parse};
pub use path_template::{PathTemplate, Unnamed};
pub use polling::{CursorTime, HttpSource, Paging, RowCursor, RowFormat, variables};
pub use problem::{Error, Problem};
pub use rollout::Rollout;
pub use schedule::{GRACE, NEW_ROWS, Schedule, Timetable};
pub use search::{Domain, Search, SearchMethod, SearchWhen};
pub use serving::{Dialect, Serving};
pub use source::{JsonLinesSource, ParquetSource, SOURCE_KINDS, Source, SourceKind, Start};
pub use synthetic_source::{Drift, Outcome, SyntheticField, SyntheticSource};
pub use topic_source::{TopicSource, TopicStart};
pub use training::{Gold, Metric, Promotion, Split, SplitBy, Training, WarmStart};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::compatibility;

/// The version of the pipeline file's format that this build reads.
pub const FORMAT_VERSION: u32 = 1;

/// One pipeline, as its file declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Version of this file's format: 1.
    pub version: u32,
    /// Name of the pipeline: prefix of its topics and tables, path segment of its routes.
    pub name: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// Path of the Avro schema of a raw record, relative to this file.
    pub schema: String,
    /// What a new version of that schema must be compatible with; absent: what the schema registry says of the subject, and
    /// FULL_TRANSITIVE where there is none or it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<compatibility::Mode>,
    /// How the raw topic is laid out.
    #[serde(default)]
    pub topics: TopicLayout,
    /// Field that names the thing a record is about.
    #[serde(default)]
    pub entity: Option<String>,
    /// Field of Avro type `timestamp-millis` that says when the record happened; absent: the time Kafka stored it.
    #[serde(default)]
    pub event_time: Option<String>,
    /// Where records come from.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// What must hold of a record.
    #[serde(default)]
    pub expectations: Vec<Expectation>,
    /// What a model sees, in this order.
    pub features: Vec<Feature>,
    /// What a model learns.
    pub label: Label,
    /// How a model is fitted.
    pub training: Training,
    /// When a fitted model may serve.
    #[serde(default)]
    pub promotion: Promotion,
    /// How it takes over from the champion.
    #[serde(default)]
    pub rollout: Rollout,
    /// When a serving model no longer fits.
    #[serde(default)]
    pub drift: DriftPolicy,
    /// How predictions are served.
    #[serde(default)]
    pub serving: Serving,
}

/// Partitions of the raw topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TopicLayout {
    /// Partitions of the raw topic (1 to 1,000); cannot be lowered later.
    pub partitions: u32,
}

impl Default for TopicLayout {
    fn default() -> Self {
        Self { partitions: 2 }
    }
}

/// The field a model predicts: one of the classes, or a number where none are declared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Field of the record.
    pub field: String,
    /// Every class, as text, in the order the model numbers them; a label that is none of them is rejected, unless they are
    /// `open`. Empty: the field is a number, and the model predicts its value.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Whether there may be other classes than those: each training learns which there are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    /// The class that precision, recall and F1 of a binary metric are about; absent: the last one.
    #[serde(default)]
    pub positive: Option<String>,
}

impl Label {
    /// Whether the model predicts a number instead of a class.
    pub fn is_value(&self) -> bool {
        self.classes.is_empty() && !self.open
    }

    /// Index of the class written as `text`; `1`, `1.0` and `true` are told apart only by their spelling.
    pub fn class_index(&self, text: &str) -> Option<usize> {
        self.classes.iter().position(|class| class == text)
    }

    /// Index of the positive class.
    pub fn positive_index(&self) -> usize {
        self.positive.as_deref().and_then(|text| self.class_index(text)).unwrap_or(self.classes.len().saturating_sub(1))
    }
}
