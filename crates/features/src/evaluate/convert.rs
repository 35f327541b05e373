//! Casts. What has no counterpart is null.

use std::fmt::Write;

use super::calendar;
use crate::columns::finite;
use crate::truth::Truth;

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// The number without its fraction.
pub(super) fn truncate(number: f64) -> Option<i64> {
    let whole = number.trunc();
    (-TWO_TO_63..TWO_TO_63).contains(&whole).then_some(whole as i64)
}

pub(super) fn read_boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    if text == "1" || text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    (text == "0" || text.eq_ignore_ascii_case("false")).then_some(false)
}

pub(super) fn read_number(text: &str) -> f64 {
    text.trim().parse().map_or(f64::NAN, finite)
}

// Writing to a String cannot fail.

pub(super) fn boolean(value: Truth, text: &mut String) -> Option<()> {
    text.push_str(if value.known()? { "true" } else { "false" });
    Some(())
}

pub(super) fn integer(value: Option<i64>, text: &mut String) -> Option<()> {
    write!(text, "{}", value?).ok()
}

/// The shortest decimal digits that read back as the same number, without an exponent: `1`, `0.1`.
pub(super) fn number(value: f64, text: &mut String) -> Option<()> {
    if value.is_nan() {
        return None;
    }
    // Minus zero is written as zero, which it equals.
    write!(text, "{}", value + 0.0).ok()
}

/// RFC 3339 in UTC with milliseconds.
pub(super) fn timestamp(millis: Option<i64>, text: &mut String) -> Option<()> {
    let (days, of_day) = calendar::split(millis?);
    let (year, month, day) = calendar::civil(days);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z").ok()
}
