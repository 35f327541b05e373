//! A fitted forecaster.

use serde::{Deserialize, Serialize};

use super::Error;
use super::component::{Anchor, Component, Origin};
use super::params::ForecasterParams;
use super::series::{MAX_STEPS, MAX_TIME, Observation, Series, resample};
use super::state::{Sight, State};
use crate::linear::LinearRegression;

/// The most steps ahead.
pub const MAX_HORIZON: usize = 366;

/// The value at a step, or what is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// When the step begins, in ms since 1970 in UTC.
    pub at: i64,
    /// The value.
    pub value: f64,
    /// Lower end of the interval; the value itself where it is known.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

/// What was learnt from series, and the end of each of them. A forecast is the last value and a share of the change that
/// each of its components expects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    pub(super) params: ForecasterParams,
    pub(super) sight: Sight,
    pub(super) weights: Vec<(Component, f64)>,
    /// Half the width of the interval for each step ahead, in units of the state's scale.
    pub(super) spread: Vec<f64>,
    /// One for each step ahead, or none.
    pub(super) regression: Vec<LinearRegression>,
    pub(super) series: Vec<Known>,
}

/// A series as far as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    pub name: String,
    pub history: Series,
    pub anchor: Anchor,
    /// Whether it was never below 0; its intervals are not either.
    pub non_negative: bool,
    pub date: Option<LinearRegression>,
}

impl Forecaster {
    /// Names of the series, in the order in which they were given.
    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.series.iter().map(|known| known.name.as_str())
    }

    /// Steps that it was fitted to forecast.
    pub fn horizon(&self) -> usize {
        self.params.horizon
    }

    /// Length of a step in ms.
    pub fn step(&self) -> i64 {
        self.params.step
    }

    /// How it was fitted.
    pub fn params(&self) -> &ForecasterParams {
        &self.params
    }

    /// What the last value is moved towards, and by which share of the way; nothing for the naive forecast.
    pub fn weights(&self) -> impl Iterator<Item = (String, f64)> {
        self.weights.iter().map(|(component, share)| (component.name(&self.sight), *share))
    }

    /// The kept history of a series, ending with its last known step.
    ///
    /// # Errors
    /// [`Error::UnknownSeries`].
    pub fn history(&self, series: &str) -> Result<&Series, Error> {
        Ok(&self.known(series)?.history)
    }

    /// The next `horizon` steps of a series after its last known observation. Beyond the horizon that was fitted, intervals
    /// widen as those of a random walk.
    ///
    /// # Errors
    /// For an unknown series, and for no or more than [`MAX_HORIZON`] steps.
    pub fn forecast(&self, series: &str, horizon: usize) -> Result<Vec<Forecast>, Error> {
        if !(1..=MAX_HORIZON).contains(&horizon) {
            return Err(Error::Horizon { asked: horizon as i64, limit: MAX_HORIZON });
        }
        let known = self.known(series)?;
        let state = self.state(known)?;
        let origin = self.origin(known, &state);
        Ok((1..=horizon).map(|ahead| self.ahead(&origin, known.non_negative, ahead)).collect())
    }

    /// The value of a series at a time: forecast after its history, else as it is known. In a gap that is the value before.
    ///
    /// # Errors
    /// For an unknown series, and for times before the kept history or more than [`MAX_HORIZON`] steps after it.
    pub fn at(&self, series: &str, at: i64) -> Result<Forecast, Error> {
        let known = self.known(series)?;
        let history = &known.history;
        let number = at.div_euclid(self.step());
        let ahead = number.saturating_sub(history.last());
        if let Ok(steps @ 1..) = usize::try_from(ahead) {
            if steps > MAX_HORIZON {
                return Err(Error::Horizon { asked: ahead, limit: MAX_HORIZON });
            }
            let state = self.state(known)?;
            return Ok(self.ahead(&self.origin(known, &state), known.non_negative, steps));
        }
        let first = history.start;
        let index =
            usize::try_from(number.saturating_sub(history.first())).map_err(|_| Error::BeforeHistory { at, first })?;
        let value = history.values[..=index].iter().rev().find(|value| !value.is_nan()).copied();
        let value = value.ok_or(Error::BeforeHistory { at, first })?;
        Ok(Forecast { at: number * self.step(), value, lower: value, upper: value })
    }

    /// The same with newer history of one series. From the step of the first observation given, history is what is given:
    /// give whole steps. Nothing is fitted anew.
    ///
    /// # Errors
    /// For an unknown series, for no values and for those that cannot be computed with.
    pub fn with_history(&self, series: &str, observations: &[Observation]) -> Result<Self, Error> {
        let known = self.known(series)?;
        let newer = resample(observations, self.step(), self.params.max_gap)?;
        let (joined, anchor) = self.join(known, &newer)?;
        let kept = joined.last() + 1 - self.sight.kept() as i64;
        let non_negative = known.non_negative && newer.values.iter().all(|value| value.is_nan() || *value >= 0.0);
        let replaced = Known { history: joined.since(kept), anchor, non_negative, ..known.clone() };
        let mut forecaster = self.clone();
        for known in &mut forecaster.series {
            if known.name == series {
                known.clone_from(&replaced);
            }
        }
        Ok(forecaster)
    }

    /// Kept history before `newer`, then that, with the first value ever seen.
    pub(super) fn join(&self, known: &Known, newer: &Series) -> Result<(Series, Anchor), Error> {
        let continues = newer.first() > known.history.first();
        let anchor = if continues { known.anchor } else { Anchor::of(newer) };
        Ok((known.history.continued_by(newer, self.params.max_gap)?, anchor))
    }

    pub(super) fn known(&self, name: &str) -> Result<&Known, Error> {
        let unknown =
            || Error::UnknownSeries { name: name.to_owned(), known: self.series().map(str::to_owned).collect() };
        self.series.iter().find(|known| known.name == name).ok_or_else(unknown)
    }

    fn state(&self, known: &Known) -> Result<State, Error> {
        // The last step is always observed.
        State::at(&known.history, known.history.values.len().saturating_sub(1), &self.sight).ok_or(Error::Empty)
    }

    fn origin<'a>(&'a self, known: &'a Known, state: &'a State) -> Origin<'a> {
        Origin {
            series: &known.history,
            index: known.history.values.len().saturating_sub(1),
            state,
            anchor: known.anchor,
            regression: &self.regression,
            date: known.date.as_ref(),
            sight: &self.sight,
        }
    }

    fn ahead(&self, origin: &Origin<'_>, non_negative: bool, ahead: usize) -> Forecast {
        forecast(origin, &self.weights, &self.spread, non_negative, ahead)
    }

    /// Whether a decoded forecaster is safe to forecast with.
    ///
    /// # Errors
    /// The text says what is not.
    pub fn validate(&self) -> Result<(), String> {
        self.params.check().map_err(|error| error.to_string())?;
        if self.sight != Sight::new(&self.params) {
            return Err("the windows are not those of its parameters".to_owned());
        }
        let shares = self.weights.iter().map(|(_, share)| share);
        if !shares.chain(&self.spread).all(|number| number.is_finite() && *number >= 0.0) {
            return Err("a share or a width is not a number of 0 or more".to_owned());
        }
        let windows = self.sight.windows.len();
        if self.weights.iter().any(|(component, _)| matches!(component, Component::Mean(window) if *window >= windows))
        {
            return Err("a share is of a window that there is not".to_owned());
        }
        if self.spread.len() != self.horizon() || ![0, self.horizon()].contains(&self.regression.len()) {
            return Err("there is not one interval and regression for each step ahead".to_owned());
        }
        let wide = self.regression.iter().find(|regression| regression.n_features() != self.sight.n_features());
        let date = self.series.iter().filter_map(|known| known.date.as_ref());
        if wide.is_some() || date.clone().any(|date| date.n_features() != 3) {
            return Err("a regression has another number of features".to_owned());
        }
        self.regression.iter().chain(date).try_for_each(LinearRegression::validate)?;
        if self.series.is_empty() {
            return Err("there is no series".to_owned());
        }
        self.series.iter().try_for_each(|known| known.validate(&self.params))
    }
}

