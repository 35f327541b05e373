//! What is written and not yet entered into the ledger.
//!
//! An entry costs the server as much as an insert of some thousand rows, and nobody waits for it: rows are visible without
//! it, and a crash before it only means that they are written once more, at the same positions. So an entry is made at once
//! after a pause, and under load for some outputs together.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Tally;
use crate::clickhouse::LedgerEntry;
use crate::kafka::Coverage;

/// Time between two entries: what a crash repeats at most, beside what is being written.
const WAIT: Duration = Duration::from_millis(250);

/// Entries that wait.
#[derive(Debug, Default)]
pub(super) struct Finished {
    entries: Vec<LedgerEntry>,
    /// When the last ones were taken.
    taken: Option<Instant>,
}

impl Finished {
    /// An output of these offsets is written.
    pub(super) fn add(&mut self, coverage: Vec<Coverage>, tallies: &BTreeMap<i32, Tally>) {
        for coverage in coverage {
            let Tally { rows, rejected } = tallies.get(&coverage.range.partition).copied().unwrap_or_default();
            let before = self.entries.iter_mut().find(|entry| entry.coverage.is_followed_by(&coverage));
            match before {
                Some(entry) => {
                    entry.coverage.append(coverage);
                    entry.rows += rows;
                    entry.rejected += rejected;
                }
                None => self.entries.push(LedgerEntry { coverage, rows, rejected }),
            }
        }
    }

    /// When they are to be entered; `None` if there are none.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.entries.is_empty() {
            return None;
        }
        Some(self.taken.map_or_else(Instant::now, |taken| taken + WAIT))
    }

    /// All of them, if it is time.
    pub(super) fn take_due(&mut self) -> Vec<LedgerEntry> {
        if self.due().is_some_and(|due| due <= Instant::now()) { self.take() } else { Vec::new() }
    }

    /// All of them.
    pub(super) fn take(&mut self) -> Vec<LedgerEntry> {
        self.taken = Some(Instant::now());
        std::mem::take(&mut self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::OffsetRange;

    fn output(partition: i32, from: i64, to: i64, rows: u64) -> (Vec<Coverage>, BTreeMap<i32, Tally>) {
        let coverage = Coverage::from(OffsetRange { topic: "t".to_owned(), partition, from, to });
        (vec![coverage], BTreeMap::from([(partition, Tally { rows, rejected: 1 })]))
    }

    fn told(entries: &[LedgerEntry]) -> Vec<(i32, i64, i64, u64, u64)> {
        let one = |e: &LedgerEntry| {
            let range = &e.coverage.range;
            (range.partition, range.from, range.to, e.rows, e.rejected)
        };
        entries.iter().map(one).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_output_is_entered_at_once_and_those_that_follow_soon_are_entered_together() {
        let mut finished = Finished::default();
        assert_eq!((finished.due(), finished.take_due()), (None, Vec::new()));
        let (coverage, tallies) = output(0, 0, 5, 4);
        finished.add(coverage, &tallies);
        assert_eq!(told(&finished.take_due()), [(0, 0, 5, 4, 1)]);
        for (partition, from, to, rows) in [(0, 5, 8, 2), (1, 7, 9, 1), (0, 8, 12, 3)] {
            let (coverage, tallies) = output(partition, from, to, rows);
            finished.add(coverage, &tallies);
            assert_eq!(finished.take_due(), Vec::new());
            tokio::time::advance(WAIT / 3).await;
        }
        tokio::time::advance(WAIT / 3).await;
        assert_eq!(told(&finished.take_due()), [(0, 5, 12, 5, 2), (1, 7, 9, 1, 1)]);
        assert_eq!(finished.due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_again_from_elsewhere_is_an_entry_of_its_own() {
        let mut finished = Finished::default();
        for (from, to) in [(5, 8), (6, 9), (20, 21)] {
            let (coverage, tallies) = output(0, from, to, 1);
            finished.add(coverage, &tallies);
        }
        assert_eq!(finished.take().len(), 3);
    }
}
