//! The constant baseline: always the training data's class frequencies, or the mean of its values, whatever the features
//! say. Weights count.
//!
//! A model that is not better than this one has learnt nothing.

use linfa::ParamGuard;
use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::predictor::{MAX_FEATURES, Predictor, Task, predict_inplace};
use crate::shap::Ensemble;
use crate::training::{Targets, Training};

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

impl<T: Targets> Fit<Array2<f64>, T, Error> for ConstantValidParams {
    type Object = Constant;

    fn fit(&self, dataset: &DatasetBase<Array2<f64>, T>) -> Result<Constant, Error> {
        let training = Training::new(dataset, self.n_classes, None, usize::MAX)?;
        let mut sums = vec![0.0; training.task.n_outputs()];
        let mut all = 0.0;
        for (row, &target) in training.targets.iter().enumerate() {
            let weight = training.weight(row);
            all += weight;
            match training.task {
                Task::Classification { .. } => sums[target as usize] += weight,
                Task::Regression => sums[0] += weight * target,
            }
        }
        let outputs = sums.into_iter().map(|sum| sum / all).collect();
        Ok(Constant { n_features: dataset.records.ncols(), task: training.task, outputs })
    }
}

/// The constant baseline. Of a classification, its class is the most frequent one, the lowest index among equals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    n_features: usize,
    task: Task,
    /// The class frequencies, or the mean.
    outputs: Vec<f64>,
}

impl Constant {
    /// Default parameters.
    pub fn params() -> ConstantParams {
        ConstantParams::default()
    }

    /// The class frequencies, or the mean.
    pub fn outputs(&self) -> &[f64] {
        &self.outputs
    }

    /// Not checked.
    pub(crate) fn from_parts(n_features: usize, task: Task, outputs: Vec<f64>) -> Self {
        Self { n_features, task, outputs }
    }
}

impl Predictor for Constant {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn task(&self) -> Task {
        self.task
    }

    fn write_outputs(&self, _row: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&self.outputs);
    }

    fn split_counts(&self) -> Vec<u64> {
        vec![0; self.n_features]
    }

    fn ensemble(&self) -> Option<Ensemble<'_>> {
        Some(Ensemble { trees: &[], baseline: self.outputs.clone(), scale: 1.0 })
    }

    fn validate(&self) -> Result<(), String> {
        self.task.validate()?;
        if self.n_features > MAX_FEATURES || self.outputs.len() != self.task.n_outputs() {
            return Err("the number of features or outputs is out of range".to_owned());
        }
        let valid = match self.task {
            Task::Classification { .. } => self.outputs.iter().all(|p| (0.0..=1.0).contains(p)),
            Task::Regression => self.outputs.iter().all(|value| value.is_finite()),
        };
        if valid { Ok(()) } else { Err("a probability is not between 0 and 1, or a value not a number".to_owned()) }
    }
}

predict_inplace!(Constant);

#[cfg(test)]
mod tests {
    use linfa::Dataset;
    use linfa::traits::Predict;
    use ndarray::{Array1, array};

    use super::*;

    #[test]
    fn it_answers_the_majority_class_and_the_lowest_on_a_tie() {
        let records = Array2::<f64>::zeros((4, 1));
        let fit = |targets| Constant::params().n_classes(3).fit(&Dataset::new(records.clone(), targets)).unwrap();
        assert_eq!(fit(array![1, 1, 0, 2]).predict(&array![[0.0], [9.0]]), array![1, 1]);
        assert_eq!(fit(array![2, 2, 1, 1]).predict(&array![[0.0]]), array![1]);
        assert_eq!(fit(array![1, 1, 0, 2]).outputs, [0.25, 0.5, 0.25]);
    }

    #[test]
    fn weights_count_in_frequencies_and_means() {
        let dataset =
            Dataset::new(Array2::<f64>::zeros((3, 1)), array![0_usize, 1, 1]).with_weights(array![2.0, 1.0, 1.0]);
        assert_eq!(Constant::params().fit(&dataset).unwrap().outputs, [0.5, 0.5]);
        let dataset = Dataset::new(Array2::<f64>::zeros((3, 1)), array![1.0, 2.0, 6.0]);
        assert_eq!(Constant::params().fit(&dataset).unwrap().outputs, [3.0]);
        assert_eq!(Constant::params().fit(&dataset.with_weights(array![0.0, 3.0, 1.0])).unwrap().outputs, [3.0]);
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
