//! What can be wrong with a model to export or a file to import.

/// An error of an exchange. Retrying without a change fails again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The algorithm has no equivalent in ONNX.
    #[error("`{algorithm}` cannot be exported to ONNX: {reason}")]
    NotExportable {
        /// Its name in a pipeline file.
        algorithm: String,
        /// What is missing.
        reason: String,
    },
    /// Names that do not fit the model.
    #[error("the model has {expected} {what}, {got} names were given")]
    Names {
        /// `features` or `classes`.
        what: &'static str,
        /// How many the model has.
        expected: usize,
        /// How many were given.
        got: usize,
    },
    /// Larger than an import takes.
    #[error("the ONNX file has {what}, the limit is {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The most there may be.
        limit: usize,
    },
    /// Not an ONNX file, or a damaged one.
    #[error("this is not an ONNX model, or it is cut off: {0}")]
    Decode(String),
    /// The graph cannot be followed.
    #[error("the ONNX graph is not valid: {0}")]
    Graph(String),
    /// A node that cannot be translated.
    #[error("node {number} of the ONNX graph, `{operator}`, cannot be imported: {reason}")]
    Operator {
        /// Its place among the nodes, from 0.
        number: usize,
        /// Its operator.
        operator: String,
        /// Why, and what can be.
        reason: String,
    },
    /// What the graph answers is no model of ours.
    #[error("the ONNX model cannot be imported: {0}")]
    Unsupported(String),
    /// What came of it is not valid.
    #[error("the imported model is not valid")]
    Model(#[from] driftmill_models::Error),
}
