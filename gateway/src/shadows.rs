//! Answers that nobody waits for: few at once, on the runtime of the requests.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Answers that are worked on at once; where there are as many, requests come faster than two versions can answer them.
const AT_ONCE: usize = 64;

/// Runs them.
pub(crate) struct Shadows {
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Default for Shadows {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), tasks: TaskTracker::new() }
    }
}

impl Shadows {
    /// Starts `work`, unless there is no room for it.
    pub(crate) fn start(&self, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return false };
        self.tasks.spawn(async move {
            work.await;
            drop(permit);
        });
        true
    }

    /// Whether any is worked on.
    #[cfg(test)]
    pub(crate) fn is_busy(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Waits for what has been started, no longer than `limit`.
    pub(crate) async fn close(&self, limit: Duration) {
        self.tasks.close();
        // What is not compared is not missed.
        let _ = tokio::time::timeout(limit, self.tasks.wait()).await;
    }
}
