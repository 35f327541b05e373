//! Multinomial logistic regression with a penalty on squared coefficients, on dense or sparse rows. Two classes share
//! one score.

mod objective;
mod params;
#[cfg(test)]
mod tests;

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use self::objective::{Objective, Rows};
pub use self::params::{LogisticRegressionParams, LogisticRegressionValidParams};
use crate::predictor::{self, Predictor, Task, predict_inplace};
use crate::preparation::Preparation;
use crate::scores::{Scores, n_scores, scores_to_proba};
use crate::sparse::{CsrMatrix, SparseRow};
use crate::{Error, labels, lbfgs, parallel, weights};

/// Rows whose scores are summed up together.
const SCORES: usize = 64;

/// A fitted logistic regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogisticRegression {
    n_classes: usize,
    /// Of dense rows; sparse ones are taken as they are.
    preparation: Option<Preparation>,
    /// Of prepared values.
    scores: Scores,
    converged: bool,
}

impl LogisticRegression {
    /// Default parameters.
    pub fn params() -> LogisticRegressionParams {
        LogisticRegressionParams::default()
    }

    /// Not checked.
    pub(crate) fn from_parts(n_classes: usize, preparation: Preparation, scores: Scores) -> Self {
        Self { n_classes, preparation: Some(preparation), scores, converged: true }
    }

    pub(crate) fn parts(&self) -> (Option<&Preparation>, &Scores) {
        (self.preparation.as_ref(), &self.scores)
    }

    /// Number of features a row must have.
    pub fn n_features(&self) -> usize {
        self.scores.n_features()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.n_classes
    }

    /// Change of a score with each feature, in the feature's own units; of two classes only class 1 has a score, which is
    /// number 0.
    pub fn coefficients(&self, score: usize) -> Vec<f64> {
        let mut coefficients = self.scores.coefficients(score);
        if let Some(preparation) = &self.preparation {
            coefficients.iter_mut().zip(preparation.scale()).for_each(|(coefficient, scale)| *coefficient *= scale);
        }
        coefficients
    }

    /// A score where all features are 0.
    pub fn intercept(&self, score: usize) -> f64 {
        let shifts = self.preparation.iter().flat_map(Preparation::shift);
        let shifted: f64 = self.coefficients(score).iter().zip(shifts).map(|(b, shift)| b * shift).sum();
        self.scores.intercepts()[score] - shifted
    }

    /// Whether the fit reached its tolerance; more `max_iter` or a smaller `c` helps.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// Writes the probability of each class into `out`, which must have [`Self::classes`] places. `NaN` is a missing
    /// value, and 0 for a model of sparse rows. Does not allocate.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] and [`Error::OutputLength`].
    pub fn predict_proba_into(&self, row: &[f64], out: &mut [f64]) -> Result<(), Error> {
        self.check(row.len() == self.n_features(), row.len(), out.len())?;
        self.write_proba(row, out);
        Ok(())
    }

    fn write_proba(&self, row: &[f64], out: &mut [f64]) {
        let scores = &mut out[..self.scores.len()];
        match &self.preparation {
            Some(preparation) => self.scores.write_dense(preparation.row(row), scores),
            None => {
                let present = row.iter().map(|&value| if value.is_finite() { value } else { 0.0 });
                self.scores.write_dense(present, scores);
            }
        }
        scores_to_proba(out);
    }

    /// The same for a sparse row, whose other values are 0. Allocates for a model of dense rows.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for a column the model does not have, and [`Error::OutputLength`].
    pub fn predict_proba_sparse_into(&self, row: SparseRow<'_>, out: &mut [f64]) -> Result<(), Error> {
        let width = row.indices.last().map_or(0, |&last| last as usize + 1);
        self.check(width <= self.n_features(), width, out.len())?;
        if self.preparation.is_some() {
            let mut dense = vec![0.0; self.n_features()];
            row.add_to(1.0, &mut dense);
            return self.predict_proba_into(&dense, out);
        }
        self.scores.write_sparse(row, &mut out[..self.scores.len()]);
        scores_to_proba(out);
        Ok(())
    }

    /// The most probable class, the lowest index among equals.
    ///
    /// # Errors
    /// [`Error::FeatureCount`].
    pub fn predict(&self, row: &[f64]) -> Result<usize, Error> {
        let mut proba = vec![0.0; self.n_classes];
        self.predict_proba_into(row, &mut proba)?;
        Ok(predictor::argmax(proba.into_iter()))
    }

    /// Whether a decoded model is safe to predict with.
    ///
    /// # Errors
    /// The text says what is not.
    pub fn validate(&self) -> Result<(), String> {
        if self.n_features() == 0 {
            return Err("it has no features".to_owned());
        }
        self.scores.validate(self.n_classes)?;
        self.preparation.as_ref().map_or(Ok(()), |preparation| preparation.validate(self.n_features()))
    }

    fn check(&self, fits: bool, features: usize, places: usize) -> Result<(), Error> {
        if !fits {
            return Err(Error::FeatureCount { expected: self.n_features(), got: features });
        }
        if places != self.n_classes {
            return Err(Error::OutputLength { expected: self.n_classes, got: places });
        }
        Ok(())
    }
}

