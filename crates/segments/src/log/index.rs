//! The sparse index of a segment: for every so many bytes, where the next batch begins, which offset it has, and the
//! greatest timestamp before it. One file serves offsets and times, because the greatest timestamp so far only grows.
//!
//! While a segment is written to, its index is in memory only: what a crash leaves is rebuilt from the batches' headers.
//! The file is written when a segment is closed, and again when the store is.

use bytes::{Buf, BufMut};

use crate::batch::{self, Header};

const MAGIC: u64 = u64::from_be_bytes(*b"dmindex1");
const SUMMARY: usize = 48;
const ENTRY: usize = 20;

/// Where a batch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub offset: i64,
    /// Bytes from the beginning of the segment.
    pub position: u32,
    /// The greatest timestamp of all batches before `position`; `i64::MIN` when there is none.
    pub max_timestamp_before: i64,
}

/// A segment as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Bytes of whole batches.
    pub size: u64,
    /// The offset after the last batch.
    pub end: i64,
    /// The greatest timestamp; `i64::MIN` when empty.
    pub max_timestamp: i64,
}

/// The index of one segment.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    interval: u64,
    entries: Vec<Entry>,
    summary: Summary,
}

impl Index {
    /// The index of an empty segment that begins at `base`.
    pub fn new(base: i64, interval: u64) -> Self {
        Self { interval, entries: Vec::new(), summary: Summary { size: 0, end: base, max_timestamp: i64::MIN } }
    }

    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Adds the batch that follows what is there.
    pub fn push(&mut self, header: &Header) {
        let indexed_to = self.entries.last().map_or(0, |entry| u64::from(entry.position));
        if (self.summary.size >= indexed_to + self.interval || self.entries.is_empty())
            && let Ok(position) = u32::try_from(self.summary.size)
        {
            let max_timestamp_before = self.summary.max_timestamp;
            self.entries.push(Entry { offset: header.base_offset, position, max_timestamp_before });
        }
        self.summary.size += header.size;
        self.summary.end = header.next_offset();
        self.summary.max_timestamp = self.summary.max_timestamp.max(header.max_timestamp);
    }

    /// The last known beginning of a batch at or before `offset`.
    pub fn position_of(&self, offset: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.offset <= offset);
        after.checked_sub(1).map_or(0, |at| u64::from(self.entries[at].position))
    }

    /// The last known beginning of a batch before which every timestamp is less than `timestamp`.
    pub fn position_of_time(&self, timestamp: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.max_timestamp_before < timestamp);
        after.checked_sub(1).map_or(0, |at| u64::from(self.entries[at].position))
    }

    /// The index as a file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SUMMARY + self.entries.len() * ENTRY + 4);
        out.put_u64(MAGIC);
        out.put_u64(self.summary.size);
        out.put_i64(self.summary.end);
        out.put_i64(self.summary.max_timestamp);
        out.put_u64(self.interval);
        out.put_u32(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        out.put_u32(batch::crc(&out));
        for entry in &self.entries {
            out.put_i64(entry.offset);
            out.put_u32(entry.position);
            out.put_i64(entry.max_timestamp_before);
        }
        let crc = batch::crc(&out[SUMMARY..]);
        out.put_u32(crc);
        out
    }

    /// Reads a whole index file; `None` when it is not one, or not all there.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (summary, interval, count) = decode_head(bytes)?;
        let body = bytes.get(SUMMARY..SUMMARY + count * ENTRY)?;
        let mut crc = bytes.get(SUMMARY + count * ENTRY..)?;
        if crc.len() != 4 || crc.get_u32() != batch::crc(body) {
            return None;
        }
        let mut at = body;
        let entries = (0..count)
            .map(|_| Entry { offset: at.get_i64(), position: at.get_u32(), max_timestamp_before: at.get_i64() })
            .collect();
        Some(Self { interval, entries, summary })
    }

    /// Reads the summary at the beginning of an index file.
    pub fn decode_summary(bytes: &[u8]) -> Option<Summary> {
        decode_head(bytes).map(|(summary, ..)| summary)
    }
}

/// Bytes that [`Index::decode_summary`] needs.
pub(crate) const SUMMARY_BYTES: usize = SUMMARY;

fn decode_head(bytes: &[u8]) -> Option<(Summary, u64, usize)> {
    let mut at = bytes.get(..SUMMARY)?;
    let checked = batch::crc(&at[..SUMMARY - 4]);
    if at.get_u64() != MAGIC {
        return None;
    }
    let summary = Summary { size: at.get_u64(), end: at.get_i64(), max_timestamp: at.get_i64() };
    let interval = at.get_u64();
    let count = usize::try_from(at.get_u32()).ok()?;
    (at.get_u32() == checked).then_some((summary, interval, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(base_offset: i64, size: u64, max_timestamp: i64) -> Header {
        Header {
            base_offset,
            size,
            crc: 0,
            last_offset_delta: 9,
            max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
        }
    }

    /// Ten batches of 100 bytes and ten records, the timestamps going up and down.
    fn index(interval: u64) -> Index {
        let mut index = Index::new(0, interval);
        for i in 0..10 {
            index.push(&header(i * 10, 100, if i % 2 == 0 { i * 1_000 } else { 5 }));
        }
        index
    }

    #[test]
    fn an_offset_is_found_at_or_before_its_batch() {
        for interval in [1, 250, 10_000] {
            let index = index(interval);
            for offset in 0..100 {
                let position = index.position_of(offset);
                assert!(position <= u64::try_from(offset / 10).unwrap() * 100, "{interval} {offset}");
            }
        }
        assert_eq!(index(1).position_of(57), 500);
        assert_eq!(index(250).position_of(57), 300);
    }

    #[test]
    fn a_time_is_found_before_the_first_batch_that_reaches_it() {
        let index = index(1);
        assert_eq!(index.position_of_time(0), 0);
        assert_eq!(index.position_of_time(1), 100);
        assert_eq!(index.position_of_time(8_000), 800);
        assert_eq!(index.position_of_time(9_000), 900);
    }

    #[test]
    fn the_file_holds_what_was_in_memory() {
        let index = index(250);
        let file = index.encode();
        let read = Index::decode(&file).unwrap();
        assert_eq!(read.entries, index.entries);
        assert_eq!(Index::decode_summary(&file[..SUMMARY_BYTES]), Some(index.summary()));
        assert_eq!(index.summary(), Summary { size: 1_000, end: 100, max_timestamp: 8_000 });
    }

    #[test]
    fn a_damaged_file_is_no_index() {
        let file = index(1).encode();
        for length in 0..file.len() {
            assert!(Index::decode(&file[..length]).is_none(), "{length} bytes");
        }
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 4;
            assert!(Index::decode(&damaged).is_none(), "byte {at}");
        }
    }
}
