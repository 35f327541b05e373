//! `driftmill replay`: features anew from the raw topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use driftmill_platform::clickhouse::{Claim, FeatureVersion, told};
use driftmill_platform::config::Settings;
use driftmill_platform::kafka::Admin;
use driftmill_platform::telemetry;
use driftmill_processors::rebuild::{Comparison, Place, Rebuild, Services, beside, definition, discard, ranges};
use driftmill_schemas::pipeline::Loaded;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::args::Replay;
use crate::context::Context;
use crate::{pipelines, shutdown, time};

/// How long another replay's end is waited for: longer than one that was killed is taken for alive.
const PATIENCE: Duration = Duration::from_secs(25);

/// Makes the rows, compares them, and does with them what was asked for.
pub async fn run(settings: Settings, asked: &Replay) -> anyhow::Result<()> {
    telemetry::init("warn", settings.log_format, None).map_err(anyhow::Error::msg)?;
    let loaded = pipelines::load_one(&settings.pipelines, &asked.pipeline)?;
    let context = Context::new(settings)?;
    let cancel = CancellationToken::new();
    shutdown::listen(cancel.clone())?;
    context.prepare(&cancel).await?;
    let name = loaded.pipeline.name.clone();
    let claim = claim(&context, &name, &cancel).await?;
    let claim = Arc::new(claim);
    let outcome = replay(&context, loaded, asked, Arc::clone(&claim), &cancel).await;
    // Whatever became of it, the next one need not wait. A claim that cannot be given back is nobody's soon.
    if let Some(claim) = Arc::into_inner(claim) {
        claim.release().await.ok();
    }
    outcome
}

/// The right to replay the pipeline. One that was killed leaves it for some seconds, which are waited for.
async fn claim(context: &Context, pipeline: &str, cancel: &CancellationToken) -> anyhow::Result<Claim> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        if let Some(claim) = Claim::of(&context.clickhouse, &format!("replay.{pipeline}")).await? {
            return Ok(claim);
        }
        if !told {
            eprintln!("another replay of {pipeline} is under way, or was killed a moment ago: waiting for its end");
            told = true;
        }
        tokio::select! {
            () = cancel.cancelled() => bail!("stopped"),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        if Instant::now() > deadline {
            bail!("another replay of `{pipeline}` is under way: one at a time");
        }
    }
}

async fn replay(
    context: &Context,
    loaded: Arc<Loaded>,
    asked: &Replay,
    claim: Arc<Claim>,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    let (name, now) = (&loaded.pipeline.name, context.clock.now());
    let standing = beside(&context.clickhouse, name).await?;
    if asked.discard {
        let Some(standing) = standing else { bail!("no rows stand beside the live ones of `{name}`") };
        let version = standing.version;
        discard(&context.clickhouse, standing, now).await?;
        println!("{name}: version {version} is thrown away");
        return Ok(());
    }
    let to = place(asked.to.as_deref(), now).context("--to")?;
    let standing = standing.filter(|standing| !asked.verify && standing.definition == definition(&loaded, now));
    let from = match (&asked.from, &standing) {
        (Some(_), _) | (None, None) => place(asked.from.as_deref(), now).context("--from")?,
        (None, Some(standing)) => begin_of(standing),
    };
    let admin = Admin::new(&context.settings.kafka)?;
    let ranges = ranges(&context.clickhouse, &admin, name, &from, &to).await?;
    let services = Services {
        kafka: context.settings.kafka.clone(),
        clickhouse: context.clickhouse.clone(),
        producer: context.producer.clone(),
        schemas: context.schemas.clone(),
        clock: Arc::clone(&context.clock),
    };
    let mut rebuild = Rebuild::begin(Arc::clone(&loaded), ranges.clone(), asked.verify, claim, services).await?;
    let bar = bar(ranges.iter().map(|(_, from, to)| (to - from).unsigned_abs()).sum(), name);
    let ran = rebuild.run(|offsets| bar.inc(offsets), cancel).await;
    bar.finish_and_clear();
    ran?;
    let version = rebuild.version().version;
    println!("{name}: version {version} holds the rows of {}", told(&ranges));
    let comparison = rebuild.compare().await?;
    print!("{}", written(&comparison, &asked.pipeline));
    if asked.verify {
        discard(&context.clickhouse, rebuild.version().clone(), context.clock.now()).await?;
        if !comparison.is_equal() {
            bail!(
                "the topic does not give the rows that are there: `driftmill replay {name} --swap` puts its own in force"
            );
        }
        println!("the topic gives the rows that are there");
    } else if asked.swap {
        rebuild.put_in_force().await?;
        println!("{name}_features shows version {version} now");
    } else {
        println!(
            "they stand in {name}_features_v{version}: `driftmill replay {name} --swap` puts them in force, `--discard` throws \
             them away"
        );
    }
    Ok(())
}

fn begin_of(version: &FeatureVersion) -> Place {
    Place::Offsets(version.ranges.iter().map(|(partition, from, _)| (*partition, *from)).collect())
}

/// The place that `text` names.
fn place(text: Option<&str>, now: i64) -> anyhow::Result<Place> {
    let Some(text) = text else { return Ok(Place::Whole) };
    if let Ok(offset) = text.parse::<i64>() {
        return Ok(Place::Offset(offset));
    }
    let pair = |part: &str| {
        let (partition, offset) = part.split_once(':')?;
        Some((partition.trim().parse::<i32>().ok()?, offset.trim().parse::<i64>().ok()?))
    };
    if let Some(offsets) = text.split(',').map(pair).collect::<Option<BTreeMap<i32, i64>>>() {
        return Ok(Place::Offsets(offsets));
    }
    time::parse(text, now).map(Place::Time).map_err(|error| {
        anyhow::anyhow!("{error}; or an offset of every partition, such as 1000, or one of each, such as 0:1000,1:990")
    })
}

fn bar(offsets: u64, pipeline: &str) -> ProgressBar {
    let bar = ProgressBar::new(offsets);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos} of {len} offsets, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar.set_prefix(pipeline.to_owned());
    bar.tick();
    bar
}

fn written(comparison: &Comparison, pipeline: &str) -> String {
    let Comparison { equal, changed, no_more, new, examples } = comparison;
    let mut text = format!(
        "  {equal} rows are the same, {changed} differ, {no_more} are rejected now, {new} were rejected and are rows now\n"
    );
    if !examples.is_empty() {
        let shown: Vec<String> =
            examples.iter().map(|(partition, offset)| format!("{pipeline}.raw/{partition}/{offset}")).collect();
        text.push_str(&format!("  for example {}\n", shown.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_time_an_offset_or_one_of_each_partition() {
        let of = |text: &str| place(Some(text), 100_000);
        assert_eq!(of("17").unwrap(), Place::Offset(17));
        assert_eq!(of("0:17, 3:5").unwrap(), Place::Offsets(BTreeMap::from([(0, 17), (3, 5)])));
        assert_eq!(of("1970-01-01T00:00:01Z").unwrap(), Place::Time(1_000));
        assert_eq!(of("60s").unwrap(), Place::Time(40_000));
        assert_eq!(place(None, 0).unwrap(), Place::Whole);
        assert!(of("0:1,x").unwrap_err().to_string().contains("0:1000,1:990"));
    }
}
