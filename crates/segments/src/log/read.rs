//! Reading by offset and by time. The lock is held to find the place, not while the disk is read.

use std::sync::Arc;

use bytes::Bytes;
use nisshi_sans_io::record::{deflated, inflated};

use super::files::OpenSegment;
use super::index::Index;
use super::scan::{self, Headers};
use super::{PartitionLog, Segment};
use crate::batch::{self, HEADER, Header};
use crate::disk;
use crate::error::{Error, Result};

/// The least that is worth a system call, and the most that is read for one answer.
const READ: std::ops::RangeInclusive<usize> = (32 << 10)..=(4 << 20);

/// A place to read from. The file is opened in the same moment, so that a segment that is replaced or deleted after
/// that is read as it was.
struct Place {
    segment: Segment,
    open: Arc<OpenSegment>,
    /// Where the last segment's index says to begin; a closed one's is asked later.
    position: Option<u64>,
    /// It is not the last one.
    followed: bool,
}

impl PartitionLog {
    /// The batches from the one that holds `offset` on: at most `max_bytes` of them, but always one when there is one,
    /// and none beyond the visible end. A batch that begins before `offset` comes whole.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when there are bytes at the place that are no batch.
    pub fn read(&self, offset: i64, max_bytes: usize) -> Result<Vec<deflated::Batch>> {
        let visible = self.progress().visible;
        let mut offset = offset.max(self.start());
        while offset < visible {
            let Some(place) = self.place(offset, |index| index.position_of(offset))? else { break };
            let position = self.position(&place, |index| index.position_of(offset));
            let batches = self.read_segment(&place, position, offset, visible, max_bytes)?;
            if !batches.is_empty() || !place.followed {
                return Ok(batches);
            }
            offset = place.segment.summary.end.max(offset + 1);
        }
        Ok(Vec::new())
    }

    /// The first record whose timestamp is at least `timestamp` (milliseconds since 1970): its offset and timestamp.
    pub fn find_time(&self, timestamp: i64) -> Result<Option<(i64, i64)>> {
        let (start, visible) = (self.start(), self.progress().visible);
        let mut offset = start;
        while let Some(place) = self.place(offset, |index| index.position_of_time(timestamp))? {
            let Segment { base, summary, .. } = place.segment;
            if summary.max_timestamp >= timestamp && summary.end > start {
                let file = &place.open.file;
                let from = self.position(&place, |index| index.position_of_time(timestamp));
                let path = self.log_path(base);
                let mut headers = Headers::new(file, from, summary.size);
                while let Some((position, header)) = headers.next().map_err(Error::io("read", &path))? {
                    if header.base_offset >= visible {
                        return Ok(None);
                    }
                    if header.max_timestamp < timestamp || header.next_offset() <= start {
                        continue;
                    }
                    let bytes = scan::whole(file, position, &header).map_err(Error::io("read", &path))?;
                    if let Some(found) = self.record_at_time(base, position, &bytes, start, timestamp)? {
                        return Ok(Some(found));
                    }
                }
            }
            if !place.followed {
                break;
            }
            offset = summary.end.max(offset + 1);
        }
        Ok(None)
    }

    fn record_at_time(
        &self,
        base: i64,
        position: u64,
        bytes: &Bytes,
        start: i64,
        timestamp: i64,
    ) -> Result<Option<(i64, i64)>> {
        let decoded = batch::to_deflated(bytes).map(|stored| inflated::Batch::try_from(&stored));
        let Some(Ok(records)) = decoded else {
            return Err(self.corrupt(base, position, start, "the records of this batch cannot be decoded"));
        };
        let times = records
            .records
            .iter()
            .map(|record| (records.base_offset + i64::from(record.offset_delta), records.record_timestamp(record)));
        Ok(times.into_iter().find(|(offset, time)| *offset >= start && *time >= timestamp))
    }

    fn place(&self, offset: i64, find: impl FnOnce(&Index) -> u64) -> Result<Option<Place>> {
        let state = self.lock();
        let Some(at) = state.segment_of(offset) else { return Ok(None) };
        let segment = state.segments[at];
        let open = self.shared.files.get(&self.log_path(segment.base), false)?;
        let followed = at + 1 < state.segments.len();
        let position = (!followed).then(|| find(&state.active));
        Ok(Some(Place { segment, open, position, followed }))
    }

    fn position(&self, place: &Place, find: impl FnOnce(&Index) -> u64) -> u64 {
        place.position.unwrap_or_else(|| {
            let index = place.open.index.get_or_init(|| self.load_index(&place.open, &place.segment));
            find(index)
        })
    }

    /// A closed segment's index from its file, or from the batches when the file is missing, damaged or of another
    /// length than the segment.
    fn load_index(&self, open: &OpenSegment, segment: &Segment) -> Index {
        let stored = std::fs::read(self.index_path(segment.base)).ok().and_then(|bytes| Index::decode(&bytes));
        if let Some(index) = stored.filter(|index| index.summary().size == segment.summary.size) {
            return index;
        }
        let mut index = Index::new(segment.base, self.shared.options.index_interval);
        let mut headers = Headers::new(&open.file, 0, segment.summary.size);
        // Where reading fails, the index ends; whoever reads on from there is told what is wrong.
        while let Ok(Some((_, header))) = headers.next() {
            index.push(&header);
        }
        index
    }

    fn read_segment(
        &self,
        place: &Place,
        position: u64,
        offset: i64,
        visible: i64,
        max_bytes: usize,
    ) -> Result<Vec<deflated::Batch>> {
        let Place { segment, open, .. } = place;
        let path = self.log_path(segment.base);
        let fetch = |length: usize, at: u64| -> Result<Bytes> {
            let left = usize::try_from(segment.summary.size - at).unwrap_or(usize::MAX);
            disk::read_at(&open.file, length.min(left), at).map(Bytes::from).map_err(Error::io("read", &path))
        };
        let slack = usize::try_from(self.shared.options.index_interval).unwrap_or(0);
        let mut batches = Vec::new();
        let mut total = 0_usize;
        let mut at = position;
        while batches.is_empty() && at < segment.summary.size {
            let window = fetch(max_bytes.saturating_add(slack).clamp(*READ.start(), *READ.end()), at)?;
            let mut used = 0_usize;
            while let Some(header) = window.get(used..).and_then(Header::parse) {
                let size = usize::try_from(header.size).unwrap_or(usize::MAX);
                let end = used.saturating_add(size);
                if header.next_offset() > offset {
                    if header.base_offset >= visible || (!batches.is_empty() && total + size > max_bytes) {
                        return Ok(batches);
                    }
                    let bytes = if end <= window.len() {
                        window.slice(used..end)
                    } else if batches.is_empty() {
                        fetch(size, at + used as u64)?
                    } else {
                        return Ok(batches);
                    };
                    if bytes.len() < size {
                        break;
                    }
                    batches.extend(batch::to_deflated(&bytes));
                    total += size;
                }
                used = end;
            }
            if used == 0 {
                let reason = if window.len() < HEADER { "the file ends too early" } else { "no batch begins here" };
                return Err(self.corrupt(segment.base, at, offset, reason));
            }
            at += used as u64;
        }
        Ok(batches)
    }
}
