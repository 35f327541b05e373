//! Opening a log after any kind of end.
//!
//! The files tell how the last run ended. After a clean end, the last segment has an index that covers it, and nothing
//! is read. After a kill, the operating system still held every write, in order, so only the last one can be torn: the
//! headers of the last segment are followed to its end, and the last batches' checksums are verified. After a crash of
//! the machine, whatever was not forced to the disk may be missing, whole or in parts: every batch after the last known
//! sync is verified, and the log ends before the first one that is not intact.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{info, warn};

use super::index::{Index, SUMMARY_BYTES, Summary};
use super::producers::Producers;
use super::scan::{self, Headers};
use super::sync::SyncPoint;
use super::{PartitionLog, Segment, Shared, State, log_path};
use crate::batch::Header;
use crate::disk;
use crate::error::{Error, Result};

/// Bytes at the end of the last segment whose checksums are verified after a kill. One write would do.
const TAIL: u64 = 1 << 20;

/// How far what is on the disk can be trusted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trust {
    /// The machine has been up since: writes are there, in order.
    Writes,
    /// The machine went down: what was synced is there. `None` when nothing ever was.
    Synced(Option<SyncPoint>),
}

impl PartitionLog {
    /// Opens the log in `folder`. `start` is the first offset as far as it was noted elsewhere.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when there is damage that no interrupted write explains.
    pub fn open(
        folder: PathBuf,
        shared: Arc<Shared>,
        trust: Trust,
        start: i64,
        forgotten: i64,
        now: i64,
    ) -> Result<Self> {
        let bases = list(&folder)?;
        let Some((&last, closed)) = bases.split_last() else {
            return Ok(Self::empty(folder, shared, start, forgotten));
        };
        let opening = Opening { folder: &folder, shared: &shared, trust, now };
        let mut segments: Vec<Segment> = Vec::with_capacity(bases.len());
        for &base in closed {
            let (segment, whole) = opening.closed(base)?;
            // An interrupted compaction has put the batches of several segments into the first of them.
            if segments.last().is_some_and(|before| before.summary.end > base) {
                opening.remove(base)?;
                continue;
            }
            segments.push(segment);
            if !whole {
                // What follows a gap that a power cut left cannot be kept: offsets would be missing.
                bases.iter().filter(|after| **after > base).try_for_each(|after| opening.remove(*after))?;
                let active = opening.index_of(&segment)?;
                return opening.finish(segments, active, start, forgotten);
            }
        }
        if segments.last().is_some_and(|before| before.summary.end > last) {
            opening.remove(last)?;
            let active = segments.last().map(|segment| opening.index_of(segment)).transpose()?;
            return opening.finish(segments, active.unwrap_or_else(|| Index::new(last, 1)), start, forgotten);
        }
        let active = opening.last(last)?;
        segments.push(opening.segment(last, active.summary())?);
        opening.finish(segments, active, start, forgotten)
    }
}

struct Opening<'a> {
    folder: &'a Path,
    shared: &'a Arc<Shared>,
    trust: Trust,
    now: i64,
}

