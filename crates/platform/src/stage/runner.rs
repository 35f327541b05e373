//! Consumes a topic with a stage.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::finished::Finished;
use super::pace::Pace;
use super::streaming::Pieces;
use super::writer::{Work, Writer};
use super::{Error, Output, Reading, Services, Stage, Streaming};
use crate::backoff::{Backoff, unless_late};
use crate::clickhouse::Ledger;
use crate::error::{Retry, Retryable as _};
use crate::kafka::{self, Age, BatchPolicy, Consumer, ConsumerOptions, MessageBatch, Position, Positions};

/// How long work in hand may take after a stop was asked for. Then it is given up, which is safe: it is repeatable.
pub(super) const LATE: Duration = Duration::from_secs(2);

/// A member that was fenced joins anew so many times in a row. It happens to a lone member too, when the answer to its
/// joining is lost; two processes of one name fence each other every time.
const FENCINGS: u32 = 3;
/// A member that was not fenced for so long is not fenced in a row.
const CALM: Duration = Duration::from_secs(60);

/// How messages get to a stage, and what it makes of them to the writer.
pub(super) trait Feed: Send {
    /// Name of the stage.
    fn name(&self) -> &str;

    /// How messages are gathered for it.
    fn gathering(&self) -> BatchPolicy;

    /// What is to follow the pace of writing.
    fn paced(&self, consumer: &kafka::Handle) -> Age;

