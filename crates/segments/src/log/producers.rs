//! What a partition remembers of its idempotent producers: enough to tell a repeated batch from a new one, as Kafka
//! does, with the same five batches.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::batch::{self, Header};
use crate::error::{Error, Result};

/// Batches remembered a producer: as many as an idempotent client may have in flight.
const REMEMBERED: usize = 5;
const MAGIC: &[u8; 8] = b"dmprod01";

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Store it.
    Append,
    /// It is stored already, from this offset on.
    Duplicate(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    first: i32,
    last: i32,
    base_offset: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    epoch: i16,
    batches: VecDeque<Remembered>,
    /// When it last wrote, milliseconds since 1970.
    used: i64,
}

/// The producers of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Producers {
    states: BTreeMap<i64, State>,
    /// Producers up to this id may have been forgotten.
    forgotten: i64,
}

impl Producers {
    /// None yet, in a partition that is younger than all producers up to `forgotten`.
    pub fn new(forgotten: i64) -> Self {
        Self { states: BTreeMap::new(), forgotten }
    }

    /// Decides about a batch, without remembering it.
    ///
    /// # Errors
    /// When the batch must not be stored; the producer's client knows what each error means for it.
    pub fn check(&self, batch: &Header) -> Result<Verdict> {
        let producer_id = batch.producer_id;
        let out_of_order = |expected| Error::OutOfOrder { producer_id, expected, got: batch.base_sequence };
        let Some(state) = self.states.get(&producer_id) else {
            return match batch.base_sequence {
                0 => Ok(Verdict::Append),
                // A producer that was here before starts over at a new epoch when it hears that it is unknown. To one
                // whose first batch has failed, that would be fatal: it sends that one again, and then this one.
                _ if producer_id <= self.forgotten => Err(Error::UnknownProducer { producer_id }),
                _ => Err(out_of_order(0)),
            };
        };
        if batch.producer_epoch < state.epoch {
            return Err(Error::Fenced { producer_id, epoch: batch.producer_epoch });
        }
        if batch.producer_epoch > state.epoch {
            return if batch.base_sequence == 0 { Ok(Verdict::Append) } else { Err(out_of_order(0)) };
        }
        let expected = state.batches.back().map_or(0, |batch| next_sequence(batch.last));
        if batch.base_sequence == expected {
            return Ok(Verdict::Append);
        }
        let last = last_sequence(batch);
        let repeated = state.batches.iter().find(|known| known.first == batch.base_sequence && known.last == last);
        repeated.map(|known| Verdict::Duplicate(known.base_offset)).ok_or_else(|| out_of_order(expected))
    }

    /// Remembers a batch that was stored at its base offset, at `now` in milliseconds since 1970.
    pub fn remember(&mut self, batch: &Header, now: i64) {
        let fresh = || State { epoch: batch.producer_epoch, batches: VecDeque::new(), used: now };
        let state = self.states.entry(batch.producer_id).or_insert_with(fresh);
        if state.epoch != batch.producer_epoch {
            *state = fresh();
        }
        if state.batches.len() == REMEMBERED {
            state.batches.pop_front();
        }
        let base_offset = batch.base_offset;
        state.batches.push_back(Remembered { first: batch.base_sequence, last: last_sequence(batch), base_offset });
        state.used = now;
    }

    /// Forgets producers that have not written since `before`, in milliseconds since 1970.
    pub fn expire(&mut self, before: i64) {
        let forgotten = &mut self.forgotten;
        self.states.retain(|producer, state| {
            let keep = state.used >= before;
            if !keep {
                *forgotten = (*forgotten).max(*producer);
            }
            keep
        });
    }

    /// The greatest producer id seen; -1 when there was none.
    pub fn greatest(&self) -> i64 {
        self.states.keys().next_back().copied().unwrap_or(-1).max(self.forgotten)
    }

    /// How many producers are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// The state as a file that holds for all batches before `offset`.
    pub fn encode(&self, offset: i64) -> Vec<u8> {
        let body = postcard::to_stdvec(&(offset, self)).unwrap_or_default();
        [&MAGIC[..], &batch::crc(&body).to_be_bytes(), &body].concat()
    }

    /// Reads a file: the offset up to which it holds, and the state. `None` when it is damaged.
    pub fn decode(bytes: &[u8]) -> Option<(i64, Self)> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (crc, body) = rest.split_at_checked(4)?;
        if crc != batch::crc(body).to_be_bytes() {
            return None;
        }
        postcard::from_bytes(body).ok()
    }
}

