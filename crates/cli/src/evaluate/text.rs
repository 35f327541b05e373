//! A report as tables for people.

use std::collections::BTreeMap;

use driftmill_models::metrics::report::{ClassificationReport, Estimate, MetricSet, Report};
use driftmill_trainer::FeatureImportance;

/// Classes whose confusions still fit on a screen.
const MOST_CLASSES: usize = 12;

/// The report in words and columns.
pub fn report(report: &Report) -> String {
    let (scores, slices) = match report {
        Report::Classification(report) => (&report.scores, &report.slices),
        Report::Regression(report) => (&report.scores, &report.slices),
    };
    let mut text = format!("{} rows\n\n{}", scores.rows, metrics(scores));
    if let Report::Classification(report) = report {
        text.push_str(&classes(report));
    }
    if !slices.is_empty() {
        text.push_str(&self::slices(slices));
    }
    text
}

/// What the model goes by; nothing when nobody asked.
pub fn importances(metric: &str, importances: &[FeatureImportance]) -> String {
    if importances.is_empty() {
        return String::new();
    }
    let width = importances.iter().map(|of| of.feature.chars().count()).max().unwrap_or_default().max(7);
    let mut text = format!("\n{:<width$}  {metric} lost when shuffled  mean |SHAP|\n", "feature");
    let wide = metric.len() + 19;
    for of in importances {
        let lost = format!("{:+.4} ± {:.4}", of.permutation, of.deviation);
        let shap = of.shap.map_or_else(|| "–".to_owned(), |shap| format!("{shap:.4}"));
        text.push_str(&format!("{:<width$}  {lost:>wide$}  {shap:>11}\n", of.feature));
    }
    text
}

fn metrics(scores: &MetricSet) -> String {
    let width = scores.metrics.keys().chain(scores.undefined.keys()).map(String::len).max().unwrap_or_default();
    let line = |(name, estimate): (&String, &Estimate)| {
        let interval = estimate.interval.map(|bounds| {
            format!("   {:.0} % interval [{:.4}, {:.4}]", bounds.confidence * 100.0, bounds.lower, bounds.upper)
        });
        format!("{name:<width$} {:>9.4}{}\n", estimate.value, interval.unwrap_or_default())
    };
    let undefined = scores.undefined.iter().map(|(name, reason)| format!("{name:<width$}         – {reason}\n"));
    scores.metrics.iter().map(line).chain(undefined).collect()
}

/// One metric of each slice; the rest is in the JSON and the CSV.
fn slices(slices: &BTreeMap<String, MetricSet>) -> String {
    let width = slices.keys().map(|name| name.chars().count()).max().unwrap_or_default().max(5);
    let mut text = format!("\n{:<width$}      rows  metric\n", "slice");
    for (name, scores) in slices {
        let shown = ["accuracy", "rmse"].into_iter().find_map(|metric| {
            let estimate = scores.metrics.get(metric)?;
            let interval = estimate.interval.map(|bounds| format!("   [{:.4}, {:.4}]", bounds.lower, bounds.upper));
            Some(format!("{metric} {:.4}{}", estimate.value, interval.unwrap_or_default()))
        });
        text.push_str(&format!("{name:<width$} {:>9}  {}\n", scores.rows, shown.unwrap_or_default()));
    }
    text
}

fn classes(report: &ClassificationReport) -> String {
    let averages = [&report.macro_average, &report.weighted_average];
    let rows: Vec<_> = report.per_class.iter().chain(averages).collect();
    let width = rows.iter().map(|row| row.class.chars().count()).max().unwrap_or_default().max(5);
    let mut text = format!("\n{:<width$} precision    recall        f1   support\n", "class");
    for row in rows {
        text.push_str(&format!(
            "{:<width$} {:>9.4} {:>9.4} {:>9.4} {:>9}\n",
            row.class, row.precision, row.recall, row.f1, row.support
        ));
    }
    if report.classes.len() <= MOST_CLASSES {
        text.push_str(&confusions(report));
    }
    text
}

/// True classes down, answers across.
fn confusions(report: &ClassificationReport) -> String {
    let width = report.classes.iter().map(|class| class.chars().count()).max().unwrap_or_default().max(6);
    let mut text = format!("\n{:<width$}  answered\n{:<width$}", "is", "");
    for class in &report.classes {
        text.push_str(&format!("  {class:>width$}"));
    }
    text.push('\n');
    for (class, counts) in report.classes.iter().zip(&report.confusion_matrix) {
        text.push_str(&format!("{class:<width$}"));
        for count in counts {
            text.push_str(&format!("  {count:>width$}"));
        }
        text.push('\n');
    }
    text
}
