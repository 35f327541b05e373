//! Makes outputs last, one after the other.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::finished::Finished;
use super::pace::Pace;
use super::runner::LATE;
use super::{Error, Output, Services};
use crate::backoff::{Backoff, unless_late, until_done};
use crate::clickhouse::{Ledger, LedgerEntry};
use crate::error::{Retry, Retryable as _};
use crate::kafka::{Age, Coverage, Handle, OffsetRange, Outgoing};

/// How often the server is asked for its parts.
const LOOK: Duration = Duration::from_secs(5);

/// Entries of the ledger after which the old ones become one.
const ENTRIES: u32 = 2_000;
/// How long an entry of its own stays, in milliseconds: what looks at newly processed offsets looks back no further.
const KEPT: i64 = 3_600_000;

/// What messages became.
pub(super) struct Work {
    pub(super) coverage: Vec<Coverage>,
    pub(super) output: Output,
    /// Told when the output is written; dropped without a word when it is not.
    pub(super) done: oneshot::Sender<()>,
    /// Whether its entry may wait for others, after that.
    pub(super) entered_later: bool,
}

pub(super) struct Writer {
    pub(super) stage: String,
    pub(super) ledger: Ledger,
    pub(super) services: Services,
    pub(super) consumer: Handle,
    pub(super) pace: Pace,
    /// How long messages wait for company, which follows from the pace.
    pub(super) age: Age,
    pub(super) cancel: CancellationToken,
    pub(super) looked: Option<Instant>,
    pub(super) finished: Finished,
    /// Entries made by partition since its old ones became one.
    pub(super) entered: HashMap<(String, i32), u32>,
}

impl Writer {
    /// Writes until there is no more work, or some seconds after the cancellation.
    pub(super) async fn run(mut self, mut work: mpsc::Receiver<Work>) -> Result<(), Error> {
        let written = self.write_all(&mut work).await;
        let entered = self.enter_all().await;
        written.and(entered.map(drop))
    }

    async fn write_all(&mut self, work: &mut mpsc::Receiver<Work>) -> Result<(), Error> {
        loop {
            let due = self.finished.due();
            let next = tokio::select! {
                next = work.recv() => next,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if !self.enter_all().await? {
                        return Ok(());
                    }
                    continue;
                }
            };
            let Some(Work { coverage, output, done, entered_later }) = next else { return Ok(()) };
            let started = Instant::now();
            let entries = self.finished.take_due();
            let (entered, written) = tokio::join!(self.enter(&entries), self.write(&coverage, &output));
            let is_entered = entered?;
            if is_entered {
                self.note(&entries).await;
            }
            if !(is_entered && written?) {
                // Cancelled: whoever comes next does it again.
                return Ok(());
            }
            self.finished.add(coverage.clone(), &output.tallies);
            if !entered_later && !self.enter_all().await? {
                return Ok(());
            }
            let took = started.elapsed();
            self.services.metrics.finished(&self.stage, &coverage, took.as_secs_f64());
            self.pace.wrote(took);
            self.look_at_parts(&output).await;
            let age = self.pace.age();
            debug!(stage = self.stage, messages = messages(&coverage), ?took, ?age, "written");
            self.age.set(age);
            // Its memory is wanted for the next one.
            drop(output);
            // Whoever is gone need not be told.
            let _ = done.send(());
        }
    }

    /// Sends and inserts one output, each repeated until it is done; false when cancelled before. An error that another
    /// try may cure is left to the next owner.
    async fn write(&self, coverage: &[Coverage], output: &Output) -> Result<bool, Error> {
        let seed = coverage.first().map_or(0, |coverage| coverage.range.from.unsigned_abs());
        self.in_the_end(async {
            // Apart from the inserts, so that an engine that is away for long does not multiply the records.
            self.until_done(seed, || self.send(&output.records)).await?;
            self.until_done(seed, || async {
                for insert in &output.inserts {
                    self.services.clickhouse.insert(insert).await?;
                }
                Ok(())
            })
            .await
        })
        .await
    }

    /// Enters whatever is written, and tells of it.
    async fn enter_all(&mut self) -> Result<bool, Error> {
        let entries = self.finished.take();
        let is_entered = self.enter(&entries).await?;
        if is_entered {
            self.note(&entries).await;
        }
        Ok(is_entered)
    }

    /// Enters what is written, as [`write`](Self::write) writes it.
    async fn enter(&self, entries: &[LedgerEntry]) -> Result<bool, Error> {
        let Some(first) = entries.first() else { return Ok(true) };
        let seed = first.coverage.range.from.unsigned_abs();
        let entering = self.until_done(seed, || async {
            self.ledger.enter(entries, self.services.clock.now()).await?;
            Ok(())
        });
        self.in_the_end(entering).await
    }

    /// Repeats a step until it is done or, when cancelled, has failed.
    async fn until_done<F, Step>(&self, seed: u64, step: F) -> Result<(), Error>
    where
        F: FnMut() -> Step,
        Step: Future<Output = Result<(), Error>>,
    {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5), seed);
        let told = |error: &Error, pause| warn!(stage = self.stage, %error, ?pause, "trying again");
        until_done(&self.cancel, backoff, told, step).await
    }

    /// Whether the steps were done; false when cancelled before.
    async fn in_the_end(&self, steps: impl Future<Output = Result<(), Error>>) -> Result<bool, Error> {
        match unless_late(&self.cancel, LATE, steps).await {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(error)) if error.retry() == Retry::Later => Ok(false),
            Some(Err(error)) => Err(error),
        }
    }

    async fn send(&self, records: &[(String, Outgoing)]) -> Result<(), Error> {
        let mut acknowledgements = Vec::with_capacity(records.len());
        for (topic, record) in records {
            acknowledgements.push(self.services.producer.start(topic, record.clone()).await?);
        }
        for acknowledgement in acknowledgements {
            acknowledgement.wait().await?;
        }
        Ok(())
    }

    /// Tells the group what was entered, and keeps the ledger small.
    async fn note(&mut self, entries: &[LedgerEntry]) {
        if entries.is_empty() {
            return;
        }
        let ranges: Vec<OffsetRange> = entries.iter().map(|entry| entry.coverage.range.clone()).collect();
        self.thin_out(&ranges).await;
        if let Err(error) = self.consumer.commit(&ranges) {
            warn!(stage = self.stage, %error, "the group's offsets lag behind the ledger");
        }
    }

    /// Keeps the ledger of the partitions small. It can wait, so a fault is no fault.
    async fn thin_out(&mut self, ranges: &[OffsetRange]) {
        for range in ranges {
            let entered = self.entered.entry((range.topic.clone(), range.partition)).or_default();
            *entered += 1;
            if *entered < ENTRIES {
                continue;
            }
            *entered = 0;
            let before = self.services.clock.now() - KEPT;
            let compacting = self.ledger.compact(&range.topic, range.partition, before);
            if let Some(Err(error)) = unless_late(&self.cancel, Duration::ZERO, compacting).await {
                debug!(stage = self.stage, %error, "the ledger stays as long as it is");
            }
        }
    }

    async fn look_at_parts(&mut self, output: &Output) {
        if output.inserts.is_empty() || self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        let mut tables: Vec<&str> = output.inserts.iter().map(|insert| insert.table.as_str()).collect();
        tables.push("ledger");
        match self.services.clickhouse.most_active_parts(&tables).await {
            Ok(parts) => self.pace.parts(parts),
            Err(error) => debug!(stage = self.stage, %error, "the server does not tell its parts"),
        }
    }
}

fn messages(coverage: &[Coverage]) -> u64 {
    coverage.iter().map(|coverage| coverage.messages).sum()
}
