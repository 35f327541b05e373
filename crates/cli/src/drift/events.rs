//! Verdicts and alarms, as the table of a pipeline holds them.

use anyhow::bail;
use driftmill_platform::clickhouse::{quote, quote_text};
use serde::{Deserialize, Serialize};

use crate::context::Context;

/// One of them.
#[derive(Debug, Clone, clickhouse::Row, Serialize, Deserialize)]
pub struct Event {
    /// When it was said, milliseconds since 1970 UTC.
    pub at: i64,
    /// Its name.
    pub window: String,
    /// What was watched.
    pub stream: String,
    /// The version compared with.
    pub model_version: u64,
    /// The verdict, or `alarm`.
    pub verdict: String,
    /// Rows of the window.
    pub rows: u64,
    /// Why.
    pub reasons: Vec<String>,
}

/// One with its report, as JSON.
#[derive(Debug, Clone, clickhouse::Row, Serialize, Deserialize)]
pub struct Reported {
    /// When it was said, milliseconds since 1970 UTC.
    pub at: i64,
    /// Its name.
    pub window: String,
    /// The verdict, or `alarm`.
    pub verdict: String,
    /// Every number behind it.
    pub report: String,
}

/// The newest events, the newest first.
pub async fn newest(context: &Context, pipeline: &str, stream: Option<&str>, limit: u32) -> anyhow::Result<Vec<Event>> {
    let of = stream.map_or_else(String::new, |stream| format!("WHERE stream = {}", quote_text(stream)));
    let sql = format!(
        "SELECT toUnixTimestamp64Milli(at) AS at, window, toString(stream) AS stream, model_version, \
         toString(verdict) AS verdict, rows, reasons \
         FROM (SELECT * FROM {} {of} ORDER BY _offset DESC LIMIT {limit})",
        table(pipeline)
    );
    Ok(context.clickhouse.rows::<Event>(&sql).await?)
}

/// The one judged window whose name begins with `window`, or the newest.
pub async fn window(context: &Context, pipeline: &str, window: Option<&str>) -> anyhow::Result<Reported> {
    let of = match window {
        Some(window) => format!("startsWith(window, {})", quote_text(window)),
        None => "verdict != 'alarm' AND stream != 'performance'".to_owned(),
    };
    let sql = format!(
        "SELECT toUnixTimestamp64Milli(at) AS at, window, toString(verdict) AS verdict, report \
         FROM (SELECT * FROM {} WHERE {of} ORDER BY _offset DESC LIMIT 2)",
        table(pipeline)
    );
    let mut found = context.clickhouse.rows::<Reported>(&sql).await?;
    if let (Some(window), [first, second, ..]) = (window, found.as_slice())
        && first.window != second.window
        && first.window != window
    {
        bail!("several events of `{pipeline}` begin with `{window}`, such as {} and {}", first.window, second.window);
    }
    if found.is_empty() {
        match window {
            Some(window) => bail!(
                "`{pipeline}` has no drift event that begins with `{window}`; `driftmill drift list {pipeline}` tells which there are"
            ),
            None => bail!("no window of `{pipeline}` was judged yet"),
        }
    }
    Ok(found.swap_remove(0))
}

/// Reports of windows of the same stream and version before `at`, the newest first.
pub async fn before(
    context: &Context,
    pipeline: &str,
    stream: &str,
    version: u64,
    at: i64,
    limit: u32,
) -> anyhow::Result<Vec<Reported>> {
    let sql = format!(
        "SELECT toUnixTimestamp64Milli(at) AS at, window, toString(verdict) AS verdict, report \
         FROM (SELECT * FROM {} WHERE stream = {} AND model_version = {version} AND verdict != 'alarm' \
         AND toUnixTimestamp64Milli(at) < {at} ORDER BY _offset DESC LIMIT {limit})",
        table(pipeline),
        quote_text(stream)
    );
    Ok(context.clickhouse.rows::<Reported>(&sql).await?)
}

fn table(pipeline: &str) -> String {
    quote(&format!("{pipeline}_drift"))
}
