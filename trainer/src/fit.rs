//! Fits a model and measures it on rows it has not seen. Pure: the same rows, pipeline and parameters give the same model.

#[cfg(test)]
mod iris;
mod split;

use std::collections::BTreeMap;

use driftmill_models::metrics::{self, Average};
use driftmill_models::{Algorithm, Model};
use driftmill_schemas::pipeline::{Metric, Pipeline};
use linfa::Dataset;
use ndarray::Axis;
use serde_json::{Map, Value};

use crate::Error;
use crate::snapshot::Rows;

/// What an algorithm or a metric refuses.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The algorithm or its parameters are not known.
    #[error(transparent)]
    Algorithm(#[from] driftmill_models::algorithm::Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] driftmill_models::Error),
    /// The metric.
    #[error(transparent)]
    Metric(#[from] metrics::Error),
    /// The report of an evaluation.
    #[error(transparent)]
    Report(#[from] metrics::report::ReportError),
}

/// A fitted model with what it answers on the test rows.
#[derive(Debug)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// Hyper-parameters it was fitted with.
    pub params: Map<String, Value>,
    /// Test metrics, and those of the validation rows with the prefix `validation_`.
    pub metrics: BTreeMap<String, f64>,
    /// The test rows.
    pub test: Rows,
    /// The model's answers on them.
    pub answers: Vec<usize>,
    /// The constant baseline's answers on them.
    pub baseline: Vec<usize>,
}

/// Fits the pipeline's algorithm to the training part of `rows`. `overrides` replace parameters of the pipeline file.
pub fn fit(rows: &Rows, pipeline: &Pipeline, overrides: &Map<String, Value>) -> Result<Fitted, Error> {
    let failed = |error: Fault| Error::Fit { pipeline: pipeline.name.clone(), error };
    let mut params = pipeline.training.params.clone();
    params.extend(overrides.clone());
    let algorithm = Algorithm::from_spec(&pipeline.training.algorithm, &params).map_err(|e| failed(e.into()))?;
    let parts = split::split(rows, &pipeline.training.split, pipeline.training.seed);
    let (train, validation, test) =
        (rows.select(&parts.train), rows.select(&parts.validation), rows.select(&parts.test));
    if train.labels.is_empty() || test.labels.is_empty() {
        let have = rows.labels.len() as u64;
        return Err(Error::TooFewRows {
            pipeline: pipeline.name.clone(),
            have,
            need: pipeline.training.min_rows.max(10),
        });
    }
    let (classes, seed) = (pipeline.label.classes.len(), pipeline.training.seed);
    let dataset = Dataset::new(train.features, train.labels);
    let model = algorithm.fit(&dataset, classes, seed).map_err(|e| failed(e.into()))?;
    let constant = Algorithm::Constant.fit(&dataset, classes, seed).map_err(|e| failed(e.into()))?;
    let answers = answers(&model, &test).map_err(failed)?;
    let baseline = self::answers(&constant, &test).map_err(failed)?;
    let mut metrics = measure(&model, &test, pipeline).map_err(failed)?;
    if !validation.labels.is_empty() {
        let on_validation = measure(&model, &validation, pipeline).map_err(failed)?;
        metrics.extend(on_validation.into_iter().map(|(name, value)| (format!("validation_{name}"), value)));
    }
    metrics.insert("rows_train".to_owned(), parts.train.len() as f64);
    metrics.insert("rows_test".to_owned(), parts.test.len() as f64);
    Ok(Fitted { model, params, metrics, test, answers, baseline })
}

/// What a model answers on rows.
pub fn answers(model: &Model, rows: &Rows) -> Result<Vec<usize>, Fault> {
    Ok(model.predict_batch(rows.features.view())?.to_vec())
}

/// The pipeline's metric of answers; greater is better.
pub fn score(pipeline: &Pipeline, truth: &[usize], answers: &[usize]) -> Result<f64, metrics::Error> {
    match pipeline.promotion.metric {
        Metric::Accuracy => metrics::accuracy(truth, answers),
        Metric::F1 => metrics::binary_f1(truth, answers, pipeline.label.positive_index()),
        Metric::WeightedF1 => Ok(metrics::averaged(truth, answers, Average::Weighted)?.f1),
        Metric::MacroF1 => Ok(metrics::averaged(truth, answers, Average::Macro)?.f1),
    }
}

fn measure(model: &Model, rows: &Rows, pipeline: &Pipeline) -> Result<BTreeMap<String, f64>, Fault> {
    let truth = rows.labels.to_vec();
    let answers = answers(model, rows)?;
    let probabilities = model.predict_proba(rows.features.view())?;
    let weighted = metrics::averaged(&truth, &answers, Average::Weighted)?;
    let mut found = BTreeMap::from([
        ("accuracy".to_owned(), metrics::accuracy(&truth, &answers)?),
        ("weighted_precision".to_owned(), weighted.precision),
        ("weighted_recall".to_owned(), weighted.recall),
        ("weighted_f1".to_owned(), weighted.f1),
        ("macro_f1".to_owned(), metrics::averaged(&truth, &answers, Average::Macro)?.f1),
        ("log_loss".to_owned(), metrics::log_loss(&truth, probabilities.view())?),
    ]);
    if pipeline.label.classes.len() == 2 {
        let positive = pipeline.label.positive_index();
        let scores = metrics::binary(&truth, &answers, positive)?;
        found.insert("precision".to_owned(), scores.precision);
        found.insert("recall".to_owned(), scores.recall);
        found.insert("f1".to_owned(), scores.f1);
        // Without rows of both classes there is no curve: the metric is left out rather than made up.
        if let Ok(area) = metrics::roc_auc(&truth, positive, &probabilities.column(positive).to_vec()) {
            found.insert("roc_auc".to_owned(), area);
        }
    }
    Ok(found)
}

impl Rows {
    /// The rows with these numbers.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            features: self.features.select(Axis(0), rows),
            labels: self.labels.select(Axis(0), rows),
            positions: rows.iter().map(|&row| self.positions[row]).collect(),
        }
    }
}
