//! `<pipeline>.predictions` → `<pipeline>_predictions`.

use async_trait::async_trait;
use driftmill_platform::kafka::MessageBatch;
use driftmill_schemas::message::Prediction;
use serde_json::{Map, Value, json};
use tracing::warn;

use super::{output, time};
use driftmill_platform::stage::{Error, Output, Stage};

/// Served predictions, readable by SQL.
#[derive(Debug)]
pub struct Predictions {
    name: String,
    table: String,
}

impl Predictions {
    /// The sink of `pipeline`.
    pub fn new(pipeline: &str) -> Self {
        Self { name: format!("predictions.{pipeline}"), table: format!("{pipeline}_predictions_rows") }
    }
}

#[async_trait]
impl Stage for Predictions {
    fn name(&self) -> &str {
        &self.name
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        Ok(output(&self.name, &self.table, batch, |i| row(batch, i)))
    }
}

fn row(batch: &MessageBatch, i: usize) -> Option<Map<String, Value>> {
    let prediction: Prediction = match serde_json::from_slice(batch.payload(i)) {
        Ok(prediction) => prediction,
        Err(error) => {
            // It stays in the topic, and the ledger counts it as rejected.
            let (topic, partition, offset) = (batch.topic(), batch.partitions()[i], batch.offsets()[i]);
            warn!(topic, partition, offset, %error, "this record is no prediction");
            return None;
        }
    };
    let row = json!({
        "at": time(prediction.at),
        "request_id": prediction.request_id,
        "row": prediction.row,
        "model_version": prediction.model_version,
        "dialect": prediction.dialect,
        "entity": prediction.entity,
        "features": prediction.features,
        "texts": prediction.texts,
        "prediction": prediction.prediction,
        "value": prediction.value,
        "lower": prediction.interval.map(|(lower, _)| lower),
        "upper": prediction.interval.map(|(_, upper)| upper),
        "probabilities": prediction.probabilities,
    });
    match row {
        Value::Object(row) => Some(row),
        _ => None,
    }
}
