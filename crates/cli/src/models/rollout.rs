//! `driftmill models rollout`: how versions take over from champions.

use anyhow::{Context as _, bail};
use chrono::DateTime;
use driftmill_platform::registry::{Rollout, Stage};
use driftmill_schemas::pipeline::Loaded;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::context::Context;
use crate::text::escaped;

/// Shows the newest steps, the newest first.
pub async fn show(context: &Context, pipeline: &str, limit: u32, json: bool) -> anyhow::Result<()> {
    let steps = context.registry.rollout_steps(pipeline, limit).await?;
    if steps.is_empty() && !json {
        println!("{pipeline}: no version took over from another yet");
    }
    for step in &steps {
        if json {
            println!("{}", serde_json::to_string(step)?);
        } else {
            println!("{}", line(step));
        }
    }
    Ok(())
}

fn line(step: &Rollout) -> String {
    let at = DateTime::from_timestamp_millis(step.at).map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string());
    let stage = match step.stage {
        Stage::Shadow => "in the shadow".to_owned(),
        Stage::Canary => format!("{} % of requests", step.share * 100.0),
        Stage::Probation => "champion on probation".to_owned(),
        Stage::Done => "champion".to_owned(),
        Stage::RolledBack => "rolled back".to_owned(),
        Stage::Superseded => "ended".to_owned(),
    };
    let reason = escaped(&step.reason);
    format!("{}  v{} → v{}  {stage}: {reason}", at.unwrap_or_default(), step.champion, step.challenger)
}

/// Begins to roll out a version.
pub async fn start(context: &Context, loaded: &Loaded, version: u64, reason: &str) -> anyhow::Result<()> {
    let pipeline = &loaded.pipeline.name;
    if loaded.pipeline.rollout.is_direct() {
        bail!(
            "the pipeline file of `{pipeline}` declares no steps: give it `rollout: {{ shadow: 600, canary: [0.05, 0.25] }}`, or \
             let the version take over at once with `driftmill models promote {pipeline} {version}`"
        );
    }
    context.prepare(&CancellationToken::new()).await?;
    let version = context.registry.version(pipeline, version).await?;
    let Some((champion, _)) = context.registry.champions(pipeline).await? else {
        bail!("no version of {pipeline} serves yet: `driftmill models promote {pipeline} {}`", version.version);
    };
    if champion.version == version.version {
        bail!("version {} of {pipeline} is champion already", version.version);
    }
    let now = context.clock.now();
    driftmill_trainer::begin_rollout(
        &context.registry,
        &context.clickhouse,
        loaded,
        &version,
        &champion,
        (Uuid::nil(), reason),
        now,
    )
    .await?;
    println!("version {} of {pipeline} takes over from version {} step by step", version.version, champion.version);
    Ok(())
}

/// Ends a rollout before its version is champion.
pub async fn stop(context: &Context, pipeline: &str, reason: &str) -> anyhow::Result<()> {
    context.prepare(&CancellationToken::new()).await?;
    let open = context.registry.rollout(pipeline).await?.filter(|rollout| rollout.stage.is_open());
    let open = open.with_context(|| format!("no rollout of {pipeline} is on its way"))?;
    if open.stage == Stage::Probation {
        bail!(
            "version {} is champion already: `driftmill models rollback {pipeline}` brings the earlier one back",
            open.challenger
        );
    }
    let now = context.clock.now();
    driftmill_trainer::end_rollout(&context.registry, &context.clickhouse, &open, reason, now).await?;
    println!("version {} of {pipeline} does not take over; version {} serves", open.challenger, open.champion);
    Ok(())
}
