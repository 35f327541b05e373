//! Contract and end-to-end tests, in one binary: against the embedded broker by default, against Apache Kafka and the
//! roles as separate processes with `DRIFTMILL_TEST_BROKER=kafka` (`make test-real`). ClickHouse is the real engine.
#![allow(missing_docs, clippy::unwrap_used)]

mod harness;

mod audit;
#[path = "../chaos/mod.rs"]
mod chaos;
mod contract_clickhouse;
mod contract_kafka;
mod contract_store;
mod dead_letters;
mod drift;
mod engine;
mod entry_points;
mod evaluation_data;
mod expectations;
mod files;
mod first_light;
mod gate;
mod guards;
mod membership;
mod object_store;
mod performance;
mod piping;
mod poison;
mod producing;
mod pushing;
mod rebalance;
mod rebuild;
mod replay;
mod rollout;
mod schedules;
mod schema_registry;
mod schemas;
mod search;
mod sources;
mod start_up;
mod testing;
mod typed;
