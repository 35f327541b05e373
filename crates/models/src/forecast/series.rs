//! Irregular observations on a regular grid.

use serde::{Deserialize, Serialize};

use super::Error;

/// The most steps of a grid.
pub(super) const MAX_STEPS: i64 = 4_000_000;
/// Sums of squares of values up to here stay numbers.
const MAX_VALUE: f64 = 1e60;
/// Times up to here leave room for every step ahead.
pub(super) const MAX_TIME: i64 = i64::MAX / 4;

/// A value and when it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Milliseconds since 1970 in UTC.
    pub at: i64,
    /// The value; `NaN` is a missing one.
    pub value: f64,
}

/// A series at multiples of `step`. A step begins at its time and holds all that was seen until the next one begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// When the first step begins, a multiple of `step`.
    pub start: i64,
    /// Length of a step in ms.
    pub step: i64,
    /// The last value seen in each step, or before it when the gap is not too long, else `NaN`.
    pub values: Vec<f64>,
    /// The mean of what was seen in each step: less noisy than its last value where there are several.
    pub means: Vec<f64>,
    /// Whether anything was seen in it; a forecast is measured only where there was.
    pub observed: Vec<bool>,
}

/// Observations in any order as a series; of one time, the last one given counts. A step without any has the value of the
/// one before, for up to `max_gap` steps on end. The first and the last step are always observed.
///
/// # Errors
/// When there are no values, one is not finite, or the grid would have millions of steps.
pub fn resample(observations: &[Observation], step: i64, max_gap: usize) -> Result<Series, Error> {
    let step = step.max(1);
    let mut seen: Vec<Observation> = observations.iter().copied().filter(|seen| !seen.value.is_nan()).collect();
    if let Some(&Observation { at, value }) = seen.iter().find(|seen| seen.value.abs() > MAX_VALUE) {
        return Err(Error::Value { at, value });
    }
    seen.sort_by_key(|seen| seen.at);
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return Err(Error::Empty) };
    let number = |at: i64| at.div_euclid(step);
    let (from, steps) = (number(first.at), number(last.at).saturating_sub(number(first.at)).saturating_add(1));
    if steps > MAX_STEPS || first.at < -MAX_TIME || last.at > MAX_TIME {
        return Err(Error::TooLong { from: first.at, to: last.at, step, limit: MAX_STEPS });
    }
    let unknown = || vec![f64::NAN; steps as usize];
    let mut series =
        Series { start: from * step, step, values: unknown(), means: unknown(), observed: vec![false; steps as usize] };
    for of_step in seen.chunk_by(|a, b| number(a.at) == number(b.at)) {
        // Of one time the last counts, in the mean too.
        let distinct: Vec<f64> =
            of_step.chunk_by(|a, b| a.at == b.at).filter_map(|same| same.last()).map(|seen| seen.value).collect();
        let index = (number(of_step[0].at) - from) as usize;
        series.values[index] = distinct[distinct.len() - 1];
        series.means[index] = distinct.iter().sum::<f64>() / distinct.len() as f64;
        series.observed[index] = true;
    }
    series.carry_forward(max_gap);
    Ok(series)
}

impl Series {
    fn carry_forward(&mut self, max_gap: usize) {
        let (mut last, mut gap) = (f64::NAN, 0);
        for index in 0..self.values.len() {
            if self.observed[index] {
                (last, gap) = (self.values[index], 0);
                continue;
            }
            gap += 1;
            let carried = if gap <= max_gap { last } else { f64::NAN };
            (self.values[index], self.means[index]) = (carried, carried);
        }
    }

    /// The number of its first step, counted from 1970.
    pub(super) fn first(&self) -> i64 {
        self.start.div_euclid(self.step)
    }

    /// The number of its last step.
    pub(super) fn last(&self) -> i64 {
        self.first() + self.values.len() as i64 - 1
    }

    pub(super) fn known(&self) -> usize {
        self.observed.iter().filter(|observed| **observed).count()
    }

    /// Only the steps from this number on.
    pub(super) fn since(&self, number: i64) -> Self {
        let skip = usize::try_from(number - self.first()).unwrap_or(0).min(self.values.len());
        Self {
            start: self.start + skip as i64 * self.step,
            step: self.step,
            values: self.values[skip..].to_vec(),
            means: self.means[skip..].to_vec(),
            observed: self.observed[skip..].to_vec(),
        }
    }

    /// Its steps before `newer` begins, then `newer`; the gap between them is filled as any other.
    pub(super) fn continued_by(&self, newer: &Self, max_gap: usize) -> Result<Self, Error> {
        let kept = usize::try_from(newer.first() - self.first()).unwrap_or(0).min(self.values.len());
        if kept == 0 {
            return Ok(newer.clone());
        }
        if newer.last() - self.first() >= MAX_STEPS {
            let (from, to) = (self.start, newer.last() * self.step);
            return Err(Error::TooLong { from, to, step: self.step, limit: MAX_STEPS });
        }
        let between = (newer.first() - self.first()) as usize - kept;
        let joined = |old: &[f64], new: &[f64]| [&old[..kept], &vec![f64::NAN; between], new].concat();
        let mut series = Self {
            start: self.start,
            step: self.step,
            values: joined(&self.values, &newer.values),
            means: joined(&self.means, &newer.means),
            observed: [&self.observed[..kept], &vec![false; between], &newer.observed].concat(),
        };
        series.carry_forward(max_gap);
        Ok(series)
    }
}
