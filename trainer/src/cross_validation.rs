//! How good an algorithm is on rows, each answered by a model that has not seen it. No model is kept.

use std::ops::ControlFlow;

use driftmill_models::bootstrap::Interval;
use driftmill_models::estimator::most_probable;
use driftmill_models::learning_curve::{self, Point, TrainTestScore, geometric_sizes};
use driftmill_models::metrics::report::Report;
use driftmill_models::split::TrainTest;
use driftmill_models::{Estimator, Learner, Progress, Target, validation};
use driftmill_schemas::pipeline::Pipeline;
use ndarray::{Array2, Axis};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::evaluate::{report, slices_by};
use crate::fit::{Fault, answers, better_by, learner, metric};
use crate::forecasts::{ForecastEvaluation, rolling_evaluation};
use crate::rows::kinds;
use crate::{Error, Rows, folds};

/// Seeds of a learning curve, and its sizes at most.
const SEEDS: [u64; 3] = [1, 2, 3];
const SIZES: usize = 6;
/// The smallest size, beside the number of classes.
const SMALLEST_SIZE: usize = 20;

/// What is said of an algorithm.
#[derive(Debug)]
pub enum CrossValidation {
    /// Of answers.
    Answers(Box<Answers>),
    /// Of forecasts, by a rolling origin.
    Forecasts(Box<ForecastEvaluation>),
}

/// What an algorithm answers for rows that its models have not seen.
#[derive(Debug, Serialize)]
pub struct Answers {
    /// Over all answers together.
    #[serde(flatten)]
    pub report: Report,
    /// The pipeline's metric on each fold.
    pub folds: Vec<f64>,
    /// The pipeline's metric of the constant baseline, whose models saw the same rows.
    pub baseline: f64,
    /// By how much the algorithm is better than that (of errors: smaller), and its interval by a paired bootstrap.
    pub better_by: Interval,
    /// Rows that were answered; by time, those of the first stretch are not.
    pub answered: usize,
    /// How the metric grows with the rows, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_curve: Option<Vec<Point>>,
}

/// What to find out.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Folds.
    pub folds: usize,
    /// Parameters in place of the pipeline file's.
    pub overrides: Map<String, Value>,
    /// Features whose slices are told, too.
    pub slice_by: Vec<String>,
    /// Whether a learning curve is wanted.
    pub learning_curve: bool,
}

/// Cross-validates the pipeline's algorithm in the way in which the pipeline splits: stratified, by entity or by time. `tell` gets
/// what is done and how much there is to do.
///
/// # Errors
/// When no folds can be made of the rows, or the algorithm refuses them.
pub fn cross_validate(
    rows: &Rows,
    pipeline: &Pipeline,
    asked: &Asked,
    tell: &(dyn Fn(&str, usize, usize) + Sync),
) -> Result<CrossValidation, Error> {
    let mut with_classes = pipeline.clone();
    with_classes.label.classes.clone_from(&rows.classes);
    let pipeline = &with_classes;
    let failed = |error: Fault| Error::Fit { pipeline: pipeline.name.clone(), error };
    let (learner, _) = learner(pipeline, &asked.overrides).map_err(failed)?;
    if learner.forecasts() {
        tell("rolling the origin", 0, 1);
        let judged = rolling_evaluation(&learner, rows, pipeline).map_err(failed)?;
        return Ok(CrossValidation::Forecasts(Box::new(judged)));
    }
    let splits = folds::folds(rows, pipeline, asked.folds).map_err(failed)?;
    let slices = slices_by(&asked.slice_by, rows, pipeline)?;
    let outputs = outputs(&learner, rows, pipeline, &splits, tell).map_err(failed)?;
    let constant = Learner::constant(&kinds(pipeline));
    let silent = |_: &str, _: usize, _: usize| ();
    let constant = self::outputs(&constant, rows, pipeline, &splits, &silent).map_err(failed)?;
    let answered = tested(&splits);
    let (truth, ours) = (rows.target.select(&answered), target(&rows.target, &outputs).select(&answered));
    let baseline = target(&rows.target, &constant).select(&answered);
    let of_fold = |split: &TrainTest| {
        metric(pipeline, &rows.target.select(&split.test), &target(&rows.target, &outputs).select(&split.test))
    };
    let per_fold: Result<Vec<f64>, Fault> = splits.iter().map(of_fold).collect();
    let within = slices.into_iter().map(|mut slice| {
        slice.rows = slice.rows.iter().filter_map(|row| answered.binary_search(row).ok()).collect();
        slice
    });
    let within: Vec<_> = within.filter(|slice| !slice.rows.is_empty()).collect();
    let answered_rows = rows.select(&answered);
    let told = report(&answered_rows, &outputs.select(Axis(0), &answered), pipeline, &within).map_err(failed)?;
    let groups = answered_rows.groups_of(pipeline);
    let interval = better_by(pipeline, &truth, &ours, &baseline, groups.as_deref());
    let curve = asked.learning_curve.then(|| curve(&learner, rows, pipeline, &splits[0], tell)).transpose();
    Ok(CrossValidation::Answers(Box::new(Answers {
        report: told,
        folds: per_fold.map_err(failed)?,
        baseline: metric(pipeline, &truth, &baseline).map_err(failed)?,
        better_by: interval.map_err(|error| failed(Fault::Unfit(error.to_string())))?,
        answered: answered.len(),
        learning_curve: curve.map_err(failed)?,
    })))
}

