//! What ingestion counts.

use driftmill_platform::metrics::{Labels, Metrics};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// What ingestion counts.
#[derive(Debug, Clone)]
pub struct IngestMetrics {
    pub(super) rows: Family<Labels, Counter>,
    pub(super) rejected: Family<Labels, Counter>,
    pub(super) breaches: Family<Labels, Counter>,
    left_out: Family<Labels, Counter>,
}

impl IngestMetrics {
    /// Registers the counters.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            rows: metrics.register("driftmill_ingest_rows", "Feature rows written", Family::default()),
            rejected: metrics.register(
                "driftmill_ingest_rejected",
                "Records that became dead letters",
                Family::default(),
            ),
            breaches: metrics.register(
                "driftmill_expectation_breaches",
                "Records that broke an expectation, by its severity",
                Family::default(),
            ),
            left_out: metrics.register(
                "driftmill_ingest_fields_left_out",
                "Fields of newer schemas that became no column",
                Family::default(),
            ),
        }
    }

    /// Counts a field that became no column.
    pub(super) fn field_left_out(&self, pipeline: &str) {
        self.left_out.get_or_create(&vec![("pipeline", pipeline.to_owned())]).inc();
    }
}
