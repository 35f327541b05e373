//! Compaction: of all records with a key, the last one stays. Offsets stay too, with gaps.
//!
//! Only closed segments are rewritten, several small ones into one. The new file takes the place of the first segment in
//! one step; the others are deleted after that, by the next start if need be, which knows them by their offsets.
//! A record without a value (a tombstone) is dropped once consumers have had time to see it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use nisshi_sans_io::TimestampType;
use nisshi_sans_io::record::{Record, deflated, inflated};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::index::Index;
use super::scan::{self, Headers};
use super::{PartitionLog, Segment};
use crate::batch::{self, HEADER, Header};
use crate::disk;
use crate::error::{Error, Result};

/// Keys that one round may hold in memory, 40 bytes each; the next round takes the rest.
const KEYS: usize = 1 << 20;
/// A key takes 16 bytes, however long it is: two keys with the same half of a SHA-256 do not exist.
type Key = [u8; 16];

/// What a topic wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compaction {
    /// Tombstones in segments last written to before this time, in milliseconds since 1970, are dropped.
    pub tombstones_before: i64,
    /// Bytes of a segment.
    pub segment_bytes: u64,
}

/// The last offset of each key, in the part of the log before `upto`.
struct Latest {
    offsets: HashMap<Key, i64>,
    upto: i64,
}

impl PartitionLog {
    /// Compacts what was written since the last time, when that is at least half of the log. `now` is in milliseconds
    /// since 1970. Returns how many bytes were saved.
    pub fn compact(&self, compaction: Compaction, now: i64) -> Result<u64> {
        let (closed, cleaned) = {
            let mut state = self.lock();
            let total: u64 = state.segments.iter().map(|segment| segment.summary.size).sum();
            let dirty = |segment: &&Segment| segment.summary.end > state.compacted;
            let dirty: u64 = state.segments.iter().filter(dirty).map(|segment| segment.summary.size).sum();
            if dirty == 0 || dirty * 2 < total {
                return Ok(0);
            }
            if state.last().is_some_and(|last| last.summary.size > 0) {
                self.roll(&mut state, now)?;
            }
            let closed = state.segments.len().saturating_sub(1);
            (state.segments[..closed].to_vec(), state.compacted)
        };
        let latest = self.latest(&closed, cleaned)?;
        let mut saved = 0;
        for group in groups(&closed, &latest, compaction.segment_bytes) {
            saved += self.rewrite(group, &latest, compaction)?;
        }
        self.lock().compacted = latest.upto;
        Ok(saved)
    }

    /// Reads the keys written since the last round.
    fn latest(&self, closed: &[Segment], cleaned: i64) -> Result<Latest> {
        let mut latest = Latest { offsets: HashMap::new(), upto: cleaned };
        for segment in closed.iter().filter(|segment| segment.summary.end > cleaned) {
            let mut full = false;
            self.for_each_batch(segment, |_, stored| {
                if full || stored.max_offset() < cleaned {
                    return Ok(());
                }
                for record in self.records(segment, &stored)?.records {
                    if let Some(key) = record.key.as_deref() {
                        latest.offsets.insert(short(key), stored.base_offset + i64::from(record.offset_delta));
                    }
                }
                latest.upto = stored.max_offset() + 1;
                full = latest.offsets.len() >= KEYS;
                Ok(())
            })?;
            if full {
                break;
            }
            latest.upto = segment.summary.end;
        }
        Ok(latest)
    }

    fn rewrite(&self, group: &[Segment], latest: &Latest, compaction: Compaction) -> Result<u64> {
        let Some(first) = group.first() else { return Ok(0) };
        let staged = self.log_path(first.base).with_extension("cleaned");
        let outcome = self.write_cleaned(&staged, group, latest, compaction);
        let outcome = outcome.and_then(|index| {
            let before: u64 = group.iter().map(|segment| segment.summary.size).sum();
            let saved = before - index.summary().size;
            if saved > 0 || group.len() > 1 {
                self.swap(&staged, group, &index)?;
                debug!(folder = %self.folder.display(), first.base, segments = group.len(), saved, "compacted");
            }
            Ok(saved)
        });
        disk::remove_file(&staged)?;
        outcome
    }

    fn write_cleaned(
        &self,
        staged: &Path,
        group: &[Segment],
        latest: &Latest,
        compaction: Compaction,
    ) -> Result<Index> {
        let base = group.first().map_or(0, |first| first.base);
        let mut index = Index::new(base, self.shared.options.index_interval);
        let file = disk::open(staged, true).and_then(|file| file.set_len(0).map(|()| file));
        let file = file.map_err(Error::io("write", staged))?;
        for segment in group {
            let keep_tombstones = segment.modified >= compaction.tombstones_before;
            self.for_each_batch(segment, |bytes, stored| {
                let cleaned = if stored.base_offset >= latest.upto {
                    None
                } else {
                    match self.clean(segment, &stored, latest, keep_tombstones)? {
                        Cleaned::Nothing => return Ok(()),
                        Cleaned::Same => None,
                        Cleaned::Less(batch) => Some(batch),
                    }
                };
                let header_bytes;
                let parts: [&[u8]; 2] = match &cleaned {
                    None => [&bytes[..HEADER], &bytes[HEADER..]],
                    Some(batch) => {
                        header_bytes = batch::encode_header(batch, batch.base_offset);
                        [&header_bytes, &batch.record_data]
                    }
                };
                disk::write_at(&file, &parts, index.summary().size, &self.shared.options.space)
                    .map_err(Error::io("write", staged))?;
                if let Some(header) = Header::parse(parts[0]) {
                    index.push(&header);
                }
                Ok(())
            })?;
        }
        let modified = group.iter().map(|segment| segment.modified).max().unwrap_or_default();
        keep_time(&file, modified).and_then(|()| file.sync_all()).map_err(Error::io("write", staged))?;
        Ok(index)
    }

