//! Runs as people look at them, their logs, what they learned from, and the tries that are to come.

use std::collections::BTreeMap;

use clickhouse::Row;
use driftmill_schemas::message::{GateResult, TrainingRequest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, Registry};
use crate::clickhouse::quote_text;

/// A run, as its last event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct RunSummary {
    /// The pipeline.
    pub pipeline: String,
    /// The run's id.
    pub run: String,
    /// State it is in.
    pub state: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// When it began, milliseconds since 1970 UTC.
    pub began: i64,
    /// When it entered its state.
    pub ended: i64,
    /// The version it registered; 0 for none.
    pub model_version: u64,
    /// Why it happened.
    pub cause: String,
    /// Why it ended as it did.
    pub detail: String,
}

/// All of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDetail {
    /// What it came to.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// Metrics on the test rows.
    pub metrics: BTreeMap<String, f64>,
    /// What the gates said.
    pub gates: Vec<GateResult>,
    /// What it told, in order.
    pub logs: Vec<LogLine>,
}

/// A line of a run's log: a row of the table `run_logs`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct LogLine {
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// What was told.
    pub line: String,
}

#[derive(Row, Serialize, Deserialize)]
struct LogRow {
    #[serde(with = "clickhouse::serde::uuid")]
    run_id: Uuid,
    pipeline: String,
    at: i64,
    number: u32,
    level: String,
    line: String,
}

/// The rows that a run learned from: a row of the table `run_snapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct RunSnapshot {
    /// The pipeline.
    pub pipeline: String,
    /// The run.
    #[serde(with = "clickhouse::serde::uuid")]
    pub run_id: Uuid,
    /// Hash of the snapshot; empty while it is being taken.
    pub snapshot: String,
    /// Its rows.
    pub rows: u64,
    /// The last offset that the feature table had of each partition when it was taken.
    pub reached: Vec<(i32, i64)>,
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
}

/// A try that is to come: a row of the table `run_retries`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
struct RetryRow {
    pipeline: String,
    #[serde(with = "clickhouse::serde::uuid")]
    run_id: Uuid,
    due: i64,
    request: String,
    taken_up: u8,
}

/// A try that is to come.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingRetry {
    /// The run that ended without a model.
    pub run_id: Uuid,
    /// When the next one begins, milliseconds since 1970 UTC.
    pub due: i64,
    /// The request that makes it begin.
    pub request: TrainingRequest,
}

#[derive(Row, Deserialize)]
struct Judged {
    metrics: Vec<(String, f64)>,
    gates: String,
}

/// Orders the rows of a run (`runs AS r`): an end comes after a rollout, and that after the start, whatever the clock said.
pub const RUN_ORDER: &str = "(multiIf(r.state = 'started', 0, r.state = 'rolling_out', 1, 2), r.at)";
// What follows a cause where a run is another attempt, as a regular expression.
const ATTEMPT: &str = " [(]attempt [0-9]+[)]$";

impl Registry {
    /// The newest runs, of one pipeline or of all, the newest first.
    pub async fn runs(&self, pipeline: Option<&str>, limit: u32) -> Result<Vec<RunSummary>, Error> {
        let of = pipeline.map(|pipeline| format!("WHERE r.pipeline = {}", quote_text(pipeline))).unwrap_or_default();
        self.summaries(&of, limit).await
    }

    /// The runs of a pipeline whose id begins with `id`: hexadecimal digits and hyphens.
    pub async fn runs_called(&self, pipeline: &str, id: &str) -> Result<Vec<RunSummary>, Error> {
        let (of, id) = (quote_text(pipeline), quote_text(&id.to_ascii_lowercase()));
        self.summaries(&format!("WHERE r.pipeline = {of} AND startsWith(toString(r.run_id), {id})"), 10).await
    }

    /// The newest run of a pipeline whose cause ends with one of `ends`, whatever the number of its attempt.
    pub async fn newest_caused(&self, pipeline: &str, ends: &[String]) -> Result<Option<RunSummary>, Error> {
        let ends: Vec<String> = ends.iter().map(|end| quote_text(end)).collect();
        let which = format!(
            "WHERE r.pipeline = {} AND arrayExists(end -> endsWith(replaceRegexpOne(r.cause, '{ATTEMPT}', ''), end), [{}])",
            quote_text(pipeline),
            ends.join(", ")
        );
        Ok(self.summaries(&which, 1).await?.pop())
    }

    /// A run, if it has begun.
    pub async fn run_of(&self, pipeline: &str, run_id: Uuid) -> Result<Option<RunSummary>, Error> {
        let which = format!("WHERE r.pipeline = {} AND r.run_id = '{run_id}'", quote_text(pipeline));
        Ok(self.summaries(&which, 1).await?.pop())
    }

