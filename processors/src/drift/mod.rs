//! Profiles become verdicts: panes fill windows, a window that ends is compared with the reference of the model it was counted
//! against, and the verdict goes to `<pipeline>.drift`; between windows, detectors raise alarms.

mod history;
mod policy;
mod rehearsal;
mod restore;
mod watch;
mod windows;

pub use history::{Error as HistoryError, Seen, StoredPane, read as read_history};
pub use policy::{policy, retraining, span};
pub use rehearsal::{Moment, Rehearsal};
pub use watch::Error as WatchError;
pub use windows::DriftWindows;
