//! The windowed test, calibrated: a level at which windows without drift are as rarely significant as they are meant to be.
//!
//! The p-values of [`ks`] and [`chi2`] hold for independent rows. Rows of a stream often resemble their neighbours, and then a
//! window of a thousand rows says as much as a hundred independent ones would: nearly every window differs significantly.
//! So pseudo-references and pseudo-windows are drawn from the history in blocks (both, since both are samples), all features
//! at the same rows (their correlation is kept), and tested by the code that tests real windows.

#[cfg(test)]
mod tests;

use crate::{
    chi2,
    column::Column,
    detector::Scores,
    fdr, ks,
    resample::{Blocks, Resampler, dependence, longest},
};
use serde::{Deserialize, Serialize};

/// Exact p-values are computed while the product of the sample sizes is at most this (a tenth of a millisecond each).
/// Beyond, the asymptotic one stands for the exact one that a real window may have: they differ by a few percent at most
/// where the level lies, far less than the drawing does.
const EXACT_LIMIT: u64 = 200_000;

/// How a feature is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Two-sample Kolmogorov–Smirnov over ordered bins.
    Ks,
    /// Two-sample χ² of homogeneity over categories.
    Homogeneity,
}

/// One feature of the history.
#[derive(Debug, Clone, Copy)]
pub struct Feature<'a> {
    /// Its column; all features have the same rows.
    pub column: Column<'a>,
    /// How it is tested.
    pub test: Test,
}

/// What is asked of the windowed test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The level of q-values that is never exceeded.
    pub alpha: f64,
    /// The probability that a window without drift has any significant feature.
    pub false_alarm_rate: f64,
    /// Pairs of a pseudo-reference and a pseudo-window; 1/`false_alarm_rate` − 1 at least. The rate that results has a standard
    /// deviation of √(rate/replicates).
    pub replicates: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { alpha: 0.05, false_alarm_rate: 0.05, replicates: 399 }
    }
}

/// Why nothing can be calibrated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Settings that make no sense.
    #[error("the calibration's `{field}` is {value}: it must be {must}")]
    Setting {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        must: String,
    },
    /// Columns of different lengths.
    #[error("feature {index} of the history has {rows} rows, the first has {expected}: pass columns of one table")]
    UnequalLengths {
        /// The first column that differs, counted from 0.
        index: usize,
        /// Its rows.
        rows: usize,
        /// The first column's rows.
        expected: usize,
    },
}

/// The calibrated level, with what it rests on. Stored with the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The level to use: a feature is significant where q < alpha.
    pub alpha: f64,
    /// The share of windows without drift (0–1) that would have a significant feature at the configured level.
    pub uncalibrated_rate: f64,
    /// What was asked for.
    pub settings: Settings,
    /// Rows of a window.
    pub window_rows: usize,
    /// How history was drawn from.
    pub blocks: Blocks,
    /// The seed of the draws; the same history and seed give the same level.
    pub seed: u64,
}

impl Settings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let check = |field, value: f64, valid, must: &str| {
            if valid { Ok(()) } else { Err(Error::Setting { field, value, must: must.to_owned() }) }
        };
        let share = "above 0 and below 1";
        check("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 1.0, share)?;
        let rate = self.false_alarm_rate;
        check("false_alarm_rate", rate, rate > 0.0 && rate < 1.0, share)?;
        let least = (1.0 / rate - 1.0 - 1e-9).ceil();
        let replicates = f64::from(self.replicates);
        check("replicates", replicates, replicates >= least, &format!("at least {least}, for so small a rate"))
    }
}

