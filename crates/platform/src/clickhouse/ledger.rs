//! The ledger: which offsets a stage has finished. A range is entered after everything that came of it is acknowledged,
//! so a crash before the entry means doing it again at the same positions, which changes nothing.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{ClickHouse, Error};
use crate::kafka::{Coverage, Position, merged};

/// One finished range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The offsets.
    pub coverage: Coverage,
    /// Rows written for them.
    pub rows: u64,
    /// Dead letters written for them.
    pub rejected: u64,
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

/// Entries that become one.
#[derive(Row, Deserialize)]
struct Old {
    entries: u64,
    first: i64,
    reached: i64,
    rows: u64,
    rejected: u64,
    newest: i64,
    lost: Vec<(i64, i64)>,
    absent: Vec<(i64, i64)>,
    mark: u64,
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
            .map(|LedgerEntry { coverage, rows, rejected }| EntryRow {
                stage: self.stage.clone(),
                topic: coverage.range.topic.clone(),
                partition: coverage.range.partition,
                from_offset: coverage.range.from,
                to_offset: coverage.range.to,
                rows: *rows,
                rejected: *rejected,
                at: now,
                lost: coverage.lost.clone(),
                absent: coverage.absent.clone(),
                tail: coverage.tail.unwrap_or(NO_TAIL),
            })
            .collect();
        self.clickhouse.insert_rows("ledger", &rows).await
    }

    /// Makes one entry of all that were made before `before`, milliseconds since 1970 UTC: a ledger that only grew would be
    /// read for longer every day. The partition must be this process's own. What the entries say stays the same at every
    /// moment, but that, between the two steps, rows may be summed twice.
    pub async fn compact(&self, topic: &str, partition: i32, before: i64) -> Result<(), Error> {
        let old =
            "FROM ledger FINAL WHERE stage = ? AND topic = ? AND partition = ? AND at < fromUnixTimestamp64Milli(?)";
        let bound = |sql: &str| {
            let query = self.clickhouse.client().query(sql).bind(&self.stage).bind(topic).bind(partition);
            query.bind(before)
        };
        // An entry within the first one is what a crash left of those that it was made of.
        let sum = format!(
            "WITH old AS (SELECT * {old}), (SELECT argMin(to_offset, from_offset) FROM old) AS first_end, \
             (SELECT min(from_offset) FROM old) AS begin \
             SELECT count() AS entries, min(from_offset) AS first, max(to_offset) AS reached, \
             sumIf(old.rows, from_offset = begin OR from_offset >= first_end) AS rows, \
             sumIf(old.rejected, from_offset = begin OR from_offset >= first_end) AS rejected, \
             toUnixTimestamp64Milli(max(at)) AS newest, arrayFlatten(groupArray(old.lost)) AS lost, \
             arrayFlatten(groupArray(old.absent)) AS absent, argMax(tail, to_offset) AS mark FROM old"
        );
        let found = self.clickhouse.in_time("sum the ledger up", bound(&sum).fetch_one::<Old>()).await?;
        if found.entries < 2 {
            return Ok(());
        }
        let one = EntryRow {
            stage: self.stage.clone(),
            topic: topic.to_owned(),
            partition,
            from_offset: found.first,
            to_offset: found.reached,
            rows: found.rows,
            rejected: found.rejected,
            at: found.newest,
            lost: merged(found.lost),
            absent: merged(found.absent),
            tail: found.mark,
        };
        self.clickhouse.insert_rows("ledger", &[one]).await?;
        let delete = "DELETE FROM ledger WHERE stage = ? AND topic = ? AND partition = ? \
                      AND at < fromUnixTimestamp64Milli(?) AND from_offset > ?";
        self.clickhouse.in_time("thin the ledger out", bound(delete).bind(found.first).execute()).await
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

    /// Offsets of each partition of `topic` that are not entered yet, given the first offset it keeps and the next to come.
    pub async fn lag(&self, topic: &str, watermarks: &[(i64, i64)]) -> Result<Vec<i64>, Error> {
        let reached = self.rows(topic).await?;
        let next = |partition: i32| reached.iter().find(|row| row.partition == partition).map(|row| row.reached);
        Ok((0..).zip(watermarks).map(|(p, &(low, end))| (end - next(p).unwrap_or(low)).max(0)).collect())
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
