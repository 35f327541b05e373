//! Fits a model and measures it on rows it has not seen. Pure: the same rows, pipeline and parameters give the same model.

#[cfg(test)]
mod iris;
mod score;
pub(crate) mod split;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use driftmill_models::estimator::most_probable;
use driftmill_models::forecast::Backtest;
use driftmill_models::metrics::{self, Average};
use driftmill_models::{Estimator, Learner, Progress, Table, Target, Task};
use driftmill_schemas::pipeline::Pipeline;
use ndarray::Array2;
use serde_json::{Map, Value};

use crate::forecasts::Judged;
use crate::gold::Held;
use crate::rows::kinds;
use crate::{Error, Rows, forecasts};
pub use score::{better_by, metric, of_values as error_of};

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
    /// The algorithm does not fit the label.
    #[error("{0}")]
    Unfit(String),
}

/// Is told how far a fit has come.
pub type Observer<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// A fitted model with what it answers on the test rows.
#[derive(Debug)]
pub struct Fitted {
    /// The model that may serve.
    pub model: Estimator,
    /// The one that was judged, where the model was then fitted again on all rows.
    pub judged: Option<Estimator>,
    /// Hyper-parameters it was fitted with.
    pub params: Map<String, Value>,
    /// Test metrics, and those of the validation rows with the prefix `validation_`.
    pub metrics: BTreeMap<String, f64>,
    /// The rows that the judged model learned from.
    pub train: Rows,
    /// The test rows.
    pub test: Rows,
    /// What the judged model said of them.
    pub said: Said,
    /// Whether it was fitted elsewhere.
    pub imported: bool,
    /// Whether it continues the model that it was given.
    pub continued: bool,
}

/// What a model said of rows it had not seen.
#[derive(Debug)]
pub enum Said {
    /// Its answers, and those of the constant baseline.
    Answers {
        /// The model's.
        model: Target,
        /// The baseline's.
        baseline: Target,
    },
    /// Its forecasts from many origins, beside simple ones.
    Forecasts(Box<Judged>),
}

/// What the champion said of the same rows.
#[derive(Debug)]
pub enum Rival {
    /// Its answers.
    Answers(Target),
    /// Its forecasts.
    Forecasts(Box<Backtest>),
}

/// The algorithm that `pipeline` names, with `overrides` in place of some of its parameters.
pub fn learner(pipeline: &Pipeline, overrides: &Map<String, Value>) -> Result<(Learner, Map<String, Value>), Fault> {
    let mut params = pipeline.training.params.clone();
    params.extend(overrides.clone());
    let learner = Learner::from_spec(&pipeline.training.algorithm, &params, &kinds(pipeline))?;
    let task = match pipeline.label.is_value() {
        true => Task::Regression,
        false => Task::Classification { n_classes: pipeline.label.classes.len().max(2) },
    };
    learner.supports(task).map_err(Fault::Unfit)?;
    Ok((learner, params))
}

/// The rows that a model of the pipeline learns from, those that are held out left out.
pub fn learnable(rows: &Rows, pipeline: &Pipeline, held: &Held) -> Vec<usize> {
    held.free(rows, split::split(rows, &pipeline.training.split, pipeline.training.seed).train)
}

/// The learner that adds rounds to `earlier`, as the pipeline file says; `None` when it says that there shall be a new model,
/// or that one is of another kind. The parameters get the number of rounds.
fn warm(
    pipeline: &Pipeline,
    params: &mut Map<String, Value>,
    earlier: &Estimator,
    task: Task,
) -> Result<Option<Learner>, Fault> {
    let Some(warm) = &pipeline.training.warm_start else { return Ok(None) };
    let fits = earlier.task() == task && earlier.algorithm() == pipeline.training.algorithm;
    let Some(rounds) = earlier.rounds().filter(|rounds| fits && rounds + warm.rounds <= warm.most_rounds) else {
        return Ok(None);
    };
    let mut of_rounds = params.clone();
    of_rounds.insert(ROUNDS.to_owned(), warm.rounds.into());
    let learner = Learner::from_spec(&pipeline.training.algorithm, &of_rounds, &kinds(pipeline))?;
    // One of other features cannot be continued; a new one can be made.
    let Ok(learner) = learner.continue_from(earlier) else { return Ok(None) };
    params.insert(ROUNDS.to_owned(), (rounds + warm.rounds).into());
    Ok(Some(learner))
}

