//! Profiles become verdicts: panes fill a tumbling window, a full window is compared with the reference of the model it
//! was counted against, and the verdict goes to `<pipeline>.drift`.

mod restore;
mod watch;
mod windows;

pub use windows::DriftWindows;
