//! Why the gateway does not start or stops.

use driftmill_platform::kafka;
use driftmill_platform::supervisor::Failure;

/// A failed gateway.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two pipelines of one name.
    #[error("there are two pipelines called `{0}`: rename one of them in its pipeline.yaml")]
    Duplicate(String),
    /// Two pipelines want the same paths.
    #[error(
        "the pipelines `{first}` and `{second}` both serve the dialect `{dialect}`, which has one set of paths: remove it \
         from `serving.dialects` of one of them"
    )]
    Dialect {
        /// The dialect.
        dialect: &'static str,
        /// The pipeline that came first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A pipeline cannot speak a dialect it declares.
    #[error("pipeline `{pipeline}` cannot serve the dialect `{dialect}`: {reason}")]
    Contract {
        /// The pipeline.
        pipeline: String,
        /// The dialect.
        dialect: &'static str,
        /// What is in the way.
        reason: String,
    },
    /// A feature of a pipeline does not compile.
    #[error("pipeline `{pipeline}`, feature `{feature}`: {reason}; `driftmill check` shows the line")]
    Feature {
        /// The pipeline.
        pipeline: String,
        /// The feature.
        feature: String,
        /// Why.
        reason: String,
    },
    /// There can be no client of Kafka.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// The socket failed.
    #[error("the gateway's socket: {0}")]
    Socket(#[from] std::io::Error),
    /// A background task of the gateway failed.
    #[error("the gateway's task `{}` failed: {}", .0.task, .0.error)]
    Task(Failure),
}
