//! Models as ONNX files, and models of others as ours.
//!
//! | module | what it holds |
//! |---|---|
//! | [`export()`] | an estimator as a graph that ONNX Runtime answers with the same numbers |
//! | [`import()`] | a graph as scikit-learn's models have it, as an estimator: served, explained and stored like one fitted here |
//!
//! An import is a translation, not an interpreter: operators are followed from the inputs to the outputs, what they do to a
//! column is folded into the model, and an operator that no model of ours stands for is refused by name. What leaves this
//! crate is an [`driftmill_models::Estimator`] that has been checked, whatever the bytes were.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod export;
mod import;
mod limits;
mod proto;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use export::{Names, export};
pub use import::{Imported, import};
