//! The life of a run: what it tells, how long it may take, and whether it is tried again.
//!
//! A run that took too long, waited too long, or lost its thread is tried again by another run, `retry_after` later. That one
//! is a row of the table `run_retries` until then, and holds up nothing. What would fail once more is not tried again.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use driftmill_platform::clickhouse::Claim;
use driftmill_platform::clock::SharedClock;
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_platform::registry::{LogLine, PendingRetry, Registry};
use driftmill_schemas::message::{GateResult, RunEvent, RunState};
use driftmill_schemas::pipeline::Training;
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

use crate::run::Reason;
use crate::{Error, Fitted};

/// How much a line of a run's log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// What goes on.
    Info,
    /// What stands in the way of a promotion.
    Warn,
    /// What ended the run.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Since when this process is at its runs. A run that waits for a service begins again and again, and has one time in all.
#[derive(Debug, Default)]
pub(crate) struct Lives(Mutex<HashMap<Uuid, Begun>>);

#[derive(Debug, Clone)]
struct Begun {
    since: Instant,
    settled: Arc<AtomicBool>,
    waiting: Arc<AtomicBool>,
}

impl Begun {
    fn now() -> Self {
        Self { since: Instant::now(), settled: Arc::default(), waiting: Arc::default() }
    }

    fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    async fn in_time<T>(&self, most: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
        let over = async {
            match most {
                Some(most) => tokio::time::sleep_until(self.since + most).await,
                None => std::future::pending().await,
            }
            if self.is_settled() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = over => None,
        }
    }

    /// Whether the run has waited for longer than it may take.
    fn is_over(&self, most: Option<Duration>) -> bool {
        !self.is_settled() && most.is_some_and(|most| self.since.elapsed() >= most)
    }
}

impl Lives {
    /// The life of a run that begins, or goes on.
    pub fn of<'a>(
        &self,
        run_id: Uuid,
        pipeline: &'a str,
        claim: Option<&'a Claim>,
        registry: &'a Registry,
        clock: &'a SharedClock,
    ) -> Life<'a> {
        let mut lives = lock(&self.0);
        let is_new = !lives.contains_key(&run_id);
        let begun = lives.entry(run_id).or_insert_with(Begun::now).clone();
        // The version may not have been registered after all.
        begun.settled.store(false, Ordering::Relaxed);
        Life { run_id, pipeline, claim, registry, clock, begun, is_new, told: AtomicU32::new(0) }
    }

    /// Forgets a run that has ended.
    pub fn end(&self, run_id: Uuid) {
        lock(&self.0).remove(&run_id);
    }
}

// Held only for a look-up, never across an await.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How one run went in this process.
#[derive(Debug)]
pub(crate) struct Life<'a> {
    run_id: Uuid,
    pipeline: &'a str,
    claim: Option<&'a Claim>,
    registry: &'a Registry,
    clock: &'a SharedClock,
    begun: Begun,
    is_new: bool,
    told: AtomicU32,
}

