//! The first and the next offset of partitions, asked for all at once. A request for each would wait behind a fetch that waits
//! for messages, up to half a second each: half a minute for 64 idle partitions.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

/// A partition with its first and its next offset.
type Ends = (i32, KafkaResult<(i64, i64)>);

/// First and next offset of each of `partitions`, in their order.
pub(super) fn watermarks<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    patience: Duration,
) -> KafkaResult<Vec<Ends>> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let at = |end: Offset| -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for &partition in partitions {
            list.add_partition_offset(topic, partition, end)?;
        }
        // The protocol takes both ends for times.
        client.offsets_for_times(list, patience)
    };
    let (low, next) = (at(Offset::Beginning)?, at(Offset::End)?);
    let of = |list: &TopicPartitionList, partition: i32| -> KafkaResult<i64> {
        let found = list.find_partition(topic, partition);
        let found = found.ok_or(KafkaError::OffsetFetch(rdkafka::types::RDKafkaErrorCode::UnknownPartition))?;
        found.error()?;
        match found.offset() {
            Offset::Offset(offset) => Ok(offset),
            // A broker that knows nothing of times says this of a partition without records.
            _ => Err(KafkaError::OffsetFetch(rdkafka::types::RDKafkaErrorCode::OffsetNotAvailable)),
        }
    };
    Ok(partitions
        .iter()
        .map(|&partition| (partition, of(&low, partition).and_then(|low| Ok((low, of(&next, partition)?)))))
        .collect())
}
