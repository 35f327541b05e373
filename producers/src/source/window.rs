//! A window that slides over a file's bytes and knows its place: offset and line.

use std::io::{self, Read, Seek, SeekFrom};

use super::text::Units;
use super::{KEPT_ROW_BYTES, Position};

const CHUNK: usize = 256 << 10;
pub(super) const LINE_FEED: u16 = b'\n' as u16;
pub(super) const CARRIAGE_RETURN: u16 = b'\r' as u16;

/// Bytes that were read and not yet consumed.
pub(super) struct Window<R> {
    reader: R,
    bytes: Vec<u8>,
    start: usize,
    ended: bool,
    offset: u64,
    lines: u64,
    pub(super) units: Units,
}

/// How far a line reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// There is no more.
    Nothing,
    /// A line, in bytes from the start of the window: its content, and with its end.
    Line {
        /// Bytes without the line's end.
        content: usize,
        /// Bytes with it.
        whole: usize,
    },
    /// More than [`KEPT_ROW_BYTES`] without an end.
    Endless,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, bytes: Vec::new(), start: 0, ended: false, offset: 0, lines: 0, units: Units::Bytes }
    }

    /// What is at hand.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Offset of the window's start in the file.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Lines before the window's start.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Whether a line end is at hand, or nothing will come any more.
    pub(super) fn holds_a_line(&self) -> bool {
        self.ended || self.bytes().contains(&b'\n')
    }

    /// Reads on; false at the end of the file.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.bytes.drain(..self.start);
        self.start = 0;
        let held = self.bytes.len();
        if held < CHUNK {
            // One huge row must not leave its buffer behind.
            self.bytes.shrink_to(2 * CHUNK);
        }
        self.bytes.resize(held + CHUNK, 0);
        let read = loop {
            match self.reader.read(&mut self.bytes[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        self.bytes.truncate(held + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(!self.ended)
    }

    /// Reads as much as a byte order mark may have: a pipe gives what there is, and that may be a byte.
    pub(super) fn fill_beginning(&mut self) -> io::Result<()> {
        while self.bytes().len() < 3 && self.fill()? {}
        Ok(())
    }

    /// Consumes `bytes` that hold `lines` line ends.
    pub(super) fn advance(&mut self, bytes: usize, lines: u64) {
        self.start += bytes;
        self.offset += bytes as u64;
        self.lines += lines;
    }

    /// Length of the line end at `i`, 0 when there is none; `None` when that needs one more byte. A line ends with a line
    /// feed, a carriage return, or both.
    #[inline]
    pub(super) fn line_end(&self, i: usize) -> Option<usize> {
        let (width, bytes) = (self.units.width(), self.bytes());
        match self.units.at(bytes, i) {
            LINE_FEED => Some(width),
            CARRIAGE_RETURN if i + 2 * width <= bytes.len() => {
                Some(if self.units.at(bytes, i + width) == LINE_FEED { 2 * width } else { width })
            }
            CARRIAGE_RETURN => self.ended.then_some(width),
            _ => Some(0),
        }
    }

    /// Finds the end of the line that starts the window.
    pub(super) fn line(&mut self) -> io::Result<Extent> {
        let width = self.units.width();
        let mut i = 0;
        loop {
            while i + width <= self.bytes().len() {
                match self.line_end(i) {
                    None => break,
                    Some(0) => i += width,
                    Some(end) => return Ok(Extent::Line { content: i, whole: i + end }),
                }
            }
            if i >= KEPT_ROW_BYTES {
                return Ok(Extent::Endless);
            }
            if !self.fill()? && i + width > self.bytes().len() {
                let left = self.bytes().len();
                return Ok(if left == 0 { Extent::Nothing } else { Extent::Line { content: left, whole: left } });
            }
        }
    }

    /// Consumes an endless line: its first [`KEPT_ROW_BYTES`] and its whole length, without the line's end.
    pub(super) fn skip_endless(&mut self) -> io::Result<(Vec<u8>, u64)> {
        let width = self.units.width();
        let kept = self.bytes()[..KEPT_ROW_BYTES.min(self.bytes().len())].to_vec();
        let mut length = kept.len() as u64;
        self.advance(kept.len(), 0);
        loop {
            let mut i = 0;
            while i + width <= self.bytes().len() {
                match self.line_end(i) {
                    None => break,
                    Some(0) => i += width,
                    Some(end) => {
                        self.advance(i + end, 1);
                        return Ok((kept, length + i as u64));
                    }
                }
            }
            self.advance(i, 0);
            length += i as u64;
            if !self.fill()? && self.bytes().len() < width {
                let rest = self.bytes().len();
                self.advance(rest, 0);
                return Ok((kept, length + rest as u64));
            }
        }
    }
}

impl<R: Read + Seek> Window<R> {
    /// Goes to where `position` stands.
    pub(super) fn seek(&mut self, position: Position) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(position.bytes))?;
        self.bytes.clear();
        self.start = 0;
        self.ended = false;
        self.offset = position.bytes;
        self.lines = position.lines;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], units: Units) -> Vec<Vec<u8>> {
        let mut window = Window::new(text);
        window.units = units;
        let mut found = Vec::new();
        while let Extent::Line { content, whole } = window.line().unwrap() {
            found.push(window.bytes()[..content].to_vec());
            window.advance(whole, 1);
        }
        assert_eq!(window.offset(), text.len() as u64);
        found
    }

    #[test]
    fn lines_end_with_a_line_feed_a_carriage_return_or_both() {
        assert_eq!(lines(b"a\nb\r\nc\rd\n\ne", Units::Bytes), [&b"a"[..], b"b", b"c", b"d", b"", b"e"]);
        assert_eq!(lines(b"a\r", Units::Bytes), [b"a"]);
        assert!(lines(b"", Units::Bytes).is_empty());
    }

    #[test]
    fn a_line_feed_in_half_a_unit_is_none() {
        // U+0A0A and U+0A00 hold the byte of a line feed; the last byte is half a unit.
        let text = [0x0A, 0x0A, 0x00, 0x0A, b'\r', 0, b'\n', 0, b'x', 0, b'y'];
        assert_eq!(lines(&text, Units::Little), [&[0x0A, 0x0A, 0x00, 0x0A][..], &[b'x', 0, b'y']]);
    }

    #[test]
    fn an_endless_line_is_cut_and_counted_and_the_next_one_is_found() {
        let mut text = vec![b'x'; KEPT_ROW_BYTES + CHUNK + 7];
        text.extend_from_slice(b"\r\nnext\n");
        let mut window = Window::new(text.as_slice());
        assert_eq!(window.line().unwrap(), Extent::Endless);
        let (kept, length) = window.skip_endless().unwrap();
        assert_eq!((kept.len(), length), (KEPT_ROW_BYTES, (KEPT_ROW_BYTES + CHUNK + 7) as u64));
        assert_eq!(window.line().unwrap(), Extent::Line { content: 4, whole: 5 });
        assert_eq!(window.lines(), 1);
    }
}
