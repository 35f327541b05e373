//! Cumulative sums (Page 1954): evidence adds up until it is enough, and chance is forgotten.

use super::scores::Sums;
use serde::{Deserialize, Serialize};

/// What moved, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Values became larger.
    LocationUp,
    /// Values became smaller.
    LocationDown,
    /// Values moved away from the middle.
    SpreadUp,
    /// Values gathered in the middle.
    SpreadDown,
}

impl Direction {
    /// All of them, in the order of [`Cusum::sides`].
    pub const ALL: [Self; 4] = [Self::LocationUp, Self::LocationDown, Self::SpreadUp, Self::SpreadDown];
}

/// When evidence is enough. All numbers are in standard deviations of a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Reference value k of location: what every value must exceed to count as evidence. Half the shift that is to be found
    /// soonest is best (Lorden 1971).
    pub k_location: f64,
    /// Reference value k of spread.
    pub k_spread: f64,
    /// Thresholds in the order of [`Direction::ALL`]; a sum above its own is an alarm.
    pub thresholds: [f64; 4],
}

/// One cumulative sum.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// The evidence, 0 at least.
    pub value: f64,
    /// Values since it was 0 last: what Page's rule estimates to have come since the change.
    pub since: u64,
}

/// The detector's whole state: four one-sided sums, two of location and two of spread (on z² as Hawkins 1981 has it on
/// |z|^½). The same values in the same panes give the same state.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cusum {
    /// The sums in the order of [`Direction::ALL`].
    pub sides: [Side; 4],
}

/// Evidence that was enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// What moved.
    pub direction: Direction,
    /// The sum, in standard deviations of a score.
    pub value: f64,
    /// What it exceeded.
    pub threshold: f64,
    /// Values since the sum was 0 last: the change is estimated to lie so many values back.
    pub since: u64,
}

impl Cusum {
    /// Takes one value's scores.
    pub fn update(&mut self, limits: &Limits, z: f64, w: f64) -> Option<Alarm> {
        self.advance(limits, &Sums { n: 1, z, w })
    }

    /// Takes a pane: S ← max(0, S + sum − k·n). Within a pane nothing is forgotten, so a sum is never larger than that of the
    /// same values one by one: thresholds calibrated on values hold for panes of any size.
    ///
    /// An alarm is repeated until [`reset`](Self::reset); where several sums are above their thresholds it is that of the one
    /// furthest above, in proportion.
    pub fn advance(&mut self, limits: &Limits, sums: &Sums) -> Option<Alarm> {
        let n = sums.n as f64;
        let (location, spread) = (limits.k_location * n, limits.k_spread * n);
        let steps = [sums.z - location, -sums.z - location, sums.w - spread, -sums.w - spread];
        for (side, step) in self.sides.iter_mut().zip(steps) {
            let value = side.value + step;
            *side =
                if value > 0.0 { Side { value, since: side.since.saturating_add(sums.n) } } else { Side::default() };
        }
        self.alarm(limits)
    }

    /// The alarm that stands, if any.
    pub fn alarm(&self, limits: &Limits) -> Option<Alarm> {
        let alarms = Direction::ALL.iter().zip(&self.sides).zip(limits.thresholds);
        alarms
            .filter(|((_, side), threshold)| side.value > *threshold)
            .map(|((&direction, side), threshold)| Alarm { direction, value: side.value, threshold, since: side.since })
            .max_by(|a, b| (a.value * b.threshold).total_cmp(&(b.value * a.threshold)))
    }

    /// Forgets all evidence, after an alarm was acted on or the model was replaced.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
