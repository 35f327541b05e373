//! From an artifact's bytes to a model that may serve.

use std::sync::{Arc, Mutex};

use driftmill_features::Program;
use driftmill_models::{FeatureKind, Task, artifact};
use driftmill_schemas::model::{self, ModelCard};
use driftmill_schemas::pipeline::{Feature, FeatureType};
use driftmill_schemas::record::{self, FieldKind, RecordSchema, Value};

use super::LoadedModel;
use crate::answer::Answer;

/// Why an artifact must not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The bytes are no artifact.
    #[error("the artifact cannot be decoded: {0}")]
    Artifact(String),
    /// Its header is no card.
    #[error(transparent)]
    Card(#[from] model::Error),
    /// It belongs to another pipeline.
    #[error("the artifact is a model of the pipeline `{0}`: the registry points to the wrong one")]
    Foreign(String),
    /// Its record schema does not parse.
    #[error("the record schema in its card {0}")]
    Schema(#[from] record::Error),
    /// A feature does not compile.
    #[error("feature `{feature}` {reason}: the model was made by a build with another feature language")]
    Feature {
        /// The feature.
        feature: String,
        /// Why.
        reason: String,
    },
    /// The card and the model disagree.
    #[error("its card names {card} classes and the model answers {model}")]
    Classes {
        /// By the card.
        card: usize,
        /// By the model.
        model: usize,
    },
    /// The card and the model disagree.
    #[error("its card's features are {card:?} and the model sees {model:?}")]
    Features {
        /// By the card.
        card: Vec<FeatureKind>,
        /// By the model.
        model: Vec<FeatureKind>,
    },
    /// A trial prediction went wrong.
    #[error("a trial prediction failed: {0}")]
    Trial(String),
}

impl LoadedModel {
    /// Decodes, compiles, warms up and checks version `version` of `pipeline`. Nothing here is served yet, so whatever
    /// is wrong leaves the serving model where it is.
    pub(crate) fn load(pipeline: &str, version: u64, bytes: &[u8]) -> Result<Arc<Self>, Error> {
        let (model, header) = artifact::decode(bytes).map_err(|e| Error::Artifact(e.to_string()))?;
        let card = ModelCard::from_header(header)?;
        if card.pipeline != pipeline {
            return Err(Error::Foreign(card.pipeline));
        }
        let classes = match model.task() {
            Task::Classification { n_classes } => n_classes,
            Task::Regression => 0,
        };
        if card.classes.len() != classes {
            return Err(Error::Classes { card: card.classes.len(), model: classes });
        }
        let kinds: Vec<FeatureKind> = card.features.iter().map(kind).collect();
        if kinds != model.features() {
            return Err(Error::Features { card: kinds, model: model.features().to_vec() });
        }
        let schema = RecordSchema::parse(&card.schema)?;
        let program = Program::compile(&schema, &card.features).map_err(|errors| {
            let (feature, reason) = match errors.first() {
                Some((index, error)) => (card.features[*index].name.clone(), error.to_string()),
                None => Default::default(),
            };
            Error::Feature { feature, reason }
        })?;
        let loaded = Arc::new(Self { version, card, schema, model, program, workspaces: Mutex::default() });
        loaded.try_out()?;
        Ok(loaded)
    }

    /// Answers a record without any value and one of plain values, twice: the answers must be probabilities, or values, and the
    /// same both times. It also allocates what the first request would otherwise wait for.
    fn try_out(self: &Arc<Self>) -> Result<(), Error> {
        let ask = || -> Result<Answer, Error> {
            let mut rows = self.rows(2);
            rows.push().map_err(|fault| Error::Trial(fault.message))?;
            for (value, field) in rows.record().iter_mut().zip(&self.schema.fields) {
                *value = plain_value(field.kind);
            }
            rows.push().map_err(|fault| Error::Trial(fault.message))?;
            rows.answer().map_err(|fault| Error::Trial(fault.message))
        };
        let (first, second) = (ask()?, ask()?);
        for row in 0..first.rows() {
            let probabilities = first.probabilities(row);
            if probabilities.is_empty() {
                continue;
            }
            let sum: f64 = probabilities.iter().sum();
            if probabilities.iter().any(|p| !(0.0..=1.0).contains(p)) || (sum - 1.0).abs() > 1e-6 {
                return Err(Error::Trial(format!("{probabilities:?} are no probabilities")));
            }
        }
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let same = |a: &[f64], b: &[f64]| bits(a) == bits(b);
        if !same(first.all_probabilities(), second.all_probabilities()) || !same(first.values(), second.values()) {
            return Err(Error::Trial("the same record was answered in two ways".to_owned()));
        }
        Ok(())
    }
}

/// A feature's kind as models know it.
fn kind(feature: &Feature) -> FeatureKind {
    match feature.kind {
        FeatureType::Number => FeatureKind::Number,
        FeatureType::Category => FeatureKind::Category,
        FeatureType::Text => FeatureKind::Text,
        FeatureType::Image => FeatureKind::Image { side: feature.side() },
    }
}

fn plain_value(kind: FieldKind) -> Value {
    match kind {
        FieldKind::Boolean => Value::Boolean(true),
        FieldKind::Int | FieldKind::Long | FieldKind::Timestamp => Value::Long(1),
        FieldKind::Float | FieldKind::Double => Value::Double(1.0),
        FieldKind::String => Value::String("a".to_owned()),
        // One grey pixel.
        FieldKind::Bytes => Value::Bytes(b"P6 1 1 255 \x80\x80\x80".to_vec()),
    }
}
