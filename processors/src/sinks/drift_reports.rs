//! `<pipeline>.drift` → `<pipeline>_drift`.

use async_trait::async_trait;
use driftmill_platform::kafka::MessageBatch;
use driftmill_platform::stage::{Error, Output, Stage};
use driftmill_schemas::message::DriftEvent;
use serde_json::{Map, Value, json};
use tracing::warn;

use super::{output, time};

/// Verdicts, readable by SQL.
#[derive(Debug)]
pub struct DriftReports {
    name: String,
    table: String,
}

impl DriftReports {
    /// The sink of `pipeline`.
    pub fn new(pipeline: &str) -> Self {
        Self { name: format!("drift_reports.{pipeline}"), table: format!("{pipeline}_drift_rows") }
    }
}

#[async_trait]
impl Stage for DriftReports {
    fn name(&self) -> &str {
        &self.name
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        Ok(output(&self.name, &self.table, batch, |i| row(batch, i)))
    }
}

fn row(batch: &MessageBatch, i: usize) -> Option<Map<String, Value>> {
    let event: DriftEvent = match serde_json::from_slice(batch.payload(i)) {
        Ok(event) => event,
        Err(error) => {
            let (topic, offset) = (batch.topic(), batch.offsets()[i]);
            warn!(topic, offset, %error, "this record is no drift event");
            return None;
        }
    };
    let row = json!({
        "at": time(event.at),
        "window": event.window,
        "model_version": event.model_version,
        "stream": event.stream,
        "verdict": event.verdict,
        "rows": event.rows,
        "ranges": ranges(&event.report),
        "reasons": event.reasons,
        "report": event.report.to_string(),
    });
    match row {
        Value::Object(row) => Some(row),
        _ => None,
    }
}

/// The offsets that a window covers: partition, first, one past the last.
fn ranges(report: &Value) -> Vec<(i64, i64, i64)> {
    let ranges = report["ranges"].as_array().into_iter().flatten();
    let number = |range: &Value, key: &str| range[key].as_i64();
    ranges
        .filter_map(|range| {
            Some((number(range, "partition")?, number(range, "from_offset")?, number(range, "to_offset")?))
        })
        .collect()
}
