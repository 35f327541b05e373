//! Points in time as people give and read them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Milliseconds since 1970 UTC of a day, a time of day, or a while before `now`.
pub fn parse(text: &str, now: i64) -> anyhow::Result<i64> {
    let text = text.trim();
    if let Some(ago) = ago(text) {
        return now.checked_sub(ago?).with_context(|| format!("`{text}` is longer ago than time goes back"));
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.timestamp_millis());
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
            return Ok(at.and_utc().timestamp_millis());
        }
    }
    match NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        Some(at) => Ok(at.and_utc().timestamp_millis()),
        None => bail!(
            "`{text}` is no time: give `2026-01-31`, `2026-01-31 10:00` (UTC), `2026-01-31T10:00:00+01:00`, or a while \
             ago as `90s`, `30m`, `2h` or `7d`"
        ),
    }
}

/// Milliseconds of `90s`, `30m`, `2h` or `7d`; `None` for what is none of them.
fn ago(text: &str) -> Option<anyhow::Result<i64>> {
    let seconds = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis = digits.parse::<i64>().ok().and_then(|count| count.checked_mul(1_000 * seconds));
    Some(millis.with_context(|| format!("`{text}` is longer ago than time goes back")))
}

/// How long a link may be good for: seven days are what S3 grants.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// The while that `90s`, `30m`, `2h` or `7d` names, for how long a link is good.
pub fn while_of(text: &str) -> Result<Duration, String> {
    let millis = ago(text.trim()).and_then(Result::ok).and_then(|millis| u64::try_from(millis).ok());
    match millis.map(Duration::from_millis) {
        Some(while_) if !while_.is_zero() && while_ <= LONGEST => Ok(while_),
        _ => Err("give a while up to seven days: `90s`, `30m`, `2h`, `7d`".to_owned()),
    }
}

/// A time as `--since` takes it.
pub fn written(millis: i64) -> String {
    let at = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// The same to the second, which is enough for a table.
pub fn short(millis: i64) -> String {
    written(millis).split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn times_are_read_as_people_write_them_and_as_we_do() {
        for (text, millis) in [
            ("1970-01-02", 86_400_000),
            ("1970-01-01 00:01", 60_000),
            ("1970-01-01 00:00:01", 1_000),
            ("1970-01-01T00:00:01.5", 1_500),
            ("1970-01-01T01:00:00+01:00", 0),
            (" 90s ", NOW - 90_000),
            ("30m", NOW - 1_800_000),
            ("2h", NOW - 7_200_000),
            ("7d", NOW - 604_800_000),
        ] {
            assert_eq!(parse(text, NOW).unwrap(), millis, "{text}");
        }
        assert_eq!(parse(&written(NOW + 7), 0).unwrap(), NOW + 7);
        assert_eq!(short(1_500), "1970-01-01 00:00:01");
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_would_be() {
        for text in ["", "yesterday", "-5m", "5", "m", "2026-13-01", "99999999999999999999s", "999999999999999999d"] {
            assert!(parse(text, NOW).is_err(), "{text}");
        }
        assert!(parse("yesterday", NOW).unwrap_err().to_string().contains("`2h`"));
    }

    #[test]
    fn a_link_is_good_for_seven_days_at_most() {
        assert_eq!(while_of("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(while_of("7d").unwrap(), LONGEST);
        for text in ["8d", "0s", "1w", "", "-1h", "9999999999999999h"] {
            assert!(while_of(text).unwrap_err().contains("`7d`"), "{text}");
        }
    }
}
