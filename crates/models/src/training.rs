//! A training set as the algorithms read it: checked, in plain numbers, without the rows that weigh nothing.

use linfa::dataset::DatasetBase;
use ndarray::{Array1, Array2, Axis, CowArray, Ix2};

use crate::predictor::{MAX_FEATURES, Task};
use crate::weights::WEIGHT_LIMIT;
use crate::{ClassWeight, Error, category, labels};

/// Largest target: squares of sums of its products with weights stay finite.
const TARGET_LIMIT: f64 = 1e60;

mod sealed {
    pub trait Sealed {}
    impl Sealed for ndarray::Array1<usize> {}
    impl Sealed for ndarray::Array1<f64> {}
}

/// Targets that a model can be fitted to: class indices make it a classification, numbers a regression.
pub trait Targets: sealed::Sealed {
    /// The task, and every target as a number. `n_classes` is the largest label + 1 when not declared.
    ///
    /// # Errors
    /// [`Error::LabelOutOfRange`], [`Error::TooMany`] and [`Error::TargetOutOfRange`].
    fn read(&self, n_classes: Option<usize>) -> Result<(Task, Vec<f64>), Error>;
}

impl Targets for Array1<usize> {
    fn read(&self, n_classes: Option<usize>) -> Result<(Task, Vec<f64>), Error> {
        let n_classes = labels::n_classes(self.as_slice().unwrap_or(&self.to_vec()), n_classes)?;
        Ok((Task::Classification { n_classes }, self.iter().map(|&label| label as f64).collect()))
    }
}

impl Targets for Array1<f64> {
    fn read(&self, _: Option<usize>) -> Result<(Task, Vec<f64>), Error> {
        match self.iter().enumerate().find(|(_, target)| !(-TARGET_LIMIT..=TARGET_LIMIT).contains(*target)) {
            Some((row, &target)) => Err(Error::TargetOutOfRange { row, target }),
            None => Ok((Task::Regression, self.to_vec())),
        }
    }
}

/// Rows to learn from, each with a weight above 0.
pub(crate) struct Training<'a> {
    pub records: CowArray<'a, f64, Ix2>,
    /// The value, or the class as a number.
    pub targets: Vec<f64>,
    /// A weight per row, or none when all weigh the same 1.
    pub weights: Vec<f64>,
    pub task: Task,
    /// Rows of the dataset, with those left out.
    pub rows_given: usize,
    /// Which of them these rows are, where some were left out.
    kept: Option<Vec<usize>>,
}

impl<'a> Training<'a> {
    /// Checks a dataset and multiplies its weights with those of the classes. A row of weight 0 is left out, as if it
    /// were not there.
    pub fn new<T: Targets>(
        dataset: &'a DatasetBase<Array2<f64>, T>,
        n_classes: Option<usize>,
        class_weight: Option<&ClassWeight>,
        row_limit: usize,
    ) -> Result<Self, Error> {
        let (rows, features) = dataset.records.dim();
        if rows == 0 {
            return Err(Error::NoRows);
        }
        if rows > row_limit {
            return Err(Error::TooManyRows { rows, limit: row_limit });
        }
        if features > MAX_FEATURES {
            return Err(Error::TooMany { what: "features", got: features, limit: MAX_FEATURES });
        }
        let (task, targets) = dataset.targets.read(n_classes)?;
        if rows != targets.len() {
            return Err(Error::LengthMismatch { rows, targets: targets.len() });
        }
        let weights = weights(&dataset.weights, &targets, class_weight, task)?;
        let records = CowArray::from(dataset.records.view());
        let all = Self { records, targets, weights, task, rows_given: rows, kept: None };
        all.without_weightless()
    }

    fn without_weightless(self) -> Result<Self, Error> {
        if self.weights.iter().all(|weight| *weight > 0.0) {
            return Ok(self);
        }
        let kept: Vec<usize> = (0..self.targets.len()).filter(|&row| self.weights[row] > 0.0).collect();
        if kept.is_empty() {
            return Err(Error::NoWeight);
        }
        Ok(Self {
            records: CowArray::from(self.records.select(Axis(0), &kept)),
            targets: kept.iter().map(|&row| self.targets[row]).collect(),
            weights: kept.iter().map(|&row| self.weights[row]).collect(),
            task: self.task,
            rows_given: self.rows_given,
            kept: Some(kept),
        })
    }

    /// The number of a row in the dataset.
    pub fn row_given(&self, row: usize) -> usize {
        self.kept.as_ref().map_or(row, |kept| kept[row])
    }

    /// Whether these features exist and hold codes of categories: whole numbers up to 255, missing values or negative ones,
    /// which count as missing.
    pub fn check_categories(&self, features: &[usize]) -> Result<(), Error> {
        let n_features = self.records.ncols();
        for &feature in features {
            if feature >= n_features {
                return Err(Error::FeatureIndex { parameter: "categorical_features", feature, n_features });
            }
            let wrong = |value: &f64| *value >= 0.0 && category::code(*value).is_none();
            if let Some((row, &value)) = self.records.column(feature).iter().enumerate().find(|(_, value)| wrong(value))
            {
                return Err(Error::Category { row, feature, value });
            }
        }
        Ok(())
    }

