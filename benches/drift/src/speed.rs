//! Speed and memory.

use std::hint::black_box;

use crate::{
    measure::{resident, timed},
    question::{BATCH, Numbers, Table, names, observe, reference},
};
use driftmill_drift::{History, Layout, Pane, PaneId, PaneSet, Profile, evaluate};
use serde_json::{Value, json};

/// CPU seconds that one figure is taken over, at least.
const ENOUGH: f64 = 0.5;
/// Panes held at the same time when memory is weighed.
const PANES: usize = 500;

/// Values a second and core, a column at a time: `Profile::observe` in batches, all rows again until it took long enough.
pub fn update(table: &Table) -> anyhow::Result<Value> {
    let numbers = Numbers::read(&table.file)?;
    let mut found = Vec::new();
    for column in &table.columns {
        let layout = Layout::new(reference(&numbers, std::slice::from_ref(column))?)?;
        let live = numbers.of(column.live)?;
        let (mut values, mut cpu) = (0.0, 0.0);
        while cpu < ENOUGH {
            let mut profile = Profile::new(&layout);
            cpu += timed(|| Ok(live.chunks(BATCH).try_for_each(|batch| profile.observe("x0", black_box(batch)))?))?.1;
            values += black_box(profile).rows() as f64;
        }
        found.push(values / cpu);
    }
    Ok(json!({ "values_per_s": found }))
}

/// A table against a table. Rows lie in memory before, for the peers too.
pub fn contest(table: &Table) -> anyhow::Result<Value> {
    let numbers = Numbers::read(&table.file)?;
    let (layout, reference_s) = timed(|| Ok(Layout::new(reference(&numbers, &table.columns)?)?))?;
    let (profile, live_s) = timed(|| observe(&layout, &numbers, &table.columns))?;
    let (report, verdict_s) = timed(|| {
        let mut window = PaneSet::new(&layout, 1);
        let rows = profile.rows() as i64;
        let id = PaneId { partition: 0, from_offset: 0, to_offset: rows };
        window.insert(Pane { id, model_version: 1, profile, rejected: 0, max_event_time: 0 })?;
        Ok(evaluate(&window, None, &table.policy, &History::default())?)
    })?;
    let scores: Vec<f64> = report.features.iter().map(|feature| feature.d_low).collect();
    Ok(json!({
        "reference_cpu_s": reference_s, "live_cpu_s": live_s + verdict_s, "verdict_cpu_s": verdict_s,
        "verdict": report.verdict, "scores": scores,
    }))
}

/// Panes of the table's columns, 4,096 rows each, as held in memory and as stored.
pub fn memory(table: &Table) -> anyhow::Result<Value> {
    let numbers = Numbers::read(&table.file)?;
    let layout = Layout::new(reference(&numbers, &table.columns)?)?;
    let names = names(&table.columns);
    let pane = |index: usize| -> anyhow::Result<Profile> {
        let mut profile = Profile::new(&layout);
        for (name, column) in names.iter().zip(&table.columns) {
            let live = numbers.of(column.live)?;
            let from = index * BATCH % (live.len() - BATCH + 1);
            profile.observe(name, &live[from..from + BATCH])?;
        }
        Ok(profile)
    };
    // Those before fill what the process has free already.
    let earlier: Vec<Profile> = (0..PANES).map(pane).collect::<anyhow::Result<_>>()?;
    let before = resident()?;
    let panes: Vec<Profile> = (0..PANES).map(pane).collect::<anyhow::Result<_>>()?;
    let held = (resident()? - before) / (PANES * table.columns.len()) as f64;
    drop(earlier);
    let stored = panes.iter().map(|profile| profile.to_json().len()).sum::<usize>() as f64;
    Ok(json!({ "held_bytes": held, "stored_bytes": stored / (PANES * table.columns.len()) as f64 }))
}
