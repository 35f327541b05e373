//! `driftmill runs`: what became of trainings.

use chrono::DateTime;
use driftmill_platform::telemetry;
use serde::{Deserialize, Serialize};

use crate::args::{Located, Runs};
use crate::backing::Backing;

/// A training, as its last event tells it.
#[derive(Debug, clickhouse::Row, Serialize, Deserialize)]
struct RunLine {
    pipeline: String,
    run: String,
    state: String,
    began: i64,
    ended: i64,
    model_version: u64,
    cause: String,
    detail: String,
}

/// Runs the command.
pub async fn run(located: Located, asked: Runs) -> anyhow::Result<()> {
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    if let Some(pipeline) = &asked.pipeline {
        crate::pipelines::load_one(&located.settings.pipelines, pipeline)?;
    }
    let backing = Backing::find(located).await?;
    let runs = read(&backing, &asked).await;
    backing.stop().await;
    let runs = runs?;
    if asked.json {
        for run in &runs {
            println!("{}", serde_json::to_string(run)?);
        }
        return Ok(());
    }
    if runs.is_empty() {
        println!("no training yet");
    }
    for run in &runs {
        println!("{}", line(run));
    }
    Ok(())
}

async fn read(backing: &Backing, asked: &Runs) -> anyhow::Result<Vec<RunLine>> {
    let context = backing.context().await?;
    let of = match &asked.pipeline {
        // A name that has been checked holds nothing that ends a text.
        Some(pipeline) => format!("WHERE r.pipeline = '{pipeline}'"),
        None => String::new(),
    };
    // An end comes after the start, also where both have the same time.
    let sql = format!(
        "SELECT toString(any(r.pipeline)) AS pipeline, toString(r.run_id) AS run, \
         toString(argMax(r.state, (r.at, r.state != 'started'))) AS state, \
         toUnixTimestamp64Milli(min(r.at)) AS began, toUnixTimestamp64Milli(max(r.at)) AS ended, \
         max(r.model_version) AS model_version, any(r.cause) AS cause, \
         argMax(r.detail, (r.at, r.state != 'started')) AS detail \
         FROM runs AS r {of} GROUP BY r.run_id ORDER BY began DESC, run LIMIT {}",
        asked.limit
    );
    Ok(context.clickhouse.rows::<RunLine>(&sql).await?)
}

fn line(run: &RunLine) -> String {
    let at = DateTime::from_timestamp_millis(run.began).map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string());
    let version = if run.model_version > 0 { format!("v{}", run.model_version) } else { "-".to_owned() };
    let took = (run.ended - run.began) as f64 / 1e3;
    let detail = if run.detail == run.cause { "" } else { run.detail.as_str() };
    let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
    format!(
        "{} {:<12} {:<9} {version:<5} {took:>7.1} s  {}{detail}",
        at.unwrap_or_default(),
        run.pipeline,
        run.state,
        run.cause
    )
}
