//! `driftmill runs`: what became of trainings, and all of one.

use anyhow::{Context as _, bail};
use driftmill_platform::registry::{RunDetail, RunSummary};
use driftmill_platform::telemetry;
use serde_json::json;

use crate::args::{Located, Runs};
use crate::backing::Backing;
use crate::text::{self, escaped};
use crate::time::{short, written};

/// Digits by which a run is found at least.
const FEWEST_DIGITS: usize = 4;

/// Runs the command.
pub async fn run(located: Located, asked: Runs) -> anyhow::Result<()> {
    telemetry::init("warn", located.settings.log_format, None).map_err(anyhow::Error::msg)?;
    if let Some(pipeline) = &asked.pipeline {
        crate::pipelines::load_one(&located.settings.pipelines, pipeline)?;
    }
    let backing = Backing::find(located).await?;
    let outcome = of(&backing, &asked).await;
    backing.stop().await;
    outcome
}

async fn of(backing: &Backing, asked: &Runs) -> anyhow::Result<()> {
    let context = backing.context().await?;
    if let (Some(pipeline), Some(run)) = (&asked.pipeline, &asked.run) {
        if run.len() < FEWEST_DIGITS {
            bail!(
                "`{run}`: give {FEWEST_DIGITS} or more digits of the run's id, as `driftmill runs {pipeline}` shows them"
            );
        }
        let mut found = context.registry.runs_called(pipeline, run).await?;
        let one = found.pop();
        if !found.is_empty() {
            bail!("several runs of {pipeline} begin with `{run}`: give more digits");
        }
        let one =
            one.with_context(|| format!("{pipeline} has no run `{run}`; `driftmill runs {pipeline}` lists them"))?;
        let detail = context.registry.run_detail(one).await?;
        match asked.json {
            true => println!("{}", text::json(&json!(detail))),
            false => print!("{}", page(&detail)),
        }
        return Ok(());
    }
    let runs = context.registry.runs(asked.pipeline.as_deref(), asked.limit).await?;
    if runs.is_empty() && !asked.json {
        println!("no training yet");
    }
    for run in &runs {
        match asked.json {
            true => println!("{}", text::json(&json!(run))),
            false => println!("{}", line(run)),
        }
    }
    Ok(())
}

/// A run in one line.
pub fn line(run: &RunSummary) -> String {
    let version = if run.model_version > 0 { format!("v{}", run.model_version) } else { "-".to_owned() };
    // A clock may have been put back in between.
    let took = (run.ended - run.began).max(0) as f64 / 1e3;
    let detail =
        if run.detail == run.cause || run.detail.is_empty() { String::new() } else { format!(": {}", run.detail) };
    let id = run.run.get(..8).unwrap_or(&run.run);
    let told = escaped(&format!("{}{detail}", run.cause));
    format!("{} {id} {:<12} {:<11} {version:<5} {took:>7.1} s  {told}", short(run.began), run.pipeline, run.state)
}

fn page(detail: &RunDetail) -> String {
    let run = &detail.summary;
    let mut page = format!("run      {}\npipeline {}\nstate    {}", run.run, run.pipeline, run.state);
    if run.attempt > 1 {
        page += &format!(", attempt {}", run.attempt);
    }
    page += &format!("\ncause    {}\nbegan    {} UTC", escaped(&run.cause), short(run.began));
    if run.state != "started" {
        page += &format!(", ended {} UTC", short(run.ended));
    }
    if run.model_version > 0 {
        page += &format!("\nversion  {}", run.model_version);
    }
    if run.detail != run.cause && !run.detail.is_empty() {
        page += &format!("\ndetail   {}", escaped(&run.detail));
    }
    page.push('\n');
    for (name, value) in &detail.metrics {
        page += &format!("{} {value:.4}\n", escaped(&format!("{name:<24}")));
    }
    for line in &detail.logs {
        page += &format!("{} {:<5} {}\n", written(line.at), line.level, escaped(&line.line));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftmill_platform::registry::LogLine;

    #[test]
    fn a_run_is_told_in_a_line_or_with_its_log_and_nothing_in_it_reaches_the_terminal() {
        let summary = RunSummary {
            pipeline: "iris".to_owned(),
            run: "0197a1d2-1c50-7000-8000-000000000001".to_owned(),
            state: "timed_out".to_owned(),
            attempt: 2,
            began: 0,
            ended: 3_500,
            model_version: 0,
            cause: "request 1 by \u{1b}[2Japi".to_owned(),
            detail: "took too long".to_owned(),
        };
        let told = line(&summary);
        assert!(told.starts_with("1970-01-01 00:00:00 0197a1d2 iris") && told.contains("3.5 s"), "{told}");
        let log = LogLine { at: 1_000, level: "error".to_owned(), line: "took\ttoo long".to_owned() };
        let detail =
            RunDetail { summary, metrics: [("f1".to_owned(), 0.5)].into(), gates: Vec::new(), logs: vec![log] };
        let page = page(&detail);
        for part in ["attempt 2", "ended 1970-01-01 00:00:03", "f1   ", "00:00:01.000 error took\\ttoo long"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains('\u{1b}') && !told.contains('\u{1b}'));
    }
}
