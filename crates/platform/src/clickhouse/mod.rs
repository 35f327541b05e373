//! ClickHouse over HTTP(S): queries, inserts that may be repeated, migrations, and the ledger of what was processed.

mod added;
mod client;
mod ledger;
mod migrate;
mod tables;

pub use added::first_fields;
pub use client::{ClickHouse, Error, InsertBody, quote};
pub use ledger::{Ledger, LedgerEntry};
pub use migrate::{Migration, migrate};
pub use tables::{FeatureTable, pipeline_migrations, platform_migrations};
