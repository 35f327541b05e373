//! One connection's worth of ClickHouse.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use clickhouse::{Client, Compression, Row, RowOwned, RowRead};
use url::{Host, Url};

use crate::config;
use crate::error::{Retry, Retryable};

/// A failed ClickHouse call.
#[derive(Debug, thiserror::Error)]
#[error("ClickHouse, {doing}: {error}")]
pub struct Error {
    /// What was being done.
    pub doing: String,
    /// The client's error, with the server's text.
    #[source]
    pub error: clickhouse::error::Error,
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        use clickhouse::error::Error as Fault;
        match &self.error {
            Fault::Network(_) | Fault::TimedOut => Retry::Later,
            Fault::BadResponse(text) => {
                // Codes that mean "not now": too many parts, queries or memory, read-only, network, replica busy, going down.
                const PASSING: [&str; 9] = [
                    "Code: 236",
                    "Code: 252",
                    "Code: 202",
                    "Code: 241",
                    "Code: 164",
                    "Code: 210",
                    "Code: 209",
                    "Code: 159",
                    "Code: 243",
                ];
                if PASSING.iter().any(|code| text.contains(code)) || !text.contains("Code: ") {
                    Retry::Later
                } else {
                    Retry::Never
                }
            }
            _ => Retry::Never,
        }
    }
}

/// How long the server may take for a statement of ours, none of which is heavy. One that hangs must not hold a stage.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long reading a whole table may take.
const LONG_PATIENCE: Duration = Duration::from_secs(1_800);

/// An encoded insert: one body becomes one block, so a repeat is recognised by its token.
#[derive(Debug, Clone)]
pub struct InsertBody {
    /// Target table, without the database.
    pub table: String,
    /// ClickHouse format of `body`: `ArrowStream`, `JSONEachRow`, …
    pub format: &'static str,
    /// The encoded rows.
    pub body: Bytes,
    /// Rows in it.
    pub rows: u64,
    /// Names exactly these rows: the same token with other rows would be dropped by the server in silence.
    pub token: String,
}

/// A client of one database. Clones share connections.
#[derive(Clone)]
pub struct ClickHouse {
    client: Client,
    database: String,
}

impl std::fmt::Debug for ClickHouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClickHouse").field("database", &self.database).finish_non_exhaustive()
    }
}

impl ClickHouse {
    /// A client; nothing is sent yet.
    pub fn new(settings: &config::ClickHouse) -> Self {
        let client = Client::default()
            .with_url(settings.url.as_str().trim_end_matches('/'))
            .with_user(&settings.user)
            .with_password(settings.password.reveal())
            .with_database(&settings.database)
            // On by default since 26.3, and an acknowledgement would then not mean that the rows are written.
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplicate", "1")
            .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
            // One body is one block, whatever its size: a repeat that were split in another way would not be recognised.
            .with_setting("max_insert_block_size", "100000000")
            .with_setting("min_insert_block_size_rows", "100000000")
            .with_setting("min_insert_block_size_bytes", "0")
            // By default the server looks for rows of a block that replace each other while it writes the block, which takes
            // longer than writing. A batch has none, and the views would not show them.
            .with_setting("optimize_on_insert", "0")
            .with_setting("input_format_parallel_parsing", "0")
            .with_setting("date_time_input_format", "best_effort");
        // A copy in memory is cheaper than what saves bytes.
        let client = if is_loopback(&settings.url) { client.with_compression(Compression::None) } else { client };
        Self { client, database: settings.database.clone() }
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The client underneath, for queries with parameters.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a statement without a result.
    pub async fn execute(&self, sql: &str) -> Result<(), Error> {
        self.in_time(sql, self.client.query_raw(sql).execute()).await
    }

    /// Rows of a query.
    pub async fn rows<T>(&self, sql: &str) -> Result<Vec<T>, Error>
    where
        T: RowOwned + RowRead,
    {
        self.in_time(sql, self.client.query_raw(sql).fetch_all::<T>()).await
    }

    /// The one row of a query.
    pub async fn row<T>(&self, sql: &str) -> Result<T, Error>
    where
        T: RowOwned + RowRead,
    {
        self.in_time(sql, self.client.query_raw(sql).fetch_one::<T>()).await
    }

    /// The result of a query in a ClickHouse format.
    pub async fn bytes(&self, sql: &str, format: &str) -> Result<Bytes, Error> {
        let mut cursor = self.client.query_raw(sql).fetch_bytes(format).map_err(failed(sql))?;
        let collected = tokio::time::timeout(LONG_PATIENCE, cursor.collect()).await;
        collected.unwrap_or(Err(clickhouse::error::Error::TimedOut)).map_err(failed(sql))
    }

    /// Awaits a query of the client underneath, no longer than is sensible for `doing`.
    pub async fn in_time<T>(
        &self,
        doing: &str,
        query: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, Error> {
        let answer = tokio::time::timeout(PATIENCE, query).await;
        answer.unwrap_or(Err(clickhouse::error::Error::TimedOut)).map_err(failed(doing))
    }

    /// The active parts of that one of `tables` which has the most of them in one partition.
    pub async fn most_active_parts(&self, tables: &[&str]) -> Result<u64, Error> {
        let query = self
            .client
            .query(
                "SELECT max(parts) FROM (SELECT count() AS parts FROM system.parts \
                 WHERE active AND database = currentDatabase() AND table IN ? GROUP BY table, partition_id)",
            )
            .bind(tables);
        self.in_time("count parts", query.fetch_one::<u64>()).await
    }

    /// Inserts rows of `T` in one block.
    pub async fn insert_rows<T>(&self, table: &str, rows: &[T]) -> Result<(), Error>
    where
        T: Row + serde::Serialize + for<'a> clickhouse::RowWrite,
        for<'a> T: Row<Value<'a> = T>,
    {
        let doing = || failed(&format!("insert into {table}"));
        let mut insert =
            self.client.insert::<T>(table).await.map_err(doing())?.with_timeouts(Some(PATIENCE), Some(PATIENCE));
        for row in rows {
            insert.write(row).await.map_err(doing())?;
        }
        insert.end().await.map_err(doing())
    }

    /// Sends an encoded body. When the outcome is unknown, the same body may be sent again: its token makes the server
    /// keep it once.
    pub async fn insert(&self, insert: &InsertBody) -> Result<(), Error> {
        let sql = format!("INSERT INTO {} FORMAT {}", quote(&insert.table), insert.format);
        let doing = || failed(&sql);
        let mut request = self
            .client
            .insert_formatted_with(sql.clone())
            .with_setting("insert_deduplication_token", insert.token.clone())
            .with_timeouts(Some(PATIENCE), Some(2 * PATIENCE));
        request.send(insert.body.clone()).await.map_err(doing())?;
        request.end().await.map_err(doing())
    }
}

/// An identifier in backticks.
pub fn quote(identifier: &str) -> String {
    format!("`{}`", identifier.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A text in single quotes.
pub fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn failed(doing: &str) -> impl FnOnce(clickhouse::error::Error) -> Error + use<> {
    let doing: String = doing.chars().take(120).collect();
    move |error| Error { doing, error }
}
