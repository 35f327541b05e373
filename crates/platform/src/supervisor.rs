//! Owner of the background tasks: each has a name and a policy for failing, and shutdown waits for all of them.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// What a task's failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The process cannot do its work without it: shut everything down and report.
    Stop,
    /// Log it and go on without.
    Log,
}

/// A task that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The task.
    pub task: String,
    /// Its error, for people.
    pub error: String,
}

/// Runs named tasks and ends them together.
#[derive(Debug)]
pub struct Supervisor {
    cancel: CancellationToken,
    tasks: JoinSet<()>,
    running: Arc<Mutex<Vec<String>>>,
    failure: Arc<Mutex<Option<Failure>>>,
}

impl Supervisor {
    /// A supervisor whose tasks all end when `cancel` fires.
    pub fn new(cancel: CancellationToken) -> Self {
        Self { cancel, tasks: JoinSet::new(), running: Arc::default(), failure: Arc::default() }
    }

    /// The token that ends every task.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Starts a task. It must end soon after the token it is handed fires.
    pub fn spawn<E, F, Fut>(&mut self, name: impl Into<String>, on_error: OnError, task: F)
    where
        E: std::fmt::Display + Send + 'static,
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
    {
        let name = name.into();
        let work = task(self.cancel.clone());
        let (cancel, running, failure) = (self.cancel.clone(), Arc::clone(&self.running), Arc::clone(&self.failure));
        lock(&running).push(name.clone());
        self.tasks.spawn(async move {
            // A panic in the task must not leave it listed as running, nor pass for a normal end.
            let outcome = tokio::spawn(work).await;
            lock(&running).retain(|other| *other != name);
            let message = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(e)) => e.to_string(),
                Err(e) if e.is_cancelled() => return,
                Err(e) => format!("panicked: {e}"),
            };
            match on_error {
                OnError::Log => warn!(task = name, error = message, "a task failed; the rest goes on without it"),
                OnError::Stop => {
                    error!(task = name, error = message, "a task failed; shutting down");
                    lock(&failure).get_or_insert(Failure { task: name, error: message });
                    cancel.cancel();
                }
            }
        });
    }

    /// Waits until the token fires, then until every task has ended or `grace` is over. The first failure that stopped
    /// the process, or a task that would not end, is the error.
    pub async fn finish(mut self, grace: Duration) -> Result<(), Failure> {
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = async { while self.tasks.join_next().await.is_some() {} } => {}
        }
        self.cancel.cancel();
        let drained = tokio::time::timeout(grace, async { while self.tasks.join_next().await.is_some() {} }).await;
        if let Some(failure) = lock(&self.failure).take() {
            return Err(failure);
        }
        if drained.is_err() {
            let left = lock(&self.running).join(", ");
            return Err(Failure { task: left, error: format!("did not end within {grace:?}") });
        }
        info!("all tasks have ended");
        Ok(())
    }
}

// Held only for a push or a take, never across an await: a std mutex is right, and a poisoned one still holds good data.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_failure_of_a_vital_task_ends_the_others_and_is_reported() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn("patient", OnError::Stop, |cancel| async move {
            cancel.cancelled().await;
            Ok::<_, String>(())
        });
        supervisor.spawn("vital", OnError::Stop, |_| async { Err("broke".to_owned()) });
        let failure = supervisor.finish(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!((failure.task.as_str(), failure.error.as_str()), ("vital", "broke"));
    }

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor
            .spawn("clumsy", OnError::Stop, |_| async { if true { panic!("oops") } else { Ok::<_, String>(()) } });
        assert_eq!(supervisor.finish(Duration::from_secs(5)).await.unwrap_err().task, "clumsy");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_will_not_end_is_named() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn("deaf", OnError::Log, |_| std::future::pending::<Result<(), String>>());
        supervisor.cancel().cancel();
        let failure = supervisor.finish(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(failure.task, "deaf");
    }
}
