//! How good a model is on rows it has never seen.

use std::collections::BTreeMap;

use driftmill_models::Model;
use driftmill_schemas::pipeline::Pipeline;

use crate::Error;
use crate::fit::measure;
use crate::snapshot::Rows;

/// Measures `model` on `rows`.
pub fn evaluate(model: &Model, rows: &Rows, pipeline: &Pipeline) -> Result<BTreeMap<String, f64>, Error> {
    measure(model, rows, pipeline).map_err(|error| Error::Fit { pipeline: pipeline.name.clone(), error })
}
