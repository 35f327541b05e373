//! Topics that become tables as they are: dead letters, predictions, labels, drift reports. Rows are small JSON objects, so that
//! a column can be added without a new encoder; none of these topics is hot.

pub(crate) mod dead_letters;
mod drift_reports;
mod labels;
mod predictions;

pub use dead_letters::DeadLetters;
pub use drift_reports::DriftReports;
pub use labels::Labels;
pub use predictions::Predictions;

use driftmill_platform::clickhouse::InsertBody;
use driftmill_platform::kafka::MessageBatch;
use driftmill_platform::stage::{Output, Tally, token};
use serde_json::{Map, Value, json};

/// One table row a message, in the order of the batch; `None` is a message that makes no row.
fn output(stage: &str, table: &str, batch: &MessageBatch, row: impl Fn(usize) -> Option<Map<String, Value>>) -> Output {
    let mut output = Output::default();
    let mut body = Vec::new();
    let mut rows = 0;
    for i in 0..batch.len() {
        let partition = batch.partitions()[i];
        let tally = output.tallies.entry(partition).or_insert_with(Tally::default);
        let Some(mut row) = row(i) else {
            tally.rejected += 1;
            continue;
        };
        tally.rows += 1;
        rows += 1;
        row.insert("_partition".to_owned(), json!(partition));
        row.insert("_offset".to_owned(), json!(batch.offsets()[i]));
        // A map of JSON values always serialises.
        if serde_json::to_writer(&mut body, &row).is_ok() {
            body.push(b'\n');
        }
    }
    if rows > 0 {
        let token = token(stage, &batch.ranges(), &body);
        output.inserts.push(InsertBody {
            table: table.to_owned(),
            format: "JSONEachRow",
            body: body.into(),
            rows,
            token,
        });
    }
    output
}

/// Milliseconds since 1970 UTC as ClickHouse reads a `DateTime64(3)` from JSON.
fn time(millis: i64) -> Value {
    // What a record claims may be any number; the column holds the years 1900 to 2299.
    const LAST: i64 = 10_413_791_999_999;
    let at = chrono::DateTime::from_timestamp_millis(millis.clamp(0, LAST)).unwrap_or_default();
    Value::String(at.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
}
