//! The ledger: which offsets a stage has finished. A range is entered after everything that came of it is acknowledged,
//! so a crash before the entry means doing it again at the same positions, which changes nothing.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{ClickHouse, Error};
use crate::kafka::{OffsetRange, Position};

/// One finished range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The offsets.
    pub range: OffsetRange,
    /// Rows written for them.
    pub rows: u64,
    /// Dead letters written for them.
    pub rejected: u64,
    /// Offsets, half-open, that the broker deleted before they were read.
    pub lost: Vec<(i64, i64)>,
    /// Offsets, half-open, at which there is no record: markers of transactions, or what compaction took.
    pub absent: Vec<(i64, i64)>,
    /// Names the last message, see [`mark`](crate::kafka::mark).
    pub tail: Option<u64>,
}

#[derive(Row, Serialize, Deserialize)]
struct EntryRow {
    stage: String,
    topic: String,
    partition: i32,
    from_offset: i64,
    to_offset: i64,
    rows: u64,
    rejected: u64,
    at: i64,
    lost: Vec<(i64, i64)>,
    absent: Vec<(i64, i64)>,
    tail: u64,
}

#[derive(Row, Deserialize)]
struct Reached {
    partition: i32,
    reached: i64,
    mark: u64,
}

/// Stands for "no mark" in the table; a real one is it once in 2^64.
const NO_TAIL: u64 = 0;

/// The ledger of one stage.
#[derive(Debug, Clone)]
pub struct Ledger {
    clickhouse: ClickHouse,
    stage: String,
}

impl Ledger {
    /// The ledger of `stage`.
    pub fn new(clickhouse: ClickHouse, stage: impl Into<String>) -> Self {
        Self { clickhouse, stage: stage.into() }
    }

    /// Enters finished ranges; `now` is milliseconds since 1970 UTC.
    pub async fn enter(&self, entries: &[LedgerEntry], now: i64) -> Result<(), Error> {
        let rows: Vec<EntryRow> = entries
            .iter()
            .map(|entry| EntryRow {
                stage: self.stage.clone(),
                topic: entry.range.topic.clone(),
                partition: entry.range.partition,
                from_offset: entry.range.from,
                to_offset: entry.range.to,
                rows: entry.rows,
                rejected: entry.rejected,
                at: now,
                lost: entry.lost.clone(),
                absent: entry.absent.clone(),
                tail: entry.tail.unwrap_or(NO_TAIL),
            })
            .collect();
        self.clickhouse.insert_rows("ledger", &rows).await
    }

    /// Where to resume in each of `partitions`: after what is entered, or at the beginning.
    pub async fn resume(&self, topic: &str, partitions: &[i32]) -> Result<Vec<Position>, Error> {
        let reached = self.rows(topic).await?;
        Ok(partitions
            .iter()
            .map(|partition| match reached.iter().find(|row| row.partition == *partition) {
                Some(row) if row.mark == NO_TAIL => Position::At(row.reached),
                Some(row) => Position::After { next: row.reached, mark: row.mark },
                None => Position::Beginning,
            })
            .collect())
    }

    /// Next offset of every partition of `topic` that has an entry.
    pub async fn reached(&self, topic: &str) -> Result<Vec<(i32, i64)>, Error> {
        Ok(self.rows(topic).await?.into_iter().map(|row| (row.partition, row.reached)).collect())
    }

    async fn rows(&self, topic: &str) -> Result<Vec<Reached>, Error> {
        // The column's own name again would be taken for the aggregate.
        let query = self
            .clickhouse
            .client()
            .query(
                "SELECT partition, max(ledger.to_offset) AS reached, argMax(ledger.tail, ledger.to_offset) AS mark \
                 FROM ledger WHERE stage = ? AND topic = ? GROUP BY partition ORDER BY partition",
            )
            .bind(&self.stage)
            .bind(topic);
        self.clickhouse.in_time("read the ledger", query.fetch_all::<Reached>()).await
    }
}
