//! How good forecasts were, beside the naive ones.

use serde::{Deserialize, Serialize};

use super::Error;
use super::backtest::BacktestOptions;
use super::component::Component;
use super::fit::Panel;
use super::params::ForecasterParams;
use crate::bootstrap::Bootstrap;
use crate::metrics;

/// The forecaster and the baselines, in the order of [`Rolled::predicted`].
pub(super) const METHODS: [(&str, Option<Component>); 5] = [
    ("forecaster", None),
    ("naive", None),
    ("seasonal_naive", Some(Component::SeasonalNaive)),
    ("drift", Some(Component::Drift)),
    ("date_regression", Some(Component::DateRegression)),
];
const NAIVE: usize = 1;
const DATE_REGRESSION: usize = 4;
/// How often intervals of differences hold the true one.
const CONFIDENCE: f64 = 0.95;

/// A rolling-origin evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// Steps forecast at each origin.
    pub horizon: usize,
    /// Length of a step in ms.
    pub step_ms: i64,
    /// How often the value should be within the interval.
    pub confidence: f64,
    /// Distinct origins.
    pub origins: usize,
    /// Step of the first origin, in ms since 1970 in UTC.
    pub first_origin: i64,
    /// Step of the last origin.
    pub last_origin: i64,
    /// All series together, each in units of its own naive error one step ahead, so that none outweighs the others. `None`
    /// when no series changes before the first origin.
    pub all_series: Option<SeriesBacktest>,
    /// Each series, in its own unit.
    pub series: Vec<SeriesBacktest>,
}

/// Scores of a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesBacktest {
    /// Its name.
    pub series: String,
    /// All steps ahead together.
    pub overall: Span,
    /// Each step ahead that has a later value.
    pub horizons: Vec<Span>,
}

/// Scores of forecasts so many steps ahead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The fewest steps ahead.
    pub from_steps_ahead: usize,
    /// The most steps ahead.
    pub to_steps_ahead: usize,
    /// What is evaluated.
    pub forecaster: Scores,
    /// The last value.
    pub naive: Scores,
    /// The value a season before.
    pub seasonal_naive: Scores,
    /// The line through the first and the last value.
    pub drift: Scores,
    /// Least squares on year, month and day.
    pub date_regression: Scores,
    /// The forecaster less the last value.
    pub against_naive: Versus,
    /// The forecaster less the regression on dates.
    pub against_date_regression: Versus,
}

/// Scores of one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Forecasts measured.
    pub n: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// Root mean squared error.
    pub rmse: f64,
    /// Mean absolute error in units of the naive error one step ahead before the first origin; `None` when that is 0.
    pub mase: Option<f64>,
    /// Share of values within the interval; the baselines have none.
    pub coverage: Option<f64>,
    /// Mean of upper - lower.
    pub mean_interval_width: Option<f64>,
}

/// Differences of errors. Below 0 the forecaster is better, and with all of the interval, beyond chance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// Of the root mean squared errors.
    pub rmse: Comparison,
    /// Of the mean absolute errors.
    pub mae: Comparison,
}

/// A difference and its 95 % interval, by a bootstrap of blocks of origins (Politis and Romano, "A circular
/// block-resampling procedure for stationary data", 1992): neighbouring origins forecast the same days, so their errors are
/// not independent. A block is as long as the horizon, or a third of the origins where they are few; then the interval is
/// rather too narrow than too wide.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The difference.
    pub difference: f64,
    /// Lower end; `None` when there are less than six origins.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
}

/// A forecast and what became of it.
pub(super) struct Rolled {
    pub member: usize,
    /// Step of its origin.
    pub number: i64,
    pub ahead: usize,
    pub truth: f64,
    /// By each of [`METHODS`].
    pub predicted: Vec<f64>,
    pub lower: f64,
    pub upper: f64,
}

