//! What every fitted algorithm answers, and the checks all of them share.

use linfa::dataset::DatasetBase;
use ndarray::{Array1, Array2, ArrayView2};

use crate::Error;

/// The most classes a model may have: bounds what a hostile label or artifact can make us allocate.
pub(crate) const MAX_CLASSES: usize = 65_536;
/// The most features a model may have.
pub(crate) const MAX_FEATURES: usize = 1 << 20;
/// Rows predicted together: one tree stays in the cache while this many rows pass through it.
const BLOCK: usize = 64;

/// A fitted classifier. Methods that write expect lengths that [`proba_into`] and [`proba`] have checked.
pub(crate) trait Classifier {
    fn n_features(&self) -> usize;
    fn n_classes(&self) -> usize;

    /// Writes the probability of each class; `row` has `n_features` values, `out` `n_classes` places.
    fn write_proba(&self, row: &[f64], out: &mut [f64]);

    /// The same for consecutive rows. An override must add in the same order, so that the bits are the same.
    fn write_proba_block(&self, rows: &[f64], out: &mut [f64]) {
        for (i, out) in out.chunks_exact_mut(self.n_classes()).enumerate() {
            self.write_proba(&rows[i * self.n_features()..][..self.n_features()], out);
        }
    }

    /// How often each feature is used in a split; empty when the algorithm has no splits.
    fn split_counts(&self) -> Vec<u64>;

    /// Whether everything that comes from outside (a decoded artifact) is safe to predict with.
    fn validate(&self) -> Result<(), String>;
}

/// Checked [`Classifier::write_proba`], without allocation.
pub(crate) fn proba_into(model: &dyn Classifier, row: &[f64], out: &mut [f64]) -> Result<(), Error> {
    check_features(model, row.len())?;
    if out.len() != model.n_classes() {
        return Err(Error::OutputLength { expected: model.n_classes(), got: out.len() });
    }
    model.write_proba(row, out);
    Ok(())
}

/// Probabilities of many rows: rows × classes.
pub(crate) fn proba(model: &dyn Classifier, records: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
    check_features(model, records.ncols())?;
    let (rows, classes) = (records.nrows(), model.n_classes());
    let mut flat = vec![0.0; rows * classes];
    let records = records.as_standard_layout();
    let records = records.as_slice().unwrap_or_default();
    for (block, out) in flat.chunks_mut(BLOCK * classes).enumerate() {
        model.write_proba_block(&records[block * BLOCK * model.n_features()..], out);
    }
    Array2::from_shape_vec((rows, classes), flat).map_err(|error| Error::Linfa(error.into()))
}

/// Class of each row.
pub(crate) fn classes(model: &dyn Classifier, records: ArrayView2<'_, f64>) -> Result<Array1<usize>, Error> {
    let proba = proba(model, records)?;
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

fn check_features(model: &dyn Classifier, got: usize) -> Result<(), Error> {
    let expected = model.n_features();
    if got == expected { Ok(()) } else { Err(Error::FeatureCount { expected, got }) }
}

/// Checks a training set and returns its number of classes: the declared one, else the largest label + 1.
pub(crate) fn check_training(
    algorithm: &'static str,
    dataset: &DatasetBase<Array2<f64>, Array1<usize>>,
    declared: Option<usize>,
    row_limit: usize,
) -> Result<usize, Error> {
    let (rows, features) = dataset.records.dim();
    let targets = &dataset.targets;
    if rows == 0 {
        return Err(Error::NoRows);
    }
    if rows != targets.len() {
        return Err(Error::LengthMismatch { rows, targets: targets.len() });
    }
    if rows > row_limit {
        return Err(Error::TooManyRows { rows, limit: row_limit });
    }
    if features > MAX_FEATURES {
        return Err(Error::TooMany { what: "features", got: features, limit: MAX_FEATURES });
    }
    if !dataset.weights.is_empty() {
        return Err(Error::WeightsUnsupported { algorithm });
    }
    let n_classes = declared.unwrap_or_else(|| targets.iter().max().map_or(0, |label| label.saturating_add(1)));
    if n_classes > MAX_CLASSES {
        return Err(Error::TooMany { what: "classes", got: n_classes, limit: MAX_CLASSES });
    }
    match targets.iter().enumerate().find(|(_, label)| **label >= n_classes) {
        Some((row, &label)) => Err(Error::LabelOutOfRange { row, label, n_classes }),
        None => Ok(n_classes),
    }
}

/// linfa's prediction trait. It has no error, so a matrix of the wrong width panics there, as linfa's own models do;
/// [`crate::Model`] has the checked methods.
macro_rules! predict_inplace {
    ($model:ty) => {
        impl<D: ndarray::Data<Elem = f64>>
            linfa::traits::PredictInplace<ndarray::ArrayBase<D, ndarray::Ix2>, ndarray::Array1<usize>> for $model
        {
            fn predict_inplace(&self, x: &ndarray::ArrayBase<D, ndarray::Ix2>, y: &mut ndarray::Array1<usize>) {
                assert_eq!(x.nrows(), y.len(), "the number of rows must match the number of targets");
                match crate::classifier::classes(self, x.view()) {
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