    /// Hands outputs to the writer until the consumer or the writer ends.
    fn feed(
        &mut self,
        consumer: &mut Consumer,
        writer: mpsc::Sender<Work>,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Consumes a topic with `stage` until `cancel` fires, then finishes what is in hand.
pub async fn run(
    stage: impl Stage,
    reading: Reading,
    services: Services,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let feed = Batches { stage, batch: reading.batch, cancel: cancel.clone() };
    members(feed, reading, services, cancel).await
}

/// Consumes a topic with a streaming stage until `cancel` fires; what is written by then is entered, and what is not is left
/// to whoever comes next.
pub async fn stream(
    stage: impl Streaming,
    reading: Reading,
    services: Services,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let age = Age::new(reading.batch.age);
    let feed = Pieces { stage, enough: reading.batch.bytes, age, cancel: cancel.clone() };
    members(feed, reading, services, cancel).await
}

/// Consumes a topic as one member of its group after the other.
async fn members(
    mut feed: impl Feed,
    reading: Reading,
    services: Services,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let mut fencings = 0;
    loop {
        let since = Instant::now();
        match run_member(&mut feed, reading.clone(), services.clone(), cancel.clone()).await {
            Err(Error::Kafka(error @ kafka::Error::Fenced { .. })) => {
                fencings = if since.elapsed() < CALM { fencings + 1 } else { 1 };
                if fencings > FENCINGS {
                    return Err(error.into());
                }
                warn!(stage = feed.name(), %error, "joining the group anew");
            }
            outcome => return outcome,
        }
    }
}

/// Consumes a topic as one member of its group.
async fn run_member(
    feed: &mut impl Feed,
    reading: Reading,
    services: Services,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let name = feed.name().to_owned();
    let ledger = Ledger::new(services.clickhouse.clone(), name.clone());
    let Reading { topic, headers, batch, writes } = reading;
    let options = ConsumerOptions {
        topic: topic.clone(),
        group: Some(format!("driftmill.{name}")),
        headers,
        batch: feed.gathering(),
    };
    let positions =
        Arc::new(LedgerPositions { ledger: ledger.clone(), runtime: Handle::current(), cancel: cancel.clone() });
    let mut consumer = Consumer::start(&services.kafka, options, positions, &cancel)?;
    info!(stage = name, topic, "running");
    let (sender, receiver) = mpsc::channel(1);
    let writer = Writer {
        stage: name.clone(),
        ledger,
        services,
        age: feed.paced(&consumer.handle()),
        consumer: consumer.handle(),
        pace: Pace::new(batch.age, writes),
        cancel: cancel.clone(),
        looked: None,
        finished: Finished::default(),
        entered: HashMap::new(),
    };
    let writing = AbortOnDropHandle::new(tokio::spawn(writer.run(receiver)));
    let fed = feed.feed(&mut consumer, sender).await;
    // The sender is gone: the writer ends with what it has.
    let written = writing.await.unwrap_or_else(|panic| {
        Err(Error::Stage { stage: name.clone(), reason: format!("writing failed inside of Driftmill: {panic}") })
    });
    consumer.close().await;
    written.and(fed)?;
    if !cancel.is_cancelled() {
        return Err(kafka::Error::Ended.into());
    }
    info!(stage = name, "stopped");
    Ok(())
}

/// Tells of an error of the consumer's; one that is for good is returned.
pub(super) fn complain(stage: &str, error: kafka::Error) -> Result<(), Error> {
    match error.retry() {
        Retry::Later => warn!(stage, %error, "Kafka complains; going on"),
        Retry::Never => return Err(error.into()),
    }
    Ok(())
}

/// Feeds a stage one batch after the other, each when the one before is written.
struct Batches<S> {
    stage: S,
    batch: BatchPolicy,
    cancel: CancellationToken,
}

impl<S: Stage> Feed for Batches<S> {
    fn name(&self) -> &str {
        self.stage.name()
    }

    fn gathering(&self) -> BatchPolicy {
        self.batch
    }

    fn paced(&self, consumer: &kafka::Handle) -> Age {
        consumer.age()
    }

    async fn feed(&mut self, consumer: &mut Consumer, writer: mpsc::Sender<Work>) -> Result<(), Error> {
        loop {
            let batch = match consumer.next().await {
                None => return Ok(()),
                Some(Ok(batch)) => batch,
                Some(Err(error)) => {
                    complain(self.stage.name(), error)?;
                    continue;
                }
            };
            let Some(output) = process(&mut self.stage, &batch, &self.cancel).await? else { return Ok(()) };
            let (done, written) = oneshot::channel();
            let work = Work { coverage: batch.coverage(), output, done, entered_later: false };
            if writer.send(work).await.is_err() || written.await.is_err() {
                return Ok(());
            }
            consumer.recycle(batch);
        }
    }
}

/// The output of a batch; `None` when cancelled before there was one.
async fn process(
    stage: &mut impl Stage,
    batch: &MessageBatch,
    cancel: &CancellationToken,
) -> Result<Option<Output>, Error> {
    let name = stage.name().to_owned();
    // The seed differs between batches and is the same for the same batch, like everything a batch leads to.
    let seed = batch.offsets().first().copied().unwrap_or_default().unsigned_abs();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5), seed);
    loop {
        match unless_late(cancel, LATE, stage.process(batch)).await {
            None => return Ok(None),
            Some(Ok(output)) => return Ok(Some(output)),
            Some(Err(error)) if error.retry() == Retry::Never => return Err(error),
            Some(Err(error)) => {
                let pause = backoff.pause();
                warn!(stage = name, %error, ?pause, "trying again");
                if unless_late(cancel, Duration::ZERO, tokio::time::sleep(pause)).await.is_none() {
                    return Ok(None);
                }
            }
        }
    }
}

struct LedgerPositions {
    ledger: Ledger,
    runtime: Handle,
    cancel: CancellationToken,
}

impl Positions for LedgerPositions {
    // Called on the consumer's own thread, so blocking here stops no task. However long the ledger is away, there is nothing
    // better to do than to wait: without it nobody knows where to go on.
    fn resume(&self, topic: &str, partitions: &[i32]) -> Result<Vec<Position>, kafka::Error> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2), 1);
        loop {
            let asking = unless_late(&self.cancel, LATE, self.ledger.resume(topic, partitions));
            match self.runtime.block_on(asking).unwrap_or_else(|| Ok(Vec::new())) {
                Ok(positions) if positions.len() == partitions.len() => return Ok(positions),
                Ok(_) => return Err(kafka::Error::Ended),
                Err(error) if error.retry() == Retry::Later => {
                    if self.cancel.is_cancelled() {
                        return Err(kafka::Error::Ended);
                    }
                    let pause = backoff.pause();
                    warn!(topic, %error, ?pause, "waiting for the ledger");
                    std::thread::sleep(pause);
                }
                Err(error) => return Err(kafka::Error::Positions(error.to_string())),
            }
        }
    }
}
