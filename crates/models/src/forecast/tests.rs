//! Behaviours of the forecaster; those of the evaluation are in `backtest`.

mod backtest;
mod grid;

use serde_json::json;

use super::calendar::DAY;
use super::*;
use crate::algorithm;
use crate::test_data::Uniform;

const HOUR: i64 = 3_600_000;

pub(super) type Named = (String, Vec<Observation>);

/// Nearly normal numbers of mean 0 and variance 1.
pub(super) fn noise(seed: u64) -> impl Iterator<Item = f64> {
    let mut uniform = Uniform(seed);
    std::iter::repeat_with(move || (&mut uniform).take(12).sum::<f64>() - 6.0)
}

/// One value a day.
pub(super) fn daily(name: &str, values: impl IntoIterator<Item = f64>) -> Named {
    let observation = |(day, value): (i64, f64)| Observation { at: day * DAY, value };
    (name.to_owned(), (20_000..).zip(values).map(observation).collect())
}

/// Around 100, by noise that forgets `1 - memory` of itself each day.
pub(super) fn autoregressive(name: &str, days: usize, memory: f64, seed: u64) -> Named {
    let next = |state: &mut f64, noise: f64| {
        *state = memory * *state + noise;
        Some(100.0 + *state)
    };
    daily(name, noise(seed).scan(0.0, next).take(days))
}

pub(super) fn fit(params: &ForecasterParams, series: &[Named]) -> Result<Forecaster, Error> {
    params.fit(series, &mut |_| {})
}

fn values(forecasts: &[Forecast]) -> Vec<f64> {
    forecasts.iter().map(|forecast| forecast.value).collect()
}

fn with(method: Method) -> ForecasterParams {
    ForecasterParams { method, ..ForecasterParams::default() }
}

#[test]
fn the_simple_methods_are_what_they_are_called() {
    let line = daily("line", (0..30).map(|day| f64::from(10 + 2 * day)));
    let run = |method| values(&fit(&with(method), std::slice::from_ref(&line)).unwrap().forecast("line", 8).unwrap());
    assert_eq!(run(Method::Naive), [68.0; 8]);
    assert_eq!(run(Method::SeasonalNaive), [56.0, 58.0, 60.0, 62.0, 64.0, 66.0, 68.0, 56.0]);
    assert_eq!(run(Method::Drift), [70.0, 72.0, 74.0, 76.0, 78.0, 80.0, 82.0, 84.0]);
}

