//! Makes outputs last, one after the other.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::pace::Pace;
use super::runner::LATE;
use super::{Error, Output, Services};
use crate::backoff::{Backoff, unless_late, until_done};
use crate::clickhouse::{Ledger, LedgerEntry};
use crate::error::{Retry, Retryable as _};
use crate::kafka::{Coverage, Handle, OffsetRange, Outgoing};

/// How often the server is asked for its parts.
const LOOK: Duration = Duration::from_secs(5);

/// Entries of the ledger after which the old ones become one.
const ENTRIES: u32 = 2_000;
/// How long an entry of its own stays, in milliseconds: what looks at newly processed offsets looks back no further.
const KEPT: i64 = 3_600_000;

/// What a batch became.
pub(super) struct Work {
    pub(super) coverage: Vec<Coverage>,
    pub(super) output: Output,
    /// Told when it is written; dropped without a word when it is not.
    pub(super) done: oneshot::Sender<()>,
}

pub(super) struct Writer {
    pub(super) stage: String,
    pub(super) ledger: Ledger,
    pub(super) services: Services,
    pub(super) consumer: Handle,
    pub(super) pace: Pace,
    pub(super) cancel: CancellationToken,
    pub(super) looked: Option<Instant>,
    /// Entries made by partition since its old ones became one.
    pub(super) entered: HashMap<(String, i32), u32>,
}

impl Writer {
    /// Writes until there is no more work, or some seconds after the cancellation.
    pub(super) async fn run(mut self, mut work: mpsc::Receiver<Work>) -> Result<(), Error> {
        while let Some(next) = work.recv().await {
            let started = Instant::now();
            if !self.write(&next).await? {
                // Cancelled: whoever comes next does the batch again.
                return Ok(());
            }
            let took = started.elapsed();
            self.services.metrics.finished(&self.stage, &next.coverage, took.as_secs_f64());
            self.pace.wrote(took);
            self.look_at_parts(&next.output).await;
            self.consumer.set_age(self.pace.age());
            let ranges: Vec<_> = next.coverage.into_iter().map(|coverage| coverage.range).collect();
            self.thin_out(&ranges).await;
            if let Err(error) = self.consumer.commit(&ranges) {
                warn!(stage = self.stage, %error, "the group's offsets lag behind the ledger");
            }
            // Whoever does not wait for it has dropped the other end.
            let _ = next.done.send(());
        }
        Ok(())
    }

    /// Steps 1 to 3 for one output, each repeated until it is done; false when cancelled before. An error that another
    /// try may cure is left to the next owner.
    async fn write(&self, work: &Work) -> Result<bool, Error> {
        let seed = work.coverage.first().map_or(0, |coverage| coverage.range.from.unsigned_abs());
        let backoff = || Backoff::new(Duration::from_millis(50), Duration::from_secs(5), seed);
        let told = |error: &Error, pause| warn!(stage = self.stage, %error, ?pause, "trying again");
        let entries = entries(work);
        let all = async {
            // Apart from the inserts, so that an engine that is away for long does not multiply the records.
            until_done(&self.cancel, backoff(), told, || self.send(&work.output.records)).await?;
            until_done(&self.cancel, backoff(), told, || async {
                for insert in &work.output.inserts {
                    self.services.clickhouse.insert(insert).await?;
                }
                self.ledger.enter(&entries, self.services.clock.now()).await?;
                Ok(())
            })
            .await
        };
        match unless_late(&self.cancel, LATE, all).await {
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

fn entries(work: &Work) -> Vec<LedgerEntry> {
    work.coverage
        .iter()
        .map(|coverage| {
            let tally = work.output.tallies.get(&coverage.range.partition).copied().unwrap_or_default();
            LedgerEntry { coverage: coverage.clone(), rows: tally.rows, rejected: tally.rejected }
        })
        .collect()
}
