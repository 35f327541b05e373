//! Reports of windows, each with its own reference and policy.

use std::{path::PathBuf, sync::Arc};

use crate::{
    level,
    question::{Column, Numbers, Slice, categories, names},
};
use driftmill_drift::{History, Layout, Pane, PaneId, PaneSet, Policy, Profile, ReferenceProfile, Values, evaluate};
use serde::Deserialize;
use serde_json::{Value, json};

const MINUTE_MS: i64 = 60_000;

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
    /// The numbers are codes of categories.
    #[serde(default)]
    category: bool,
    /// The level of the test is calibrated on the reference's rows.
    #[serde(default)]
    calibrated: bool,
    /// Rows are a minute apart, the reference's from minute 0 and the window's from this one: they are compared by the hour
    /// of the week.
    #[serde(default)]
    minute: Option<i64>,
}

/// The values of one column, on one side.
enum Side<'a> {
    Numbers(&'a [f64]),
    Categories(Vec<Option<&'static str>>),
}

impl Side<'_> {
    fn values(&self) -> Values<'_> {
        match self {
            Self::Numbers(values) => Values::Numbers(values),
            Self::Categories(values) => Values::Categories(values),
        }
    }
}

/// The reports, less what the question told, and the level that q-values were held against.
pub fn judge(asked: &Windows) -> anyhow::Result<Value> {
    let numbers = Numbers::read(&asked.file)?;
    let mut found = Vec::new();
    for window in &asked.windows {
        let layout = window.reference(&numbers)?;
        let policy = window.policy.at_level(window.level(&layout, &numbers)?);
        let report = evaluate(&window.live(&layout, &numbers)?, None, &policy, &History::default())?;
        found.push(json!({
            "verdict": report.verdict, "reasons": report.reasons, "features": report.features, "level": policy.q_level(),
        }));
    }
    Ok(json!({ "windows": found }))
}

impl Window {
    fn side<'a>(&self, numbers: &'a Numbers, slice: Slice) -> anyhow::Result<Side<'a>> {
        let values = numbers.of(slice)?;
        Ok(if self.category { Side::Categories(categories(values)) } else { Side::Numbers(values) })
    }

    /// Times of rows that begin with a minute; none where nobody asked for hours.
    fn times(&self, first: i64, rows: usize) -> Vec<i64> {
        let rows = if self.minute.is_some() { rows as i64 } else { 0 };
        (first..first + rows).map(|minute| minute * MINUTE_MS).collect()
    }

    fn reference(&self, numbers: &Numbers) -> anyhow::Result<Arc<Layout>> {
        let names = names(&self.columns);
        let sides: Vec<Side<'_>> =
            self.columns.iter().map(|column| self.side(numbers, column.reference)).collect::<anyhow::Result<_>>()?;
        let columns: Vec<(&str, Values<'_>)> =
            names.iter().zip(&sides).map(|(name, side)| (name.as_str(), side.values())).collect();
        let mut reference = ReferenceProfile::of(&columns)?;
        for (name, values) in columns {
            if let (Some(_), Values::Numbers(values)) = (self.minute, values) {
                reference = reference.with_hours(name, values, &self.times(0, values.len()));
            }
        }
        Ok(Layout::new(reference)?)
    }

    fn level(&self, layout: &Layout, numbers: &Numbers) -> anyhow::Result<Option<f64>> {
        if !self.calibrated {
            return Ok(None);
        }
        let history: Vec<&[f64]> =
            self.columns.iter().map(|column| numbers.of(column.reference)).collect::<anyhow::Result<_>>()?;
        let rows = self.columns.first().map_or(0, |column| column.live.1);
        level::calibrated(layout, &history, rows, self.policy.alpha).map(Some)
    }

    fn live(&self, layout: &Arc<Layout>, numbers: &Numbers) -> anyhow::Result<PaneSet> {
        let mut profile = Profile::new(layout);
        for (name, column) in names(&self.columns).iter().zip(&self.columns) {
            let times = self.times(self.minute.unwrap_or(0), column.live.1);
            profile.observe_values(name, self.side(numbers, column.live)?.values(), &times)?;
        }
        let mut window = PaneSet::new(layout, 1);
        if profile.rows() > 0 {
            let id = PaneId { partition: 0, from_offset: 0, to_offset: profile.rows() as i64 };
            window.insert(Pane { id, model_version: 1, profile, rejected: 0, max_event_time: 0 })?;
        }
        Ok(window)
    }
}
