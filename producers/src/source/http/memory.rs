//! Which rows were answered before, and which of them may be forgotten.

use std::collections::{BTreeSet, HashMap};

use super::cursor::Mark;
use crate::source::Fingerprint;

/// When a row was answered last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    /// The round; 0: before this run.
    round: u64,
    /// Its value of the cursor's field, if it was answered in this run and there is one.
    mark: Option<Mark>,
}

/// The rows that are remembered.
#[derive(Debug)]
pub(super) struct Memory {
    rows: HashMap<Fingerprint, Seen>,
    round: u64,
    /// Rows of this round that are remembered.
    answered: usize,
    /// Whether this round had a row that was never answered before.
    news: bool,
    /// Whether there was a round without one, in which the cursor stayed where it was: what earlier runs sent beyond the
    /// cursor was passed by then, also where the API answers only some rows a round.
    caught_up: bool,
    window: usize,
}

impl Memory {
    /// Remembers what was sent by earlier runs.
    pub(super) fn new(known: BTreeSet<Fingerprint>, window: usize) -> Self {
        let rows = known.into_iter().map(|row| (row, Seen { round: 0, mark: None })).collect();
        Self { rows, round: 0, answered: 0, news: false, caught_up: false, window }
    }

    pub(super) fn begin_round(&mut self) {
        self.round += 1;
        self.answered = 0;
        self.news = false;
    }

    /// Takes note of a row of this round, and says whether it was never answered before.
    pub(super) fn is_new(&mut self, row: Fingerprint, mark: Option<Mark>) -> bool {
        let before = self.rows.insert(row, Seen { round: self.round, mark });
        if before.as_ref().is_none_or(|seen| seen.round != self.round) {
            self.answered += 1;
        }
        self.news |= before.is_none();
        before.is_none()
    }

    /// Whether so many more rows of this round can be remembered.
    pub(super) fn has_room_for(&self, rows: usize) -> bool {
        self.answered + rows <= self.window
    }

    /// The rows that need not be remembered after a whole round without a cursor: those that were not answered for the
    /// longest time, beyond the window.
    pub(super) fn forget_oldest(&mut self) -> Vec<Fingerprint> {
        let excess = self.rows.len().saturating_sub(self.window.max(self.answered));
        if excess == 0 {
            return Vec::new();
        }
        let mut old: Vec<_> = self.rows.iter().filter(|(_, seen)| seen.round < self.round).collect();
        old.sort_by_key(|(row, seen)| (seen.round, **row));
        let forgotten: Vec<_> = old.into_iter().take(excess).map(|(row, _)| *row).collect();
        self.remove(forgotten)
    }

    /// The rows that need not be remembered when everything before `reached` is known.
    pub(super) fn forget_before(&mut self, reached: &Mark) -> Vec<Fingerprint> {
        self.forget_past(reached, false)
    }

    /// The same after a whole round, in which the cursor has `moved` or not. Rows of earlier runs, whose marks are not
    /// known, lie at the cursor or before it once it has caught up; then they go when it moves on, or when others are
    /// answered at it.
    pub(super) fn forget_before_round(&mut self, reached: &Mark, moved: bool) -> Vec<Fingerprint> {
        let passed = if moved { self.caught_up } else { !self.news && self.answered > 0 };
        self.caught_up |= !moved && !self.news;
        self.forget_past(reached, passed)
    }

    fn forget_past(&mut self, reached: &Mark, passed: bool) -> Vec<Fingerprint> {
        let past = |seen: &Seen| seen.mark.as_ref().map_or(passed && seen.round < self.round, |mark| mark < reached);
        let forgotten = self.rows.iter().filter(|(_, seen)| past(seen)).map(|(row, _)| *row).collect();
        self.remove(forgotten)
    }

    fn remove(&mut self, rows: Vec<Fingerprint>) -> Vec<Fingerprint> {
        for row in &rows {
            let seen = self.rows.remove(row);
            self.answered -= usize::from(seen.is_some_and(|seen| seen.round == self.round));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64) -> Fingerprint {
        Fingerprint::of([number.to_le_bytes().as_slice()])
    }

    fn round(memory: &mut Memory, rows: std::ops::Range<u64>) -> usize {
        memory.begin_round();
        rows.filter(|number| memory.is_new(row(*number), None)).count()
    }

    #[test]
    fn a_row_is_remembered_as_long_as_it_is_answered_and_the_window_beyond() {
        let mut memory = Memory::new((0..3).map(row).collect(), 5);
        assert_eq!(round(&mut memory, 0..5), 2);
        assert!(memory.forget_oldest().is_empty() && memory.has_room_for(0) && !memory.has_room_for(1));
        assert_eq!(round(&mut memory, 2..7), 2);
        let forgotten: BTreeSet<_> = memory.forget_oldest().into_iter().collect();
        assert_eq!(forgotten, [row(0), row(1)].into());
        assert_eq!(round(&mut memory, 2..7), 0);
        assert_eq!(round(&mut memory, 0..1), 1);
        assert!(memory.has_room_for(4));
    }

    #[test]
    fn behind_a_cursor_only_what_lies_at_it_is_remembered() {
        let mut memory = Memory::new([row(100)].into(), 50);
        memory.begin_round();
        for number in 0..4 {
            memory.is_new(row(number), Some(Mark::Number(number as i64 / 2)));
        }
        let forgotten: BTreeSet<_> = memory.forget_before_round(&Mark::Number(1), true).into_iter().collect();
        assert_eq!(forgotten, [row(0), row(1)].into());
        // Whatever else an earlier run sent may still be answered, until nothing new is.
        memory.begin_round();
        memory.is_new(row(3), Some(Mark::Number(1)));
        assert_eq!(memory.forget_before_round(&Mark::Number(1), false), [row(100)]);
        memory.begin_round();
        memory.is_new(row(9), Some(Mark::Number(4)));
        let forgotten: BTreeSet<_> = memory.forget_before_round(&Mark::Number(4), true).into_iter().collect();
        assert_eq!(forgotten, [row(2), row(3)].into());
    }
}
