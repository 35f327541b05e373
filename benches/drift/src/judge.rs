//! Reports of windows, each with its own reference and policy.

use std::{path::PathBuf, sync::Arc};

use crate::question::{Column, Numbers, observe, reference};
use driftmill_drift::{History, Layout, Pane, PaneId, PaneSet, Policy, evaluate};
use serde::Deserialize;
use serde_json::{Value, json};

/// Windows to judge.
#[derive(Deserialize)]
pub struct Windows {
    file: PathBuf,
    windows: Vec<Window>,
}

#[derive(Deserialize)]
struct Window {
    columns: Vec<Column>,
    #[serde(default)]
    policy: Policy,
}

/// The reports, less what the question told.
pub fn judge(asked: &Windows) -> anyhow::Result<Value> {
    let numbers = Numbers::read(&asked.file)?;
    let mut found = Vec::new();
    for Window { columns, policy } in &asked.windows {
        let layout = Layout::new(reference(&numbers, columns)?)?;
        let report = evaluate(&window(&layout, &numbers, columns)?, None, policy, &History::default())?;
        found.push(json!({ "verdict": report.verdict, "reasons": report.reasons, "features": report.features }));
    }
    Ok(json!({ "windows": found }))
}

fn window(layout: &Arc<Layout>, numbers: &Numbers, columns: &[Column]) -> anyhow::Result<PaneSet> {
    let profile = observe(layout, numbers, columns)?;
    let mut window = PaneSet::new(layout, 1);
    if profile.rows() > 0 {
        let id = PaneId { partition: 0, from_offset: 0, to_offset: profile.rows() as i64 };
        window.insert(Pane { id, model_version: 1, profile, rejected: 0, max_event_time: 0 })?;
    }
    Ok(window)
}
