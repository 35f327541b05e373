//! A consumer that resumes where *we* say, not where the group last committed.
//!
//! One thread per consumer polls librdkafka without a break, so that the group never thinks it dead, and hands batches
//! over a bounded channel. When the channel is full it pauses its partitions and goes on polling: memory stays bounded
//! under any lag, and a rebalance is answered at once.
//!
//! ```text
//! assigned ─► Positions::resume ─► seek ─► poll … poll ─► batch ─► channel ─► Consumer::next ─► (work) ─► ledger ─► commit
//! revoked  ─► what is gathered of the partition is forgotten; what is on its way is written once more by the next owner
//!             at the same positions, which changes nothing
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Error, Kind, MessageBatch, OffsetRange, client};
use crate::config;

/// Where a partition is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The first record that is kept.
    Beginning,
    /// After the last record there is now.
    End,
    /// This offset.
    At(i64),
    /// What the group committed; the beginning when it never did.
    Committed,
}

/// Says where to resume. Called on the consumer's own thread, which may block.
pub trait Positions: Send + Sync + 'static {
    /// One position for each of `partitions`, in their order.
    fn resume(&self, topic: &str, partitions: &[i32]) -> Result<Vec<Position>, Error>;
}

impl<F> Positions for F
where
    F: Fn(&str, &[i32]) -> Result<Vec<Position>, Error> + Send + Sync + 'static,
{
    fn resume(&self, topic: &str, partitions: &[i32]) -> Result<Vec<Position>, Error> {
        self(topic, partitions)
    }
}

/// When gathered messages become a batch: whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct BatchPolicy {
    /// Messages.
    pub rows: usize,
    /// Bytes of payload.
    pub bytes: usize,
    /// Age of the oldest gathered message.
    pub age: Duration,
}

impl Default for BatchPolicy {
    fn default() -> Self {
        Self { rows: 50_000, bytes: 16 << 20, age: Duration::from_millis(40) }
    }
}

/// What to consume.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// The topic.
    pub topic: String,
    /// Consumer group that shares the partitions; absent: this consumer reads all of them.
    pub group: Option<String>,
    /// Whether headers are copied.
    pub headers: bool,
    /// When a batch is full.
    pub batch: BatchPolicy,
}

/// Receives batches of one topic. Dropping it leaves the group.
pub struct Consumer {
    batches: mpsc::Receiver<Result<MessageBatch, Error>>,
    inner: Arc<BaseConsumer<Context>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
    grouped: bool,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("grouped", &self.grouped).finish_non_exhaustive()
    }
}

