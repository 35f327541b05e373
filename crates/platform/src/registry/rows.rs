//! The registry's rows as ClickHouse holds them.

use clickhouse::Row;
use driftmill_schemas::message::{GateResult, RunEvent, StepMetric};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Alias, Error, ModelVersion};

#[derive(Row, Serialize, Deserialize)]
pub(super) struct VersionRow {
    pipeline: String,
    version: u64,
    #[serde(with = "clickhouse::serde::uuid")]
    run_id: Uuid,
    created_at: i64,
    algorithm: String,
    artifact: String,
    reference: String,
    snapshot: String,
    rows: u64,
    metrics: Vec<(String, f64)>,
    gates: String,
}

impl From<&ModelVersion> for VersionRow {
    fn from(version: &ModelVersion) -> Self {
        Self {
            pipeline: version.pipeline.clone(),
            version: version.version,
            run_id: version.run_id,
            created_at: version.created_at,
            algorithm: version.algorithm.clone(),
            artifact: version.artifact.clone(),
            reference: version.reference.clone(),
            snapshot: version.snapshot.clone(),
            rows: version.rows,
            metrics: version.metrics.iter().map(|(k, v)| (k.clone(), *v)).collect(),
            gates: json(&version.gates),
        }
    }
}

impl VersionRow {
    pub(super) fn into_version(self) -> Result<ModelVersion, Error> {
        let gates: Vec<GateResult> = serde_json::from_str(&self.gates).map_err(|e| Error::Damaged {
            pipeline: self.pipeline.clone(),
            version: self.version,
            reason: e.to_string(),
        })?;
        Ok(ModelVersion {
            pipeline: self.pipeline,
            version: self.version,
            run_id: self.run_id,
            created_at: self.created_at,
            algorithm: self.algorithm,
            artifact: self.artifact,
            reference: self.reference,
            snapshot: self.snapshot,
            rows: self.rows,
            metrics: self.metrics.into_iter().collect(),
            gates,
        })
    }
}

#[derive(Row, Serialize, Deserialize)]
pub(super) struct AliasRow {
    pub(super) pipeline: String,
    pub(super) alias: String,
    pub(super) version: u64,
    pub(super) at: i64,
    pub(super) sequence: u64,
    pub(super) reason: String,
}

impl AliasRow {
    pub(super) fn into_alias(self) -> Alias {
        Alias { alias: self.alias, version: self.version, at: self.at, sequence: self.sequence, reason: self.reason }
    }
}

#[derive(Row, Serialize, Deserialize)]
pub(super) struct RunRow {
    #[serde(with = "clickhouse::serde::uuid")]
    run_id: Uuid,
    pipeline: String,
    state: String,
    at: i64,
    cause: String,
    detail: String,
    metrics: Vec<(String, f64)>,
    model_version: u64,
    gates: String,
    attempt: u32,
}

impl From<&RunEvent> for RunRow {
    fn from(event: &RunEvent) -> Self {
        let state = serde_json::to_value(event.state).ok().and_then(|v| v.as_str().map(str::to_owned));
        Self {
            run_id: event.run_id,
            pipeline: event.pipeline.clone(),
            state: state.unwrap_or_default(),
            at: event.at,
            cause: event.cause.clone(),
            detail: event.detail.clone(),
            metrics: event.metrics.iter().map(|(k, v)| (k.clone(), *v)).collect(),
            model_version: event.model_version.unwrap_or(0),
            gates: json(&event.gates),
            attempt: event.attempt,
        }
    }
}

#[derive(Row, Serialize, Deserialize)]
pub(super) struct StepRow {
    #[serde(with = "clickhouse::serde::uuid")]
    run_id: Uuid,
    pipeline: String,
    name: String,
    step: u64,
    value: f64,
    at: i64,
}

impl StepRow {
    /// A step of that run.
    pub(super) fn of(event: &RunEvent, step: &StepMetric) -> Self {
        Self {
            run_id: event.run_id,
            pipeline: event.pipeline.clone(),
            name: step.name.clone(),
            step: step.step,
            value: step.value,
            at: step.at,
        }
    }
}

fn json(gates: &[GateResult]) -> String {
    serde_json::to_string(gates).unwrap_or_else(|_| "[]".to_owned())
}
