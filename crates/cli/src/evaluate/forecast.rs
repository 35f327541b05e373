//! What is said of a model that forecasts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use driftmill_models::forecast::{Backtest, Comparison, Scores, SeriesBacktest};
use serde_json::{Map, json};

use super::About;
use crate::args::Evaluate;

/// The back-test as text, or as one JSON object; figures by name go into the CSV, too.
pub fn told(
    about: &About<'_>,
    asked: &Evaluate,
    backtest: &Backtest,
    metrics: &BTreeMap<String, f64>,
) -> anyhow::Result<String> {
    if let Some(file) = &asked.csv {
        let mut csv = String::from("metric,value\n");
        for (name, value) in metrics {
            let _ = writeln!(csv, "{name},{value}");
        }
        std::fs::write(file, csv).with_context(|| format!("`{}`", file.display()))?;
    }
    if asked.json {
        let mut object = about.json();
        let rows: usize = backtest.series.iter().map(|series| series.overall.forecaster.n).sum();
        object["rows"] = json!(rows);
        let values: Map<_, _> = metrics.iter().map(|(name, value)| (name.clone(), json!({ "value": value }))).collect();
        object["metrics"] = values.into();
        object["forecast"] = serde_json::to_value(backtest)?;
        return Ok(format!("{object:#}\n"));
    }
    let mut text =
        format!("{}\n{} origins, {} steps ahead from each\n", about.line(), backtest.origins, backtest.horizon);
    // Series in units of their own error come last, as they sum the others up.
    for series in backtest.series.iter().chain(&backtest.all_series) {
        text.push_str(&table(series));
    }
    Ok(text)
}

/// The scores of a series beside those of simple forecasts.
pub fn table(series: &SeriesBacktest) -> String {
    let span = &series.overall;
    let name = if series.series.is_empty() { "the series" } else { &series.series };
    let mut text = format!("\n{name:<18} {:>12} {:>12} {:>8} {:>9}\n", "rmse", "mae", "mase", "coverage");
    let rows: [(&str, &Scores); 5] = [
        ("forecaster", &span.forecaster),
        ("last value", &span.naive),
        ("seasonal naive", &span.seasonal_naive),
        ("drift", &span.drift),
        ("date regression", &span.date_regression),
    ];
    for (name, scores) in rows {
        let optional = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let (mase, coverage) = (optional(scores.mase), optional(scores.coverage));
        let _ = writeln!(text, "{name:<18} {:>12.4} {:>12.4} {mase:>8} {coverage:>9}", scores.rmse, scores.mae);
    }
    let difference = |comparison: Comparison| match (comparison.lower, comparison.upper) {
        (Some(lower), Some(upper)) => {
            format!("{:+.4}, 95 % interval [{lower:+.4}, {upper:+.4}]", comparison.difference)
        }
        _ => format!("{:+.4}", comparison.difference),
    };
    let _ = writeln!(text, "rmse against the last value       {}", difference(span.against_naive.rmse));
    let _ = writeln!(text, "rmse against the date regression  {}", difference(span.against_date_regression.rmse));
    text
}
