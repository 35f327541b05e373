//! The shared language of Driftmill: the pipeline file, the record schema and its framings, topic names and the control
//! messages stages exchange. Nothing here performs I/O.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod message;
pub mod model;
pub mod name;
pub mod pipeline;
pub mod record;
pub mod topic;
