//! Deleting from the beginning: by age, by size, and because somebody asked for it.

use std::sync::atomic::Ordering;

use super::{PartitionLog, Segment, State};
use crate::disk;
use crate::error::Result;

/// What a topic keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Milliseconds since the newest record of a segment, by its own time or that of its arrival, whichever is later:
    /// a topic that is filled with old records keeps them as long as one with new ones.
    pub milliseconds: Option<i64>,
    /// Bytes of a partition.
    pub bytes: Option<u64>,
}

impl PartitionLog {
    /// Deletes whole segments beyond `retention`; `now` is in milliseconds since 1970. Returns the first offset left.
    pub fn retain(&self, retention: Retention, now: i64) -> Result<i64> {
        let mut state = self.lock();
        let expired =
            |segment: &Segment| retention.milliseconds.is_some_and(|kept| now.saturating_sub(newest(segment)) > kept);
        if state.last().is_some_and(|last| last.summary.size > 0 && expired(last)) {
            self.roll(&mut state, now)?;
        }
        let mut bytes: u64 = state.segments.iter().map(|segment| segment.summary.size).sum();
        let closed = state.segments.len().saturating_sub(1);
        let mut gone = 0;
        for segment in &state.segments[..closed] {
            let rest = bytes - segment.summary.size;
            if !expired(segment) && retention.bytes.is_none_or(|kept| rest < kept) {
                break;
            }
            bytes = rest;
            gone += 1;
        }
        self.drop_first(&mut state, gone)?;
        Ok(self.start())
    }

    /// Makes `offset` the first one that may be read, and deletes the segments before it. The caller has noted the
    /// offset elsewhere, because it survives no restart here when it falls inside a segment.
    pub fn delete_before(&self, offset: i64, now: i64) -> Result<()> {
        let mut state = self.lock();
        self.start.fetch_max(offset, Ordering::AcqRel);
        if offset >= state.active.summary().end && state.last().is_some_and(|last| last.summary.size > 0) {
            self.roll(&mut state, now)?;
        }
        let closed = state.segments.len().saturating_sub(1);
        let gone = state.segments[..closed].iter().take_while(|segment| segment.summary.end <= offset).count();
        self.drop_first(&mut state, gone)
    }

    /// Forgets producers that have not written since `before`, and notes the others; a start after a kill then has
    /// less to replay.
    pub fn keep_producers(&self, before: i64) -> Result<()> {
        let mut state = self.lock();
        state.producers.expire(before);
        if state.segments.is_empty() { Ok(()) } else { self.write_producers(&state, false) }
    }

    fn drop_first(&self, state: &mut State, count: usize) -> Result<()> {
        let gone: Vec<Segment> = state.segments.drain(..count).collect();
        if let Some(first) = state.segments.first() {
            self.start.fetch_max(first.base, Ordering::AcqRel);
        }
        for segment in gone {
            state.unsynced.remove(&segment.base);
            self.remove_segment(segment.base)?;
        }
        Ok(())
    }

    /// Deletes a segment's files. The index goes last: without its segment it means nothing.
    pub(super) fn remove_segment(&self, base: i64) -> Result<()> {
        let path = self.log_path(base);
        self.shared.files.forget(&path);
        disk::remove_file(&path)?;
        disk::remove_file(&self.index_path(base))
    }
}

fn newest(segment: &Segment) -> i64 {
    segment.summary.max_timestamp.max(segment.modified)
}
