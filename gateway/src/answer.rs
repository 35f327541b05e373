//! What a model said of the rows of one request, and the way every dialect gets there.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use crate::app::{App, Served};
use crate::body;
use crate::fault::Fault;
use crate::model::{LoadedModel, Rows};
use crate::request_id::RequestId;

/// Requests with more rows than this are answered off the event loop.
const HEAVY_ROWS: usize = 1_000;
/// Says in every dialect which version answered.
pub(crate) const MODEL_VERSION: HeaderName = HeaderName::from_static("x-model-version");

/// The answer to one request: all of its rows come from one version.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    model: Arc<LoadedModel>,
    /// Rows × features; a missing value is `NaN`.
    features: Vec<f64>,
    /// Rows × classes.
    probabilities: Vec<f64>,
    predicted: Vec<usize>,
    /// What each row is about; empty where the pipeline declares no entity.
    entities: Vec<Option<String>>,
}

impl Answer {
    /// An answer of `model`: `features` and `probabilities` row by row.
    pub(crate) fn new(model: Arc<LoadedModel>, features: Vec<f64>, probabilities: Vec<f64>) -> Self {
        let predicted = probabilities.chunks_exact(model.card.classes.len()).map(most_probable).collect();
        Self { model, features, probabilities, predicted, entities: Vec::new() }
    }

    /// Says what each row is about.
    pub(crate) fn about(self, entities: Vec<Option<String>>) -> Self {
        Self { entities, ..self }
    }

    /// What a row is about, where the request says so.
    pub(crate) fn entity(&self, row: usize) -> Option<&str> {
        self.entities.get(row)?.as_deref()
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.predicted.len()
    }

    /// The model that answered.
    pub(crate) fn model(&self) -> &LoadedModel {
        &self.model
    }

    /// Class index of each row.
    pub(crate) fn class_indices(&self) -> &[usize] {
        &self.predicted
    }

    /// Class name of each row.
    pub(crate) fn class_names(&self) -> impl Iterator<Item = &str> {
        self.predicted.iter().map(|&class| self.model.card.classes[class].as_str())
    }

    /// Probability of each class for one row.
    pub(crate) fn probabilities(&self, row: usize) -> &[f64] {
        let classes = self.model.card.classes.len();
        &self.probabilities[row * classes..][..classes]
    }

    /// Probabilities of all rows, row by row.
    pub(crate) fn all_probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// What the model saw of one row, by feature; `None` is a missing value.
    pub(crate) fn named_features(&self, row: usize) -> impl Iterator<Item = (String, Option<f64>)> {
        let features = &self.model.card.features;
        let values = &self.features[row * features.len()..][..features.len()];
        features.iter().zip(values).map(|(feature, value)| (feature.name.clone(), value.is_finite().then_some(*value)))
    }

    /// The classes that were answered, with how many rows each.
    pub(crate) fn rows_by_class(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut rows = vec![0; self.model.card.classes.len()];
        for &class in &self.predicted {
            rows[class] += 1;
        }
        self.model.card.classes.iter().map(String::as_str).zip(rows).filter(|(_, rows)| *rows > 0)
    }
}

/// The lowest index among the largest, as the trainer counts.
fn most_probable(probabilities: &[f64]) -> usize {
    let mut best = 0;
    for (class, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = class;
        }
    }
    best
}

/// What every prediction needs to know of its request.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) app: Arc<App>,
    pub(crate) served: Arc<Served>,
    pub(crate) dialect: &'static str,
    pub(crate) id: RequestId,
}

impl Asked {
    /// Reads `bytes` into rows, answers them with `model`, renders the answer as JSON and logs it. Work that others
    /// would feel leaves the event loop. The log takes the rows last, with nothing to wait for between it and the
    /// response: what is logged is what was answered.
    pub(crate) async fn answer<P, E>(
        self,
        bytes: Bytes,
        model: Arc<LoadedModel>,
        read: impl FnOnce(&[u8], Rows) -> Result<(P, Rows), E> + Send + 'static,
        render: impl FnOnce(P, &Answer, &RequestId) -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<Response, E>
    where
        P: Send + 'static,
        E: From<Fault> + Send + 'static,
    {
        let rows = model.rows(self.served.loaded.pipeline.serving.max_rows);
        let (rest, rows) = body::off_loop(body::is_heavy(&bytes), move || read(&bytes, rows)).await?;
        let id = self.id.clone();
        let (json, answer) = body::off_loop(rows.len() > HEAVY_ROWS, move || {
            let answer = rows.answer()?;
            render(rest, &answer, &id).map(|json| (json, answer))
        })
        .await?;
        let mut response = json.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(MODEL_VERSION, HeaderValue::from(answer.model().version));
        self.app.log.record(&self, answer);
        Ok(response)
    }
}

/// Renders a response's JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|e| Fault::internal(format!("the answer cannot be written as JSON: {e}")))
}
