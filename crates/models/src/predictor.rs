//! What every fitted algorithm answers, and the checks all of them share.

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::shap::Ensemble;
use crate::{Error, parallel};

/// The most classes a model may have: bounds what a hostile label or artifact can make us allocate.
pub(crate) const MAX_CLASSES: usize = 65_536;
/// The most features a model may have.
pub(crate) const MAX_FEATURES: usize = 1 << 20;
/// Rows from which a model of trees shares them among threads: some thousands of microseconds, beside which the start of a
/// thread is little, and more than the gateway lets a request have unless a pipeline says otherwise (`serving.max_rows`), so
/// that the threads of requests do not multiply. Within [`parallel::map`] one thread does it all.
const SHARED_ROWS: usize = 16_384;
/// Rows predicted together: what they are predicted with stays in the cache while this many pass through it.
const BLOCK: usize = 64;

/// What a model answers for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// The probability of each class.
    Classification {
        /// Number of classes, which are the indices `0..n_classes`.
        n_classes: usize,
    },
    /// One number.
    Regression,
}

impl Task {
    /// Its name: `classification` or `regression`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classification { .. } => "classification",
            Self::Regression => "regression",
        }
    }

    /// How many numbers a model answers for a row: a probability per class, or one value.
    pub fn n_outputs(self) -> usize {
        match self {
            Self::Classification { n_classes } => n_classes,
            Self::Regression => 1,
        }
    }

    /// Whether a task that was read from outside is within the limits.
    pub(crate) fn validate(self) -> Result<(), String> {
        match self {
            Self::Classification { n_classes } if !(1..=MAX_CLASSES).contains(&n_classes) => {
                Err("the number of classes is out of range".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// A fitted model. Methods that write expect lengths that [`outputs_into`] and [`outputs`] have checked.
pub(crate) trait Predictor: Sync {
    fn n_features(&self) -> usize;
    fn task(&self) -> Task;

    /// Writes the probability of each class, or the value; `row` has `n_features` values, `out` a place per output.
    fn write_outputs(&self, row: &[f64], out: &mut [f64]);

    /// The same for consecutive rows. An override must add in the same order, so that the bits are the same.
    fn write_outputs_block(&self, rows: &[f64], out: &mut [f64]) {
        for (i, out) in out.chunks_exact_mut(self.task().n_outputs()).enumerate() {
            self.write_outputs(&rows[i * self.n_features()..][..self.n_features()], out);
        }
    }

    /// How many rows [`Self::write_outputs_block`] is best given at a time.
    fn block(&self) -> usize {
        BLOCK
    }

    /// How often each feature is used in a split; empty when the algorithm has no splits.
    fn split_counts(&self) -> Vec<u64>;

    /// The trees that make up the outputs (of boosting the scores), or `None` when the model is not of trees.
    fn ensemble(&self) -> Option<Ensemble<'_>> {
        None
    }

    /// Whether everything that comes from outside (a decoded artifact) is safe to predict with.
    fn validate(&self) -> Result<(), String>;
}

/// Checked [`Predictor::write_outputs`], without allocation.
pub(crate) fn outputs_into(model: &dyn Predictor, row: &[f64], out: &mut [f64]) -> Result<(), Error> {
    check_features(model, row.len())?;
    let expected = model.task().n_outputs();
    if out.len() != expected {
        return Err(Error::OutputLength { expected, got: out.len() });
    }
    model.write_outputs(row, out);
    Ok(())
}

/// Outputs of many rows: rows × outputs.
pub(crate) fn outputs(model: &dyn Predictor, records: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
    check_features(model, records.ncols())?;
    let threads = match model.ensemble() {
        Some(_) if records.nrows() >= SHARED_ROWS => parallel::threads(None),
        _ => 1,
    };
    outputs_on(threads, model, records)
}

/// So many threads give the same bits as one: every row is added up by itself.
fn outputs_on(threads: usize, model: &dyn Predictor, records: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
    let (rows, width) = (records.nrows(), model.task().n_outputs());
    let mut flat = vec![0.0; rows * width];
    let records = records.as_standard_layout();
    let records = records.as_slice().unwrap_or_default();
    let size = model.block().min(rows.div_ceil(threads)).max(1);
    let blocks: Vec<_> = flat.chunks_mut(size * width).map(Mutex::new).collect();
    parallel::map(
        blocks.len(),
        threads,
        || (),
        |(), block| {
            let mut out = blocks[block].lock().unwrap_or_else(PoisonError::into_inner);
            model.write_outputs_block(&records[block * size * model.n_features()..], &mut out);
        },
    );
    Array2::from_shape_vec((rows, width), flat).map_err(|error| Error::Linfa(error.into()))
}

/// Class of each row.
pub(crate) fn classes(model: &dyn Predictor, records: ArrayView2<'_, f64>) -> Result<Array1<usize>, Error> {
    check_classification(model, "classes")?;
    let proba = outputs(model, records)?;
    Ok(proba.rows().into_iter().map(|row| argmax(row.iter().copied())).collect())
}

/// Index of the largest value, the lowest among equals.
pub(crate) fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

/// Refuses to ask a regression for what only a classification has.
pub(crate) fn check_classification(model: &dyn Predictor, asked: &'static str) -> Result<(), Error> {
    match model.task() {
        Task::Classification { .. } => Ok(()),
        task => Err(Error::WrongTask { asked, task: task.name() }),
    }
}

/// Refuses to ask a classification for what only a regression has.
pub(crate) fn check_regression(model: &dyn Predictor, asked: &'static str) -> Result<(), Error> {
    match model.task() {
        Task::Regression => Ok(()),
        task => Err(Error::WrongTask { asked, task: task.name() }),
    }
}

fn check_features(model: &dyn Predictor, got: usize) -> Result<(), Error> {
    let expected = model.n_features();
    if got == expected { Ok(()) } else { Err(Error::FeatureCount { expected, got }) }
}

/// linfa's prediction trait, for classes. It has no error, so a matrix of the wrong width panics there, as linfa's own
/// models do, and so does a regression; [`crate::Model`] has the checked methods.
macro_rules! predict_inplace {
    ($model:ty) => {
        impl<D: ndarray::Data<Elem = f64>>
            linfa::traits::PredictInplace<ndarray::ArrayBase<D, ndarray::Ix2>, ndarray::Array1<usize>> for $model
        {
            fn predict_inplace(&self, x: &ndarray::ArrayBase<D, ndarray::Ix2>, y: &mut ndarray::Array1<usize>) {
                assert_eq!(x.nrows(), y.len(), "the number of rows must match the number of targets");
                match crate::predictor::classes(self, x.view()) {
                    Ok(classes) => y.assign(&classes),
                    Err(error) => panic!("{error}"),
                }
            }

            fn default_target(&self, x: &ndarray::ArrayBase<D, ndarray::Ix2>) -> ndarray::Array1<usize> {
                ndarray::Array1::zeros(x.nrows())
            }
        }
    };
}
pub(crate) use predict_inplace;
