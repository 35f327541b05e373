//! Numbers, times and names as people read them.

/// Whether a character is invisible, a command to a terminal, or shows the text around it as another one.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` with such characters spelled out, for a terminal.
pub(super) fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// `text` in at most `most` columns: what is too much is left out before its last third, where names often differ.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let tail = most / 3;
    let head = most.saturating_sub(tail + 1);
    let (mut columns, mut cut) = (0, 0);
    for (at, c) in text.char_indices() {
        columns += columns_of(c);
        if columns <= head {
            cut = at + c.len_utf8();
        }
        if columns > most {
            return format!("{}…{}", &text[..cut], last(text, tail));
        }
    }
    text.to_owned()
}

/// The end of `text`, of at most `most` columns.
fn last(text: &str, most: usize) -> &str {
    let (mut columns, mut from) = (0, text.len());
    for (at, c) in text.char_indices().rev() {
        columns += columns_of(c);
        if columns > most {
            break;
        }
        from = at;
    }
    &text[from..]
}

/// Columns of a text.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Columns of a character: East Asian ones and pictures take two, marks that combine none.
pub(super) fn columns_of(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' => 2,
        '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' => 2,
        '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// A number of three significant digits.
pub(super) fn number(value: f64) -> String {
    digits(value, 3)
}

/// A number of `digits` significant digits, thousands apart; very large and very small ones with an exponent.
pub(super) fn digits(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    // Rounding may carry into the next power of ten: 9.999 has the exponent of 10.0.
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 {
        "0".to_owned()
    } else if (-4..9).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        let rounded: f64 = scientific.parse().unwrap_or(value);
        grouped(&without_zeros(&format!("{rounded:.decimals$}")))
    } else {
        format!("{}e{exponent}", without_zeros(mantissa))
    }
}

fn without_zeros(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// A count, thousands apart.
pub(super) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

/// An offset, thousands apart.
pub(super) fn offset(offset: i64) -> String {
    grouped(&offset.to_string())
}

fn grouped(number: &str) -> String {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |number| ("-", number));
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let mut text = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// A share of 0–1; what is not quite nothing or all says so.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() {
        "–".to_owned()
    } else if percent > 0.0 && percent < 0.05 {
        "< 0.1 %".to_owned()
    } else if percent > 99.95 && percent < 100.0 {
        "> 99.9 %".to_owned()
    } else if (9.95..=99.0).contains(&percent) {
        format!("{percent:.0} %")
    } else {
        format!("{} %", without_zeros(&format!("{percent:.1}")))
    }
}

/// `part` of `whole`, 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
    percent(part as f64 / whole.max(1) as f64)
}

/// A probability.
pub(super) fn probability(p: f64) -> String {
    if (0.0..0.001).contains(&p) { "< 0.001".to_owned() } else { number(p) }
}

/// A distance: 0 is one of nothing, other than with a probability.
pub(super) fn statistic(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { probability(value) }
}

/// Milliseconds since 1970 as ISO 8601 in UTC, to the second.
pub(super) fn instant(ms: i64) -> String {
    let (days, second) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

/// The same in little room: month, day and minute.
pub(super) fn short_instant(ms: i64) -> String {
    let text = instant(ms);
    // Years may have any number of digits, what follows them has not.
    text.get(text.len() - 15..text.len() - 4).unwrap_or_default().replace('T', " ")
}

/// Year, month and day of a day counted from 1970, in the Gregorian calendar: years are taken to begin in March, so that the
/// leap day is their last, and 400 of them have 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0 = days + 719_468;
    let (era, day) = (from_march_0.div_euclid(146_097), from_march_0.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_thousands_apart() {
        let told = [
            (0.0, "0"),
            (-0.0, "0"),
            (5.1, "5.1"),
            (0.31249, "0.312"),
            (9.999, "10"),
            (-1234.4, "-1,230"),
            (123_456_789.0, "123,000,000"),
            (0.000_123_4, "0.000123"),
            (1e-9, "1e-9"),
            (f64::MAX, "1.8e308"),
            (f64::MIN_POSITIVE, "2.23e-308"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ];
        for (value, text) in told {
            assert_eq!(number(value), text, "{value}");
        }
        assert_eq!((count(u64::MAX), count(999)), ("18,446,744,073,709,551,615".to_owned(), "999".to_owned()));
        assert_eq!(digits(1_234_567.0, 7), "1,234,567");
    }

    #[test]
    fn shares_never_round_to_nothing_or_all() {
        let told = [
            (0.0, "0 %"),
            (0.0001, "< 0.1 %"),
            (0.0123, "1.2 %"),
            (0.1, "10 %"),
            (0.412, "41 %"),
            (0.9951, "99.5 %"),
            (0.9999, "> 99.9 %"),
            (1.0, "100 %"),
        ];
        for (value, text) in told {
            assert_eq!(percent(value), text);
        }
        assert_eq!((probability(0.0), probability(0.04561)), ("< 0.001".to_owned(), "0.0456".to_owned()));
        assert_eq!((statistic(0.0), statistic(1e-9)), ("0".to_owned(), "< 0.001".to_owned()));
    }

    #[test]
    fn times_are_utc_to_the_second_in_every_year() {
        assert_eq!(instant(0), "1970-01-01T00:00:00Z");
        assert_eq!(instant(951_868_799_999), "2000-02-29T23:59:59Z");
        assert_eq!(instant(-1), "1969-12-31T23:59:59Z");
        assert_eq!(instant(1_795_788_309_123), "2026-11-27T14:05:09Z");
        assert_eq!(short_instant(1_795_788_309_123), "11-27 14:05");
        for edge in [i64::MIN, i64::MAX] {
            assert!(instant(edge).ends_with('Z') && short_instant(edge).len() == 11);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("äöüäöüäöü", 6), "äöü…öü");
        assert_eq!(shortened("abcdef", 1), "…");
        assert_eq!(shortened("身長体重身長体重", 8), "身長…重", "letters of two columns");
    }
}
