//! How a model is fitted and judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Schedule, Search};

/// How a model is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// One of those in docs/training.md, such as `random_forest`.
    pub algorithm: String,
    /// Hyper-parameters by scikit-learn's names.
    #[serde(default)]
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Seed of the split and of the fit.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Labelled rows needed before the first training.
    #[serde(default = "default_min_rows")]
    pub min_rows: u64,
    /// Only the newest so many labelled rows are used; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_rows: Option<u64>,
    /// Shares held out.
    #[serde(default)]
    pub split: Split,
    /// Whether, once it is judged, the model is fitted again on all rows, those that judged it among them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refit: bool,
    /// Hyper-parameters that may be searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// How a training continues the champion instead of beginning anew, where the algorithm can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<WarmStart>,
    /// Trainings by the clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<Schedule>,
    /// A training begins when so many labelled rows have come since the snapshot of the newest one; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_rows: Option<u64>,
    /// Seconds after which a run is halted.
    #[serde(default = "default_timeout", skip_serializing_if = "is_default_timeout")]
    pub timeout: u64,
    /// How often a run that was halted, or failed in a way that may pass, is tried again.
    #[serde(default = "default_retries", skip_serializing_if = "is_default_retries")]
    pub retries: u32,
    /// Seconds from its end to the next try.
    #[serde(default = "default_retry_after", skip_serializing_if = "is_default_retry_after")]
    pub retry_after: u64,
}

impl Training {
    /// What of it says how a model is made and split, without what only says when: a model does not hang on its schedule.
    pub fn made(&self) -> Self {
        Self {
            schedules: Vec::new(),
            new_rows: None,
            timeout: default_timeout(),
            retries: default_retries(),
            retry_after: default_retry_after(),
            ..self.clone()
        }
    }

    /// What is wrong with when it trains and how long it may take, for people.
    pub fn timing_faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.schedules.iter().flat_map(Schedule::faults).collect();
        for (index, schedule) in self.schedules.iter().enumerate() {
            if self.schedules[..index].iter().any(|earlier| earlier.name == schedule.name) {
                faults.push(format!("schedule `{}` is declared twice", schedule.name));
            }
        }
        if self.schedules.iter().any(|schedule| schedule.search) && self.search.is_none() {
            faults.push(
                "a schedule says `search: true`, and there is no `training.search` that declares a space".to_owned(),
            );
        }
        if self.new_rows == Some(0) {
            faults.push("`new_rows: 0`: give a number of rows above 0, or leave it out".to_owned());
        }
        if !(1..=LONGEST).contains(&self.timeout) {
            faults.push(format!("`timeout: {}`: give 1 to {LONGEST} seconds, a week", self.timeout));
        }
        if self.retries > MOST_RETRIES {
            faults.push(format!("`retries: {}`: give at most {MOST_RETRIES}", self.retries));
        }
        if self.retry_after > LONGEST {
            faults.push(format!("`retry_after: {}`: give at most {LONGEST} seconds, a week", self.retry_after));
        }
        faults
    }
}

/// Seconds that a run, or the wait for the next try, may take: a week.
const LONGEST: u64 = 7 * 86_400;
/// Tries again that a run may have.
const MOST_RETRIES: u32 = 100;

/// Continuing the champion: its model stays, and rounds fitted to the rows of today are added to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmStart {
    /// Rounds that each training adds.
    pub rounds: usize,
    /// Rounds from which on a training begins anew, so that models do not grow for ever.
    pub most_rounds: usize,
}

fn default_seed() -> u64 {
    42
}

fn default_min_rows() -> u64 {
    100
}

fn default_timeout() -> u64 {
    3_600
}

fn default_retries() -> u32 {
    1
}

fn default_retry_after() -> u64 {
    300
}

// What is as ever is not written, so that what is hashed of a file stays the same.
fn is_default_timeout(seconds: &u64) -> bool {
    *seconds == default_timeout()
}

fn is_default_retries(retries: &u32) -> bool {
    *retries == default_retries()
}

fn is_default_retry_after(seconds: &u64) -> bool {
    *seconds == default_retry_after()
}

