//! Drift: the mathematics and the decisions, nothing else. No I/O, no clock, no randomness but from a seed.
//!
//! The life of the numbers:
//!
//! ```text
//! training columns ─► ReferenceProfile ─► Layout (bins ready to count into)
//!                                            │
//! live columns ─► Profile (integer counts) ─► Pane (named by its offsets) ─► PaneSet (a window; a replay replaces)
//!                                                                              │
//!                            evaluate(window, rejects, policy, history) ─► DriftReport (verdict, reasons, history)
//!                                                                              │
//!                                     decide_retrain(report, trainings, now) ─► RetrainDecision
//! ```
//!
//! Between windows [`detector`] looks at every pane, and [`calibration`] sets the level of the windowed test; both draw from the
//! history of a feature in blocks ([`resample`]).
//!
//! The reference is stored with the model, so its edges are fixed for a model version and merging profiles is addition:
//! panes of any partition in any order give the same bytes.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod between;
pub mod binner;
pub mod calibration;
pub mod chi2;
pub mod column;
mod compare;
pub mod detector;
mod edges;
pub mod evaluate;
pub mod fdr;
mod hashing;
pub mod history;
pub mod ks;
pub mod layout;
pub mod onset;
pub mod page;
pub mod pane;
pub mod performance;
pub mod policy;
pub mod profile;
pub mod proportion;
pub mod psi;
pub mod reference;
pub mod report;
pub mod resample;
pub mod retrain;
pub mod rollout;
#[cfg(test)]
mod testing;
pub mod units;
pub mod verdict;
pub mod window;
pub mod windowing;

pub use between::{Between, FeatureAlarm};
pub use evaluate::{Rejects, evaluate};
pub use layout::Layout;
pub use onset::Onset;
pub use pane::{Pane, PaneId, Stream};
pub use policy::Policy;
pub use profile::Profile;
pub use reference::{FeatureReference, ReferenceProfile, Values};
pub use report::{CellReport, DriftReport, FeatureReport};
pub use retrain::{RetrainDecision, decide_retrain};
pub use units::UnitChange;
pub use verdict::{History, Verdict};
pub use window::PaneSet;
pub use windowing::{Span, Windows};
