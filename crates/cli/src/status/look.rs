//! One look at every pipeline.

use driftmill_platform::clickhouse::{ClickHouse, Ledger, quote};
use driftmill_platform::kafka::Admin;
use driftmill_platform::registry::CHAMPION;
use driftmill_schemas::topic::Topics;
use serde::{Deserialize, Serialize};

use crate::context::Context;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Look {
    /// Milliseconds since 1970 UTC.
    pub at: i64,
    /// The pipelines, by name.
    pub pipelines: Vec<PipelineLook>,
}

/// One pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineLook {
    /// Its name.
    pub pipeline: String,
    /// Records of the raw topic, ever.
    pub records: i64,
    /// Records not yet processed.
    pub lag: i64,
    /// Feature rows.
    pub rows: u64,
    /// Records of the raw topic that became dead letters.
    pub rejected: u64,
    /// All dead letters, those of the sources included.
    pub dead_letters: u64,
    /// Predictions in ClickHouse.
    pub predictions: u64,
    /// The version that serves.
    pub champion: Option<u64>,
    /// The newest version, serving or refused.
    pub newest: Option<u64>,
    /// State and reason of the last training.
    pub last_run: Option<LastRun>,
    /// Verdict of the last window.
    pub last_verdict: Option<String>,
}

/// The last training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LastRun {
    /// `started`, `promoted`, `refused` or `failed`.
    pub state: String,
    /// Why.
    pub detail: String,
}

#[derive(clickhouse::Row, Deserialize)]
struct Totals {
    rows: u64,
    rejected: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct RunRow {
    state: String,
    detail: String,
}

#[derive(clickhouse::Row, Deserialize)]
struct VerdictRow {
    verdict: String,
}

/// Looks at everything once.
pub async fn look(context: &Context, admin: &Admin) -> anyhow::Result<Look> {
    let mut pipelines = Vec::with_capacity(context.pipelines.len());
    for loaded in &context.pipelines {
        pipelines.push(look_at(context, admin, &loaded.pipeline.name).await?);
    }
    Ok(Look { at: context.clock.now(), pipelines })
}

async fn look_at(context: &Context, admin: &Admin, name: &str) -> anyhow::Result<PipelineLook> {
    let topics = Topics::of(name);
    let clickhouse = &context.clickhouse;
    let ingest = format!("ingest.{name}");
    let watermarks = admin.watermarks(&topics.raw).await?;
    let lag = Ledger::new(clickhouse.clone(), ingest.clone()).lag(&topics.raw, &watermarks).await?;
    let processed = totals(clickhouse, &ingest).await?;
    let letters = totals(clickhouse, &format!("dead_letters.{name}")).await?;
    let predictions = totals(clickhouse, &format!("predictions.{name}")).await?;
    let newest = context.registry.versions(name).await?.last().map(|version| version.version);
    let champion = context.registry.aliases(name).await?.into_iter().find(|alias| alias.alias == CHAMPION);
    let run = format!("SELECT state, detail FROM runs WHERE pipeline = '{name}' ORDER BY at DESC LIMIT 1");
    let last_run = clickhouse.rows::<RunRow>(&run).await?.pop();
    let verdict = format!("SELECT verdict FROM {} ORDER BY _offset DESC LIMIT 1", quote(&format!("{name}_drift")));
    let last_verdict = clickhouse.rows::<VerdictRow>(&verdict).await?.pop().map(|row| row.verdict);
    Ok(PipelineLook {
        pipeline: name.to_owned(),
        records: watermarks.iter().map(|(_, end)| end).sum(),
        lag: lag.iter().sum(),
        rows: processed.rows,
        rejected: processed.rejected,
        dead_letters: letters.rows,
        predictions: predictions.rows,
        champion: champion.map(|alias| alias.version),
        newest,
        last_run: last_run.map(|run| LastRun { state: run.state, detail: run.detail }),
        last_verdict,
    })
}

async fn totals(clickhouse: &ClickHouse, stage: &str) -> anyhow::Result<Totals> {
    let sql = format!("SELECT sum(rows) AS rows, sum(rejected) AS rejected FROM ledger FINAL WHERE stage = '{stage}'");
    Ok(clickhouse.row::<Totals>(&sql).await?)
}
