//! `<pipeline>.predictions` → `<pipeline>_predictions`, and panes of what was asked and answered for `<pipeline>.profiles`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use driftmill_drift::reference::{CONFIDENCE, PREDICTION};
use driftmill_drift::{Layout, Pane, PaneId, Profile, Stream, Values, profile};
use driftmill_features::aspects;
use driftmill_platform::kafka::{MessageBatch, Outgoing};
use driftmill_platform::registry::Registry;
use driftmill_platform::stage::{Error, Output, Stage};
use driftmill_schemas::message::Prediction;
use driftmill_schemas::pipeline::{FeatureType, Pipeline};
use driftmill_schemas::topic::Topics;
use serde_json::{Map, Value, json};
use tracing::warn;

use super::{output, time};
use crate::counting::{count, count_texts};
use crate::references::{References, failed};

/// Served predictions, readable by SQL and watched for drift.
#[derive(Debug)]
pub struct Predictions {
    name: String,
    table: String,
    profiles: String,
    features: Vec<(FeatureType, String, Vec<String>)>,
    references: References,
}

impl Predictions {
    /// The sink of `pipeline`.
    pub fn new(pipeline: &Pipeline, registry: Registry) -> Self {
        let name = &pipeline.name;
        let features = pipeline.features.iter();
        let features = features.map(|of| (of.kind, of.name.clone(), aspects::names(&of.name, of.kind))).collect();
        Self {
            name: format!("predictions.{name}"),
            table: format!("{name}_predictions_rows"),
            profiles: Topics::of(name).profiles,
            features,
            references: References::new(registry, name),
        }
    }

    /// The panes of a batch: one for each partition and version that answered.
    async fn panes(
        &mut self,
        batch: &MessageBatch,
        predictions: &[Option<Prediction>],
    ) -> Result<Vec<Outgoing>, Error> {
        let mut by_pane: BTreeMap<(i32, u64), Vec<&Prediction>> = BTreeMap::new();
        for (i, prediction) in predictions.iter().enumerate() {
            // What nobody was told is no answer, and neither is a failure.
            let Some(prediction) = prediction.as_ref().filter(|it| !it.shadow && it.failure.is_empty()) else {
                continue;
            };
            by_pane.entry((batch.partitions()[i], prediction.model_version)).or_default().push(prediction);
        }
        let ranges = batch.ranges();
        let mut panes = Vec::with_capacity(by_pane.len());
        for ((partition, version), rows) in by_pane {
            let layout = self.references.of(version).await.map_err(|error| failed(&self.name, &error))?;
            let (Some(layout), Some(range)) = (layout, ranges.iter().find(|range| range.partition == partition)) else {
                continue;
            };
            let profile = self.profile(&layout, &rows);
            let pane = Pane {
                id: PaneId { partition, from_offset: range.from, to_offset: range.to },
                model_version: version,
                rejected: 0,
                max_event_time: rows.iter().map(|row| row.at).max().unwrap_or_default(),
                profile: profile
                    .map_err(|error| Error::Stage { stage: self.name.clone(), reason: error.to_string() })?,
            };
            let key = format!("predictions/{partition}").into_bytes();
            let payload = pane.to_json(Stream::Predictions).into_bytes();
            panes.push(Outgoing { key, payload, ..Outgoing::default() });
        }
        Ok(panes)
    }

    /// What requests gave and the model answered. Of images the log holds a hash: they are not counted.
    fn profile(&self, layout: &Arc<Layout>, rows: &[&Prediction]) -> Result<Profile, profile::Error> {
        let mut profile = Profile::new(layout);
        let times: Vec<i64> = rows.iter().map(|row| row.at).collect();
        for (kind, name, aspects) in &self.features {
            let texts = || rows.iter().map(|row| row.texts.get(name).and_then(Option::as_deref));
            match kind {
                FeatureType::Number => {
                    let number = |row: &&Prediction| row.features.get(name).copied().flatten().unwrap_or(f64::NAN);
                    let values: Vec<f64> = rows.iter().map(number).collect();
                    count(&mut profile, name, Values::Numbers(&values), &times)?;
                }
                FeatureType::Category => {
                    count(&mut profile, name, Values::Categories(&texts().collect::<Vec<_>>()), &[])?;
                }
                FeatureType::Text => count_texts(&mut profile, aspects, texts())?,
                FeatureType::Image => {}
            }
        }
        let values: Vec<f64> = rows.iter().filter_map(|row| row.value).collect();
        if values.is_empty() {
            let answers: Vec<Option<&str>> = rows.iter().map(|row| Some(row.prediction.as_str())).collect();
            count(&mut profile, PREDICTION, Values::Categories(&answers), &[])?;
        } else {
            count(&mut profile, PREDICTION, Values::Numbers(&values), &[])?;
        }
        let sure = rows.iter().filter_map(|row| row.probabilities.iter().copied().reduce(f64::max));
        count(&mut profile, CONFIDENCE, Values::Numbers(&sure.collect::<Vec<_>>()), &[])?;
        Ok(profile)
    }
}

#[async_trait]
impl Stage for Predictions {
    fn name(&self) -> &str {
        &self.name
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        let predictions: Vec<Option<Prediction>> = (0..batch.len()).map(|i| read(batch, i)).collect();
        let mut output = output(&self.name, &self.table, batch, |i| predictions[i].as_ref().and_then(row));
        let panes = self.panes(batch, &predictions).await?;
        output.records.extend(panes.into_iter().map(|pane| (self.profiles.clone(), pane)));
        Ok(output)
    }
}

fn read(batch: &MessageBatch, i: usize) -> Option<Prediction> {
    serde_json::from_slice(batch.payload(i))
        .inspect_err(|error| {
            // It stays in the topic, and the ledger counts it as rejected.
            let (topic, partition, offset) = (batch.topic(), batch.partitions()[i], batch.offsets()[i]);
            warn!(topic, partition, offset, %error, "this record is no prediction");
        })
        .ok()
}

fn row(prediction: &Prediction) -> Option<Map<String, Value>> {
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
        "micros": prediction.micros,
        "shadow": u8::from(prediction.shadow),
        "failure": prediction.failure,
    });
    match row {
        Value::Object(row) => Some(row),
        _ => None,
    }
}
