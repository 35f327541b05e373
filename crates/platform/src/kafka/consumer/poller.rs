//! The thread that polls.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::bulk::{Bulk, Received};
use super::context::{Change, Changes, Context, resume};
use super::demand::Demand;
use super::group::GroupWatch;
use super::progress::{Arrival, Progress, Standing};
use super::{Age, ConsumerOptions, Position, Spare};
use crate::error::{Retry, Retryable as _};
use crate::kafka::watermarks::watermarks;
use crate::kafka::{EndsInTime, Error, Headers, MessageBatch};

/// How long a poll waits when nothing is gathered.
const IDLE: Duration = Duration::from_millis(100);
/// The same while no partition is assigned.
const SOON: Duration = Duration::from_millis(10);
/// Messages taken between two looks at the clock.
const RUN: usize = 512;
/// How long a look at a partition's offsets may take.
const LOOK: Duration = Duration::from_secs(10);

pub(super) struct Poller {
    pub(super) inner: Arc<EndsInTime<BaseConsumer<Context>>>,
    pub(super) bulk: Bulk,
    pub(super) changes: Arc<Changes>,
    pub(super) demand: Arc<Demand>,
    pub(super) spare: Spare,
    /// How long the oldest gathered message waits at most.
    pub(super) age: Age,
    pub(super) options: ConsumerOptions,
    pub(super) grouped: bool,
    /// Looks for partitions that the group has forgotten.
    pub(super) group: Option<GroupWatch>,
    pub(super) gathered: MessageBatch,
    pub(super) since: Option<Instant>,
    pub(super) progress: Progress,
    /// Partitions whose positions are still to be compared with what the broker holds.
    pub(super) unchecked: Vec<i32>,
    pub(super) fault: Option<Error>,
    pub(super) sender: mpsc::Sender<Result<MessageBatch, Error>>,
    pub(super) stop: CancellationToken,
}

impl Poller {
    pub(super) fn run(mut self) {
        if !self.grouped
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
        self.look_at_group();
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
        self.serve();
        if self.is_broken() || self.is_full() {
            // Nothing may be added: wait for the receiver instead of the broker.
            self.demand.wait(Duration::from_millis(5));
            return;
        }
        // What is due is offered again every few milliseconds while the receiver is busy.
        let wait = match self.since {
            Some(since) => self.age.get().saturating_sub(since.elapsed()).max(Duration::from_millis(1)),
            // A rebalance is heard of between two waits, and one is near when there is nothing to read.
            None if self.progress.partitions().is_empty() => SOON,
            None => IDLE,
        };
        for turn in 0..RUN {
            match self.bulk.next(if turn == 0 { wait } else { Duration::ZERO }) {
                None => return,
                Some(Ok(message)) => self.take(&message),
                Some(Err(error)) => self.explain(error),
            }
            if self.is_full() || self.is_broken() {
                return;
            }
        }
    }

    /// Rebalances, and errors of the client as a whole.
    fn serve(&mut self) {
        let inner = Arc::clone(&self.inner);
        while let Some(polled) = inner.poll(Duration::ZERO) {
            match polled {
                // Messages are led elsewhere. One that came here may have been overtaken, so nothing of it may be written.
                Ok(message) => {
                    let (topic, partition) = (message.topic(), message.partition());
                    let reason = format!("a message of `{topic}` partition {partition} came out of turn: start again");
                    self.fault = Some(Error::Positions(reason));
                }
                Err(error) => self.explain(error),
            }
        }
        self.apply_changes();
    }

    fn is_full(&self) -> bool {
        let policy = self.options.batch;
        self.gathered.len() >= policy.rows || self.gathered.byte_len() >= policy.bytes
    }

    /// Whether an error for good waits to be told: what would be gathered meanwhile must not be processed.
    fn is_broken(&self) -> bool {
        self.fault.as_ref().is_some_and(|error| error.retry() == Retry::Never)
    }

    fn take(&mut self, message: &Received) {
        let (partition, offset) = (message.partition(), message.offset());
        let (timestamp, payload) = (message.timestamp(), message.payload());
        match self.progress.arrive(partition, offset, timestamp, payload) {
            Arrival::Known => {}
            Arrival::Foreign => {
                self.fault = Some(Error::Replaced { topic: self.options.topic.clone(), partition, offset });
            }
            Arrival::New { after } => {
                self.gathered.start(partition, after);
                let headers = if self.options.headers { message.headers() } else { Headers::new() };
                self.gathered.push(partition, offset, timestamp, payload, headers);
                self.since.get_or_insert_with(Instant::now);
            }
        }
    }

    fn apply_changes(&mut self) {
        for change in self.changes.take() {
            match change {
                Change::Assigned(resumed) => self.assigned(&resumed),
                Change::Revoked(partitions) => {
                    self.bulk.forget(&partitions);
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
    }

    /// Joins the group anew where partitions are nobody's: then everything is given out once more. Every member does so, the
    /// leader too, without whom the broker may see no reason for a round.
    fn look_at_group(&mut self) {
        let Some(group) = &mut self.group else { return };
        let topic = &self.options.topic;
        let partitions = group.unowned(&self.inner, topic);
        if partitions.is_empty() {
            return;
        }
        warn!(topic, ?partitions, "the group has given these partitions to nobody; joining it anew");
        self.inner.unsubscribe();
        if let Err(error) = self.inner.subscribe(&[topic]) {
            self.fault.get_or_insert(Error::Request { doing: format!("subscribe to `{topic}`"), error });
        }
    }

    fn offer(&mut self) -> bool {
        let Some(since) = self.since else { return !self.sender.is_closed() };
        if !self.is_full() && since.elapsed() < self.age.get() {
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
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let empty = spare.unwrap_or_else(|| MessageBatch::new(&self.options.topic, self.options.headers));
        place.send(Ok(std::mem::replace(&mut self.gathered, empty)));
        self.since = None;
        true
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
        self.inner.context().lead(&self.inner, &partitions);
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
            Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::FencedInstanceId) if self.is_fenced() => {
                self.fault = Some(Error::Fenced { topic: topic.clone() });
            }
            _ => {
                self.fault.get_or_insert(Error::Request { doing: format!("consume `{topic}`"), error });
            }
        }
    }

    /// Whether another process joined the group under our name.
    fn is_fenced(&self) -> bool {
        self.inner.client().fatal_error().is_some_and(|(code, _)| code == RDKafkaErrorCode::FencedInstanceId)
    }

    /// Compares positions with the offsets the broker holds, as not every broker refuses to read beyond a partition's
    /// end. A partition that cannot be looked at now is looked at again.
    fn check_positions(&mut self) {
        let topic = self.options.topic.clone();
        let unchecked = std::mem::take(&mut self.unchecked);
        let Ok(found) = watermarks(&self.inner, &topic, &unchecked, LOOK) else {
            self.unchecked = unchecked;
            return;
        };
        for (partition, ends) in found {
            let Ok((low, end)) = ends else {
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
