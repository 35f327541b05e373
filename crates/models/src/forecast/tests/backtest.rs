//! Behaviours of the evaluation.

use super::super::backtest::refitted;
use super::*;

fn each_day(share: f64) -> BacktestOptions {
    BacktestOptions { first: FirstOrigin::Share(share), refit_every: 1, rounds: 200, ..BacktestOptions::default() }
}

#[test]
fn no_value_at_or_after_an_origin_changes_its_forecast() {
    let series = [autoregressive("a", 70, 0.3, 1), autoregressive("b", 70, 0.9, 2)];
    let origin = 20_050;
    let mut corrupted = series.clone();
    for (_, observations) in &mut corrupted {
        observations.iter_mut().filter(|seen| seen.at > origin * DAY).for_each(|seen| seen.value = 1e6 - seen.value);
    }
    for method in [Method::Auto, Method::Regression, Method::DateRegression] {
        for refit_every in [1, 5] {
            let options = BacktestOptions { refit_every, ..each_day(0.5) };
            let run = |series: &[Named]| refitted(&with(method), series, &options).unwrap().1;
            let (honest, other) = (run(&series), run(&corrupted));
            let mut compared = 0;
            for (a, b) in honest.iter().zip(&other).take_while(|(a, _)| a.number <= origin) {
                assert_eq!((a.number, a.ahead, a.member), (b.number, b.ahead, b.member));
                assert_eq!((&a.predicted, a.lower, a.upper), (&b.predicted, b.lower, b.upper), "{method:?}");
                compared += 1;
            }
            assert!(compared >= 14 * 15, "{compared}");
        }
    }
}

#[test]
fn a_backtest_forecasts_what_a_fit_at_its_origin_does() {
    let series = [autoregressive("a", 60, 0.3, 1), autoregressive("b", 60, 0.0, 2)];
    for method in [Method::Auto, Method::Regression, Method::Drift] {
        let (_, rolled) = refitted(&with(method), &series, &each_day(0.7)).unwrap();
        for number in [20_045, 20_050] {
            let known = series.clone().map(|(name, mut observations)| {
                observations.retain(|seen| seen.at <= number * DAY);
                (name, observations)
            });
            let forecaster = fit(&with(method), &known).unwrap();
            for (member, (name, _)) in known.iter().enumerate() {
                let of_fit = forecaster.forecast(name, 7).unwrap();
                let of_backtest = rolled.iter().filter(|rolled| (rolled.number, rolled.member) == (number, member));
                let of_backtest: Vec<(f64, f64)> =
                    of_backtest.map(|rolled| (rolled.predicted[0], rolled.upper)).collect();
                let of_fit: Vec<(f64, f64)> = of_fit.iter().map(|forecast| (forecast.value, forecast.upper)).collect();
                assert_eq!(of_backtest, of_fit, "{method:?} {name} {number}");
            }
        }
    }
}

#[test]
fn intervals_hold_as_often_as_they_say() {
    for (memory, seed) in [(0.0, 1), (0.5, 2), (0.9, 3), (1.0, 4)] {
        for confidence in [0.8, 0.95] {
            let params = ForecasterParams { confidence, ..ForecasterParams::default() };
            let series = [autoregressive("a", 1_500, memory, seed)];
            let options = BacktestOptions { refit_every: 50, rounds: 10, ..BacktestOptions::default() };
            let report = backtest(&params, &series, &options).unwrap();
            for span in &report.series[0].horizons {
                let coverage = span.forecaster.coverage.unwrap();
                let ahead = span.from_steps_ahead;
                assert!((coverage - confidence).abs() < 0.06, "{memory} {confidence} +{ahead}: {coverage}");
            }
        }
    }
}

#[test]
fn a_level_is_forecast_better_than_by_the_last_value_and_a_walk_no_worse() {
    let level = backtest(&ForecasterParams::default(), &[autoregressive("a", 120, 0.0, 1)], &each_day(0.4)).unwrap();
    let overall = &level.series[0].overall;
    assert!(overall.forecaster.rmse < 0.8 * overall.naive.rmse);
    assert!(overall.against_naive.rmse.upper.unwrap() < 0.0, "{:?}", overall.against_naive);
    let walk = backtest(&ForecasterParams::default(), &[autoregressive("a", 600, 1.0, 1)], &each_day(0.4)).unwrap();
    let overall = &walk.series[0].overall;
    assert_eq!(overall.forecaster.rmse, overall.naive.rmse);
    assert!(overall.against_date_regression.rmse.upper.unwrap() < 0.0);
}

