//! Finds the rows of a delimited text in its raw bytes.
//!
//! RFC 4180, read strictly: a cell that begins with a quote ends with one, and may hold delimiters, line ends and quotes
//! written twice. What breaks the rule costs one *line*, whatever the quote seems to enclose: the reading goes on with the
//! next line, so a forgotten quote never swallows the rest of a file. (What it encloses is taken for a cell only if that
//! makes a row of the right width, as nobody can tell that from a cell of several lines.)

use std::io::{self, Read};

use super::super::reason::Reason;
use super::super::window::{Extent, Window};
use super::super::{KEPT_ROW_BYTES, MAX_ROW_BYTES};

const QUOTE: u16 = b'"' as u16;

/// A row as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The line it starts in, from 1.
    pub line: u64,
    /// Cells in it, or why it is no row.
    pub cells: Result<usize, Reason>,
    /// Whether its last line has an end.
    pub ended: bool,
}

/// The rows of a window.
pub(super) struct Rows<R> {
    pub window: Window<R>,
    delimiter: u16,
}

enum Scan {
    Row { content: usize, whole: usize, lines: u64, cells: usize },
    Broken(Reason),
    Endless,
}

#[derive(Clone, Copy)]
enum State {
    CellStart,
    Unquoted,
    Quoted,
    AfterQuote,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(window: Window<R>, delimiter: char) -> Self {
        // The delimiter was checked to be ASCII.
        Self { window, delimiter: delimiter as u16 }
    }

    /// The next row that is not a blank line; its bytes go into `raw`. `wanted` is the number of cells a row should have,
    /// once that is known.
    pub(super) fn next(&mut self, wanted: Option<usize>, raw: &mut Vec<u8>) -> io::Result<Option<Row>> {
        raw.clear();
        loop {
            let line = self.window.lines() + 1;
            let mut ended = true;
            let cells = match self.scan()? {
                None => return Ok(None),
                Some(Scan::Row { content: 0, whole, .. }) => {
                    self.window.advance(whole, 1);
                    continue;
                }
                Some(Scan::Row { lines, cells, .. }) if lines > 1 && wanted.is_some_and(|wanted| wanted != cells) => {
                    ended = self.take_line(raw)?.1;
                    Err(Reason::RunawayQuote { lines: lines - 1, found: cells, wanted: wanted.unwrap_or_default() })
                }
                Some(Scan::Row { content, whole, lines, cells }) => {
                    raw.extend_from_slice(&self.window.bytes()[..content]);
                    // The last line of a file may have no end yet: it is counted when that is written.
                    ended = whole > content;
                    self.window.advance(whole, lines - u64::from(!ended));
                    if content > MAX_ROW_BYTES { Err(Reason::too_long(content as u64, content)) } else { Ok(cells) }
                }
                Some(Scan::Broken(reason)) => {
                    let (length, whole) = self.take_line(raw)?;
                    ended = whole;
                    Err(if length > MAX_ROW_BYTES as u64 { Reason::too_long(length, raw.len()) } else { reason })
                }
                Some(Scan::Endless) => {
                    let (kept, length) = self.window.skip_endless()?;
                    *raw = kept;
                    Err(Reason::too_long(length, raw.len()))
                }
            };
            return Ok(Some(Row { line, cells, ended }));
        }
    }

    /// Consumes one line, whatever its quotes say; its whole length, and whether it has an end.
    fn take_line(&mut self, raw: &mut Vec<u8>) -> io::Result<(u64, bool)> {
        match self.window.line()? {
            Extent::Nothing => Ok((0, false)),
            Extent::Line { content, whole } => {
                raw.extend_from_slice(&self.window.bytes()[..content]);
                self.window.advance(whole, u64::from(whole > content));
                Ok((content as u64, whole > content))
            }
            Extent::Endless => {
                let (kept, length) = self.window.skip_endless()?;
                *raw = kept;
                Ok((length, true))
            }
        }
    }

