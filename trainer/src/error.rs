//! Why a training ended without a model.

use driftmill_platform::clickhouse;
use driftmill_platform::error::{Retry, Retryable};
use driftmill_platform::registry;

use crate::fit::Fault;

/// A failed training.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading rows.
    #[error(transparent)]
    ClickHouse(#[from] clickhouse::Error),
    /// Keeping the model.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The rows are not what a table can be made of.
    #[error("the snapshot of `{pipeline}`: {error}")]
    Snapshot {
        /// The pipeline.
        pipeline: String,
        /// polars' error.
        error: polars::error::PolarsError,
    },
    /// There is too little to learn from.
    #[error("pipeline `{pipeline}` has {have} labelled rows and needs {need}")]
    TooFewRows {
        /// The pipeline.
        pipeline: String,
        /// Rows there are.
        have: u64,
        /// Rows needed.
        need: u64,
    },
    /// There is no such feature.
    #[error("pipeline `{pipeline}` has no feature `{feature}")]
    NoFeature {
        /// The pipeline.
        pipeline: String,
        /// The name, a closing backtick, and the nearest one there is.
        feature: String,
    },
    /// The algorithm refuses its parameters or its data.
    #[error("fitting `{pipeline}`: {error}")]
    Fit {
        /// The pipeline.
        pipeline: String,
        /// What was refused.
        error: Fault,
    },
    /// The champion cannot judge the new rows.
    #[error("the champion of `{pipeline}` (version {version}): {reason}")]
    Champion {
        /// The pipeline.
        pipeline: String,
        /// Its version.
        version: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Rows that cannot be the gold set.
    #[error("the gold set of `{pipeline}`: {reason}")]
    Gold {
        /// The pipeline.
        pipeline: String,
        /// What is wrong, and the way out.
        reason: String,
    },
    /// There is no such pipeline here.
    #[error("there is no pipeline `{0}` here")]
    NoPipeline(String),
    /// A table does not show yet what its topic holds.
    #[error("the table of `{pipeline}`'s drift does not show window {window} yet")]
    Behind {
        /// The pipeline.
        pipeline: String,
        /// The window.
        window: String,
    },
    /// The right to train was lost on the way.
    #[error("another process may train `{0}` by now, as this one was not heard of for some seconds")]
    Overtaken(String),
    /// Work on another thread ended early.
    #[error("the fit ended without an answer: {0}")]
    Lost(String),
}

impl Error {
    /// Whether another run may not fail of it. Rows that are too few and parameters that are refused stay so.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Lost(_)) || self.retry() == Retry::Later
    }
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::ClickHouse(e) => e.retry(),
            Self::Registry(e) => e.retry(),
            Self::Behind { .. } | Self::Overtaken(_) => Retry::Later,
            _ => Retry::Never,
        }
    }
}
