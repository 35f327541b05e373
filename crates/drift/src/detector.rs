//! The fast path: drift seen within tens of values, long before a window is full.
//!
//! ```text
//! reference counts ─► Scores: what a value of each bin says, whatever the feature's distribution
//!                        │
//! pane counts ───────────┴─► Sums ─► Cusum (4 numbers of state) ─► Alarm (direction, since when)
//!                                      │
//! history ─► calibrate (block bootstrap) ─► Calibration (thresholds, stored with the model)
//! ```
//!
//! Ranks make any distribution the normal one, so one detector serves all features. Its thresholds come from the feature's own
//! history, because streams autocorrelate and a reference is a sample, not the truth.

mod calibrate;
mod cusum;
mod scores;
#[cfg(test)]
mod tests;

pub use calibrate::{Calibration, Error, Settings, calibrate};
pub use cusum::{Alarm, Cusum, Direction, Limits, Side};
pub use scores::{Scores, Sums};