/// What models of the folds answer: rows × outputs; `NaN` for rows that no fold tests.
fn outputs(
    learner: &Learner,
    rows: &Rows,
    pipeline: &Pipeline,
    splits: &[TrainTest],
    tell: &(dyn Fn(&str, usize, usize) + Sync),
) -> Result<Array2<f64>, Fault> {
    let groups = rows.groups_of(pipeline);
    let seed = pipeline.training.seed;
    let mut all = Array2::from_elem((rows.len(), rows.target.task().n_outputs()), f64::NAN);
    for (done, split) in splits.iter().enumerate() {
        tell("fold", done, splits.len());
        let one = std::slice::from_ref(split);
        let found = validation::cross_validate(learner, &rows.table, &rows.target, groups.as_deref(), one, seed)?;
        for &row in &split.test {
            all.row_mut(row).assign(&found.row(row));
        }
    }
    tell("fold", splits.len(), splits.len());
    Ok(all)
}

/// Rows that are tested, ascending.
fn tested(splits: &[TrainTest]) -> Vec<usize> {
    let mut rows: Vec<usize> = splits.iter().flat_map(|split| split.test.iter().copied()).collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// Outputs as answers.
fn target(like: &Target, outputs: &Array2<f64>) -> Target {
    match like {
        Target::Classes { n_classes, .. } => {
            Target::Classes { labels: most_probable(outputs.view()), n_classes: *n_classes }
        }
        Target::Values(_) => Target::Values(outputs.column(0).to_owned()),
    }
}

/// The metric on a fold's test rows by how many of its training rows are learned.
fn curve(
    learner: &Learner,
    rows: &Rows,
    pipeline: &Pipeline,
    split: &TrainTest,
    tell: &(dyn Fn(&str, usize, usize) + Sync),
) -> Result<Vec<Point>, Fault> {
    let judging = rows.select(&split.test);
    let smallest = SMALLEST_SIZE.max(2 * rows.classes.len()).min(split.train.len());
    let fit = |drawn: &[usize], seed: u64| -> Result<TrainTestScore, Fault> {
        let learned = rows.select(&drawn.iter().map(|&index| split.train[index]).collect::<Vec<_>>());
        let mut on = |_: &Progress| ControlFlow::Continue(());
        let groups = learned.groups_of(pipeline);
        let model = learner.fit_grouped(&learned.table, &learned.target, groups.as_deref(), seed, &mut on)?;
        let score = |model: &Estimator, on: &Rows| metric(pipeline, &on.target, &answers(model, on)?);
        Ok(TrainTestScore { train: score(&model, &learned)?, test: score(&model, &judging)? })
    };
    let sizes = geometric_sizes(smallest, split.train.len(), SIZES);
    let told = |progress: learning_curve::Progress| tell("learning curve, fit", progress.done, progress.of);
    let points = learning_curve::learning_curve(split.train.len(), &sizes, &SEEDS, None, fit, told);
    points.map_err(|error| Fault::Unfit(format!("no learning curve: {error}")))
}

#[cfg(test)]
mod tests {
    use driftmill_schemas::pipeline::{Metric, SplitBy};

    use super::*;
    use crate::gates::testing;

    fn validated(label: impl Fn(usize, f64) -> usize, by: SplitBy) -> Answers {
        let mut pipeline = testing::pipeline();
        pipeline.promotion.metric = Metric::Accuracy;
        pipeline.training.algorithm = "random_forest".to_owned();
        pipeline.training.params = Map::from_iter([("n_estimators".to_owned(), Value::from(10))]);
        pipeline.training.split.by = by;
        let values: Vec<f64> = (0..240).map(|i| f64::from(i * 37 % 101)).collect();
        let labels: Vec<usize> = values.iter().enumerate().map(|(row, value)| label(row, *value)).collect();
        let mut rows = testing::rows(values, |_| 0);
        rows.target = Target::Classes { labels: labels.into(), n_classes: 2 };
        rows.times = (0..240).collect();
        let asked = Asked { folds: 5, learning_curve: true, slice_by: vec!["x".to_owned()], ..Asked::default() };
        match cross_validate(&rows, &pipeline, &asked, &|_, _, _| ()).unwrap() {
            CrossValidation::Answers(answers) => *answers,
            CrossValidation::Forecasts(_) => panic!("a forest forecasts nothing"),
        }
    }

    #[test]
    fn what_can_be_learned_is_found_beyond_the_baseline_and_what_cannot_is_not() {
        let known = validated(|_, x| usize::from(x > 50.0), SplitBy::Row);
        assert!(known.better_by.lower > 0.2 && known.folds.len() == 5, "{known:?}");
        assert_eq!(known.answered, 240);
        let curve = known.learning_curve.unwrap();
        assert_eq!(curve.last().unwrap().size, 192);
        assert!(curve.last().unwrap().test.mean >= curve[0].test.mean);
        let chance = validated(|row, _| (row * row * 7919 % 1_009) % 2, SplitBy::Row);
        assert!(chance.better_by.lower < 0.0, "{chance:?}");
    }

    #[test]
    fn by_time_the_first_stretch_is_learned_from_and_not_answered() {
        let known = validated(|_, x| usize::from(x > 50.0), SplitBy::Time);
        assert_eq!((known.folds.len(), known.answered), (5, 200));
    }
}