    /// Looks for the end of the row that starts the window, without consuming it.
    fn scan(&mut self) -> io::Result<Option<Scan>> {
        let width = self.window.units.width();
        let (mut i, mut state, mut cells, mut lines) = (0, State::CellStart, 1, 1);
        loop {
            while i + width <= self.window.bytes().len() {
                let Some(end) = self.window.line_end(i) else { break };
                let unit = self.window.units.at(self.window.bytes(), i);
                state = match state {
                    State::Quoted if unit == QUOTE => State::AfterQuote,
                    State::Quoted => {
                        lines += u64::from(end > 0);
                        // Both bytes of CR LF at once, or the line would count twice.
                        i += end.saturating_sub(width);
                        State::Quoted
                    }
                    _ if end > 0 => return Ok(Some(Scan::Row { content: i, whole: i + end, lines, cells })),
                    _ if unit == self.delimiter => {
                        cells += 1;
                        State::CellStart
                    }
                    State::CellStart if unit == QUOTE => State::Quoted,
                    State::AfterQuote if unit == QUOTE => State::Quoted,
                    State::AfterQuote => return Ok(Some(Scan::Broken(Reason::TextAfterQuote))),
                    State::Unquoted if unit == QUOTE => return Ok(Some(Scan::Broken(Reason::StrayQuote))),
                    State::CellStart | State::Unquoted => State::Unquoted,
                };
                i += width;
            }
            if i >= KEPT_ROW_BYTES {
                let quoted = matches!(state, State::Quoted) && lines > 1;
                return Ok(Some(if quoted { Scan::Broken(Reason::UnclosedQuote) } else { Scan::Endless }));
            }
            if !self.window.fill()? && i + width > self.window.bytes().len() {
                let left = self.window.bytes().len();
                return Ok(match state {
                    _ if left == 0 => None,
                    State::Quoted => Some(Scan::Broken(Reason::UnclosedQuote)),
                    _ => Some(Scan::Row { content: left, whole: left, lines, cells }),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, wanted: usize) -> Vec<(u64, String, Result<usize, &'static str>)> {
        let mut rows = Rows::new(Window::new(text.as_bytes()), ',');
        let (mut raw, mut found) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next(Some(wanted), &mut raw).unwrap() {
            let text = String::from_utf8(raw.clone()).unwrap();
            found.push((row.line, text, row.cells.map_err(|reason| reason.kind())));
        }
        assert_eq!(rows.window.offset(), text.len() as u64);
        found
    }

    fn row(line: u64, text: &str, cells: usize) -> (u64, String, Result<usize, &'static str>) {
        (line, text.to_owned(), Ok(cells))
    }

    fn broken(line: u64, text: &str) -> (u64, String, Result<usize, &'static str>) {
        (line, text.to_owned(), Err("BrokenQuote"))
    }

    #[test]
    fn a_quoted_cell_may_hold_delimiters_line_ends_and_quotes() {
        let found = rows("a,b\r\n\"x,\r\ny\",\"say \"\"hi\"\"\"\nc,\n", 2);
        assert_eq!(found, [row(1, "a,b", 2), row(2, "\"x,\r\ny\",\"say \"\"hi\"\"\"", 2), row(4, "c,", 2)]);
    }

    #[test]
    fn blank_lines_are_passed_over_and_counted() {
        assert_eq!(rows("\n\r\na,b\n\n\nc,d", 2), [row(3, "a,b", 2), row(6, "c,d", 2)]);
        assert!(rows("\n\n", 2).is_empty());
    }

    #[test]
    fn a_forgotten_quote_costs_one_line_wherever_the_next_quote_is() {
        assert_eq!(rows("1,\"a\n2,b\n3,c\n", 2), [broken(1, "1,\"a"), row(2, "2,b", 2), row(3, "3,c", 2)]);
        assert_eq!(rows("1,\"a\n2,\"b\"\n", 2), [broken(1, "1,\"a"), row(2, "2,\"b\"", 2)]);
    }

    #[test]
    fn quotes_out_of_place_are_broken() {
        assert_eq!(rows("a\"b,c\nd,e\n", 2), [broken(1, "a\"b,c"), row(2, "d,e", 2)]);
        assert_eq!(rows("\"a\"b,c\nd,e\n", 2), [broken(1, "\"a\"b,c"), row(2, "d,e", 2)]);
    }

    #[test]
    fn a_quote_that_swallows_lines_into_a_row_of_another_width_costs_one_line() {
        assert_eq!(rows("1,\"a,b\n2,c\n3\",d,e\n", 2), [broken(1, "1,\"a,b"), row(2, "2,c", 2), broken(3, "3\",d,e")]);
    }

    #[test]
    fn a_huge_cell_is_one_item_with_all_of_its_bytes() {
        let text = format!("a,b\nc,\"{}\"\nd,e\n", "x\n".repeat(5 << 20));
        let found = rows(&text, 2);
        assert_eq!((found.len(), found[1].2, found[1].1.len()), (3, Err("TooLong"), (10 << 20) + 4));
        assert_eq!(found[2].0, (5 << 20) + 3);
    }

    #[test]
    fn an_unclosed_quote_before_a_huge_rest_costs_one_line() {
        let text = format!("c,\"x\n{}", "d,e\n".repeat((KEPT_ROW_BYTES / 4) + 100));
        let found = rows(&text, 2);
        assert_eq!((found.len(), &found[0]), (KEPT_ROW_BYTES / 4 + 101, &broken(1, "c,\"x")));
    }

    #[test]
    fn well_formed_texts_are_split_as_the_csv_crate_splits_them() {
        use rand::{Rng, SeedableRng};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..300 {
            let (width, mut writer) = (random.random_range(2..5), csv::Writer::from_writer(Vec::new()));
            let mut cells = Vec::new();
            for _ in 0..random.random_range(1..8) {
                let row: Vec<String> = (0..width)
                    .map(|_| {
                        (0..random.random_range(0..6))
                            .map(|_| ['a', '"', ',', '\n', '\r', 'é'][random.random_range(0..6)])
                            .collect()
                    })
                    .collect();
                writer.write_record(&row).unwrap();
                cells.push(row);
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let mut rows = Rows::new(Window::new(text.as_bytes()), ',');
            let (mut raw, mut found) = (Vec::new(), Vec::new());
            while let Some(row) = rows.next(Some(width), &mut raw).unwrap() {
                assert_eq!(row.cells, Ok(width), "{text:?}");
                let text = std::str::from_utf8(&raw).unwrap();
                found.push(super::super::cells::split(text, ',').map(|cell| cell.into_owned()).collect::<Vec<_>>());
            }
            assert_eq!(found, cells, "{text:?}");
        }
    }
}
