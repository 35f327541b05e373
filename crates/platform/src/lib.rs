//! What every stage stands on: Kafka, ClickHouse, the object store, the registry, configuration, telemetry, the
//! supervisor of tasks, the clock. Adapters are chosen once, by URL; nothing here knows whether an address is ours.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod backoff;
pub mod clickhouse;
pub mod clock;
pub mod config;
pub mod error;
pub mod kafka;
pub mod metrics;
pub mod registry;
pub mod schema_registry;
pub mod schemas;
pub mod stage;
pub mod store;
pub mod supervisor;
pub mod telemetry;
