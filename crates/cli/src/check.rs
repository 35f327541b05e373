//! `driftmill check`: what is wrong with pipeline files, or what they will do.

use std::path::PathBuf;

use driftmill_platform::config::Settings;
use driftmill_schemas::pipeline::{Loaded, Pipeline, SearchWhen, SourceKind};
use driftmill_schemas::topic::Topics;

use crate::args::Check;
use crate::pipelines;

/// Checks the named pipelines, or all, and prints the plan of each that is right.
pub fn run(settings: &Settings, check: &Check) -> anyhow::Result<()> {
    let files: Vec<PathBuf> = if check.names.is_empty() {
        pipelines::names(&settings.pipelines)?.iter().map(|name| pipelines::file(&settings.pipelines, name)).collect()
    } else {
        check
            .names
            .iter()
            .map(|given| {
                if given.contains(['/', '.']) {
                    PathBuf::from(given)
                } else {
                    pipelines::file(&settings.pipelines, given)
                }
            })
            .collect()
    };
    let mut faults = 0;
    for file in files {
        match pipelines::load(&file) {
            Ok(loaded) => print!("{}", plan(&loaded)),
            Err(error) => {
                faults += error.problems.len();
                eprintln!("{error}");
            }
        }
    }
    match faults {
        0 => Ok(()),
        1 => anyhow::bail!("1 fault found"),
        _ => anyhow::bail!("{faults} faults found"),
    }
}

fn plan(loaded: &Loaded) -> String {
    let pipeline = &loaded.pipeline;
    let topics = Topics::of(&pipeline.name);
    let features: Vec<String> = pipeline
        .features
        .iter()
        .map(|feature| match &feature.sql {
            Some(sql) => format!("{} = {sql}", feature.name),
            None => feature.name.clone(),
        })
        .collect();
    let mut lines = vec![
        format!("{}: right", pipeline.name),
        format!(
            "  reads     {} ({} partitions, schema {:016x}, compatibility {})",
            topics.raw,
            pipeline.topics.partitions,
            loaded.schema.fingerprint,
            pipeline.compatibility.unwrap_or_default()
        ),
        format!("  sources   {}", sources(pipeline)),
        format!("  expects   {} rules; what breaks one goes to {}", pipeline.expectations.len(), topics.rejected),
        format!("  features  {}", features.join(", ")),
        format!("  predicts  {} ({})", pipeline.label.field, pipeline.label.classes.join(", ")),
        format!("  trains    {} from {} labelled rows on", pipeline.training.algorithm, pipeline.training.min_rows),
    ];
    if let Some(search) = &pipeline.training.search {
        let names: Vec<&str> = search.space.keys().map(String::as_str).collect();
        let when = if search.when == SearchWhen::Always { "every training" } else { "`train --search`" };
        lines.push(format!(
            "  searches  {} sets of {} on {} folds, at {when}",
            search.candidates,
            names.join(", "),
            search.folds
        ));
    }
    for schedule in &pipeline.training.schedules {
        let (name, cron, zone) = (&schedule.name, &schedule.cron, &schedule.time_zone);
        lines.push(format!("  schedule  {name}: {cron} {zone}, once `driftmill schedules resume` has switched it on"));
    }
    if let Some(rows) = pipeline.training.new_rows {
        lines.push(format!("  new rows  {rows} of them are a reason to train"));
    }
    let drift = &pipeline.drift;
    lines.push(format!(
        "  drift     windows of {} rows; {} of {} must agree{}",
        drift.window_rows,
        drift.windows,
        drift.of_windows,
        if drift.retrain { ", then it retrains" } else { "" }
    ));
    lines.join("\n") + "\n"
}

fn sources(pipeline: &Pipeline) -> String {
    let described: Vec<String> = pipeline
        .sources
        .iter()
        .map(|source| {
            let kind = match source.kind() {
                Some(SourceKind::Csv(csv)) => format!("csv {}", csv.path),
                Some(SourceKind::JsonLines(lines)) => format!("json lines {}", lines.path),
                Some(SourceKind::Parquet(parquet)) => format!("parquet {}", parquet.path),
                Some(SourceKind::Http(http)) => http.plan(),
                Some(SourceKind::Topic(topic)) => topic.plan(),
                Some(SourceKind::Images(images)) => images.plan(),
                Some(SourceKind::Synthetic(_)) => "generated".to_owned(),
                None => "nothing".to_owned(),
            };
            format!("{} ({kind})", source.name)
        })
        .collect();
    if described.is_empty() { "none: records are pushed".to_owned() } else { described.join(", ") }
}
