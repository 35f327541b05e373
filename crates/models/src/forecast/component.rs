//! The methods, each as a change from the last value.

use linfa::DatasetBase;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::calendar;
use super::series::Series;
use super::state::{Sight, State};
use crate::linear::LinearRegression;

/// A regression with fewer rows would be noise.
const MIN_ROWS: usize = 20;

/// What a forecast may be moved towards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Component {
    /// The mean of this one of the windows.
    Mean(usize),
    Regression,
    SeasonalNaive,
    Drift,
    DateRegression,
}

impl Component {
    pub fn all(sight: &Sight) -> Vec<Self> {
        let others = [Self::Regression, Self::SeasonalNaive, Self::Drift, Self::DateRegression];
        (0..sight.windows.len()).map(Self::Mean).chain(others).collect()
    }

    pub fn name(self, sight: &Sight) -> String {
        match self {
            Self::Mean(window) => format!("mean_of_{}", sight.windows[window]),
            Self::Regression => "regression".to_owned(),
            Self::SeasonalNaive => "seasonal_naive".to_owned(),
            Self::Drift => "drift".to_owned(),
            Self::DateRegression => "date_regression".to_owned(),
        }
    }
}

/// The first value ever seen, which the drift begins at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Anchor {
    pub number: i64,
    pub value: f64,
}

impl Anchor {
    pub fn of(series: &Series) -> Self {
        Self { number: series.first(), value: series.values[0] }
    }
}

/// What is fitted: one regression for each step ahead, and one on dates for each series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Learned {
    pub regression: Vec<LinearRegression>,
    pub dates: Vec<Option<LinearRegression>>,
}

/// A series at one of its steps.
pub(super) struct Origin<'a> {
    pub series: &'a Series,
    pub index: usize,
    pub state: &'a State,
    pub anchor: Anchor,
    pub regression: &'a [LinearRegression],
    pub date: Option<&'a LinearRegression>,
    pub sight: &'a Sight,
}

impl Origin<'_> {
    /// The change from the last value to that `ahead` steps on.
    pub fn change(&self, component: Component, ahead: usize) -> f64 {
        let State { number, last, scale, .. } = *self.state;
        match component {
            Component::Mean(window) => self.state.pulls[window],
            Component::Regression => {
                // Beyond its horizon the last one holds on.
                let Some(regression) = self.regression.get(ahead - 1).or(self.regression.last()) else { return 0.0 };
                let mut row = vec![0.0; self.sight.n_features()];
                self.state.write_features(self.sight.season, &mut row);
                regression.predict(&row).map_or(0.0, |change| change * scale)
            }
            Component::SeasonalNaive => {
                let back = self.sight.season * ahead.div_ceil(self.sight.season) - ahead;
                let before = self.index.checked_sub(back).map_or(f64::NAN, |index| self.series.values[index]);
                if before.is_nan() { 0.0 } else { before - last }
            }
            Component::Drift => {
                let steps = number - self.anchor.number;
                if steps > 0 { (last - self.anchor.value) / steps as f64 * ahead as f64 } else { 0.0 }
            }
            Component::DateRegression => {
                let row = date_row((number + ahead as i64) * self.series.step);
                self.date.and_then(|date| date.predict(&row).ok()).map_or(0.0, |value| value - last)
            }
        }
    }
}

fn date_row(at: i64) -> [f64; 3] {
    calendar::date(at).map(|part| part as f64)
}

/// Least squares on the dates of the steps with a value, up to step `end`. `None` when there are too few.
pub(super) fn learn_dates(series: &Series, end: i64) -> Option<LinearRegression> {
    let count = usize::try_from(end - series.first() + 1).ok()?.min(series.values.len());
    let known: Vec<usize> = (0..count).filter(|index| series.observed[*index]).collect();
    if known.len() < 4 {
        return None;
    }
    let mut records = Array2::zeros((known.len(), 3));
    for (mut row, index) in records.rows_mut().into_iter().zip(&known) {
        row.assign(&Array1::from_iter(date_row(series.start + *index as i64 * series.step)));
    }
    let targets = known.iter().map(|index| series.values[*index]).collect::<Array1<f64>>();
    LinearRegression::params().fit(&DatasetBase::new(records, targets)).ok()
}

/// A ridge for each step ahead, on changes that are over by step `end`. Empty when there are too few.
pub(super) fn learn_regression(
    panel: &[(&Series, &[Option<State>])],
    sight: &Sight,
    horizon: usize,
    alpha: f64,
    end: i64,
) -> Result<Vec<LinearRegression>, crate::Error> {
    let mut regressions = Vec::with_capacity(horizon);
    for ahead in 1..=horizon {
        let mut rows: Vec<(&State, f64)> = Vec::new();
        for (series, states) in panel {
            for (index, state) in states.iter().enumerate() {
                let Some(state) = state.as_ref().filter(|state| series.observed[index] && state.scale > 0.0) else {
                    continue;
                };
                if state.number + ahead as i64 > end {
                    break;
                }
                if series.observed.get(index + ahead) == Some(&true) {
                    rows.push((state, (series.values[index + ahead] - state.last) / state.scale));
                }
            }
        }
        if rows.len() < MIN_ROWS {
            return Ok(Vec::new());
        }
        let mut records = vec![0.0; rows.len() * sight.n_features()];
        for (row, (state, _)) in records.chunks_exact_mut(sight.n_features()).zip(&rows) {
            state.write_features(sight.season, row);
        }
        let targets: Array1<f64> = rows.iter().map(|(_, target)| *target).collect();
        let Ok(records) = Array2::from_shape_vec((rows.len(), sight.n_features()), records) else {
            return Ok(Vec::new());
        };
        let ridge = LinearRegression::ridge().alpha(alpha).standardize(true);
        regressions.push(ridge.fit(&DatasetBase::new(records, targets))?);
    }
    Ok(regressions)
}
