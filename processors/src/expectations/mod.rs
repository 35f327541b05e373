//! How each expectation fares, by windows of event time: `<pipeline>_expectations`.
//!
//! ```text
//! ledger: new offsets ─► windows their rows lie in ─► when one is over: counts of its rows and of what was refused
//!                                                       ─► judged ─► one result an expectation and window
//! ```
//! Results are counted from the tables, which hold every record once; so they are right after any crash, and are counted
//! again when late rows come into a window that was judged. Several processors write the same results.

mod count;
mod due;
mod judge;
mod watch;

pub use due::start as window_start;
pub use judge::{Counts, Kind, Outcome, Watched, judge, watched};
pub use watch::{ExpectationMetrics, watch};
