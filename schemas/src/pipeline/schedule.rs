//! When a pipeline trains by the clock.
//!
//! A time of a schedule is *due* from its moment on, for [`GRACE`]: whoever looks later finds that it was missed. Of several
//! times that are due, the newest counts alone, so that a process that was away, or whose clock was put forward, makes one
//! training and not one for each time. What has fired is known by its time and not by the last one that fired: a clock that
//! was put back fires nothing twice, and what it had skipped all the same.

use std::fmt;

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name;

/// How late a time may be fired, in milliseconds: an hour.
pub const GRACE: i64 = 3_600_000;
/// The name under which `training.new_rows` is listed, paused and resumed.
pub const NEW_ROWS: &str = "new_rows";
/// Time between two firings at least, in milliseconds: a minute.
const SHORTEST: i64 = 60_000;
/// Whether a pattern ever fires is asked from here on: 2024-01-01, a leap year.
const SOME_TIME: i64 = 1_704_067_200_000;
/// Characters of a pattern that is shown in a fault.
const SHOWN: usize = 60;

/// Trainings by the clock. Paused until a person switches it on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Name, by which it is switched on; whether it is on stays with the name when the rest of it changes.
    pub name: String,
    /// Pattern of cron: minute, hour, day of the month, month, day of the week; with six fields the first one is the second.
    /// `L`, `W`, `#` and names such as `mon` are understood.
    pub cron: String,
    /// Where the pattern's time is told, as the IANA names it.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Hyper-parameters that replace those of `training.params`.
    #[serde(default)]
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Whether to search for hyper-parameters first, as `training.search` says.
    #[serde(default)]
    pub search: bool,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Schedule {
    /// What is wrong with it, for people.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> =
            name::check(&self.name).err().map(|error| error.to_string()).into_iter().collect();
        if self.name == NEW_ROWS {
            faults.push(format!("`{NEW_ROWS}` is the name of the trigger by new rows: choose another name"));
        }
        faults.extend(self.timetable().err());
        let told = format!("schedule `{}`", name::shortened(&self.name, SHOWN));
        faults.into_iter().map(|fault| format!("{told}: {fault}")).collect()
    }

    /// Who its trainings are said to be requested by.
    pub fn requester(&self) -> String {
        format!("schedule {}", self.name)
    }

    /// Its times.
    pub fn timetable(&self) -> Result<Timetable, String> {
        let zone = self.time_zone.parse::<Tz>().map_err(|_| {
            let near = name::did_you_mean(&self.time_zone, TZ_VARIANTS.iter().map(|zone| zone.name()));
            format!("there is no time zone `{}`{near}", name::shortened(&self.time_zone, SHOWN))
        })?;
        let shown = name::shortened(&self.cron, SHOWN);
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(&self.cron).map_err(|error| {
            format!("`cron: {shown}` is no pattern of five fields such as `0 1 * * 1` (Mondays at one): {error}")
        })?;
        let timetable = Timetable { cron, zone };
        // Of three times in a row two are within one minute, if any are.
        let coming = timetable.coming(SOME_TIME, 3);
        if coming.is_empty() {
            return Err(format!("`cron: {shown}` never fires: there is no such day"));
        }
        if coming.windows(2).any(|pair| pair[1] - pair[0] < SHORTEST) {
            return Err(format!(
                "`cron: {shown}` fires more often than once a minute: leave out its first field, the seconds, or give one \
                 second there"
            ));
        }
        Ok(timetable)
    }
}

/// The times of a schedule.
///
/// Where clocks are put forward, a fixed time that is left out fires when they go on; where they are put back, one that comes
/// twice fires at its first coming. Patterns of every hour or minute go by what really passes.
#[derive(Clone)]
pub struct Timetable {
    cron: Cron,
    zone: Tz,
}

impl fmt::Debug for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.cron.pattern, self.zone)
    }
}

impl Timetable {
    /// The first time after `after`; milliseconds since 1970 UTC, as everywhere.
    pub fn next(&self, after: i64) -> Option<i64> {
        let after = self.zone.timestamp_millis_opt(after).single()?;
        self.cron.find_next_occurrence(&after, false).ok().map(|at| at.timestamp() * 1000)
    }

    /// The next `count` times after `after`.
    pub fn coming(&self, after: i64, count: usize) -> Vec<i64> {
        std::iter::successors(self.next(after), |at| self.next(*at)).take(count).collect()
    }

