//! Which of two models is better on the same rows, and by how much.

use driftmill_models::Target;
use driftmill_models::bootstrap::{self, Bootstrap, Interval, Resampling};
use driftmill_models::metrics::{self, Average};
use driftmill_schemas::pipeline::{Metric, Pipeline};

use super::Fault;

/// Rounds of the bootstrap: the ends of a 95 % interval then rest on 50 values each.
const ROUNDS: usize = 2_000;

/// By how much the answers `a` are better than `b` in the pipeline's metric, with its interval by a paired bootstrap: above zero,
/// they are beyond chance. Of errors, which are the better the smaller they are, it is how much smaller. Of rows in `groups`, a
/// number for each, whole groups are drawn.
///
/// # Errors
/// When the metric has no value for these rows, or classes meet values.
pub fn better_by(
    pipeline: &Pipeline,
    truth: &Target,
    a: &Target,
    b: &Target,
    groups: Option<&[usize]>,
) -> Result<Interval, bootstrap::Error> {
    let bootstrap = Bootstrap {
        rounds: ROUNDS,
        seed: pipeline.training.seed,
        confidence: pipeline.promotion.confidence,
        resampling: groups.map_or(Resampling::Rows, Resampling::Groups),
        n_jobs: None,
    };
    let sign = if pipeline.promotion.metric.is_of_values() { -1.0 } else { 1.0 };
    let difference = |rows: &[usize]| -> Result<f64, Fault> {
        let truth = truth.select(rows);
        let of = |answers: &Target| metric(pipeline, &truth, &answers.select(rows));
        Ok(sign * (of(a)? - of(b)?))
    };
    if truth.len() != a.len() || truth.len() != b.len() {
        return Err(bootstrap::Error::LengthMismatch { truth: truth.len(), first: a.len(), second: b.len() });
    }
    bootstrap.interval(truth.len(), difference)
}

/// The pipeline's metric of answers.
///
/// # Errors
/// When the metric has no value for these rows, or classes meet values.
pub fn metric(pipeline: &Pipeline, truth: &Target, answers: &Target) -> Result<f64, Fault> {
    Ok(match (truth, answers) {
        (Target::Classes { labels: truth, .. }, Target::Classes { labels: answers, .. }) => {
            of_classes(pipeline, &truth.to_vec(), &answers.to_vec())?
        }
        (Target::Values(truth), Target::Values(answers)) => of_values(pipeline, &truth.to_vec(), &answers.to_vec())?,
        _ => return Err(Fault::Unfit("classes cannot be compared with values".to_owned())),
    })
}

fn of_classes(pipeline: &Pipeline, truth: &[usize], answers: &[usize]) -> Result<f64, metrics::Error> {
    match pipeline.promotion.metric {
        Metric::F1 => metrics::binary_f1(truth, answers, pipeline.label.positive_index()),
        Metric::WeightedF1 => Ok(metrics::averaged(truth, answers, Average::Weighted)?.f1),
        Metric::MacroF1 => Ok(metrics::averaged(truth, answers, Average::Macro)?.f1),
        // A metric of values with a label of classes was refused when the file was read.
        Metric::Accuracy | Metric::Rmse | Metric::Mae => metrics::accuracy(truth, answers),
    }
}

/// The pipeline's metric of values: less is better.
pub fn of_values(pipeline: &Pipeline, truth: &[f64], answers: &[f64]) -> Result<f64, metrics::Error> {
    match pipeline.promotion.metric {
        Metric::Mae => metrics::mean_absolute_error(truth, answers),
        _ => metrics::root_mean_squared_error(truth, answers),
    }
}
