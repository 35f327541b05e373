//! The gateway's behaviours, through its router and without any service: the registry, the stream and the trainer are
//! stand-ins, the models are real.

mod fixture;
mod hostile;
mod invocations;
mod iris;
mod loan;
mod log;
mod metadata;
mod own_api;
mod push;
mod rollout;
mod runs;
mod server;
mod swap;
mod system;
mod typed;
mod v2;
