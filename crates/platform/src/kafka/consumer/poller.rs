//! The thread that polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::context::{Change, Changes, Context, resume};
use super::demand::Demand;
use super::progress::{Arrival, Progress, Standing};
use super::{ConsumerOptions, Position};
use crate::error::{Retry, Retryable as _};
use crate::kafka::{Error, MessageBatch};

/// How long a poll waits when nothing is gathered.
const IDLE: Duration = Duration::from_millis(100);
/// Messages taken between two looks at the clock.
const RUN: usize = 512;
/// How long a full batch may wait before the partitions are paused. Pausing throws away what librdkafka has fetched, so a
/// receiver that is merely busy does not cause it; polling must not stop for longer, or a rebalance would wait for us.
const PAUSE_AFTER: Duration = Duration::from_secs(1);
/// How long a look at a partition's offsets may take.
const LOOK: Duration = Duration::from_secs(10);

pub(super) struct Poller {
    pub(super) inner: Arc<BaseConsumer<Context>>,
    pub(super) changes: Arc<Changes>,
    pub(super) demand: Arc<Demand>,
    /// Microseconds that the oldest gathered message waits at most.
    pub(super) age: Arc<AtomicU64>,
    pub(super) options: ConsumerOptions,
    pub(super) gathered: MessageBatch,
    pub(super) since: Option<Instant>,
    pub(super) full_since: Option<Instant>,
    pub(super) progress: Progress,
    /// Partitions whose positions are still to be compared with what the broker holds.
    pub(super) unchecked: Vec<i32>,
    pub(super) paused: bool,
    pub(super) fault: Option<Error>,
    pub(super) sender: mpsc::Sender<Result<MessageBatch, Error>>,
    pub(super) stop: CancellationToken,
}

impl Poller {
    pub(super) fn run(mut self) {
        if self.options.group.is_none()
            && let Err(error) = self.assign_all()
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

    /// Some polls and what follows from them; false when nobody listens any more, or nothing more may be read.
    fn turn(&mut self) -> bool {
        self.gather();
        if !self.unchecked.is_empty() {
            self.check_positions();
        }
        // Kept until the receiver has room: waiting for it here would stop the polling.
        if let Some(error) = self.fault.take() {
            let for_good = error.retry() == Retry::Never;
            match self.sender.try_send(Err(error)) {
                Ok(()) if for_good => return false,
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(Err(error))) => self.fault = Some(error),
                Err(_) => return false,
            }
        }
        self.offer()
    }

    fn gather(&mut self) {
        if self.is_broken() || (self.is_full() && !self.paused) {
            // Nothing may be added: wait for the receiver instead of the broker.
            self.demand.wait(Duration::from_millis(5));
            if !self.paused_for_long() {
                return;
            }
        }
        // What is due is offered again every few milliseconds while the receiver is busy.
        let wait = match self.since {
            Some(since) => self.age().saturating_sub(since.elapsed()).max(Duration::from_millis(1)),
            None => IDLE,
        };
        let inner = Arc::clone(&self.inner);
        for turn in 0..RUN {
            let polled = inner.poll(if turn == 0 { wait } else { Duration::ZERO });
            // First of all: the message may belong to a partition that has just come, or come back.
            self.apply_changes();
            match polled {
                None => return,
                Some(Ok(message)) => self.take(&message),
                Some(Err(error)) => self.explain(error),
            }
            if self.is_full() || self.is_broken() {
                return;
            }
        }
    }

    fn age(&self) -> Duration {
        Duration::from_micros(self.age.load(Ordering::Relaxed))
    }

    fn is_full(&self) -> bool {
        let policy = self.options.batch;
        self.gathered.len() >= policy.rows || self.gathered.byte_len() >= policy.bytes
    }

    /// Whether an error for good waits to be told: what would be gathered meanwhile must not be processed.
    fn is_broken(&self) -> bool {
        self.fault.as_ref().is_some_and(|error| error.retry() == Retry::Never)
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let (partition, offset) = (message.partition(), message.offset());
        let timestamp = message.timestamp().to_millis().unwrap_or_default();
        match self.progress.arrive(partition, offset, timestamp, message.payload().unwrap_or_default()) {
            Arrival::Known => {}
            Arrival::Foreign => {
                self.fault = Some(Error::Replaced { topic: self.options.topic.clone(), partition, offset });
            }
            Arrival::New { after } => {
                self.gathered.start(partition, after);
                self.gathered.push_message(message);
                self.since.get_or_insert_with(Instant::now);
            }
        }
    }

