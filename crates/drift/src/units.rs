//! Values that came in another unit: what lies out of the reference's range is the reference itself, multiplied by a factor that
//! units have.
//!
//! Only where nothing else could have brought them there is it said: nearly all of the reference, converted, must lie out of its
//! own range, and the strange values must have the place, the spread and the shape of it. A shift keeps its spread, growth has
//! another shape, and a factor that is no unit's has another place.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::ks;
use crate::profile::{FeatureProfile, far_cell, far_cell_end, far_cell_start};
use crate::reference::FeatureReference;
use serde::{Deserialize, Serialize};

/// A conversion that strange values look like: `factor`·x + `offset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitChange {
    /// What the values were multiplied by.
    pub factor: f64,
    /// What was added then.
    #[serde(default)]
    pub offset: f64,
    /// From which unit to which, for people; empty where a factor alone says nothing.
    #[serde(default)]
    pub names: String,
    /// Values that look converted.
    pub rows: u64,
}

/// Factors with the units they convert, from and to.
const FACTORS: [(f64, &str, &str); 15] = [
    (10.0, "", ""),
    (100.0, "metres", "centimetres"),
    (1e3, "kilograms", "grams"),
    (1e4, "", ""),
    (1e5, "", ""),
    (1e6, "", ""),
    (1e9, "", ""),
    (2.54, "inches", "centimetres"),
    (0.3048, "feet", "metres"),
    (0.453_592_37, "pounds", "kilograms"),
    (1.609_344, "miles", "kilometres"),
    (60.0, "minutes", "seconds"),
    (3_600.0, "hours", "seconds"),
    (86_400.0, "days", "seconds"),
    (24.0, "days", "hours"),
];
/// Values of the reference below which it says little.
const FEWEST_REFERENCE: u64 = 100;
/// Different values below which the reference is taken for codes or steps.
const FEWEST_DISTINCT: usize = 20;
/// Strange values that are needed, and their share of all.
const FEWEST_STRANGE: u64 = 30;
const LEAST_SHARE: f64 = 0.2;
/// So much of the reference, converted, must lie out of its range: else nobody can tell.
const MOVED_OUT: f64 = 0.9;
/// Share of the values that may be converted ones within the range: of fewer nothing is asked. And the distance that such may
/// add to others.
const FEWEST_INSIDE: f64 = 0.15;
const INSIDE: f64 = 0.1;
/// How often the shape of values that really were converted may look otherwise by chance.
const ALPHA: f64 = 0.01;
/// Distance that the widths of bins and cells add.
const WIDTHS: f64 = 0.02;
/// Largest logarithm of the ratio of spreads.
const SPREAD: f64 = 0.25;
/// Quantiles that must have their place, to so many standard errors and such a share of themselves.
const QUANTILES: [f64; 3] = [0.15, 0.5, 0.85];
const ERRORS: f64 = 3.0;
const PLACE: f64 = 0.01;

/// The conversion that the strange values of a window look like, if they do.
pub(crate) fn changed(reference: &FeatureReference, live: &FeatureProfile, strange: u64) -> Option<UnitChange> {
    let numbers = reference.numbers()?;
    let (smallest, largest) = (numbers.min?, numbers.max?);
    let known: Vec<(f64, u64)> = numbers.edges.iter().copied().zip(reference.counts.iter().copied()).collect();
    let known: Vec<(f64, u64)> = known.into_iter().filter(|(_, count)| *count > 0).collect();
    let enough = strange >= FEWEST_STRANGE && strange as f64 >= LEAST_SHARE * f64::from(live.values());
    // Panes of an earlier build do not say where strange values lie.
    let placed: u64 = live.far().values().map(|count| u64::from(*count)).sum();
    if !enough || placed != strange || known.len() < FEWEST_DISTINCT || reference.values() < FEWEST_REFERENCE {
        return None;
    }
    if !ordinary(&reference.counts, live.counts(), f64::from(live.values())) {
        return None;
    }
    let middle = known.get(known.len() / 2).map_or(0.0, |(value, _)| *value);
    let now = Sorted::of(live.far().iter().map(|(cell, count)| (*cell, u64::from(*count))));
    let candidates = candidates(middle).map(|(factor, offset, names)| {
        let converted = known.iter().map(|(value, count)| (factor * value + offset, *count));
        let out = converted.filter(|(value, _)| *value < smallest || *value > largest);
        let expected = Sorted::of(out.map(|(value, count)| (far_cell(value), count)));
        let is_out = expected.count >= MOVED_OUT * reference.values() as f64;
        let distance = if is_out { now.distance(&expected) } else { 1.0 };
        let narrow = (factor.ln().abs() / 2.0).min(SPREAD);
        let alike = is_out
            && now.spread_beside(&expected).is_some_and(|ratio| ratio.ln().abs() <= narrow)
            && now.lies_as(&expected);
        let bound = ((2.0 / ALPHA).ln() / 2.0 * (1.0 / now.count + 1.0 / expected.count)).sqrt() + WIDTHS;
        (distance, alike && distance <= bound, UnitChange { factor, offset, names, rows: strange })
    });
    let fitting = candidates.filter(|(_, fits, _)| *fits);
    fitting.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, _, change)| change)
}

