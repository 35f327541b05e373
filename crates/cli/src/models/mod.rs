//! `driftmill models`: look at versions, move the champion.

mod diff;
pub mod export;
mod gold;
mod import;
mod rollout;

use anyhow::bail;
use driftmill_platform::registry::{CHAMPION, ModelVersion};
use driftmill_platform::telemetry;
use tokio_util::sync::CancellationToken;

use crate::args::{GoldAsked, Located, Models};
use crate::backing::Backing;
use crate::context::Context;
use crate::pipelines;

/// Runs one of the subcommands.
pub async fn run(located: Located, command: Models) -> anyhow::Result<()> {
    let settings = &located.settings;
    telemetry::init("warn", settings.log_format, None).map_err(anyhow::Error::msg)?;
    if let Models::Gold(GoldAsked { pipeline, .. })
    | Models::Show { pipeline, .. }
    | Models::Diff { pipeline, .. }
    | Models::Card { pipeline, .. }
    | Models::Export { pipeline, .. }
    | Models::Import { pipeline, .. }
    | Models::Rollback { pipeline, .. }
    | Models::Rollout { pipeline, .. }
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
        Models::Diff { pipeline, from, to } => {
            let (from, to) =
                (context.registry.version(&pipeline, from).await?, context.registry.version(&pipeline, to).await?);
            let cards = (export::card(&context, &from).await?, export::card(&context, &to).await?);
            print!("{}", diff::text((&from, &cards.0), (&to, &cards.1)));
            Ok(())
        }
        Models::Card { pipeline, version } => {
            let version = context.registry.version(&pipeline, version).await?;
            let model = export::card(&context, &version).await?;
            let loaded = pipelines::load_one(&context.settings.pipelines, &pipeline)?;
            print!("{}", driftmill_trainer::model_card(&loaded.pipeline, &version, &model));
            Ok(())
        }
        Models::Export { pipeline, version, to, link } => {
            let version = context.registry.version(&pipeline, version).await?;
            let Some(to) = to else { return export::links(&context, &version, link.expires).await };
            let model = export::card(&context, &version).await?;
            let loaded = pipelines::load_one(&context.settings.pipelines, &pipeline)?;
            export::empty_folder(&to)?;
            export::version(&context, &version, &to).await?;
            export::onnx(&context, &version, &model, &to).await?;
            export::snapshot(&context, &version.snapshot, &to).await?;
            std::fs::write(
                to.join("MODEL_CARD.md"),
                driftmill_trainer::model_card(&loaded.pipeline, &version, &model),
            )?;
            println!("version {} of {pipeline} is in {}", version.version, to.display());
            Ok(())
        }
        Models::Import { pipeline, file, data, source } => {
            let loaded = pipelines::load_one(&context.settings.pipelines, &pipeline)?;
            import::run(&context, &loaded, &file, &data, source.as_deref(), backing.is_own()).await
        }
        Models::Rollout { pipeline, version, stop, reason, limit, json } => {
            let loaded = pipelines::load_one(&context.settings.pipelines, &pipeline)?;
            match version {
                Some(version) => rollout::start(&context, &loaded, version, &reason).await,
                None if stop => rollout::stop(&context, &pipeline, &reason).await,
                None => rollout::show(&context, &pipeline, limit, json).await,
            }
        }
        Models::Gold(asked) => {
            let loaded = pipelines::load_one(&context.settings.pipelines, &asked.pipeline)?;
            gold::run(&context, &loaded, &asked).await
        }
        Models::Rollback { pipeline, reason } => {
            context.prepare(&CancellationToken::new()).await?;
            let history = context.registry.history(&pipeline, CHAMPION).await?;
            let Some(current) = history.first() else { bail!("no version of {pipeline} is champion yet") };
            let before = history.iter().find(|alias| alias.version != current.version);
            let Some(before) = before else {
                bail!("version {} is the only one that ever was champion of {pipeline}", current.version)
            };
            context.registry.set_alias(&pipeline, CHAMPION, before.version, &reason).await?;
            println!("version {} of {pipeline} is champion again, instead of {}", before.version, current.version);
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
    let metrics: Vec<String> = ["accuracy", "f1", "weighted_f1", "rmse"].into_iter().filter_map(metric).collect();
    let refusals: Vec<String> = version
        .gates
        .iter()
        .filter(|gate| !gate.passed)
        .map(|gate| format!("refused: not {} ({})", gate.gate, gate.detail))
        .collect();
    let parts = [vec![format!("{} on {} rows", version.algorithm, version.rows)], metrics, refusals].concat();
    parts.join(", ")
}
