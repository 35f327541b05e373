//! Prometheus metrics: one registry a process, handed to whoever counts, encoded for whoever scrapes.

use std::sync::{Arc, Mutex};

use prometheus_client::encoding::text;
use prometheus_client::registry::{Metric, Registry};

/// Labels of a metric whose label names are known where it is counted.
pub type Labels = Vec<(&'static str, String)>;

/// The process's metrics; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Registers `metric` under `name` (without the suffixes the format adds) and hands it back.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let mut registry = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register(name, help, metric.clone());
        metric
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let registry = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut out = String::new();
        // Writing into a String fails only when a metric's own encoder does.
        if text::encode(&mut out, &registry).is_err() {
            out.push_str("# a metric could not be encoded\n");
        }
        out
    }
}
