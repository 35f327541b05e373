//! Runs a stage over a topic, exactly once in effect.
//!
//! ```text
//! batch ─► Stage::process ─► 1. records sent and acknowledged ─► 2. inserts acknowledged ─► 3. ledger ─► 4. group commit
//! ```
//! A crash before 3 repeats the batch from its first offset. What 1 and 2 did is done again with the same positions:
//! rows replace themselves, records carry the position they are about. A crash after 3 repeats nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::backoff::{Backoff, until_done};
use crate::clickhouse::{self, ClickHouse, InsertBody, Ledger, LedgerEntry};
use crate::clock::SharedClock;
use crate::config;
use crate::error::{Retry, Retryable};
use crate::kafka::{
    self, BatchPolicy, Consumer, ConsumerOptions, MessageBatch, OffsetRange, Outgoing, Position, Positions, Producer,
};

/// Why a stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// ClickHouse.
    #[error(transparent)]
    ClickHouse(#[from] clickhouse::Error),
    /// The stage itself cannot go on.
    #[error("stage `{stage}`: {reason}")]
    Stage {
        /// The stage.
        stage: String,
        /// Why.
        reason: String,
    },
    /// Something the stage needs is away.
    #[error("stage `{stage}` waits: {reason}")]
    Waiting {
        /// The stage.
        stage: String,
        /// For what.
        reason: String,
    },
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Kafka(e) => e.retry(),
            Self::ClickHouse(e) => e.retry(),
            Self::Stage { .. } => Retry::Never,
            Self::Waiting { .. } => Retry::Later,
        }
    }
}

/// What became of the messages of one partition of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows written.
    pub rows: u64,
    /// Dead letters written.
    pub rejected: u64,
}

/// What a stage made of a batch.
#[derive(Debug, Default)]
pub struct Output {
    /// Records to send: topic and record.
    pub records: Vec<(String, Outgoing)>,
    /// Inserts to make, in order.
    pub inserts: Vec<InsertBody>,
    /// Per partition.
    pub tallies: BTreeMap<i32, Tally>,
}

/// Turns batches of one topic into output.
#[async_trait]
pub trait Stage: Send {
    /// Name in the ledger, the logs and the consumer group; never changes.
    fn name(&self) -> &str;

    /// Makes output of a batch. The same batch must give the same rows at the same positions, however often it comes.
    /// An error that says `Later` is tried again with the same batch.
    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error>;
}

/// Names exactly these bytes of these offsets of this stage, so that a repeated insert of them is recognised. The bytes
/// count too: another build or pipeline file may make other rows of the same offsets, and the server drops an insert whose
/// token it knows without looking at it.
pub fn token(stage: &str, ranges: &[OffsetRange], body: &[u8]) -> String {
    let mut hash = DefaultHasher::new();
    hash.write(body);
    let mut token = format!("{stage} {:016x}", hash.finish());
    for range in ranges {
        token.push_str(&format!(" {}:{}-{}", range.partition, range.from, range.to));
    }
    token
}

/// What a runner needs.
#[derive(Debug, Clone)]
pub struct Services {
    /// How to reach Kafka.
    pub kafka: config::Kafka,
    /// Where inserts go and the ledger is.
    pub clickhouse: ClickHouse,
    /// Sends records.
    pub producer: Producer,
    /// Time of ledger entries.
    pub clock: SharedClock,
}

