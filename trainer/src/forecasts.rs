//! Forecasts are judged otherwise than answers: from many origins in the test rows, by what was known there.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use driftmill_models::forecast::{self, Backtest, BacktestOptions, Comparison, FirstOrigin, Span};
use driftmill_models::{Estimator, Learner, Target};
use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::{Metric, Pipeline};

use crate::fit::Fault;
use crate::{Error, Rows};

/// How good a forecaster is on rows that came after those it was fitted to; `None` of any other model.
pub(crate) fn backtest(model: &Estimator, rows: &Rows, seed: u64) -> Result<Option<Backtest>, Fault> {
    let (Some(forecaster), Target::Values(values)) = (model.forecaster(), &rows.target) else { return Ok(None) };
    let options = BacktestOptions { first: FirstOrigin::Share(0.0), seed, ..BacktestOptions::default() };
    let series = model.series(&rows.table, values)?;
    forecast::evaluate(forecaster, &series, &options).map(Some).map_err(|error| Fault::Unfit(error.to_string()))
}

/// What judges a new forecaster.
#[derive(Debug)]
pub struct Judged {
    /// Its method on all rows, fitted anew as the origin rolls through their second half: nothing is forecast from what came
    /// later, and there are as many origins as the rows have to give.
    pub rolling: Backtest,
    /// The one that was fitted to the training rows, on the test rows, if they are enough: what a champion can be compared by.
    pub test: Result<Backtest, String>,
}

/// Fits while the origin rolls: more cost time, and say nothing new.
const FITS: usize = 200;

