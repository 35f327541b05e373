//! The encoding of a text file. Rows are found in the raw bytes, so that a row that is no valid text costs only itself
//! and its original bytes are at hand; only then is a row decoded.

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_2022_JP, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

/// How line ends, quotes and delimiters look in the raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Units {
    /// ASCII in single bytes: UTF-8 and every legacy encoding but ISO-2022-JP.
    Bytes,
    /// UTF-16, low byte first.
    Little,
    /// UTF-16, high byte first.
    Big,
}

impl Units {
    pub(super) fn width(self) -> usize {
        if self == Self::Bytes { 1 } else { 2 }
    }

    /// The unit that starts at `i`; `i + width` lies within `bytes`.
    #[inline]
    pub(super) fn at(self, bytes: &[u8], i: usize) -> u16 {
        match self {
            Self::Bytes => u16::from(bytes[i]),
            Self::Little => u16::from_le_bytes([bytes[i], bytes[i + 1]]),
            Self::Big => u16::from_be_bytes([bytes[i], bytes[i + 1]]),
        }
    }
}

/// An encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text {
    encoding: &'static Encoding,
    pub(super) units: Units,
}

impl Text {
    /// The encoding with that WHATWG label.
    pub(super) fn labelled(label: &str) -> Result<Self, String> {
        let encoding = Encoding::for_label(label.trim().as_bytes())
            .filter(|encoding| *encoding != REPLACEMENT)
            .ok_or_else(|| {
                format!(
                    "`encoding: {label}` is not known: give a label such as utf-8, latin1, windows-1252 or utf-16le"
                )
            })?;
        if encoding == ISO_2022_JP {
            // Its quotes and line ends depend on what stands before them.
            return Err(format!("`encoding: {label}` cannot be split into rows: convert the file to UTF-8"));
        }
        Ok(Self::of(encoding))
    }

    /// UTF-8.
    pub(super) fn utf8() -> Self {
        Self::of(UTF_8)
    }

    fn of(encoding: &'static Encoding) -> Self {
        let units = if encoding == UTF_16LE {
            Units::Little
        } else if encoding == UTF_16BE {
            Units::Big
        } else {
            Units::Bytes
        };
        Self { encoding, units }
    }

    /// What the first bytes of a file say: a byte order mark wins over what was declared. With the mark's length.
    pub(super) fn sniff(self, beginning: &[u8]) -> (Self, usize) {
        match Encoding::for_bom(beginning) {
            Some((encoding, length)) => (Self::of(encoding), length),
            None => (self, 0),
        }
    }

    /// The text of `raw`; `None` when it is none.
    pub(super) fn decode(self, raw: &[u8]) -> Option<Cow<'_, str>> {
        self.encoding.decode_without_bom_handling_and_without_replacement(raw)
    }

    pub(super) fn name(self) -> &'static str {
        self.encoding.name()
    }

    /// Whether `delimiter` can never be a part of another character.
    pub(super) fn splits_at(self, delimiter: char) -> bool {
        // In Shift_JIS, Big5 and GBK the second byte of a character may be any from 0x40.
        let multi_byte = self.units == Units::Bytes && self.encoding != UTF_8 && !self.encoding.is_single_byte();
        let plain = delimiter.is_ascii() && !delimiter.is_ascii_alphanumeric() && !"\"\r\n".contains(delimiter);
        plain && !(multi_byte && delimiter >= '@')
    }
}
