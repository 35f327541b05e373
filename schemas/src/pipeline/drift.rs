//! When a serving model no longer fits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Feature;

/// When a serving model no longer fits. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DriftPolicy {
    /// Records of a window, good and bad.
    pub window_rows: u64,
    /// Windows by event time instead: so many seconds. A window then ends when later events come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u64>,
    /// Windows that overlap: each ends so many records, or seconds where windows have seconds, after the one before; absent:
    /// one window begins where the other ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Seconds that a window of time waits for late events; what comes later still counts in the next one.
    #[serde(skip_serializing_if = "is_zero")]
    pub lateness: u64,
    /// Features of numbers with a weekly or daily rhythm: each value is compared with what is usual at its hour of the week
    /// (UTC). Their training data should hold some weeks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seasonal: Vec<String>,
    /// False discovery rate over the features of a window, in (0, 1): how often a window without drift may have a significant
    /// feature.
    pub alpha: f64,
    /// Whether a training calibrates what is taken for drift on its own rows, in the order in which they happened: rows of a
    /// stream resemble their neighbours, and tests that take them for independent raise false alarms.
    pub calibrate: bool,
    /// False alarms of the detector between windows per 100,000 rows without drift, over all features together.
    pub alarms_per_100k: f64,
    /// KS distance below which a significant difference is still too small to matter.
    pub ks_effect: f64,
    /// PSI above which a feature has moved; raised to what sampling alone would give in small windows.
    pub psi_threshold: f64,
    /// Windows out of the last `of_windows` that must agree.
    pub windows: u32,
    /// See `windows`.
    pub of_windows: u32,
    /// Rise of a feature's share of missing values that quarantines a window instead of retraining on it.
    pub missing_surge: f64,
    /// Share of rejected records that quarantines a window.
    pub rejects_surge: f64,
    /// Whether a window is quarantined whose values look as if they came in another unit, such as inches instead of centimetres.
    pub units: bool,
    /// Whether a confirmed drift starts a training, and answers that labels show to be worse.
    pub retrain: bool,
    /// Whether answers that are only estimated to be worse, for want of labels, start one, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub train_on_estimate: bool,
    /// Rows since the drift began that a retraining waits for.
    pub retrain_rows: u64,
    /// Seconds between two retrainings of the pipeline.
    pub cool_down: u64,
    /// Retrainings a day at most.
    pub daily_budget: u32,
}

