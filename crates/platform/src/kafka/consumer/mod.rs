//! A consumer that resumes where *we* say, not where the group last committed.
//!
//! One thread per consumer polls librdkafka, so that the group never thinks it dead, and hands over what it gathered when
//! [`Consumer::next`] waits for it: while the receiver is busy the batch grows, up to its limits. Then it takes no more
//! messages, and librdkafka, whose queue is bounded too, fetches none; rebalances are answered all the while.
//!
//! ```text
//! assigned ─► Positions::resume ─► seek ─► poll … poll ─► batch ─► Consumer::next ─► (work) ─► ledger ─► commit
//! revoked  ─► what is gathered of the partition is forgotten; what is on its way is written once more by the next owner
//!             at the same positions, which changes nothing
//! ```

mod bulk;
mod context;
mod demand;
mod group;
#[cfg(test)]
mod in_force;
mod poller;
mod progress;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::bulk::Bulk;
use self::context::{Changes, Context};
use self::demand::Demand;
use self::group::GroupWatch;
use self::poller::Poller;
use self::progress::Progress;
use super::{EndsInTime, Error, Kind, MessageBatch, OffsetRange, client, customise};
use crate::config::{self, Membership};

/// Where a partition is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The first record that is kept.
    Beginning,
    /// After the last record there is now.
    End,
    /// This offset.
    At(i64),
    /// The offset after the message that was processed last, which [`mark`](super::mark) names: should another message be
    /// there now, the topic was made anew.
    After {
        /// The offset to go on with.
        next: i64,
        /// The mark of the message before it.
        mark: u64,
    },
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
        Self { rows: 50_000, bytes: 7 << 20, age: Duration::from_millis(20) }
    }
}

/// What to consume.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// The topic.
    pub topic: String,
    /// Consumer group that shares the partitions, unless this process is alone; absent: this consumer reads all of them.
    pub group: Option<String>,
    /// Whether headers are copied.
    pub headers: bool,
    /// When a batch is full.
    pub batch: BatchPolicy,
}

/// Empty batches with the memory of earlier ones.
type Spare = Arc<Mutex<Vec<MessageBatch>>>;

/// Batches kept for their memory: one that is gathered next, and one that waits to be.
const SPARE: usize = 2;

/// How long messages wait for company at most. Whoever writes them changes it, whoever gathers them reads it.
#[derive(Debug, Clone)]
pub struct Age(Arc<AtomicU64>);

impl Age {
    /// Starts with `age`.
    pub fn new(age: Duration) -> Self {
        let new = Self(Arc::default());
        new.set(age);
        new
    }

    /// Changes it.
    pub fn set(&self, age: Duration) {
        self.0.store(u64::try_from(age.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What it is now, in whole microseconds.
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Receives batches of one topic. Dropping it leaves the group.
pub struct Consumer {
    batches: mpsc::Receiver<Result<MessageBatch, Error>>,
    handle: Handle,
    demand: Arc<Demand>,
    spare: Spare,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What may be done to a consumer while somebody else waits for its batches.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<EndsInTime<BaseConsumer<Context>>>,
    age: Age,
    grouped: bool,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("grouped", &self.grouped).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("handle", &self.handle).finish_non_exhaustive()
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
        let mut config = client(settings);
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "1000")
            .set("max.poll.interval.ms", "300000")
            .set("fetch.error.backoff.ms", "100")
            // The default of a second is how long a drained queue stays empty.
            .set("fetch.queue.backoff.ms", "5")
            // What librdkafka fetches ahead: this much, and one response more. A message there takes up twice its size.
            .set("queued.max.messages.kbytes", (options.batch.bytes >> 10).clamp(1_024, 1_792).to_string())
            .set("queued.min.messages", "100000");
        customise(&mut config, settings, Kind::Consumer);
        let group = options.group.as_deref().filter(|_| settings.membership != Membership::Alone);
        if let (Some(_), Membership::Static(instance)) = (group, &settings.membership) {
            config.set("group.instance.id", instance);
        }
        let grouped = group.is_some();
        config
            .set("group.id", group.unwrap_or("driftmill-readers"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        let changes = Arc::new(Changes::default());
        let context =
            Context { topic: options.topic.clone(), positions, changes: Arc::clone(&changes), queue: OnceLock::new() };
        let inner: BaseConsumer<Context> = config.create_with_context(context).map_err(Error::client)?;
        let inner = Arc::new(EndsInTime::new(inner));
        let bulk = Bulk::new(Arc::clone(&inner));
        // Set once, here.
        let _ = inner.context().queue.set(Arc::downgrade(bulk.queue()));
        if grouped {
            inner.subscribe(&[&options.topic]).map_err(Error::request(format!("subscribe to `{}`", options.topic)))?;
        }
        let stop = cancel.child_token();
        let (sender, batches) = mpsc::channel(1);
        let demand = Arc::new(Demand::default());
        let spare = Spare::default();
        let handle = Handle { inner: Arc::clone(&inner), age: Age::new(options.batch.age), grouped };
        let poller = Poller {
            bulk,
            inner,
            changes,
            demand: Arc::clone(&demand),
            spare: Arc::clone(&spare),
            age: handle.age.clone(),
            gathered: MessageBatch::new(&options.topic, options.headers),
            since: None,
            progress: Progress::default(),
            unchecked: Vec::new(),
            fault: None,
            grouped,
            group: group.filter(|_| grouped).map(|group| GroupWatch::new(group.to_owned())),
            options,
            sender,
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || poller.run())
            .map_err(|e| Error::Positions(format!("the consumer's thread does not start: {e}")))?;
        Ok(Self { batches, handle, demand, spare, stop, thread: Some(thread) })
    }

    /// The next batch; `None` after cancellation. An error that is not for good is followed by more batches. What comes while
    /// nobody waits any more is there the next time.
    pub async fn next(&mut self) -> Option<Result<MessageBatch, Error>> {
        self.demand.ask();
        self.batches.recv().await
    }

    /// Gives a batch back that is not needed any more, so that its memory is used again.
    pub fn recycle(&self, mut batch: MessageBatch) {
        batch.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(batch);
        }
    }

    /// A handle for somebody else.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops and leaves the group.
    pub async fn close(mut self) {
        self.stop.cancel();
        // A thread that waits for room in the channel sees that there is no receiver any more.
        self.batches.close();
        let (thread, handle) = (self.thread.take(), self.handle.clone());
        drop(self);
        // Joining blocks, and so does the last reference to the client, which leaves the group when it goes.
        let ended = tokio::task::spawn_blocking(move || {
            let joined = thread.map_or(Ok(()), JoinHandle::join);
            drop(handle);
            joined
        });
        if !matches!(ended.await, Ok(Ok(()))) {
            warn!("the consumer's thread panicked");
        }
    }
}

impl Handle {
    /// How long the oldest gathered message may wait for company.
    pub fn age(&self) -> Age {
        self.age.clone()
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
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
