//! Which of two models is better on the same rows, and by how much.

use driftmill_models::Target;
use driftmill_models::bootstrap::{self, Interval, paired_bootstrap};
use driftmill_models::metrics::{self, Average};
use driftmill_schemas::pipeline::{Metric, Pipeline};

/// Rounds of the bootstrap: the ends of a 95 % interval then rest on 50 values each.
const ROUNDS: usize = 2_000;

/// By how much the answers `a` are better than `b` in the pipeline's metric, with its bootstrap interval: above zero, they are
/// beyond chance. Of errors, which are the better the smaller they are, it is how much smaller.
///
/// # Errors
/// When the metric has no value for these rows, or classes meet values.
pub fn better_by(pipeline: &Pipeline, truth: &Target, a: &Target, b: &Target) -> Result<Interval, bootstrap::Error> {
    let (seed, confidence) = (pipeline.training.seed, pipeline.promotion.confidence);
    match (truth, a, b) {
        (
            Target::Classes { labels: truth, .. },
            Target::Classes { labels: a, .. },
            Target::Classes { labels: b, .. },
        ) => {
            let score = |truth: &[usize], answers: &[usize]| of_classes(pipeline, truth, answers);
            paired_bootstrap(score, &truth.to_vec(), &a.to_vec(), &b.to_vec(), ROUNDS, seed, confidence)
        }
        (Target::Values(truth), Target::Values(a), Target::Values(b)) => {
            let score = |truth: &[f64], answers: &[f64]| of_values(pipeline, truth, answers).map(|error| -error);
            paired_bootstrap(score, &truth.to_vec(), &a.to_vec(), &b.to_vec(), ROUNDS, seed, confidence)
        }
        _ => Err(bootstrap::Error::LengthMismatch { truth: truth.len(), first: a.len(), second: b.len() }),
    }
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