/// Judges a forecaster that was fitted to the training part of `all`; `None` of any other model.
pub(crate) fn judge(model: &Estimator, all: &Rows, test: &Rows, seed: u64) -> Result<Option<Judged>, Fault> {
    let (Some(forecaster), Target::Values(values)) = (model.forecaster(), &all.target) else { return Ok(None) };
    let rolling = rolling(forecaster, &model.series(&all.table, values)?, seed)?;
    let test = match backtest(model, test, seed) {
        Ok(Some(test)) => Ok(test),
        Ok(None) => Err("it forecasts nothing".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    Ok(Some(Judged { rolling, test }))
}

/// A forecaster's method on a series, fitted anew as the origin rolls through the second half.
fn rolling(
    forecaster: &forecast::Forecaster,
    series: &[(String, Vec<forecast::Observation>)],
    seed: u64,
) -> Result<Backtest, Fault> {
    let steps = series.iter().map(|(_, observations)| observations.len()).max().unwrap_or_default();
    let options = BacktestOptions {
        first: FirstOrigin::Share(0.5),
        refit_every: (steps / 2 / FITS).max(1),
        seed,
        ..BacktestOptions::default()
    };
    forecast::backtest(forecaster.params(), series, &options).map_err(|error| Fault::Unfit(error.to_string()))
}

/// A forecaster's method by a rolling origin over all rows.
pub(crate) fn rolling_evaluation(
    learner: &Learner,
    rows: &Rows,
    pipeline: &Pipeline,
) -> Result<ForecastEvaluation, Fault> {
    let seed = pipeline.training.seed;
    let model = learner.fit(&rows.table, &rows.target, seed, &mut |_| ControlFlow::Continue(()))?;
    let (Some(forecaster), Target::Values(values)) = (model.forecaster(), &rows.target) else {
        return Err(Fault::Unfit("it forecasts nothing".to_owned()));
    };
    let backtest = rolling(forecaster, &model.series(&rows.table, values)?, seed)?;
    let metrics = metrics(&backtest);
    Ok(ForecastEvaluation { backtest, metrics })
}

/// The pipeline's metric of that.
pub(crate) fn rolling_error(learner: &Learner, rows: &Rows, pipeline: &Pipeline) -> Result<f64, Fault> {
    let judged = rolling_evaluation(learner, rows, pipeline)?;
    let error = overall(&judged.backtest).map(|span| error_of(pipeline, span));
    error.ok_or_else(|| Fault::Unfit("no series changes: there is nothing to forecast".to_owned()))
}

/// The pipeline's metric of forecasts.
fn error_of(pipeline: &Pipeline, span: &Span) -> f64 {
    if pipeline.promotion.metric == Metric::Mae { span.forecaster.mae } else { span.forecaster.rmse }
}

/// How good a forecaster is on rows that it has not seen.
#[derive(Debug)]
pub struct ForecastEvaluation {
    /// Everything, by series and steps ahead.
    pub backtest: Backtest,
    /// Its figures over all, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// Judges a forecaster by rows that it has not seen; `None` of a model that is none.
///
/// # Errors
/// When the rows are of series that it does not know, or too few.
pub fn evaluate_forecasts(
    model: &Estimator,
    rows: &Rows,
    pipeline: &Pipeline,
) -> Result<Option<ForecastEvaluation>, Error> {
    let backtest = backtest(model, rows, pipeline.training.seed);
    let backtest = backtest.map_err(|error| Error::Fit { pipeline: pipeline.name.clone(), error })?;
    Ok(backtest.map(|backtest| {
        let metrics = metrics(&backtest);
        ForecastEvaluation { backtest, metrics }
    }))
}

/// The scores of all series together: in their own unit if there is one series, else in units of the error that naive
/// forecasts of each series have one step ahead.
pub(crate) fn overall(backtest: &Backtest) -> Option<&Span> {
    match backtest.series.as_slice() {
        [one] => Some(&one.overall),
        _ => backtest.all_series.as_ref().map(|all| &all.overall),
    }
}

/// Its figures, by name.
pub(crate) fn metrics(backtest: &Backtest) -> BTreeMap<String, f64> {
    let Some(span) = overall(backtest) else { return BTreeMap::new() };
    let mut metrics = BTreeMap::from([("origins".to_owned(), backtest.origins as f64)]);
    let scores = &span.forecaster;
    for (name, value) in [
        ("mae", Some(scores.mae)),
        ("rmse", Some(scores.rmse)),
        ("mase", scores.mase),
        ("coverage", scores.coverage),
        ("mean_interval_width", scores.mean_interval_width),
        ("naive_mae", Some(span.naive.mae)),
        ("naive_rmse", Some(span.naive.rmse)),
        ("seasonal_naive_rmse", Some(span.seasonal_naive.rmse)),
        ("drift_rmse", Some(span.drift.rmse)),
        ("date_regression_mae", Some(span.date_regression.mae)),
        ("date_regression_rmse", Some(span.date_regression.rmse)),
    ] {
        if let Some(value) = value {
            metrics.insert(name.to_owned(), value);
        }
    }
    metrics
}

/// What the gates say: better than a regression on the date beyond chance, no worse than the last value, and no worse than the
/// champion by more than the margin.
pub(crate) fn gates(pipeline: &Pipeline, judged: &Judged, champion: Option<(u64, &Backtest)>) -> Vec<GateResult> {
    let backtest = &judged.rolling;
    let metric = pipeline.promotion.metric;
    let Some(span) = overall(backtest) else {
        let detail = "no series changes: there is nothing to forecast".to_owned();
        return vec![GateResult { gate: "better than a regression on the date".to_owned(), passed: false, detail }];
    };
    let of = |versus: &forecast::Versus| if metric == Metric::Mae { versus.mae } else { versus.rmse };
    let words = |comparison: Comparison, than: &str| {
        let interval = match (comparison.lower, comparison.upper) {
            (Some(lower), Some(upper)) => format!(", 95 % interval [{lower:+.4}, {upper:+.4}]"),
            _ => String::new(),
        };
        format!(
            "{} {:+.4} against {than}{interval}, {} forecasts from {} origins",
            metric.name(),
            comparison.difference,
            span.forecaster.n,
            backtest.origins
        )
    };
    let (date, naive) = (of(&span.against_date_regression), of(&span.against_naive));
    let mut gates = vec![
        GateResult {
            gate: "better than a regression on the date".to_owned(),
            passed: date.upper.unwrap_or(date.difference) < 0.0,
            detail: words(date, "least squares on year, month and day"),
        },
        GateResult {
            gate: "no worse than the last value".to_owned(),
            passed: naive.difference <= 0.0,
            detail: words(naive, "the last value"),
        },
    ];
    if let (Some((version, _)), Err(reason)) = (champion, &judged.test) {
        let detail = format!("the test rows cannot compare it with version {version}: {reason}");
        gates.push(GateResult { gate: "no worse than the champion".to_owned(), passed: false, detail });
    }
    if let (Some((version, rival)), Ok(test)) = (champion, &judged.test) {
        let of = |backtest: &Backtest| overall(backtest).map_or(f64::INFINITY, |span| error_of(pipeline, span));
        let (ours, theirs) = (of(test), of(rival));
        let margin = pipeline.promotion.margin;
        gates.push(GateResult {
            gate: "no worse than the champion".to_owned(),
            passed: ours <= theirs * (1.0 + margin),
            detail: format!(
                "{} {ours:.4}, version {version} has {theirs:.4} from the same origins in the test rows; a margin of {margin} is allowed",
                metric.name()
            ),
        });
    }
    gates
}
