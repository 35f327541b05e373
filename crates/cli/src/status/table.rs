//! A look as a table that fits a terminal of 80 columns.

use super::look::{Look, PipelineLook};

/// The table, one line a pipeline, and below it what its last training said.
pub fn render(seen: &Look) -> String {
    let mut text = format!(
        "{:<14} {:>9} {:>7} {:>9} {:>7} {:>9} {:>7}  {}\n",
        "pipeline", "records", "lag", "rows", "dead", "predicted", "model", "last verdict"
    );
    for pipeline in &seen.pipelines {
        text.push_str(&format!(
            "{:<14} {:>9} {:>7} {:>9} {:>7} {:>9} {:>7}  {}\n",
            shorten(&pipeline.pipeline, 14),
            pipeline.records,
            pipeline.lag,
            pipeline.rows,
            pipeline.dead_letters,
            pipeline.predictions,
            pipeline.champion.map_or("none".to_owned(), |version| format!("v{version}")),
            pipeline.last_verdict.as_deref().unwrap_or("-"),
        ));
    }
    for pipeline in &seen.pipelines {
        if let Some(line) = training(pipeline) {
            text.push_str(&shorten(&line, 110));
            text.push('\n');
        }
    }
    text
}

fn training(pipeline: &PipelineLook) -> Option<String> {
    let run = pipeline.last_run.as_ref()?;
    let version = pipeline.newest.map(|version| format!(" v{version}")).unwrap_or_default();
    Some(format!("{}{version} {}: {}", pipeline.pipeline, run.state, run.detail))
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
