//! Windows as the table `performance` and the metrics show them.

use std::sync::atomic::AtomicU64;

use clickhouse::Row;
use driftmill_drift::performance::{Figure, Judgement, Metric, Performance};
use driftmill_platform::metrics::{Labels, Metrics};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde::Serialize;

use super::windows::Window;

/// A row of the table: one window of a version's answers. A window that is judged again, with more labels, replaces itself.
#[derive(Debug, Row, Serialize)]
pub(super) struct PerformanceRow {
    pipeline: String,
    model_version: u64,
    /// Number of the window, from 0: which answers of the version it holds.
    number: u64,
    from: i64,
    to: i64,
    answers: u64,
    labels: u64,
    metric: String,
    measured: Option<f64>,
    measured_low: Option<f64>,
    measured_high: Option<f64>,
    estimated: Option<f64>,
    estimated_low: Option<f64>,
    estimated_high: Option<f64>,
    /// On the rows that judged the model.
    usual: Option<f64>,
    judgement: &'static str,
    at: i64,
}

/// What a judgement is called.
fn name(judgement: &Judgement) -> &'static str {
    match judgement {
        Judgement::Kept(_) => "kept",
        Judgement::Worse(_) => "worse",
        Judgement::Better(_) => "better",
        Judgement::TooFewLabels { .. } => "too_few_labels",
    }
}

pub(super) fn figure(of: &Performance, metric: Metric) -> Option<Figure> {
    of.figures.get(&metric).copied()
}

impl PerformanceRow {
    pub(super) fn of(
        (pipeline, version, number): (&str, u64, u64),
        window: &Window,
        metric: Metric,
        usual: &Performance,
        at: i64,
    ) -> Self {
        let measured = figure(&window.measured, metric).filter(|_| window.labels > 0);
        let estimated = window.estimated.as_ref().and_then(|it| figure(it, metric));
        Self {
            pipeline: pipeline.to_owned(),
            model_version: version,
            number,
            from: window.span.0,
            to: window.span.1,
            answers: window.answers as u64,
            labels: window.labels as u64,
            metric: metric.name().to_owned(),
            measured: measured.map(|it| it.value),
            measured_low: measured.map(|it| it.low),
            measured_high: measured.map(|it| it.high),
            estimated: estimated.map(|it| it.value),
            estimated_low: estimated.map(|it| it.low),
            estimated_high: estimated.map(|it| it.high),
            usual: figure(usual, metric).map(|it| it.value),
            judgement: name(&window.judgement),
            at,
        }
    }
}

/// What is scraped of the newest window.
#[derive(Debug, Clone)]
pub(super) struct PerformanceMetrics {
    value: Family<Labels, Gauge<f64, AtomicU64>>,
    labels: Family<Labels, Gauge>,
}

impl PerformanceMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            value: metrics.register(
                "driftmill_model_performance",
                "The metric of the newest window of answers of the version that serves: measured by labels, estimated without them, \
                 and usual: on the rows that judged it",
                Family::default(),
            ),
            labels: metrics.register(
                "driftmill_model_performance_labels",
                "Labels of the newest window of answers",
                Family::default(),
            ),
        }
    }

    pub(super) fn show(&self, pipeline: &str, window: &Window, metric: Metric, usual: &Performance) {
        let measured = figure(&window.measured, metric).filter(|_| window.labels > 0);
        let estimated = window.estimated.as_ref().and_then(|it| figure(it, metric));
        let shown = [("measured", measured), ("estimated", estimated), ("usual", figure(usual, metric))];
        for (kind, figure) in shown {
            let labels = |kind: &str| -> Labels {
                vec![("pipeline", pipeline.to_owned()), ("metric", metric.name().to_owned()), ("kind", kind.to_owned())]
            };
            match figure {
                Some(figure) => {
                    self.value.get_or_create(&labels(kind)).set(figure.value);
                }
                None => {
                    self.value.remove(&labels(kind));
                }
            }
        }
        let labels = vec![("pipeline", pipeline.to_owned())];
        self.labels.get_or_create(&labels).set(i64::try_from(window.labels).unwrap_or(i64::MAX));
    }
}
