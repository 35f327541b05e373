//! Forecasts of time series with prediction intervals.
//!
//! Prices are close to a random walk, so the last value is hard to beat and every method here is a change from it. How much
//! of a change is taken is learnt from forecasts made in hindsight (a rolling origin), and without evidence none is.
//!
//! | file | what it holds |
//! |---|---|
//! | `series` | irregular observations on a regular grid |
//! | `state` | what is known at a step: level, spread, means, changes |
//! | `component` | the methods, each as a change from the last value |
//! | `trial` | what each would have forecast in the past, and the weights and intervals that follow |
//! | `forecaster` | the fitted result |
//! | `backtest`, `report` | how good it is, against the naive forecasts |
//!
//! Several series share the weights and the regression: their changes are divided by their own recent spread, so that one
//! learns from the other whatever their units.

mod backtest;
mod calendar;
mod component;
mod error;
mod fit;
mod forecaster;
mod params;
mod report;
mod series;
mod state;
#[cfg(test)]
mod tests;
mod trial;

pub use self::backtest::{BacktestOptions, FirstOrigin, backtest, evaluate};
pub use self::error::Error;
pub use self::forecaster::{Forecast, Forecaster, MAX_HORIZON};
pub use self::params::{ForecasterParams, Method};
pub use self::report::{Backtest, Comparison, Scores, SeriesBacktest, Span, Versus};
pub use self::series::{Observation, Series, resample};
