//! A body of JSON, taken apart into objects that are not read yet.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::MOST_RECORDS;
use crate::fault::Fault;

/// One object of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'b> {
    /// The line it begins in, from 1.
    pub(super) line: u64,
    /// The object; none where the line is not UTF-8.
    pub(super) text: Option<&'b str>,
}

/// One JSON object a line; blank lines are passed over.
pub(super) fn lines(bytes: &[u8]) -> Result<Vec<Element<'_>>, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n')).filter(|(_, raw)| !raw.trim_ascii().is_empty());
    // One more than are taken tells that there are too many.
    let elements: Vec<Element<'_>> =
        lines.take(MOST_RECORDS + 1).map(|(line, raw)| Element { line, text: std::str::from_utf8(raw).ok() }).collect();
    if elements.len() > MOST_RECORDS { Err(too_many()) } else { Ok(elements) }
}

/// One object, or an array of them.
pub(super) fn json(bytes: &[u8]) -> Result<Vec<Element<'_>>, Fault> {
    let broken = |e: &dyn fmt::Display| Fault::bad_request(format!("the body is no JSON: {e}"));
    let text = std::str::from_utf8(bytes).map_err(|_| broken(&"it is not valid UTF-8"))?;
    if text.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let elements = if text.trim_ascii_start().starts_with('[') {
        serde_json::from_str(text).map_err(|e| broken(&e))?
    } else {
        Elements { first: vec![serde_json::from_str(text).map_err(|e| broken(&e))?], more: false }
    };
    if elements.more {
        return Err(too_many());
    }
    let (mut line, mut counted) = (1, 0);
    let mut of = |element: &'_ RawValue| {
        // An element is a part of the text, so where it begins is a difference.
        let start = element.get().as_ptr() as usize - text.as_ptr() as usize;
        line += text.as_bytes()[counted..start].iter().filter(|byte| **byte == b'\n').count() as u64;
        counted = start;
        line
    };
    Ok(elements.first.into_iter().map(|element| Element { line: of(element), text: Some(element.get()) }).collect())
}

/// What is said of a body of too many records.
pub(super) fn too_many() -> Fault {
    Fault::new(
        axum::http::StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body holds more than {MOST_RECORDS} records: push them in several requests"),
    )
}

/// The first elements of an array, unread; what is beyond the most that are taken is passed over.
struct Elements<'a> {
    first: Vec<&'a RawValue>,
    more: bool,
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;
        impl<'de> Visitor<'de> for Array {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Elements<'de>, A::Error> {
                let mut first = Vec::new();
                while first.len() < MOST_RECORDS {
                    match array.next_element()? {
                        Some(element) => first.push(element),
                        None => return Ok(Elements { first, more: false }),
                    }
                }
                let mut more = false;
                while array.next_element::<IgnoredAny>()?.is_some() {
                    more = true;
                }
                Ok(Elements { first, more })
            }
        }
        deserializer.deserialize_seq(Array)
    }
}
