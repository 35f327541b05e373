//! How far predicted numbers, quantiles and intervals are from the truth.

use super::{Error, check_lengths, check_numbers};

/// Mean of |truth - predicted|, in the unit of the truth.
pub fn mean_absolute_error(truth: &[f64], predicted: &[f64]) -> Result<f64, Error> {
    mean_of(truth, predicted, |truth, predicted| (truth - predicted).abs())
}

/// Mean of (truth - predicted)².
pub fn mean_squared_error(truth: &[f64], predicted: &[f64]) -> Result<f64, Error> {
    mean_of(truth, predicted, |truth, predicted| (truth - predicted).powi(2))
}

/// Root of [`mean_squared_error`], in the unit of the truth.
pub fn root_mean_squared_error(truth: &[f64], predicted: &[f64]) -> Result<f64, Error> {
    Ok(mean_squared_error(truth, predicted)?.sqrt())
}

/// Median of |truth - predicted|: what a few wild rows do not move.
pub fn median_absolute_error(truth: &[f64], predicted: &[f64]) -> Result<f64, Error> {
    check(truth, predicted)?;
    let mut errors: Vec<f64> =
        truth.iter().zip(predicted).map(|(truth, predicted)| (truth - predicted).abs()).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let middle = errors.len() / 2;
    Ok(if errors.len() % 2 == 1 { errors[middle] } else { f64::midpoint(errors[middle - 1], errors[middle]) })
}

/// Share of the variance that is explained: 1 - Σ(truth - predicted)² / Σ(truth - mean)². Below 0 the mean would have been
/// better.
///
/// # Errors
/// [`Error::Undefined`] when the truth does not vary.
pub fn r2_score(truth: &[f64], predicted: &[f64]) -> Result<f64, Error> {
    let residual = mean_squared_error(truth, predicted)?;
    let mean = truth.iter().sum::<f64>() / truth.len() as f64;
    // The mean of equal numbers may be off by a rounding, so they are compared themselves.
    if truth.iter().all(|value| *value == truth[0]) {
        return Err(Error::Undefined("the truth is the same in all rows and has no variance to explain"));
    }
    let variance = truth.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / truth.len() as f64;
    Ok(1.0 - residual / variance)
}

/// Mean of |truth - predicted| / |truth|, as a share (0.1 is ten percent).
///
/// # Errors
/// [`Error::ZeroTruth`], where scikit-learn divides by a tiny number.
pub fn mean_absolute_percentage_error(truth: &[f64], predicted: &[f64]) -> Result<f64, Error> {
    check(truth, predicted)?;
    if let Some(row) = truth.iter().position(|truth| *truth == 0.0) {
        return Err(Error::ZeroTruth(row));
    }
    mean_of(truth, predicted, |truth, predicted| ((truth - predicted) / truth).abs())
}

/// Mean of 2 |truth - predicted| / (|truth| + |predicted|), from 0 to 2 (Makridakis, "Accuracy measures", 1993, as in the
/// M4 competition).
///
/// # Errors
/// [`Error::ZeroTruth`] when truth and prediction of a row are both zero.
pub fn symmetric_mean_absolute_percentage_error(truth: &[f64], predicted: &[f64]) -> Result<f64, Error> {
    check(truth, predicted)?;
    if let Some(row) = truth.iter().zip(predicted).position(|(truth, predicted)| *truth == 0.0 && *predicted == 0.0) {
        return Err(Error::ZeroTruth(row));
    }
    mean_of(truth, predicted, |truth, predicted| 2.0 * (truth - predicted).abs() / (truth.abs() + predicted.abs()))
}

/// What the seasonal naive forecast (the value one `period` ago) errs by in the mean over the series trained on, in order
/// of time: the scale of [`mean_absolute_scaled_error`].
///
/// # Errors
/// [`Error::Parameter`] when there is no whole period and one more value, [`Error::Undefined`] when the naive forecast is
/// never wrong.
pub fn seasonal_naive_error(training: &[f64], period: usize) -> Result<f64, Error> {
    check_numbers(training)?;
    if period == 0 || period >= training.len() {
        let expected = "at least 1 and less than the length of the series trained on";
        return Err(Error::Parameter { name: "period", expected, got: period as f64 });
    }
    let scale = mean_absolute_error(&training[period..], &training[..training.len() - period])?;
    if scale == 0.0 {
        return Err(Error::Undefined("the naive forecast is never wrong on the series trained on"));
    }
    Ok(scale)
}

/// [`mean_absolute_error`] in units of [`seasonal_naive_error`]: below 1 it is better than repeating the last period
/// (Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006).
pub fn mean_absolute_scaled_error(
    truth: &[f64],
    predicted: &[f64],
    training: &[f64],
    period: usize,
) -> Result<f64, Error> {
    Ok(mean_absolute_error(truth, predicted)? / seasonal_naive_error(training, period)?)
}

/// Mean loss of predicting the `quantile` of the truth, in (0, 1): rows above the prediction cost `quantile` per unit, rows
/// below 1 - `quantile` (Koenker and Bassett, "Regression quantiles", 1978). Half the absolute error at 0.5.
pub fn pinball_loss(truth: &[f64], predicted: &[f64], quantile: f64) -> Result<f64, Error> {
    if !(quantile > 0.0 && quantile < 1.0) {
        return Err(Error::Parameter { name: "quantile", expected: "between 0 and 1", got: quantile });
    }
    mean_of(truth, predicted, |truth, predicted| {
        let above = truth - predicted;
        (quantile * above).max((quantile - 1.0) * above)
    })
}

/// Share of the rows within `lower..=upper`.
pub fn interval_coverage(truth: &[f64], lower: &[f64], upper: &[f64]) -> Result<f64, Error> {
    check(truth, lower)?;
    check(truth, upper)?;
    let inside = truth
        .iter()
        .zip(lower.iter().zip(upper))
        .filter(|(truth, (lower, upper))| (**lower..=**upper).contains(*truth));
    Ok(inside.count() as f64 / truth.len() as f64)
}

/// Mean of upper - lower, in the unit of the truth.
pub fn mean_interval_width(lower: &[f64], upper: &[f64]) -> Result<f64, Error> {
    mean_of(lower, upper, |lower, upper| upper - lower)
}

fn check(truth: &[f64], predicted: &[f64]) -> Result<(), Error> {
    check_lengths(truth.len(), predicted.len())?;
    check_numbers(truth)?;
    check_numbers(predicted)
}

fn mean_of(truth: &[f64], predicted: &[f64], loss: impl Fn(f64, f64) -> f64) -> Result<f64, Error> {
    check(truth, predicted)?;
    let sum: f64 = truth.iter().zip(predicted).map(|(&truth, &predicted)| loss(truth, predicted)).sum();
    Ok(sum / truth.len() as f64)
}
