//! What every stage counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::kafka::Coverage;
use crate::metrics::{Labels, Metrics};

/// Counters of the stages of one process.
#[derive(Debug, Clone)]
pub struct StageMetrics {
    messages: Family<Labels, Counter>,
    lost: Family<Labels, Counter>,
    batches: Family<Labels, Histogram>,
    seconds: Family<Labels, Histogram>,
}

impl StageMetrics {
    /// Registers the counters.
    pub fn new(metrics: &Metrics) -> Self {
        let rows = || Histogram::new(exponential_buckets(1.0, 4.0, 9));
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 14));
        Self {
            messages: metrics.register("driftmill_stage_messages", "Messages a stage has finished", Family::default()),
            lost: metrics.register(
                "driftmill_stage_lost",
                "Offsets that the broker deleted before a stage read them: data is lost",
                Family::default(),
            ),
            batches: metrics.register(
                "driftmill_stage_batch_messages",
                "Messages of one output",
                Family::new_with_constructor(rows as fn() -> Histogram),
            ),
            seconds: metrics.register(
                "driftmill_stage_write_seconds",
                "Time that writing an output takes",
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
        }
    }

    /// Counts a written output, which took `seconds` to write.
    pub(super) fn finished(&self, stage: &str, coverage: &[Coverage], seconds: f64) {
        let labels = vec![("stage", stage.to_owned())];
        let messages: u64 = coverage.iter().map(|coverage| coverage.messages).sum();
        let lost: i64 = coverage.iter().flat_map(|coverage| &coverage.lost).map(|(from, to)| to - from).sum();
        self.messages.get_or_create(&labels).inc_by(messages);
        self.lost.get_or_create(&labels).inc_by(lost.unsigned_abs());
        #[allow(clippy::cast_precision_loss, reason = "a batch has some thousand messages")]
        self.batches.get_or_create(&labels).observe(messages as f64);
        self.seconds.get_or_create(&labels).observe(seconds);
    }
}
