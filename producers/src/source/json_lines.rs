//! One JSON object a line.

use std::io::{Read, Seek};

use driftmill_schemas::pipeline::JsonLinesSource;
use driftmill_schemas::record::{ObjectReader, Record, RecordSchema};

use super::csv::read_failed;
use super::reason::Reason;
use super::text::Text;
use super::window::{Extent, Window};
use super::{Content, Item, MAX_ROW_BYTES, Position, RecordSource, Total};
use crate::Error;

/// A file with one JSON object a line, in UTF-8 (or UTF-16 with a byte order mark). Item = line with something in it.
pub(crate) struct JsonLinesReader<R> {
    window: Window<R>,
    text: Text,
    objects: ObjectReader,
    file: String,
    size: u64,
    sequence: u64,
    /// Whether the last line had no end.
    cut_off: bool,
}

impl<R: Read> JsonLinesReader<R> {
    /// Begins to read `reader`, which holds `size` bytes and is called `file` in errors.
    pub(crate) fn begin(
        reader: R,
        size: u64,
        file: &str,
        declared: &JsonLinesSource,
        schema: &RecordSchema,
    ) -> Result<Self, Error> {
        let mut window = Window::new(reader);
        window.fill_beginning().map_err(read_failed(file))?;
        let (text, mark) = Text::utf8().sniff(window.bytes());
        window.units = text.units;
        window.advance(mark, 0);
        let objects = ObjectReader::renamed(schema, &declared.columns, &declared.ignore);
        Ok(Self { window, text, objects, file: file.to_owned(), size, sequence: 0, cut_off: false })
    }
}

impl<R: Read + Seek> JsonLinesReader<R> {
    /// Opens `reader`, which holds `size` bytes and is called `file` in errors, at `position`.
    pub(crate) fn open(
        reader: R,
        size: u64,
        file: &str,
        declared: &JsonLinesSource,
        schema: &RecordSchema,
        position: Position,
    ) -> Result<Self, Error> {
        let mut opened = Self::begin(reader, size, file, declared, schema)?;
        if position.bytes > opened.window.offset() {
            opened.window.seek(position).map_err(read_failed(file))?;
        }
        opened.sequence = position.sequence;
        Ok(opened)
    }
}

impl<R: Read> JsonLinesReader<R> {
    /// The next line that is not blank: its bytes, and what it holds.
    fn line(&mut self) -> std::io::Result<Option<(u64, Content)>> {
        loop {
            let line = self.window.lines() + 1;
            let (content, whole) = match self.window.line()? {
                Extent::Nothing => return Ok(None),
                Extent::Line { content, whole } => (content, whole),
                Extent::Endless => {
                    let (original, length) = self.window.skip_endless()?;
                    let reason = Reason::too_long(length, original.len());
                    return Ok(Some((line, Content::Unreadable { reason, original })));
                }
            };
            // The last line of a file may have no end yet: it is counted when that is written.
            let ends = u64::from(whole > content);
            self.cut_off = ends == 0;
            let raw = &self.window.bytes()[..content];
            let read = if content > MAX_ROW_BYTES {
                Err(Reason::too_long(content as u64, content))
            } else {
                self.text.decode(raw).ok_or(Reason::Encoding(self.text.name())).and_then(|text| self.record(&text))
            };
            let content = match read {
                Ok(None) => {
                    self.window.advance(whole, ends);
                    continue;
                }
                Ok(Some(record)) => Content::Record(record),
                Err(reason) => Content::Unreadable { reason, original: raw.to_vec() },
            };
            self.window.advance(whole, ends);
            return Ok(Some((line, content)));
        }
    }

    /// Reads one line; `None` when it is blank.
    fn record(&self, text: &str) -> Result<Option<Record>, Reason> {
        if text.trim().is_empty() { Ok(None) } else { Ok(self.objects.read(text).map(Some)?) }
    }
}

