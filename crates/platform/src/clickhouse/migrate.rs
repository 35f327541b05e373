//! Versioned schema changes. Each statement may run twice, and two processes may start at once: every statement is
//! idempotent (`IF NOT EXISTS`), and a migration is recorded only after all of its statements.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::{ClickHouse, Error};

/// One step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Unique and never reused: `platform-001-registry`.
    pub id: String,
    /// Idempotent statements, in order.
    pub statements: Vec<String>,
}

#[derive(Row, Serialize, Deserialize)]
struct Applied {
    id: String,
}

/// Applies what is not applied yet. Safe to run from several processes at the same time.
pub async fn migrate(clickhouse: &ClickHouse, migrations: &[Migration]) -> Result<(), Error> {
    clickhouse
        .execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (id String, applied_at DateTime64(3) DEFAULT now64(3)) \
             ENGINE = ReplacingMergeTree ORDER BY id",
        )
        .await?;
    let applied = clickhouse.rows::<Applied>("SELECT DISTINCT id FROM schema_migrations").await?;
    for migration in migrations.iter().filter(|m| applied.iter().all(|a| a.id != m.id)) {
        for statement in &migration.statements {
            clickhouse.execute(statement).await?;
        }
        clickhouse.insert_rows("schema_migrations", &[Applied { id: migration.id.clone() }]).await?;
        info!(migration = migration.id, "applied");
    }
    Ok(())
}
