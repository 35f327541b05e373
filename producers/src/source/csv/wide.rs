//! A row of which several records are made, one after another.

use std::collections::VecDeque;

use driftmill_schemas::record::Record;

use super::super::Position;
use super::super::reason::Reason;

/// The records of a row that are still to come. They are made one at a time, as each may hold large files.
pub(super) struct Wide {
    /// What all of them share, or why none of them can be read.
    pub base: Result<Record, Reason>,
    pub original: Vec<u8>,
    /// Which column, and its cell.
    pub cells: VecDeque<(usize, String)>,
    /// The line the row starts in.
    pub line: u64,
    /// Where it starts; [`Position::within`] counts the records that came.
    pub start: Position,
}

impl Wide {
    /// Passes over the first `records`.
    pub(super) fn skip(&mut self, records: u64) {
        let records = usize::try_from(records).unwrap_or(usize::MAX).min(self.cells.len());
        self.cells.drain(..records);
        self.start.within = records as u64;
    }
}
