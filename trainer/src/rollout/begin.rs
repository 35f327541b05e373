//! The first step of a rollout, and what its end is to the training behind it.

use driftmill_platform::clickhouse::ClickHouse;
use driftmill_platform::registry::{Alias, CHALLENGER, ModelVersion, Registry, Rollout, Stage};
use driftmill_schemas::message::{RunEvent, RunState};
use driftmill_schemas::pipeline::Loaded;
use serde::Deserialize;
use tracing::info;
use uuid::Uuid;

use super::{policy, stage_of};
use crate::Error;

/// Begins to roll out `challenger`, which passed its gates, beside the `champion`. A rollout that is on its way ends: the newer
/// model learned from newer rows. `run_id` is that of the training that made it just now, and nil otherwise.
///
/// # Errors
/// Those of the registry and of ClickHouse.
pub async fn begin(
    registry: &Registry,
    clickhouse: &ClickHouse,
    loaded: &Loaded,
    challenger: &ModelVersion,
    champion: &Alias,
    (run_id, cause): (Uuid, &str),
    now: i64,
) -> Result<(), Error> {
    let name = &loaded.pipeline.name;
    let newest = registry.rollout(name).await?;
    if let Some(open) = newest.as_ref().filter(|rollout| rollout.stage.is_open()) {
        if open.challenger == challenger.version {
            // Gateways may not have been told.
            return Ok(registry.set_alias(name, CHALLENGER, challenger.version, &open.reason).await?);
        }
        let reason = format!("version {} is rolled out instead", challenger.version);
        end(registry, clickhouse, open, &reason, now).await?;
    }
    let (stage, share) = stage_of(policy(&loaded.pipeline.rollout).first());
    let rollout = Rollout {
        pipeline: name.clone(),
        // A trainer that died in between finds it by its challenger, above.
        rollout: format!("{run_id} at {now}"),
        step: 0,
        begun: now,
        at: now,
        run_id,
        cause: cause.to_owned(),
        challenger: challenger.version,
        champion: champion.version,
        stage,
        share,
        alias_sequence: champion.sequence,
        reason: "passed its gates".to_owned(),
        facts: String::new(),
    };
    registry.record_rollout(&rollout).await?;
    info!(
        pipeline = name,
        challenger = challenger.version,
        champion = champion.version,
        stage = stage.name(),
        "rollout"
    );
    Ok(())
}

/// Ends a rollout for another reason than its own evidence. Who is champion is left as it is.
///
/// # Errors
/// Those of the registry and of ClickHouse.
pub async fn end(
    registry: &Registry,
    clickhouse: &ClickHouse,
    open: &Rollout,
    reason: &str,
    now: i64,
) -> Result<(), Error> {
    // What was promoted before stays promoted.
    if open.stage != Stage::Probation {
        run_ended(registry, clickhouse, open, RunState::Refused, reason, now).await?;
    }
    Ok(registry.record_rollout(&followed(open, Stage::Superseded, now, reason.to_owned())).await?)
}

/// The step after `rollout`.
pub(super) fn followed(rollout: &Rollout, stage: Stage, now: i64, reason: String) -> Rollout {
    Rollout { step: rollout.step + 1, at: now, stage, reason, facts: String::new(), ..rollout.clone() }
}

#[derive(clickhouse::Row, Deserialize)]
struct Began {
    why: String,
    began: i64,
    attempt: u32,
}

/// Says what became of the training that made the challenger.
pub(super) async fn run_ended(
    registry: &Registry,
    clickhouse: &ClickHouse,
    rollout: &Rollout,
    state: RunState,
    detail: &str,
    now: i64,
) -> Result<(), Error> {
    let Rollout { pipeline, run_id, .. } = rollout;
    if run_id.is_nil() {
        return Ok(());
    }
    let version = registry.version(pipeline, rollout.challenger).await?;
    let sql = format!(
        "SELECT any(cause) AS why, toUnixTimestamp64Milli(min(at)) AS began, \
         toUInt32(greatest(max(attempt), 1)) AS attempt FROM runs \
         WHERE pipeline = '{pipeline}' AND run_id = '{run_id}'"
    );
    let began = clickhouse.row::<Began>(&sql).await?;
    let event = RunEvent {
        run_id: *run_id,
        cause: began.why,
        request_id: None,
        pipeline: pipeline.clone(),
        at: now,
        state,
        detail: detail.to_owned(),
        metrics: version.metrics,
        model_version: Some(version.version),
        gates: version.gates,
        started: began.began,
        steps: Vec::new(),
        attempt: began.attempt,
    };
    Ok(registry.record_run(&event).await?)
}
