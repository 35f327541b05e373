//! The infrastructure Driftmill brings along: a Kafka-protocol broker that runs in this process, and the ClickHouse
//! engine that runs in a child process. Nothing else in the workspace knows how either of them is made: everybody
//! speaks the Kafka protocol and ClickHouse's HTTP interface to an address, and whether that address is ours is decided
//! where a profile is read.
//!
//! ```text
//! DataDir::acquire(path)          one owner per folder, or a sentence naming the owner
//!   ├─ EmbeddedBroker::start      thread with its own runtime ── 127.0.0.1:PORT ── <path>/broker/segments/
//!   └─ EmbeddedEngine::start      child process, libchdb.so ──── http://127.0.0.1:PORT ── <path>/clickhouse/
//! ```
//!
//! Both listen on the loopback interface only. Stop their clients first, then them.

#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(feature = "broker")]
pub mod broker;
pub mod engine;
mod files;
pub mod lock;
mod processes;

#[cfg(feature = "broker")]
pub use broker::{BrokerOptions, BrokerStorage, Durability, EmbeddedBroker};
pub use engine::{EmbeddedEngine, EngineOptions};
pub use lock::DataDir;
