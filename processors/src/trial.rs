//! Runs a pipeline over given records, without a broker and without an engine: what `driftmill test` does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType, UInt8Type};
use arrow_ipc::reader::StreamReader;
use driftmill_platform::clock::SharedClock;
use driftmill_platform::kafka::{Headers, MessageBatch};
use driftmill_platform::metrics::Metrics;
use driftmill_platform::stage::{Error, Streaming as _};
use driftmill_schemas::message::dead_letter as header;
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::topic::Topics;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::dead_letters::text;
use crate::expectations::{Counts, Kind, judge, watched, window_start};
use crate::ingest::{Ingest, IngestMetrics, Needs, NoHistory};

/// A message of the raw topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The framed record.
    pub payload: Vec<u8>,
    /// When Kafka got it, milliseconds since 1970 UTC.
    pub at: i64,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A row of the feature table, by column.
    Row(Map<String, Value>),
    /// A dead letter.
    Rejected {
        /// Its kind.
        error: String,
        /// Its reason.
        message: String,
        /// The expectation that it breaks, if that is the reason.
        expectation: Option<String>,
    },
}

/// What became of an expectation of windows in one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The expectation.
    pub expectation: String,
    /// Start, milliseconds since 1970 UTC.
    pub from: i64,
    /// Whether it is met.
    pub met: bool,
    /// What was found.
    pub detail: String,
}

/// What became of everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// One for each message, in order.
    pub outcomes: Vec<Outcome>,
    /// Windows that rows lie in, by expectation and time.
    pub windows: Vec<Window>,
}

/// Runs the messages through the pipeline as one partition, which begins with them. Sets of known values that are asked
/// for in ClickHouse are an error.
pub async fn run(loaded: Arc<Loaded>, given: &[Given], clock: SharedClock) -> Result<Trial, Error> {
    let needs = Needs {
        schemas: None,
        added: None,
        champion: watch::channel(None).1,
        metrics: IngestMetrics::new(&Metrics::default()),
        history: Box::new(NoHistory),
        clickhouse: None,
        clock,
    };
    let mut ingest = Ingest::new(Arc::clone(&loaded), needs)?;
    let mut batch = MessageBatch::new(&Topics::of(&loaded.pipeline.name).raw, false);
    for (offset, given) in (0_i64..).zip(given) {
        batch.push(0, offset, given.at, &given.payload, Headers::new());
    }
    if batch.is_empty() {
        return Ok(Trial::default());
    }
    let output = ingest.process(&batch).await?;
    let broken = |reason: String| Error::Stage { stage: ingest.name().to_owned(), reason };
    let mut outcomes: BTreeMap<i64, Outcome> = BTreeMap::new();
    for (_, letter) in &output.records {
        let text = |name: &str| text(&letter.headers, name);
        let (error, message) = (text(header::EXCEPTION_CLASS), text(header::EXCEPTION_MESSAGE));
        let expectation = Some(text(header::EXPECTATION)).filter(|title| !title.is_empty());
        let offset = text(header::OFFSET).parse().unwrap_or_default();
        outcomes.insert(offset, Outcome::Rejected { error, message, expectation });
    }
    for insert in &output.inserts {
        let batches = StreamReader::try_new(&insert.body[..], None).map_err(|e| broken(e.to_string()))?;
        for rows in batches {
            let rows = rows.map_err(|e| broken(e.to_string()))?;
            outcomes.extend(rows_of(&rows).into_iter().map(|(offset, row)| (offset, Outcome::Row(row))));
        }
    }
    if outcomes.len() != given.len() {
        return Err(broken(format!("{} records gave {} rows and dead letters", given.len(), outcomes.len())));
    }
    let outcomes: Vec<Outcome> = outcomes.into_values().collect();
    Ok(Trial { windows: windows(&loaded, &outcomes), outcomes })
}

/// Rows by their offsets, each a column by name; times are milliseconds since 1970 UTC.
fn rows_of(rows: &RecordBatch) -> Vec<(i64, Map<String, Value>)> {
    let offsets = rows.column_by_name("_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let Some(offsets) = offsets else { return Vec::new() };
    let schema = rows.schema();
    let shown = |row: usize| {
        let columns = schema.fields().iter().zip(rows.columns());
        let columns = columns.filter(|(field, _)| field.name() != "_partition" && field.name() != "_offset");
        columns.map(|(field, column)| (field.name().clone(), value(column.as_ref(), row))).collect()
    };
    (0..rows.num_rows()).map(|row| (offsets.value(row), shown(row))).collect()
}

fn value(column: &dyn arrow_array::Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        json!(numbers.value(row))
    } else if let Some(times) = column.as_primitive_opt::<TimestampMillisecondType>() {
        json!(times.value(row))
    } else if let Some(flags) = column.as_primitive_opt::<UInt8Type>() {
        json!(flags.value(row))
    } else if let Some(integers) = column.as_primitive_opt::<Int64Type>() {
        json!(integers.value(row))
    } else if let Some(flags) = column.as_boolean_opt() {
        json!(flags.value(row))
    } else if let Some(texts) = column.as_string_opt::<i32>() {
        json!(texts.value(row))
    } else if let Some(lists) = column.as_list_opt::<i32>() {
        let texts = lists.value(row);
        json!(texts.as_string_opt::<i32>().map(|texts| texts.iter().flatten().collect::<Vec<_>>()))
    } else {
        Value::Null
    }
}

/// Judges the windows that the rows lie in, by the expectations of windows.
fn windows(loaded: &Loaded, outcomes: &[Outcome]) -> Vec<Window> {
    let mut windows = Vec::new();
    for rule in watched(&loaded.pipeline).into_iter().filter(|rule| rule.kind != Kind::Records) {
        let mut counts: HashMap<i64, Counts> = HashMap::new();
        for outcome in outcomes {
            let Outcome::Row(row) = outcome else { continue };
            let at = row.get("event_time").and_then(Value::as_i64).unwrap_or_default();
            let counts = counts.entry(window_start(at, rule.per)).or_default();
            counts.rows += 1;
            let breaks = row.get("_breaches").and_then(Value::as_array);
            counts.broken += u64::from(breaks.is_some_and(|titles| titles.iter().any(|title| title == &*rule.title)));
        }
        let mut counts: Vec<(i64, Counts)> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(start, _)| *start);
        windows.extend(counts.into_iter().map(|(from, counts)| {
            let outcome = judge(rule.kind, counts);
            Window { expectation: rule.title.clone(), from, met: outcome.met, detail: outcome.detail }
        }));
    }
    windows
}