/// Sequence numbers go round: 0 follows the greatest.
fn next_sequence(last: i32) -> i32 {
    last.checked_add(1).unwrap_or(0)
}

fn last_sequence(batch: &Header) -> i32 {
    let last = i64::from(batch.base_sequence) + i64::from(batch.last_offset_delta);
    i32::try_from(last).unwrap_or_else(|_| i32::try_from(last - i64::from(i32::MAX) - 1).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(producer_epoch: i16, base_sequence: i32, records: i32, base_offset: i64) -> Header {
        Header {
            base_offset,
            size: 100,
            crc: 0,
            last_offset_delta: records - 1,
            max_timestamp: 0,
            producer_id: 7,
            producer_epoch,
            base_sequence,
        }
    }

    fn after(batches: &[Header]) -> Producers {
        let mut producers = Producers::new(-1);
        for batch in batches {
            assert_eq!(producers.check(batch).unwrap(), Verdict::Append, "{batch:?}");
            producers.remember(batch, 1_000);
        }
        producers
    }

    #[test]
    fn the_next_batch_is_stored_and_a_repeated_one_is_told_its_offset() {
        let producers = after(&[sent(0, 0, 3, 10), sent(0, 3, 2, 20)]);
        assert_eq!(producers.check(&sent(0, 5, 1, 0)).unwrap(), Verdict::Append);
        assert_eq!(producers.check(&sent(0, 0, 3, 0)).unwrap(), Verdict::Duplicate(10));
        assert_eq!(producers.check(&sent(0, 3, 2, 0)).unwrap(), Verdict::Duplicate(20));
    }

    #[test]
    fn a_gap_and_an_old_batch_are_out_of_order() {
        let producers = after(&[sent(0, 0, 3, 10), sent(0, 3, 2, 20)]);
        for (sequence, records) in [(6, 1), (0, 2), (4, 1)] {
            let error = producers.check(&sent(0, sequence, records, 0)).unwrap_err();
            assert!(matches!(error, Error::OutOfOrder { expected: 5, .. }), "{sequence}: {error}");
        }
    }

    #[test]
    fn the_sixth_batch_makes_the_first_one_unknown() {
        let batches: Vec<_> = (0..6).map(|i| sent(0, i, 1, i64::from(i))).collect();
        let producers = after(&batches);
        assert!(producers.check(&sent(0, 0, 1, 0)).is_err());
        assert_eq!(producers.check(&sent(0, 1, 1, 0)).unwrap(), Verdict::Duplicate(1));
    }

    #[test]
    fn a_newer_epoch_starts_at_zero_and_fences_the_older_one() {
        let mut producers = after(&[sent(0, 0, 3, 10)]);
        assert!(matches!(producers.check(&sent(1, 3, 1, 0)), Err(Error::OutOfOrder { .. })));
        producers.remember(&sent(1, 0, 1, 13), 1_000);
        assert!(matches!(producers.check(&sent(0, 3, 1, 0)), Err(Error::Fenced { .. })));
        assert_eq!(producers.check(&sent(1, 1, 1, 0)).unwrap(), Verdict::Append);
    }

    #[test]
    fn a_forgotten_producer_is_told_so_and_a_new_one_is_out_of_order() {
        let mut producers = after(&[sent(0, 0, 3, 10)]);
        producers.expire(1_001);
        assert_eq!(producers.len(), 0);
        assert!(matches!(producers.check(&sent(0, 3, 1, 0)), Err(Error::UnknownProducer { .. })));
        let newer = Header { producer_id: 8, ..sent(0, 3, 1, 0) };
        assert!(matches!(producers.check(&newer), Err(Error::OutOfOrder { .. })));
    }

    #[test]
    fn sequence_numbers_go_round() {
        let batch = sent(0, i32::MAX - 1, 3, 0);
        assert_eq!(last_sequence(&batch), 0);
        let mut producers = Producers::new(-1);
        producers.remember(&batch, 0);
        assert_eq!(producers.check(&sent(0, 1, 1, 0)).unwrap(), Verdict::Append);
        assert_eq!(producers.check(&batch).unwrap(), Verdict::Duplicate(0));
    }

    #[test]
    fn the_file_holds_the_state_and_a_damaged_one_is_noticed() {
        let producers = after(&[sent(0, 0, 3, 10), sent(0, 3, 2, 20)]);
        let file = producers.encode(22);
        assert_eq!(Producers::decode(&file), Some((22, producers)));
        for length in 0..file.len() {
            assert_eq!(Producers::decode(&file[..length]), None);
        }
    }
}