/// In order of origins; at least one.
pub(super) fn report(
    panel: &Panel,
    params: &ForecasterParams,
    options: &BacktestOptions,
    rolled: &[Rolled],
) -> Result<Backtest, Error> {
    let mut numbers: Vec<i64> = rolled.iter().map(|rolled| rolled.number).collect();
    numbers.dedup();
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let scales: Vec<Option<f64>> = (0..panel.len()).map(|member| scale(panel, member, first)).collect();
    let scored = |name: &str, rolled: &[&Rolled], unit: &dyn Fn(usize) -> f64, scale: Option<f64>| {
        let span = |from, to| Measured { rolled, unit, scale, options, from, to }.span();
        let horizons = (1..=params.horizon).filter_map(|ahead| span(ahead, ahead).transpose());
        let horizons = horizons.collect::<Result<Vec<Span>, Error>>()?;
        let overall = span(1, params.horizon)?;
        Ok::<_, Error>(overall.map(|overall| SeriesBacktest { series: name.to_owned(), overall, horizons }))
    };
    let mut series = Vec::with_capacity(panel.len());
    for (member, scale) in scales.iter().enumerate() {
        let own: Vec<&Rolled> = rolled.iter().filter(|rolled| rolled.member == member).collect();
        series.extend(scored(panel.name(member), &own, &|_| 1.0, *scale)?);
    }
    let comparable: Vec<&Rolled> = rolled.iter().filter(|rolled| scales[rolled.member].is_some()).collect();
    let all_series = scored("all", &comparable, &|member| scales[member].unwrap_or(1.0), Some(1.0))?;
    Ok(Backtest {
        horizon: params.horizon,
        step_ms: params.step,
        confidence: params.confidence,
        origins: numbers.len(),
        first_origin: first * params.step,
        last_origin: last * params.step,
        all_series,
        series,
    })
}

/// Mean absolute change from one value to the next, up to the first origin.
fn scale(panel: &Panel, member: usize, first: i64) -> Option<f64> {
    let series = panel.series(member);
    let count = usize::try_from(first - series.first() + 1).ok()?.min(series.values.len());
    let known = series.values.iter().zip(&series.observed).take(count).filter(|(_, seen)| **seen);
    let known: Vec<f64> = known.map(|(value, _)| *value).collect();
    metrics::seasonal_naive_error(&known, 1).ok()
}

struct Measured<'a> {
    rolled: &'a [&'a Rolled],
    /// What the values of a series are divided by.
    unit: &'a dyn Fn(usize) -> f64,
    scale: Option<f64>,
    options: &'a BacktestOptions,
    from: usize,
    to: usize,
}

/// Sums over the forecasts of one origin.
#[derive(Clone, Copy, Default)]
struct Sums {
    n: f64,
    squares: [f64; METHODS.len()],
    sizes: [f64; METHODS.len()],
}

