//! Answers that nobody waits for: few at once, on the runtime of the requests.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Mebibytes of requests that are worked on at once, each counted as one at least; where there are as many, requests come faster
/// than two versions can answer them.
const AT_ONCE: u32 = 32;

/// Runs them.
pub(crate) struct Shadows {
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Default for Shadows {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE as usize)), tasks: TaskTracker::new() }
    }
}

impl Shadows {
    /// Starts `work` on a request of so many bytes, unless there is no room for it.
    pub(crate) fn start(&self, bytes: usize, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let weight = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_add(1).min(AT_ONCE);
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_many_owned(weight) else { return false };
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