impl Predictor for LogisticRegression {
    fn n_features(&self) -> usize {
        LogisticRegression::n_features(self)
    }

    fn task(&self) -> Task {
        Task::Classification { n_classes: self.n_classes }
    }

    fn write_outputs(&self, row: &[f64], out: &mut [f64]) {
        self.write_proba(row, out);
    }

    fn write_outputs_block(&self, rows: &[f64], out: &mut [f64]) {
        let width = Predictor::n_features(self);
        let (Some(preparation), [intercept]) = (&self.preparation, self.scores.intercepts()) else {
            let rows = rows.chunks_exact(width).zip(out.chunks_exact_mut(self.n_classes));
            return rows.for_each(|(row, out)| self.write_proba(row, out));
        };
        let mut scores = [0.0; SCORES];
        for (rows, out) in rows.chunks(SCORES * width).zip(out.chunks_mut(SCORES * self.n_classes)) {
            let scores = &mut scores[..out.len() / self.n_classes];
            scores.fill(*intercept);
            preparation.add_products(rows, self.scores.of_only_one(), scores);
            for (out, score) in out.chunks_exact_mut(self.n_classes).zip(scores) {
                out[0] = *score;
                scores_to_proba(out);
            }
        }
    }

    fn split_counts(&self) -> Vec<u64> {
        vec![0; LogisticRegression::n_features(self)]
    }

    fn validate(&self) -> Result<(), String> {
        LogisticRegression::validate(self)
    }
}

predict_inplace!(LogisticRegression);

/// Weights of the dataset count.
impl Fit<Array2<f64>, Array1<usize>, Error> for LogisticRegressionValidParams {
    type Object = LogisticRegression;

    fn fit(&self, dataset: &DatasetBase<Array2<f64>, Array1<usize>>) -> Result<LogisticRegression, Error> {
        let labels = dataset.targets.to_vec();
        let n_classes = labels::of_rows(dataset.records.dim(), &labels, self.n_classes)?;
        let weights = weights::of_rows(&dataset.weights.to_vec(), labels.len())?;
        let records = dataset.records.view();
        // Steps are taken in standardised columns, where they are of one size. A penalty in the columns' own units is
        // one that is larger by the square of the scale.
        let preparation = Preparation::fit(records, &weights, self.imputation, true);
        let penalty = |scale: &f64| if self.standardize { 1.0 } else { scale * scale };
        let penalties = preparation.scale().iter().map(penalty).collect();
        let rows = prepared(&preparation, records);
        self.fit_rows(rows, Some(preparation), penalties, &labels, weights, n_classes)
    }
}

/// Weights of the dataset count.
impl Fit<CsrMatrix, Array1<usize>, Error> for LogisticRegressionValidParams {
    type Object = LogisticRegression;

    fn fit(&self, dataset: &DatasetBase<CsrMatrix, Array1<usize>>) -> Result<LogisticRegression, Error> {
        if self.standardize {
            let got = "true".to_owned();
            return Err(Error::Parameter { name: "standardize", expected: "false for sparse rows", got });
        }
        let matrix = &dataset.records;
        let labels = dataset.targets.to_vec();
        let n_classes = labels::of_rows((matrix.n_rows(), matrix.n_columns()), &labels, self.n_classes)?;
        let weights = weights::of_rows(&dataset.weights.to_vec(), labels.len())?;
        let penalties = vec![1.0; matrix.n_columns()];
        self.fit_rows(Rows::Sparse(matrix), None, penalties, &labels, weights, n_classes)
    }
}

impl LogisticRegressionValidParams {
    fn fit_rows(
        &self,
        rows: Rows<'_>,
        preparation: Option<Preparation>,
        penalties: Vec<f64>,
        labels: &[usize],
        mut weights: Vec<f64>,
        n_classes: usize,
    ) -> Result<LogisticRegression, Error> {
        let factors = weights::of_classes(self.class_weight.as_ref(), labels, &weights, n_classes)?;
        weights.iter_mut().zip(labels).for_each(|(weight, &label)| *weight *= factors[label]);
        if weights.iter().all(|weight| *weight == 0.0) {
            return Err(Error::Weights { rows: labels.len() });
        }
        let (n_scores, threads) = (n_scores(n_classes), parallel::threads(self.n_jobs));
        let objective = Objective { rows, labels, weights, penalties, c: self.c, n_classes, n_scores, threads };
        let start = vec![0.0; objective.len()];
        let function = |point: &[f64], gradient: &mut [f64]| objective.evaluate(point, gradient);
        let lbfgs::Minimum { mut point, converged } = lbfgs::minimise(start, self.max_iter, self.tol, function);
        let intercepts = point.split_off(point.len() - n_scores);
        let scores = Scores::from_parts(intercepts, point);
        if scores.is_finite() {
            Ok(LogisticRegression { n_classes, preparation, scores, converged })
        } else {
            Err(Error::Overflow)
        }
    }
}

fn prepared(preparation: &Preparation, records: ArrayView2<'_, f64>) -> Rows<'static> {
    let mut values = Vec::with_capacity(records.len());
    records.rows().into_iter().for_each(|row| values.extend(preparation.row(row)));
    Rows::Dense { values, width: preparation.width() }
}
