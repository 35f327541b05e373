//! A poll's worth of messages, in columns: one buffer of payloads instead of an allocation a message.

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};

/// Half-open range of offsets of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OffsetRange {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// One past the last offset.
    pub to: i64,
}

/// Headers of one message, in order.
pub type Headers = Vec<(String, Vec<u8>)>;

/// Messages of one topic, in the order they were polled; offsets of one partition ascend.
#[derive(Debug, Clone, Default)]
pub struct MessageBatch {
    topic: String,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    headers: Vec<Headers>,
    with_headers: bool,
}

impl MessageBatch {
    /// An empty batch of `topic`; headers are copied only on request, as most stages never look at them.
    pub fn new(topic: &str, with_headers: bool) -> Self {
        Self { topic: topic.to_owned(), with_headers, ..Self::default() }
    }

    /// Appends one message. A message without a payload (a tombstone) counts as an empty one.
    pub fn push(&mut self, partition: i32, offset: i64, timestamp: i64, payload: &[u8], headers: Headers) {
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
        self.partitions.push(partition);
        self.offsets.push(offset);
        self.timestamps.push(timestamp);
        if self.with_headers {
            self.headers.push(headers);
        }
    }

    pub(super) fn push_message(&mut self, message: &BorrowedMessage<'_>) {
        let headers = match (self.with_headers, message.headers()) {
            (true, Some(headers)) => headers
                .iter()
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec).unwrap_or_default()))
                .collect(),
            _ => Headers::new(),
        };
        let timestamp = message.timestamp().to_millis().unwrap_or_default();
        self.push(message.partition(), message.offset(), timestamp, message.payload().unwrap_or_default(), headers);
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all payloads.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Payload of message `i`.
    pub fn payload(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start..self.ends[i]]
    }

    /// Partition of each message.
    pub fn partitions(&self) -> &[i32] {
        &self.partitions
    }

    /// Offset of each message.
    pub fn offsets(&self) -> &[i64] {
        &self.offsets
    }

    /// Kafka's time of each message, milliseconds since 1970 UTC.
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    /// Headers of message `i`; empty unless they were asked for.
    pub fn headers(&self, i: usize) -> &[(String, Vec<u8>)] {
        self.headers.get(i).map_or(&[], Vec::as_slice)
    }

    /// What the batch covers, one range a partition, by partition. Offsets that compaction or retention removed inside
    /// of a range belong to it: nobody will ever see them.
    pub fn ranges(&self) -> Vec<OffsetRange> {
        let mut ranges: Vec<OffsetRange> = Vec::new();
        for (&partition, &offset) in self.partitions.iter().zip(&self.offsets) {
            match ranges.iter_mut().find(|range| range.partition == partition) {
                Some(range) => {
                    range.from = range.from.min(offset);
                    range.to = range.to.max(offset + 1);
                }
                None => ranges.push(OffsetRange { topic: self.topic.clone(), partition, from: offset, to: offset + 1 }),
            }
        }
        ranges.sort();
        ranges
    }

    pub(super) fn forget(&mut self, partitions: &[i32]) {
        if !self.partitions.iter().any(|partition| partitions.contains(partition)) {
            return;
        }
        let mut kept = Self::new(&self.topic, self.with_headers);
        for i in (0..self.len()).filter(|&i| !partitions.contains(&self.partitions[i])) {
            let headers = if self.with_headers { std::mem::take(&mut self.headers[i]) } else { Headers::new() };
            kept.push(self.partitions[i], self.offsets[i], self.timestamps[i], self.payload(i), headers);
        }
        *self = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(messages: &[(i32, i64)]) -> MessageBatch {
        let mut batch = MessageBatch::new("t", true);
        for &(partition, offset) in messages {
            batch.push(
                partition,
                offset,
                0,
                format!("{partition}/{offset}").as_bytes(),
                vec![("k".to_owned(), vec![1])],
            );
        }
        batch
    }

    #[test]
    fn ranges_are_half_open_and_one_a_partition() {
        let ranges = batch(&[(1, 7), (0, 3), (1, 8), (0, 5)]).ranges();
        let found: Vec<_> = ranges.iter().map(|r| (r.partition, r.from, r.to)).collect();
        assert_eq!(found, [(0, 3, 6), (1, 7, 9)]);
    }

    #[test]
    fn what_was_revoked_is_forgotten_and_the_rest_keeps_its_order() {
        let mut batch = batch(&[(1, 7), (0, 3), (1, 8), (2, 9)]);
        batch.forget(&[1]);
        let payloads: Vec<_> = (0..batch.len()).map(|i| batch.payload(i)).collect();
        assert_eq!(payloads, [b"0/3", b"2/9"]);
        assert_eq!(batch.headers(1).len(), 1);
    }
}
