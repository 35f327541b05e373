//! A metric's value with its interval.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};
use std::collections::BTreeMap;

/// What is measured of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of answers that are right.
    Accuracy,
    /// F1 of class 1, of two classes.
    F1,
    /// F1 of each class, weighted by its share of the truth.
    WeightedF1,
    /// The mean of F1 over the classes that occur in truths or answers.
    MacroF1,
    /// Mean −ln of the model's own probability for the true class, which is taken for 1e-15 at least.
    LogLoss,
    /// The area under the ROC curve of class 1, of two classes: how probable a row of class 1 gets the higher score.
    RocAuc,
    /// The mean absolute error, in units of the target.
    Mae,
    /// The root of the mean squared error, in units of the target.
    Rmse,
}

impl Metric {
    /// Whether less is better. Losses have units; all else is a share of 0–1.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::LogLoss | Self::Mae | Self::Rmse)
    }

    /// The name, as it is serialised.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::WeightedF1 => "weighted_f1",
            Self::MacroF1 => "macro_f1",
            Self::LogLoss => "log_loss",
            Self::RocAuc => "roc_auc",
            Self::Mae => "mae",
            Self::Rmse => "rmse",
        }
    }
}

/// Where a performance comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// From labels.
    Measured,
    /// From the model's answers alone.
    Estimated,
}

/// A value with its interval; `low ≤ value ≤ high`, all finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The metric.
    pub value: f64,
    /// The interval's lower end …
    pub low: f64,
    /// … and its upper end.
    pub high: f64,
}

/// The metrics of some rows. One that the rows do not define (F1 without a row of the class, AUC of a single class, anything of
/// zero rows) is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// Measured or estimated.
    pub source: Source,
    /// Rows it is of: with labels if measured.
    pub rows: u64,
    /// Intervals are at confidence 1 − alpha.
    pub alpha: f64,
    /// The metrics.
    pub figures: BTreeMap<Metric, Figure>,
}

/// The two-sided standard normal quantile of a level.
pub(crate) fn quantile(alpha: f64) -> f64 {
    Normal::standard().inverse_cdf((1.0 - alpha / 2.0).clamp(0.5, 1.0 - f64::EPSILON))
}

impl Figure {
    /// value ± z·error, within `bounds`.
    pub(crate) fn normal(value: f64, error: f64, z: f64, bounds: (f64, f64)) -> Self {
        let value = value.clamp(bounds.0, bounds.1);
        Self { value, low: (value - z * error).max(bounds.0), high: (value + z * error).min(bounds.1) }
    }

    /// A share with a known standard error: the Wilson interval of as many rows as would give that error (the effective sample
    /// size of Korn and Graubard 1998), so that shares near 0 and 1 keep a sound interval. Of `rows` where the error is 0.
    pub(crate) fn share(value: f64, error: f64, z: f64, rows: f64) -> Self {
        let value = value.clamp(0.0, 1.0);
        let n = if error > 0.0 { (value * (1.0 - value) / (error * error)).max(1.0) } else { rows.max(1.0) };
        let scale = 1.0 + z * z / n;
        let centre = value + z * z / (2.0 * n);
        let spread = z * (value * (1.0 - value) / n + z * z / (4.0 * n * n)).sqrt();
        // Rounding must not put the value outside its own interval.
        let (low, high) = ((centre - spread) / scale, (centre + spread) / scale);
        Self { value, low: low.clamp(0.0, value), high: high.clamp(value, 1.0) }
    }

    /// The root of a figure at least 0.
    pub(crate) fn root(self) -> Self {
        Self { value: self.value.max(0.0).sqrt(), low: self.low.max(0.0).sqrt(), high: self.high.max(0.0).sqrt() }
    }

    /// Whether `value` lies in the interval.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// `self − reference`, two independent figures, by the recovery of variances from their intervals (MOVER, Zou and Donner
    /// 2008; of two Wilson intervals it is Newcombe's).
    pub fn minus(&self, reference: &Self) -> Self {
        let value = self.value - reference.value;
        let down = (self.value - self.low).hypot(reference.high - reference.value);
        let up = (self.high - self.value).hypot(reference.value - reference.low);
        Self { value, low: value - down, high: value + up }
    }
}
