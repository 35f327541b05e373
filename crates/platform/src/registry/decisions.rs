//! What was decided of drift events, with all that it was decided from.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{Error, Registry};
use crate::clickhouse::quote_text;

/// A decision on one drift event: a row of the table `drift_decisions`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct DriftDecision {
    /// The pipeline.
    pub pipeline: String,
    /// The event: the id of the window that was judged.
    pub window: String,
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
    /// What was decided, in one word: `train`, `cooling_down`, …
    pub decision: String,
    /// The same for people.
    pub told: String,
    /// The facts and limits it was decided from, as JSON.
    pub facts: String,
}

const COLUMNS: &str = "toString(pipeline) AS pipeline, window, toUnixTimestamp64Milli(at) AS at, \
                       toString(decision) AS decision, told, facts";

impl Registry {
    /// Keeps a decision; one on the same event takes the place of the earlier.
    pub async fn record_decision(&self, decision: DriftDecision) -> Result<(), Error> {
        Ok(self.clickhouse.insert_rows("drift_decisions", &[decision]).await?)
    }

    /// The decision on a drift event, if there was one.
    pub async fn decision(&self, pipeline: &str, window: &str) -> Result<Option<DriftDecision>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT * FROM drift_decisions FINAL WHERE pipeline = {} AND window = {})",
            quote_text(pipeline),
            quote_text(window)
        );
        Ok(self.clickhouse.rows::<DriftDecision>(&sql).await?.pop())
    }
}
