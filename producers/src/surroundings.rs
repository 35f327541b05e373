//! What sources that are no files find around them.

use driftmill_platform::config;
use driftmill_platform::metrics::{Labels, Metrics};
use driftmill_platform::schemas::Schemas;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// Where other topics and their schemas are found, and where it is counted what was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub kafka: config::Kafka,
    pub schemas: Option<Schemas>,
    pub metrics: SourceMetrics,
}

/// Counters of the sources of one process.
#[derive(Debug, Clone, Default)]
pub struct SourceMetrics {
    polls: Family<Labels, Counter>,
}

impl SourceMetrics {
    /// Registers the counters.
    pub fn new(metrics: &Metrics) -> Self {
        let help = "Requests of sources that poll an API, by outcome: records, nothing new, or the kind of failure";
        Self { polls: metrics.register("driftmill_source_polls", help, Family::default()) }
    }

    /// A request was made.
    pub(crate) fn polled(&self, pipeline: &str, source: &str, outcome: &'static str) {
        let labels =
            vec![("pipeline", pipeline.to_owned()), ("source", source.to_owned()), ("outcome", outcome.to_owned())];
        self.polls.get_or_create(&labels).inc();
    }
}
