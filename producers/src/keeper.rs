//! Keeps count of what is acknowledged, as [`Checkpoint`] describes.

use std::collections::BTreeMap;

use crate::checkpoint::Checkpoint;
use crate::source::Position;

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

/// The state behind the checkpoints of one run.
#[derive(Debug)]
pub(crate) struct Keeper {
    position: Position,
    raw: Vec<i64>,
    rejected: Vec<i64>,
    /// Items at or beyond the position that an earlier run sent.
    present: BTreeMap<u64, Spot>,
}

impl Keeper {
    /// Everything before `position` is acknowledged; what is beyond it lies at or after the offsets, and is `present`.
    pub(crate) fn new(position: Position, raw: Vec<i64>, rejected: Vec<i64>, present: BTreeMap<u64, Spot>) -> Self {
        Self { position, raw, rejected, present }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Number of partitions of a topic.
    pub(crate) fn partitions(&self, lane: Lane) -> usize {
        match lane {
            Lane::Raw => self.raw.len(),
            Lane::Rejected => self.rejected.len(),
        }
    }

    /// The items beyond the position that need not be sent.
    pub(crate) fn present(&self) -> impl Iterator<Item = u64> {
        self.present.keys().copied()
    }

    /// The item before `next` is acknowledged, at `spot` if it was sent just now.
    pub(crate) fn advance(&mut self, next: Position, spot: Option<Spot>) {
        self.position = next;
        if let Some(Spot { lane, partition, offset }) = spot {
            let offsets = self.lane(lane);
            if offsets.len() <= partition {
                offsets.resize(partition + 1, 0);
            }
            offsets[partition] = offsets[partition].max(offset + 1);
        }
        // What lies before the position is of no more interest.
        while self.present.first_key_value().is_some_and(|(sequence, _)| *sequence < next.sequence) {
            self.present.pop_first();
        }
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
        Checkpoint {
            pipeline: pipeline.to_owned(),
            source: source.to_owned(),
            position: self.position,
            raw,
            rejected,
            clean: quiet && self.present.is_empty(),
            evidence,
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
        let mut keeper = Keeper::new(Position::default(), vec![5, 5], vec![0], [(2, ahead)].into());
        let next = |sequence| Position { sequence, ..Position::default() };
        keeper.advance(next(1), Some(Spot { offset: 20, ..ahead }));
        let early = keeper.checkpoint("p", "s", true, None, 0);
        assert_eq!((early.raw, early.clean), (vec![7, 5], false));
        keeper.advance(next(2), Some(Spot { partition: 1, ..ahead }));
        keeper.advance(next(3), None);
        let late = keeper.checkpoint("p", "s", true, None, 0);
        assert_eq!((late.raw, late.rejected, late.clean), (vec![21, 8], vec![0], true));
    }
}
