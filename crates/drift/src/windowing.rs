//! Which panes make a window: so many rows, or so much time, one after the other or sliding.
//!
//! ```text
//! tumbling, 400 rows     │pane│pane│pane│pane│  │pane│pane│pane│pane│        a window ends with the pane that fills it
//! sliding, 400 by 100    │pane│pane│pane│pane│
//!                             │pane│pane│pane│pane│
//! ```
//! Panes are not cut. A window of rows has at least its number of rows and less than a pane more; a window of time has the
//! panes whose latest event happened within it.

use crate::{
    layout::Layout,
    pane::{Error, Pane, Stream},
    window::PaneSet,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// How long a window is, and how far the next one is from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// So many records, good and bad.
    Rows {
        /// Records of a window.
        rows: u64,
        /// Records from one window's end to the next one's: as many as it has, where windows do not overlap.
        step: u64,
    },
    /// So much event time.
    Time {
        /// Milliseconds of a window.
        length: i64,
        /// Milliseconds from one window's end to the next one's; ends are multiples of it, counted from 1970.
        step: i64,
        /// Milliseconds that a window waits for late events after its end. What comes later still counts in the next one.
        lateness: i64,
    },
}

impl Span {
    /// So many records, one window after the other.
    pub fn tumbling(rows: u64) -> Self {
        Self::Rows { rows: rows.max(1), step: rows.max(1) }
    }
}

/// What has to be kept to go on after a restart, beside the panes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Position {
    /// Records since the last window ended.
    pub rows: u64,
    /// Where the open window of time ends, milliseconds since 1970 (UTC).
    pub end: Option<i64>,
    /// The marks of late panes that later windows will have, and when each is taken to have happened.
    pub late: Vec<(i64, i64)>,
}

/// The newest panes of a partition that stay as they are: those that a restarted consumer may count anew, in other pieces.
const KEPT_APART: usize = 16;

/// So many panes in a row without a row end a window of time: some seconds of nothing but rejects.
const FRUITLESS: u32 = 64;

#[derive(Debug, Clone)]
struct Held {
    /// What the caller knows the pane by; the lowest of those that were joined.
    mark: i64,
    /// When it happened.
    at: i64,
    late: bool,
    /// Whether it is several panes by now.
    joined: bool,
    pane: Pane,
}

/// The panes of the windows that are open, of one model version.
#[derive(Debug, Clone)]
pub struct Windows {
    span: Span,
    empty: PaneSet,
    /// In the order of their arrival. Older ones of a partition that touch are joined, so that a day's window does not hold a
    /// pane for every quarter of a second.
    held: VecDeque<Held>,
    /// Records of all panes held.
    records: u64,
    rows: u64,
    end: Option<i64>,
    /// Panes in a row that had rejects and no row.
    fruitless: u32,
    /// When late panes happened that come again after a restart.
    late: BTreeMap<i64, i64>,
}

impl Windows {
    /// No panes yet; `position` is where an earlier run stopped, whose panes come again by [`keep`](Self::keep).
    pub fn new(span: Span, layout: &Arc<Layout>, model_version: u64, position: Position) -> Self {
        let Position { rows, end, late } = position;
        let empty = PaneSet::new(layout, model_version);
        Self {
            span,
            empty,
            held: VecDeque::new(),
            records: 0,
            rows,
            end,
            fruitless: 0,
            late: late.into_iter().collect(),
        }
    }

    /// The same, of panes that count `stream`.
    pub fn of(self, stream: Stream) -> Self {
        Self { empty: self.empty.of(stream), ..self }
    }

    /// The model version.
    pub fn model_version(&self) -> u64 {
        self.empty.model_version()
    }

    /// The cells counted over.
    pub fn layout(&self) -> &Arc<Layout> {
        self.empty.layout()
    }

    /// Where it stands.
    pub fn position(&self) -> Position {
        let late = self.held.iter().filter(|held| held.late).map(|held| (held.mark, held.at)).collect();
        Position { rows: self.rows, end: self.end, late }
    }

    /// The mark of the oldest pane that a later window will have.
    pub fn oldest(&self) -> Option<i64> {
        self.held.iter().map(|held| held.mark).min()
    }

    /// Takes a pane that an earlier run had taken when it stopped.
    ///
    /// # Errors
    /// A pane of another model version or reference, or of no offset.
    pub fn keep(&mut self, mark: i64, pane: Pane) -> Result<(), Error> {
        self.empty.admits(&pane)?;
        let late = self.late.remove(&mark);
        let at = late.unwrap_or(happened(&pane));
        let is_over = match (self.span, self.end) {
            (Span::Time { length, .. }, Some(end)) => at < end.saturating_sub(length),
            _ => false,
        };
        if !is_over {
            self.hold(Held { mark, at, late: late.is_some(), joined: false, pane });
        }
        Ok(())
    }