    async fn summaries(&self, which: &str, limit: u32) -> Result<Vec<RunSummary>, Error> {
        let sql = format!(
            "SELECT toString(any(r.pipeline)) AS pipeline, toString(r.run_id) AS run, \
             toString(argMax(r.state, {RUN_ORDER})) AS state, toUInt32(greatest(max(r.attempt), 1)) AS attempt, \
             toUnixTimestamp64Milli(argMin(r.at, {RUN_ORDER})) AS began, \
             toUnixTimestamp64Milli(argMax(r.at, {RUN_ORDER})) AS ended, \
             max(r.model_version) AS model_version, any(r.cause) AS cause, argMax(r.detail, {RUN_ORDER}) AS detail \
             FROM runs AS r {which} GROUP BY r.run_id ORDER BY began DESC, run LIMIT {limit}"
        );
        Ok(self.clickhouse.rows(&sql).await?)
    }

    /// All of a run; of its log the newest lines.
    pub async fn run_detail(&self, summary: RunSummary) -> Result<RunDetail, Error> {
        let which = format!("pipeline = {} AND run_id = {}", quote_text(&summary.pipeline), quote_text(&summary.run));
        let judged = format!(
            "SELECT CAST(argMax(r.metrics, {RUN_ORDER}) AS Array(Tuple(String, Float64))) AS metrics, \
             argMax(r.gates, {RUN_ORDER}) AS gates FROM runs AS r WHERE {which}"
        );
        let judged = self.clickhouse.row::<Judged>(&judged).await?;
        let logs = format!(
            "SELECT toUnixTimestamp64Milli(l.at) AS at, toString(l.level) AS level, l.line AS line FROM run_logs AS l \
             WHERE {which} ORDER BY l.at DESC, l.number DESC LIMIT 10000"
        );
        let mut logs = self.clickhouse.rows::<LogLine>(&logs).await?;
        logs.reverse();
        Ok(RunDetail {
            metrics: judged.metrics.into_iter().collect(),
            gates: serde_json::from_str(&judged.gates).unwrap_or_default(),
            logs,
            summary,
        })
    }

    /// Adds a line to a run's log; `number` tells lines of one millisecond apart.
    pub async fn log_run(&self, pipeline: &str, run_id: Uuid, number: u32, line: LogLine) -> Result<(), Error> {
        let LogLine { at, level, line } = line;
        let row = LogRow { run_id, pipeline: pipeline.to_owned(), at, number, level, line };
        Ok(self.clickhouse.insert_rows("run_logs", &[row]).await?)
    }

    /// Notes what a run learns from.
    pub async fn record_snapshot(&self, snapshot: RunSnapshot) -> Result<(), Error> {
        Ok(self.clickhouse.insert_rows("run_snapshots", &[snapshot]).await?)
    }

    /// What the newest run that took rows of the feature table, or tried to, learned from.
    pub async fn newest_snapshot(&self, pipeline: &str) -> Result<Option<RunSnapshot>, Error> {
        let sql = format!(
            "SELECT toString(pipeline) AS pipeline, run_id, snapshot, rows, reached, toUnixTimestamp64Milli(at) AS at FROM \
             (SELECT * FROM run_snapshots FINAL WHERE pipeline = {} ORDER BY at DESC, run_id LIMIT 1)",
            quote_text(pipeline)
        );
        Ok(self.clickhouse.rows(&sql).await?.pop())
    }

    /// Notes that a run is to be tried again.
    pub async fn record_retry(&self, retry: &PendingRetry) -> Result<(), Error> {
        self.write_retry(retry, false).await
    }

    /// Notes that a try was taken up.
    pub async fn take_up_retry(&self, retry: &PendingRetry) -> Result<(), Error> {
        self.write_retry(retry, true).await
    }

    async fn write_retry(&self, retry: &PendingRetry, taken_up: bool) -> Result<(), Error> {
        let row = RetryRow {
            pipeline: retry.request.pipeline.clone(),
            run_id: retry.run_id,
            due: retry.due,
            request: serde_json::to_string(&retry.request).unwrap_or_default(),
            taken_up: taken_up.into(),
        };
        Ok(self.clickhouse.insert_rows("run_retries", &[row]).await?)
    }

    /// Tries of a pipeline that are due at `now` and that nobody has taken up, the oldest first. One that cannot be read is
    /// nobody's.
    pub async fn due_retries(&self, pipeline: &str, now: i64) -> Result<Vec<PendingRetry>, Error> {
        let sql = format!(
            "SELECT toString(pipeline) AS pipeline, run_id, toUnixTimestamp64Milli(due) AS due, request, taken_up FROM \
             (SELECT * FROM run_retries FINAL WHERE pipeline = {} AND taken_up = 0 \
             AND due <= fromUnixTimestamp64Milli({now}) ORDER BY due LIMIT 100)",
            quote_text(pipeline)
        );
        let rows = self.clickhouse.rows::<RetryRow>(&sql).await?;
        let pending = |row: RetryRow| {
            let request = serde_json::from_str(&row.request).ok()?;
            Some(PendingRetry { run_id: row.run_id, due: row.due, request })
        };
        Ok(rows.into_iter().filter_map(pending).collect())
    }
}
