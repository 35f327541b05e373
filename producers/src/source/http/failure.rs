//! A request that brought no rows.

use std::time::Duration;

/// Why. No text of it holds a URL's query or a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("the answer was HTTP status {status}")]
    Status { status: u16, retry_after: Option<Duration> },
    #[error("the answer leads to another place, {to}, which is not followed: give that address as `url`")]
    Redirected { to: String },
    #[error("the answer has more than {0} bytes: raise `max_bytes`, or ask for smaller pages")]
    TooLarge(usize),
    #[error("{0}")]
    Unusable(String),
}

impl Failure {
    /// The kind, for counting.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => "timed_out",
            Self::Unreachable(_) => "unreachable",
            Self::Status { status: 429, .. } => "too_many_requests",
            Self::Status { status: 500.., .. } => "server_error",
            Self::Status { .. } => "refused",
            Self::Redirected { .. } => "redirected",
            Self::TooLarge(_) => "too_large",
            Self::Unusable(_) => "unusable",
        }
    }

    /// How long the API wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the same request may go through later; a page's token may have expired otherwise.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Unreachable(_) => true,
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
            Self::Redirected { .. } | Self::TooLarge(_) | Self::Unusable(_) => false,
        }
    }
}
