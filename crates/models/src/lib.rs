//! Models of classification and regression: how they are fitted, stored and asked. The trainer and the gateway use this one
//! implementation, so a prediction served is the prediction evaluated, to the bit.
//!
//! | module | what it holds |
//! |---|---|
//! | [`algorithm`] | which algorithms there are and how a pipeline file names them |
//! | [`constant`], [`linfa_tree`], [`forest`], [`boosting`] | one algorithm each, on linfa's `ParamGuard`, `Fit` and `PredictInplace` |
//! | [`binning`], [`tree`] | what the tree algorithms share: histogram bins and the compact tree |
//! | [`model`] | a fitted model of any kind: probabilities, class or value, importances |
//! | [`shap`] | what each feature contributes to a prediction |
//! | [`artifact`] | a model as bytes and back |
//! | [`metrics`], [`bootstrap`], [`split`] | how good a model is, on which rows, and how sure that is |
//!
//! Features are `f64`, a missing value is `NaN`. Classes are indices `0..n_classes`; their names belong to the artifact's
//! metadata. Targets that are class indices make a classification, targets that are numbers a regression ([`Task`]). Everything random is drawn from ChaCha8 streams of a given seed, and no result depends on the number of
//! threads: the same rows, parameters and seed give the same bytes.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod algorithm;
pub mod artifact;
pub mod binning;
pub mod boosting;
pub mod bootstrap;
pub mod constant;
pub mod error;
pub mod forest;
pub mod linfa_tree;
pub mod metrics;
pub mod model;
pub mod shap;
pub mod split;
pub mod tree;

mod category;
mod parallel;
mod predictor;
mod random;
#[cfg(test)]
mod test_data;
mod training;

pub use algorithm::Algorithm;
pub use error::Error;
pub use model::Model;
pub use predictor::Task;
pub use training::{ClassWeight, Targets};
