//! Appending: one write a batch, straight to the operating system, and back to what was there when it fails.

use std::sync::Arc;

use nisshi_sans_io::record::deflated;
use tracing::{error, warn};

use super::index::Index;
use super::producers::Verdict;
use super::{PartitionLog, Segment, State};
use crate::batch::{self, Header};
use crate::disk;
use crate::error::{Error, Result};
use crate::options::Durability;

/// When a topic wants a new segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Age of a segment in milliseconds.
    pub segment_ms: i64,
}

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Its first offset.
    pub base_offset: i64,
    /// The offset after it: acknowledge it once the log's visible end has reached this.
    pub end: i64,
}

impl PartitionLog {
    /// Appends `batch`, or finds that it is a repetition. When this returns, the batch survives the end of the process.
    ///
    /// `now` is in milliseconds since 1970.
    ///
    /// # Errors
    /// The log is as it was before.
    pub fn append(self: &Arc<Self>, batch: &deflated::Batch, limits: Limits, now: i64) -> Result<Appended> {
        let mut state = self.lock();
        let progress = self.progress();
        if progress.deleted {
            return Err(Error::Deleted { path: self.folder.clone() });
        }
        if progress.failed {
            return Err(Error::Poisoned { path: self.folder.clone() });
        }
        self.repair(&mut state)?;
        let base_offset = state.active.summary().end;
        let bytes = batch::encode_header(batch, base_offset);
        let Some(header) = Header::parse(&bytes) else {
            return Err(self.corrupt(base_offset, 0, base_offset, "the batch that was sent has no valid header"));
        };
        if header.is_idempotent()
            && let Verdict::Duplicate(base_offset) = state.producers.check(&header)?
        {
            let end = base_offset + i64::from(batch.last_offset_delta) + 1;
            return Ok(Appended { base_offset, end });
        }
        self.make_room(&mut state, &header, limits, now)?;
        self.write(&mut state, &[&bytes, &batch.record_data], now)?;

        state.active.push(&header);
        let summary = state.active.summary();
        if let Some(last) = state.segments.last_mut() {
            last.summary = summary;
            last.modified = now;
            let base = last.base;
            state.unsynced.insert(base);
        }
        if header.is_idempotent() {
            state.producers.remember(&header, now);
        }
        let process = self.shared.options.durability == Durability::Process;
        self.progress.send_modify(|progress| {
            progress.end = summary.end;
            if process {
                progress.visible = summary.end;
            }
        });
        drop(state);
        self.shared.queue.push(self);
        Ok(Appended { base_offset, end: summary.end })
    }

    /// Takes back what a failed append left at the end of the file.
    fn repair(&self, state: &mut State) -> Result<()> {
        if state.torn
            && let Some(last) = state.last()
        {
            let path = self.log_path(last.base);
            let open = self.shared.files.get(&path, false)?;
            open.file.set_len(last.summary.size).map_err(Error::io("shorten", &path))?;
            state.torn = false;
        }
        Ok(())
    }

    /// Sees to a segment that may take `header`'s batch.
    fn make_room(&self, state: &mut State, header: &Header, limits: Limits, now: i64) -> Result<()> {
        let Some(last) = state.last() else {
            disk::create_dir(&self.folder)?;
            return self.begin_segment(state, now);
        };
        let full = last.summary.size + header.size > limits.segment_bytes
            || now.saturating_sub(last.created) > limits.segment_ms;
        if full && last.summary.size > 0 { self.roll(state, now) } else { Ok(()) }
    }

    /// Closes the last segment and begins the next one.
    pub(super) fn roll(&self, state: &mut State, now: i64) -> Result<()> {
        // A closed segment that ends in half a batch would be taken for damaged.
        self.repair(state)?;
        let Some(&last) = state.last() else { return Ok(()) };
        let index = state.active.encode();
        self.begin_segment(state, now)?;
        // Both files only save work at the next start. On a full disk, they can wait.
        let space = &self.shared.options.space;
        let written = disk::replace(&self.index_path(last.base), &index, space, false)
            .and_then(|()| self.write_producers(state, false));
        if let Err(error) = written {
            warn!(%error, "a side file was not written; the next start takes longer");
        }
        Ok(())
    }

    fn begin_segment(&self, state: &mut State, now: i64) -> Result<()> {
        let base = state.active.summary().end;
        self.shared.files.get(&self.log_path(base), true)?;
        state.new_names = true;
        state.unsynced.insert(base);
        state.active = Index::new(base, self.shared.options.index_interval);
        state.segments.push(Segment { base, summary: state.active.summary(), created: now, modified: now });
        Ok(())
    }

    fn write(&self, state: &mut State, parts: &[&[u8]], now: i64) -> Result<()> {
        let Some(&last) = state.last() else { return Ok(()) };
        let path = self.log_path(last.base);
        let open = self.shared.files.get(&path, false)?;
        let written = disk::write_at(&open.file, parts, last.summary.size, &self.shared.options.space);
        let Err(source) = written else { return Ok(()) };
        let failed = Error::io("write to", &path)(source);
        error!(error = %failed, at = now, "a batch was not stored");
        // A reader never looks beyond the size kept in memory; a restart before the repair finds a torn tail. When the
        // repair fails too, the next append or roll tries again.
        state.torn = true;
        let _ = self.repair(state);
        Err(failed)
    }

    pub(super) fn write_producers(&self, state: &State, durable: bool) -> Result<()> {
        let contents = state.producers.encode(state.active.summary().end);
        disk::replace(&self.producers_path(), &contents, &self.shared.options.space, durable)
    }
}
