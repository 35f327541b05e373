//! Operations on texts. Pieces of a text stay references to it; only what is new goes to the arena.

use crate::code::Ends;
use crate::columns::Columns;
use crate::scratch::{Buffers, View, keep};

/// Computes a text a row with `f`; `text` is the buffer it is built in.
pub(super) fn write<A: Copy>(
    a: &[A],
    out: &mut [View],
    arena: &mut String,
    text: &mut String,
    f: impl Fn(A, &mut String) -> Option<()>,
) {
    for (out, &a) in out.iter_mut().zip(a) {
        text.clear();
        *out = f(a, text).map_or(View::NULL, |()| keep(text, arena));
    }
}

/// Upper or lower case, character by character.
pub(super) fn change_case(
    is_upper: bool,
    a: &[View],
    out: &mut [View],
    (columns, constants): (&Columns, &str),
    arena: &mut String,
    text: &mut String,
) {
    for (out, &a) in out.iter_mut().zip(a) {
        text.clear();
        let Some(source) = (Buffers { columns, constants, arena }).get(a) else {
            *out = View::NULL;
            continue;
        };
        if is_upper {
            text.extend(source.chars().flat_map(char::to_uppercase));
        } else {
            text.extend(source.chars().flat_map(char::to_lowercase));
        }
        *out = keep(text, arena);
    }
}

pub(super) fn concat(
    a: &[View],
    b: &[View],
    out: &mut [View],
    (columns, constants): (&Columns, &str),
    arena: &mut String,
    text: &mut String,
) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        text.clear();
        let buffers = Buffers { columns, constants, arena };
        *out = match (buffers.get(a), buffers.get(b)) {
            (Some(a), Some(b)) => {
                text.push_str(a);
                text.push_str(b);
                keep(text, arena)
            }
            _ => View::NULL,
        };
    }
}

/// Length in characters.
pub(super) fn length(text: &str) -> i64 {
    text.chars().count() as i64
}

pub(super) fn trim(ends: Ends, view: View, characters: &str, buffers: Buffers<'_>) -> View {
    let Some(text) = buffers.get(view) else { return View::NULL };
    let is_taken = |c: char| characters.contains(c);
    let mut kept = text;
    if ends != Ends::End {
        kept = kept.trim_start_matches(is_taken);
    }
    let before = text.len() - kept.len();
    if ends != Ends::Start {
        kept = kept.trim_end_matches(is_taken);
    }
    View { buffer: view.buffer, len: kept.len() as u32, start: view.start + before }
}

/// The characters from position `from`, counted from 1, up to `len` positions on; positions before the text count, as
/// in the SQL standard. A negative length is null.
pub(super) fn substring(view: View, from: i64, len: Option<i64>, buffers: Buffers<'_>) -> View {
    let Some(text) = buffers.get(view) else { return View::NULL };
    let end = match len {
        None => i64::MAX,
        Some(..0) => return View::NULL,
        Some(len) => from.saturating_add(len),
    };
    let skip = from.max(1) - 1;
    let take = end.saturating_sub(from.max(1)).max(0);
    let start = byte_of(text, skip);
    let kept = &text[start..];
    let kept = &kept[..byte_of(kept, take)];
    View { buffer: view.buffer, len: kept.len() as u32, start: view.start + start }
}

/// Where character number `index`, from 0, begins; the end of a shorter text.
fn byte_of(text: &str, index: i64) -> usize {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
}
