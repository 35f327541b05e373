//! Reads a control topic from start to finish and for ever: every partition, without a group, in this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use driftmill_platform::backoff::Backoff;
use driftmill_platform::config;
use driftmill_platform::error::{Retry, Retryable};
use driftmill_platform::kafka::{self, Admin, BatchPolicy, Consumer, ConsumerOptions, MessageBatch, Position};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// With the first record that is kept.
    Beginning,
    /// With the first record written after the reader says that it is ready.
    Now,
}

/// What to read.
pub(crate) struct TopicReader {
    pub(crate) kafka: config::Kafka,
    pub(crate) topic: &'static str,
    pub(crate) from: From,
    pub(crate) seed: u64,
}

/// Next offset by partition.
type Next = Arc<Mutex<BTreeMap<i32, i64>>>;

impl TopicReader {
    /// Hands every payload to `take` until `cancel` fires; `ready` is called once nothing more can be missed. Kafka being
    /// away, or the topic not made yet, is waited out: reading goes on where it stopped.
    pub(crate) async fn run(
        self,
        cancel: CancellationToken,
        ready: impl Fn(),
        take: impl Fn(&[u8]),
    ) -> Result<(), std::convert::Infallible> {
        let next: Next = Arc::default();
        let backoff = || Backoff::new(Duration::from_millis(200), Duration::from_secs(5), self.seed);
        let mut retry = backoff();
        let reading = async {
            loop {
                match self.start(&next, &cancel).await {
                    Ok(mut consumer) => {
                        ready();
                        if self.read(&mut consumer, &next, &take).await {
                            retry = backoff();
                        }
                        consumer.close().await;
                    }
                    Err(error) => debug!(topic = self.topic, %error, "cannot read the topic yet"),
                }
                tokio::time::sleep(retry.pause()).await;
            }
        };
        // librdkafka blocks its threads for seconds while Kafka is away; a shutdown does not wait for them.
        tokio::select! {
            () = reading => {}
            () = cancel.cancelled() => {}
        }
        Ok(())
    }

    async fn start(&self, next: &Next, cancel: &CancellationToken) -> Result<Consumer, kafka::Error> {
        let ends = Admin::new(&self.kafka)?.watermarks(self.topic).await?;
        if ends.is_empty() {
            return Err(kafka::Error::Positions(format!("there is no topic `{}` yet", self.topic)));
        }
        if self.from == From::Now && lock(next).is_empty() {
            // Fixed here, not left to the first fetch: what is written from now on will be read.
            *lock(next) = (0..).zip(ends.iter().map(|(_, end)| *end)).collect();
        }
        let resume = Arc::clone(next);
        let positions = move |_: &str, partitions: &[i32]| {
            let next = lock(&resume);
            Ok(partitions.iter().map(|p| next.get(p).map_or(Position::Beginning, |at| Position::At(*at))).collect())
        };
        let options = ConsumerOptions {
            topic: self.topic.to_owned(),
            group: None,
            headers: false,
            batch: BatchPolicy { rows: 1_000, bytes: 1 << 20, age: Duration::from_millis(5) },
        };
        Consumer::start(&self.kafka, options, Arc::new(positions), cancel)
    }

    /// Reads until the consumer ends; whether it read anything.
    async fn read(&self, consumer: &mut Consumer, next: &Next, take: &impl Fn(&[u8])) -> bool {
        let mut read_something = false;
        while let Some(batch) = consumer.next().await {
            match batch {
                Ok(batch) => {
                    read_something = true;
                    pass_on(&batch, take);
                    lock(next).extend(batch.ranges().into_iter().map(|range| (range.partition, range.to)));
                }
                Err(error) => {
                    warn!(topic = self.topic, %error, "reading the topic failed; starting over");
                    if matches!(error, kafka::Error::Recreated { .. }) {
                        lock(next).clear();
                    }
                    if error.retry() == Retry::Never {
                        break;
                    }
                }
            }
        }
        read_something
    }
}

fn pass_on(batch: &MessageBatch, take: &impl Fn(&[u8])) {
    for i in 0..batch.len() {
        let payload = batch.payload(i);
        // A tombstone says that a key is gone; nothing here follows from that.
        if !payload.is_empty() {
            take(payload);
        }
    }
}

fn lock(next: &Next) -> MutexGuard<'_, BTreeMap<i32, i64>> {
    next.lock().unwrap_or_else(PoisonError::into_inner)
}
