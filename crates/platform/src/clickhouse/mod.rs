//! ClickHouse over HTTP(S): queries, inserts that may be repeated, migrations, and the ledger of what was processed.

mod added;
mod claim;
mod client;
mod feature_table;
mod ledger;
mod migrate;
mod runs;
mod tables;
mod versions;

pub use added::first_fields;
pub use claim::Claim;
pub use client::{ClickHouse, Error, InsertBody, quote, quote_text};
pub use feature_table::FeatureTable;
pub use ledger::{Ledger, LedgerEntry};
pub use migrate::{Migration, migrate};
pub use tables::{pipeline_migrations, platform_migrations};
pub use versions::{FeatureVersion, Offsets, covers, told, union};
