//! Parts of a timestamp in the proleptic Gregorian calendar, UTC.

use super::map;
use crate::code::{Index, Part};
use crate::scratch::Registers;

const DAY: i64 = 86_400_000;

/// Writes to the register `out`: of numbers for the epoch, of integers otherwise.
pub(super) fn extract(
    part: Part,
    a: Index,
    integers: &mut Registers<Option<i64>>,
    numbers: &mut Registers<f64>,
    out: Index,
) {
    if part == Part::Epoch {
        return map(integers.get(a), numbers.out(out), |a| a.map_or(f64::NAN, |millis| millis as f64 / 1000.0));
    }
    let (before, out) = integers.split(out);
    let a = before.get(a);
    let days = |millis: i64| split(millis).0;
    let of_day = |millis: i64| split(millis).1;
    match part {
        Part::Year => map(a, out, |a| a.map(|a| civil(days(a)).0)),
        Part::Month => map(a, out, |a| a.map(|a| civil(days(a)).1)),
        Part::Day => map(a, out, |a| a.map(|a| civil(days(a)).2)),
        // 1970-01-01 was a Thursday.
        Part::DayOfWeek => map(a, out, |a| a.map(|a| (days(a) + 4).rem_euclid(7))),
        Part::Hour => map(a, out, |a| a.map(|a| of_day(a) / 3_600_000)),
        Part::Minute => map(a, out, |a| a.map(|a| of_day(a) / 60_000 % 60)),
        Part::Epoch => {}
    }
}

/// Days since 1970 and milliseconds of the day.
pub(super) fn split(millis: i64) -> (i64, i64) {
    (millis.div_euclid(DAY), millis.rem_euclid(DAY))
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`): years begin in March, so that the leap day is the last; 146,097 days are 400 years.
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_over_leap_years_and_before_1970() {
        let cases = [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (-25_509, (1900, 2, 28)),
            (-25_508, (1900, 3, 1)),
            (20_484, (2026, 1, 31)),
            (-719_162, (1, 1, 1)),
        ];
        for (days, date) in cases {
            assert_eq!(civil(days), date, "{days}");
        }
    }

    #[test]
    fn every_timestamp_has_a_date() {
        for millis in [i64::MIN, i64::MAX] {
            let (days, of_day) = split(millis);
            assert!((0..DAY).contains(&of_day));
            let (_, month, day) = civil(days);
            assert!((1..=12).contains(&month) && (1..=31).contains(&day));
        }
    }
}
