//! `<pipeline>.labels` → `<pipeline>_labels`.

use async_trait::async_trait;
use driftmill_platform::kafka::MessageBatch;
use driftmill_platform::stage::{Error, Output, Stage};
use driftmill_schemas::message::Label;
use serde_json::{Map, Value, json};
use tracing::warn;

use super::{output, time};

/// Labels of predictions, readable by SQL.
#[derive(Debug)]
pub struct Labels {
    name: String,
    table: String,
}

impl Labels {
    /// The sink of `pipeline`.
    pub fn new(pipeline: &str) -> Self {
        Self { name: format!("labels.{pipeline}"), table: format!("{pipeline}_labels_rows") }
    }
}

#[async_trait]
impl Stage for Labels {
    fn name(&self) -> &str {
        &self.name
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        Ok(output(&self.name, &self.table, batch, |i| row(batch, i)))
    }
}

fn row(batch: &MessageBatch, i: usize) -> Option<Map<String, Value>> {
    let Label { request_id, row, label, at } = match serde_json::from_slice(batch.payload(i)) {
        Ok(label) => label,
        Err(error) => {
            // It stays in the topic, and the ledger counts it as rejected.
            let (topic, offset) = (batch.topic(), batch.offsets()[i]);
            warn!(topic, offset, %error, "this record is no label");
            return None;
        }
    };
    match json!({ "at": time(at), "request_id": request_id, "row": row, "label": label }) {
        Value::Object(row) => Some(row),
        _ => None,
    }
}
