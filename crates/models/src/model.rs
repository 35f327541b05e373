//! A fitted model of any algorithm. What the trainer evaluates and the gateway serves are calls of the same functions:
//! one row and a batch give the same bits.

use linfa::traits::PredictInplace;
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Data, Ix2};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::boosting::GradientBoosting;
use crate::constant::Constant;
use crate::forest::RandomForest;
use crate::linear::LinearRegression;
use crate::linfa_tree::DecisionTree;
use crate::logistic::LogisticRegression;
use crate::predictor::{self, Predictor, Task};
use crate::shap::Explainer;

/// A fitted classification or regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Model {
    /// The class frequencies or the mean, whatever the features.
    Constant(Constant),
    /// A single tree.
    DecisionTree(DecisionTree),
    /// A random forest.
    RandomForest(RandomForest),
    /// Gradient boosting.
    GradientBoosting(GradientBoosting),
    /// Logistic regression.
    LogisticRegression(LogisticRegression),
    /// A weighted sum: least squares, ridge, lasso or elastic net.
    LinearRegression(LinearRegression),
}

impl Model {
    /// The algorithm's name in a pipeline file, such as `random_forest`; `linear_regression` whatever its
    /// penalty.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Constant(_) => "constant",
            Self::DecisionTree(_) => "decision_tree",
            Self::RandomForest(_) => "random_forest",
            Self::GradientBoosting(_) => "gradient_boosting",
            Self::LogisticRegression(_) => "logistic_regression",
            Self::LinearRegression(_) => "linear_regression",
        }
    }

    /// Number of features a row must have.
    pub fn n_features(&self) -> usize {
        self.inner().n_features()
    }

    /// What the model answers: probabilities of classes, or a value.
    pub fn task(&self) -> Task {
        self.inner().task()
    }

    /// How many numbers [`Self::outputs_into`] writes for a row.
    pub fn n_outputs(&self) -> usize {
        self.task().n_outputs()
    }

    /// Number of classes; 0 for a regression.
    pub fn classes(&self) -> usize {
        match self.task() {
            Task::Classification { n_classes } => n_classes,
            Task::Regression => 0,
        }
    }

    /// Writes the probability of each class, or the value, into `out`, which must have [`Self::n_outputs`] places. Does
    /// not allocate.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] and [`Error::OutputLength`].
    pub fn outputs_into(&self, row: &[f64], out: &mut [f64]) -> Result<(), Error> {
        predictor::outputs_into(self.inner(), row, out)
    }

    /// Writes the probability of each class into `out`, which must have [`Self::classes`] places. Does not allocate.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] and [`Error::OutputLength`]; [`Error::WrongTask`] from a regression.
    pub fn predict_proba_into(&self, row: &[f64], out: &mut [f64]) -> Result<(), Error> {
        predictor::check_classification(self.inner(), "probabilities")?;
        self.outputs_into(row, out)
    }

    /// The probability of each class for each row: rows × classes.
    ///
    /// # Errors
    /// [`Error::FeatureCount`]; [`Error::WrongTask`] from a regression.
    pub fn predict_proba(&self, records: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
        predictor::check_classification(self.inner(), "probabilities")?;
        predictor::outputs(self.inner(), records)
    }

    /// The most probable class, the lowest index among equals.
    ///
    /// # Errors
    /// [`Error::FeatureCount`]; [`Error::WrongTask`] from a regression.
    pub fn predict(&self, row: &[f64]) -> Result<usize, Error> {
        predictor::check_classification(self.inner(), "classes")?;
        let mut proba = vec![0.0; self.n_outputs()];
        self.outputs_into(row, &mut proba)?;
        Ok(predictor::argmax(proba.into_iter()))
    }

    /// The most probable class of each row.
    ///
    /// # Errors
    /// [`Error::FeatureCount`]; [`Error::WrongTask`] from a regression.
    pub fn predict_batch(&self, records: ArrayView2<'_, f64>) -> Result<Array1<usize>, Error> {
        predictor::classes(self.inner(), records)
    }

    /// The value of a row, in the targets' unit. Does not allocate.
    ///
    /// # Errors
    /// [`Error::FeatureCount`]; [`Error::WrongTask`] from a classification.
    pub fn predict_value(&self, row: &[f64]) -> Result<f64, Error> {
        predictor::check_regression(self.inner(), "values")?;
        let mut value = [0.0];
        self.outputs_into(row, &mut value)?;
        Ok(value[0])
    }

    /// The value of each row.
    ///
    /// # Errors
    /// [`Error::FeatureCount`]; [`Error::WrongTask`] from a classification.
    pub fn predict_values(&self, records: ArrayView2<'_, f64>) -> Result<Array1<f64>, Error> {
        predictor::check_regression(self.inner(), "values")?;
        Ok(predictor::outputs(self.inner(), records)?.into_iter().collect())
    }

    /// The probability of each class, or the value, for each row: rows × outputs.
    ///
    /// # Errors
    /// [`Error::FeatureCount`].
    pub fn outputs(&self, records: ArrayView2<'_, f64>) -> Result<Array2<f64>, Error> {
        predictor::outputs(self.inner(), records)
    }

    /// Each feature's share of all splits, in order of the features; all zero when there are no splits.
    pub fn feature_importances(&self) -> Vec<f64> {
        let counts = self.inner().split_counts();
        let all = counts.iter().sum::<u64>().max(1) as f64;
        counts.into_iter().map(|count| count as f64 / all).collect()
    }

    /// Tells what each feature contributes to a prediction; best kept for all rows to explain.
    ///
    /// # Errors
    /// [`Error::Unexplained`] when the model is not of trees.
    pub fn explainer(&self) -> Result<Explainer<'_>, Error> {
        let unexplained = Error::Unexplained { algorithm: self.algorithm() };
        self.inner().ensemble().map(|ensemble| Explainer::new(self.n_features(), ensemble)).ok_or(unexplained)
    }

    /// Whether a decoded model is safe to predict with; the text says what is not.
    pub(crate) fn validate(&self) -> Result<(), String> {
        self.inner().validate()
    }

    fn inner(&self) -> &dyn Predictor {
        match self {
            Self::Constant(model) => model,
            Self::DecisionTree(model) => model,
            Self::RandomForest(model) => model,
            Self::GradientBoosting(model) => model,
            Self::LogisticRegression(model) => model,
            Self::LinearRegression(model) => model,
        }
    }
}

