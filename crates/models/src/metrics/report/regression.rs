//! The report of predicted numbers, with quantiles or intervals where the model gives them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Measured, MetricSet, Report, ReportError, Slice, pick, scores, slice_scores};
use crate::bootstrap::Bootstrap;
use crate::metrics;

/// What a model said of some rows, and what is true.
#[derive(Clone, Copy, Debug)]
pub struct RegressionData<'a> {
    /// The true number of each row.
    pub truth: &'a [f64],
    /// The predicted one.
    pub predicted: &'a [f64],
    /// The interval predicted for each row, where there is one.
    pub interval: Option<IntervalForecast<'a>>,
    /// The series trained on, for forecasts.
    pub training: Option<Training<'a>>,
}

/// Intervals that should hold the truth with some probability.
#[derive(Clone, Copy, Debug)]
pub struct IntervalForecast<'a> {
    /// Lower ends.
    pub lower: &'a [f64],
    /// Upper ends.
    pub upper: &'a [f64],
    /// The probability, in (0, 1); ends are judged as the quantiles (1 ± `level`) / 2.
    pub level: f64,
}

/// A series in order of time.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// Its values.
    pub values: &'a [f64],
    /// Values per season; 1 without any.
    pub period: usize,
}

/// Everything known about predicted numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegressionReport {
    /// Metrics of all rows.
    #[serde(flatten)]
    pub scores: MetricSet,
    /// Metrics of each slice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slices: BTreeMap<String, MetricSet>,
}

impl RegressionReport {
    /// Measures everything that is defined.
    ///
    /// # Errors
    /// For no rows, lengths that do not fit each other, numbers that are none, and the bootstrap's arguments.
    pub fn new(data: &RegressionData<'_>, slices: &[Slice], bootstrap: &Bootstrap<'_>) -> Result<Self, ReportError> {
        let rows = data.truth.len();
        metrics::mean_absolute_error(data.truth, data.predicted)?;
        if let Some(interval) = data.interval {
            metrics::interval_coverage(data.truth, interval.lower, interval.upper)?;
        }
        // The series trained on is the same in every draw.
        let naive = data.training.map(|training| metrics::seasonal_naive_error(training.values, training.period));
        let measure = |rows: &[usize]| data.measure(rows, naive.as_ref());
        Ok(Self {
            scores: scores(rows, None, bootstrap, measure)?,
            slices: slice_scores(rows, slices, bootstrap, measure)?,
        })
    }
}

impl From<RegressionReport> for Report {
    fn from(report: RegressionReport) -> Self {
        Self::Regression(report)
    }
}

impl RegressionData<'_> {
    fn measure(&self, rows: &[usize], naive: Option<&Result<f64, metrics::Error>>) -> Measured {
        let (truth, predicted) = (&pick(self.truth, rows), &pick(self.predicted, rows));
        let absolute = metrics::mean_absolute_error(truth, predicted);
        let mut measured = vec![
            ("mean_absolute_error", absolute.clone()),
            ("root_mean_squared_error", metrics::root_mean_squared_error(truth, predicted)),
            ("median_absolute_error", metrics::median_absolute_error(truth, predicted)),
            ("r2", metrics::r2_score(truth, predicted)),
            ("mean_absolute_percentage_error", metrics::mean_absolute_percentage_error(truth, predicted)),
            (
                "symmetric_mean_absolute_percentage_error",
                metrics::symmetric_mean_absolute_percentage_error(truth, predicted),
            ),
        ];
        if let Some(naive) = naive {
            let scaled = naive.clone().and_then(|naive| Ok(absolute? / naive));
            measured.push(("mean_absolute_scaled_error", scaled));
        }
        if let Some(interval) = self.interval {
            let (lower, upper) = (&pick(interval.lower, rows), &pick(interval.upper, rows));
            let pinball = |ends: &[f64], quantile| metrics::pinball_loss(truth, ends, quantile);
            measured.push(("interval_coverage", metrics::interval_coverage(truth, lower, upper)));
            measured.push(("mean_interval_width", metrics::mean_interval_width(lower, upper)));
            measured.push(("pinball_loss_lower", pinball(lower, (1.0 - interval.level) / 2.0)));
            measured.push(("pinball_loss_upper", pinball(upper, f64::midpoint(1.0, interval.level))));
        }
        measured
    }
}
