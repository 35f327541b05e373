//! Going through a segment batch by batch, without its index.

use std::fs::File;
use std::io;

use bytes::Bytes;

use crate::batch::{self, HEADER, Header};
use crate::disk;

/// Bytes read at once: many headers when batches are small, little waste when they are large.
const WINDOW: usize = 64 << 10;

/// The headers of a segment, in order, from one position on, as long as one follows the other.
pub(super) struct Headers<'a> {
    file: &'a File,
    /// Where the next header is expected.
    at: u64,
    /// The segment's length.
    limit: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Headers<'a> {
    pub fn new(file: &'a File, from: u64, limit: u64) -> Self {
        Self { file, at: from, limit, window: Vec::new(), window_at: from }
    }

    /// The next batch's position and header. `None` at the end, or where no whole batch follows; [`Self::position`]
    /// tells which.
    pub fn next(&mut self) -> io::Result<Option<(u64, Header)>> {
        if self.at + HEADER as u64 > self.limit {
            return Ok(None);
        }
        let held = self.window_at + self.window.len() as u64;
        if self.at < self.window_at || self.at + HEADER as u64 > held {
            self.window = disk::read_at(self.file, WINDOW, self.at)?;
            self.window_at = self.at;
        }
        let skip = usize::try_from(self.at - self.window_at).unwrap_or(usize::MAX);
        let header = self.window.get(skip..).and_then(Header::parse);
        let Some(header) = header.filter(|header| self.at + header.size <= self.limit) else { return Ok(None) };
        let position = self.at;
        self.at += header.size;
        Ok(Some((position, header)))
    }

    /// The position after the last batch that was returned.
    pub fn position(&self) -> u64 {
        self.at
    }
}

/// The bytes of the batch at `position`.
pub(super) fn whole(file: &File, position: u64, header: &Header) -> io::Result<Bytes> {
    let size = usize::try_from(header.size).unwrap_or(usize::MAX);
    disk::read_at(file, size, position).map(Bytes::from)
}

/// Whether the batch at `position` matches its checksum.
pub(super) fn is_intact(file: &File, position: u64, header: &Header) -> io::Result<bool> {
    let bytes = whole(file, position, header)?;
    Ok(bytes.len() as u64 == header.size && batch::is_intact(header, &bytes))
}

/// Looks for an intact batch at or after `from` whose offset is at least `least`: what tells damage in the middle of a
/// file from an end that was torn off.
pub(super) fn find_batch(file: &File, from: u64, limit: u64, least: i64) -> io::Result<Option<u64>> {
    let mut window_at = from;
    while window_at + HEADER as u64 <= limit {
        let window = disk::read_at(file, WINDOW + HEADER, window_at)?;
        for skip in 0..window.len().saturating_sub(HEADER - 1).min(WINDOW) {
            let position = window_at + skip as u64;
            if let Some(header) = Header::parse(&window[skip..])
                && header.base_offset >= least
                && position + header.size <= limit
                && is_intact(file, position, &header)?
            {
                return Ok(Some(position));
            }
        }
        window_at += WINDOW as u64;
    }
    Ok(None)
}
