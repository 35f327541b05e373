//! Whether the receiver waits for a batch: what is gathered is handed over only then, so that batches grow while it is busy.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Demand {
    wanted: Mutex<bool>,
    changed: Condvar,
}

impl Demand {
    /// The receiver waits.
    pub(super) fn ask(&self) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Whether the receiver waits.
    pub(super) fn is_asked(&self) -> bool {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch was handed over.
    pub(super) fn answered(&self) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Blocks the thread until the receiver waits, `limit` at most.
    pub(super) fn wait(&self, limit: Duration) {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        // Woken early or late, the caller looks again.
        let _ = self.changed.wait_timeout_while(wanted, limit, |wanted| !*wanted);
    }
}
