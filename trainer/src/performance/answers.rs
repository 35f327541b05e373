//! Served predictions with their labels, as far as these have come.

use driftmill_platform::clickhouse::{ClickHouse, quote};
use serde::Deserialize;

use crate::Error;

/// One answered row.
#[derive(Debug, Clone, clickhouse::Row, Deserialize)]
pub struct Answer {
    /// The version that answered.
    pub model_version: u64,
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
    /// The class, or the value as text.
    pub prediction: String,
    /// Of each class, in the order of the model's classes; none of a value.
    pub probabilities: Vec<f64>,
    /// The value.
    pub value: Option<f64>,
    /// What turned out to be true; empty without a label.
    pub label: String,
    /// Whether there is a label.
    pub known: bool,
}

/// The newest `last` answers that were served, by version and time.
///
/// # Errors
/// Those of ClickHouse.
pub async fn newest(
    clickhouse: &ClickHouse,
    pipeline: &str,
    version: Option<u64>,
    last: u64,
) -> Result<Vec<Answer>, Error> {
    let of = version.map_or_else(String::new, |version| format!("WHERE model_version = {version}"));
    labelled(clickhouse, pipeline, &format!("{of} ORDER BY at DESC, _partition DESC, _offset DESC LIMIT {last}")).await
}

/// Answers of a version since `since` (milliseconds since 1970 UTC), in order, without the first `first` of them.
///
/// # Errors
/// Those of ClickHouse.
pub(super) async fn from(
    clickhouse: &ClickHouse,
    pipeline: &str,
    version: u64,
    (since, first): (i64, u64),
    most: u64,
) -> Result<Vec<Answer>, Error> {
    let of = format!(
        "WHERE model_version = {version} AND at >= fromUnixTimestamp64Milli({since}, 'UTC') \
         ORDER BY at, _partition, _offset LIMIT {most} OFFSET {first}"
    );
    labelled(clickhouse, pipeline, &of).await
}

/// Served answers that `of` selects, beside their labels.
async fn labelled(clickhouse: &ClickHouse, pipeline: &str, of: &str) -> Result<Vec<Answer>, Error> {
    let (predictions, labels) = (quote(&format!("{pipeline}_predictions")), quote(&format!("{pipeline}_labels")));
    let sql = format!(
        "WITH p AS (SELECT * FROM {predictions} {of}) \
         SELECT p.model_version AS model_version, toUnixTimestamp64Milli(p.at) AS at, toString(p.prediction) AS prediction, \
         p.probabilities AS probabilities, p.value AS value, l.label AS label, l.known AS known FROM p \
         LEFT JOIN (SELECT request_id, row, argMax(label, _offset) AS label, true AS known FROM {labels} \
         WHERE request_id IN (SELECT request_id FROM p) GROUP BY request_id, row) AS l USING (request_id, row) \
         ORDER BY model_version, at, p._partition, p._offset SETTINGS use_skip_indexes_if_final = 1"
    );
    Ok(clickhouse.rows::<Answer>(&sql).await?)
}
