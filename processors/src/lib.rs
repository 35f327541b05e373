//! Stream processors: raw records become features, and what cannot become a dead letter with its reason; predictions,
//! dead letters and drift reports become tables; profiles become verdicts.
//!
//! Every processor is a [`driftmill_platform::stage::Stage`]: it turns a batch into inserts and records, and the runner makes them durable
//! before it enters the batch's offsets into the ledger.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod audit;
mod counting;
pub mod dead_letters;
pub mod drift;
pub mod expectations;
pub mod ingest;
pub mod rebuild;
mod references;
pub mod sinks;
pub mod trial;
