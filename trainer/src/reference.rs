//! The reference profile that goes with a model: what its training rows looked like.

use driftmill_drift::ReferenceProfile;
use driftmill_schemas::pipeline::Pipeline;

use crate::snapshot::Rows;

/// The profile of `rows`, as JSON.
pub fn of(pipeline: &Pipeline, rows: &Rows) -> Result<Vec<u8>, String> {
    let columns: Vec<Vec<f64>> =
        (0..pipeline.features.len()).map(|index| rows.features.column(index).to_vec()).collect();
    let names = pipeline.features.iter().map(|feature| feature.name.as_str());
    let named: Vec<(&str, &[f64])> = names.zip(columns.iter().map(Vec::as_slice)).collect();
    let reference = ReferenceProfile::build(&named).map_err(|e| e.to_string())?;
    serde_json::to_vec(&reference).map_err(|e| e.to_string())
}
