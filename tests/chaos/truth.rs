//! What the raw topic really holds, read by a plain client past every proxy: the other side of every audit.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use driftmill_platform::kafka::EndsInTime;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::load::Load;
use super::records::{PARTITIONS, Recipe, TOPIC};
use crate::harness::eventually;

#[derive(Default)]
struct Topic {
    /// By partition, the number of the record at each offset.
    numbers: Vec<Vec<u64>>,
    sent: HashSet<u64>,
    /// Records that are there a second time, although their sender is idempotent.
    repeated: usize,
    /// What no broker may do: gaps, and records that nobody sent.
    faults: Vec<String>,
}

/// A reader that follows the raw topic from its beginning.
pub struct Truth {
    topic: Arc<Mutex<Topic>>,
    /// Records whose acknowledgement named another offset than they have.
    misplaced: AtomicUsize,
    brokers: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Truth {
    /// Starts reading; the topic must exist.
    pub fn follow(recipe: Recipe, brokers: &str) -> Self {
        let topic = Topic { numbers: vec![Vec::new(); PARTITIONS], ..Topic::default() };
        let (topic, stop) = (Arc::new(Mutex::new(topic)), Arc::new(AtomicBool::new(false)));
        let consumer = consumer(brokers);
        let mut assignment = TopicPartitionList::new();
        for partition in 0..PARTITIONS as i32 {
            assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let (seen, stopped) = (Arc::clone(&topic), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                // What goes wrong on the way passes: the client connects again.
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                    seen.lock().unwrap().take(&recipe, &message);
                }
            }
        });
        Self { topic, misplaced: AtomicUsize::new(0), brokers: brokers.to_owned(), stop, thread: Some(thread) }
    }

    /// Waits until everything that `load` has sent is acknowledged and read, and checks that the broker kept its word.
    /// Returns the number of the record at each offset, by partition.
    pub async fn catch_up(&self, load: &Load) -> Result<Vec<Vec<u64>>, String> {
        load.acknowledged().await;
        let ends = self.ends().await;
        eventually("the raw topic is read to its end", async || {
            let topic = self.topic.lock().unwrap();
            let reached = topic.numbers.iter().zip(&ends).all(|(numbers, end)| numbers.len() as i64 >= *end);
            (reached || !topic.faults.is_empty()).then_some(())
        })
        .await;
        let topic = self.topic.lock().unwrap();
        let mut faults = topic.faults.clone();
        for ((partition, offset), sent) in load.take_acknowledged() {
            if topic.numbers[partition as usize].get(offset as usize) == Some(&sent) {
                continue;
            }
            if topic.sent.contains(&sent) {
                self.misplaced.fetch_add(1, Ordering::SeqCst);
            } else {
                faults.push(format!("record {sent} was acknowledged at {partition}/{offset} and is not in the topic"));
            }
        }
        if faults.is_empty() { Ok(topic.numbers.clone()) } else { Err(faults.join("\n")) }
    }

    /// What the broker itself got wrong, in a sentence; empty when nothing. No pipeline behind it can mend this.
    pub fn complaint(&self) -> String {
        match (self.misplaced.load(Ordering::SeqCst), self.topic.lock().unwrap().repeated) {
            (0, 0) => String::new(),
            (misplaced, repeated) => format!(
                "the broker acknowledged {misplaced} records with another offset than they have, and holds {repeated} \
                 records twice that were sent once"
            ),
        }
    }

    /// The next offset of every partition.
    async fn ends(&self) -> Vec<i64> {
        let brokers = self.brokers.clone();
        let asking = tokio::task::spawn_blocking(move || {
            let client = consumer(&brokers);
            (0..PARTITIONS as i32)
                .map(|partition| {
                    // A broker that is being started again answers after a while.
                    (0..30)
                        .find_map(|_| client.fetch_watermarks(TOPIC, partition, Duration::from_secs(3)).ok())
                        .map(|(low, end)| {
                            assert_eq!(low, 0, "nothing is deleted in these tests");
                            end
                        })
                        .expect("the broker tells where a partition ends")
                })
                .collect()
        });
        asking.await.unwrap()
    }
}

impl Drop for Truth {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Topic {
    fn take(&mut self, recipe: &Recipe, message: &BorrowedMessage<'_>) {
        let (partition, offset) = (message.partition(), message.offset());
        let number = message.key().and_then(|key| std::str::from_utf8(key).ok()?.parse().ok());
        let numbers = &mut self.numbers[partition as usize];
        if offset != numbers.len() as i64 {
            self.faults
                .push(format!("{partition}/{offset} follows offset {} in the raw topic", numbers.len() as i64 - 1));
        }
        match number {
            Some(seq) if message.payload() == Some(&recipe.payload(seq)) => {
                numbers.push(seq);
                self.repeated += usize::from(!self.sent.insert(seq));
            }
            _ => self.faults.push(format!("{partition}/{offset} of the raw topic holds what nobody sent")),
        }
    }
}

fn consumer(brokers: &str) -> EndsInTime<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "chaos-truth")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "20")
        .set("reconnect.backoff.max.ms", "500")
        .set("log_level", "0")
        .create()
        .unwrap();
    EndsInTime::new(consumer)
}
