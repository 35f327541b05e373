//! What a run tells while it goes on, and at its end.

use std::collections::BTreeMap;

use crate::source::{Position, Total};

/// How far a run is: counts of what is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records sent by this run.
    pub sent: u64,
    /// Items that were there from an earlier run.
    pub already_there: u64,
    /// Dead letters sent by this run.
    pub unreadable: u64,
    /// Everything before it is acknowledged.
    pub position: Position,
    /// Requests to an API that were answered, also with nothing new, or failed.
    pub polls: u64,
    /// Those that failed.
    pub failed_polls: u64,
    /// The whole source; absent: no end.
    pub total: Option<Total>,
}

impl Progress {
    /// The share that is done, 0 to 1; `None` without an end.
    pub fn share(&self) -> Option<f64> {
        let (done, total) = match self.total? {
            Total::Bytes(bytes) => (self.position.bytes, bytes),
            Total::Rows(rows) => (self.position.sequence, rows),
        };
        Some(if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) })
    }
}

/// One item that became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// `file:line`.
    pub place: String,
    /// Why, for people.
    pub reason: String,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records sent and acknowledged.
    pub sent: u64,
    /// Items that were there from an earlier run, and were not sent again.
    pub skipped_already_there: u64,
    /// Dead letters sent and acknowledged.
    pub unreadable: u64,
    /// The first [`Summary::SHOWN`] of them.
    pub first_unreadable: Vec<Unread>,
    /// Dead letters by kind of reason.
    pub unreadable_by_kind: BTreeMap<&'static str, u64>,
    /// Requests to an API.
    pub polls: u64,
    /// Those that failed: nothing is lost by it, as each is made again.
    pub failed_polls: u64,
    /// Whether the source's end (or the row limit) was reached, and not the run cancelled.
    pub complete: bool,
    /// Where the next run goes on.
    pub position: Position,
    /// What else people should know: that a file holds no records.
    pub notes: Vec<String>,
}

impl Summary {
    /// How many dead letters are shown one by one.
    pub const SHOWN: usize = 20;

    pub(crate) fn add_unread(&mut self, kind: &'static str, unread: Unread) {
        self.unreadable += 1;
        *self.unreadable_by_kind.entry(kind).or_default() += 1;
        if self.first_unreadable.len() < Self::SHOWN {
            self.first_unreadable.push(unread);
        }
    }
}
