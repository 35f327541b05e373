//! How good served answers were, as far as labels have come, and how good they are expected to be: windows of answers beside the
//! rows that judged the model.

mod answers;
mod kept;
mod watch;
mod windows;

pub use answers::{Answer, newest};
pub use watch::PerformanceWatch;
pub use windows::{Fault, Judge, Window};

use driftmill_drift::ReferenceProfile;
use driftmill_drift::performance::{Baseline, Metric};
use driftmill_models::artifact;
use driftmill_platform::registry::Registry;
use driftmill_schemas::model::ModelCard;
use driftmill_schemas::pipeline;

use crate::Error;

/// How good a version was on the rows that judged it, and its classes in the order of its probabilities; `None` for a forecast,
/// and for a version of a build that did not keep it.
///
/// # Errors
/// Those of the registry; a version that cannot be read.
pub async fn baseline(
    registry: &Registry,
    pipeline: &str,
    version: u64,
) -> Result<Option<(Baseline, Vec<String>)>, Error> {
    let damaged = |reason: String| Error::Champion { pipeline: pipeline.to_owned(), version, reason };
    let found = registry.version(pipeline, version).await?;
    let reference = registry.reference(&found).await?;
    let reference: ReferenceProfile = serde_json::from_slice(&reference).map_err(|e| damaged(e.to_string()))?;
    let Some(baseline) = reference.performance else { return Ok(None) };
    let bytes = registry.artifact(&found).await?;
    let (_, header) = artifact::decode(&bytes).map_err(|e| damaged(e.to_string()))?;
    let card = ModelCard::from_header(header).map_err(|e| damaged(e.to_string()))?;
    Ok(Some((baseline, card.classes)))
}

/// The pipeline file's metric in the terms of what is measured.
pub fn metric(declared: pipeline::Metric) -> Metric {
    match declared {
        pipeline::Metric::Accuracy => Metric::Accuracy,
        pipeline::Metric::F1 => Metric::F1,
        pipeline::Metric::WeightedF1 => Metric::WeightedF1,
        pipeline::Metric::MacroF1 => Metric::MacroF1,
        pipeline::Metric::Rmse => Metric::Rmse,
        pipeline::Metric::Mae => Metric::Mae,
    }
}
