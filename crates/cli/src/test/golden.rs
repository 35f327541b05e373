//! What came out, written as what is expected.

use anyhow::bail;
use driftmill_processors::trial::{Outcome, Trial};
use driftmill_schemas::pipeline::Loaded;
use serde_json::{Map, Value, json};

use super::case::CaseFile;

/// The text of a case with `expected` and `windows` as `trial` has them. They end the file; what stands before stays as it
/// is.
pub fn updated(text: &str, loaded: &Loaded, trial: &Trial) -> anyhow::Result<String> {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let ours = |line: &str| line.starts_with("expected:") || line.starts_with("windows:");
    let kept = text.lines().position(ours).unwrap_or_else(|| text.lines().count());
    let is_key = |line: &str| line.starts_with(|first: char| first.is_ascii_alphabetic()) && !ours(line);
    if let Some(line) = text.lines().skip(kept).find(|line| is_key(line)) {
        let key = line.split(':').next().unwrap_or_default();
        bail!("`{key}` stands behind `expected`, which would be overwritten with it: move it up");
    }
    let mut lines: Vec<String> = text.lines().take(kept).map(str::to_owned).collect();
    if lines.last().is_some_and(|last| !last.is_empty()) {
        lines.push(String::new());
    }
    lines.push("expected:".to_owned());
    lines.extend(trial.outcomes.iter().map(|one| format!("  - {}", outcome(loaded, one))));
    if !trial.windows.is_empty() {
        lines.push("windows:".to_owned());
        lines.extend(trial.windows.iter().map(|window| {
            format!("  - {}", json!({"expectation": window.expectation, "from": time(window.from), "met": window.met}))
        }));
    }
    Ok(lines.join(end) + end)
}

/// Whether `after` gives the same as `before`, and says of each record what is expected.
pub fn keeps_what_is_given(before: &CaseFile, after: &CaseFile, records: usize) -> bool {
    let given = |file: &CaseFile| -> Option<Vec<Map<String, Value>>> {
        file.given.as_ref().map(|given| given.iter().map(|record| record.value.clone()).collect())
    };
    let expected = after.expected.as_ref().map_or(0, Vec::len);
    given(before) == given(after) && before.source == after.source && expected == records
}

/// An outcome as one line of JSON, which is YAML, too.
pub fn outcome(loaded: &Loaded, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Row(row) => json!({"row": shown(loaded, row)}),
        Outcome::Rejected { error, expectation: Some(title), .. } => {
            json!({"rejected": {"error": error, "expectation": title}})
        }
        Outcome::Rejected { error, message, expectation: None } => {
            json!({"rejected": {"error": error, "message": message}})
        }
    }
}

/// The columns that say something about the record.
fn shown(loaded: &Loaded, row: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = row.clone();
    match (&loaded.pipeline.event_time, row.get("event_time").and_then(Value::as_i64)) {
        (Some(_), Some(at)) => shown.insert("event_time".to_owned(), json!(time(at))),
        _ => shown.remove("event_time"),
    };
    if loaded.pipeline.entity.is_none() {
        shown.remove("entity");
    }
    if row.get("_quarantined") == Some(&json!(0)) {
        shown.remove("_quarantined");
    }
    if row.get("_breaches") == Some(&json!([])) {
        shown.remove("_breaches");
    }
    shown
}

/// Milliseconds since 1970 UTC as RFC 3339.
pub fn time(millis: i64) -> String {
    match chrono::DateTime::from_timestamp_millis(millis) {
        Some(at) => at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        // Beyond the calendar, and the number is as good a name.
        None => millis.to_string(),
    }
}
