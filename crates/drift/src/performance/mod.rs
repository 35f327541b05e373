//! How well a model does: estimated from its probabilities before labels land, measured once they have.
//!
//! ```text
//! rows that judged the model ─► Calibrator (what its probabilities are worth; stored with the model)
//!                            └► Counts ─► Performance (the reference)                        │
//!                                                │                                           ▼
//! window, labels landed ─► Counts ─► Performance ┼──► judge: kept, worse, better     window, no labels
//!                                                │                                           │
//!                                                └◄── Performance (estimated) ◄── estimate ◄─┘
//! ```
//!
//! For classifiers the estimate is confidence-based (CBPE, an idea of NannyML's): a probability that means what it says tells
//! how likely the answer is right, so the probabilities of a window give the confusion matrix to expect of it. It sees inputs
//! move to where the model is less sure. It does **not** see concept drift: when the same inputs get other labels, the
//! probabilities stay as they were, and so does the estimate. Only [`measured`] performance shows that, which is why
//! [`error_of_estimate`] belongs in every report once labels land.
//!
//! For regressions a prediction carries no error of its own; [`loss`] keeps the usual error by decile of the prediction.
//!
//! All intervals are at confidence 1 − alpha, shares are 0–1, losses are in their own units. No randomness is used at all.

mod auc;
mod baseline;
pub mod calibrator;
mod curve;
pub mod error;
pub mod estimate;
pub mod exact;
pub mod figure;
mod isotonic;
pub mod judge;
mod logistic;
pub mod loss;
mod matrix;
pub mod measured;
pub mod probabilities;
mod temperature;
#[cfg(test)]
mod tests;

pub use baseline::Baseline;
pub use calibrator::Calibrator;
pub use error::Error;
pub use estimate::estimate;
pub use figure::{Figure, Metric, Performance, Source};
pub use judge::{EstimateError, Judgement, Rule, error_of_estimate, judge};
pub use loss::LossTable;
pub use measured::{ClassCounts, ValueCounts};
pub use probabilities::Probabilities;
