//! `driftmill performance`: how good served predictions were, as far as labels have come, and how good they are expected to be.

mod text;

use anyhow::bail;
use driftmill_platform::telemetry;
use driftmill_schemas::pipeline;
use driftmill_trainer::performance::{Judge, baseline, metric, newest};

use crate::args::{Located, Performance};
use crate::backing::Backing;
use crate::context::Context;
use crate::pipelines;

/// Runs the command.
pub async fn run(located: Located, asked: Performance) -> anyhow::Result<()> {
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    let loaded = pipelines::load_one(&located.settings.pipelines, &asked.pipeline)?;
    let backing = Backing::find(located).await?;
    let outcome = async {
        let context = backing.context().await?;
        tell(&context, &loaded.pipeline, &asked).await
    };
    let outcome = outcome.await;
    backing.stop().await;
    outcome
}

async fn tell(context: &Context, pipeline: &pipeline::Pipeline, asked: &Performance) -> anyhow::Result<()> {
    let answers = newest(&context.clickhouse, &pipeline.name, asked.version, asked.last.into()).await?;
    if answers.is_empty() {
        bail!("`{}` has served no such prediction yet", pipeline.name);
    }
    let metric = metric(pipeline.promotion.metric);
    for of_version in answers.chunk_by(|a, b| a.model_version == b.model_version) {
        let version = of_version[0].model_version;
        let Some((baseline, classes)) = baseline(&context.registry, &pipeline.name, version).await? else {
            eprintln!(
                "version {version} has no reference performance: it was fitted by an earlier build, or is a forecast"
            );
            continue;
        };
        let judge = Judge { baseline: &baseline, classes: &classes, metric, margin: pipeline.promotion.margin };
        let windows = of_version.chunks(asked.window.max(1)).map(|rows| judge.window(rows));
        let windows = windows.collect::<Result<Vec<_>, _>>()?;
        match asked.json {
            true => windows.iter().for_each(|window| println!("{}", window.json(version))),
            false => print!("{}", text::told(&pipeline.name, version, metric, &baseline, &windows)),
        }
    }
    Ok(())
}