/// Whether the values that are not strange are those that are usual, where there are some: strange ones that are the tail of
/// values that moved have the others beside them, at the edge of the range.
fn ordinary(reference: &[u64], live: &[u32], values: f64) -> bool {
    let inside = 1..reference.len().saturating_sub(1);
    let (reference, live) = (reference.get(inside.clone()), live.get(inside));
    let (Some(reference), Some(live)) = (reference, live) else { return false };
    let (m, n) = (reference.iter().sum::<u64>() as f64, live.iter().map(|count| u64::from(*count)).sum::<u64>() as f64);
    if n < FEWEST_INSIDE * values {
        return true;
    }
    let bound = ((2.0 / ALPHA).ln() / 2.0 * (1.0 / n + 1.0 / m)).sqrt() + INSIDE;
    let distance = ks::bounds(reference, live, |_| true).map_or(1.0, |bounds| bounds.low);
    distance <= bound
}

/// Factors and offsets that a feature may be converted by, whose middle value is this.
fn candidates(middle: f64) -> impl Iterator<Item = (f64, f64, String)> {
    let named = |from: &str, to: &str| if from.is_empty() { String::new() } else { format!("from {from} to {to}") };
    let both = FACTORS
        .iter()
        .flat_map(move |(factor, from, to)| [(*factor, 0.0, named(from, to)), (1.0 / factor, 0.0, named(to, from))]);
    // Only what the weather and people have: 160 °C in Fahrenheit is nearly twice as much, which may have other grounds.
    let heat = [
        (1.8, 32.0, -60.0..60.0, "from degrees Celsius to Fahrenheit"),
        (5.0 / 9.0, -160.0 / 9.0, -76.0..140.0, "from degrees Fahrenheit to Celsius"),
    ];
    let heat = heat.into_iter().filter(move |(_, _, usual, _)| usual.contains(&middle));
    both.chain(heat.map(|(factor, offset, _, names)| (factor, offset, names.to_owned())))
}

/// Counts over cells, in the order of the numbers.
struct Sorted {
    cells: BTreeMap<Place, u64>,
    count: f64,
}

/// A cell by its place on the line: its upper end, which orders cells as numbers are.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place(f64);

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Sorted {
    fn of(counts: impl Iterator<Item = (u32, u64)>) -> Self {
        let mut cells = BTreeMap::new();
        let mut all = 0;
        for (cell, count) in counts {
            *cells.entry(Place(far_cell_end(cell))).or_default() += count;
            all += count;
        }
        Self { cells, count: (all as f64).max(f64::MIN_POSITIVE) }
    }

    /// The largest difference of the two distributions at the ends of cells.
    fn distance(&self, other: &Self) -> f64 {
        let places: std::collections::BTreeSet<Place> = self.cells.keys().chain(other.cells.keys()).copied().collect();
        let (mut f, mut g, mut most) = (0, 0, 0.0f64);
        for place in places {
            f += self.cells.get(&place).copied().unwrap_or(0);
            g += other.cells.get(&place).copied().unwrap_or(0);
            most = most.max((f as f64 / self.count - g as f64 / other.count).abs());
        }
        most
    }

    /// How much wider these are than the others; `None` where one of them has no width.
    fn spread_beside(&self, other: &Self) -> Option<f64> {
        let spread = |of: &Self| of.quantile(0.85) - of.quantile(0.15);
        let (ours, theirs) = (spread(self), spread(other));
        (ours > 0.0 && theirs > 0.0).then(|| ours / theirs)
    }

    /// Whether these have their quantiles where the others have theirs, as far as chance and the widths of cells let anybody
    /// tell.
    fn lies_as(&self, other: &Self) -> bool {
        QUANTILES.iter().all(|&share| {
            let (ours, theirs) = (self.quantile(share), other.quantile(share));
            let slope = (other.quantile(share + 0.1) - other.quantile(share - 0.1)) / 0.2;
            let error = (share * (1.0 - share) * (1.0 / self.count + 1.0 / other.count)).sqrt() * slope;
            (ours - theirs).abs() <= ERRORS * error + PLACE * theirs.abs()
        })
    }

    /// A quantile, straight through its cell.
    fn quantile(&self, share: f64) -> f64 {
        let wanted = share * self.count;
        let mut before = 0.0;
        for (Place(end), count) in &self.cells {
            let count = *count as f64;
            if before + count >= wanted {
                let near = far_cell_start(*end);
                let (low, high) = (near.min(*end), near.max(*end));
                return low + (high - low) * (wanted - before) / count;
            }
            before += count;
        }
        self.cells.last_key_value().map_or(0.0, |(Place(end), _)| *end)
    }
}
