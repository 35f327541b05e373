//! `driftmill models`: look at versions, move the champion.

use driftmill_platform::registry::{CHAMPION, ModelVersion};
use driftmill_platform::telemetry;
use tokio_util::sync::CancellationToken;

use crate::args::{Located, Models};
use crate::backing::Backing;
use crate::context::Context;
use crate::pipelines;

/// Runs one of the subcommands.
pub async fn run(located: Located, command: Models) -> anyhow::Result<()> {
    let settings = &located.settings;
    telemetry::init("warn", settings.log_format, None).map_err(anyhow::Error::msg)?;
    if let Models::Show { pipeline, .. }
    | Models::Promote { pipeline, .. }
    | Models::List { pipeline: Some(pipeline) } = &command
    {
        pipelines::load_one(&settings.pipelines, pipeline)?;
    }
    let backing = Backing::find(located).await?;
    let outcome = of(&backing, command).await;
    backing.stop().await;
    outcome
}

async fn of(backing: &Backing, command: Models) -> anyhow::Result<()> {
    let context = backing.context().await?;
    match command {
        Models::List { pipeline } => {
            let names = match pipeline {
                Some(pipeline) => vec![pipeline],
                None => context.pipelines.iter().map(|loaded| loaded.pipeline.name.clone()).collect(),
            };
            for name in names {
                list(&context, &name).await?;
            }
            Ok(())
        }
        Models::Show { pipeline, version } => {
            let version = context.registry.version(&pipeline, version).await?;
            println!("{}", serde_json::to_string_pretty(&version)?);
            Ok(())
        }
        Models::Promote { pipeline, version, reason } => {
            context.prepare(&CancellationToken::new()).await?;
            context.registry.set_alias(&pipeline, CHAMPION, version, &reason).await?;
            println!("version {version} of {pipeline} is champion now");
            Ok(())
        }
    }
}

async fn list(context: &Context, pipeline: &str) -> anyhow::Result<()> {
    let versions = context.registry.versions(pipeline).await?;
    if versions.is_empty() {
        println!("{pipeline}: no model yet");
        return Ok(());
    }
    let champion = context.registry.aliases(pipeline).await?.into_iter().find(|alias| alias.alias == CHAMPION);
    println!("{pipeline}");
    for version in &versions {
        let serves = champion.as_ref().is_some_and(|alias| alias.version == version.version);
        println!("  {:>4} {} {}", version.version, if serves { "champion" } else { "        " }, summary(version));
    }
    Ok(())
}

fn summary(version: &ModelVersion) -> String {
    let metric = |name: &str| version.metrics.get(name).map(|value| format!("{name} {value:.3}"));
    let metrics: Vec<String> = ["accuracy", "f1", "weighted_f1"].into_iter().filter_map(metric).collect();
    let refusals: Vec<String> = version
        .gates
        .iter()
        .filter(|gate| !gate.passed)
        .map(|gate| format!("refused: not {} ({})", gate.gate, gate.detail))
        .collect();
    let parts = [vec![format!("{} on {} rows", version.algorithm, version.rows)], metrics, refusals].concat();
    parts.join(", ")
}