impl Default for DriftPolicy {
    fn default() -> Self {
        Self {
            window_rows: 200,
            window_seconds: None,
            step: None,
            lateness: 0,
            seasonal: Vec::new(),
            alpha: 0.01,
            calibrate: true,
            alarms_per_100k: 1.0,
            ks_effect: 0.15,
            psi_threshold: 0.2,
            windows: 2,
            of_windows: 3,
            missing_surge: 0.2,
            rejects_surge: 0.2,
            units: true,
            retrain: true,
            train_on_estimate: false,
            retrain_rows: 400,
            cool_down: 60,
            daily_budget: 24,
        }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Rows below which a window decides nothing.
const FEWEST_ROWS: u64 = 30;
/// Rows of a window at most: its counters hold four thousand million, and a pane comes on top.
const MOST_ROWS: u64 = 1_000_000_000;
/// Windows that are looked back on at most.
const MOST_WINDOWS: u32 = 1_000;
/// Most steps that a window may have: each is judged, with all panes of the window.
const MOST_STEPS: u64 = 1_000;

impl DriftPolicy {
    /// What is wrong with the policy of a pipeline with these features, for people.
    pub fn faults(&self, features: &[Feature]) -> Vec<String> {
        let mut faults = Vec::new();
        if self.window_rows < FEWEST_ROWS {
            faults.push(format!("`window_rows: {}`: fewer than {FEWEST_ROWS} rows decide nothing", self.window_rows));
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            faults.push("`alpha` lies between 0 and 1, such as 0.01".to_owned());
        }
        if !(self.alarms_per_100k > 0.0 && self.alarms_per_100k <= 1_000.0) {
            faults.push("`alarms_per_100k` lies above 0 and is at most 1000".to_owned());
        }
        let shares = [
            ("ks_effect", self.ks_effect),
            ("missing_surge", self.missing_surge),
            ("rejects_surge", self.rejects_surge),
        ];
        for (name, share) in shares {
            if !(share > 0.0 && share <= 1.0) {
                faults.push(format!("`{name}: {share}`: give a share above 0 and up to 1"));
            }
        }
        if !(self.psi_threshold > 0.0 && self.psi_threshold.is_finite()) {
            faults.push(format!("`psi_threshold: {}`: give a number above 0", self.psi_threshold));
        }
        if self.window_rows > MOST_ROWS {
            faults.push(format!("`window_rows: {}`: a window has at most {MOST_ROWS} rows", self.window_rows));
        }
        if self.of_windows > MOST_WINDOWS {
            faults.push(format!("`of_windows: {}`: give at most {MOST_WINDOWS}", self.of_windows));
        }
        if self.windows == 0 || self.windows > self.of_windows {
            faults.push("`windows` of `of_windows` must agree: give 1 ≤ windows ≤ of_windows".to_owned());
        }
        let (length, what) = match self.window_seconds {
            Some(seconds) => (seconds, "window_seconds"),
            None => (self.window_rows, "window_rows"),
        };
        if self.window_seconds == Some(0) {
            faults.push("`window_seconds: 0`: a window of time has some seconds".to_owned());
        }
        match self.step {
            Some(step) if step == 0 || step > length => faults.push(format!("`step: {step}`: give 1 to `{what}`")),
            Some(step) if length / step > MOST_STEPS => {
                faults.push(format!("`step: {step}`: a window has at most {MOST_STEPS} steps"));
            }
            _ => {}
        }
        if self.lateness > 0 && self.window_seconds.is_none() {
            faults.push("`lateness` is for windows of time: give `window_seconds` as well".to_owned());
        }
        let is_number = |name: &String| features.iter().any(|of| of.kind.is_number() && of.name == *name);
        for name in self.seasonal.iter().filter(|name| !is_number(name)) {
            faults.push(format!("`seasonal` names `{name}`, which is no feature of type number"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_every_fault_is_told() {
        assert!(DriftPolicy::default().faults(&[]).is_empty());
        type Spoil = fn(&mut DriftPolicy);
        let spoil: [(Spoil, &str); 14] = [
            (|drift| drift.window_rows = 3, "window_rows"),
            (|drift| drift.alpha = 1.0, "alpha"),
            (|drift| drift.alarms_per_100k = f64::NAN, "alarms_per_100k"),
            (|drift| drift.ks_effect = 0.0, "ks_effect"),
            (|drift| drift.rejects_surge = 1.5, "rejects_surge"),
            (|drift| drift.psi_threshold = 0.0, "psi_threshold"),
            (|drift| drift.window_rows = u64::MAX, "window_rows"),
            (|drift| drift.of_windows = 5_000, "of_windows"),
            (|drift| drift.windows = 4, "windows"),
            (|drift| drift.window_seconds = Some(0), "window_seconds"),
            (|drift| drift.step = Some(201), "step"),
            (|drift| (drift.window_seconds, drift.step) = (Some(86_400), Some(1)), "step"),
            (|drift| drift.lateness = 5, "lateness"),
            (|drift| drift.seasonal = vec!["y".to_owned()], "`y`"),
        ];
        for (spoil, word) in spoil {
            let mut drift = DriftPolicy::default();
            spoil(&mut drift);
            let faults = drift.faults(&[Feature { name: "x".to_owned(), ..Feature::default() }]);
            assert!(faults.len() == 1 && faults[0].contains(word), "{faults:?}");
        }
    }
}
