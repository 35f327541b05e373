//! Reads single records by their positions, wherever they stand in a topic.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::time::Instant;
use tracing::warn;

use super::{EndsInTime, Error, Headers, Kind, MessageBatch, client, customise};
use crate::config;

/// Longest silence of a broker that has more to deliver.
const PATIENCE: Duration = Duration::from_secs(30);
/// Records between two wanted ones that are rather read over than jumped over.
const READ_OVER: i64 = 500;

/// The ends of partitions are looked for here, and librdkafka tells of them as if they were faults.
#[derive(Debug)]
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            warn!(%error, reason, "Kafka complains");
        }
    }
}

impl ConsumerContext for Quiet {}

/// Fetches records by position, without a group.
pub struct Fetcher {
    inner: Arc<EndsInTime<BaseConsumer<Quiet>>>,
    /// Where the last scan ended: topic, partition, offset.
    reached: Option<(String, i32, i64)>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

impl Fetcher {
    /// A client for the cluster.
    pub fn new(settings: &config::Kafka) -> Result<Self, Error> {
        let inner = configuration(settings).create_with_context(Quiet).map_err(Error::client)?;
        Ok(Self { inner: Arc::new(EndsInTime::new(inner)), reached: None })
    }

    /// The messages of `topic` at these positions (partition, offset), with headers, in their order. A position that holds
    /// no record, or none any more, is left out. All of them are held in memory.
    pub async fn fetch(&mut self, topic: &str, positions: BTreeSet<(i32, i64)>) -> Result<MessageBatch, Error> {
        self.reached = None;
        let (inner, topic) = (Arc::clone(&self.inner), topic.to_owned());
        // librdkafka's look-ups and polls block their thread.
        tokio::task::spawn_blocking(move || fetch(&inner, &topic, &positions)).await.map_err(|_| Error::Ended)?
    }

    /// The next messages of one partition at offsets `from..to`, without headers, some megabytes of them, and the offset to
    /// go on from: `to` when that was all. Offsets that hold no record, or none any more, are passed over.
    pub async fn scan(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<(MessageBatch, i64), Error> {
        let place = (topic.to_owned(), partition, from);
        // Where the last scan ended, what is fetched ahead is still there.
        let goes_on = self.reached.take().as_ref() == Some(&place);
        let (inner, topic) = (Arc::clone(&self.inner), topic.to_owned());
        let scanned = tokio::task::spawn_blocking(move || scan(&inner, &topic, partition, from, to, goes_on)).await;
        let (batch, next) = scanned.map_err(|_| Error::Ended)??;
        self.reached = Some((place.0, partition, next));
        Ok((batch, next))
    }
}

fn configuration(settings: &config::Kafka) -> ClientConfig {
    let mut config = client(settings);
    config
        // What is fetched ahead is thrown away at the next jump.
        .set("queued.max.messages.kbytes", "1024")
        .set("queued.min.messages", "1000")
        // The default of a second is how long a drained queue stays empty.
        .set("fetch.queue.backoff.ms", "5");
    customise(&mut config, settings, Kind::Consumer);
    config
        .set("group.id", "driftmill-readers")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error");
    config
}

/// Messages, and bytes of them, that one scan reads.
const SCANNED: (usize, usize) = (20_000, 4 << 20);

fn scan(
    inner: &BaseConsumer<Quiet>,
    topic: &str,
    partition: i32,
    from: i64,
    to: i64,
    goes_on: bool,
) -> Result<(MessageBatch, i64), Error> {
    let mut batch = MessageBatch::new(topic, false);
    let looking = || Error::request(format!("look at topic `{topic}`"));
    let (low, end) = inner.fetch_watermarks(topic, partition, PATIENCE).map_err(looking())?;
    let (mut next, last) = (from.max(low), to.min(end));
    if next >= last {
        return Ok((batch, to));
    }
    if !goes_on {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(Error::request("assign"))?;
        inner.assign(&list).map_err(Error::request("assign"))?;
    }
    let mut bytes = 0;
    let mut deadline = Instant::now() + PATIENCE;
    while next < last && batch.len() < SCANNED.0 && bytes < SCANNED.1 {
        match inner.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.partition() == partition && message.offset() >= next => {
                let offset = message.offset();
                if offset < last {
                    let payload = message.payload().unwrap_or_default();
                    let timestamp = message.timestamp().to_millis().unwrap_or(-1);
                    batch.push(partition, offset, timestamp, payload, Headers::new());
                    bytes += payload.len();
                }
                next = offset + 1;
                deadline = Instant::now() + PATIENCE;
            }
            // The last offsets hold no record, or retention was faster: nothing follows.
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok((batch, to)),
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => return Ok((batch, to)),
                _ if Instant::now() < deadline => {}
                _ => return Err(Error::Request { doing: format!("read `{topic}`"), error }),
            },
            _ if Instant::now() < deadline => {}
            _ => return Err(silent(topic, partition, next)),
        }
    }
    Ok((batch, if next < last { next } else { to }))
}

fn silent(topic: &str, partition: i32, at: i64) -> Error {
    let error = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
    Error::Request { doing: format!("read `{topic}` partition {partition} at {at}"), error }
}

