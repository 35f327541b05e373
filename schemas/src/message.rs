//! The control messages stages exchange, as JSON: a console consumer shows them as they are. Readers pass over keys they
//! do not know, so a field can be added; the meaning of one never changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Header of a record that was pushed over the gateway: the id of the request, as `X-Request-Id` gave it.
pub const REQUEST_HEADER: &str = "driftmill.request";

/// A schema that raw records of a pipeline are written with from now on. Topic [`crate::topic::SCHEMAS`], keyed by
/// `pipeline/fingerprint`. Versions are numbered in the order of the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaAnnouncement {
    /// The pipeline.
    pub pipeline: String,
    /// Rabin fingerprint, 16 hexadecimal digits: what messages name it by.
    pub fingerprint: String,
    /// The Avro schema's JSON text.
    pub schema: String,
    /// When it was announced, milliseconds since 1970 UTC.
    pub at: i64,
    /// Taken back: another version, with which this one does not go together, was announced a moment before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

/// One row of one served prediction, or what another version says of the same row. Topic `<pipeline>.predictions`, keyed by
/// request id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The request, as `X-Request-Id` gave it.
    pub request_id: String,
    /// Row within the request, from 0.
    pub row: u32,
    /// When it was answered, milliseconds since 1970 UTC.
    pub at: i64,
    /// The version that answered.
    pub model_version: u64,
    /// The API it came by: `v2`, `iris`, …
    pub dialect: String,
    /// What the request is about, where the pipeline declares an entity and the request names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// What the model saw, by feature; null is a missing value.
    pub features: BTreeMap<String, Option<f64>>,
    /// The texts it saw, by feature, and of an image the SHA-256 of its pixels in hexadecimal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, Option<String>>,
    /// The class answered, or the value as text.
    pub prediction: String,
    /// Probability of each class, in the order of the label's classes; none of a value.
    pub probabilities: Vec<f64>,
    /// The value answered, where the label has no classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The bounds it lies within, where the model tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// Nobody was told: this version is compared with the one that answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// How long features and model took for all rows of the request, microseconds.
    #[serde(default)]
    pub micros: u64,
    /// Why this version gave no answer; another one did. Empty for an answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
}

/// What turned out to be true of one row of a served prediction. Topic `<pipeline>.labels`, keyed by request id. The latest of a
/// row counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The request, as `X-Request-Id` gave it.
    pub request_id: String,
    /// Row within the request, from 0.
    #[serde(default)]
    pub row: u32,
    /// The class, or the value as text.
    pub label: String,
    /// When it became known, milliseconds since 1970 UTC.
    pub at: i64,
}

/// A wish to train. Topic [`crate::topic::TRAININGS`], keyed by pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRequest {
    /// Names the request; a second one of the same id starts nothing.
    pub id: Uuid,
    /// The pipeline to train.
    pub pipeline: String,
    /// Who wished it: `cli`, `iris contract`, …
    pub requested_by: String,
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
    /// Hyper-parameters that replace those of the pipeline file, for this run only.
    #[serde(default)]
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Promote the model even if a gate refuses it. Only a person may ask that.
    #[serde(default)]
    pub force: bool,
    /// Search the space that the pipeline file declares before fitting.
    #[serde(default)]
    pub search: bool,
    /// Once its gates are passed, the model takes over at once, whatever the pipeline file says of a rollout.
    #[serde(default)]
    pub direct: bool,
    /// Why, in the words of who wished it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What is tried again, if this is no wish of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

impl TrainingRequest {
    /// A wish of nothing special: the pipeline as its file has it.
    pub fn new(id: Uuid, pipeline: impl Into<String>, requested_by: impl Into<String>, at: i64) -> Self {
        Self {
            id,
            pipeline: pipeline.into(),
            requested_by: requested_by.into(),
            at,
            params: serde_json::Map::new(),
            force: false,
            search: false,
            direct: false,
            reason: String::new(),
            again: None,
        }
    }

    /// What the run that it starts is said to be caused by.
    pub fn cause(&self) -> String {
        cause_of(self.id, &self.requested_by)
    }
}

/// What the run of a request is said to be caused by.
pub fn cause_of(request: Uuid, requested_by: &str) -> String {
    format!("request {request} by {requested_by}")
}

/// A run that is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Number of the attempt, from 2.
    pub attempt: u32,
    /// What caused the first one.
    pub cause: FirstCause,
}

/// What caused the first attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstCause {
    /// The request itself, which is repeated with its id.
    Request,
    /// The pipeline had no model.
    First,
    /// The stream drifted away from the champion.
    Drift {
        /// The window's id.
        window: String,
        /// The version that no longer fits.
        champion: u64,
        /// Where the drift began, by partition.
        since: Vec<(i32, i64)>,
    },
}