#[test]
fn the_regression_on_dates_is_a_line_within_a_month() {
    // Day 20,000 is 4 October 2024; the dates of 20 days are of one month and one year.
    let line = daily("line", (0..20).map(|day| f64::from(10 + 2 * day)));
    let forecaster = fit(&with(Method::DateRegression), &[line]).unwrap();
    let forecasts = values(&forecaster.forecast("line", 7).unwrap());
    assert!(forecasts.iter().zip([50.0, 52.0, 54.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{forecasts:?}");
}

#[test]
fn a_regression_learns_a_pattern_of_the_week() {
    let pattern = [0.0, 3.0, 5.0, 1.0, -4.0, -2.0, 6.0];
    let weeks =
        daily("weeks", pattern.iter().cycle().zip(noise(3)).map(|(value, noise)| 50.0 + value + 0.1 * noise).take(210));
    let forecaster = fit(&with(Method::Regression), &[weeks]).unwrap();
    let forecasts = values(&forecaster.forecast("weeks", 7).unwrap());
    assert!(forecasts.iter().zip(pattern).all(|(value, of_day)| (value - 50.0 - of_day).abs() < 1.0), "{forecasts:?}");
}

#[test]
fn a_random_walk_is_forecast_by_its_last_value() {
    for seed in 1..=5 {
        let walk = autoregressive("walk", 1_000, 1.0, seed);
        let last = walk.1.last().unwrap().value;
        let forecaster = fit(&ForecasterParams::default(), &[walk]).unwrap();
        assert_eq!(forecaster.weights().count(), 0, "seed {seed}");
        let forecasts = forecaster.forecast("walk", 7).unwrap();
        assert!(forecasts.iter().all(|forecast| forecast.value == last));
        assert!(forecasts.windows(2).all(|pair| pair[0].upper <= pair[1].upper), "intervals never narrow");
    }
}

#[test]
fn noise_around_a_level_is_forecast_by_recent_means() {
    let forecaster = fit(&ForecasterParams::default(), &[autoregressive("level", 120, 0.0, 7)]).unwrap();
    assert!(forecaster.weights().next().is_some());
    let far = [(20_121, 108.0), (20_122, 107.0)].map(|(day, value)| Observation { at: day * DAY, value });
    let after_a_jump = forecaster.with_history("level", &far).unwrap();
    let forecast = after_a_jump.forecast("level", 1).unwrap()[0];
    assert!((99.0..102.5).contains(&forecast.value), "{forecast:?}");
}

#[test]
fn a_constant_series_stays_what_it_is_without_doubt() {
    for method in [Method::Auto, Method::Naive, Method::SeasonalNaive, Method::Drift] {
        let forecaster = fit(&with(method), &[daily("flat", [5.0; 40])]).unwrap();
        let forecasts = forecaster.forecast("flat", 20).unwrap();
        assert!(forecasts.iter().all(|f| (f.lower, f.value, f.upper) == (5.0, 5.0, 5.0)), "{method:?} {forecasts:?}");
    }
}

#[test]
fn series_of_other_units_share_what_is_learnt() {
    let pair = |scale: f64| {
        let mut other = autoregressive("b", 60, 0.2, 5);
        other.1.iter_mut().for_each(|seen| seen.value *= scale);
        [autoregressive("a", 60, 0.2, 4), other]
    };
    let forecast = |scale: f64, name: &str| {
        values(&fit(&ForecasterParams::default(), &pair(scale)).unwrap().forecast(name, 7).unwrap())
    };
    assert!(forecast(1.0, "a").iter().zip(forecast(1e6, "a")).all(|(one, other)| (one / other - 1.0).abs() < 1e-9));
    assert!(
        forecast(1.0, "b").iter().zip(forecast(1e6, "b")).all(|(one, other)| (one * 1e6 / other - 1.0).abs() < 1e-9)
    );
}

#[test]
fn a_time_is_known_forecast_or_out_of_reach() {
    let forecaster = fit(&with(Method::Naive), &[autoregressive("a", 500, 1.0, 9)]).unwrap();
    let last = 20_499 * DAY;
    let forecasts = forecaster.forecast("a", 30).unwrap();
    assert_eq!(forecaster.at("a", last + 3 * DAY + HOUR).unwrap(), forecasts[2]);
    assert_eq!(forecaster.at("a", last + 30 * DAY).unwrap(), forecasts[29]);
    let width = |forecast: &Forecast| forecast.upper - forecast.lower;
    assert!((width(&forecasts[27]) / width(&forecasts[6]) - 2.0).abs() < 1e-9, "four times the way, twice the width");
    let known = forecaster.at("a", last - 10 * DAY + 5 * HOUR).unwrap();
    assert_eq!((known.at, known.lower, known.upper), (last - 10 * DAY, known.value, known.value));
    assert!(matches!(forecaster.at("a", last + 367 * DAY), Err(Error::Horizon { asked: 367, limit: 366 })));
    assert!(matches!(forecaster.at("a", 19_000 * DAY), Err(Error::BeforeHistory { .. })));
    for far in [i64::MIN, i64::MAX] {
        assert!(forecaster.at("a", far).is_err());
    }
    let error = forecaster.at("b", 0).unwrap_err().to_string();
    assert_eq!(error, "there is no series `b`; the forecaster knows a");
}

#[test]
fn newer_history_moves_the_origin_and_fits_nothing() {
    let (name, all) = autoregressive("a", 300, 0.5, 11);
    let early = fit(&ForecasterParams::default(), &[(name.clone(), all[..280].to_vec())]).unwrap();
    let by_parts = early.with_history("a", &all[280..290]).unwrap().with_history("a", &all[290..]).unwrap();
    let at_once = early.with_history("a", &all[280..]).unwrap();
    let overlapping = early.with_history("a", &all[100..]).unwrap();
    assert_eq!(by_parts.forecast("a", 7).unwrap(), at_once.forecast("a", 7).unwrap());
    assert_eq!(at_once.forecast("a", 7).unwrap(), overlapping.forecast("a", 7).unwrap());
    assert_eq!(at_once.forecast("a", 1).unwrap()[0].at, all[299].at + DAY);
    assert_eq!(at_once.weights().collect::<Vec<_>>(), early.weights().collect::<Vec<_>>());
    assert!(at_once.validate().is_ok());
}

#[test]
fn prices_have_intervals_of_prices_and_other_values_may_be_negative() {
    let cheap = daily("cheap", noise(1).map(|noise| (0.3 + noise).abs()).take(60));
    let forecaster = fit(&with(Method::Naive), &[cheap]).unwrap();
    assert!(forecaster.forecast("cheap", 7).unwrap().iter().all(|forecast| forecast.lower >= 0.0));
    let signed = fit(&with(Method::Naive), &[daily("signed", noise(1).take(60))]).unwrap();
    assert!(signed.forecast("signed", 7).unwrap().iter().all(|forecast| forecast.lower < 0.0));
}

#[test]
fn a_series_too_short_names_what_is_needed() {
    let run = |method, days| fit(&with(method), &[daily("US", noise(1).take(days))]).map(|_| ());
    assert_eq!(
        run(Method::Auto, 8).unwrap_err().to_string(),
        "series `US` has values at 8 steps of 1 day, but at least 12 are needed to measure how far forecasts are off; give \
         a longer history, or lower `horizon` or `step`"
    );
    assert!(run(Method::Auto, 12).is_ok());
    assert!(matches!(run(Method::Regression, 30), Err(Error::TooShort { needed: 31, .. })));
    assert!(run(Method::Regression, 31).is_ok());
    assert!(matches!(run(Method::Naive, 0), Err(Error::TooShort { known: 0, .. })));
    assert!(matches!(fit(&with(Method::Naive), &[]), Err(Error::NoSeries)));
    let twice = [daily("a", [1.0; 20]), daily("a", [1.0; 20])];
    assert!(matches!(fit(&with(Method::Naive), &twice), Err(Error::Duplicate(name)) if name == "a"));
}

#[test]
fn it_comes_back_from_bytes_and_json_with_the_same_bits() {
    let series = [autoregressive("a", 90, 0.3, 1), autoregressive("b", 90, 0.0, 2)];
    for method in [Method::Auto, Method::Regression, Method::DateRegression] {
        let forecaster = fit(&with(method), &series).unwrap();
        assert!(forecaster.validate().is_ok());
        let bytes = postcard::to_allocvec(&forecaster).unwrap();
        let back: Forecaster = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back, forecaster);
        assert_eq!(postcard::to_allocvec(&back).unwrap(), bytes);
        assert_eq!(back.forecast("b", 14).unwrap(), forecaster.forecast("b", 14).unwrap());
        assert_eq!(fit(&with(method), &series).unwrap(), forecaster, "a second fit is the same");
    }
}

#[test]
fn what_is_decoded_is_checked() {
    let forecaster = fit(&with(Method::Regression), &[autoregressive("a", 90, 0.3, 1)]).unwrap();
    let broken = |damage: fn(&mut Forecaster)| {
        let mut damaged = forecaster.clone();
        damage(&mut damaged);
        damaged.validate().unwrap_err()
    };
    assert!(broken(|f| f.series.clear()).contains("no series"));
    assert!(broken(|f| f.spread[0] = f64::NAN).contains("width"));
    assert!(broken(|f| f.regression.truncate(3)).contains("each step ahead"));
    assert!(broken(|f| f.sight.windows.clear()).contains("windows"));
    assert!(broken(|f| f.series[0].history.values.clear()).contains("history"));
    assert!(broken(|f| f.series[0].history.start += 1).contains("history"));
    assert!(broken(|f| f.params.horizon = 0).contains("horizon"));
}

#[test]
fn parameters_are_read_like_those_of_the_other_algorithms() {
    let read = |params: serde_json::Value| ForecasterParams::from_params(params.as_object().unwrap());
    assert_eq!(read(json!({})).unwrap(), ForecasterParams::default());
    let params = read(json!({"method": "naive", "step": "3h", "horizon": 56, "season": 8, "confidence": 0.9})).unwrap();
    assert_eq!((params.method, params.step, params.horizon), (Method::Naive, 3 * HOUR, 56));
    let error = |params| read(params).unwrap_err();
    assert!(matches!(error(json!({"horizn": 3})), algorithm::Error::UnknownParameter { nearest: Some("horizon"), .. }));
    assert!(matches!(error(json!({"method": "prophet"})), algorithm::Error::Type { name: "method", .. }));
    assert!(matches!(error(json!({"step": 86_400})), algorithm::Error::Type { name: "step", .. }));
    assert_eq!(
        error(json!({"confidence": 95})).to_string(),
        "`forecaster`: parameter `confidence` must be between 0.5 and 0.999, got 95"
    );
    assert!(matches!(error(json!({"horizon": 0})), algorithm::Error::Range { .. }));
}

#[test]
fn a_fit_tells_what_it_found() {
    let mut told = Vec::new();
    let params = ForecasterParams::default();
    params.fit(&[autoregressive("a", 90, 0.0, 1)], &mut |line| told.push(line.to_owned())).unwrap();
    assert_eq!(told[0], "1 series, 90 steps of 1 day");
    assert!(told.iter().any(|line| line.starts_with("mean_of_28: error 0.")), "{told:?}");
}
