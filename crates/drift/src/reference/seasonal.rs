//! What is usual at each hour of the week: a window at night is compared with nights.

use super::Numbers;
use crate::{binner::Binner, hashing::Hasher, psi};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Hours of a week, counted from Monday 00:00 UTC.
pub const HOURS_OF_WEEK: u8 = 168;
/// Equal-mass groups of bins that are counted by hour.
const GROUPS: usize = 20;
const HOUR_MS: i64 = 3_600_000;
/// 1970 began on a Thursday.
const EPOCH_HOUR_OF_WEEK: i64 = 3 * 24;

/// The hour of the week (0 to 167, from Monday 00:00 UTC) of a time in milliseconds since 1970.
pub fn hour_of_week(millis: i64) -> u8 {
    (millis.div_euclid(HOUR_MS).wrapping_add(EPOCH_HOUR_OF_WEEK)).rem_euclid(i64::from(HOURS_OF_WEEK)) as u8
}

/// Counts by hour of the week, over groups of neighbouring bins of about equal mass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seasonal {
    /// Counts of each group, for the hours that the training data has.
    pub hours: BTreeMap<u8, Vec<u64>>,
}

/// The group of each bin of a feature with these reference counts. A function of what is stored, so it is not stored itself.
pub(crate) fn groups(counts: &[u64]) -> Vec<usize> {
    psi::regroup(counts, GROUPS)
}

impl Seasonal {
    pub(super) fn of(numbers: &Numbers, counts: &[u64], values: &[f64], times: &[i64]) -> Self {
        let (groups, binner) = (groups(counts), Binner::new(&numbers.edges));
        let cells = groups.last().map_or(0, |last| last + 1);
        let mut hours: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        for (&value, &time) in values.iter().zip(times).filter(|(value, _)| !value.is_nan()) {
            let counts = hours.entry(hour_of_week(time)).or_insert_with(|| vec![0; cells]);
            counts[groups[binner.bin(value.clamp(f64::MIN, f64::MAX))]] += 1;
        }
        Self { hours }
    }

    pub(super) fn feed(&self, hasher: &mut Hasher) {
        hasher.text("hours");
        hasher.integer(self.hours.len() as u64);
        for (hour, counts) in &self.hours {
            hasher.integer(u64::from(*hour));
            counts.iter().for_each(|&count| hasher.integer(count));
        }
    }

    pub(super) fn fault(&self, counts: &[u64]) -> Option<&'static str> {
        let cells = groups(counts).last().map_or(0, |last| last + 1);
        if self.hours.keys().any(|hour| *hour >= HOURS_OF_WEEK) {
            return Some("it has an hour that no week has");
        }
        if self.hours.values().any(|counts| counts.len() != cells) {
            return Some("its hours have another number of cells than its bins make");
        }
        let sum = self.hours.values().flatten().try_fold(0u64, |sum, &count| sum.checked_add(count));
        sum.is_none().then_some("the counts of its hours are too large")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_at_midnight_utc() {
        assert_eq!(hour_of_week(0), 72, "1970-01-01 was a Thursday");
        assert_eq!(hour_of_week(4 * 24 * HOUR_MS), 0, "1970-01-05 was a Monday");
        assert_eq!(hour_of_week(-1), 71);
        assert_eq!(hour_of_week(4 * 24 * HOUR_MS - 1), 167);
        for millis in [i64::MIN, i64::MAX] {
            assert!(hour_of_week(millis) < HOURS_OF_WEEK);
        }
    }
}
