//! Whether a model still does what it did on the rows that judged it.

use super::{
    error::Error,
    figure::{Figure, Metric, Performance},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What counts as worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is judged.
    pub metric: Metric,
    /// The change that matters: of a share (accuracy, F1, AUC) its points, 0.05 meaning five of a hundred; of a loss (log loss,
    /// MAE, RMSE) the part of the reference's, 0.05 meaning five in a hundred more or less.
    pub margin: f64,
    /// Rows that a window needs: labels where it is measured, answers where it is estimated.
    pub min_rows: u64,
}

/// The difference to the reference, in the metric's units, above 0 when the window is **worse**.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Worsening {
    /// By how much.
    pub by: f64,
    /// Its lower and upper bound.
    pub interval: (f64, f64),
}

/// What a window says of the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "judgement")]
pub enum Judgement {
    /// No change that is both beyond chance and beyond the margin.
    Kept(Worsening),
    /// Worse, by more than the margin and than chance explains.
    Worse(Worsening),
    /// Better, likewise.
    Better(Worsening),
    /// Too little to judge by.
    TooFewLabels {
        /// Rows there are; 0 if they are not such that the metric can be computed (no row of class 1, for example).
        have: u64,
        /// Rows there must be.
        need: u64,
    },
}

/// Judges a window, measured or estimated, against the performance on the rows that judged the model. Those are a sample too:
/// the interval is that of a difference of two samples, at the confidence both were computed at. An estimate's calibrator was
/// learned from the reference's own rows, which makes its interval a little too wide rather than too narrow.
///
/// # Errors
/// A senseless rule, intervals at different confidence, and a metric that the reference does not have.
pub fn judge(rule: &Rule, reference: &Performance, window: &Performance) -> Result<Judgement, Error> {
    let check =
        |field, value: f64, good: bool, must| if good { Ok(()) } else { Err(Error::Rule { field, value, must }) };
    check("margin", rule.margin, (0.0..1.0).contains(&rule.margin), "at least 0 and below 1")?;
    check("min_rows", rule.min_rows as f64, rule.min_rows > 0, "at least 1")?;
    if reference.alpha != window.alpha {
        return Err(Error::Alphas { reference: reference.alpha, window: window.alpha });
    }
    let usual = reference.figures.get(&rule.metric).ok_or(Error::NoReference(rule.metric.name()))?;
    let need = rule.min_rows;
    let figure = match window.figures.get(&rule.metric) {
        Some(figure) if window.rows >= need => figure,
        Some(_) => return Ok(Judgement::TooFewLabels { have: window.rows, need }),
        None => return Ok(Judgement::TooFewLabels { have: 0, need }),
    };
    let (worsening, margin) = if rule.metric.is_loss() {
        (figure.minus(usual), rule.margin * usual.value)
    } else {
        (usual.minus(figure), rule.margin)
    };
    let Figure { value: by, low, high } = worsening;
    let worsening = Worsening { by, interval: (low, high) };
    Ok(if low > 0.0 && by > margin {
        Judgement::Worse(worsening)
    } else if high < 0.0 && by < -margin {
        Judgement::Better(worsening)
    } else {
        Judgement::Kept(worsening)
    })
}

/// How far an estimate was off, once labels landed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EstimateError {
    /// What was expected, …
    pub estimated: Figure,
    /// … what came, …
    pub measured: Figure,
    /// … and estimated − measured.
    pub error: f64,
    /// Whether the measured value lies in the estimate's interval. If it misses more often than alpha says, the concept drifted
    /// or the calibration is stale: no estimate of this model version is worth much then.
    pub covered: bool,
}

/// Compares an estimate with what was measured on the same rows, metric by metric; those that only one of them has are left
/// out. With labels of a part of the rows only, the measured value also varies by which rows these are.
pub fn error_of_estimate(estimated: &Performance, measured: &Performance) -> BTreeMap<Metric, EstimateError> {
    let both = |(&metric, &estimated): (&Metric, &Figure)| {
        let measured = *measured.figures.get(&metric)?;
        let (error, covered) = (estimated.value - measured.value, estimated.contains(measured.value));
        Some((metric, EstimateError { estimated, measured, error, covered }))
    };
    estimated.figures.iter().filter_map(both).collect()
}
