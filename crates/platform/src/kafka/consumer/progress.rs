//! How far each partition was read, and whether it is still the partition that was read before.

use std::collections::BTreeMap;

use super::Position;
use crate::kafka::batch::mark;

/// The partitions of one topic that are read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partition {
    /// Next offset to take; unknown until the first message, or a look at the topic, tells.
    next: Option<i64>,
    /// Mark of the message before it, while it is still to be compared.
    mark: Option<u64>,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is new; the partition was read up to `after`.
    New { after: i64 },
    /// It was processed before.
    Known,
    /// Another message was processed at this offset.
    Foreign,
}

/// How a position stands to the offsets a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Within them.
    Inside,
    /// Nothing is missing, but the message before it is gone: read on from here.
    Unmarked(i64),
    /// Offsets were deleted before they were read.
    Lost { from: i64, to: i64 },
    /// Beyond their end.
    Beyond(i64),
}

impl Progress {
    /// Begins, or begins anew, with a partition.
    pub(super) fn assign(&mut self, partition: i32, position: Position) {
        let state = match position {
            Position::At(next) => Partition { next: Some(next), mark: None },
            Position::After { next, mark } => Partition { next: Some(next), mark: Some(mark) },
            Position::Beginning | Position::End | Position::Committed => Partition { next: None, mark: None },
        };
        self.partitions.insert(partition, state);
    }

    /// Forgets a partition.
    pub(super) fn revoke(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// The partitions that are read.
    pub(super) fn partitions(&self) -> Vec<i32> {
        self.partitions.keys().copied().collect()
    }

    /// A message came.
    pub(super) fn arrive(&mut self, partition: i32, offset: i64, timestamp: i64, payload: &[u8]) -> Arrival {
        // Of a partition that is not ours any more: whoever has it takes the message.
        let Some(state) = self.partitions.get_mut(&partition) else { return Arrival::Known };
        let expected = state.mark.take();
        let after = state.next.unwrap_or(offset);
        if offset >= after {
            state.next = Some(offset + 1);
            return Arrival::New { after };
        }
        match expected {
            Some(expected) if offset == after - 1 && mark(timestamp, payload) != expected => Arrival::Foreign,
            // Older than the one to compare with, which then is still to come.
            Some(expected) if offset < after - 1 => {
                state.mark = Some(expected);
                Arrival::Known
            }
            _ => Arrival::Known,
        }
    }

    /// The partition holds the offsets `low..end`: how does its position stand to them? Moves it over what was lost.
    pub(super) fn compare(&mut self, partition: i32, low: i64, end: i64) -> Standing {
        let Some(state) = self.partitions.get_mut(&partition) else { return Standing::Inside };
        let Some(next) = state.next else {
            return Standing::Inside;
        };
        if next > end {
            return Standing::Beyond(next);
        }
        if next < low {
            *state = Partition { next: Some(low), mark: None };
            return Standing::Lost { from: next, to: low };
        }
        if state.mark.is_some() && next == low {
            state.mark = None;
            return Standing::Unmarked(next);
        }
        Standing::Inside
    }

    /// The partition is read from its beginning, which is `low`.
    pub(super) fn begin(&mut self, partition: i32, low: i64) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.next.get_or_insert(low);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: Position) -> Progress {
        let mut progress = Progress::default();
        progress.assign(0, position);
        progress
    }

    #[test]
    fn a_message_says_where_the_partition_was_read_up_to() {
        let mut progress = at(Position::At(7));
        assert_eq!(progress.arrive(0, 9, 0, b"a"), Arrival::New { after: 7 });
        assert_eq!(progress.arrive(0, 10, 0, b"b"), Arrival::New { after: 10 });
        assert_eq!(progress.arrive(0, 8, 0, b"old"), Arrival::Known);
        assert_eq!(progress.arrive(1, 0, 0, b"not ours"), Arrival::Known);
        progress.revoke(0);
        assert_eq!(progress.arrive(0, 11, 0, b"c"), Arrival::Known);
        let mut fresh = at(Position::Beginning);
        fresh.begin(0, 3);
        assert_eq!(fresh.arrive(0, 5, 0, b"a"), Arrival::New { after: 3 });
    }

    #[test]
    fn the_message_before_the_position_must_be_the_one_that_was_processed() {
        let after = Position::After { next: 7, mark: mark(5, b"same") };
        let mut progress = at(after);
        assert_eq!(progress.arrive(0, 6, 5, b"same"), Arrival::Known);
        assert_eq!(progress.arrive(0, 7, 6, b"new"), Arrival::New { after: 7 });
        assert_eq!(at(after).arrive(0, 6, 5, b"other"), Arrival::Foreign);
        assert_eq!(at(after).arrive(0, 6, 4, b"same"), Arrival::Foreign, "the same record, sent once more");
        // Compaction took it: nothing to compare with.
        assert_eq!(at(after).arrive(0, 8, 0, b"later"), Arrival::New { after: 7 });
    }

    #[test]
    fn a_position_outside_of_the_topic_is_noticed() {
        let after = Position::After { next: 7, mark: 1 };
        assert_eq!(at(after).compare(0, 0, 7), Standing::Inside);
        assert_eq!(at(after).compare(0, 0, 6), Standing::Beyond(7));
        assert_eq!(at(after).compare(0, 7, 9), Standing::Unmarked(7));
        assert_eq!(at(Position::At(7)).compare(0, 7, 9), Standing::Inside);
        let mut late = at(after);
        assert_eq!(late.compare(0, 12, 20), Standing::Lost { from: 7, to: 12 });
        assert_eq!(late.compare(0, 12, 20), Standing::Inside);
        assert_eq!(late.arrive(0, 12, 0, b"first that is left"), Arrival::New { after: 12 });
    }
}
