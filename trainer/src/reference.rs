//! The reference profile that goes with a model: what its training rows looked like.

use driftmill_drift::ReferenceProfile;
use driftmill_models::Column;
use driftmill_schemas::pipeline::Pipeline;

use crate::Rows;

/// The profile of the numbers among the features of `rows`, as JSON.
pub fn of(pipeline: &Pipeline, rows: &Rows) -> Result<Vec<u8>, String> {
    let names = pipeline.features.iter().map(|feature| feature.name.as_str());
    let named: Vec<(&str, &[f64])> = names
        .zip(rows.table.columns())
        .filter_map(|(name, column)| match column {
            Column::Number(values) => Some((name, values.as_slice())),
            _ => None,
        })
        .collect();
    let reference = ReferenceProfile::build(&named).map_err(|e| e.to_string())?;
    serde_json::to_vec(&reference).map_err(|e| e.to_string())
}
