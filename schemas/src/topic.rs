//! Topic names. Stages meet only in topics, tables and the registry, so these names are the wiring diagram.

/// Announcements of the registry: one record per alias change, compacted by `pipeline/alias`.
pub const MODELS: &str = "driftmill.models";
/// Requests to train, from the gateway, the CLI or a schedule.
pub const TRAININGS: &str = "driftmill.trainings";
/// What became of a training: one record per state of a run.
pub const RUNS: &str = "driftmill.runs";

/// Where sources have got to: one record per checkpoint, compacted by `pipeline/source`.
pub const SOURCES: &str = "driftmill.sources";

/// Schemas that raw records are written with, where no schema registry holds them: one record per version, compacted by
/// `pipeline/fingerprint`, and there before the first record that is written with it.
pub const SCHEMAS: &str = "driftmill.schemas";

/// The topics of one pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Avro-framed records as producers sent them.
    pub raw: String,
    /// Dead letters: the original bytes, with the reason in headers.
    pub rejected: String,
    /// Drift profiles, one per pane of consecutive raw offsets.
    pub profiles: String,
    /// Drift reports: one verdict per window.
    pub drift: String,
    /// One record per served prediction.
    pub predictions: String,
    /// What turned out to be true of predictions.
    pub labels: String,
}

impl Topics {
    /// The topics of the pipeline called `pipeline`.
    pub fn of(pipeline: &str) -> Self {
        let named = |suffix: &str| format!("{pipeline}.{suffix}");
        Self {
            raw: named("raw"),
            rejected: named("rejected"),
            profiles: named("profiles"),
            drift: named("drift"),
            predictions: named("predictions"),
            labels: named("labels"),
        }
    }

    /// All of them, in the order records travel.
    pub fn all(&self) -> [&str; 6] {
        [&self.raw, &self.rejected, &self.profiles, &self.drift, &self.predictions, &self.labels]
    }
}
