//! Runs a pipeline over given records, without a broker and without an engine: what `driftmill test` does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMillisecondType, UInt8Type};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use driftmill_platform::clock::SharedClock;
use driftmill_platform::kafka::{Headers, MessageBatch, Outgoing};
use driftmill_platform::metrics::Metrics;
use driftmill_platform::stage::{Error, Output};
use driftmill_schemas::message::dead_letter as header;
use driftmill_schemas::pipeline::{Loaded, SplitBy};
use driftmill_schemas::topic::Topics;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::dead_letters::text;
use crate::expectations::{Counts, Kind, judge, watched, window_start};
use crate::ingest::champion::Known;
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

/// Rows of the feature table, and what became of the messages that are none.
#[derive(Debug, Clone, Default)]
pub struct Features {
    /// The rows as an Arrow IPC stream, in order of their offsets: `_partition`, `_offset` (the message's number),
    /// `event_time`, `label`, the features, and `entity` where rows are split by it.
    pub arrow: Vec<u8>,
    /// How many they are.
    pub rows: usize,
    /// Messages that were rejected, by kind of error.
    pub rejected: BTreeMap<String, u64>,
    /// The first of them, with its reason.
    pub first_rejected: Option<(i64, String)>,
}

/// Runs the messages through the pipeline as one partition, which begins with them. Sets of known values that are asked
/// for in ClickHouse are an error.
pub async fn run(loaded: Arc<Loaded>, given: &[Given], clock: SharedClock) -> Result<Trial, Error> {
    let output = process(&loaded, given, clock).await?;
    let mut outcomes: BTreeMap<i64, Outcome> = BTreeMap::new();
    for (_, letter) in &output.records {
        let (offset, error, message) = rejection(letter);
        let expectation = Some(text(&letter.headers, header::EXPECTATION)).filter(|title| !title.is_empty());
        outcomes.insert(offset, Outcome::Rejected { error, message, expectation });
    }
    for rows in batches(&output)? {
        outcomes.extend(rows_of(&rows).into_iter().map(|(offset, row)| (offset, Outcome::Row(row))));
    }
    if outcomes.len() != given.len() {
        return Err(broken(format!("{} records gave {} rows and dead letters", given.len(), outcomes.len())));
    }
    let outcomes: Vec<Outcome> = outcomes.into_values().collect();
    Ok(Trial { windows: windows(&loaded, &outcomes), outcomes })
}

/// Like [`run`], with the rows as columns: what a model is fitted on or judged by.
pub async fn features(loaded: &Arc<Loaded>, given: &[Given], clock: SharedClock) -> Result<Features, Error> {
    let output = process(loaded, given, clock).await?;
    let mut features = Features::default();
    for (_, letter) in &output.records {
        let (offset, error, message) = rejection(letter);
        *features.rejected.entry(error).or_default() += 1;
        if features.first_rejected.as_ref().is_none_or(|(first, _)| offset < *first) {
            features.first_rejected = Some((offset, message));
        }
    }
    let entity = (loaded.pipeline.training.split.by == SplitBy::Entity).then_some("entity");
    let wanted = ["_partition", "_offset", "event_time", "label"].into_iter().chain(entity);
    let wanted: Vec<&str> =
        wanted.chain(loaded.pipeline.features.iter().map(|feature| feature.name.as_str())).collect();
    let mut writer = None;
    for rows in batches(&output)? {
        let schema = rows.schema();
        let columns: Result<Vec<usize>, _> = wanted.iter().map(|name| schema.index_of(name)).collect();
        let rows = columns.and_then(|columns| rows.project(&columns)).map_err(|e| broken(e.to_string()))?;
        if writer.is_none() {
            writer = Some(StreamWriter::try_new(Vec::new(), &rows.schema()).map_err(|e| broken(e.to_string()))?);
        }
        if let Some(writer) = &mut writer {
            writer.write(&rows).map_err(|e| broken(e.to_string()))?;
            features.rows += rows.num_rows();
        }
    }
    if let Some(writer) = writer {
        features.arrow = writer.into_inner().map_err(|e| broken(e.to_string()))?;
    }
    Ok(features)
}

/// What the stage makes of the messages.
async fn process(loaded: &Arc<Loaded>, given: &[Given], clock: SharedClock) -> Result<Output, Error> {
    let needs = Needs {
        schemas: None,
        added: None,
        champion: watch::channel(Known::Nobody).1,
        metrics: IngestMetrics::new(&Metrics::default()),
        history: Box::new(NoHistory),
        clickhouse: None,
        clock,
    };
    let mut ingest = Ingest::new(Arc::clone(loaded), needs)?;
    let mut batch = MessageBatch::new(&Topics::of(&loaded.pipeline.name).raw, false);
    for (offset, given) in (0_i64..).zip(given) {
        batch.push(0, offset, given.at, &given.payload, Headers::new());
    }
    if batch.is_empty() { Ok(Output::default()) } else { ingest.process(&batch).await }
}

/// The rows of an output.
fn batches(output: &Output) -> Result<Vec<RecordBatch>, Error> {
    let mut batches = Vec::new();
    for insert in &output.inserts {
        let stream = StreamReader::try_new(&insert.body[..], None).map_err(|e| broken(e.to_string()))?;
        for rows in stream {
            batches.push(rows.map_err(|e| broken(e.to_string()))?);
        }
    }
    Ok(batches)
}

/// Number, kind of error and reason of a dead letter.
fn rejection(letter: &Outgoing) -> (i64, String, String) {
    let text = |name: &str| text(&letter.headers, name);
    let offset = text(header::OFFSET).parse().unwrap_or_default();
    (offset, text(header::EXCEPTION_CLASS), text(header::EXCEPTION_MESSAGE))
}

fn broken(reason: String) -> Error {
    Error::Stage { stage: "trial".to_owned(), reason }
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
