//! The model card: what a version is, what it was fitted on, how good it is, and what it must not be used for.

use std::fmt::Write as _;

use chrono::DateTime;
use driftmill_platform::registry::ModelVersion;
use driftmill_schemas::model::ModelCard;
use driftmill_schemas::pipeline::Pipeline;

/// The card of a version as Markdown.
pub fn model_card(pipeline: &Pipeline, version: &ModelVersion, card: &ModelCard) -> String {
    let mut text = format!("# {} version {}\n\n", version.pipeline, version.version);
    // Writing to a text does not fail.
    if !pipeline.description.is_empty() {
        let _ = writeln!(text, "{}.\n", pipeline.description.trim_end_matches('.'));
    }
    let made =
        DateTime::from_timestamp_millis(version.created_at).map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string());
    let params = serde_json::Value::Object(card.params.clone());
    let answers = match card.classes.len() {
        0 => format!("a value of `{}`", pipeline.label.field),
        _ => format!("one of the classes {}, with their probabilities", card.classes.join(", ")),
    };
    let rows = [
        ("made", made.unwrap_or_default()),
        ("algorithm", format!("`{}`, parameters `{params}`, seed {}", card.algorithm, card.seed)),
        ("answers", answers),
        if card.imported {
            ("fitted", format!("elsewhere; judged by {} rows, snapshot `{}`", version.rows, version.snapshot))
        } else {
            ("fitted on", format!("{} rows, snapshot `{}`", version.rows, version.snapshot))
        },
        ("run", version.run_id.to_string()),
        (
            "continues",
            card.continues.map_or_else(|| "nothing: fitted anew".to_owned(), |version| format!("version {version}")),
        ),
        ("artifact", format!("`{}`", version.artifact)),
        ("code", card.code_version.clone()),
    ];
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {} |", cell(&value));
    }
    if card.judged.is_some() {
        text.push_str("\nThe figures below are those of the same algorithm fitted to the training part alone; this version then learned from all rows.\n");
    }
    text.push_str("\n## Inputs\n\n| feature | type | expression |\n|---|---|---|\n");
    for feature in &card.features {
        let _ = writeln!(text, "| {} | {} | `{}` |", feature.name, feature.kind.title(), cell(feature.expression()));
    }
    text.push_str("\n## Figures on rows it has not seen\n\n| metric | value |\n|---|---|\n");
    let (searched, figures): (Vec<_>, Vec<_>) =
        version.metrics.iter().partition(|(name, _)| name.starts_with(SEARCHED));
    for (name, value) in figures {
        let _ = writeln!(text, "| {name} | {value:.4} |");
    }
    if !searched.is_empty() {
        text.push_str("\n## Search\n\nThe best of many on the rows that it learned from, so a little too good.\n\n| | |\n|---|---|\n");
        for (name, value) in searched {
            let _ = writeln!(text, "| {} | {value:.4} |", name.trim_start_matches(SEARCHED));
        }
    }
    text.push_str("\n## Gates\n\n| gate | | |\n|---|---|---|\n");
    for gate in &version.gates {
        let verdict = if gate.passed { "passed" } else { "refused" };
        let _ = writeln!(text, "| {} | {verdict} | {} |", cell(&gate.gate), cell(&gate.detail));
    }
    text.push_str("\n## Limits\n\n");
    let refused = version.gates.iter().filter(|gate| !gate.passed).count();
    if refused > 0 {
        let _ = writeln!(text, "- {refused} of its gates refused it: it is not meant to serve.");
    }
    text.push_str(
        "- It knows what its snapshot knows: how far the stream has moved away since is what the drift reports tell.\n\
         - Figures of few rows are uncertain; the gates tell their intervals.\n",
    );
    text
}

/// What names of figures of a search begin with.
const SEARCHED: &str = "search_";

/// Text that does not end the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
