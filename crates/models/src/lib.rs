//! Models of classification and regression: how they are fitted, stored and asked. The trainer and the gateway use this one
//! implementation, so a prediction served is the prediction evaluated, to the bit.
//!
//! | module | what it holds |
//! |---|---|
//! | [`table`], [`Target`] | rows of typed features, and what they are to be predicted as |
//! | [`learner`], [`estimator`] | any algorithm over typed features, unfitted and fitted |
//! | [`algorithm`] | which algorithms there are and how a pipeline file names them |
//! | [`constant`], [`linfa_tree`], [`forest`], [`boosting`] | one algorithm each, on linfa's `ParamGuard`, `Fit` and `PredictInplace` |
//! | [`linear`] | regression by weighted sums: least squares, ridge, lasso and elastic net |
//! | [`logistic`], [`svm`] | classifiers by weighted sums, on dense or sparse rows |
//! | [`forecast`] | time series: the next steps with their intervals, and how good they were |
//! | [`text`], [`sparse`] | texts as rows of TF-IDF weights, and the matrix that holds them |
//! | [`binning`], [`tree`] | what the tree algorithms share: histogram bins and the compact tree |
//! | [`model`] | a fitted model of any kind: probabilities, class or value, importances |
//! | [`parts`] | a model taken apart and put together, for exchange with other formats |
//! | [`shap`] | what each feature contributes to a prediction |
//! | [`artifact`] | a model as bytes and back |
//! | [`metrics`], [`bootstrap`], [`split`] | how good a model is, on which rows, and how sure that is |
//! | [`importance`], [`learning_curve`] | what a model relies on, and whether more rows would help |
//! | [`search`] | which parameters are best |
//!
//! Typed features are columns of a [`Table`]; a [`Learner`] fits them and an [`Estimator`] answers them, whatever the algorithm.
//! Within, a [`Model`] has features that are `f64`, where a missing value is `NaN`. Classes are indices `0..n_classes`; their names belong to the artifact's
//! metadata. Targets that are class indices make a classification, targets that are numbers a regression ([`Task`]).
//! Everything random is drawn from ChaCha8 streams of a given seed, and no result depends on the number of threads: the same
//! rows, parameters and seed give the same bytes.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod algorithm;
pub mod artifact;
pub mod binning;
pub mod boosting;
pub mod bootstrap;
pub mod constant;
pub mod error;
pub mod estimator;
pub mod forecast;
pub mod forest;
pub mod importance;
pub mod learner;
pub mod learning_curve;
pub mod linear;
pub mod linfa_tree;
pub mod logistic;
pub mod metrics;
pub mod model;
pub mod parts;
pub mod search;
pub mod shap;
pub mod sparse;
pub mod split;
pub mod svm;
pub mod table;
pub mod text;
pub mod tree;

mod category;
mod cut;
mod derived;
mod labels;
mod lbfgs;
mod parallel;
mod predictor;
mod preparation;
mod random;
mod scores;
mod sums;
mod target;
#[cfg(test)]
mod test_data;
mod training;
pub mod validation;
mod weights;

pub use algorithm::Algorithm;
pub use error::Error;
pub use estimator::Estimator;
pub use learner::{Learner, Progress};
pub use model::Model;
pub use predictor::Task;
pub use preparation::Imputation;
pub use table::{Column, FeatureKind, Table};
pub use target::Target;
pub use training::Targets;
pub use weights::ClassWeight;
