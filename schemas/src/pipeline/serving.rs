//! How predictions are served.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How predictions are served. The Open Inference Protocol and the API of our own are always there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Serving {
    /// Contracts of earlier stacks to keep, at their own paths.
    pub dialects: Vec<Dialect>,
    /// Rows one request may hold.
    pub max_rows: usize,
}

impl Default for Serving {
    fn default() -> Self {
        Self { dialects: Vec::new(), max_rows: 10_000 }
    }
}

/// A contract that existing clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `POST /predict` with a matrix, `POST /train` with forest parameters.
    Iris,
    /// `POST /predict/` with one loan request.
    Loan,
    /// `POST /invocations` with images of 224 × 224 pixels answers `[[p]]`, p being the probability of the positive class.
    Dandelion,
}