impl Known {
    fn validate(&self, params: &ForecasterParams) -> Result<(), String> {
        let Series { start, step, values, means, observed } = &self.history;
        let lengths = values.len() == means.len() && values.len() == observed.len();
        let placed = *step == params.step
            && start.rem_euclid(*step) == 0
            && start.unsigned_abs() <= (2 * MAX_TIME).unsigned_abs();
        let ends = observed.last() == Some(&true) && values.len() <= MAX_STEPS as usize;
        let numbers = values.iter().chain(means).all(|value| !value.is_infinite());
        let seen =
            values.iter().zip(means).zip(observed).all(|((value, mean), seen)| !seen || (value + mean).is_finite());
        let anchor = self.anchor.value.is_finite() && self.anchor.number.unsigned_abs() <= MAX_TIME.unsigned_abs();
        if lengths && placed && ends && numbers && seen && anchor {
            Ok(())
        } else {
            Err(format!("the history of series `{}` is not one", self.name))
        }
    }
}

/// The forecast from an origin: its last value, what the components add, and the interval around that.
pub(super) fn forecast(
    origin: &Origin<'_>,
    weights: &[(Component, f64)],
    spread: &[f64],
    non_negative: bool,
    ahead: usize,
) -> Forecast {
    let State { number, last, scale, .. } = *origin.state;
    let change: f64 = weights.iter().map(|(component, share)| share * origin.change(*component, ahead)).sum();
    let value = last + change;
    let half = match spread.get(ahead - 1) {
        Some(half) => half * scale,
        None => spread.last().map_or(0.0, |half| half * scale * (ahead as f64 / spread.len() as f64).sqrt()),
    };
    let lower = if non_negative { (value - half).max(value.min(0.0)) } else { value - half };
    Forecast { at: (number + ahead as i64) * origin.series.step, value, lower, upper: value + half }
}
