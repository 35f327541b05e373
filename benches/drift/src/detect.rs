//! The detector between windows, value by value.

use std::path::PathBuf;

use crate::{
    measure::timed,
    question::{Numbers, Slice},
};
use anyhow::Context as _;
use driftmill_drift::{
    ReferenceProfile,
    binner::Binner,
    column::{Column, binned},
    detector::{Cusum, Limits, Scores, Settings, calibrate},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Streams, each with rows to learn from.
#[derive(Deserialize)]
pub struct Streams {
    file: PathBuf,
    streams: Vec<Stream>,
    #[serde(default)]
    settings: Settings,
    /// Whether a new reference is taken from as many rows as the warm-up has, beginning where an alarm says that the change
    /// was. Otherwise the first one stays, and the sums begin anew.
    #[serde(default)]
    renew: bool,
}

#[derive(Deserialize)]
struct Stream {
    values: Slice,
    warm_up: usize,
}

/// Bins, scores and limits learnt from some rows.
struct Learnt {
    binner: Binner,
    scores: Scores,
    limits: Limits,
}

impl Learnt {
    fn from(history: &[f64], settings: &Settings) -> anyhow::Result<Self> {
        let reference = ReferenceProfile::build(&[("x", history)])?;
        let binner = Binner::new(&reference.features[0].numbers().context("a column without numbers")?.edges);
        let rows = binned(&binner, history);
        let column = Column { rows: &rows, bins: binner.bins() };
        let limits = calibrate(&column, 1, settings)?.limits;
        let scores = Scores::new(&column.counts()[..column.bins]);
        Ok(Self { binner, scores, limits })
    }

    /// Location and spread score of a value; 0 for a missing one.
    fn scores(&self, value: f64) -> (f64, f64) {
        let bin = self.binner.bin(value);
        let known = if value.is_nan() { None } else { self.scores.z(bin).zip(self.scores.w(bin)) };
        known.unwrap_or_default()
    }
}

/// Places of the alarms, CPU seconds to learn from each warm-up, values a second after it.
pub fn detect(asked: &Streams) -> anyhow::Result<Value> {
    let numbers = Numbers::read(&asked.file)?;
    let (mut found, mut learning, mut values, mut watching) = (Vec::new(), 0.0, 0.0, 0.0);
    for stream in &asked.streams {
        let rows = numbers.of(stream.values)?;
        let (learnt, cpu) = timed(|| Learnt::from(&rows[..stream.warm_up], &asked.settings))?;
        learning += cpu;
        let (alarms, cpu) = timed(|| watch(learnt, rows, stream.warm_up, asked))?;
        values += (rows.len() - stream.warm_up) as f64;
        watching += cpu;
        found.push(alarms);
    }
    Ok(json!({
        "alarms": found, "learning_cpu_s": learning / asked.streams.len().max(1) as f64, "values_per_s": values / watching,
    }))
}

fn watch(mut learnt: Learnt, rows: &[f64], warm_up: usize, asked: &Streams) -> anyhow::Result<Vec<usize>> {
    let (mut cusum, mut alarms, mut place) = (Cusum::default(), Vec::new(), warm_up);
    while place < rows.len() {
        let (z, w) = learnt.scores(rows[place]);
        let alarm = cusum.update(&learnt.limits, z, w);
        place += 1;
        let Some(alarm) = alarm else { continue };
        alarms.push(place - 1);
        cusum.reset();
        if asked.renew {
            let from = place.saturating_sub(alarm.since as usize);
            let to = from + warm_up;
            if to > rows.len() {
                break;
            }
            learnt = Learnt::from(&rows[from..to], &asked.settings)?;
            place = place.max(to);
        }
    }
    Ok(alarms)
}