    fn clean(&self, segment: &Segment, stored: &deflated::Batch, latest: &Latest, tombstones: bool) -> Result<Cleaned> {
        let mut batch = self.records(segment, stored)?;
        let before = batch.records.len();
        let base_offset = batch.base_offset;
        batch.records.retain(|record: &Record| {
            let Some(key) = record.key.as_deref() else { return true };
            let offset = base_offset + i64::from(record.offset_delta);
            let superseded = latest.offsets.get(&short(key)).is_some_and(|last| *last > offset);
            !superseded && (record.value.is_some() || tombstones)
        });
        if batch.records.len() == before {
            return Ok(Cleaned::Same);
        }
        if batch.records.is_empty() {
            return Ok(Cleaned::Nothing);
        }
        if TimestampType::from(batch.attributes) == TimestampType::CreateTime {
            let times = batch.records.iter().map(|record| batch.record_timestamp(record));
            batch.max_timestamp = times.max().unwrap_or(batch.max_timestamp);
        }
        let undone = |_| self.corrupt(segment.base, 0, base_offset, "a batch cannot be encoded again");
        deflated::Batch::try_from(batch).map(Cleaned::Less).map_err(undone)
    }

    /// Puts the cleaned file in the place of `group`, unless something else has changed these segments meanwhile.
    fn swap(&self, staged: &Path, group: &[Segment], index: &Index) -> Result<()> {
        let mut state = self.lock();
        let Some(first) = group.first() else { return Ok(()) };
        let at = state.segments.partition_point(|segment| segment.base < first.base);
        let present = state.segments.get(at..at + group.len());
        let unchanged = present.is_some_and(|present| present.iter().zip(group).all(|(a, b)| a.base == b.base));
        if !unchanged {
            return Ok(());
        }
        let path = self.log_path(first.base);
        disk::remove_file(&self.index_path(first.base))?;
        fs::rename(staged, &path).map_err(Error::io("replace", &path))?;
        disk::sync_dir(&self.folder)?;
        self.shared.files.forget(&path);
        let mut summary = index.summary();
        summary.end = group.last().map_or(summary.end, |last| last.summary.end);
        let modified = group.iter().map(|segment| segment.modified).max().unwrap_or(first.modified);
        state.segments.splice(at..at + group.len(), [Segment { summary, modified, ..*first }]);
        for segment in &group[1..] {
            state.unsynced.remove(&segment.base);
            self.remove_segment(segment.base)?;
        }
        disk::replace(&self.index_path(first.base), &index.encode(), &self.shared.options.space, false)
    }

    fn for_each_batch(
        &self,
        segment: &Segment,
        mut each: impl FnMut(&Bytes, deflated::Batch) -> Result<()>,
    ) -> Result<()> {
        let path = self.log_path(segment.base);
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let mut headers = Headers::new(&file, 0, segment.summary.size);
        while let Some((position, header)) = headers.next().map_err(Error::io("read", &path))? {
            let bytes = scan::whole(&file, position, &header).map_err(Error::io("read", &path))?;
            let stored = batch::to_deflated(&bytes).filter(|_| batch::is_intact(&header, &bytes));
            let damaged = || self.corrupt(segment.base, position, header.base_offset, "the checksum does not match");
            each(&bytes, stored.ok_or_else(damaged)?)?;
        }
        if headers.position() != segment.summary.size {
            return Err(self.corrupt(segment.base, headers.position(), segment.base, "no batch begins here"));
        }
        Ok(())
    }

    fn records(&self, segment: &Segment, stored: &deflated::Batch) -> Result<inflated::Batch> {
        // By reference: by value, the batch forgets how it was compressed.
        inflated::Batch::try_from(stored)
            .map_err(|error| self.corrupt(segment.base, 0, stored.base_offset, error.to_string()))
    }
}

enum Cleaned {
    Nothing,
    Same,
    Less(deflated::Batch),
}

/// Neighbours that together fit into one segment, as far as the keys were read.
fn groups<'a>(closed: &'a [Segment], latest: &Latest, segment_bytes: u64) -> Vec<&'a [Segment]> {
    let known = closed.partition_point(|segment| segment.base < latest.upto);
    let mut groups = Vec::new();
    let mut rest = &closed[..known];
    while let Some(first) = rest.first() {
        let mut size = first.summary.size;
        let mut count = 1;
        while let Some(next) = rest.get(count).filter(|next| size + next.summary.size <= segment_bytes) {
            size += next.summary.size;
            count += 1;
        }
        let (group, after) = rest.split_at(count);
        groups.push(group);
        rest = after;
    }
    groups
}

fn short(key: &[u8]) -> Key {
    let mut short = Key::default();
    let length = short.len();
    short.copy_from_slice(&Sha256::digest(key)[..length]);
    short
}

fn keep_time(file: &File, modified: i64) -> std::io::Result<()> {
    let since = Duration::from_millis(u64::try_from(modified).unwrap_or(0));
    file.set_modified(SystemTime::UNIX_EPOCH + since)
}
