//! A poll's worth of messages, in columns: one buffer of payloads instead of an allocation a message.

use sha2::{Digest, Sha256};

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

/// What became of the offsets of one partition between two points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// All of the offsets.
    pub range: OffsetRange,
    /// Messages among them.
    pub messages: u64,
    /// Offsets, half-open, that the broker deleted before they were read.
    pub lost: Vec<(i64, i64)>,
    /// Offsets, half-open, that are nobody's record: a transaction's marker, an aborted transaction, or an older record of
    /// a key in a compacted topic.
    pub absent: Vec<(i64, i64)>,
    /// Names the last message, see [`mark`]; `None` without messages.
    pub tail: Option<u64>,
}

impl From<OffsetRange> for Coverage {
    /// Offsets of which no more is known.
    fn from(range: OffsetRange) -> Self {
        Self { range, messages: 0, lost: Vec::new(), absent: Vec::new(), tail: None }
    }
}

impl Coverage {
    /// Whether `next` goes on where this ends.
    pub fn is_followed_by(&self, next: &Self) -> bool {
        self.range.topic == next.range.topic
            && self.range.partition == next.range.partition
            && self.range.to == next.range.from
    }

    /// Takes in the offsets of `next`, by which it [is followed](Self::is_followed_by).
    pub fn append(&mut self, next: Self) {
        self.range.to = next.range.to;
        self.messages += next.messages;
        self.lost.extend(next.lost);
        self.absent.extend(next.absent);
        self.tail = next.tail.or(self.tail);
    }
}

/// A name of a message's content and time, by which it is known again: a topic that was made anew under the same name
/// holds another message at that offset. Eight bytes of SHA-256, so that every build gives the same.
pub fn mark(timestamp: i64, payload: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update(timestamp.to_be_bytes()).chain_update(payload).finalize();
    digest.iter().take(8).fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}

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
    covered: Vec<Covered>,
    /// Place in `covered` of the partition that was last spoken of: messages come in runs.
    recent: usize,
}

/// What is known of one partition while a batch grows.
#[derive(Debug, Clone)]
struct Covered {
    partition: i32,
    from: i64,
    /// Offsets before this one are accounted for.
    to: i64,
    messages: u64,
    lost: Vec<(i64, i64)>,
    absent: Vec<(i64, i64)>,
    /// Index of the last message.
    last: Option<usize>,
}

impl MessageBatch {
    /// An empty batch of `topic`; headers are copied only on request, as most stages never look at them.
    pub fn new(topic: &str, with_headers: bool) -> Self {
        Self { topic: topic.to_owned(), with_headers, ..Self::default() }
    }