/// An id that is the same for the same parts: of a request, what is to be one run however often it is wished.
pub fn id_of(parts: &[&str]) -> Uuid {
    let hash = Sha256::digest(parts.join("\n"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The id of the run of that cause: two runs of one pipeline with the same cause are the same run.
pub fn run_id(pipeline: &str, cause: &str) -> Uuid {
    id_of(&[pipeline, cause])
}

/// What became of a training. Topic [`crate::topic::RUNS`], keyed by run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// The run.
    pub run_id: Uuid,
    /// The request or drift report that caused it.
    pub cause: String,
    /// The request's id, when a request caused it.
    #[serde(default)]
    pub request_id: Option<Uuid>,
    /// The pipeline.
    pub pipeline: String,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    /// State entered.
    pub state: RunState,
    /// The reason for people: why it was refused, what failed.
    #[serde(default)]
    pub detail: String,
    /// Metrics on the test rows, by name.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// The version it registered.
    #[serde(default)]
    pub model_version: Option<u64>,
    /// Results of the gates.
    #[serde(default)]
    pub gates: Vec<GateResult>,
    /// When it began, milliseconds since 1970 UTC.
    #[serde(default)]
    pub started: i64,
    /// What was measured while it was fitted, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepMetric>,
    /// Number of the attempt, from 1; each is a run of its own.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
}

fn first_attempt() -> u32 {
    1
}

/// A metric after one step of a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepMetric {
    /// Its name, such as `train_loss`.
    pub name: String,
    /// Number of the step: a round, an epoch.
    pub step: u64,
    /// Its value.
    pub value: f64,
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The snapshot is being taken.
    Started,
    /// Registered, and passed its gates: its rollout decides.
    RollingOut,
    /// Registered, and now champion.
    Promoted,
    /// Registered, and refused by a gate: the champion stays.
    Refused,
    /// Turned out to be worse than the champion while it was rolled out, or soon after: that one serves.
    RolledBack,
    /// Ended without a model.
    Failed,
    /// Took longer than it may, and was halted.
    TimedOut,
}

impl RunState {
    /// Whether the training itself has ended. What becomes of a rollout may follow.
    pub fn is_final(self) -> bool {
        self != Self::Started
    }
}

/// What one gate said of a challenger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// The gate: `better than the constant baseline`, …
    pub gate: String,
    /// Whether the challenger passed.
    pub passed: bool,
    /// The numbers behind it, for people.
    pub detail: String,
}

/// One window of the stream, judged. Topic `<pipeline>.drift`, keyed by window id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftEvent {
    /// Names the window and the policy that judged it: a window that is judged again after a crash has the same id.
    pub window: String,
    /// The pipeline.
    pub pipeline: String,
    /// When it was judged, milliseconds since 1970 UTC.
    pub at: i64,
    /// The version whose reference the window was compared with.
    pub model_version: u64,
    /// `stable`, `warning`, `drifted`, `quarantine` or `too_few_rows`; [`ALARM`] of a detector between windows.
    pub verdict: String,
    /// Rows of the window.
    pub rows: u64,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// For a confirmed drift: the first offset, by partition, of the windows that confirm it.
    #[serde(default)]
    pub since: Vec<(i32, i64)>,
    /// Where the profiles topic stands after the window: a restarted processor goes on from there.
    pub next_profile: i64,
    /// Every number behind the verdict, as the drift library reports it.
    pub report: serde_json::Value,
    /// What was watched: `records` that are ingested, `predictions` that are served, or their [`PERFORMANCE`].
    #[serde(default = "records")]
    pub stream: String,
    /// What the drift processor needs to go on from here after a restart, beside the profiles topic.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub checkpoint: serde_json::Value,
}

fn records() -> String {
    "records".to_owned()
}

/// The verdict that asks for a new model.
pub const DRIFTED: &str = "drifted";
/// What a detector between windows says: no verdict yet, and counted like a window by the next one.
pub const ALARM: &str = "alarm";

/// The stream of events that tell of answers which became worse, by labels or by an estimate.
pub const PERFORMANCE: &str = "performance";

/// An alias moved. Topic [`crate::topic::MODELS`], keyed by `pipeline/alias`, compacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliasEvent {
    /// The pipeline.
    pub pipeline: String,
    /// `champion` or `challenger`.
    pub alias: String,
    /// The version the alias points to now.
    pub version: u64,
    /// SHA-256 of the artifact, hexadecimal.
    pub artifact: String,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    /// Why it moved.
    pub reason: String,
}

/// Headers of a dead letter, named as Kafka Connect names them, so that its users' tools find what they expect.
pub mod dead_letter {
    /// Topic of the record.
    pub const TOPIC: &str = "__connect.errors.topic";
    /// Partition of the record.
    pub const PARTITION: &str = "__connect.errors.partition";
    /// Offset of the record.
    pub const OFFSET: &str = "__connect.errors.offset";
    /// Stage that refused it: `source`, `decode`, `expectation`, …
    pub const STAGE: &str = "__connect.errors.stage";
    /// Kind of the error.
    pub const EXCEPTION_CLASS: &str = "__connect.errors.exception.class.name";
    /// What was wrong, for people.
    pub const EXCEPTION_MESSAGE: &str = "__connect.errors.exception.message";
    /// The expectation that the record breaks, if that is the reason.
    pub const EXPECTATION: &str = "driftmill.expectation";
    /// Kafka's time of the record, milliseconds since 1970 UTC: what is not in the bytes, and a replay needs.
    pub const TIMESTAMP: &str = "driftmill.timestamp";
    /// Where a source found it: `file:line`. A dead letter of a source has no topic, partition and offset.
    pub const SOURCE: &str = "driftmill.source";
    /// Source and number of the item in it: on every record a source sends, and on its dead letters.
    pub const SEQUENCE: &str = "driftmill.sequence";
    /// Bytes of the original, on a dead letter that holds only its beginning.
    pub const FULL_LENGTH: &str = "driftmill.full.length";
    /// Object store address of the original bytes, when they are too large for a message.
    pub const ORIGINAL: &str = "driftmill.original";
}
