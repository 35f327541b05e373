//! What can be wrong with a series or with what is asked of it.

use super::calendar::{duration, moment};

/// Why there is no forecast. Each is the caller's to mend.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parameter out of its range, or a regression that cannot be fitted.
    #[error(transparent)]
    Model(#[from] crate::Error),
    /// No series at all.
    #[error("there is no series to learn from; name at least one value column")]
    NoSeries,
    /// Two series of one name.
    #[error("there are two series `{0}`; give each its own name")]
    Duplicate(String),
    /// Too little history.
    #[error(
        "series `{series}` has values at {known} steps of {}, but at least {needed} are needed to {purpose}; give a \
         longer history, or lower `horizon` or `step`", duration(*step)
    )]
    TooShort {
        /// Name of the series.
        series: String,
        /// Steps with a value.
        known: usize,
        /// Steps needed.
        needed: usize,
        /// Length of a step in ms.
        step: i64,
        /// What they are needed for.
        purpose: &'static str,
    },
    /// A value no sum can hold.
    #[error("the value at {} is {value}; it must be a number between -1e60 and 1e60, or missing", moment(*at))]
    Value {
        /// Its time.
        at: i64,
        /// The value.
        value: f64,
    },
    /// No values at all.
    #[error("there are no values; an observation that is not a number is a missing one")]
    Empty,
    /// A grid beyond memory.
    #[error("from {} to {} in steps of {} is more than {limit} steps; use a longer `step`", moment(*from), moment(*to), duration(*step))]
    TooLong {
        /// The first time.
        from: i64,
        /// The last time.
        to: i64,
        /// Length of a step in ms.
        step: i64,
        /// The most steps there may be.
        limit: i64,
    },
    /// No such series.
    #[error("there is no series `{name}`; the forecaster knows {}", known.join(", "))]
    UnknownSeries {
        /// What was asked for.
        name: String,
        /// All there are.
        known: Vec<String>,
    },
    /// Too far ahead.
    #[error("{asked} steps ahead are asked for; a forecast may be 1 to {limit} steps ahead")]
    Horizon {
        /// Steps asked for.
        asked: i64,
        /// The most there may be.
        limit: usize,
    },
    /// Before what is kept.
    #[error("{} is before the history that is kept, which begins at {}", moment(*at), moment(*first))]
    BeforeHistory {
        /// The time asked for.
        at: i64,
        /// The first kept.
        first: i64,
    },
    /// Nothing to evaluate on.
    #[error("no origin has both {needed} steps of history and a later value; begin earlier, or give a longer series")]
    NoOrigin {
        /// Steps of history needed before the first origin.
        needed: usize,
    },
    /// Forecasts that cannot be measured.
    #[error(transparent)]
    Metric(#[from] crate::metrics::Error),
    /// Differences without an interval.
    #[error(transparent)]
    Bootstrap(crate::bootstrap::Error),
}