impl Consumer {
    /// Starts consuming; ends when `cancel` fires or the consumer is dropped.
    pub fn start(
        settings: &config::Kafka,
        options: ConsumerOptions,
        positions: Arc<dyn Positions>,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let mut config = client(settings, Kind::Consumer);
        config
            .set("group.id", options.group.as_deref().unwrap_or("driftmill-readers"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "1000")
            .set("max.poll.interval.ms", "300000")
            .set("fetch.error.backoff.ms", "100")
            // The default of a second is how long a drained queue stays empty.
            .set("fetch.queue.backoff.ms", "20")
            .set("queued.max.messages.kbytes", "32768")
            .set("queued.min.messages", "100000");
        let shared = Arc::new(Shared::default());
        let context =
            Context { topic: options.topic.clone(), positions: Arc::clone(&positions), shared: Arc::clone(&shared) };
        let inner: Arc<BaseConsumer<Context>> = Arc::new(config.create_with_context(context).map_err(Error::client)?);
        let grouped = options.group.is_some();
        if grouped {
            inner.subscribe(&[&options.topic]).map_err(Error::request(format!("subscribe to `{}`", options.topic)))?;
        }
        let stop = cancel.child_token();
        let (sender, batches) = mpsc::channel(2);
        let poller = Poller {
            inner: Arc::clone(&inner),
            shared,
            gathered: MessageBatch::new(&options.topic, options.headers),
            since: None,
            paused: false,
            fault: None,
            options,
            sender,
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || poller.run(positions.as_ref()))
            .map_err(|e| Error::Positions(format!("the consumer's thread does not start: {e}")))?;
        Ok(Self { batches, inner, stop, thread: Some(thread), grouped })
    }

    /// The next batch; `None` after cancellation. An error that is not for good is followed by more batches.
    pub async fn next(&mut self) -> Option<Result<MessageBatch, Error>> {
        self.batches.recv().await
    }

    /// Tells the group how far the ranges reach. Nothing resumes from it where a ledger exists: it is for lag tools.
    pub fn commit(&self, ranges: &[OffsetRange]) -> Result<(), Error> {
        if !self.grouped || ranges.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(ranges.len());
        for range in ranges {
            list.add_partition_offset(&range.topic, range.partition, Offset::Offset(range.to))
                .map_err(Error::request("commit"))?;
        }
        self.inner.commit(&list, CommitMode::Async).map_err(Error::request("commit"))
    }

    /// Stops and leaves the group.
    pub async fn close(mut self) {
        self.stop.cancel();
        // A thread that waits for room in the channel sees that there is no receiver any more.
        self.batches.close();
        let (thread, inner) = (self.thread.take(), Arc::clone(&self.inner));
        drop(self);
        // Joining blocks, and so does the last reference to the client, which leaves the group when it goes.
        let ended = tokio::task::spawn_blocking(move || {
            let joined = thread.map_or(Ok(()), JoinHandle::join);
            drop(inner);
            joined
        });
        if !matches!(ended.await, Ok(Ok(()))) {
            warn!("the consumer's thread panicked");
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Default)]
struct Shared {
    assigned: AtomicBool,
    revoked: Mutex<Vec<i32>>,
    fault: Mutex<Option<Error>>,
}

struct Context {
    topic: String,
    positions: Arc<dyn Positions>,
    shared: Arc<Shared>,
}

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let partitions: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
        let outcome = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            info!(topic = self.topic, ?partitions, "partitions assigned");
            resume(list, &self.topic, &partitions, self.positions.as_ref()).and_then(|()| {
                let assigned = if cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) };
                self.shared.assigned.store(true, Ordering::SeqCst);
                assigned.map_err(Error::request("assign"))
            })
        } else {
            info!(topic = self.topic, ?partitions, "partitions revoked");
            lock(&self.shared.revoked).extend(&partitions);
            let removed = if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() };
            removed.map_err(Error::request("unassign"))
        };
        if let Err(error) = outcome {
            lock(&self.shared.fault).get_or_insert(error);
        }
    }
}

fn resume(
    list: &mut TopicPartitionList,
    topic: &str,
    partitions: &[i32],
    positions: &dyn Positions,
) -> Result<(), Error> {
    let found = positions.resume(topic, partitions)?;
    for (&partition, position) in partitions.iter().zip(found) {
        let offset = match position {
            Position::Beginning => Offset::Beginning,
            Position::End => Offset::End,
            Position::At(offset) => Offset::Offset(offset),
            Position::Committed => Offset::Stored,
        };
        debug!(topic, partition, ?position, "resuming");
        list.set_partition_offset(topic, partition, offset).map_err(Error::request("resume"))?;
    }
    Ok(())
}

struct Poller {
    inner: Arc<BaseConsumer<Context>>,
    shared: Arc<Shared>,
    options: ConsumerOptions,
    gathered: MessageBatch,
    since: Option<Instant>,
    paused: bool,
    fault: Option<Error>,
    sender: mpsc::Sender<Result<MessageBatch, Error>>,
    stop: CancellationToken,
}

const IDLE: Duration = Duration::from_millis(100);

impl Poller {
    fn run(mut self, positions: &dyn Positions) {
        if self.options.group.is_none()
            && let Err(error) = self.assign_all(positions)
        {
            let _ = self.sender.blocking_send(Err(error));
            return;
        }
        while !self.stop.is_cancelled() {
            if !self.turn() {
                break;
            }
        }
        self.inner.unsubscribe();
    }

