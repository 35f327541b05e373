//! Parameters of a forecaster.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::calendar::DAY;
use super::forecaster::MAX_HORIZON;
use crate::algorithm::params::Params;
use crate::{Error, algorithm};

const NAME: &str = "forecaster";

/// How the next values follow from the known ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The last value.
    Naive,
    /// The value a season before.
    SeasonalNaive,
    /// The line through the first and the last value.
    Drift,
    /// Least squares on year, month and day.
    DateRegression,
    /// Ridge on distances from recent means, on recent changes and on the place in the season, one for each step ahead.
    Regression,
    /// The last value, moved towards those of the other methods and of recent means that did better in the past.
    #[default]
    Auto,
}

/// Parameters of a [`super::Forecaster`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecasterParams {
    /// How it forecasts.
    pub method: Method,
    /// Length of a step in ms; of the values seen within a step the last one counts.
    pub step: i64,
    /// Steps that are forecast.
    pub horizon: usize,
    /// Steps after which a pattern may repeat itself; 1 for none.
    pub season: usize,
    /// How often the value lies within the interval.
    pub confidence: f64,
    /// Recent changes that the regression looks at.
    pub lags: usize,
    /// Strength of the regression's penalty.
    pub alpha: f64,
    /// Most steps without a value that have the last one.
    pub max_gap: usize,
}

impl Default for ForecasterParams {
    /// Seven days with a weekly season, 95 %.
    fn default() -> Self {
        Self {
            method: Method::Auto,
            step: DAY,
            horizon: 7,
            season: 7,
            confidence: 0.95,
            lags: 7,
            alpha: 30.0,
            max_gap: 14,
        }
    }
}

impl ForecasterParams {
    /// Those given in a pipeline file, the others by default. `step` is a duration such as `"1d"`, `"3h"` or `"15m"`.
    ///
    /// # Errors
    /// For an unknown parameter, with the nearest known one, and for a value of the wrong type or range.
    pub fn from_params(map: &Map<String, Value>) -> Result<Self, algorithm::Error> {
        const KNOWN: &[&str] = &["alpha", "confidence", "horizon", "lags", "max_gap", "method", "season", "step"];
        const METHODS: [&str; 6] = ["naive", "seasonal_naive", "drift", "date_regression", "regression", "auto"];
        let expected = "\"naive\", \"seasonal_naive\", \"drift\", \"date_regression\", \"regression\" or \"auto\"";
        let given = Params::new(NAME, KNOWN, map)?;
        let mut params = Self::default();
        if let Some(index) = given.choice("method", METHODS, expected)? {
            let (naive, auto) = ([Method::Naive, Method::SeasonalNaive, Method::Drift], Method::Auto);
            params.method = [naive[0], naive[1], naive[2], Method::DateRegression, Method::Regression, auto][index];
        }
        if let Some(value) = map.get("step") {
            params.step = value.as_str().and_then(milliseconds).ok_or_else(|| algorithm::Error::Type {
                algorithm: NAME,
                name: "step",
                expected: "a duration such as \"1d\", \"3h\" or \"15m\"",
                got: value.to_string(),
            })?;
        }
        given.set_count("horizon", &mut params, |params, horizon| Self { horizon, ..params })?;
        given.set_count("season", &mut params, |params, season| Self { season, ..params })?;
        given.set_number("confidence", &mut params, |params, confidence| Self { confidence, ..params })?;
        given.set_count("lags", &mut params, |params, lags| Self { lags, ..params })?;
        given.set_number("alpha", &mut params, |params, alpha| Self { alpha, ..params })?;
        given.set_count("max_gap", &mut params, |params, max_gap| Self { max_gap, ..params })?;
        params.check().map_err(|source| algorithm::Error::Range { algorithm: NAME, source })?;
        Ok(params)
    }

    /// Whether all are in range.
    ///
    /// # Errors
    /// [`Error::Parameter`] names the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let Self { step, horizon, season, confidence, lags, alpha, max_gap, .. } = *self;
        let steps = (1..=MAX_HORIZON).contains(&horizon);
        let checks = [
            ("step", "between 1 second and 366 days", step.to_string(), (1_000..=366 * DAY).contains(&step)),
            ("horizon", "between 1 and 366", horizon.to_string(), steps),
            ("season", "between 1 and 366", season.to_string(), (1..=366).contains(&season)),
            ("confidence", "between 0.5 and 0.999", confidence.to_string(), (0.5..=0.999).contains(&confidence)),
            ("lags", "between 0 and 60", lags.to_string(), lags <= 60),
            ("alpha", "between 0 and 1e12", alpha.to_string(), (0.0..=1e12).contains(&alpha)),
            ("max_gap", "between 0 and 366", max_gap.to_string(), max_gap <= 366),
        ];
        match checks.into_iter().find(|(.., valid)| !valid) {
            Some((name, expected, got, _)) => Err(Error::Parameter { name, expected, got }),
            None => Ok(()),
        }
    }
}

/// `"3h"` in ms.
fn milliseconds(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "d" => DAY,
        "h" => 3_600_000,
        "m" => 60_000,
        "s" => 1_000,
        _ => return None,
    };
    number.parse::<u32>().ok().and_then(|number| i64::from(number).checked_mul(unit))
}