fn fetch(inner: &BaseConsumer<Quiet>, topic: &str, positions: &BTreeSet<(i32, i64)>) -> Result<MessageBatch, Error> {
    let mut found = MessageBatch::new(topic, true);
    if positions.is_empty() {
        return Ok(found);
    }
    let looking = || Error::request(format!("look at topic `{topic}`"));
    let metadata = inner.fetch_metadata(Some(topic), PATIENCE).map_err(looking())?;
    let partitions = metadata.topics().iter().find(|t| t.name() == topic).map_or(&[][..], |t| t.partitions());
    for partition in partitions.iter().map(|partition| partition.id()) {
        let mut wanted = positions.range((partition, 0)..=(partition, i64::MAX)).map(|(_, offset)| *offset).peekable();
        if wanted.peek().is_none() {
            continue;
        }
        let (low, end) = inner.fetch_watermarks(topic, partition, PATIENCE).map_err(looking())?;
        let wanted: Vec<i64> = wanted.filter(|offset| (low..end).contains(offset)).collect();
        let read = read(inner, &mut found, partition, &wanted);
        inner.unassign().map_err(Error::request("unassign"))?;
        read?;
    }
    Ok(found)
}

/// Appends those of the `wanted` offsets, ascending, that there are.
fn read(inner: &BaseConsumer<Quiet>, found: &mut MessageBatch, partition: i32, wanted: &[i64]) -> Result<(), Error> {
    let topic = found.topic().to_owned();
    let mut left = wanted;
    let mut next = None;
    let mut deadline = Instant::now() + PATIENCE;
    while let Some(&first) = left.first() {
        if next.is_none_or(|next| first - next > READ_OVER) {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, partition, Offset::Offset(first)).map_err(Error::request("assign"))?;
            inner.assign(&list).map_err(Error::request("assign"))?;
            next = Some(first);
        }
        match inner.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.partition() == partition => {
                let offset = message.offset();
                // What stands before it and was not delivered is not there.
                let behind = left.partition_point(|wanted| *wanted < offset);
                left = &left[behind..];
                if left.first() == Some(&offset) {
                    let timestamp = message.timestamp().to_millis().unwrap_or_default();
                    let payload = message.payload().unwrap_or_default();
                    found.push(partition, offset, timestamp, payload, headers(&message));
                    left = &left[1..];
                }
                next = Some(offset + 1);
                deadline = Instant::now() + PATIENCE;
            }
            // The end, or retention was faster: nothing follows.
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => return Ok(()),
                _ if Instant::now() < deadline => {}
                _ => return Err(Error::Request { doing: format!("read `{topic}`"), error }),
            },
            _ if Instant::now() < deadline => {}
            _ => return Err(silent(&topic, partition, first)),
        }
    }
    Ok(())
}

fn headers(message: &BorrowedMessage<'_>) -> Headers {
    let text =
        |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec).unwrap_or_default());
    message.headers().map(|headers| headers.iter().map(text).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::kafka::{Outgoing, Producer};

    #[test]
    fn a_reader_s_small_queue_is_filled_again_as_soon_as_it_is_drained() {
        let settings = config::Kafka::default();
        for config in [configuration(&settings), super::super::held::reader(&settings)] {
            assert_eq!(config.get("queued.max.messages.kbytes"), Some("1024"));
            assert_eq!(config.get("fetch.queue.backoff.ms"), Some("5"));
        }
    }

    #[tokio::test]
    async fn records_are_found_by_their_positions_and_what_is_not_there_is_left_out() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let settings = config::Kafka { brokers: cluster.bootstrap_servers(), ..config::Kafka::default() };
        let producer = Producer::new(&settings, Duration::from_millis(1)).unwrap();
        let record = |i: i32| Outgoing {
            payload: i.to_string().into_bytes(),
            headers: vec![("n".to_owned(), i.to_string().into_bytes())],
            partition: Some(i % 2),
            ..Outgoing::default()
        };
        producer.send_all("t", (0..2_000).map(record).collect()).await.unwrap();

        let mut fetcher = Fetcher::new(&settings).unwrap();
        // Neighbours, a short way, a long way; the last record; beyond the end; a partition there is not.
        let wanted = [(0, 3), (0, 4), (0, 90), (1, 0), (1, 999), (1, 1_000), (7, 0), (-1, -1)];
        let found = fetcher.fetch("t", BTreeSet::from(wanted)).await.unwrap();
        let places: Vec<(i32, i64)> = found.partitions().iter().copied().zip(found.offsets().iter().copied()).collect();
        assert_eq!(places, wanted[..5]);
        for (i, (partition, offset)) in places.into_iter().enumerate() {
            let number = (2 * offset + i64::from(partition)).to_string();
            assert_eq!(found.payload(i), number.as_bytes());
            assert_eq!(found.headers(i), [("n".to_owned(), number.into_bytes())]);
        }
        assert!(fetcher.fetch("t", BTreeSet::from([(0, 7)])).await.unwrap().len() == 1, "a second time");
        assert!(fetcher.fetch("none", BTreeSet::from([(0, 7)])).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_stretch_of_a_partition_is_read_in_order_and_no_further() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let settings = config::Kafka { brokers: cluster.bootstrap_servers(), ..config::Kafka::default() };
        let producer = Producer::new(&settings, Duration::from_millis(1)).unwrap();
        let record =
            |i: i32| Outgoing { payload: i.to_string().into_bytes(), partition: Some(1), ..Outgoing::default() };
        producer.send_all("t", (0..50_000).map(record).collect()).await.unwrap();
        let mut fetcher = Fetcher::new(&settings).unwrap();
        for (from, to, wanted) in [(10, 45_000, 10..45_000), (49_990, 70_000, 49_990..50_000), (5, 5, 0..0)] {
            let mut read = Vec::new();
            let mut next = from;
            while next < to {
                let batch;
                (batch, next) = fetcher.scan("t", 1, next, to).await.unwrap();
                read.extend_from_slice(batch.offsets());
            }
            assert_eq!(read, wanted.collect::<Vec<i64>>());
        }
    }
}