/// linfa's trait, for classes. It has no error: a matrix of the wrong width panics, as with linfa's own models, and so does
/// a regression.
impl<D: Data<Elem = f64>> PredictInplace<ArrayBase<D, Ix2>, Array1<usize>> for Model {
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array1<usize>) {
        match self {
            Self::Constant(model) => model.predict_inplace(x, y),
            Self::DecisionTree(model) => model.predict_inplace(x, y),
            Self::RandomForest(model) => model.predict_inplace(x, y),
            Self::GradientBoosting(model) => model.predict_inplace(x, y),
            Self::LogisticRegression(model) => model.predict_inplace(x, y),
            Self::LinearRegression(model) => model.predict_inplace(x, y),
        }
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<usize> {
        Array1::zeros(x.nrows())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::test_data;

    #[test]
    fn one_row_and_a_batch_give_the_same_bits() {
        for n_classes in [2, 3] {
            let dataset = test_data::gappy(300, n_classes);
            for model in test_data::one_of_each(&dataset) {
                let batch = model.predict_proba(dataset.records.view()).unwrap();
                let strided = model.predict_proba(dataset.records.t().to_owned().t()).unwrap();
                let classes = model.predict_batch(dataset.records.view()).unwrap();
                let mut out = vec![0.0; n_classes];
                for (index, row) in dataset.records.rows().into_iter().enumerate() {
                    model.predict_proba_into(row.as_slice().unwrap(), &mut out).unwrap();
                    let bits = |values: &mut dyn Iterator<Item = &f64>| values.map(|p| p.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&mut out.iter()), bits(&mut batch.row(index).iter()));
                    assert_eq!(bits(&mut out.iter()), bits(&mut strided.row(index).iter()));
                    assert!((out.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                    assert_eq!(model.predict(row.as_slice().unwrap()).unwrap(), classes[index]);
                }
            }
        }
    }

    #[test]
    fn one_value_and_a_batch_give_the_same_bits() {
        let dataset = test_data::curve(200, 1);
        for model in test_data::one_of_each_regression(&dataset) {
            let batch = model.predict_values(dataset.records.view()).unwrap();
            for (row, value) in dataset.records.rows().into_iter().zip(&batch) {
                assert_eq!(model.predict_value(row.as_slice().unwrap()).unwrap().to_bits(), value.to_bits());
            }
            assert_eq!((model.task(), model.n_outputs(), model.classes()), (Task::Regression, 1, 0));
        }
    }

    #[test]
    fn a_model_of_one_task_has_no_answers_of_the_other() {
        for model in test_data::one_of_each_regression(&test_data::curve(60, 1)) {
            let text = model.predict(&[0.0; 6]).unwrap_err().to_string();
            assert_eq!(text, "the model is a regression, which has no classes");
            assert!(matches!(model.predict_proba(Array2::zeros((1, 6)).view()), Err(Error::WrongTask { .. })));
            assert!(matches!(model.predict_proba_into(&[0.0; 6], &mut [0.0]), Err(Error::WrongTask { .. })));
            assert!(matches!(model.predict_batch(Array2::zeros((1, 6)).view()), Err(Error::WrongTask { .. })));
            assert!(matches!(model.predict_value(&[0.0]), Err(Error::FeatureCount { expected: 6, got: 1 })));
        }
        for model in test_data::one_of_each(&test_data::gappy(60, 2)) {
            let text = model.predict_value(&[0.0; 4]).unwrap_err().to_string();
            assert_eq!(text, "the model is a classification, which has no values");
            assert!(matches!(model.predict_values(Array2::zeros((1, 4)).view()), Err(Error::WrongTask { .. })));
        }
    }

    #[test]
    fn rows_and_buffers_of_the_wrong_length_are_errors() {
        let dataset = test_data::gappy(60, 2);
        for model in test_data::one_of_each(&dataset) {
            assert!(matches!(model.predict(&[1.0]), Err(Error::FeatureCount { expected: 4, got: 1 })));
            assert!(model.predict_proba(array![[1.0]].view()).is_err());
            assert!(matches!(
                model.predict_proba_into(&[0.0; 4], &mut [0.0; 3]),
                Err(Error::OutputLength { expected: 2, got: 3 })
            ));
            assert_eq!(model.predict_proba(Array2::zeros((0, 4)).view()).unwrap().dim(), (0, 2));
        }
    }

    #[test]
    fn importances_are_shares_of_the_splits() {
        let dataset = test_data::gappy(300, 2);
        for model in test_data::one_of_each(&dataset) {
            let importances = model.feature_importances();
            assert_eq!(importances.len(), 4);
            let expected = if ["constant", "logistic_regression"].contains(&model.algorithm()) { 0.0 } else { 1.0 };
            assert!((importances.iter().sum::<f64>() - expected).abs() < 1e-12);
            assert_eq!(importances[3], 0.0, "a constant feature is never split on");
        }
    }
}
