//! Points in time, as texts tell them.

use std::fmt::Write as _;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Milliseconds since 1970 UTC of a date or a date and time in ISO 8601; without an offset it is UTC.
pub(super) fn iso(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.timestamp_millis());
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
            return Some(at.and_utc().timestamp_millis());
        }
    }
    midnight(text, "%Y-%m-%d")
}

/// The same of a text written by a strftime format.
pub(super) fn by(text: &str, format: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_str(text, format) {
        return Some(at.timestamp_millis());
    }
    let at = NaiveDateTime::parse_from_str(text, format).ok().map(|at| at.and_utc().timestamp_millis());
    at.or_else(|| midnight(text, format))
}

fn midnight(text: &str, format: &str) -> Option<i64> {
    let day = NaiveDate::parse_from_str(text, format).ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

/// Whether a strftime format tells a date, so that texts can be read by it.
pub fn check_time_format(format: &str) -> Result<(), String> {
    if StrftimeItems::new(format).any(|item| item == Item::Error) {
        return Err(format!("`{format}` is no strftime format: write for instance `%d.%m.%Y %H:%M`"));
    }
    let mut text = String::new();
    let sample = DateTime::from_timestamp_millis(981_173_106_000).unwrap_or_default().fixed_offset();
    let written = write!(text, "{}", sample.format(format));
    if written.is_err() || by(&text, format).is_none() {
        return Err(format!("`{format}` tells no whole date: it needs year, month and day, or `%s`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_dates_need_no_format() {
        let noon = 1_764_849_600_000;
        for text in ["2025-12-04T12:00:00Z", "2025-12-04 12:00:00", "2025-12-04T13:00:00+01:00"] {
            assert_eq!(iso(text), Some(noon), "{text}");
        }
        assert_eq!(iso("2025-12-04"), Some(noon - 43_200_000));
        assert_eq!(iso("2025-12-04T12:00:00.009Z"), Some(noon + 9));
        assert_eq!(iso("2025-12-04T12:00:00.154553930Z"), Some(noon + 154));
        assert_eq!(iso("1/2/1986"), None);
    }

    #[test]
    fn others_are_read_by_their_format() {
        let cases = [
            ("1/2/1986", "%m/%d/%Y", Some(505_008_000_000)),
            ("01/02/1986", "%m/%d/%Y", Some(505_008_000_000)),
            (" 2.1.1986 01:00 ", "%d.%m.%Y %H:%M", Some(505_011_600_000)),
            ("1986-01-02 01:00 +0100", "%Y-%m-%d %H:%M %z", Some(505_008_000_000)),
            ("505008000", "%s", Some(505_008_000_000)),
            ("13/2/1986", "%m/%d/%Y", None),
            ("1986-01-02", "%m/%d/%Y", None),
        ];
        for (text, format, wanted) in cases {
            assert_eq!(by(text, format), wanted, "{text} by {format}");
        }
    }

    #[test]
    fn formats_that_tell_no_date_are_refused() {
        for format in ["%m/%d/%Y", "%d.%m.%y %H:%M", "%s", "%Y-%j", "%+"] {
            assert_eq!(check_time_format(format), Ok(()), "{format}");
        }
        for format in ["%H:%M", "%Y-%m", "%Q", "", "date"] {
            assert!(check_time_format(format).is_err(), "{format}");
        }
    }
}