/// The parameter that says how many rounds a fit has.
pub const ROUNDS: &str = "n_estimators";

/// Fits the pipeline's algorithm to the training part of `rows`. `overrides` replace parameters of the pipeline file. Where the
/// file says so, the model continues `earlier`, which must not have seen the rows that judge. Of `held`, nothing is learned.
pub fn fit(
    rows: &Rows,
    pipeline: &Pipeline,
    overrides: &Map<String, Value>,
    earlier: Option<&Estimator>,
    held: &Held,
    observe: Observer<'_>,
) -> Result<Fitted, Error> {
    let failed = |error: Fault| Error::Fit { pipeline: pipeline.name.clone(), error };
    let (fresh, mut params) = learner(pipeline, overrides).map_err(failed)?;
    let warm = match earlier {
        Some(earlier) => warm(pipeline, &mut params, earlier, rows.target.task()).map_err(failed)?,
        None => None,
    };
    let continued = warm.is_some();
    let learner = warm.unwrap_or(fresh);
    let (split, seed) = (&pipeline.training.split, pipeline.training.seed);
    let mut parts = split::split(rows, split, seed);
    // Split first: a row keeps its side, whatever is held.
    parts.train = held.free(rows, parts.train);
    parts.validation = held.free(rows, parts.validation);
    let (train, validation, test) =
        (rows.select(&parts.train), rows.select(&parts.validation), rows.select(&parts.test));
    if train.is_empty() || test.is_empty() {
        let have = held.free(rows, (0..rows.len()).collect()).len() as u64;
        return Err(Error::TooFewRows {
            pipeline: pipeline.name.clone(),
            have,
            need: pipeline.training.min_rows.max(10),
        });
    }
    let mut fit_to = |learner: &Learner, rows: &Rows| {
        let groups = rows.groups_of(pipeline);
        let fitted = learner.fit_grouped(&rows.table, &rows.target, groups.as_deref(), seed, observe);
        fitted.map_err(|e| failed(e.into()))
    };
    let model = fit_to(&learner, &train)?;
    let (mut metrics, said) = match forecasts::judge(&model, rows, &test, seed).map_err(failed)? {
        Some(judged) => (forecasts::metrics(&judged.rolling), Said::Forecasts(Box::new(judged))),
        None => {
            let constant = fit_to(&Learner::constant(&kinds(pipeline)), &train)?;
            let baseline = answers(&constant, &test).map_err(failed)?;
            let (model, metrics) = measure(&model, &test, pipeline).map_err(failed)?;
            (metrics, Said::Answers { model, baseline })
        }
    };
    if !validation.is_empty() && model.forecaster().is_none() {
        let (_, on_validation) = measure(&model, &validation, pipeline).map_err(failed)?;
        metrics.extend(on_validation.into_iter().map(|(name, value)| (format!("validation_{name}"), value)));
    }
    metrics.insert("rows_train".to_owned(), parts.train.len() as f64);
    metrics.insert("rows_test".to_owned(), parts.test.len() as f64);
    let (model, judged) = match pipeline.training.refit {
        true => {
            let mut all = [parts.train, parts.validation].concat();
            if !held.judges {
                all.extend(held.free(rows, parts.test));
            }
            all.sort_unstable();
            (fit_to(&learner, &rows.select(&all))?, Some(model))
        }
        false => (model, None),
    };
    Ok(Fitted { model, judged, params, metrics, train, test, said, imported: false, continued })
}

/// Judges a model that was fitted elsewhere, by all of the rows.
pub fn imported(model: Estimator, rows: &Rows, pipeline: &Pipeline) -> Result<Fitted, Error> {
    let failed = |error: Fault| Error::Fit { pipeline: pipeline.name.clone(), error };
    let wanted: Vec<_> = kinds(pipeline).into_iter().map(|(_, kind)| kind).collect();
    let fits = model.task() == rows.target.task();
    if !fits || model.features() != wanted {
        let reason = format!(
            "it answers a {} of {} features, and the pipeline has {} of them and a label of another kind or number of classes",
            model.task().name(),
            model.features().len(),
            wanted.len()
        );
        return Err(failed(Fault::Unfit(reason)));
    }
    let mut on = |_: &Progress| ControlFlow::Continue(());
    let constant = Learner::constant(&kinds(pipeline)).fit(&rows.table, &rows.target, pipeline.training.seed, &mut on);
    let constant = constant.map_err(|e| failed(e.into()))?;
    let baseline = answers(&constant, rows).map_err(failed)?;
    let (answered, mut metrics) = measure(&model, rows, pipeline).map_err(failed)?;
    let said = Said::Answers { model: answered, baseline };
    metrics.insert("rows_test".to_owned(), rows.len() as f64);
    Ok(Fitted {
        model,
        judged: None,
        params: Map::new(),
        metrics,
        train: rows.select(&[]),
        test: rows.clone(),
        said,
        imported: true,
        continued: false,
    })
}

