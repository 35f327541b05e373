//! How good answers and probabilities are over all classes together.

use ndarray::ArrayView2;

use super::{Error, check_labels, check_lengths};

/// Share of the rows predicted right.
pub fn accuracy(truth: &[usize], predicted: &[usize]) -> Result<f64, Error> {
    check_lengths(truth.len(), predicted.len())?;
    let right = truth.iter().zip(predicted).filter(|(truth, predicted)| truth == predicted).count();
    Ok(right as f64 / truth.len() as f64)
}

/// Mean over the classes that have rows of the share of their rows that is found (macro recall): a model that always
/// answers the most frequent of k classes has 1 / k.
pub fn balanced_accuracy(truth: &[usize], predicted: &[usize]) -> Result<f64, Error> {
    let counts = Counts::new(truth, predicted)?;
    let found = counts.classes.iter().filter(|class| class.truth > 0.0).map(|class| class.right / class.truth);
    let present = counts.classes.iter().filter(|class| class.truth > 0.0).count();
    Ok(found.sum::<f64>() / present as f64)
}

/// Agreement beyond chance: (observed - expected) / (1 - expected), where the expected agreement is that of answers of the
/// same frequencies given blindly (Cohen, "A coefficient of agreement for nominal scales", 1960).
///
/// # Errors
/// [`Error::Undefined`] when truth and predictions are all of one and the same class.
pub fn cohen_kappa(truth: &[usize], predicted: &[usize]) -> Result<f64, Error> {
    let counts = Counts::new(truth, predicted)?;
    let expected = counts.by_chance() / counts.rows;
    if expected >= counts.rows {
        return Err(Error::Undefined("truth and predictions are all of one class, so all agreement is chance"));
    }
    Ok((counts.right() - expected) / (counts.rows - expected))
}

/// Matthews' correlation coefficient, for any number of classes: the correlation of truth and predictions (Gorodkin,
/// "Comparing two K-category assignments by a K-category correlation coefficient", 2004).
///
/// # Errors
/// [`Error::Undefined`] when truth or predictions are all of one class; scikit-learn says 0 then.
pub fn matthews_corrcoef(truth: &[usize], predicted: &[usize]) -> Result<f64, Error> {
    let counts = Counts::new(truth, predicted)?;
    let squared = counts.rows * counts.rows;
    let truth_variance = squared - counts.classes.iter().map(|class| class.truth * class.truth).sum::<f64>();
    let predicted_variance =
        squared - counts.classes.iter().map(|class| class.predicted * class.predicted).sum::<f64>();
    if truth_variance == 0.0 || predicted_variance == 0.0 {
        return Err(Error::Undefined("truth or predictions are all of one class and have no variance to correlate"));
    }
    Ok((counts.right() * counts.rows - counts.by_chance()) / (truth_variance * predicted_variance).sqrt())
}

/// Share of the rows whose true class is among the `k` with the highest scores; `scores` is rows × classes. Of equal scores
/// the lower class comes first, as in [`crate::Model::predict`], so that `k` = 1 is the accuracy (scikit-learn takes the
/// higher).
pub fn top_k_accuracy(truth: &[usize], scores: ArrayView2<'_, f64>, k: usize) -> Result<f64, Error> {
    check_lengths(truth.len(), scores.nrows())?;
    check_labels(truth.iter(), scores.ncols())?;
    if k == 0 {
        return Err(Error::Parameter { name: "k", expected: "at least 1", got: k as f64 });
    }
    let mut hits = 0_usize;
    for (row, (&truth, scores)) in truth.iter().zip(scores.rows()).enumerate() {
        if scores.iter().any(|score| score.is_nan()) {
            return Err(Error::NotANumber(row));
        }
        let own = scores[truth];
        let ahead = |(class, score): (usize, &f64)| *score > own || (*score == own && class < truth);
        hits += usize::from(scores.iter().enumerate().filter(|place| ahead(*place)).count() < k);
    }
    Ok(hits as f64 / truth.len() as f64)
}

/// Mean squared distance of the probabilities from the truth (Brier, "Verification of forecasts expressed in terms of
/// probability", 1950); `proba` is rows × classes. Summed over the classes, and halved when there are two, as in
/// scikit-learn: from 0 to 1 with two classes, to 2 with more.
pub fn brier_score(truth: &[usize], proba: ArrayView2<'_, f64>) -> Result<f64, Error> {
    check_lengths(truth.len(), proba.nrows())?;
    check_labels(truth.iter(), proba.ncols())?;
    let mut sum = 0.0;
    for (row, (&truth, proba)) in truth.iter().zip(proba.rows()).enumerate() {
        let distance = |(class, p): (usize, &f64)| (p - f64::from(u8::from(class == truth))).powi(2);
        let distance: f64 = proba.iter().enumerate().map(distance).sum();
        if distance.is_nan() {
            return Err(Error::NotANumber(row));
        }
        sum += distance;
    }
    let scale = if proba.ncols() == 2 { 0.5 } else { 1.0 };
    Ok(scale * sum / truth.len() as f64)
}

/// Mean of -ln(probability of the true class); `proba` is rows × classes. Probabilities are kept a machine epsilon
/// away from 0 and 1, so a confident mistake costs 36, not infinity.
pub fn log_loss(truth: &[usize], proba: ArrayView2<'_, f64>) -> Result<f64, Error> {
    check_lengths(truth.len(), proba.nrows())?;
    check_labels(truth.iter(), proba.ncols())?;
    let mut sum = 0.0;
    for (row, (&truth, proba)) in truth.iter().zip(proba.rows()).enumerate() {
        if proba[truth].is_nan() {
            return Err(Error::NotANumber(row));
        }
        sum -= proba[truth].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln();
    }
    Ok(sum / truth.len() as f64)
}

/// Rows of each class that occurs, in numbers that may be multiplied without overflow.
struct Counts {
    rows: f64,
    classes: Vec<ClassCounts>,
}

#[derive(Clone, Default)]
struct ClassCounts {
    truth: f64,
    predicted: f64,
    right: f64,
}

impl Counts {
    fn new(truth: &[usize], predicted: &[usize]) -> Result<Self, Error> {
        check_lengths(truth.len(), predicted.len())?;
        let mut seen: Vec<usize> = truth.iter().chain(predicted).copied().collect();
        seen.sort_unstable();
        seen.dedup();
        let mut classes = vec![ClassCounts::default(); seen.len()];
        let place = |label: usize| seen.partition_point(|seen| *seen < label);
        for (&truth, &predicted) in truth.iter().zip(predicted) {
            classes[place(truth)].truth += 1.0;
            classes[place(predicted)].predicted += 1.0;
            classes[place(truth)].right += f64::from(u8::from(truth == predicted));
        }
        Ok(Self { rows: truth.len() as f64, classes })
    }

    fn right(&self) -> f64 {
        self.classes.iter().map(|class| class.right).sum()
    }

    /// Rows that would agree by chance, times the number of rows.
    fn by_chance(&self) -> f64 {
        self.classes.iter().map(|class| class.truth * class.predicted).sum()
    }
}