    /// Takes a pane; returns the windows that it ends, the earlier first.
    ///
    /// # Errors
    /// As [`keep`](Self::keep); nothing is taken then.
    pub fn push(&mut self, mark: i64, pane: Pane) -> Result<Vec<PaneSet>, Error> {
        self.empty.admits(&pane)?;
        let (before, time, has_rows) = (self.records, pane.max_event_time, pane.profile.rows() > 0);
        let happened = happened(&pane);
        self.fruitless = if has_rows { 0 } else { self.fruitless + 1 };
        let open = match (self.span, self.end) {
            (Span::Time { step, .. }, Some(end)) => end.saturating_sub(step),
            _ => i64::MIN,
        };
        self.hold(Held { mark, at: happened.max(open), late: has_rows && happened < open, joined: false, pane });
        match self.span {
            Span::Rows { rows, step } => {
                // What was replaced is not counted again.
                self.rows = self.rows.saturating_add(self.records.saturating_sub(before));
                if self.rows < step || self.records < rows {
                    return Ok(Vec::new());
                }
                self.drop_surplus(rows);
                let window = self.window(|_| true)?;
                self.rows = 0;
                if step >= rows {
                    self.retain(|_| false);
                }
                Ok(vec![window])
            }
            Span::Time { length, step, lateness } if has_rows => self.ended(time, length, step.max(1), lateness),
            // Time stands still while nothing but rejects comes, and that is what a window is to say.
            Span::Time { .. } if self.fruitless == FRUITLESS => {
                self.fruitless = 0;
                let window = self.window(|at| at >= open)?;
                self.retain(|held| held.pane.profile.rows() > 0);
                Ok(vec![window])
            }
            Span::Time { .. } => Ok(Vec::new()),
        }
    }

    /// The windows of time that are over once `time` was seen.
    fn ended(&mut self, time: i64, length: i64, step: i64, lateness: i64) -> Result<Vec<PaneSet>, Error> {
        let end_after = |time: i64| time.div_euclid(step).saturating_add(1).saturating_mul(step);
        let mut end = *self.end.get_or_insert(end_after(time));
        let mut windows = Vec::new();
        while time.saturating_sub(lateness) >= end && end < i64::MAX {
            let from = end.saturating_sub(length);
            // One in whose last step nothing happened would say again what the window before it said.
            if self.held.iter().any(|held| held.at >= end.saturating_sub(step) && held.at < end) {
                windows.push(self.window(|at| at >= from && at < end)?);
            }
            end = end.saturating_add(step);
            self.retain(|held| held.at >= end.saturating_sub(length));
            // Hours in which nothing happened have no windows.
            match self.held.iter().map(|held| held.at).min() {
                Some(next) if next >= end => end = end_after(next),
                Some(_) => {}
                None => end = end_after(time),
            }
        }
        self.end = Some(end);
        Ok(windows)
    }

    /// Holds a pane. One that counts anew what single panes counted takes their place; what is among joined ones by now is
    /// counted, and stays as it is.
    fn hold(&mut self, new: Held) {
        let id = new.pane.id;
        let overlaps = |held: &Held| {
            let other = held.pane.id;
            other.partition == id.partition && other.to_offset > id.from_offset && other.from_offset < id.to_offset
        };
        if self.held.iter().any(|held| held.joined && overlaps(held)) {
            return;
        }
        self.retain(|held| !overlaps(held));
        self.records = self.records.saturating_add(new.pane.records());
        self.held.push_back(new);
        self.join(id.partition);
    }

    /// Joins the oldest two panes of a partition that has more than stay apart, if no window ends between them.
    fn join(&mut self, partition: i32) {
        let mine: Vec<usize> = (0..self.held.len()).filter(|i| self.held[*i].pane.id.partition == partition).collect();
        let settled = mine.len().saturating_sub(KEPT_APART);
        for pair in mine[..settled].windows(2).rev() {
            let (first, second) = (&self.held[pair[0]], &self.held[pair[1]]);
            if !self.may_join(first, second) {
                continue;
            }
            let Some(second) = self.held.remove(pair[1]) else { return };
            let first = &mut self.held[pair[0]];
            if first.pane.append(&second.pane).is_ok() {
                (first.at, first.joined) = (first.at.max(second.at), true);
            } else {
                self.held.insert(pair[1], second);
            }
            return;
        }
    }

    fn may_join(&self, first: &Held, second: &Held) -> bool {
        let touch = first.pane.id.to_offset == second.pane.id.from_offset;
        touch
            && !first.late
            && !second.late
            && match self.span {
                // Where windows overlap, panes leave one by one.
                Span::Rows { rows, step } => step >= rows,
                Span::Time { step, .. } => first.at.div_euclid(step.max(1)) == second.at.div_euclid(step.max(1)),
            }
    }

    fn retain(&mut self, keep: impl Fn(&Held) -> bool) {
        self.held.retain(|held| {
            let kept = keep(held);
            if !kept {
                self.records -= held.pane.records();
            }
            kept
        });
    }

    /// Drops the oldest panes that the newest `rows` records do not need.
    fn drop_surplus(&mut self, rows: u64) {
        while let Some(oldest) = self.held.front() {
            let records = oldest.pane.records();
            if self.records - records < rows {
                break;
            }
            self.records -= records;
            self.held.pop_front();
        }
    }

    fn window(&self, within: impl Fn(i64) -> bool) -> Result<PaneSet, Error> {
        let mut window = self.empty.clone();
        for held in self.held.iter().filter(|held| within(held.at)) {
            window.insert(held.pane.clone())?;
        }
        Ok(window)
    }
}

/// When a pane happened; one without rows happened before everything.
fn happened(pane: &Pane) -> i64 {
    if pane.profile.rows() > 0 { pane.max_event_time } else { i64::MIN }
}

#[cfg(test)]
mod tests;