/// Answers in classes `theirs`, in the numbers that the classes have among `ours`. One that is not among them gets a number
/// that no row has, and is wrong.
pub fn renumbered(answers: Target, theirs: &[String], ours: &[String]) -> Target {
    match answers {
        Target::Classes { labels, .. } if theirs != ours => {
            let number = |name: &String| ours.iter().position(|our| our == name).unwrap_or(ours.len());
            let numbers: Vec<usize> = theirs.iter().map(number).collect();
            Target::Classes { labels: labels.mapv(|label| numbers[label]), n_classes: ours.len() + 1 }
        }
        answers => answers,
    }
}

/// What a model answers on rows.
pub fn answers(model: &Estimator, rows: &Rows) -> Result<Target, Fault> {
    answers_of(model, &rows.table)
}

/// What a model answers on the rows of a table.
pub fn answers_of(model: &Estimator, table: &Table) -> Result<Target, Fault> {
    Ok(match model.task() {
        Task::Classification { n_classes } => Target::Classes { labels: model.classes(table)?, n_classes },
        Task::Regression => Target::Values(model.values(table)?),
    })
}

/// What a model answers on rows, and how good that is. It is asked once: a network takes its time.
fn measure(model: &Estimator, rows: &Rows, pipeline: &Pipeline) -> Result<(Target, BTreeMap<String, f64>), Fault> {
    Ok(match &rows.target {
        Target::Classes { labels, n_classes } => {
            let probabilities = model.outputs(&rows.table)?;
            let answers = most_probable(probabilities.view());
            let found = classes(&labels.to_vec(), &answers.to_vec(), &probabilities, pipeline)?;
            (Target::Classes { labels: answers, n_classes: *n_classes }, found)
        }
        Target::Values(truth) => {
            let answers = model.values(&rows.table)?;
            let found = values(&truth.to_vec(), &answers.to_vec())?;
            (Target::Values(answers), found)
        }
    })
}

fn classes(
    truth: &[usize],
    answers: &[usize],
    probabilities: &Array2<f64>,
    pipeline: &Pipeline,
) -> Result<BTreeMap<String, f64>, Fault> {
    let weighted = metrics::averaged(truth, answers, Average::Weighted)?;
    let mut found = BTreeMap::from([
        ("accuracy".to_owned(), metrics::accuracy(truth, answers)?),
        ("weighted_precision".to_owned(), weighted.precision),
        ("weighted_recall".to_owned(), weighted.recall),
        ("weighted_f1".to_owned(), weighted.f1),
        ("macro_f1".to_owned(), metrics::averaged(truth, answers, Average::Macro)?.f1),
        ("log_loss".to_owned(), metrics::log_loss(truth, probabilities.view())?),
    ]);
    if pipeline.label.classes.len() == 2 {
        let positive = pipeline.label.positive_index();
        let scores = metrics::binary(truth, answers, positive)?;
        found.insert("precision".to_owned(), scores.precision);
        found.insert("recall".to_owned(), scores.recall);
        found.insert("f1".to_owned(), scores.f1);
        // Without rows of both classes there is no curve: the metric is left out rather than made up.
        if let Ok(area) = metrics::roc_auc(truth, positive, &probabilities.column(positive).to_vec()) {
            found.insert("roc_auc".to_owned(), area);
        }
    }
    Ok(found)
}

fn values(truth: &[f64], answers: &[f64]) -> Result<BTreeMap<String, f64>, Fault> {
    let mut found = BTreeMap::from([
        ("mae".to_owned(), metrics::mean_absolute_error(truth, answers)?),
        ("rmse".to_owned(), metrics::root_mean_squared_error(truth, answers)?),
    ]);
    // Of rows that are all alike it has no value.
    if let Ok(r2) = metrics::r2_score(truth, answers) {
        found.insert("r2".to_owned(), r2);
    }
    Ok(found)
}