    /// Empties it and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.partitions.clear();
        self.offsets.clear();
        self.timestamps.clear();
        self.headers.clear();
        self.covered.clear();
        self.recent = 0;
    }

    /// Appends one message. A message without a payload (a tombstone) counts as an empty one.
    pub fn push(&mut self, partition: i32, offset: i64, timestamp: i64, payload: &[u8], headers: Headers) {
        let index = self.len();
        let covered = self.covered(partition, offset);
        if offset > covered.to {
            covered.absent.push((covered.to, offset));
        }
        covered.to = covered.to.max(offset + 1);
        covered.messages += 1;
        covered.last = Some(index);
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
        self.partitions.push(partition);
        self.offsets.push(offset);
        self.timestamps.push(timestamp);
        if self.with_headers {
            self.headers.push(headers);
        }
    }

    /// Says that the batch continues at `from` in `partition`: offsets between there and its first message belong to it.
    pub fn start(&mut self, partition: i32, from: i64) {
        self.covered(partition, from);
    }

    /// Says that the broker deleted `from..to` of `partition` before it was read.
    pub fn lose(&mut self, partition: i32, from: i64, to: i64) {
        let covered = self.covered(partition, from);
        covered.to = covered.to.max(to);
        covered.lost.push((from, to));
    }

    fn covered(&mut self, partition: i32, from: i64) -> &mut Covered {
        let is_it = |covered: &Covered| covered.partition == partition;
        if self.covered.get(self.recent).is_some_and(is_it) {
            return &mut self.covered[self.recent];
        }
        let place = match self.covered.iter().position(is_it) {
            Some(place) => place,
            None => {
                self.covered.push(Covered {
                    partition,
                    from,
                    to: from,
                    messages: 0,
                    lost: Vec::new(),
                    absent: Vec::new(),
                    last: None,
                });
                self.covered.len() - 1
            }
        };
        self.recent = place;
        &mut self.covered[place]
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

    /// Whether there is neither a message nor a loss.
    pub fn covers_nothing(&self) -> bool {
        self.covered.iter().all(|covered| covered.to <= covered.from)
    }

    /// What the batch covers, one range a partition, by partition. Offsets that compaction or retention removed inside
    /// of a range belong to it: nobody will ever see them.
    pub fn ranges(&self) -> Vec<OffsetRange> {
        self.sorted().into_iter().map(|covered| self.range(covered)).collect()
    }

    /// What the batch covers and what became of it, by partition.
    pub fn coverage(&self) -> Vec<Coverage> {
        let coverage = |covered: &Covered| Coverage {
            range: self.range(covered),
            messages: covered.messages,
            lost: covered.lost.clone(),
            absent: covered.absent.clone(),
            tail: covered.last.map(|last| mark(self.timestamps[last], self.payload(last))),
        };
        self.sorted().into_iter().map(coverage).collect()
    }

    /// The partitions of which it covers something, in order.
    fn sorted(&self) -> Vec<&Covered> {
        let mut sorted: Vec<&Covered> = self.covered.iter().filter(|covered| covered.to > covered.from).collect();
        sorted.sort_by_key(|covered| covered.partition);
        sorted
    }

    fn range(&self, covered: &Covered) -> OffsetRange {
        let Covered { partition, from, to, .. } = *covered;
        OffsetRange { topic: self.topic.clone(), partition, from, to }
    }

    pub(super) fn forget(&mut self, partitions: &[i32]) {
        if !self.covered.iter().any(|covered| partitions.contains(&covered.partition)) {
            return;
        }
        let mut kept = Self::new(&self.topic, self.with_headers);
        for covered in self.covered.iter().filter(|covered| !partitions.contains(&covered.partition)) {
            // Found again while the messages are pushed again.
            let (to, absent) = (covered.lost.last().map_or(covered.from, |lost| lost.1), Vec::new());
            kept.covered.push(Covered { to, messages: 0, absent, last: None, ..covered.clone() });
        }
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
    fn offsets_without_a_message_belong_to_the_range_and_losses_are_counted() {
        let mut batch = MessageBatch::new("t", false);
        batch.start(0, 10);
        batch.push(0, 12, 5, b"a", Headers::new());
        batch.lose(1, 3, 8);
        batch.push(1, 8, 5, b"b", Headers::new());
        batch.start(2, 4);
        let coverage = batch.coverage();
        let found: Vec<_> = coverage.iter().map(|c| (c.range.from, c.range.to, c.messages)).collect();
        assert_eq!(found, [(10, 13, 1), (3, 9, 1)]);
        assert_eq!((&coverage[0].absent, &coverage[0].lost), (&vec![(10, 12)], &vec![]));
        assert_eq!((&coverage[1].absent, &coverage[1].lost), (&vec![], &vec![(3, 8)]));
        assert_eq!(coverage[0].tail, Some(mark(5, b"a")));
        assert_ne!(mark(5, b"a"), mark(6, b"a"));
        assert_ne!(coverage[0].tail, coverage[1].tail);
    }

    #[test]
    fn a_batch_that_goes_on_where_another_ended_covers_the_offsets_of_both() {
        let mut first = batch(&[(0, 3), (0, 5)]).coverage().remove(0);
        let mut second = MessageBatch::new("t", false);
        second.start(0, 6);
        second.push(0, 8, 7, b"last", Headers::new());
        let second = second.coverage().remove(0);
        assert!(first.is_followed_by(&second) && !second.is_followed_by(&first));
        first.append(second);
        assert_eq!((first.range.from, first.range.to, first.messages), (3, 9, 3));
        assert_eq!((first.absent, first.tail), (vec![(4, 5), (6, 8)], Some(mark(7, b"last"))));
        let elsewhere = batch(&[(1, 9)]).coverage().remove(0);
        assert!(!batch(&[(0, 8)]).coverage()[0].is_followed_by(&elsewhere));
    }

    #[test]
    fn what_was_revoked_is_forgotten_and_the_rest_keeps_its_order() {
        let mut batch = batch(&[(1, 7), (0, 3), (1, 8), (2, 9)]);
        batch.forget(&[1]);
        let payloads: Vec<_> = (0..batch.len()).map(|i| batch.payload(i)).collect();
        assert_eq!(payloads, [b"0/3", b"2/9"]);
        assert_eq!(batch.headers(1).len(), 1);
        assert_eq!(batch.ranges().iter().map(|r| r.partition).collect::<Vec<_>>(), [0, 2]);
        batch.push(0, 6, 0, b"", Headers::new());
        batch.forget(&[2]);
        assert_eq!(batch.coverage()[0].absent, [(4, 6)]);
    }
}