#[test]
fn the_baselines_are_the_methods_of_their_names() {
    let series = [autoregressive("a", 80, 0.6, 8)];
    let of = |method| backtest(&with(method), &series, &each_day(0.5)).unwrap().series.remove(0).overall;
    let auto = of(Method::Auto);
    let rmse =
        [Method::Naive, Method::SeasonalNaive, Method::Drift, Method::DateRegression].map(|m| of(m).forecaster.rmse);
    let baselines = [&auto.naive, &auto.seasonal_naive, &auto.drift, &auto.date_regression].map(|scores| scores.rmse);
    assert_eq!(rmse, baselines);
}

#[test]
fn only_days_that_were_seen_are_measured() {
    let mut series = autoregressive("a", 140, 0.5, 2);
    // Trading days.
    series.1.retain(|seen| ![1, 2].contains(&(seen.at / DAY % 7)));
    let report = backtest(&ForecasterParams::default(), &[series.clone()], &each_day(0.5)).unwrap();
    let later = series.1.iter().filter(|seen| seen.at >= report.first_origin).count();
    assert_eq!(report.origins, later - 1, "the last has no later value");
    assert_eq!(report.series[0].horizons[6].forecaster.n, later - 5, "a week on is a trading day again");
}

#[test]
fn a_fitted_forecaster_is_evaluated_on_what_follows_and_on_another_time() {
    let (name, all) = autoregressive("a", 300, 0.2, 21);
    let forecaster = fit(&ForecasterParams::default(), &[(name.clone(), all[..200].to_vec())]).unwrap();
    let options = each_day(0.0);
    let follows = evaluate(&forecaster, &[(name.clone(), all[200..].to_vec())], &options).unwrap();
    assert_eq!((follows.first_origin, follows.origins), (all[200].at, 99));
    let forecast = forecaster.with_history("a", &all[200..=200]).unwrap().forecast("a", 1).unwrap()[0];
    let one = evaluate(&forecaster, &[(name.clone(), all[200..202].to_vec())], &options).unwrap();
    assert!((one.series[0].overall.forecaster.mae - (forecast.value - all[201].value).abs()).abs() < 1e-12);
    let earlier: Vec<Observation> =
        all[200..].iter().map(|seen| Observation { at: seen.at - 1_000 * DAY, ..*seen }).collect();
    let earlier = evaluate(&forecaster, &[(name.clone(), earlier)], &options).unwrap();
    assert_eq!(earlier.origins, 96, "four steps of history come first");
    assert!(earlier.series[0].overall.forecaster.rmse < earlier.series[0].overall.naive.rmse);
    assert!(matches!(evaluate(&forecaster, &[("b".to_owned(), all)], &options), Err(Error::UnknownSeries { .. })));
}

#[test]
fn series_together_are_compared_in_their_own_units() {
    let mut large = autoregressive("large", 100, 0.0, 5);
    large.1.iter_mut().for_each(|seen| seen.value *= 1e4);
    let report = backtest(&ForecasterParams::default(), &[autoregressive("small", 100, 0.0, 4), large], &each_day(0.5));
    let report = report.unwrap();
    let all = report.all_series.unwrap().overall;
    let mean = report.series.iter().map(|series| series.overall.forecaster.mase.unwrap()).sum::<f64>() / 2.0;
    assert!((all.forecaster.mae - mean).abs() < 1e-9);
}

#[test]
fn a_report_comes_back_from_json() {
    let report = backtest(&ForecasterParams::default(), &[daily("flat", [5.0; 40])], &each_day(0.5)).unwrap();
    assert_eq!((report.all_series.is_none(), report.series[0].overall.forecaster.mase), (true, None));
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Backtest>(&text).unwrap(), report);
    assert!(text.contains(r#""against_naive":{"rmse":{"difference":0.0"#), "{text}");
}

#[test]
fn a_backtest_without_an_origin_says_so() {
    let series = [daily("a", noise(1).take(12))];
    let error = backtest(&ForecasterParams::default(), &series, &each_day(0.5)).unwrap_err().to_string();
    assert_eq!(
        error,
        "no origin has both 12 steps of history and a later value; begin earlier, or give a longer series"
    );
    let options = BacktestOptions { stride: 0, ..BacktestOptions::default() };
    assert!(matches!(backtest(&ForecasterParams::default(), &series, &options), Err(Error::Model(_))));
}
