//! Whether a model is fast and small enough to serve.

use driftmill_models::Estimator;
use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::Pipeline;
use tokio::time::Instant;

use crate::Rows;

/// Answers that are timed.
const TRIES: usize = 101;

/// A gate for each bound that the pipeline sets.
pub(super) fn gates(model: &Estimator, size: usize, test: &Rows, pipeline: &Pipeline) -> Vec<GateResult> {
    let mut gates = Vec::new();
    if let Some(limit) = pipeline.promotion.max_latency_ms {
        let gate = "fast enough";
        gates.push(match latency_ms(model, test) {
            Ok(latency) => GateResult {
                gate: gate.to_owned(),
                passed: latency <= limit,
                detail: format!("{latency:.3} ms for one row, the median of {TRIES}; {limit} ms are allowed"),
            },
            Err(error) => super::refused(gate, &error.to_string()),
        });
    }
    if let Some(limit) = pipeline.promotion.max_size_mib {
        let mib = size as f64 / f64::from(1 << 20);
        gates.push(GateResult {
            gate: "small enough".to_owned(),
            passed: mib <= limit,
            detail: format!("the artifact has {mib:.2} MiB; {limit} MiB are allowed"),
        });
    }
    gates
}

/// Milliseconds of one answer.
fn latency_ms(model: &Estimator, test: &Rows) -> Result<f64, driftmill_models::Error> {
    let rows: Vec<_> = (0..test.len().min(TRIES)).map(|row| test.table.select(&[row])).collect();
    let mut took = Vec::with_capacity(TRIES);
    for row in rows.iter().cycle().take(TRIES) {
        let started = Instant::now();
        model.outputs(row)?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(took.get(took.len() / 2).copied().unwrap_or_default())
}