impl Opening<'_> {
    fn finish(&self, segments: Vec<Segment>, active: Index, start: i64, forgotten: i64) -> Result<PartitionLog> {
        let producers = self.producers(&segments, active.summary().end, forgotten)?;
        let start = segments.first().map_or(start, |first| start.max(first.base)).min(active.summary().end);
        // The index of a segment that is written to goes stale with the next batch.
        if let Some(last) = segments.last() {
            disk::remove_file(&log_path(self.folder, last.base).with_extension("index"))?;
        }
        let unsynced = segments.last().map(|last| last.base).into_iter().collect::<BTreeSet<_>>();
        let state = State { segments, active, producers, torn: false, unsynced, new_names: false, compacted: 0 };
        Ok(PartitionLog::with(self.folder.to_owned(), self.shared.clone(), state, start))
    }

    /// A segment that is not the last one, and whether all of it is there.
    fn closed(&self, base: i64) -> Result<(Segment, bool)> {
        let path = log_path(self.folder, base);
        let size = fs::metadata(&path).map_err(Error::io("look at", &path))?.len();
        let doubtful = match self.trust {
            Trust::Writes => false,
            Trust::Synced(point) => point.is_none_or(|(synced, _)| base >= synced),
        };
        let index = self.index_file(base).filter(|summary| summary.size == size && !doubtful);
        let (summary, whole) = match index {
            Some(summary) => (summary, true),
            None => {
                let (index, cut) = self.scan(base, size, true)?;
                (index.summary(), !cut)
            }
        };
        Ok((self.segment(base, summary)?, whole))
    }

    /// The index of the last segment, cut to its last whole batch.
    fn last(&self, base: i64) -> Result<Index> {
        let path = log_path(self.folder, base);
        let size = fs::metadata(&path).map_err(Error::io("look at", &path))?.len();
        let stored = fs::read(path.with_extension("index")).ok().and_then(|bytes| Index::decode(&bytes));
        match stored.filter(|index| index.summary().size == size) {
            Some(index) => Ok(index),
            None => self.scan(base, size, false).map(|(index, _)| index),
        }
    }

    fn index_of(&self, segment: &Segment) -> Result<Index> {
        self.scan(segment.base, segment.summary.size, true).map(|(index, _)| index)
    }

    /// Goes through a segment, cuts off what an interruption left, and says whether it did.
    fn scan(&self, base: i64, size: u64, closed: bool) -> Result<(Index, bool)> {
        let path = log_path(self.folder, base);
        let read = || Error::io("read", &path);
        let file = disk::open(&path, false).map_err(Error::io("open", &path))?;
        // What lies before `trusted` was there before the interruption; damage to it has another cause.
        let (verify_from, trusted) = match self.trust {
            Trust::Writes if closed => (size.saturating_sub(TAIL), size),
            Trust::Writes => (size.saturating_sub(TAIL), 0),
            Trust::Synced(Some((synced, _))) if base < synced => (size.saturating_sub(TAIL), size),
            Trust::Synced(Some((synced, bytes))) if base == synced => (bytes, bytes),
            Trust::Synced(_) => (0, 0),
        };
        let mut index = Index::new(base, self.shared.options.index_interval);
        let mut headers = Headers::new(&file, 0, size);
        let mut end = 0;
        while let Some((position, header)) = headers.next().map_err(read())? {
            let in_order = header.base_offset >= index.summary().end;
            let verify = position + header.size > verify_from;
            if !in_order || (verify && !scan::is_intact(&file, position, &header).map_err(read())?) {
                break;
            }
            index.push(&header);
            end = headers.position();
        }
        if end == size {
            return Ok((index, false));
        }
        let offset = index.summary().end;
        let corrupt = |reason| Error::Corrupt { path: path.clone(), position: end, offset, reason };
        if matches!(self.trust, Trust::Writes)
            && let Some(intact) = scan::find_batch(&file, end + 1, size, offset).map_err(read())?
        {
            return Err(corrupt(format!("no intact batch begins here, but one does at byte {intact}")));
        }
        if end < trusted {
            return Err(corrupt("no intact batch begins here, where no write was interrupted".to_owned()));
        }
        self.cut(&path, &file, end, size, offset)?;
        Ok((index, true))
    }

    fn cut(&self, path: &Path, file: &File, end: u64, size: u64, offset: i64) -> Result<()> {
        info!(file = %path.display(), bytes = size - end, offset, "cut off an append that was interrupted");
        file.set_len(end).and_then(|()| file.sync_all()).map_err(Error::io("shorten", path))
    }

    fn producers(&self, segments: &[Segment], end: i64, forgotten: i64) -> Result<Producers> {
        let stored = fs::read(self.folder.join("producers")).ok().and_then(|bytes| Producers::decode(&bytes));
        // State from beyond the end is of batches that a power cut took; it must not call their repetition a duplicate.
        let (from, mut producers) =
            stored.filter(|(upto, _)| *upto <= end).unwrap_or_else(|| (0, Producers::new(forgotten)));
        for segment in segments.iter().filter(|segment| segment.summary.end > from) {
            let path = log_path(self.folder, segment.base);
            let file = disk::open(&path, false).map_err(Error::io("open", &path))?;
            let mut headers = Headers::new(&file, 0, segment.summary.size);
            while let Some((_, header)) = headers.next().map_err(Error::io("read", &path))? {
                self.replay(&mut producers, &header, from);
            }
        }
        Ok(producers)
    }

    fn replay(&self, producers: &mut Producers, header: &Header, from: i64) {
        if header.base_offset >= from && header.is_idempotent() {
            producers.remember(header, self.now);
        }
    }

    fn segment(&self, base: i64, summary: Summary) -> Result<Segment> {
        let path = log_path(self.folder, base);
        let metadata = fs::metadata(&path).map_err(Error::io("look at", &path))?;
        let modified = metadata.modified().map_or(self.now, crate::options::millis);
        // Not every file system knows when a file was made.
        let created = metadata.created().map_or(modified, crate::options::millis).min(modified);
        Ok(Segment { base, summary, created, modified })
    }

    fn index_file(&self, base: i64) -> Option<Summary> {
        let path = log_path(self.folder, base).with_extension("index");
        let file = disk::open(&path, false).ok()?;
        Index::decode_summary(&disk::read_at(&file, SUMMARY_BYTES, 0).ok()?)
    }

    fn remove(&self, base: i64) -> Result<()> {
        let path = log_path(self.folder, base);
        warn!(file = %path.display(), "removed a segment that an interruption left over");
        disk::remove_file(&path)?;
        disk::remove_file(&path.with_extension("index"))
    }
}

/// The first offsets of the segments in `folder`, in order; files that were being written are removed.
fn list(folder: &Path) -> Result<Vec<i64>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list", folder))?,
    };
    let mut bases = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("list", folder))?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("log") => bases.extend(path.file_stem().and_then(|stem| stem.to_str()?.parse::<i64>().ok())),
            Some("new" | "cleaned") => disk::remove_file(&path)?,
            _ => {}
        }
    }
    bases.sort_unstable();
    Ok(bases)
}