impl Measured<'_> {
    /// `None` without a forecast so many steps ahead.
    fn span(&self) -> Result<Option<Span>, Error> {
        let (from, to) = (self.from, self.to);
        let rolled: Vec<&Rolled> =
            self.rolled.iter().copied().filter(|rolled| (from..=to).contains(&rolled.ahead)).collect();
        if rolled.is_empty() {
            return Ok(None);
        }
        let of = |value: &dyn Fn(&Rolled) -> f64| -> Vec<f64> {
            rolled.iter().map(|rolled| value(rolled) / (self.unit)(rolled.member)).collect()
        };
        let truth = of(&|rolled| rolled.truth);
        let (lower, upper) = (of(&|rolled| rolled.lower), of(&|rolled| rolled.upper));
        let scores = |method: usize| -> Result<Scores, metrics::Error> {
            let predicted = of(&|rolled| rolled.predicted[method]);
            let mae = metrics::mean_absolute_error(&truth, &predicted)?;
            let intervals = method == 0;
            Ok(Scores {
                n: truth.len(),
                mae,
                rmse: metrics::root_mean_squared_error(&truth, &predicted)?,
                mase: self.scale.map(|scale| mae / scale),
                coverage: intervals.then(|| metrics::interval_coverage(&truth, &lower, &upper)).transpose()?,
                mean_interval_width: intervals.then(|| metrics::mean_interval_width(&lower, &upper)).transpose()?,
            })
        };
        let sums: Vec<Sums> =
            rolled.chunk_by(|a, b| a.number == b.number).map(|of_origin| self.sums(of_origin)).collect();
        let all = [scores(0)?, scores(1)?, scores(2)?, scores(3)?, scores(4)?];
        let against = |other: usize, intervals: &[[Option<f64>; 2]]| Versus {
            rmse: comparison(all[0].rmse - all[other].rmse, intervals[0]),
            mae: comparison(all[0].mae - all[other].mae, intervals[1]),
        };
        let intervals = self.intervals(&sums)?;
        let against_naive = against(NAIVE, &intervals[..2]);
        let against_date_regression = against(DATE_REGRESSION, &intervals[2..]);
        let [forecaster, naive, seasonal_naive, drift, date_regression] = all;
        Ok(Some(Span {
            from_steps_ahead: from,
            to_steps_ahead: to,
            forecaster,
            naive,
            seasonal_naive,
            drift,
            date_regression,
            against_naive,
            against_date_regression,
        }))
    }

    fn sums(&self, of_origin: &[&Rolled]) -> Sums {
        let mut sums = Sums::default();
        for rolled in of_origin {
            sums.n += 1.0;
            for (method, predicted) in rolled.predicted.iter().enumerate() {
                let miss = (rolled.truth - predicted) / (self.unit)(rolled.member);
                sums.squares[method] += miss * miss;
                sums.sizes[method] += miss.abs();
            }
        }
        sums
    }

    /// Of the differences of RMSE and MAE to the naive forecast and to the regression on dates.
    fn intervals(&self, origins: &[Sums]) -> Result<Vec<[Option<f64>; 2]>, Error> {
        let count = origins.len();
        if count < 6 {
            return Ok(vec![[None; 2]; 4]);
        }
        // Errors of origins further apart than the horizon share no day.
        let block = self.to.div_ceil(self.options.stride).min(count / 3);
        // A draw of as many rows as there are origins holds more than enough starts of blocks.
        let blocks = count.div_ceil(block);
        let metrics = |starts: &[usize]| {
            let mut sum = Sums::default();
            let drawn = starts.iter().take(blocks).flat_map(|start| *start..*start + block).take(count);
            for origin in drawn.map(|index| &origins[index % count]) {
                sum.n += origin.n;
                for method in [0, NAIVE, DATE_REGRESSION] {
                    sum.squares[method] += origin.squares[method];
                    sum.sizes[method] += origin.sizes[method];
                }
            }
            let rmse = |method: usize| (sum.squares[method] / sum.n).sqrt();
            let mae = |method: usize| sum.sizes[method] / sum.n;
            let against = |other: usize| [Ok(rmse(0) - rmse(other)), Ok(mae(0) - mae(other))];
            [against(NAIVE), against(DATE_REGRESSION)].into_iter().flatten().collect()
        };
        let BacktestOptions { rounds, seed, .. } = *self.options;
        let bootstrap = Bootstrap { rounds, seed, confidence: CONFIDENCE, ..Bootstrap::default() };
        let intervals = bootstrap.intervals(count, metrics).map_err(Error::Bootstrap)?;
        let ends = |interval: Result<crate::bootstrap::Interval, _>| {
            interval.map_or([None; 2], |interval| [Some(interval.lower), Some(interval.upper)])
        };
        Ok(intervals.into_iter().map(ends).collect())
    }
}

fn comparison(difference: f64, [lower, upper]: [Option<f64>; 2]) -> Comparison {
    Comparison { difference, lower, upper }
}
