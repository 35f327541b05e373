//! `driftmill drift explain`: one verdict with every number behind it, as text, JSON or a page; and whether the stored facts
//! still give it.

use anyhow::{Context as _, bail};
use driftmill_drift::page::{self, Earlier};
use driftmill_drift::retrain::Decided;
use driftmill_drift::{DriftReport, RetrainDecision};
use driftmill_platform::clickhouse::quote_text;
use driftmill_platform::registry::RUN_ORDER;
use driftmill_schemas::message::PERFORMANCE;
use serde::Deserialize;

use super::args::Explain;
use super::events::{self, Reported};
use super::release;
use crate::context::Context;
use crate::text::escaped;

/// Earlier windows that are shown beside.
const EARLIER: u32 = 60;

/// Explains an event.
pub async fn run(context: &Context, asked: &Explain) -> anyhow::Result<()> {
    let pipeline = &asked.pipeline;
    let event = events::window(context, pipeline, asked.window.as_deref()).await?;
    if asked.json {
        println!("{}", event.report);
        return Ok(());
    }
    if event.window.starts_with(PERFORMANCE) {
        bail!(
            "`{}` is of answers that became worse; `driftmill drift list {pipeline}` tells its reasons, and \
             `driftmill performance {pipeline}` its windows",
            event.window
        );
    }
    if event.verdict == "alarm" {
        bail!("`{}` is an alarm between windows; `driftmill drift list {pipeline}` tells its reasons", event.window);
    }
    let report: DriftReport =
        serde_json::from_str(&event.report).with_context(|| format!("the report of window {}", event.window))?;
    let decided = context.registry.decision(pipeline, &event.window).await?;
    let decided: Option<Decided> =
        decided.map(|kept| serde_json::from_str(&kept.facts)).transpose().context("the facts of the decision")?;
    let earlier =
        events::before(context, pipeline, report.stream.name(), report.model_version, event.at, EARLIER).await?;
    let shown = page::Context {
        pipeline: pipeline.clone(),
        judged_at_ms: event.at,
        consequence: consequence(context, pipeline, &event, decided.as_ref()).await?,
        earlier: earlier.iter().filter_map(known).collect(),
    };
    match &asked.html {
        Some(file) => {
            std::fs::write(file, page::page(&report, &shown))
                .with_context(|| format!("the page cannot be written to {}", file.display()))?;
            println!("the report of window {} is in {}", escaped(&event.window), file.display());
        }
        None => print!("{}", page::text(&report, &shown)),
    }
    if event.verdict == "quarantine"
        && let Some(release) = release::of(context, pipeline, &event.window).await?
    {
        println!("\n{}", release::told(&release));
    }
    check(&report, decided.as_ref())
}

/// Decides once more on the stored facts.
fn check(report: &DriftReport, decided: Option<&Decided>) -> anyhow::Result<()> {
    let again = report.replay();
    if again.verdict != report.verdict || again.reasons != report.reasons {
        bail!(
            "judged once more, the stored facts give {:?} ({}): this build decides otherwise than the one that judged",
            again.verdict,
            again.reasons.join("; ")
        );
    }
    println!("\nJudged once more from the stored facts: the same verdict, for the same reasons.");
    if let Some(decided) = decided {
        let again = decided.replay();
        if again != decided.decision {
            bail!("decided once more, {}: this build decides otherwise than the one that decided", again.told());
        }
        println!("Decided once more from the stored facts: the same decision.");
    }
    Ok(())
}

fn known(earlier: &Reported) -> Option<Earlier> {
    let report: DriftReport = serde_json::from_str(&earlier.report).ok()?;
    Some(Earlier::of(&report, earlier.at))
}

#[derive(Debug, clickhouse::Row, Deserialize)]
struct Ended {
    state: String,
    detail: String,
    model_version: u64,
}

/// What came of the event.
async fn consequence(
    context: &Context,
    pipeline: &str,
    event: &Reported,
    decided: Option<&Decided>,
) -> anyhow::Result<Option<String>> {
    let Some(decided) = decided else { return Ok(None) };
    if !matches!(decided.decision, RetrainDecision::Train { .. }) {
        return Ok(Some(decided.decision.told()));
    }
    let sql = format!(
        "SELECT toString(argMax(r.state, {RUN_ORDER})) AS state, \
         argMax(r.detail, {RUN_ORDER}) AS detail, max(r.model_version) AS model_version \
         FROM runs AS r WHERE pipeline = {} AND startsWith(cause, {}) GROUP BY r.run_id",
        quote_text(pipeline),
        quote_text(&format!("drift {} ", event.window))
    );
    let run = context.clickhouse.rows::<Ended>(&sql).await?.pop();
    Ok(Some(match run {
        None => decided.decision.told(),
        Some(run) => match run.state.as_str() {
            "promoted" => format!("a training made version {}, which became champion", run.model_version),
            "rolling_out" => format!("a training made version {}, which takes over step by step", run.model_version),
            "rolled_back" => {
                format!("a training made version {}, which was rolled back: {}", run.model_version, run.detail)
            }
            "refused" => format!("a training made version {}, which was refused: {}", run.model_version, run.detail),
            "failed" | "timed_out" => format!("a training failed: {}", run.detail),
            _ => "a training is running".to_owned(),
        },
    }))
}
