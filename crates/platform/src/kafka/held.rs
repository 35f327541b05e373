//! Which of given offsets a partition holds records at: transactions leave markers, compaction leaves holes, and a reader
//! that says it found one of them must be believed only when the broker says so, too.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::{EndsInTime, Error, Kind, client, customise};
use crate::config;

/// How long the broker may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// Offsets that are rather read than skipped by a new request.
const NEAR: i64 = 5_000;

/// The configuration of a reader of [`held`]: it sees what the stages see, and hears where a partition ends.
pub(super) fn reader(settings: &config::Kafka) -> ClientConfig {
    let mut config = client(settings);
    // A range is often one offset: what comes after it is fetched for nothing.
    config.set("fetch.message.max.bytes", "65536").set("queued.max.messages.kbytes", "1024");
    // The default of a second is how long a drained queue stays empty.
    config.set("fetch.queue.backoff.ms", "5");
    customise(&mut config, settings, Kind::Consumer);
    config
        .set("group.id", "driftmill-readers")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true");
    config
}

/// The offsets in `ranges`, half-open, disjoint and ascending, at which the partition holds a record. Blocks.
pub(super) fn held(
    config: &ClientConfig,
    topic: &str,
    partition: i32,
    ranges: &[(i64, i64)],
) -> Result<Vec<i64>, Error> {
    let doing = || format!("read topic `{topic}` partition {partition}");
    let consumer = EndsInTime::new(config.create::<BaseConsumer>().map_err(Error::client)?);
    let (low, end) = consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(Error::request(doing()))?;
    let kept = ranges.iter().map(|&(from, to)| (from.max(low), to.min(end))).filter(|(from, to)| from < to);
    let mut kept = kept.collect::<Vec<_>>().into_iter().peekable();
    let Some(&(first, _)) = kept.peek() else { return Ok(Vec::new()) };
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(first)).map_err(Error::request(doing()))?;
    consumer.assign(&list).map_err(Error::request(doing()))?;
    let mut held = Vec::new();
    loop {
        let offset = match consumer.poll(PATIENCE) {
            Some(Ok(message)) => message.offset(),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(held),
            Some(Err(error)) => return Err(Error::Request { doing: doing(), error }),
            None => {
                let error = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
                return Err(Error::Request { doing: doing(), error });
            }
        };
        while kept.next_if(|&(_, to)| to <= offset).is_some() {}
        match kept.peek() {
            None => return Ok(held),
            Some(&(from, _)) if from <= offset => held.push(offset),
            Some(&(from, _)) if from - offset > NEAR => {
                consumer.seek(topic, partition, Offset::Offset(from), PATIENCE).map_err(Error::request(doing()))?;
            }
            Some(_) => {}
        }
    }
}
