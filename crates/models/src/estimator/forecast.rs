//! A forecaster as an estimator: a row asks for the value of a series at a time.

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::Answer;
use crate::forecast::{Forecast, Forecaster, Observation};
use crate::learner::forecast::observations;
use crate::{Column, Error, FeatureKind, Table, Task};

/// A fitted forecaster, and which features it is asked by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forecasts {
    /// The feature that is the time, in ms since 1970 UTC.
    time: usize,
    /// The feature that names the series, if there may be several.
    series: Option<usize>,
    forecaster: Forecaster,
}

impl Forecasts {
    pub fn new(time: usize, series: Option<usize>, forecaster: Forecaster) -> Self {
        Self { time, series, forecaster }
    }

    pub fn forecaster(&self) -> &Forecaster {
        &self.forecaster
    }

    /// The observations that rows with these values are.
    pub fn observations(&self, table: &Table, values: &Array1<f64>) -> Vec<(String, Vec<Observation>)> {
        observations(table, self.time, self.series, values.iter().copied())
    }

    pub fn task(&self) -> Task {
        Task::Regression
    }

    /// A row that cannot be answered, since its series or its time is not known, has the answer `NaN`.
    pub fn answer(&self, table: &Table) -> Result<Answer, Error> {
        let forecasts = self.rows(table)?;
        let values = forecasts.iter().map(|forecast| forecast.map_or(f64::NAN, |forecast| forecast.value));
        Ok(Answer {
            outputs: Array2::from_shape_fn((forecasts.len(), 1), {
                let values: Vec<f64> = values.collect();
                move |(row, _)| values[row]
            }),
            informed: forecasts.iter().map(Option::is_some).collect(),
        })
    }

    pub fn intervals(&self, table: &Table) -> Result<Vec<(f64, f64)>, Error> {
        let bounds = |forecast: Option<Forecast>| {
            forecast.map_or((f64::NAN, f64::NAN), |forecast| (forecast.lower, forecast.upper))
        };
        Ok(self.rows(table)?.into_iter().map(bounds).collect())
    }

    fn rows(&self, table: &Table) -> Result<Vec<Option<Forecast>>, Error> {
        let columns = table.columns();
        let Some(Column::Number(times)) = columns.get(self.time) else {
            return Err(Error::Forecast("the time is no number".to_owned()));
        };
        let names = match self.series.and_then(|index| columns.get(index)) {
            Some(Column::Text(names)) => Some(names),
            _ => None,
        };
        // Where there is one series, nobody need name it.
        let mut known = self.forecaster.series();
        let only = match (known.next(), known.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        };
        let answer = |(row, &at): (usize, &f64)| {
            let name = names.and_then(|names| names[row].as_deref()).or(only).unwrap_or_default();
            // A time that is none is 0 after the conversion, and must not be taken for 1970.
            if at.is_nan() { None } else { self.forecaster.at(name, at as i64).ok() }
        };
        Ok(times.iter().enumerate().map(answer).collect())
    }

    pub fn validate(&self, features: &[FeatureKind]) -> Result<(), String> {
        let is_series = |index: usize| matches!(features.get(index), Some(FeatureKind::Category | FeatureKind::Text));
        if features.get(self.time) != Some(&FeatureKind::Number) || self.series.is_some_and(|index| !is_series(index)) {
            return Err("the forecaster's time or series is another feature".to_owned());
        }
        self.forecaster.validate()
    }
}
