//! Whether probabilities mean what they say: of the rows predicted with 0.8, eight in ten should be right.
//!
//! Binned as by Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning" (2015), and,
//! for more than two classes by the probability of the answer, Guo et al., "On calibration of modern neural networks" (2017).

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{Error, check_labels, check_lengths, check_numbers};
use crate::predictor;

/// How the bins' edges are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binning {
    /// Bins of equal width from 0 to 1.
    EqualWidth,
    /// Edges at the quantiles of the probabilities, so that bins hold about equally many rows; equal ones stay together.
    EqualMass,
}

/// Rows that were predicted with about the same probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower edge; it belongs to the bin below, except for that of the first bin.
    pub lower: f64,
    /// Upper edge, which belongs to this bin.
    pub upper: f64,
    /// Rows in the bin.
    pub rows: usize,
    /// Mean of their probabilities.
    pub mean_predicted: f64,
    /// Share of them in which what was predicted came true.
    pub fraction_true: f64,
}

/// Whether the most probable class was right, and its probability, for each row of `proba` (rows × classes).
pub fn top_label(truth: &[usize], proba: ArrayView2<'_, f64>) -> Result<(Vec<bool>, Vec<f64>), Error> {
    check_lengths(truth.len(), proba.nrows())?;
    check_labels(truth.iter(), proba.ncols())?;
    let answers = truth.iter().zip(proba.rows()).map(|(&truth, proba)| {
        let answer = predictor::argmax(proba.iter().copied());
        (answer == truth, proba[answer])
    });
    let (right, confidences): (Vec<bool>, Vec<f64>) = answers.unzip();
    check_numbers(&confidences)?;
    Ok((right, confidences))
}

/// The bins that have rows, ascending. `outcomes` says of each row whether what was predicted with `proba` came true.
///
/// # Errors
/// [`Error::Parameter`] for no bins or a probability outside of 0..=1.
pub fn reliability_bins(
    outcomes: &[bool],
    proba: &[f64],
    n_bins: usize,
    binning: Binning,
) -> Result<Vec<ReliabilityBin>, Error> {
    check_lengths(outcomes.len(), proba.len())?;
    check_numbers(proba)?;
    if n_bins == 0 {
        return Err(Error::Parameter { name: "n_bins", expected: "at least 1", got: n_bins as f64 });
    }
    if let Some(&got) = proba.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Error::Parameter { name: "proba", expected: "between 0 and 1", got });
    }
    let mut rows: Vec<(f64, bool)> = proba.iter().copied().zip(outcomes.iter().copied()).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let edge = |index: usize| match binning {
        Binning::EqualWidth => index as f64 / n_bins as f64,
        Binning::EqualMass => {
            let position = index as f64 / n_bins as f64 * (rows.len() - 1) as f64;
            let (below, above) = (rows[position.floor() as usize].0, rows[position.ceil() as usize].0);
            below + (above - below) * position.fract()
        }
    };
    let mut start = 0;
    let bins = (0..n_bins).filter_map(|index| {
        let (lower, upper) = (edge(index), edge(index + 1));
        // The last bin takes what rounding has left above its edge.
        let end = if index + 1 == n_bins { rows.len() } else { rows.partition_point(|row| row.0 <= upper).max(start) };
        let inside = &rows[start..end];
        start = end;
        (!inside.is_empty()).then(|| ReliabilityBin {
            lower,
            upper,
            rows: inside.len(),
            mean_predicted: inside.iter().map(|row| row.0).sum::<f64>() / inside.len() as f64,
            fraction_true: inside.iter().filter(|row| row.1).count() as f64 / inside.len() as f64,
        })
    });
    Ok(bins.collect())
}

/// Mean over the rows of their bin's distance between what was predicted and what came true.
///
/// # Errors
/// [`Error::Empty`] without bins.
pub fn expected_calibration_error(bins: &[ReliabilityBin]) -> Result<f64, Error> {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    if rows == 0 {
        return Err(Error::Empty);
    }
    let sum: f64 = bins.iter().map(|bin| bin.rows as f64 * gap(bin)).sum();
    Ok(sum / rows as f64)
}

/// The largest distance of any bin.
///
/// # Errors
/// [`Error::Empty`] without bins.
pub fn maximum_calibration_error(bins: &[ReliabilityBin]) -> Result<f64, Error> {
    bins.iter().map(gap).reduce(f64::max).ok_or(Error::Empty)
}

fn gap(bin: &ReliabilityBin) -> f64 {
    (bin.fraction_true - bin.mean_predicted).abs()
}