impl<R: Read + Send> RecordSource for JsonLinesReader<R> {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        let Some((line, content)) = self.line().map_err(read_failed(&self.file))? else { return Ok(None) };
        let sequence = self.sequence;
        self.sequence += 1;
        let next =
            Position { sequence: self.sequence, bytes: self.window.offset(), lines: self.window.lines(), within: 0 };
        Ok(Some(Item::numbered(sequence, line, content, next)))
    }

    fn total_hint(&self) -> Option<Total> {
        Some(Total::Bytes(self.size))
    }

    fn at_hand(&self) -> bool {
        self.window.holds_a_line()
    }

    fn cut_off(&self) -> bool {
        self.cut_off
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::source::KEPT_ROW_BYTES;

    fn schema() -> RecordSchema {
        RecordSchema::parse(
            r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"},{"name":"name","type":["null","string"]}]}"#,
        )
        .unwrap()
    }

    fn open(text: &[u8], position: Position) -> JsonLinesReader<Cursor<Vec<u8>>> {
        let declared = JsonLinesSource {
            path: String::new(),
            columns: [("Name".to_owned(), "name".to_owned())].into(),
            ignore: vec!["extra".to_owned()],
        };
        JsonLinesReader::open(Cursor::new(text.to_vec()), text.len() as u64, "f", &declared, &schema(), position)
            .unwrap()
    }

    fn items(mut reader: JsonLinesReader<Cursor<Vec<u8>>>) -> Vec<Item> {
        std::iter::from_fn(|| reader.next().unwrap()).collect()
    }

    fn kinds(items: &[Item]) -> Vec<(u64, &'static str)> {
        let kind = |item: &Item| match &item.content {
            Content::Record(_) | Content::Framed(..) | Content::Nothing => "record",
            Content::Unreadable { reason, .. } => reason.kind(),
        };
        items.iter().map(|item| (item.line, kind(item))).collect()
    }

    const HOSTILE: &[u8] = b"{\"id\":1,\"Name\":\"a\",\"extra\":[1]}\r\n\n  \n{\"id\":\"x\"}\n{\"id\":2\n[1]\n{\"idd\":3}\n\
        {\"id\":4,\"id\":5}\n{\"name\":\"n\"}\n{\"id\":6,\"name\":\"\xff\"}\n{\"id\":7,\"name\":\"a\",\"Name\":\"b\"}\nnull\n{\"id\":8}";

    #[test]
    fn every_bad_line_is_one_item_and_the_reading_goes_on() {
        let items = items(open(HOSTILE, Position::default()));
        let wanted = [
            (1, "record"),
            (4, "WrongType"),
            (5, "InvalidJson"),
            (6, "InvalidJson"),
            (7, "UnknownKey"),
            (8, "GivenTwice"),
            (9, "MissingValue"),
            (10, "InvalidEncoding"),
            (11, "GivenTwice"),
            (12, "InvalidJson"),
            (13, "record"),
        ];
        assert_eq!(kinds(&items), wanted);
        let Content::Unreadable { reason, original } = &items[4].content else { panic!() };
        assert_eq!(original, b"{\"idd\":3}");
        assert!(reason.to_string().contains("did you mean `id`?"), "{reason}");
    }

    #[test]
    fn going_on_anywhere_gives_what_was_not_interrupted() {
        let whole = items(open(HOSTILE, Position::default()));
        for cut in 0..whole.len() {
            assert_eq!(items(open(HOSTILE, whole[cut].next)), whole[cut + 1..]);
        }
    }

    #[test]
    fn lines_beyond_any_size_are_passed_over() {
        let mut text = format!("{{\"id\":1,\"name\":\"{}\"}}\n", "x".repeat(10_000_000)).into_bytes();
        text.resize(text.len() + KEPT_ROW_BYTES + 1_000_000, b'[');
        text.extend_from_slice(b"\n{\"id\":2}\n");
        let items = items(open(&text, Position::default()));
        assert_eq!(kinds(&items), [(1, "TooLong"), (2, "TooLong"), (3, "record")]);
        let Content::Unreadable { original, .. } = &items[0].content else { panic!() };
        assert_eq!(original.len(), 10_000_000 + 18);
    }

    #[test]
    fn a_byte_order_mark_is_read_and_deep_nesting_is_refused() {
        let mut text = b"\xef\xbb\xbf{\"id\":1}\n{\"id\":".to_vec();
        text.extend(std::iter::repeat_n(b'[', 100_000));
        assert_eq!(kinds(&items(open(&text, Position::default()))), [(1, "record"), (2, "InvalidJson")]);
        let wide: Vec<u8> =
            "\u{feff}{\"id\":1,\"name\":\"é\"}\n{\"id\":2}\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(kinds(&items(open(&wide, Position::default()))), [(1, "record"), (2, "record")]);
    }

    #[test]
    fn a_huge_text_in_the_wrong_place_is_not_quoted_in_full() {
        let found = items(open(format!("\"{}\"\n", "x".repeat(1_000_000)).as_bytes(), Position::default()));
        let Content::Unreadable { reason, .. } = &found[0].content else { panic!() };
        assert!(reason.to_string().len() < 300, "{}", reason.to_string().len());
    }

    #[test]
    fn an_empty_file_has_no_items() {
        assert!(items(open(b"", Position::default())).is_empty());
    }
}
