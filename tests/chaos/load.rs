//! Sends numbered records to the raw topic, past every proxy, and keeps where the broker says that it put them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftmill_platform::kafka::EndsInTime;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::records::{Recipe, TOPIC};
use crate::harness::eventually;

/// Records go out in bursts this far apart.
const BURST: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Told {
    /// By partition and offset, the number of the record that was acknowledged there.
    acknowledged: Mutex<HashMap<(i32, i64), u64>>,
    /// Records whose outcome the broker never told.
    unknown: AtomicUsize,
    pending: AtomicUsize,
    fatal: AtomicBool,
}

/// The sender.
pub struct Load {
    recipe: Recipe,
    brokers: String,
    producer: Mutex<EndsInTime<FutureProducer>>,
    next: AtomicU64,
    told: Arc<Told>,
    deliveries: mpsc::UnboundedSender<(u64, DeliveryFuture)>,
    collecting: JoinHandle<()>,
}

impl Load {
    /// Sends to `brokers`; nothing yet.
    pub fn new(recipe: Recipe, brokers: &str) -> Self {
        let told = Arc::<Told>::default();
        let (deliveries, collected) = mpsc::unbounded_channel();
        let collecting = tokio::spawn(collect(collected, Arc::clone(&told)));
        let producer = Mutex::new(producer(brokers));
        Self { recipe, brokers: brokers.to_owned(), producer, next: AtomicU64::new(0), told, deliveries, collecting }
    }

    /// Sends the next `count` records in bursts over `time`; they are acknowledged whenever the broker can.
    pub async fn send(&self, count: usize, time: Duration) {
        let bursts = (time.as_millis() / BURST.as_millis()).max(1) as usize;
        for burst in 0..bursts {
            if self.told.fatal.swap(false, Ordering::SeqCst) {
                *self.producer.lock().unwrap() = producer(&self.brokers);
            }
            for _ in 0..count * (burst + 1) / bursts - count * burst / bursts {
                self.send_one().await;
            }
            tokio::time::sleep(BURST).await;
        }
    }

    async fn send_one(&self) {
        let seq = self.next.fetch_add(1, Ordering::SeqCst);
        let (key, payload) = (seq.to_string(), self.recipe.payload(seq));
        let partition = self.recipe.partition(seq);
        loop {
            let record = FutureRecord::to(TOPIC).partition(partition).key(&key).payload(&payload);
            let sent = self.producer.lock().unwrap().send_result(record).map_err(|(error, _)| error);
            match sent {
                Ok(delivery) => {
                    self.told.pending.fetch_add(1, Ordering::SeqCst);
                    self.deliveries.send((seq, delivery)).unwrap();
                    return;
                }
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    tokio::time::sleep(BURST).await;
                }
                // A producer that has lost its thread says so for ever: another one goes on.
                Err(_) => *self.producer.lock().unwrap() = producer(&self.brokers),
            }
        }
    }

    /// Waits until the broker has told the outcome of every record.
    pub async fn acknowledged(&self) {
        let pending = || self.told.pending.load(Ordering::SeqCst);
        eventually("the broker acknowledges what was sent", async || (pending() == 0).then_some(())).await;
    }

    /// Records sent so far.
    pub fn sent(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    /// Records whose outcome the broker never told: they may be in the topic or not.
    pub fn unknown(&self) -> usize {
        self.told.unknown.load(Ordering::SeqCst)
    }

    /// Takes what was acknowledged since the last call: partition and offset, and the number of the record there.
    pub fn take_acknowledged(&self) -> HashMap<(i32, i64), u64> {
        std::mem::take(&mut self.told.acknowledged.lock().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.collecting.abort();
    }
}

fn producer(brokers: &str) -> EndsInTime<FutureProducer> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("reconnect.backoff.max.ms", "500")
        .set("delivery.timeout.ms", "300000")
        .set("log_level", "0")
        .create()
        .unwrap();
    EndsInTime::new(producer)
}

async fn collect(mut deliveries: mpsc::UnboundedReceiver<(u64, DeliveryFuture)>, told: Arc<Told>) {
    while let Some((seq, delivery)) = deliveries.recv().await {
        match delivery.await {
            Ok(Ok(at)) => {
                told.acknowledged.lock().unwrap().insert((at.partition, at.offset), seq);
            }
            failed => {
                let fatal = |error: &KafkaError| error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal);
                if failed.is_err() || matches!(&failed, Ok(Err((error, _))) if fatal(error)) {
                    told.fatal.store(true, Ordering::SeqCst);
                }
                told.unknown.fetch_add(1, Ordering::SeqCst);
            }
        }
        told.pending.fetch_sub(1, Ordering::SeqCst);
    }
}