    /// The newest time up to `until`.
    fn newest(&self, until: i64) -> Option<i64> {
        let until = self.zone.timestamp_opt(until.div_euclid(1000), 0).single()?;
        self.cron.find_previous_occurrence(&until, true).ok().map(|at| at.timestamp() * 1000)
    }

    /// The time that is to be fired at `now`, if one is: one that is no older than [`GRACE`], came after the schedule was
    /// switched on, and is not among those that have fired.
    pub fn due(&self, fired: &[i64], enabled_since: i64, now: i64) -> Option<i64> {
        let newest = self.newest(now)?;
        (now - newest <= GRACE && newest >= enabled_since && !fired.contains(&newest)).then_some(newest)
    }

    /// A time as its zone tells it.
    pub fn written(&self, at: i64) -> String {
        let at = DateTime::from_timestamp_millis(at).unwrap_or_default().with_timezone(&self.zone);
        let zone =
            if at.offset().fix().local_minus_utc() == 0 { "UTC".to_owned() } else { self.zone.name().to_owned() };
        format!("{} {zone}", at.format("%a %Y-%m-%d %H:%M:%S"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn schedule(cron: &str, zone: &str) -> Schedule {
        let (name, cron, time_zone) = ("weekly".to_owned(), cron.to_owned(), zone.to_owned());
        Schedule { name, cron, time_zone, params: serde_json::Map::new(), search: false }
    }

    fn times(cron: &str, zone: &str) -> Timetable {
        schedule(cron, zone).timetable().unwrap()
    }

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn a_time_is_due_from_its_moment_on_for_an_hour_and_once() {
        let weekly = times("0 1 * * 1", "UTC");
        let monday = at("2026-11-30T01:00:00Z");
        assert_eq!(weekly.next(at("2026-11-27T23:00:00Z")), Some(monday));
        assert_eq!(weekly.due(&[], 0, monday - 1), None);
        assert_eq!(weekly.due(&[], 0, monday), Some(monday));
        assert_eq!(weekly.due(&[], 0, monday + 999), Some(monday));
        assert_eq!(weekly.due(&[], 0, monday + GRACE), Some(monday));
        assert_eq!(weekly.due(&[], 0, monday + GRACE + 1), None, "missed");
        // A restart, or another trainer, finds that it has fired.
        assert_eq!(weekly.due(&[monday], 0, monday + 5), None);
    }

    #[test]
    fn nothing_is_due_that_came_before_the_schedule_was_switched_on() {
        let hourly = times("0 * * * *", "UTC");
        let noon = at("2026-11-30T12:00:00Z");
        assert_eq!(hourly.due(&[], noon + 1, noon + 60_000), None);
        assert_eq!(hourly.due(&[], noon + 1, noon + HOUR), Some(noon + HOUR));
    }

    #[test]
    fn a_clock_that_is_put_forward_fires_the_newest_time_and_one_that_is_put_back_nothing_twice() {
        let quarterly = times("*/15 * * * *", "UTC");
        let noon = at("2026-11-30T12:00:00Z");
        let quarter = HOUR / 4;
        // Away from before noon to ten past one: five times were missed.
        let newest = noon + 4 * quarter;
        assert_eq!(quarterly.due(&[], 0, newest + 600_000), Some(newest));
        // Put back to ten to one: the time of 12:45 was skipped and is made good, and no other comes again.
        let skipped = noon + 3 * quarter;
        assert_eq!(quarterly.due(&[newest], 0, noon + 50 * 60_000), Some(skipped));
        assert_eq!(quarterly.due(&[newest, skipped], 0, noon + 50 * 60_000), None);
        assert_eq!(quarterly.due(&[newest, skipped], 0, newest + 1), None);
        assert_eq!(quarterly.due(&[newest, skipped], 0, newest + quarter), Some(newest + quarter));
    }

    #[test]
    fn an_hour_that_is_left_out_in_spring_fires_when_the_clock_goes_on() {
        let nightly = times("30 2 * * *", "Europe/Berlin");
        // At two it becomes three.
        let gap = at("2026-03-29T01:00:00Z");
        assert_eq!(nightly.next(at("2026-03-28T12:00:00Z")), Some(gap));
        assert_eq!(nightly.due(&[], 0, gap), Some(gap));
        assert_eq!(nightly.due(&[], 0, gap - 1), None);
        assert_eq!(nightly.next(gap), Some(at("2026-03-30T00:30:00Z")));
    }

    #[test]
    fn an_hour_that_comes_twice_in_autumn_fires_once_and_every_hour_fires_each_time() {
        let nightly = times("30 2 * * *", "Europe/Berlin");
        // At three it becomes two once more.
        let (first, second) = (at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"));
        assert_eq!(nightly.due(&[], 0, first), Some(first));
        assert_eq!(nightly.due(&[first], 0, second), None);
        assert_eq!(nightly.due(&[], 0, second), Some(first), "the first is still due, and no other");
        assert_eq!(nightly.next(first), Some(at("2026-10-26T01:30:00Z")));
        let hourly = times("30 * * * *", "Europe/Berlin");
        assert_eq!(hourly.coming(first - HOUR, 3), [first, second, second + HOUR]);
        assert_eq!(hourly.due(&[first], 0, second), Some(second));
    }

    #[test]
    fn looking_back_finds_the_times_that_looking_ahead_finds() {
        for (cron, zone) in [
            ("30 2 * * *", "Europe/Berlin"),
            ("*/20 * * * *", "Europe/Berlin"),
            ("0 0 * * *", "America/Santiago"),
            ("15 1,2 * * 7", "America/New_York"),
            ("45 1 * * *", "Australia/Lord_Howe"),
            ("0 1 29 2 *", "UTC"),
            ("0 3 L * *", "Asia/Kathmandu"),
            ("0 9 * * mon#1", "Pacific/Apia"),
        ] {
            let times = times(cron, zone);
            let ahead = times.coming(at("2025-12-31T00:00:00Z"), 1_000);
            for pair in ahead.windows(2) {
                assert!(pair[0] < pair[1], "{cron} in {zone}");
                assert_eq!(
                    times.newest(pair[1] - 1),
                    Some(pair[0]),
                    "{cron} in {zone}, before {}",
                    times.written(pair[1])
                );
                assert_eq!(times.newest(pair[0]), Some(pair[0]), "{cron} in {zone}");
            }
        }
    }

    #[test]
    fn the_leap_day_comes_every_four_years() {
        let leap = times("0 0 29 2 *", "UTC");
        let years = leap.coming(at("2026-01-01T00:00:00Z"), 3);
        assert_eq!(years, [at("2028-02-29T00:00:00Z"), at("2032-02-29T00:00:00Z"), at("2036-02-29T00:00:00Z")]);
    }

    #[test]
    fn times_are_told_in_their_zone() {
        let nightly = times("0 1 * * 1", "America/New_York");
        let next = nightly.next(at("2026-11-27T23:00:00Z")).unwrap();
        assert_eq!(nightly.written(next), "Mon 2026-11-30 01:00:00 America/New_York");
        assert_eq!(times("0 1 * * 1", "UTC").written(next), "Mon 2026-11-30 06:00:00 UTC");
    }

    #[test]
    fn what_is_wrong_is_told_with_the_way_out() {
        for (cron, zone, told) in [
            ("0 1 * * 1", "Europe/Berln", "did you mean `Europe/Berlin`"),
            ("0 1 * * 1", "", "no time zone"),
            ("0 0 30 2 *", "UTC", "never fires"),
            ("", "UTC", "no pattern"),
            ("0 1 * *", "UTC", "five fields"),
            ("0 25 * * *", "UTC", "no pattern"),
            ("0 0 1 1 1 * 2020", "UTC", "no pattern"),
            ("weekly", "UTC", "no pattern"),
            ("*/2 * * * * *", "UTC", "once a minute"),
            ("0,59 0 1 1 1 *", "UTC", "once a minute"),
        ] {
            let faults = schedule(cron, zone).faults();
            assert!(faults.len() == 1 && faults[0].contains(told), "{cron} {zone}: {faults:?}");
            assert!(faults[0].starts_with("schedule `weekly`"), "{faults:?}");
        }
        assert!(
            schedule("30 * * * * *", "UTC").faults().is_empty() && schedule("* * * * *", "UTC").faults().is_empty()
        );
        let named = |name: &str| Schedule { name: name.to_owned(), ..schedule("@weekly", "UTC") }.faults();
        assert!(
            named("a").is_empty() && named("A")[0].contains("lower-case") && named(NEW_ROWS)[0].contains("new rows")
        );
    }
}
