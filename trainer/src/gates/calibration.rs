//! Whether a model's probabilities mean what they say.

use driftmill_models::metrics::{self, Binning};
use driftmill_models::{Estimator, Target};
use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::Pipeline;

use crate::Rows;

const BINS: usize = 10;

/// `None` where the pipeline sets no bound, or the label is no class.
pub(super) fn gate(model: &Estimator, test: &Rows, pipeline: &Pipeline) -> Option<GateResult> {
    let limit = pipeline.promotion.max_calibration_error?;
    let Target::Classes { labels, .. } = &test.target else { return None };
    let gate = "calibrated".to_owned();
    let error = || -> Result<f64, String> {
        let probabilities = model.outputs(&test.table).map_err(|e| e.to_string())?;
        let (right, confidence) =
            metrics::top_label(&labels.to_vec(), probabilities.view()).map_err(|e| e.to_string())?;
        let bins =
            metrics::reliability_bins(&right, &confidence, BINS, Binning::EqualMass).map_err(|e| e.to_string())?;
        metrics::expected_calibration_error(&bins).map_err(|e| e.to_string())
    };
    Some(match error() {
        Ok(error) => GateResult {
            gate,
            passed: error <= limit,
            detail: format!(
                "expected calibration error {error:.3} over {BINS} bins of {} rows, {limit} is allowed",
                test.len()
            ),
        },
        Err(reason) => super::refused(&gate, &reason),
    })
}
