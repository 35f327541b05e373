//! The gateway: answers requests with the champion of each pipeline, logs every answer back into the stream, and
//! follows the registry, so that a new champion serves within milliseconds of its promotion; takes records that are pushed.
//!
//! ```text
//! request ─► front (id, time limit, metrics) ─► dialect: v2 │ contracts │ api ─► Rows ─► LoadedModel ─► Answer ─► response
//!                                                                                 ▲                      │
//! [models] ─► follower ─► registry ─► decode, compile, check ─► Slot ─────────────┘                      └─► [<p>.predictions]
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `server`, `router`, `front` | the process's side: listening, routes, what every request passes through |
//! | `v2`, `contracts`, `api`, `system` | one API surface each, with the error shape of its own |
//! | `model`, `slot`, `follower` | a model in memory, the place it is swapped in, and who swaps it |
//! | `push` | records that are pushed into a pipeline |
//! | `asked`, `answer`, `log` | predicting, and the log of what was predicted |
//! | `shadows` | a version that is compared with the one that serves |
//! | `runs` | wishes to train, and what became of trainings |
//! | `trainings`, `catalog` | the ports to the trainer and to the registry |
//! | `openapi` | the document of all of it |
//!
//! What a request sends is typed by the record schema of the serving model (see
//! [`driftmill_schemas::record::Value::from_json`]) and a name that is no field is refused with the nearest one. The
//! pipeline's expectations guard what is trained on and are not applied to requests: whoever asks about an odd record
//! gets an answer.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod api;
mod app;
mod asked;
mod body;
mod catalog;
mod contracts;
mod error;
mod fault;
mod follower;
mod front;
mod image_input;
mod invocations;
mod log;
mod meters;
mod model;
mod openapi;
mod params;
mod push;
mod request_id;
mod route;
mod router;
mod runs;
mod server;
mod shadows;
mod slot;
mod system;
mod topic_reader;
mod trainings;
mod v2;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use server::{GatewayOptions, serve};