/// Shares of the rows that are held out of the fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Split {
    /// Share that judges the model, in (0, 0.9].
    pub test: f64,
    /// Share for choices during the fit, such as early stopping.
    pub validation: f64,
    /// Whether every part keeps the shares of the classes.
    pub stratified: bool,
    /// What goes to one side together.
    pub by: SplitBy,
}

/// What the rows of a split are drawn by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Each row by itself.
    #[default]
    Row,
    /// All rows of an entity together: where rows of one entity resemble each other, the others would give them away.
    Entity,
    /// The newest rows are held out: what is learned is judged by what came after it.
    Time,
}

impl Default for Split {
    fn default() -> Self {
        Self { test: 0.2, validation: 0.0, stratified: true, by: SplitBy::Row }
    }
}

/// When a fitted model may become champion by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Promotion {
    /// What is compared.
    pub metric: Metric,
    /// Confidence of the paired bootstrap interval that must lie above zero.
    pub confidence: f64,
    /// How much worse than the champion a challenger may be and still count as no worse; of errors, as a share of the
    /// champion's.
    pub margin: f64,
    /// How much of what there is to win over the constant baseline one feature alone may win, beyond chance, before it is
    /// taken for a copy of the label; 1 turns the gate off.
    pub leakage: f64,
    /// Share of the test rows that may have the same features as a row that was learned; absent: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_shared_rows: Option<f64>,
    /// Features in whose slices the model may not be worse than the champion, or the constant baseline where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<String>,
    /// Largest expected calibration error of the answered class, over 10 bins of equal mass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_calibration_error: Option<f64>,
    /// Milliseconds that the answer to one row may take, as the median of many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<f64>,
    /// MiB that the model's artifact may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size_mib: Option<f64>,
    /// Which rows become the gold set by themselves: trusted ones that are frozen, that judge every challenger, and that
    /// nobody learns from; absent: those that a person names by `driftmill models gold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gold: Option<Gold>,
}

/// Rows that become the gold set by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gold {
    /// Those that judged the pipeline's first champion.
    First,
}

impl Default for Promotion {
    fn default() -> Self {
        Self {
            metric: Metric::Accuracy,
            confidence: 0.95,
            margin: 0.02,
            leakage: 0.98,
            max_shared_rows: None,
            slices: Vec::new(),
            max_calibration_error: None,
            max_latency_ms: None,
            max_size_mib: None,
            gold: None,
        }
    }
}

impl Promotion {
    /// What is wrong with the bounds, for people.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(self.confidence > 0.5 && self.confidence < 1.0) {
            faults.push("`confidence` lies between 0.5 and 1, such as 0.95".to_owned());
        }
        if !(self.leakage > 0.5 && self.leakage <= 1.0) {
            faults.push("`leakage` is a share above 0.5, such as 0.98; 1 turns the gate off".to_owned());
        }
        if self.max_shared_rows.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            faults.push("`max_shared_rows` is a share from 0 to 1".to_owned());
        }
        let bounds = [
            ("max_calibration_error", self.max_calibration_error),
            ("max_latency_ms", self.max_latency_ms),
            ("max_size_mib", self.max_size_mib),
        ];
        for (name, bound) in bounds {
            if bound.is_some_and(|bound| !(bound > 0.0 && bound.is_finite())) {
                faults.push(format!("`{name}` is a number above 0"));
            }
        }
        faults
    }
}

/// A measure of a model. Of classes, greater is better; of values, less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of right answers.
    Accuracy,
    /// F1 of the positive class.
    F1,
    /// F1 of every class, weighted by its support.
    WeightedF1,
    /// Mean F1 of the classes.
    MacroF1,
    /// Root of the mean squared error, of values.
    Rmse,
    /// Mean absolute error, of values.
    Mae,
}

impl Metric {
    /// Those that compare classes.
    pub const OF_CLASSES: &[Self] = &[Self::Accuracy, Self::F1, Self::WeightedF1, Self::MacroF1];
    /// Those that compare values.
    pub const OF_VALUES: &[Self] = &[Self::Rmse, Self::Mae];

    /// Whether it compares values.
    pub fn is_of_values(self) -> bool {
        Self::OF_VALUES.contains(&self)
    }

    /// Its name in the pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::WeightedF1 => "weighted_f1",
            Self::MacroF1 => "macro_f1",
            Self::Rmse => "rmse",
            Self::Mae => "mae",
        }
    }
}
