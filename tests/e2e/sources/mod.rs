//! Sources that are killed in the middle, again and again: every record arrives once.

mod api;
mod images;
mod parquet;
mod polling;
mod topic;

use std::path::Path;

use crate::harness::{Process, Stack};

/// Adds `source`, written as YAML below `sources:`, to a pipeline file.
fn add_source(pipelines: &Path, pipeline: &str, source: &str) {
    let file = pipelines.join(pipeline).join("pipeline.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\nsources:\n"));
    std::fs::write(&file, text.replace("\nsources:\n", &format!("\nsources:\n{source}"))).unwrap();
}

/// Starts `driftmill produce` of one source.
fn produce(stack: &Stack, pipeline: &str, source: &str, environment: &[(&str, &str)]) -> Process {
    let mut command = stack.command();
    command.args(["produce", pipeline, "--source", source]).envs(environment.iter().copied());
    let log = stack.pipelines.join(format!("{pipeline}-{source}.log"));
    Process::start(&format!("driftmill produce {pipeline} --source {source}"), command, log)
}

/// Runs the source, and kills it each time one more of `counts` rows have arrived; the run after the last kill goes on.
async fn produce_killed_at(
    stack: &Stack,
    (pipeline, source): (&str, &str),
    environment: &[(&str, &str)],
    counts: &[u64],
) -> Process {
    for count in counts {
        let mut process = produce(stack, pipeline, source, environment);
        let enough = format!("SELECT count() >= {count} FROM {pipeline}_features");
        stack.sql_becomes(&enough, "1").await;
        process.kill();
    }
    produce(stack, pipeline, source, environment)
}