/// Consumes `topic` with `stage` until `cancel` fires, then finishes the batch in hand.
pub async fn run(
    mut stage: impl Stage,
    topic: &str,
    headers: bool,
    batch: BatchPolicy,
    services: Services,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let ledger = Ledger::new(services.clickhouse.clone(), stage.name());
    let options =
        ConsumerOptions { topic: topic.to_owned(), group: Some(format!("driftmill.{}", stage.name())), headers, batch };
    let positions = Arc::new(LedgerPositions { ledger: ledger.clone(), runtime: Handle::current() });
    let mut consumer = Consumer::start(&services.kafka, options, positions, &cancel)?;
    info!(stage = stage.name(), topic, "running");
    while let Some(next) = consumer.next().await {
        let batch = match next {
            Ok(batch) => batch,
            Err(error) if error.retry() == Retry::Later => {
                warn!(stage = stage.name(), %error, "Kafka complains; going on");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if !work(&mut stage, &batch, &ledger, &services, &cancel).await? {
            // Cancelled: the batch is done again by whoever comes next.
            break;
        }
        if let Err(error) = consumer.commit(&batch.ranges()) {
            warn!(stage = stage.name(), %error, "the group's offsets lag behind the ledger");
        }
    }
    consumer.close().await;
    if !cancel.is_cancelled() {
        return Err(kafka::Error::Ended.into());
    }
    info!(stage = stage.name(), "stopped");
    Ok(())
}

/// Steps 1 to 3 for one batch, each repeated until it is done; false when cancelled before.
async fn work(
    stage: &mut impl Stage,
    batch: &MessageBatch,
    ledger: &Ledger,
    services: &Services,
    cancel: &CancellationToken,
) -> Result<bool, Error> {
    let name = stage.name().to_owned();
    let mut backoff = backoff(batch);
    let output = loop {
        let Some(processed) = unless_late(cancel, stage.process(batch)).await else { return Ok(false) };
        match processed {
            Ok(output) => break output,
            Err(error) if error.retry() == Retry::Later => {
                let pause = backoff.pause();
                warn!(stage = name, %error, ?pause, "trying again");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = cancel.cancelled() => return Ok(false),
                }
            }
            Err(error) => return Err(error),
        }
    };
    let tallies = output.tallies;
    let entries: Vec<LedgerEntry> = batch
        .ranges()
        .into_iter()
        .map(|range| {
            let tally = tallies.get(&range.partition).copied().unwrap_or_default();
            LedgerEntry { range, rows: tally.rows, rejected: tally.rejected }
        })
        .collect();
    let told = |error: &Error, pause| warn!(stage = name, %error, ?pause, "trying again");
    // Apart from the inserts, so that an engine that is away for long does not multiply the records.
    let sending = until_done(cancel, self::backoff(batch), told, || send(&services.producer, &output.records));
    let Some(sent) = unless_late(cancel, sending).await else { return Ok(false) };
    if let Err(error) = sent {
        return if error.retry() == Retry::Later { Ok(false) } else { Err(error) };
    }
    let making = until_done(cancel, self::backoff(batch), told, || async {
        for insert in &output.inserts {
            services.clickhouse.insert(insert).await?;
        }
        ledger.enter(&entries, services.clock.now()).await?;
        Ok(())
    });
    match unless_late(cancel, making).await {
        None => Ok(false),
        Some(made) => finished(made),
    }
}

/// Whether a batch is done: an error that another try may cure is the next owner's.
fn finished(made: Result<(), Error>) -> Result<bool, Error> {
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.retry() == Retry::Later => Ok(false),
        Err(error) => Err(error),
    }
}

/// Awaits `work`, for some seconds more after `cancel` fires; then it is given up, which is safe: it is repeatable.
async fn unless_late<T>(cancel: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    let late = async {
        cancel.cancelled().await;
        tokio::time::sleep(LATE).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = late => None,
    }
}

/// How long work in hand may take after a stop was asked for.
const LATE: Duration = Duration::from_secs(2);

async fn send(producer: &Producer, records: &[(String, Outgoing)]) -> Result<(), Error> {
    let mut acknowledgements = Vec::with_capacity(records.len());
    for (topic, record) in records {
        acknowledgements.push(producer.start(topic, record.clone()).await?);
    }
    for acknowledgement in acknowledgements {
        acknowledgement.wait().await?;
    }
    Ok(())
}

// The seed differs between batches and is the same for the same batch, like everything a batch leads to.
fn backoff(batch: &MessageBatch) -> Backoff {
    let seed = batch.offsets().first().copied().unwrap_or_default().unsigned_abs();
    Backoff::new(Duration::from_millis(50), Duration::from_secs(5), seed)
}

struct LedgerPositions {
    ledger: Ledger,
    runtime: Handle,
}

impl Positions for LedgerPositions {
    // Called on the consumer's own thread, so blocking here stops no task.
    fn resume(&self, topic: &str, partitions: &[i32]) -> Result<Vec<Position>, kafka::Error> {
        let patience = Duration::from_secs(60);
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2), 1);
        let started = tokio::time::Instant::now();
        loop {
            match self.runtime.block_on(self.ledger.resume(topic, partitions)) {
                Ok(positions) => return Ok(positions),
                Err(error) if error.retry() == Retry::Later && started.elapsed() < patience => {
                    std::thread::sleep(backoff.pause());
                }
                Err(error) => return Err(kafka::Error::Positions(error.to_string())),
            }
        }
    }
}
