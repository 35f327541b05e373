//! Thresholds from history: how high chance alone brings the sums.

use super::{cusum::Limits, scores::Scores};
use crate::{
    column::Column,
    resample::{Blocks, Dependence, Resampler, dependence, longest},
};
use serde::{Deserialize, Serialize};

/// A reference value must exceed so many standard errors of the reference's mean: else a reference that is a bit off would
/// itself be evidence, value by value.
const STANDARD_ERRORS: f64 = 4.5;
/// No threshold is lower, where no value says anything.
const LOWEST: f64 = 1.0;
/// Peaks kept at most, before those that cannot matter are dropped.
const PEAKS: usize = 4_096;
/// How fast alarms become rare is read off the height that so many times as many peaks exceed.
const STEEPNESS: f64 = 8.0;
/// A steeper tail is that of a sum that cannot climb higher.
const MAX_STEEP: f64 = 20.0;

/// What is asked of the detector.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// False alarms per 100,000 rows without drift (rows without a value count), of all four sums together.
    pub target_per_100k: f64,
    /// The share of them (0–1, exclusive) that spread is granted.
    pub spread_share: f64,
    /// Reference value of location, in standard deviations; raised where the reference is too small for it.
    pub k_location: f64,
    /// Reference value of spread, likewise.
    pub k_spread: f64,
    /// References drawn.
    pub replicates: u32,
    /// Rows of stream drawn for each.
    pub rows: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target_per_100k: 0.8,
            spread_share: 0.05,
            k_location: 0.135,
            k_spread: 0.25,
            replicates: 256,
            rows: 80_000,
        }
    }
}

/// Settings that make no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the detector's `{field}` is {value}: it must be {must}")]
pub struct Error {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub value: f64,
    /// What it must be.
    pub must: &'static str,
}

/// Calibrated limits, with what they rest on. Stored with the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The limits.
    pub limits: Limits,
    /// The thresholds drawn, before the allowance for what a history of finite length cannot tell.
    pub drawn: [f64; 4],
    /// What was asked for.
    pub settings: Settings,
    /// How history was drawn from. [`Reason::TooShort`](crate::resample::Reason::TooShort) says that its rows were taken for
    /// independent.
    pub blocks: Blocks,
    /// The seed of the draws; the same history and seed give the same limits.
    pub seed: u64,
}

impl Settings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let check = |field, value: f64, valid, must| if valid { Ok(()) } else { Err(Error { field, value, must }) };
        let target = self.target_per_100k;
        check("target_per_100k", target, target > 0.0 && target <= 1e4, "above 0 and at most 10000")?;
        let share = self.spread_share;
        check("spread_share", share, share > 0.0 && share < 1.0, "above 0 and below 1")?;
        for (field, k) in [("k_location", self.k_location), ("k_spread", self.k_spread)] {
            check(field, k, k > 0.0 && k <= 10.0, "above 0 and at most 10")?;
        }
        check("replicates", f64::from(self.replicates), self.replicates > 0, "at least 1")?;
        check("rows", f64::from(self.rows), self.rows > 0, "at least 1")
    }

    /// False alarms granted to each sum, per row.
    fn granted(&self) -> [f64; 4] {
        let all = self.target_per_100k / 1e5;
        let spread = all * self.spread_share / 2.0;
        let location = all / 2.0 - spread;
        [location, location, spread, spread]
    }
}

/// Calibrates the detector of one feature on its history, the column its reference was built from, in stream order.
///
/// Every replicate draws another reference as large as the history and a stream, both in blocks, scores the stream by that
/// reference and notes how high each sum climbs before it is 0 again. The threshold of a sum is what so many climbs exceed as
/// alarms are granted. So the rate holds on average over references, their error included, and for the dependence that the
/// history shows.
///
/// # Errors
/// Settings out of range.
pub fn calibrate(history: &Column<'_>, seed: u64, settings: &Settings) -> Result<Calibration, Error> {
    settings.validate()?;
    let counts = history.counts();
    let scores = Scores::new(&counts[..history.bins]);
    let series = |score: fn(&Scores, usize) -> Option<f64>| -> Vec<f64> {
        history.rows.iter().map(|&bin| score(&scores, usize::from(bin)).unwrap_or(0.0)).collect()
    };
    let found = dependence(&[&series(Scores::z), &series(Scores::w)]);
    let blocks = longest(history.rows.len(), &found);
    let values = counts[..history.bins].iter().sum::<u64>().max(1) as f64;
    let raised = |k: f64, found: &Dependence| k.max(STANDARD_ERRORS * (found.inflation / values).sqrt());
    let (k_location, k_spread) = (raised(settings.k_location, &found[0]), raised(settings.k_spread, &found[1]));
    let mut limits = Limits { k_location, k_spread, thresholds: [LOWEST; 4] };
    // One odd value is no drift, even of a column that never varied.
    for bin in 0..scores.bins() {
        let steps = steps(&scores, bin, &limits);
        limits.thresholds.iter_mut().zip(steps).for_each(|(threshold, step)| *threshold = threshold.max(step));
    }
    let simulated = f64::from(settings.replicates) * f64::from(settings.rows);
    let granted = settings.granted().map(|per_row| per_row * simulated);
    // Peaks that every other period exceeds, where few periods are known.
    let usual = blocks.period.filter(|_| blocks.cycles() < Some(50.0)).map(|period| simulated / period / 2.0);
    let needed = granted.map(|granted| usual.unwrap_or(0.0).max(STEEPNESS * granted));
    let mut drawn = [0.0; 4];
    for (side, peaks) in climb(history, blocks, seed, settings, &limits, needed).into_iter().enumerate() {
        let counts = [granted[side], STEEPNESS * granted[side], usual.unwrap_or(f64::INFINITY)];
        let heights = peaks.exceeded_by(counts.map(|count| count as usize));
        drawn[side] = heights[0];
        let allowed = allowed(heights, &blocks, found[side / 2].bias);
        limits.thresholds[side] = limits.thresholds[side].max(allowed);
    }
    Ok(Calibration { limits, drawn, settings: *settings, blocks, seed })
}