    fn apply_changes(&mut self) {
        for change in self.changes.take() {
            match change {
                Change::Assigned(resumed) => self.assigned(&resumed),
                Change::Revoked(partitions) => {
                    self.gathered.forget(&partitions);
                    if self.gathered.covers_nothing() {
                        self.since = None;
                    }
                    self.unchecked.retain(|partition| !partitions.contains(partition));
                    partitions.into_iter().for_each(|partition| self.progress.revoke(partition));
                }
                Change::Failed(error) => {
                    self.fault.get_or_insert(error);
                }
            }
        }
    }

    fn assigned(&mut self, resumed: &[(i32, Position)]) {
        for &(partition, position) in resumed {
            self.progress.assign(partition, position);
            self.unchecked.push(partition);
        }
        if self.paused {
            // What came is not paused yet.
            self.paused = false;
            self.set_paused(true);
        }
    }

    fn offer(&mut self) -> bool {
        let Some(since) = self.since else { return !self.sender.is_closed() };
        let full = self.is_full();
        if !full {
            self.full_since = None;
        }
        if !full && since.elapsed() < self.age() {
            return true;
        }
        if self.sender.is_closed() {
            return false;
        }
        if self.is_broken() || !self.demand.is_asked() {
            return true;
        }
        let Ok(place) = self.sender.try_reserve() else { return true };
        self.demand.answered();
        let empty = MessageBatch::new(&self.options.topic, self.options.headers);
        place.send(Ok(std::mem::replace(&mut self.gathered, empty)));
        self.since = None;
        self.full_since = None;
        self.set_paused(false);
        true
    }

    /// Whether the partitions are paused, which they become when a full batch has waited for long.
    fn paused_for_long(&mut self) -> bool {
        if !self.paused && self.full_since.get_or_insert_with(Instant::now).elapsed() >= PAUSE_AFTER {
            self.set_paused(true);
        }
        self.paused
    }

    fn set_paused(&mut self, paused: bool) {
        if self.paused == paused {
            return;
        }
        let Ok(assignment) = self.inner.assignment() else { return };
        let outcome = if paused { self.inner.pause(&assignment) } else { self.inner.resume(&assignment) };
        if outcome.is_ok() {
            self.paused = paused;
        }
    }

    fn assign_all(&mut self) -> Result<(), Error> {
        let topic = &self.options.topic;
        let metadata =
            self.inner.fetch_metadata(Some(topic), LOOK).map_err(Error::request(format!("look at topic `{topic}`")))?;
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        let partitions: Vec<i32> = found.map(|t| t.partitions().iter().map(|p| p.id()).collect()).unwrap_or_default();
        if partitions.is_empty() {
            return Err(Error::NoTopic(topic.clone()));
        }
        let mut list = TopicPartitionList::new();
        for &partition in &partitions {
            list.add_partition(topic, partition);
        }
        let resumed = resume(&mut list, topic, &partitions, self.inner.context().positions.as_ref())?;
        self.inner.assign(&list).map_err(Error::request("assign"))?;
        self.assigned(&resumed);
        Ok(())
    }

    /// Sorts librdkafka's errors: what passes by itself is logged, what the owner must know is kept.
    fn explain(&mut self, error: KafkaError) {
        let topic = &self.options.topic;
        match error.rdkafka_error_code() {
            // It does not say which partition.
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.unchecked = self.progress.partitions();
            }
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::PartitionEOF
                | RDKafkaErrorCode::UnknownTopicOrPartition,
            ) => debug!(topic, %error, "Kafka is away; librdkafka goes on trying"),
            _ => {
                self.fault.get_or_insert(Error::Request { doing: format!("consume `{topic}`"), error });
            }
        }
    }

    /// Compares positions with the offsets the broker holds, as not every broker refuses to read beyond a partition's
    /// end. A partition that cannot be looked at now is looked at again.
    fn check_positions(&mut self) {
        let topic = self.options.topic.clone();
        for partition in std::mem::take(&mut self.unchecked) {
            let Ok((low, end)) = self.inner.fetch_watermarks(&topic, partition, LOOK) else {
                self.unchecked.push(partition);
                continue;
            };
            let seek = match self.progress.compare(partition, low, end) {
                Standing::Inside => {
                    self.progress.begin(partition, low);
                    continue;
                }
                Standing::Unmarked(next) => next,
                Standing::Beyond(wanted) => {
                    self.fault = Some(Error::Recreated { topic: topic.clone(), partition, wanted, end });
                    return;
                }
                Standing::Lost { from, to } => {
                    let lost = to - from;
                    error!(
                        topic,
                        partition, from, to, lost, "records were deleted before they were read: they are lost"
                    );
                    self.gathered.lose(partition, from, to);
                    self.since.get_or_insert_with(Instant::now);
                    to
                }
            };
            if let Err(error) = self.inner.seek(&topic, partition, Offset::Offset(seek), LOOK) {
                warn!(topic, partition, %error, "cannot go on from there yet");
                self.unchecked.push(partition);
            }
        }
    }
}
