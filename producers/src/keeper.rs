//! Keeps count of what is acknowledged, as [`Checkpoint`] describes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::store::Store;

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::known::Known;
use crate::source::{Fingerprint, Identity, Position};

/// The longest that a checkpoint waits for the next one because of its size.
const LONGEST: Duration = Duration::from_secs(300);

/// One of the two topics that a source writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Raw,
    Rejected,
}

/// Where a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub lane: Lane,
    pub partition: usize,
    pub offset: i64,
}

/// What is true once an item is done.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub next: Position,
    pub identity: Identity,
    pub state: Option<Arc<str>>,
    pub forget: Vec<Fingerprint>,
}

/// What a source whose items have no numbers goes on from, besides its position.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// Whatever the source itself wrote down.
    pub state: Option<Arc<str>>,
    /// For each partition of another topic: the offset that is read next.
    pub places: BTreeMap<i32, i64>,
    /// Fingerprints of what is acknowledged.
    pub known: Known,
}

/// The state behind the checkpoints of one run.
#[derive(Debug)]
pub(crate) struct Keeper {
    position: Position,
    raw: Vec<i64>,
    rejected: Vec<i64>,
    /// Items at or beyond the position that an earlier run sent.
    present: BTreeMap<Identity, Spot>,
    memory: Memory,
}

impl Keeper {
    /// Everything before `position` is acknowledged; what is beyond it lies at or after the offsets, and is `present`.
    pub(crate) fn new(
        position: Position,
        raw: Vec<i64>,
        rejected: Vec<i64>,
        present: BTreeMap<Identity, Spot>,
    ) -> Self {
        Self { position, raw, rejected, present, memory: Memory::default() }
    }

    /// The same with a memory.
    pub(crate) fn with(self, memory: Memory) -> Self {
        Self { memory, ..self }
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The source begins to read another topic at these offsets: from now on it does so in every run.
    pub(crate) fn begin_at(&mut self, places: BTreeMap<i32, i64>) {
        self.memory.places.extend(places);
    }

    /// Moves what has grown too large for a checkpoint to the object store.
    pub(crate) async fn seal(&mut self, store: &Store) -> Result<(), Error> {
        self.memory.known.seal(store).await
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// How long a checkpoint waits at least for the next one: what it remembers is worth a KiB a second at most.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs((self.memory.known.weight() >> 10) as u64).min(LONGEST)
    }

    /// Number of partitions of a topic.
    pub(crate) fn partitions(&self, lane: Lane) -> usize {
        match lane {
            Lane::Raw => self.raw.len(),
            Lane::Rejected => self.rejected.len(),
        }
    }

    /// The items beyond the position that need not be sent.
    pub(crate) fn present(&self) -> impl Iterator<Item = Identity> {
        self.present.keys().copied()
    }

    /// The item of `step` is acknowledged, at `spot` if it was sent just now.
    pub(crate) fn advance(&mut self, step: Step, spot: Option<Spot>) {
        self.position = step.next;
        if let Some(Spot { lane, partition, offset }) = spot {
            let offsets = self.lane(lane);
            if offsets.len() <= partition {
                offsets.resize(partition + 1, 0);
            }
            offsets[partition] = offsets[partition].max(offset + 1);
        }
        // What lies before the position is of no more interest.
        match step.identity {
            Identity::Number(_) => {
                self.present = self.present.split_off(&Identity::Number(step.next.sequence));
            }
            Identity::Place(partition, offset) => {
                self.memory.places.insert(partition, offset + 1);
                while let Some((&passed, _)) =
                    self.present.range(Identity::Place(partition, 0)..=Identity::Place(partition, offset)).next()
                {
                    self.present.remove(&passed);
                }
            }
            Identity::Hash(one) => {
                self.memory.known.insert(one);
            }
        }
        if step.state.is_some() {
            self.memory.state = step.state;
        }
        step.forget.iter().for_each(|one| self.memory.known.forget(one));
    }

    fn lane(&mut self, lane: Lane) -> &mut Vec<i64> {
        match lane {
            Lane::Raw => &mut self.raw,
            Lane::Rejected => &mut self.rejected,
        }
    }

    /// The checkpoint to write now; `quiet` when nothing is in flight.
    pub(crate) fn checkpoint(
        &self,
        pipeline: &str,
        source: &str,
        quiet: bool,
        evidence: Option<String>,
        at: i64,
    ) -> Checkpoint {
        let (mut raw, mut rejected) = (self.raw.clone(), self.rejected.clone());
        // What an earlier run sent ahead may lie before what was sent since.
        for spot in self.present.values() {
            let offsets = if spot.lane == Lane::Raw { &mut raw } else { &mut rejected };
            if let Some(offset) = offsets.get_mut(spot.partition) {
                *offset = (*offset).min(spot.offset);
            }
        }
        let (sealed, known) = self.memory.known.to_checkpoint();
        Checkpoint {
            pipeline: pipeline.to_owned(),
            source: source.to_owned(),
            position: self.position,
            raw,
            rejected,
            clean: quiet && self.present.is_empty(),
            evidence,
            state: self.memory.state.as_deref().map(str::to_owned),
            places: self.memory.places.clone(),
            known,
            sealed,
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_ahead_holds_its_offset_back_until_the_position_passes_it() {
        let ahead = Spot { lane: Lane::Raw, partition: 0, offset: 7 };
        let mut keeper = Keeper::new(Position::default(), vec![5, 5], vec![0], [(Identity::Number(2), ahead)].into());
        let next = |sequence| Step {
            next: Position { sequence, ..Position::default() },
            identity: Identity::Number(sequence - 1),
            state: None,
            forget: Vec::new(),
        };
        keeper.advance(next(1), Some(Spot { offset: 20, ..ahead }));
        let early = keeper.checkpoint("p", "s", true, None, 0);
        assert_eq!((early.raw, early.clean), (vec![7, 5], false));
        keeper.advance(next(2), Some(Spot { partition: 1, ..ahead }));
        keeper.advance(next(3), None);
        let late = keeper.checkpoint("p", "s", true, None, 0);
        assert_eq!((late.raw, late.rejected, late.clean), (vec![21, 8], vec![0], true));
    }

    #[test]
    fn what_was_sent_ahead_of_another_topic_is_passed_partition_by_partition() {
        let spot = |offset| Spot { lane: Lane::Raw, partition: 0, offset };
        let ahead = [(Identity::Place(0, 4), spot(7)), (Identity::Place(1, 9), spot(3))];
        let mut keeper = Keeper::new(Position::default(), vec![3], vec![0], ahead.into());
        let step = |partition, offset| Step {
            next: Position::default(),
            identity: Identity::Place(partition, offset),
            state: None,
            forget: Vec::new(),
        };
        keeper.advance(step(0, 5), Some(spot(11)));
        assert_eq!(keeper.present().collect::<Vec<_>>(), [Identity::Place(1, 9)]);
        assert_eq!(keeper.checkpoint("p", "s", true, None, 0).raw, [3]);
        keeper.advance(step(1, 9), None);
        let last = keeper.checkpoint("p", "s", true, None, 0);
        assert_eq!((last.raw, last.places, last.clean), (vec![12], [(0, 6), (1, 10)].into(), true));
    }
}
