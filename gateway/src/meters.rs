//! What the gateway counts. Labels come from closed sets (pipelines, routes, classes), never from what a client sends.

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::answer::Answer;

/// Seconds; from what one row costs up to a training.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0, 60.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    model: Arc<str>,
    dialect: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Latency {
    model: Arc<str>,
    dialect: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Class {
    model: Arc<str>,
    class: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    model: Arc<str>,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Swap {
    model: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pushed {
    model: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejected {
    model: Arc<str>,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Compared {
    model: Arc<str>,
    outcome: &'static str,
}

/// Why a row is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drop {
    /// Too many rows wait for Kafka.
    Full,
    /// Kafka refused the record, or did not acknowledge it in time.
    Delivery,
    /// The process ended before Kafka acknowledged it.
    Shutdown,
}

impl Drop {
    fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Delivery => "delivery",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The gateway's metrics; clones share them.
#[derive(Clone)]
pub(crate) struct Meters {
    requests: Family<Request, Counter>,
    latency: Family<Latency, Histogram, fn() -> Histogram>,
    predictions: Family<Class, Counter>,
    enqueued: Family<Model, Counter>,
    acknowledged: Family<Model, Counter>,
    dropped: Family<Dropped, Counter>,
    version: Family<Model, Gauge>,
    swaps: Family<Swap, Counter>,
    pushed: Family<Pushed, Counter>,
    rejected: Family<Rejected, Counter>,
    compared: Family<Compared, Counter>,
}

impl Meters {
    /// Registers them in the process's metrics.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(LATENCY_BUCKETS);
        Self {
            requests: metrics.register(
                "driftmill_gateway_requests",
                "Requests by pipeline, dialect, method and status.",
                Family::default(),
            ),
            latency: metrics.register(
                "driftmill_gateway_request_duration_seconds",
                "Time from the head of a request to the head of its response.",
                Family::new_with_constructor(seconds),
            ),
            predictions: metrics.register(
                "driftmill_gateway_predictions",
                "Rows answered, by class.",
                Family::default(),
            ),
            enqueued: metrics.register(
                "driftmill_gateway_log_enqueued_rows",
                "Answered rows handed to the prediction log.",
                Family::default(),
            ),
            acknowledged: metrics.register(
                "driftmill_gateway_log_acknowledged_rows",
                "Answered rows that Kafka holds.",
                Family::default(),
            ),
            dropped: metrics.register(
                "driftmill_gateway_log_dropped_rows",
                "Answered rows that are missing in the prediction log, by reason.",
                Family::default(),
            ),
            version: metrics.register("driftmill_gateway_model_version", "The version that serves.", Family::default()),
            swaps: metrics.register(
                "driftmill_gateway_model_swaps",
                "Tries to put a new champion into service, by outcome.",
                Family::default(),
            ),
            pushed: metrics.register(
                "driftmill_gateway_pushed_records",
                "Good records that were pushed, by what became of them: acknowledged by Kafka or not.",
                Family::default(),
            ),
            rejected: metrics.register(
                "driftmill_gateway_rejected_records",
                "Bad records that were pushed, by what is wrong with them.",
                Family::default(),
            ),
            compared: metrics.register(
                "driftmill_gateway_compared_requests",
                "Requests that a version in a rollout answered unheard, failed to answer, or was not asked for want of room.",
                Family::default(),
            ),
        }
    }

    /// One request ended.
    pub(crate) fn request(
        &self,
        model: &Arc<str>,
        dialect: &'static str,
        method: &'static str,
        status: u16,
        took: Duration,
    ) {
        self.requests.get_or_create(&Request { model: Arc::clone(model), dialect, method, status }).inc();
        self.latency.get_or_create(&Latency { model: Arc::clone(model), dialect }).observe(took.as_secs_f64());
    }

    /// Rows were answered.
    pub(crate) fn answered(&self, model: &Arc<str>, answer: &Answer) {
        for (class, rows) in answer.rows_by_class() {
            let class = Class { model: Arc::clone(model), class: class.to_owned() };
            self.predictions.get_or_create(&class).inc_by(rows);
        }
    }

    /// Rows were handed to the log.
    pub(crate) fn enqueued(&self, model: &Arc<str>, rows: usize) {
        self.enqueued.get_or_create(&Model { model: Arc::clone(model) }).inc_by(rows as u64);
    }

    /// Rows are in the log.
    pub(crate) fn acknowledged(&self, model: &Arc<str>, rows: usize) {
        self.acknowledged.get_or_create(&Model { model: Arc::clone(model) }).inc_by(rows as u64);
    }

    /// Rows will never be in the log.
    pub(crate) fn dropped(&self, model: &Arc<str>, rows: usize, why: Drop) {
        let labels = Dropped { model: Arc::clone(model), reason: why.label() };
        self.dropped.get_or_create(&labels).inc_by(rows as u64);
    }

    /// A version serves from now on.
    pub(crate) fn swapped(&self, model: &Arc<str>, version: u64) {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        self.version.get_or_create(&Model { model: Arc::clone(model) }).set(version);
        self.swaps.get_or_create(&Swap { model: Arc::clone(model), outcome: "loaded" }).inc();
    }

    /// Good records were pushed.
    pub(crate) fn pushed(&self, model: &Arc<str>, acknowledged: usize, lost: usize) {
        for (outcome, records) in [("acknowledged", acknowledged), ("unacknowledged", lost)] {
            self.pushed.get_or_create(&Pushed { model: Arc::clone(model), outcome }).inc_by(records as u64);
        }
    }

    /// Bad records were pushed, of these kinds.
    pub(crate) fn rejected(&self, model: &Arc<str>, kinds: impl Iterator<Item = &'static str>) {
        for kind in kinds {
            self.rejected.get_or_create(&Rejected { model: Arc::clone(model), kind }).inc();
        }
    }

    /// A version answered unheard.
    pub(crate) fn compared(&self, model: &Arc<str>) {
        self.comparison(model, "answered");
    }

    /// A version in a rollout failed to answer.
    pub(crate) fn failed_to_answer(&self, model: &Arc<str>) {
        self.comparison(model, "failed");
    }

    /// There was no room to compare versions.
    pub(crate) fn not_compared(&self, model: &Arc<str>) {
        self.comparison(model, "skipped");
    }

    fn comparison(&self, model: &Arc<str>, outcome: &'static str) {
        self.compared.get_or_create(&Compared { model: Arc::clone(model), outcome }).inc();
    }

    /// A champion could not be loaded.
    pub(crate) fn swap_failed(&self, model: &Arc<str>) {
        self.swaps.get_or_create(&Swap { model: Arc::clone(model), outcome: "failed" }).inc();
    }
}

#[cfg(test)]
impl Meters {
    /// Enqueued, acknowledged and dropped rows of a pipeline.
    pub(crate) fn log_rows(&self, model: &str) -> (u64, u64, u64) {
        let model: Arc<str> = model.into();
        let of = |family: &Family<Model, Counter>| family.get_or_create(&Model { model: Arc::clone(&model) }).get();
        let dropped = [Drop::Full, Drop::Delivery, Drop::Shutdown]
            .map(|why| self.dropped.get_or_create(&Dropped { model: Arc::clone(&model), reason: why.label() }).get());
        (of(&self.enqueued), of(&self.acknowledged), dropped.iter().sum())
    }
}