/// Calibrates the level for windows of `window_rows` rows on the columns the reference was built from, in stream order.
///
/// The smallest q-value of a window is what decides whether it has any significant feature (Simes 1986 is the case without
/// drift, Benjamini and Hochberg 1995 the rule). The level is the k-th smallest of those drawn, k = rate·(replicates + 1), or
/// the configured level where that is lower. The gates for the size of an effect come after, and only make alarms rarer.
///
/// # Errors
/// Settings out of range; columns of different lengths.
pub fn calibrate(
    features: &[Feature<'_>],
    window_rows: usize,
    seed: u64,
    settings: &Settings,
) -> Result<Calibration, Error> {
    settings.validate()?;
    let rows = features.first().map_or(0, |feature| feature.column.rows.len());
    for (index, feature) in features.iter().enumerate() {
        let found = feature.column.rows.len();
        if found != rows {
            return Err(Error::UnequalLengths { index, rows: found, expected: rows });
        }
    }
    let blocks = blocks(features, rows);
    let mut smallest = smallest_q(features, window_rows, blocks, seed, settings.replicates);
    smallest.sort_unstable_by(f64::total_cmp);
    let replicates = f64::from(settings.replicates);
    // A rate that is a fraction is not rounded up by what floating point adds to it.
    let rank = (settings.false_alarm_rate * (replicates + 1.0) + 1e-9) as usize;
    let drawn = rank.checked_sub(1).and_then(|at| smallest.get(at)).copied().unwrap_or(1.0);
    let significant = smallest.partition_point(|&q| q < settings.alpha);
    Ok(Calibration {
        alpha: settings.alpha.min(drawn),
        uncalibrated_rate: significant as f64 / replicates,
        settings: *settings,
        window_rows,
        blocks,
        seed,
    })
}

/// Blocks that hold the dependence of every feature, in location and in spread.
fn blocks(features: &[Feature<'_>], rows: usize) -> Blocks {
    let mut found = Vec::new();
    for Feature { column, .. } in features {
        let scores = Scores::new(&column.counts()[..column.bins]);
        let series = |score: fn(&Scores, usize) -> Option<f64>| -> Vec<f64> {
            column.rows.iter().map(|&bin| score(&scores, usize::from(bin)).unwrap_or(0.0)).collect()
        };
        found.extend(dependence(&[&series(Scores::z), &series(Scores::w)]));
    }
    longest(rows, &found)
}

/// The smallest q-value of every pseudo-window.
fn smallest_q(features: &[Feature<'_>], window_rows: usize, blocks: Blocks, seed: u64, replicates: u32) -> Vec<f64> {
    let (mut reference_rows, mut live_rows) = (Vec::new(), Vec::new());
    let (mut reference, mut live) = (Vec::new(), Vec::new());
    let mut p = Vec::with_capacity(features.len());
    (0..replicates)
        .map(|replicate| {
            let mut resampler = Resampler::new(blocks, seed, u64::from(replicate));
            resampler.draw(blocks.rows, true, &mut reference_rows);
            resampler.draw(window_rows, false, &mut live_rows);
            p.clear();
            for Feature { column, test } in features {
                let cells = column.bins + 1;
                reference.clear();
                reference.resize(cells, 0u64);
                live.clear();
                live.resize(cells, 0u32);
                for range in &reference_rows {
                    column.rows[range.clone()].iter().for_each(|&bin| reference[usize::from(bin).min(cells - 1)] += 1);
                }
                for range in &live_rows {
                    column.rows[range.clone()].iter().for_each(|&bin| live[usize::from(bin).min(cells - 1)] += 1);
                }
                // As in a report, a feature without values on one side is no part of the correction.
                p.extend(p_value(*test, &reference[..cells - 1], &live[..cells - 1]));
            }
            fdr::benjamini_hochberg(&p).into_iter().fold(1.0, f64::min)
        })
        .collect()
}

/// The p-value of a pseudo-window's feature; `None` without values on both sides.
fn p_value(test: Test, reference: &[u64], live: &[u32]) -> Option<f64> {
    let m: u64 = reference.iter().sum();
    let n: u64 = live.iter().map(|&count| u64::from(count)).sum();
    if m == 0 || n == 0 {
        return None;
    }
    match test {
        Test::Ks => ks::bounds(reference, live, |_| false).map(|bounds| {
            if m.saturating_mul(n) <= EXACT_LIMIT {
                ks::p_value(bounds.low, m, n)
            } else {
                ks::p_asymptotic(bounds.low, m, n)
            }
        }),
        Test::Homogeneity => {
            let live: Vec<u64> = live.iter().map(|&count| u64::from(count)).collect();
            Some(chi2::homogeneity(reference, &live).p)
        }
    }
}