    /// The weighted mean of the targets.
    pub fn mean(&self) -> f64 {
        let (mut sum, mut all) = (0.0, 0.0);
        for (row, target) in self.targets.iter().enumerate() {
            sum += self.weight(row) * target;
            all += self.weight(row);
        }
        sum / all
    }

    /// The weight of a row.
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.get(row).copied().unwrap_or(1.0)
    }
}

/// The product of sample and class weight of each row; none when every product is 1.
fn weights(
    given: &Array1<f32>,
    targets: &[f64],
    class_weight: Option<&ClassWeight>,
    task: Task,
) -> Result<Vec<f64>, Error> {
    if given.is_empty() && class_weight.is_none() {
        return Ok(Vec::new());
    }
    let mut weights = vec![1.0; targets.len()];
    if !given.is_empty() {
        if given.len() != targets.len() {
            return Err(Error::WeightCount { rows: targets.len(), weights: given.len() });
        }
        if let Some((row, &weight)) =
            given.iter().enumerate().find(|(_, weight)| !(0.0..=WEIGHT_LIMIT).contains(&f64::from(**weight)))
        {
            return Err(Error::Weight { row, weight: f64::from(weight) });
        }
        weights = given.iter().map(|&weight| f64::from(weight)).collect();
    }
    if let Some(class_weight) = class_weight {
        let Task::Classification { n_classes } = task else {
            return Err(Error::Conflict { parameter: "class_weight", with: "regression" });
        };
        let labels: Vec<usize> = targets.iter().map(|&label| label as usize).collect();
        let by_class = class_weight.factors(&labels, &vec![1.0; labels.len()], n_classes)?;
        weights.iter_mut().zip(labels).for_each(|(weight, label)| *weight *= by_class[label]);
    }
    // Weights that differ from none in nothing must not cost anything, nor change a bit of the model.
    Ok(if weights.iter().all(|weight| *weight == 1.0) { Vec::new() } else { weights })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use linfa::Dataset;
    use ndarray::array;

    use super::*;

    fn read(weights: Vec<f32>, class_weight: Option<&ClassWeight>) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let dataset = Dataset::new(Array2::zeros((4, 1)), array![0_usize, 1, 1, 1]).with_weights(Array1::from(weights));
        Training::new(&dataset, None, class_weight, 100).map(|training| (training.targets, training.weights))
    }

    #[test]
    fn weights_multiply_with_those_of_the_classes() {
        let (_, weights) = read(vec![1.0, 1.0, 2.0, 0.5], Some(&ClassWeight::Balanced)).unwrap();
        assert_eq!(weights, [2.0, 2.0 / 3.0, 4.0 / 3.0, 1.0 / 3.0]);
        let (_, weights) = read(vec![], Some(&ClassWeight::Given(BTreeMap::from([(1, 3.0)])))).unwrap();
        assert_eq!(weights, [1.0, 3.0, 3.0, 3.0]);
    }

    #[test]
    fn rows_without_weight_are_left_out_and_weights_of_one_are_none() {
        assert_eq!(read(vec![0.0, 2.0, 0.0, 3.0], None).unwrap(), (vec![1.0, 1.0], vec![2.0, 3.0]));
        assert!(read(vec![1.0; 4], None).unwrap().1.is_empty());
        assert!(matches!(read(vec![0.0; 4], None), Err(Error::NoWeight)));
    }

    #[test]
    fn weights_and_targets_that_are_no_numbers_are_named() {
        assert!(matches!(read(vec![1.0, -1.0, 1.0, 1.0], None), Err(Error::Weight { row: 1, .. })));
        assert!(matches!(read(vec![1.0, 1.0, 1.0, f32::NAN], None), Err(Error::Weight { row: 3, .. })));
        assert!(matches!(read(vec![1.0, 1.0, 1e31, 1.0], None), Err(Error::Weight { row: 2, .. })));
        assert!(matches!(read(vec![1.0], None), Err(Error::WeightCount { rows: 4, weights: 1 })));
        let dataset = Dataset::new(Array2::zeros((2, 1)), array![0.0, f64::INFINITY]);
        assert!(matches!(Training::new(&dataset, None, None, 9), Err(Error::TargetOutOfRange { row: 1, .. })));
        let dataset = Dataset::new(Array2::zeros((2, 1)), array![0.0, 1.0]);
        let dates = Dataset::new(array![[-2.0, 0.0], [7.0, 20_261.0]], array![0.0, 1.0]);
        let dates = Training::new(&dates, None, None, 9).unwrap();
        assert!(dates.check_categories(&[0]).is_ok());
        assert!(matches!(dates.check_categories(&[0, 1]), Err(Error::Category { row: 1, feature: 1, .. })));
        assert!(matches!(dates.check_categories(&[2]), Err(Error::FeatureIndex { feature: 2, n_features: 2, .. })));
        let balanced = Training::new(&dataset, None, Some(&ClassWeight::Balanced), 9);
        assert!(matches!(balanced, Err(Error::Conflict { parameter: "class_weight", .. })));
    }
}
