//! What is known at a step: everything a forecast is made of, from that step and those before it alone.

use serde::{Deserialize, Serialize};

use super::params::ForecasterParams;
use super::series::Series;

/// How far a state looks back, in steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sight {
    /// Recent means are taken over so many steps each, ascending.
    pub windows: Vec<usize>,
    pub lags: usize,
    pub season: usize,
}

impl Sight {
    pub fn new(params: &ForecasterParams) -> Self {
        let season = params.season;
        let mut windows = vec![1, 3, season, 2 * season, 4 * season, 13 * season];
        windows.sort_unstable();
        windows.dedup();
        Self { windows, lags: params.lags, season }
    }

    /// Changes of which the mean size is the recent spread, and the long one.
    fn spreads(&self) -> [usize; 2] {
        let recent = (4 * self.season).clamp(8, 120);
        [recent, (13 * recent).min(400)]
    }

    /// Steps that a state needs to be the same as with all history.
    pub fn kept(&self) -> usize {
        let [_, long] = self.spreads();
        let widest = self.windows.last().copied().unwrap_or(1);
        widest.max(long + 1).max(self.lags + 1).max(self.season)
    }

    pub fn n_features(&self) -> usize {
        self.windows.len() + self.lags + if self.season > 1 { self.season } else { 0 }
    }
}

/// What is known at a step.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Number of the step, counted from 1970.
    pub number: i64,
    pub last: f64,
    /// Mean size of a change, which is what changes of several series are compared in.
    pub scale: f64,
    /// Distances from `last` to the recent means.
    pub pulls: Vec<f64>,
    /// The newest change first.
    changes: Vec<f64>,
}

impl State {
    /// `None` where the value is not known.
    pub fn at(series: &Series, index: usize, sight: &Sight) -> Option<Self> {
        let last = series.values.get(index).copied().filter(|value| value.is_finite())?;
        let mean = |window: usize| {
            let (sum, count) = known(&series.means[(index + 1).saturating_sub(window)..=index]);
            if count > 0.0 { sum / count } else { last }
        };
        let change = |back: usize| -> f64 {
            let Some(to) = index.checked_sub(back).filter(|to| *to > 0) else { return f64::NAN };
            series.values[to] - series.values[to - 1]
        };
        let spread = |changes: usize| {
            let sizes: Vec<f64> = (0..changes.min(index)).map(|back| change(back).abs()).collect();
            let (sum, count) = known(&sizes);
            if count > 0.0 { sum / count } else { 0.0 }
        };
        // The long one keeps intervals open after a quiet time.
        let [recent, long] = sight.spreads().map(spread);
        Some(Self {
            number: series.first() + index as i64,
            last,
            scale: f64::midpoint(recent, long),
            pulls: sight.windows.iter().map(|window| mean(*window) - last).collect(),
            changes: (0..sight.lags).map(change).map(|change| if change.is_nan() { 0.0 } else { change }).collect(),
        })
    }

    /// In units of the scale, with the place in the season last.
    pub fn write_features(&self, season: usize, out: &mut [f64]) {
        let scaled = |value: &f64| if self.scale > 0.0 { value / self.scale } else { 0.0 };
        let place = self.number.rem_euclid(season as i64);
        let places = (0..season as i64).map(|other| f64::from(u8::from(place == other)));
        let values = self.pulls.iter().chain(&self.changes).map(scaled).chain(places);
        out.iter_mut().zip(values).for_each(|(out, value)| *out = value);
    }
}

/// Sum and number of those that are not `NaN`.
fn known(values: &[f64]) -> (f64, f64) {
    values.iter().filter(|value| !value.is_nan()).fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0))
}
