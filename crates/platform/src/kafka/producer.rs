//! An idempotent producer: acknowledged means on the broker's disk as often as the topic replicates, and once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _};

use super::{EndsInTime, Error, Headers, Kind, client, customise};
use crate::config;

/// A record on its way out.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// Decides the partition, and what compaction keeps; empty: none, and any partition.
    pub key: Vec<u8>,
    /// The record.
    pub payload: Vec<u8>,
    /// Its headers.
    pub headers: Headers,
    /// Milliseconds since 1970 UTC; absent: the broker's or librdkafka's now.
    pub timestamp: Option<i64>,
    /// The partition, when the key shall not decide.
    pub partition: Option<i32>,
}

/// Sends records. Clones share one connection and one queue.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<EndsInTime<FutureProducer>>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("in_flight", &self.inner.in_flight_count()).finish()
    }
}

impl Producer {
    /// A producer that waits up to `linger` to fill a batch.
    pub fn new(settings: &config::Kafka, linger: Duration) -> Result<Self, Error> {
        Self::make(settings, linger, None)
    }

    /// One that gives a record up when it is not acknowledged within `patience`, whatever the settings say.
    pub fn with_patience(settings: &config::Kafka, linger: Duration, patience: Duration) -> Result<Self, Error> {
        Self::make(settings, linger, Some(patience))
    }

    fn make(settings: &config::Kafka, linger: Duration, patience: Option<Duration>) -> Result<Self, Error> {
        let mut config = client(settings);
        config
            .set("linger.ms", linger.as_millis().to_string())
            .set("compression.type", "lz4")
            // As the Java client chooses, and our sources do.
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", (super::MAX_RECORD_BYTES + 65_536).to_string())
            .set("queue.buffering.max.kbytes", "65536")
            .set("queue.buffering.max.messages", "200000")
            // An outage shorter than this is ridden out inside of librdkafka; a longer one is an error that callers retry.
            .set("delivery.timeout.ms", "120000");
        customise(&mut config, settings, Kind::Producer);
        config.set("enable.idempotence", "true");
        if let Some(patience) = patience {
            config.set("delivery.timeout.ms", patience.as_millis().to_string());
        }
        Ok(Self { inner: Arc::new(EndsInTime::new(config.create().map_err(Error::client)?)) })
    }

    /// Puts a record into the queue. `Ok` holds the acknowledgement to come; `Err` gives the record back when the queue
    /// is full, so that the caller decides between waiting and counting a drop.
    pub fn enqueue(&self, topic: &str, record: Outgoing) -> Result<Acknowledgement, Box<(Error, Outgoing)>> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut outgoing = FutureRecord::to(topic).payload(&record.payload);
        if !record.key.is_empty() {
            outgoing = outgoing.key(&record.key);
        }
        if !record.headers.is_empty() {
            outgoing = outgoing.headers(headers);
        }
        outgoing.timestamp = record.timestamp;
        outgoing.partition = record.partition;
        match self.inner.send_result(outgoing) {
            Ok(delivery) => Ok(Acknowledgement { delivery, topic: topic.to_owned() }),
            Err((error, _)) => {
                let error = Error::Request { doing: format!("send to `{topic}`"), error };
                Err(Box::new((error, record)))
            }
        }
    }

    /// Sends one record and waits for its acknowledgement; waits, too, while the queue is full.
    pub async fn send(&self, topic: &str, record: Outgoing) -> Result<(i32, i64), Error> {
        self.start(topic, record).await?.wait().await
    }

    /// Sends records in order and waits until every one is acknowledged.
    pub async fn send_all(&self, topic: &str, records: Vec<Outgoing>) -> Result<(), Error> {
        let mut waiting = Vec::with_capacity(records.len());
        for record in records {
            waiting.push(self.start(topic, record).await?.wait());
        }
        try_join_all(waiting).await.map(|_| ())
    }

    /// Puts a record into the queue, waiting while the queue is full.
    pub async fn start(&self, topic: &str, mut record: Outgoing) -> Result<Acknowledgement, Error> {
        loop {
            match self.enqueue(topic, record) {
                Ok(acknowledgement) => return Ok(acknowledgement),
                Err(refusal) => {
                    let (error, back) = *refusal;
                    if error.code() != Some(RDKafkaErrorCode::QueueFull) {
                        return Err(error);
                    }
                    record = back;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    /// Records that were accepted and not yet acknowledged.
    pub fn in_flight(&self) -> i32 {
        self.inner.in_flight_count()
    }

    /// Waits until everything accepted is acknowledged or has failed. Blocks the thread.
    pub fn flush(&self, limit: Duration) -> Result<(), Error> {
        self.inner.flush(limit).map_err(Error::request("flush"))
    }
}

/// An acknowledgement to come.
pub struct Acknowledgement {
    delivery: DeliveryFuture,
    topic: String,
}

impl Acknowledgement {
    /// Waits for it: partition and offset of the record.
    pub async fn wait(self) -> Result<(i32, i64), Error> {
        let doing = format!("send to `{}`", self.topic);
        match self.delivery.await {
            Ok(Ok(delivery)) => Ok((delivery.partition, delivery.offset)),
            Ok(Err((error, _))) => Err(Error::Request { doing, error }),
            Err(_) => Err(Error::Request { doing, error: KafkaError::Canceled }),
        }
    }
}
