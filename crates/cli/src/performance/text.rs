//! The windows of a version as a table.

use driftmill_drift::performance::{Baseline, Figure, Judgement, Metric, Performance};

use driftmill_trainer::performance::Window;

use crate::time;

/// The table.
pub fn told(pipeline: &str, version: u64, metric: Metric, baseline: &Baseline, windows: &[Window]) -> String {
    let usual = figure(&baseline.measured, metric);
    let mut text = format!(
        "{pipeline} version {version}: {} with its 95 % interval; {usual} on the {} rows that judged it\n\n",
        metric.name(),
        baseline.measured.rows
    );
    text.push_str(&format!(
        "{:<19}  {:<19}  {:>7} {:>7}  {:<24} {:<24} {}\n",
        "from (UTC)", "to (UTC)", "answers", "labels", "measured", "estimated without them", "judgement"
    ));
    for window in windows {
        text.push_str(&format!(
            "{:<19}  {:<19}  {:>7} {:>7}  {:<24} {:<24} {}\n",
            time::short(window.span.0),
            time::short(window.span.1),
            window.answers,
            window.labels,
            figure(&window.measured, metric),
            window.estimated.as_ref().map_or_else(|| "-".to_owned(), |estimated| figure(estimated, metric)),
            judged(&window.judgement),
        ));
    }
    text.push('\n');
    text
}

fn figure(of: &Performance, metric: Metric) -> String {
    let Some(Figure { value, low, high }) = of.figures.get(&metric) else { return "-".to_owned() };
    let digits = if metric.is_loss() { 4 } else { 3 };
    format!("{value:.digits$} [{low:.digits$}, {high:.digits$}]")
}

fn judged(judgement: &Judgement) -> String {
    match judgement {
        Judgement::Kept(_) => "kept".to_owned(),
        Judgement::Worse(by) => format!("WORSE by {:.3}", by.by),
        Judgement::Better(by) => format!("better by {:.3}", -by.by),
        Judgement::TooFewLabels { have, need } => format!("{have} of {need} labels"),
    }
}