/// A threshold with the allowance for what a history of finite length cannot tell.
///
/// `heights` are those that the peaks granted exceed, [`STEEPNESS`] times as many, and the peaks of every other period (0
/// without one). Alarms become rarer by exp(−θ·h) with the height; so a variance known with the relative variance v makes
/// them exp((θ·h)²·v/2) times as many on average, which a height larger by the share θ·h·v/2 makes good. Of c periods each
/// phase has a mean of its own: real periods vary about it (c + 1)/(c − 1) times as much as those drawn do.
fn allowed(heights: [f64; 3], blocks: &Blocks, bias: f64) -> f64 {
    let [height, lower, usual] = heights;
    if height <= lower {
        return height;
    }
    let above = height - usual.min(height);
    let theta = STEEPNESS.ln() / (height - lower);
    let unknown = (theta * above).min(MAX_STEEP) * blocks.relative_variance() / 2.0 + bias;
    let periods = blocks.cycles().map_or(1.0, |cycles| ((cycles + 1.0) / (cycles - 1.0)).sqrt());
    height + above * ((1.0 + unknown) * periods - 1.0)
}

/// The highest points of each sum's climbs, over all replicates.
fn climb(
    history: &Column<'_>,
    blocks: Blocks,
    seed: u64,
    settings: &Settings,
    limits: &Limits,
    needed: [f64; 4],
) -> [Peaks; 4] {
    let mut peaks = needed.map(|needed| Peaks::new(needed as usize + 1));
    let (mut counts, mut ranges) = (vec![0u64; history.bins + 1], Vec::new());
    for replicate in 0..settings.replicates {
        let mut resampler = Resampler::new(blocks, seed, u64::from(replicate));
        resampler.draw(history.rows.len(), true, &mut ranges);
        counts.fill(0);
        for range in &ranges {
            history.rows[range.clone()].iter().for_each(|&bin| counts[usize::from(bin).min(history.bins)] += 1);
        }
        let scores = Scores::new(&counts[..history.bins]);
        // Single precision is plenty for sums that start anew every few hundred rows. A missing value, last, adds nothing.
        let mut table: Vec<[f32; 4]> =
            (0..history.bins).map(|bin| steps(&scores, bin, limits).map(|step| step as f32)).collect();
        table.push([0.0; 4]);
        resampler.draw(settings.rows as usize, false, &mut ranges);
        let stream = ranges.iter().map(|range| &history.rows[range.clone()]);
        follow(stream, &table, &mut peaks);
    }
    peaks
}

/// Runs the sums over a stream, given in pieces of bins, and notes their peaks. `table` has what each bin adds.
fn follow<'a>(stream: impl Iterator<Item = &'a [u16]>, table: &[[f32; 4]], peaks: &mut [Peaks; 4]) {
    let mut sums = [0.0f32; 4];
    let mut floors: [f32; 4] = std::array::from_fn(|side| peaks[side].floor);
    let mut highest = floors;
    for piece in stream {
        for &bin in piece {
            let step = &table[usize::from(bin).min(table.len() - 1)];
            // No branch but for the rare end of a high climb: four sums are one register.
            let mut ended = 0;
            for side in 0..4 {
                sums[side] = (sums[side] + step[side]).max(0.0);
                highest[side] = highest[side].max(sums[side]);
                ended |= u32::from(sums[side] == 0.0) & u32::from(highest[side] > floors[side]);
            }
            if ended != 0 {
                for side in (0..4).filter(|&side| sums[side] == 0.0) {
                    peaks[side].note(highest[side]);
                    floors[side] = peaks[side].floor;
                    highest[side] = floors[side];
                }
            }
        }
    }
    for (peaks, highest) in peaks.iter_mut().zip(highest) {
        peaks.note(highest);
    }
}

/// What a value of a bin adds to each sum.
fn steps(scores: &Scores, bin: usize, limits: &Limits) -> [f64; 4] {
    let (z, w) = (scores.z(bin).unwrap_or(0.0), scores.w(bin).unwrap_or(0.0));
    [z - limits.k_location, -z - limits.k_location, w - limits.k_spread, -w - limits.k_spread]
}

/// The highest peaks of one sum.
struct Peaks {
    kept: Vec<f32>,
    /// Peaks that matter.
    needed: usize,
    /// Lower ones do not matter.
    floor: f32,
}

impl Peaks {
    fn new(needed: usize) -> Self {
        Self { kept: Vec::new(), needed, floor: 0.0 }
    }

    fn note(&mut self, peak: f32) {
        if peak <= self.floor {
            return;
        }
        self.kept.push(peak);
        if self.kept.len() >= PEAKS.max(2 * self.needed) {
            let (_, lowest, _) = self.kept.select_nth_unstable_by(self.needed - 1, |a, b| b.total_cmp(a));
            self.floor = *lowest;
            self.kept.truncate(self.needed);
        }
    }

    /// The heights that so many peaks exceed, 0 where there are fewer.
    fn exceeded_by(mut self, counts: [usize; 3]) -> [f64; 3] {
        self.kept.sort_unstable_by(|a, b| b.total_cmp(a));
        counts.map(|count| self.kept.get(count).copied().map_or(0.0, f64::from))
    }
}
