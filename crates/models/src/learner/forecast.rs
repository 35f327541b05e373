//! Forecasting over typed features: which of them are time and series, and how rows become series.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::{Map, Value};

use super::{Observer, Progress, Rows};
use crate::algorithm::Error as SpecError;
use crate::estimator::forecast as fitted;
use crate::forecast::{ForecasterParams, Observation};
use crate::{Column, Error, FeatureKind, Table, Target};

pub(super) const NAME: &str = "forecast";

/// The first number is the time in ms since 1970 UTC, the first category, if there is one, names the series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Forecasting {
    time: usize,
    series: Option<usize>,
    params: ForecasterParams,
}

impl Forecasting {
    pub fn from_spec(params: &Map<String, Value>, features: &[(String, FeatureKind)]) -> Result<Self, SpecError> {
        let first = |kind: FeatureKind| features.iter().position(|(_, of)| *of == kind);
        let time = first(FeatureKind::Number);
        let time = time.ok_or(SpecError::Features { algorithm: NAME, needs: "a number that is the time" })?;
        let params = ForecasterParams::from_params(params)?;
        Ok(Self { time, series: first(FeatureKind::Category), params })
    }

    pub fn fit(&self, rows: Rows<'_>, observe: Option<Observer<'_>>) -> Result<fitted::Forecasts, Error> {
        let Target::Values(values) = rows.target else {
            return Err(Error::TaskUnsupported { algorithm: NAME, task: rows.target.task().name() });
        };
        let series = observations(rows.table, self.time, self.series, values.iter().copied());
        let mut steps = 0;
        let mut observe = observe;
        let mut tell = |step: &str| {
            steps += 1;
            if let Some(observe) = &mut observe {
                let step = step.to_owned();
                let progress = Progress { step, number: steps, of: None, metrics: BTreeMap::new(), device: None };
                // A fit takes seconds, and half a forecaster is none: it is not broken off.
                let _: ControlFlow<()> = observe(&progress);
            }
        };
        let forecaster = self.params.fit(&series, &mut tell).map_err(|error| Error::Forecast(error.to_string()))?;
        Ok(fitted::Forecasts::new(self.time, self.series, forecaster))
    }
}

/// The observations of each series, in order of the names and then of time.
pub fn observations(
    table: &Table,
    time: usize,
    series: Option<usize>,
    values: impl Iterator<Item = f64>,
) -> Vec<(String, Vec<Observation>)> {
    let Some(Column::Number(times)) = table.columns().get(time) else { return Vec::new() };
    let names = match series.and_then(|index| table.columns().get(index)) {
        Some(Column::Text(names)) => Some(names),
        _ => None,
    };
    let mut all: BTreeMap<&str, Vec<Observation>> = BTreeMap::new();
    for (row, (&at, value)) in times.iter().zip(values).enumerate() {
        if at.is_nan() {
            continue;
        }
        let name = names.and_then(|names| names[row].as_deref()).unwrap_or_default();
        all.entry(name).or_default().push(Observation { at: at as i64, value });
    }
    let sorted = |(name, mut observations): (&str, Vec<Observation>)| {
        observations.sort_by_key(|observation| observation.at);
        (name.to_owned(), observations)
    };
    all.into_iter().map(sorted).collect()
}
