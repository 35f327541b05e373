//! The constant baseline: always the training data's class frequencies, whatever the features say.
//!
//! A model that is not better than this one has learnt nothing.

use linfa::ParamGuard;
use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::classifier::{Classifier, MAX_CLASSES, MAX_FEATURES, check_training, predict_inplace};

/// Checked parameters of [`Constant`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConstantValidParams {
    n_classes: Option<usize>,
}

/// Parameters of [`Constant`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConstantParams(ConstantValidParams);

impl ConstantParams {
    /// The number of classes; the largest label + 1 when not given.
    pub fn n_classes(mut self, n_classes: usize) -> Self {
        self.0.n_classes = Some(n_classes);
        self
    }
}

impl ParamGuard for ConstantParams {
    type Checked = ConstantValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&ConstantValidParams, Error> {
        Ok(&self.0)
    }

    fn check(self) -> Result<ConstantValidParams, Error> {
        Ok(self.0)
    }
}

impl Fit<Array2<f64>, Array1<usize>, Error> for ConstantValidParams {
    type Object = Constant;

    fn fit(&self, dataset: &DatasetBase<Array2<f64>, Array1<usize>>) -> Result<Constant, Error> {
        let n_classes = check_training("constant", dataset, self.n_classes, usize::MAX)?;
        let mut counts = vec![0_u64; n_classes];
        dataset.targets.iter().for_each(|&label| counts[label] += 1);
        let rows = dataset.targets.len() as f64;
        Ok(Constant {
            n_features: dataset.records.ncols(),
            probabilities: counts.into_iter().map(|count| count as f64 / rows).collect(),
        })
    }
}

/// The constant baseline. Its class is the most frequent one, the lowest index among equals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    n_features: usize,
    probabilities: Vec<f64>,
}

impl Constant {
    /// Default parameters.
    pub fn params() -> ConstantParams {
        ConstantParams::default()
    }
}

impl Classifier for Constant {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn n_classes(&self) -> usize {
        self.probabilities.len()
    }

    fn write_proba(&self, _row: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&self.probabilities);
    }

    fn split_counts(&self) -> Vec<u64> {
        vec![0; self.n_features]
    }

    fn validate(&self) -> Result<(), String> {
        if self.n_features > MAX_FEATURES || !(1..=MAX_CLASSES).contains(&self.probabilities.len()) {
            return Err("the number of features or classes is out of range".to_owned());
        }
        if self.probabilities.iter().any(|p| !(0.0..=1.0).contains(p)) {
            return Err("a probability is not between 0 and 1".to_owned());
        }
        Ok(())
    }
}

predict_inplace!(Constant);

#[cfg(test)]
mod tests {
    use linfa::Dataset;
    use linfa::traits::Predict;
    use ndarray::array;

    use super::*;

    #[test]
    fn it_answers_the_majority_class_and_the_lowest_on_a_tie() {
        let records = Array2::<f64>::zeros((4, 1));
        let fit = |targets| Constant::params().n_classes(3).fit(&Dataset::new(records.clone(), targets)).unwrap();
        assert_eq!(fit(array![1, 1, 0, 2]).predict(&array![[0.0], [9.0]]), array![1, 1]);
        assert_eq!(fit(array![2, 2, 1, 1]).predict(&array![[0.0]]), array![1]);
        assert_eq!(fit(array![1, 1, 0, 2]).probabilities, [0.25, 0.5, 0.25]);
    }

    #[test]
    fn unusable_training_data_is_named() {
        let fit = |rows, targets: Vec<usize>| {
            let dataset = Dataset::new(Array2::<f64>::zeros((rows, 1)), Array1::from(targets));
            Constant::params().n_classes(2).fit(&dataset).unwrap_err()
        };
        assert!(matches!(fit(0, vec![]), Error::NoRows));
        assert!(matches!(fit(2, vec![0]), Error::LengthMismatch { rows: 2, targets: 1 }));
        assert!(matches!(fit(2, vec![0, 2]), Error::LabelOutOfRange { row: 1, label: 2, n_classes: 2 }));
    }
}
