//! Forecasts of prices measured: seven days ahead from a rolling origin, each method beside the naive ones.
//!
//! ```text
//! DRIFTMILL_DATA=<folder with prices/> cargo run --release -p driftmill-models --example prices
//! ```
//! Reads `wow_token_gold_2025-12.csv` (several series at irregular times within a month) and `wti_daily_1986-2019.csv`
//! (trading days, some without a value). Errors are root mean squares over all origins; a difference with its whole
//! interval below 0 is better beyond chance.

#![allow(clippy::disallowed_methods, reason = "an example has no clock injected")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use driftmill_models::forecast::{
    Backtest, BacktestOptions, Comparison, FirstOrigin, ForecasterParams, Method, Observation, SeriesBacktest, Span,
    backtest, evaluate,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Columns = Vec<(String, Vec<Observation>)>;

fn main() -> Result<()> {
    let folder = std::env::var("DRIFTMILL_DATA").map_err(|_| "DRIFTMILL_DATA must name the folder with prices/")?;
    let prices = Path::new(&folder).join("prices");
    let token = read(&prices.join("wow_token_gold_2025-12.csv"))?;
    let each_day = BacktestOptions { refit_every: 1, first: FirstOrigin::Share(0.4), ..BacktestOptions::default() };
    measure("token, series fitted together", &token, &each_day)?;
    for series in &token {
        measure(&format!("token, {} alone", series.0), std::slice::from_ref(series), &each_day)?;
    }
    let oil = read(&prices.join("wti_daily_1986-2019.csv"))?;
    let monthly = BacktestOptions { refit_every: 20, first: FirstOrigin::Share(0.05), ..BacktestOptions::default() };
    measure("oil, 1986 to 2019", &oil, &monthly)?;
    for year in (0..5).map(|part| part * 1_700) {
        let part: Vec<Observation> = oil[0].1.iter().copied().skip(year).take(250).collect();
        measure(&format!("oil, 250 days from row {year}"), &[(oil[0].0.clone(), part)], &each_day)?;
    }
    fitted_once(&oil)
}

/// Fitted to the first 20 years, evaluated on the rest.
fn fitted_once(oil: &Columns) -> Result<()> {
    let (name, observations) = &oil[0];
    let (known, unseen) = observations.split_at(5_000);
    let started = Instant::now();
    let mut told = Vec::new();
    let forecaster =
        ForecasterParams::default().fit(&[(name.clone(), known.to_vec())], &mut |line| told.push(line.to_owned()))?;
    println!("\noil, fitted once to 5000 rows in {:.1?}", started.elapsed());
    told.iter().for_each(|line| println!("  {line}"));
    let all = BacktestOptions { first: FirstOrigin::Share(0.0), ..BacktestOptions::default() };
    let report = evaluate(&forecaster, &[(name.clone(), unseen.to_vec())], &all)?;
    table(&report.series[0], None);
    Ok(())
}

fn measure(title: &str, columns: &[(String, Vec<Observation>)], options: &BacktestOptions) -> Result<()> {
    let started = Instant::now();
    let auto = backtest(&ForecasterParams::default(), columns, options)?;
    let took = started.elapsed();
    let regression = ForecasterParams { method: Method::Regression, ..ForecasterParams::default() };
    let regression = backtest(&regression, columns, options).ok();
    println!("\n{title}: {} origins, auto took {took:.1?}", auto.origins);
    let of = |report: &Backtest, name: &str| report.series.iter().find(|series| series.series == name).cloned();
    for series in &auto.series {
        table(series, regression.as_ref().and_then(|report| of(report, &series.series)).as_ref());
    }
    if let Some(all) = auto.all_series.as_ref().filter(|_| auto.series.len() > 1) {
        table(all, regression.as_ref().and_then(|report| report.all_series.as_ref()));
    }
    Ok(())
}

fn table(auto: &SeriesBacktest, regression: Option<&SeriesBacktest>) {
    println!(
        "  {:10} {:>6} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>6} {:>6}  auto - naive{:20}auto - date regression",
        auto.series, "n", "auto", "naive", "seasonal", "drift", "dates", "regression", "mase", "cover", ""
    );
    for span in auto.horizons.iter().chain([&auto.overall]) {
        let same = |other: &&Span| {
            (other.from_steps_ahead, other.to_steps_ahead) == (span.from_steps_ahead, span.to_steps_ahead)
        };
        let regression = regression.and_then(|series| series.horizons.iter().chain([&series.overall]).find(same));
        let regression = regression.map_or("-".to_owned(), |span| number(span.forecaster.rmse));
        let ahead = match (span.from_steps_ahead, span.to_steps_ahead) {
            (from, to) if from == to => format!("+{from}"),
            (from, to) => format!("+{from}..{to}"),
        };
        println!(
            "  {ahead:10} {:6} {:>10} {:>10} {:>10} {:>10} {:>10} {regression:>10} {:6.2} {:6.3}  {:32}{}",
            span.forecaster.n,
            number(span.forecaster.rmse),
            number(span.naive.rmse),
            number(span.seasonal_naive.rmse),
            number(span.drift.rmse),
            number(span.date_regression.rmse),
            span.forecaster.mase.unwrap_or(f64::NAN),
            span.forecaster.coverage.unwrap_or(f64::NAN),
            difference(&span.against_naive.rmse),
            difference(&span.against_date_regression.rmse),
        );
    }
}

fn difference(comparison: &Comparison) -> String {
    match (comparison.lower, comparison.upper) {
        (Some(lower), Some(upper)) => {
            format!("{} [{}, {}]", number(comparison.difference), number(lower), number(upper))
        }
        _ => format!("{} [too few]", number(comparison.difference)),
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

/// The first column is the time, each other one a series; what is no number is missing.
fn read(path: &Path) -> Result<Columns> {
    let mut reader = csv::Reader::from_path(path)?;
    let mut columns: Columns = reader.headers()?.iter().skip(1).map(|name| (name.to_owned(), Vec::new())).collect();
    for record in reader.records() {
        let record = record?;
        let at = time(&record[0]).ok_or_else(|| format!("{:?} is not a time", &record[0]))?;
        for ((_, observations), value) in columns.iter_mut().zip(record.iter().skip(1)) {
            observations.push(Observation { at, value: value.parse().unwrap_or(f64::NAN) });
        }
    }
    Ok(columns)
}

/// `2025-12-04`, `2025-12-04T19:28:23.009Z` or `1/2/1986`, in ms since 1970.
fn time(text: &str) -> Option<i64> {
    let (date, clock) = text.split_once('T').unwrap_or((text, "0:0:0"));
    let part = |text: &str| text.parse::<i64>().ok();
    let (year, month, day) = match date.split('/').collect::<Vec<_>>()[..] {
        [month, day, year] => (part(year)?, part(month)?, part(day)?),
        _ => {
            let mut parts = date.splitn(3, '-').map(part);
            (parts.next()??, parts.next()??, parts.next()??)
        }
    };
    let mut parts = clock.trim_end_matches('Z').split(':').map(|part| part.parse::<f64>().ok());
    let seconds = parts.next()?? * 3_600.0 + parts.next()?? * 60.0 + parts.next()??;
    // Years begin in March here, so that the leap day is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = days + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400_000 + (seconds * 1_000.0) as i64)
}
