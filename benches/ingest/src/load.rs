//! Fills a topic as fast as the broker takes it. Record `i` goes to partition `i % partitions`, where it gets the offset
//! `i / partitions`: the producer is idempotent and sends to an empty topic, so positions are known without asking.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde::Serialize;
use tokio::time::Instant;

use crate::record::{Readings, SEED};

/// Event time of the first record of a backlog: 2026-01-01 00:00 UTC.
const FIRST_EVENT: i64 = 1_767_225_600_000;
/// Records encoded before any of them is sent.
const BLOCK: usize = 250_000;

/// What was loaded.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Loaded {
    /// Records sent and acknowledged.
    pub records: u64,
    /// Those of them that break an expectation.
    pub rejected: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Seconds it took, encoding included.
    pub seconds: f64,
}

/// Encoded records, one after the other.
#[derive(Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Records that break an expectation.
    pub rejected: u64,
}

impl Block {
    /// Encodes `count` records; `at` tells the event time of each.
    pub fn encode(&mut self, readings: &mut Readings, count: usize, at: impl Fn(usize) -> i64) {
        self.bytes.clear();
        self.ends.clear();
        self.rejected = 0;
        for i in 0..count {
            self.rejected += u64::from(readings.next(at(i), &mut self.bytes));
            self.ends.push(self.bytes.len());
        }
    }

    /// The records.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// The producer of every scenario: acknowledged by the broker, in order, never twice.
pub fn producer(brokers: &str, linger: Duration) -> anyhow::Result<BaseProducer> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", linger.as_millis().to_string())
        .set("batch.size", "1000000")
        .set("batch.num.messages", "10000")
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "262144")
        .create()
        .context("the load's producer")
}

/// Sends one record to a partition, waiting for room if need be.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, payload: &[u8]) -> anyhow::Result<()> {
    let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(payload);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(5));
            }
            Err((error, _)) => return Err(error).context("produce the load"),
        }
    }
}

/// Fills the empty topic `topic`, which has `partitions` partitions, with `records` records.
pub fn fill(brokers: &str, topic: &str, partitions: i32, records: u64) -> anyhow::Result<Loaded> {
    let started = Instant::now();
    let producer = producer(brokers, Duration::from_millis(20))?;
    let mut readings = Readings::new(SEED)?;
    let mut block = Block::default();
    let mut loaded = Loaded { records: 0, rejected: 0, bytes: 0, seconds: 0.0 };
    while loaded.records < records {
        let count = BLOCK.min(usize::try_from(records - loaded.records)?);
        let first = loaded.records;
        block.encode(&mut readings, count, |i| FIRST_EVENT + (first as i64 + i as i64));
        for payload in block.records() {
            send(&producer, topic, (loaded.records % partitions as u64) as i32, payload)?;
            loaded.records += 1;
            loaded.bytes += payload.len() as u64;
        }
        loaded.rejected += block.rejected;
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60)).context("flush the load")?;
    let held = held(&producer, topic, partitions)?;
    if held != records {
        bail!("`{topic}` holds {held} records after {records} were sent: it was not empty, or the broker lost some");
    }
    loaded.seconds = started.elapsed().as_secs_f64();
    Ok(loaded)
}

/// Records that the partitions of a topic hold.
fn held(producer: &BaseProducer, topic: &str, partitions: i32) -> anyhow::Result<u64> {
    let mut held = 0;
    for partition in 0..partitions {
        let (low, high) = producer.client().fetch_watermarks(topic, partition, Duration::from_secs(10))?;
        held += u64::try_from(high - low)?;
    }
    Ok(held)
}
