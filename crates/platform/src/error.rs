//! What an error says besides its text: whose fault it is, and whether trying again can help.

/// Whether the same call may go through later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It will fail again until somebody changes something.
    Never,
    /// A service was away or overloaded: try again, slower each time.
    Later,
}

/// An error that knows whether to retry.
pub trait Retryable {
    /// Whether the same call may go through later.
    fn retry(&self) -> Retry;
}
