//! Dates of times, for the regression on them and for messages to people.

pub(super) const DAY: i64 = 86_400_000;

/// Year, month and day in UTC (Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March there, so that
/// the leap day is their last).
pub(super) fn date(at: i64) -> [i64; 3] {
    let days = at.div_euclid(DAY) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    [year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1]
}

/// As in RFC 3339, to the second.
pub(super) fn moment(at: i64) -> String {
    let [year, month, day] = date(at);
    let seconds = at.rem_euclid(DAY) / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

/// A length of time in the largest unit that it is a multiple of.
pub(super) fn duration(ms: i64) -> String {
    let units = [(DAY, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
    let (unit, name) = units.into_iter().find(|(unit, _)| ms % unit == 0).unwrap_or((1, "millisecond"));
    let count = ms / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        assert_eq!(date(0), [1970, 1, 1]);
        assert_eq!(date(-1), [1969, 12, 31]);
        assert_eq!(date(951_782_400_000), [2000, 2, 29]);
        assert_eq!(date(1_764_892_799_999), [2025, 12, 4]);
        assert_eq!(date(4_107_542_400_000), [2100, 3, 1]);
    }

    #[test]
    fn times_and_durations_are_readable() {
        assert_eq!(moment(1_764_876_503_009), "2025-12-04T19:28:23Z");
        assert_eq!(duration(DAY), "1 day");
        assert_eq!(duration(3 * 3_600_000), "3 hours");
        assert_eq!(duration(1_500), "1500 milliseconds");
    }
}
