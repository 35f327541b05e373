//! Snapshots as tables for people.

use std::collections::BTreeMap;

use chrono::DateTime;
use driftmill_platform::registry::ModelVersion;
use polars::prelude::DataFrame;

/// One line a snapshot, oldest first.
pub fn list(versions: &[ModelVersion]) -> String {
    if versions.is_empty() {
        return "no model yet, and so no snapshot\n".to_owned();
    }
    let mut snapshots: BTreeMap<(&str, u64), (&ModelVersion, Vec<String>)> = BTreeMap::new();
    let mut firsts: BTreeMap<&str, u64> = BTreeMap::new();
    for version in versions {
        let first = *firsts.entry(&version.snapshot).or_insert(version.version);
        let entry = snapshots.entry((&version.pipeline, first)).or_insert((version, Vec::new()));
        entry.1.push(format!("v{}", version.version));
    }
    let mut text = format!("{:<14} {:<64} {:>9}  {:<16} fitted on it\n", "pipeline", "snapshot", "rows", "first used");
    for (version, users) in snapshots.values() {
        let at = DateTime::from_timestamp_millis(version.created_at);
        let at = at.map(|at| at.format("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
        text.push_str(&format!(
            "{:<14} {:<64} {:>9}  {at:<16} {}\n",
            version.pipeline,
            version.snapshot,
            version.rows,
            users.join(", ")
        ));
    }
    text
}

/// The columns of one.
pub fn show(hash: &str, versions: &[ModelVersion], frame: &DataFrame) -> anyhow::Result<String> {
    let users: Vec<String> =
        versions.iter().map(|version| format!("{} v{}", version.pipeline, version.version)).collect();
    let mut text = format!("{hash}\n{} rows, fitted on by {}\n\n", frame.height(), users.join(", "));
    let width = frame.columns().iter().map(|column| column.name().len()).max().unwrap_or_default().max(6);
    text.push_str(&format!("{:<width$} {:<28} {:>9} {:>9}\n", "column", "type", "missing", "distinct"));
    for column in frame.columns() {
        text.push_str(&format!(
            "{:<width$} {:<28} {:>9} {:>9}\n",
            column.name(),
            column.dtype().to_string(),
            column.null_count(),
            column.n_unique()?
        ));
    }
    Ok(text)
}
