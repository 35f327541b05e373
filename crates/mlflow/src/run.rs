//! What is mirrored: a training run, the data it learned from, and the model it made.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// A training run, over or under way.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Its id, by which it is found again in MLflow.
    pub run_id: Uuid,
    /// The pipeline: MLflow's experiment, and its registered model.
    pub pipeline: String,
    /// Its name for people.
    pub name: String,
    /// What became of it.
    pub state: State,
    /// What became of it, for people.
    pub detail: String,
    /// When it began, milliseconds since 1970 UTC.
    pub started: i64,
    /// When it ended, milliseconds since 1970 UTC; of no meaning while it is under way.
    pub ended: i64,
    /// Hyper-parameters and how it was trained.
    pub params: BTreeMap<String, String>,
    /// Metrics on the test rows.
    pub metrics: BTreeMap<String, f64>,
    /// Metrics of the steps of the fit, in the order in which they were measured.
    pub steps: Vec<StepMetric>,
    /// What the gates said.
    pub gates: Vec<Gate>,
    /// What else is to be found by: cause, code version, snapshot. Each becomes a tag `driftmill.<key>`.
    pub tags: BTreeMap<String, String>,
    /// The rows it learned from.
    pub dataset: Option<Dataset>,
    /// The model it made.
    pub model: Option<Model>,
    /// Its log.
    pub logs: Option<String>,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It is under way.
    #[default]
    Running,
    /// It made a model, and the gates let it pass.
    Finished,
    /// It made a model, and a gate refused it.
    Refused,
    /// It ended without a model.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl State {
    /// MLflow's status. A refused model is a run that did what it should.
    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Finished | Self::Refused => "FINISHED",
            Self::Failed => "FAILED",
            Self::Cancelled => "KILLED",
        }
    }

    /// Our word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A metric after one step of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct StepMetric {
    /// Its name.
    pub name: String,
    /// Number of the step.
    pub step: i64,
    /// Its value; may be no number.
    pub value: f64,
    /// When it was measured, milliseconds since 1970 UTC.
    pub at: i64,
}

/// What a gate said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// What it asks for.
    pub name: String,
    /// Whether it lets the model pass.
    pub passed: bool,
    /// Its numbers.
    pub detail: String,
}

/// The rows that a run learned from.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Hash of the snapshot.
    pub digest: String,
    /// Where it is: a URL or a path.
    pub source: String,
    /// Its columns.
    pub schema: Vec<Column>,
    /// Numbers of it, such as `{"num_rows": 120}`.
    pub profile: Value,
}

/// A column of a dataset or of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Its name.
    pub name: String,
    /// Whether each row must have a value.
    pub required: bool,
}

/// MLflow's types of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum ColumnType {
    Boolean,
    Integer,
    Long,
    Float,
    Double,
    String,
    Binary,
    Datetime,
}

/// The model that a run made.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// Its version in our registry; MLflow counts its own, and shows this one as a tag.
    pub version: u64,
    /// The encoded model.
    pub artifact: Bytes,
    /// Name of its file, without a folder.
    pub file_name: String,
    /// Name of the algorithm.
    pub algorithm: String,
    /// What the model says of itself, as Markdown.
    pub card_markdown: String,
    /// What it takes and what it answers.
    pub signature: Option<Signature>,
    /// A few rows that it takes.
    pub input_example: Option<InputExample>,
    /// The aliases that it has now. Aliases that others have are left alone.
    pub aliases: Vec<String>,
}

/// What a model takes and what it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// Columns of its rows.
    pub inputs: Vec<Column>,
    /// Columns of its answers.
    pub outputs: Vec<Column>,
}

/// Rows as MLflow keeps them: `dataframe_split`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct InputExample {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub data: Vec<Vec<Value>>,
}

/// Where a run is in MLflow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrored {
    /// The experiment.
    pub experiment_id: String,
    /// MLflow's id of the run.
    pub run_id: String,
    /// The logged model, when the run made one.
    pub model_id: Option<String>,
    /// Its version in MLflow's registry.
    pub model_version: Option<String>,
}