    /// One poll and what follows from it; false when nobody listens any more.
    fn turn(&mut self) -> bool {
        // What is due is offered again every few milliseconds while the receiver is busy.
        let wait = match self.since {
            Some(since) => self.options.batch.age.saturating_sub(since.elapsed()).max(Duration::from_millis(1)),
            None => IDLE,
        };
        let fault = match self.inner.poll(wait) {
            None => None,
            Some(Ok(message)) => {
                self.gathered.push_message(&message);
                self.since.get_or_insert_with(Instant::now);
                None
            }
            Some(Err(error)) => self.explain(error),
        };
        let revoked = std::mem::take(&mut *lock(&self.shared.revoked));
        if !revoked.is_empty() {
            self.gathered.forget(&revoked);
            if self.gathered.is_empty() {
                self.since = None;
            }
        }
        let fault = fault.or_else(|| lock(&self.shared.fault).take());
        // Not every broker refuses to read beyond a partition's end, so we look ourselves.
        let assigned = self.shared.assigned.swap(false, Ordering::SeqCst);
        let fault = fault.or_else(|| assigned.then(|| self.check_positions()).flatten());
        // Kept until the receiver has room: waiting for it here would stop the polling.
        self.fault = self.fault.take().or(fault);
        if let Some(error) = self.fault.take() {
            match self.sender.try_send(Err(error)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(Err(error))) => self.fault = Some(error),
                Err(_) => return false,
            }
        }
        self.offer()
    }

    fn offer(&mut self) -> bool {
        let Some(since) = self.since else { return !self.sender.is_closed() };
        let policy = self.options.batch;
        let full = self.gathered.len() >= policy.rows || self.gathered.byte_len() >= policy.bytes;
        if !full && since.elapsed() < policy.age {
            return true;
        }
        if self.sender.is_closed() {
            return false;
        }
        let Ok(place) = self.sender.try_reserve() else {
            if full {
                self.set_paused(true);
            }
            return true;
        };
        let empty = MessageBatch::new(&self.options.topic, self.options.headers);
        place.send(Ok(std::mem::replace(&mut self.gathered, empty)));
        self.since = None;
        self.set_paused(false);
        true
    }

    fn set_paused(&mut self, paused: bool) {
        // While paused the flag alone is not enough: partitions that were assigned meanwhile are not paused yet.
        if self.paused == paused && !paused {
            return;
        }
        let Ok(assignment) = self.inner.assignment() else { return };
        let outcome = if paused { self.inner.pause(&assignment) } else { self.inner.resume(&assignment) };
        if outcome.is_ok() {
            self.paused = paused;
        }
    }

    fn assign_all(&self, positions: &dyn Positions) -> Result<(), Error> {
        let topic = &self.options.topic;
        let metadata = self
            .inner
            .fetch_metadata(Some(topic), Duration::from_secs(10))
            .map_err(Error::request(format!("look at topic `{topic}`")))?;
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        let partitions: Vec<i32> = found.map(|t| t.partitions().iter().map(|p| p.id()).collect()).unwrap_or_default();
        if partitions.is_empty() {
            return Err(Error::NoTopic(topic.clone()));
        }
        self.shared.assigned.store(true, Ordering::SeqCst);
        let mut list = TopicPartitionList::new();
        for &partition in &partitions {
            list.add_partition(topic, partition);
        }
        resume(&mut list, topic, &partitions, positions)?;
        self.inner.assign(&list).map_err(Error::request("assign"))
    }

    /// Sorts librdkafka's errors: what passes by itself is logged, what the owner must know is returned.
    fn explain(&self, error: KafkaError) -> Option<Error> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => self.check_positions(),
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::PartitionEOF
                | RDKafkaErrorCode::UnknownTopicOrPartition,
            ) => {
                debug!(topic = self.options.topic, %error, "Kafka is away; librdkafka goes on trying");
                None
            }
            _ => Some(Error::Request { doing: format!("consume `{}`", self.options.topic), error }),
        }
    }

    /// Looks whether a position lies outside of the topic: before its beginning, records were lost to retention, and we
    /// go on after them; beyond its end, the topic is another one than the ledger knows.
    fn check_positions(&self) -> Option<Error> {
        let topic = &self.options.topic;
        let assignment = match self.inner.assignment() {
            Ok(assignment) => assignment,
            Err(error) => return Some(Error::Request { doing: format!("consume `{topic}`"), error }),
        };
        let partitions: Vec<i32> = assignment.elements().iter().map(|e| e.partition()).collect();
        let wanted = match self.inner.context().positions.resume(topic, &partitions) {
            Ok(wanted) => wanted,
            Err(error) => return Some(error),
        };
        for (&partition, position) in partitions.iter().zip(wanted) {
            let Position::At(wanted) = position else { continue };
            let Ok((low, end)) = self.inner.fetch_watermarks(topic, partition, Duration::from_secs(10)) else {
                continue;
            };
            if wanted > end {
                return Some(Error::Recreated { topic: topic.clone(), partition, wanted, end });
            }
            if wanted < low {
                warn!(
                    topic,
                    partition,
                    lost = low - wanted,
                    "records were deleted before they were read; going on after them"
                );
                if let Err(e) = self.inner.seek(topic, partition, Offset::Offset(low), Duration::from_secs(10)) {
                    return Some(Error::Request { doing: format!("seek in `{topic}`"), error: e });
                }
            }
        }
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
