//! What a model said of the rows of one request.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::model::LoadedModel;

/// Characters of a text that are logged.
const MOST_LOGGED: usize = 16_384;

/// The answer to one request: all of its rows come from one version.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    model: Arc<LoadedModel>,
    /// Rows × features; a missing value is `NaN`, and so is what is no number.
    features: Vec<f64>,
    /// What the model saw beside numbers.
    others: Vec<(usize, Other)>,
    said: Said,
    rows: usize,
    /// What each row is about; empty where the pipeline declares no entity.
    entities: Vec<Option<String>>,
    /// How long features and model took, microseconds.
    micros: u64,
}

/// Values of a feature, one a row.
#[derive(Debug, Clone)]
pub(crate) enum Other {
    Texts(Vec<Option<Arc<str>>>),
    Images(Vec<Option<Arc<[u8]>>>),
}

/// What a model said.
#[derive(Debug, Clone)]
enum Said {
    /// Rows × classes, and the class of each row.
    Classes { probabilities: Vec<f64>, predicted: Vec<usize> },
    /// The value of each row, and the bounds it lies within, where the model tells them.
    Values { values: Vec<f64>, intervals: Option<Vec<(f64, f64)>> },
}

impl Answer {
    /// An answer of `model` for `rows` rows: `features` and `outputs` row by row.
    pub(crate) fn new(
        model: Arc<LoadedModel>,
        rows: usize,
        features: Vec<f64>,
        others: Vec<(usize, Other)>,
        outputs: Vec<f64>,
        intervals: Option<Vec<(f64, f64)>>,
    ) -> Self {
        let said = match model.card.classes.len() {
            0 => Said::Values { values: outputs, intervals },
            classes => {
                let predicted = outputs.chunks_exact(classes).map(most_probable).collect();
                Said::Classes { probabilities: outputs, predicted }
            }
        };
        Self { model, features, others, said, rows, entities: Vec::new(), micros: 0 }
    }

    /// Says how long it took.
    pub(crate) fn in_micros(self, micros: u64) -> Self {
        Self { micros, ..self }
    }

    /// How long features and model took for all rows, microseconds.
    pub(crate) fn micros(&self) -> u64 {
        self.micros
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
        self.rows
    }

    /// The model that answered.
    pub(crate) fn model(&self) -> &LoadedModel {
        &self.model
    }

    /// Class index of each row; none of a model of values.
    pub(crate) fn class_indices(&self) -> &[usize] {
        match &self.said {
            Said::Classes { predicted, .. } => predicted,
            Said::Values { .. } => &[],
        }
    }

    /// Class name of each row; none of a model of values.
    pub(crate) fn class_names(&self) -> impl Iterator<Item = &str> {
        self.class_indices().iter().map(|&class| self.model.card.classes[class].as_str())
    }

    /// Class name of one row; empty of a model of values.
    pub(crate) fn class_name(&self, row: usize) -> &str {
        self.class_indices().get(row).map_or("", |&class| &self.model.card.classes[class])
    }

    /// The value of each row; none of a model of classes.
    pub(crate) fn values(&self) -> &[f64] {
        match &self.said {
            Said::Classes { .. } => &[],
            Said::Values { values, .. } => values,
        }
    }

    /// The bounds that each value lies within, where the model tells them.
    pub(crate) fn intervals(&self) -> Option<&[(f64, f64)]> {
        match &self.said {
            Said::Classes { .. } => None,
            Said::Values { intervals, .. } => intervals.as_deref(),
        }
    }

    /// Probability of each class for one row; none of a model of values.
    pub(crate) fn probabilities(&self, row: usize) -> &[f64] {
        let classes = self.model.card.classes.len();
        self.all_probabilities().get(row * classes..(row + 1) * classes).unwrap_or_default()
    }

    /// Probabilities of all rows, row by row; none of a model of values.
    pub(crate) fn all_probabilities(&self) -> &[f64] {
        match &self.said {
            Said::Classes { probabilities, .. } => probabilities,
            Said::Values { .. } => &[],
        }
    }

    /// What the model saw of one row, by feature of numbers; `None` is a missing value.
    pub(crate) fn named_features(&self, row: usize) -> impl Iterator<Item = (String, Option<f64>)> {
        let features = &self.model.card.features;
        let values = &self.features[row * features.len()..][..features.len()];
        let numbers = features.iter().zip(values).filter(|(feature, _)| feature.kind.is_number());
        numbers.map(|(feature, value)| (feature.name.clone(), value.is_finite().then_some(*value)))
    }

    /// The texts it saw of one row, by feature; of an image, the SHA-256 of its pixels.
    pub(crate) fn named_texts(&self, row: usize) -> impl Iterator<Item = (String, Option<String>)> {
        self.others.iter().map(move |(feature, values)| {
            let text = match values {
                Other::Texts(texts) => texts[row].as_deref().map(cut),
                Other::Images(images) => images[row].as_deref().map(|pixels| hex::encode(Sha256::digest(pixels))),
            };
            (self.model.card.features[*feature].name.clone(), text)
        })
    }

    /// The classes that were answered, with how many rows each; `value` for all rows of a model of values.
    pub(crate) fn rows_by_class(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut rows = vec![0; self.model.card.classes.len()];
        for &class in self.class_indices() {
            rows[class] += 1;
        }
        let values = self.values().len() as u64;
        let classes = self.model.card.classes.iter().map(String::as_str).zip(rows);
        classes.chain([("value", values)]).filter(|(_, rows)| *rows > 0)
    }
}

/// The beginning of a text that would not fit into the log.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_LOGGED) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
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

/// Renders a response's JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|e| Fault::internal(format!("the answer cannot be written as JSON: {e}")))
}