impl Life<'_> {
    /// Whether this process has not been at the run before.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Keeps a line of the run's log. A log that cannot be kept ends no run.
    pub async fn tell(&self, level: Level, line: impl Into<String>) {
        let line = LogLine { at: self.clock.now(), level: level.name().to_owned(), line: line.into() };
        let number = self.told.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.registry.log_run(self.pipeline, self.run_id, number, line).await {
            warn!(pipeline = self.pipeline, run = %self.run_id, %error, "a line of the run's log is lost");
        }
    }

    /// Tells what each gate said.
    pub async fn tell_gates(&self, gates: &[GateResult]) {
        for gate in gates {
            let (level, word) = if gate.passed { (Level::Info, "passed") } else { (Level::Warn, "refused") };
            self.tell(level, format!("{word}: {}: {}", gate.gate, gate.detail)).await;
        }
    }

    /// Tells how the run ended.
    pub async fn tell_end(&self, event: &RunEvent) {
        let version = event.model_version.map(|version| format!("version {version}")).unwrap_or_default();
        match event.state {
            RunState::Promoted => self.tell(Level::Info, format!("{version} is champion")).await,
            RunState::RollingOut => self.tell(Level::Info, format!("{version} takes over step by step")).await,
            RunState::RolledBack => {
                self.tell(Level::Warn, format!("{version} was rolled back: {}", event.detail)).await
            }
            RunState::Refused => self.tell(Level::Warn, format!("{version} is not promoted: {}", event.detail)).await,
            RunState::Failed | RunState::TimedOut => self.tell(Level::Error, event.detail.clone()).await,
            RunState::Started => {}
        }
    }

    /// That no other process has begun to train the pipeline meanwhile: asked before a version is registered.
    pub async fn is_alone(&self) -> Result<(), Error> {
        match self.claim {
            Some(claim) if !claim.holds().await? => Err(Error::Overtaken(self.pipeline.to_owned())),
            _ => Ok(()),
        }
    }

    /// From now on the run has a version, and ends with what becomes of that, however long it takes.
    pub fn settle(&self) {
        self.begun.settled.store(true, Ordering::Relaxed);
    }

    /// Awaits `work`, no longer than the run may take; `None` when it takes longer. Work that is given up ends, as nobody waits
    /// for it any more.
    pub async fn in_time<T>(&self, most: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
        self.begun.in_time(most, work).await
    }

    /// What the run ends with, given how its work went: an error that waiting may cure is returned, until it has lasted for
    /// too long. Another try is noted before the end is.
    pub async fn ended(
        &self,
        outcome: Option<Result<(), Error>>,
        training: &Training,
        reason: &Reason,
        by_hand: bool,
        event: &mut RunEvent,
    ) -> Result<(), Error> {
        let may_pass = match outcome {
            Some(Ok(())) => false,
            None => {
                event.state = RunState::TimedOut;
                event.detail = halted(training.timeout);
                true
            }
            Some(Err(error)) if error.retry() == Retry::Later => {
                if !self.begun.is_over(limit(training, by_hand)) {
                    if !self.begun.waiting.swap(true, Ordering::Relaxed) {
                        self.tell(Level::Warn, format!("waiting: {error}")).await;
                    }
                    return Err(error);
                }
                event.state = RunState::TimedOut;
                event.detail = format!("waited for longer than {} s (`training.timeout`): {error}", training.timeout);
                true
            }
            Some(Err(error)) => {
                event.state = RunState::Failed;
                event.detail = error.to_string();
                error.may_pass()
            }
        };
        let attempt = reason.attempt();
        if may_pass && !by_hand && attempt <= training.retries {
            let now = self.clock.now();
            let pause = i64::try_from(training.retry_after).unwrap_or(i64::MAX / 1000).saturating_mul(1000);
            let due = now.saturating_add(pause);
            let retry = PendingRetry { run_id: event.run_id, due, request: reason.once_more(&event.pipeline, now) };
            self.registry.record_retry(&retry).await?;
            let at = DateTime::from_timestamp_millis(due).unwrap_or_default().format("%Y-%m-%d %H:%M:%S");
            event.detail += &format!("; attempt {} of {} begins at {at} UTC", attempt + 1, training.retries + 1);
        }
        Ok(())
    }
}

/// The first line of a run's log.
pub(crate) fn beginning(reason: &Reason, training: &Training, by_hand: bool) -> String {
    let mut told = reason.cause();
    if let Some(request) = reason.request().filter(|request| !request.reason.is_empty()) {
        told += &format!(": {}", request.reason);
    }
    if !by_hand {
        told += &format!("; halted after {} s", training.timeout);
    }
    told
}

/// What a fit goes on from.
pub(crate) fn continuing(version: Option<u64>) -> String {
    version.map(|version| format!(", continuing version {version}")).unwrap_or_default()
}

/// What became of a fit.
pub(crate) fn fitted(fitted: &Fitted, took: Duration) -> String {
    let (learned, tested) = (fitted.train.len(), fitted.test.len());
    format!("fitted in {:.1} s: {learned} rows to learn from, {tested} to judge by", took.as_secs_f64())
}

/// How long a run may take. One on rows of a file has no limit: a person waits for it.
pub(crate) fn limit(training: &Training, by_hand: bool) -> Option<Duration> {
    (!by_hand).then(|| Duration::from_secs(training.timeout))
}

fn halted(seconds: u64) -> String {
    format!(
        "took longer than {seconds} s and was halted: give it more time with `training.timeout`, or less to do with \
         `training.newest_rows` or other parameters"
    )
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_run_may_take_its_time_in_all_however_often_it_begins_again() {
        let begun = Begun::now();
        assert_eq!(begun.in_time(Some(2 * SECOND), async { 1 }).await, Some(1));
        assert!(!begun.is_over(Some(2 * SECOND)));
        sleep(SECOND).await;
        assert_eq!(begun.in_time(Some(2 * SECOND), pending::<()>()).await, None);
        assert!(begun.is_over(Some(2 * SECOND)) && !begun.is_over(None));
        assert_eq!(begun.since.elapsed(), 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_a_version_or_that_a_person_waits_for_is_not_halted() {
        let begun = Begun::now();
        let work = async {
            begun.settled.store(true, Ordering::Relaxed);
            sleep(60 * SECOND).await;
        };
        assert_eq!(begun.in_time(Some(SECOND), work).await, Some(()));
        assert!(!begun.is_over(Some(SECOND)));
        assert_eq!(Begun::now().in_time(None, sleep(60 * SECOND)).await, Some(()));
    }

    #[test]
    fn only_what_another_run_may_cure_is_tried_again() {
        let few = Error::TooFewRows { pipeline: "iris".to_owned(), have: 1, need: 150 };
        assert!(!few.may_pass() && !Error::NoPipeline("iris".to_owned()).may_pass());
        assert!(Error::Lost("gone".to_owned()).may_pass() && Error::Overtaken("iris".to_owned()).may_pass());
    }
}
