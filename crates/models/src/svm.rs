//! The linear support vector machine on sparse rows, one class against the others: what text is classified with.
//!
//! Scores become probabilities by a [`Calibration`] fitted to scores of rows held out, as those of the training rows flatter.

mod calibration;
mod dual;
mod params;
#[cfg(test)]
mod tests;

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array1;
use serde::{Deserialize, Serialize};

pub use self::calibration::Calibration;
use self::calibration::Calibrator;
use self::dual::{Rows, Separator, Side};
pub use self::params::{LinearSvmParams, LinearSvmValidParams, Loss};
use crate::scores::{Scores, n_scores};
use crate::sparse::{CsrMatrix, SparseRow};
use crate::split::{self, TrainTest};
use crate::{Error, labels, parallel, predictor, random, weights};

/// A fitted linear SVM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearSvm {
    n_classes: usize,
    scores: Scores,
    calibrator: Calibrator,
    converged: bool,
}

impl LinearSvm {
    /// Default parameters.
    pub fn params() -> LinearSvmParams {
        LinearSvmParams::default()
    }

    /// Number of features a row may have.
    pub fn n_features(&self) -> usize {
        self.scores.n_features()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.n_classes
    }

    /// Coefficients of a class' score; of two classes only class 1 has one, which is number 0.
    pub fn coefficients(&self, score: usize) -> Vec<f64> {
        self.scores.coefficients(score)
    }

    /// Intercept of each score.
    pub fn intercepts(&self) -> &[f64] {
        self.scores.intercepts()
    }

    /// Whether every class reached the tolerance; more `max_iter` or a smaller `c` helps.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// Writes the probability of each class into `out`, which must have [`Self::classes`] places. Does not allocate.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for a column the model does not have, and [`Error::OutputLength`].
    pub fn predict_proba_into(&self, row: SparseRow<'_>, out: &mut [f64]) -> Result<(), Error> {
        if out.len() != self.n_classes {
            return Err(Error::OutputLength { expected: self.n_classes, got: out.len() });
        }
        let width = row.indices.last().map_or(0, |&last| last as usize + 1);
        if width > self.n_features() {
            return Err(Error::FeatureCount { expected: self.n_features(), got: width });
        }
        self.scores.write_sparse(row, &mut out[..self.scores.len()]);
        self.calibrator.apply(self.scores.len(), out);
        Ok(())
    }

    /// The most probable class, the lowest index among equals.
    ///
    /// # Errors
    /// [`Error::FeatureCount`].
    pub fn predict(&self, row: SparseRow<'_>) -> Result<usize, Error> {
        let mut proba = vec![0.0; self.n_classes];
        self.predict_proba_into(row, &mut proba)?;
        Ok(predictor::argmax(proba.into_iter()))
    }

    /// Whether a decoded model is safe to predict with.
    ///
    /// # Errors
    /// The text says what is not.
    pub fn validate(&self) -> Result<(), String> {
        self.scores.validate(self.n_classes)?;
        self.calibrator.validate(self.scores.len())
    }
}

impl Fit<CsrMatrix, Array1<usize>, Error> for LinearSvmValidParams {
    type Object = LinearSvm;

    /// Probabilities are calibrated on stratified folds; rows that belong together want [`Self::fit_with_folds`].
    fn fit(&self, dataset: &DatasetBase<CsrMatrix, Array1<usize>>) -> Result<LinearSvm, Error> {
        let labels = dataset.targets.to_vec();
        let folds = match self.calibration_folds {
            0 => Vec::new(),
            // Too few rows to hold any out: nothing to calibrate on.
            folds if labels.len() < 2 * folds => Vec::new(),
            folds => split::stratified_k_fold(&labels, folds, self.seed)?,
        };
        self.fit_with_folds(dataset, &folds)
    }
}

impl LinearSvmValidParams {
    /// Fits to all rows; probabilities are calibrated by the scores that each fold's test rows have from a fit to its
    /// training rows, if these have a row of the same class. Without any they are those of uncalibrated scores.
    ///
    /// # Errors
    /// For unusable training data. Panics for rows of a fold that do not exist.
    pub fn fit_with_folds(
        &self,
        dataset: &DatasetBase<CsrMatrix, Array1<usize>>,
        folds: &[TrainTest],
    ) -> Result<LinearSvm, Error> {
        let matrix = &dataset.records;
        let labels = dataset.targets.to_vec();
        let n_classes = labels::of_rows((matrix.n_rows(), matrix.n_columns()), &labels, self.n_classes)?;
        let weights = weights::of_rows(&dataset.weights.to_vec(), labels.len())?;
        let mut model = self.fit_rows(matrix, &labels, &weights, n_classes)?;
        let (mut scores, mut held_out) = (Vec::new(), Vec::new());
        for TrainTest { train, test } in folds.iter().filter(|fold| !fold.train.is_empty()) {
            let take = |rows: &[usize]| rows.iter().map(|&row| (labels[row], weights[row])).unzip();
            let (train_labels, train_weights): (Vec<_>, Vec<_>) = take(train);
            let part = self.fit_rows(&matrix.select(train), &train_labels, &train_weights, n_classes)?;
            // What would be scored as a class that is not there says nothing of the score that it would have.
            for &row in test.iter().filter(|row| train_labels.contains(&labels[**row])) {
                let start = scores.len();
                scores.resize(start + part.scores.len(), 0.0);
                part.scores.write_sparse(matrix.row(row), &mut scores[start..]);
                held_out.push(row);
            }
        }
        if !held_out.is_empty() {
            let (labels, weights): (Vec<_>, Vec<_>) = held_out.iter().map(|&row| (labels[row], weights[row])).unzip();
            model.calibrator = Calibrator::fit(self.calibration, &scores, n_classes, &labels, &weights);
        }
        Ok(model)
    }

    fn fit_rows(
        &self,
        matrix: &CsrMatrix,
        labels: &[usize],
        weights: &[f64],
        n_classes: usize,
    ) -> Result<LinearSvm, Error> {
        let factors = weights::of_classes(self.class_weight.as_ref(), labels, weights, n_classes)?;
        let rows = Rows::new(self, matrix, weights);
        let fit_class = |(): &mut (), index: usize| {
            let class = if n_classes == 2 { 1 } else { index };
            // Against all others, the class' factor makes up for its share, and theirs play no part, as in liblinear.
            let side = |row: usize| match (labels[row] == class, n_classes) {
                (true, _) => Side { positive: true, factor: factors[class] },
                (false, 2) => Side { positive: false, factor: factors[0] },
                (false, _) => Side { positive: false, factor: 1.0 },
            };
            rows.separate(side, &mut random::stream(self.seed, index as u64))
        };
        let separators = parallel::map(n_scores(n_classes), parallel::threads(self.n_jobs), || (), fit_class);
        let converged = separators.iter().all(|separator| separator.converged);
        let parts: Vec<_> =
            separators.into_iter().map(|Separator { coefficients, intercept, .. }| (coefficients, intercept)).collect();
        let scores = Scores::new(matrix.n_columns(), &parts);
        if scores.is_finite() {
            Ok(LinearSvm { n_classes, scores, calibrator: Calibrator::Temperature(1.0), converged })
        } else {
            Err(Error::Overflow)
        }
    }
}
