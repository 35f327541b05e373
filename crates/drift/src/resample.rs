//! The block bootstrap: what a stream could have looked like, drawn from what it did look like.
//!
//! Neighbouring rows of a stream resemble each other, so rows drawn one by one would look far more orderly than the stream
//! is, and every threshold calibrated on them would be too low. Blocks of neighbouring rows keep the resemblance:
//! the circular block bootstrap of Politis and Romano (1992). Where the stream has a period, a block is drawn only from rows
//! of the phase it is put at, as in the generalised seasonal block bootstrap of Dudek, Leśkow, Paparoditis and Politis
//! (2014), so that the days of the drawn stream join as real days do.

mod fourier;
mod length;
mod period;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A history shorter than this cannot tell how its rows depend on each other.
pub const MIN_ROWS_FOR_BLOCKS: usize = 200;
/// Shorter blocks cost more to draw and gain nothing.
const MIN_BLOCK: usize = 8;
/// Blocks in phase cost more to draw yet.
const MIN_BLOCK_IN_PHASE: usize = 32;
/// The automatic length is the best for the variance of a mean, where bias and noise count alike. Thresholds lie in the tail,
/// where a variance too small costs more than a noisy one, and twice the length halves the bias.
const LENGTHENED: f64 = 2.0;

/// How rows of a history are drawn, and why so.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Blocks {
    /// Rows of the history.
    pub rows: usize,
    /// Rows of a block; 1 means that rows are drawn one by one.
    pub length: usize,
    /// Rows of a period (a day, say) where the history shows one; blocks keep their phase then.
    pub period: Option<f64>,
    /// What decided on it.
    pub reason: Reason,
}

/// What decided on the length of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The autocorrelation of the history, by the rule of Politis and White (2004, corrected 2009).
    Autocorrelation,
    /// The history repeats itself at least four times; the length is that of what is left without the period.
    Periodic,
    /// Fewer rows than [`MIN_ROWS_FOR_BLOCKS`]: rows are taken for independent, and a threshold is too low if they are not.
    TooShort,
    /// Nothing varies: any way of drawing gives the same.
    Constant,
}

/// What a history says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dependence {
    pub(crate) blocks: Blocks,
    /// The long-run variance over the plain one: by how much dependence makes the variance of a mean larger.
    pub(crate) inflation: f64,
    /// The share of the long-run variance that the blocks lack.
    pub(crate) bias: f64,
}

/// Chooses blocks that hold the dependence of every one of `series` (of equal length, gaps filled with 0, their mean).
pub(crate) fn dependence(series: &[&[f64]]) -> Vec<Dependence> {
    let rows = series.first().map_or(0, |values| values.len());
    series
        .iter()
        .map(|values| {
            let independent = |reason| Dependence {
                blocks: Blocks { rows, length: 1, period: None, reason },
                inflation: 1.0,
                bias: 0.0,
            };
            if rows < MIN_ROWS_FOR_BLOCKS {
                return independent(Reason::TooShort);
            }
            if values.iter().all(|value| *value == values[0]) {
                return independent(Reason::Constant);
            }
            let period = period::find(values);
            let (choice, reason) = match period {
                Some(period) => (length::choose(&period::without(values, period)), Reason::Periodic),
                None => (length::choose(values), Reason::Autocorrelation),
            };
            let shortest = if period.is_some() { MIN_BLOCK_IN_PHASE } else { MIN_BLOCK };
            let longest = rows / 10;
            let length = ((LENGTHENED * choice.length).ceil() as usize).clamp(shortest, longest.max(shortest));
            let bias = (choice.lack / length as f64).min(0.5);
            Dependence { blocks: Blocks { rows, length, period, reason }, inflation: choice.inflation, bias }
        })
        .collect()
}

/// Blocks that hold what each of `all` needs: the longest, and the longest period. A shorter period that does not fit into that
/// one is held within blocks only.
pub(crate) fn longest(rows: usize, all: &[Dependence]) -> Blocks {
    let none = Blocks { rows, length: 1, period: None, reason: Reason::Constant };
    all.iter().fold(none, |held, one| {
        let one = one.blocks;
        let period = match (held.period, one.period) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        let reason = match (period, held.reason) {
            (Some(_), _) => Reason::Periodic,
            (None, Reason::Constant) => one.reason,
            (None, reason) => reason,
        };
        Blocks { rows, length: held.length.max(one.length), period, reason }
    })
}

impl Blocks {
    /// The relative variance of the long-run variance that is drawn, (4/3)·length/rows (Künsch 1989): a history holds only so
    /// many blocks.
    pub(crate) fn relative_variance(&self) -> f64 {
        if self.length > 1 { 4.0 / 3.0 * self.length as f64 / self.rows as f64 } else { 0.0 }
    }

    /// Periods the history shows, where it has one.
    pub(crate) fn cycles(&self) -> Option<f64> {
        self.period.map(|period| self.rows as f64 / period)
    }
}

/// Draws from a history. The same seed gives the same rows.
pub(crate) struct Resampler {
    blocks: Blocks,
    random: ChaCha8Rng,
}

impl Resampler {
    pub(crate) fn new(blocks: Blocks, seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self { blocks, random }
    }

    /// Ranges of the history that make up `count` rows, into `ranges`. `from_start` keeps the phase the history began with, as
    /// another reference would; otherwise the rows begin at any phase. Nothing can be drawn from an empty history.
    pub(crate) fn draw(&mut self, count: usize, from_start: bool, ranges: &mut Vec<Range<usize>>) {
        ranges.clear();
        if self.blocks.rows == 0 {
            return;
        }
        match self.blocks.period {
            Some(period) => self.draw_in_phase(period, count, from_start, ranges),
            None => self.draw_anywhere(count, ranges),
        }
    }

    fn draw_anywhere(&mut self, count: usize, ranges: &mut Vec<Range<usize>>) {
        let Blocks { rows, length, .. } = self.blocks;
        let mut left = count;
        while left > 0 {
            let start = self.below(rows);
            let take = length.min(left).min(rows);
            let first = take.min(rows - start);
            ranges.push(start..start + first);
            if first < take {
                ranges.push(0..take - first);
            }
            left -= take;
        }
    }

    fn draw_in_phase(&mut self, period: f64, count: usize, from_start: bool, ranges: &mut Vec<Range<usize>>) {
        let Blocks { rows, length, .. } = self.blocks;
        let mut phase = if from_start { 0.0 } else { period * self.unit() };
        // Blocks of another drawing must not begin at the same phases.
        let mut take = 1 + self.below(length);
        let mut left = count;
        while left > 0 {
            let cycles = ((rows as f64 - phase) / period).ceil().max(1.0) as usize;
            let at = ((phase + period * self.below(cycles) as f64).round() as usize).min(rows - 1);
            let drawn = take.min(left).min(rows - at);
            ranges.push(at..at + drawn);
            left -= drawn;
            take = length;
            phase += drawn as f64;
            while phase >= period {
                phase -= period;
            }
        }
    }

    /// A number below `bound`, each as likely but for 2⁻⁶⁴.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.random.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number of 0..1.
    fn unit(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
