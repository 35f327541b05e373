//! What the tables hold of given offsets.

use std::collections::BTreeMap;

use clickhouse::Row;
use driftmill_platform::clickhouse::{ClickHouse, Error, FeatureTable, quote};
use driftmill_schemas::topic::Topics;
use serde::Deserialize;

use super::ranges::{self, Range};

/// Processed offsets of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
    /// Ranges that were lost, as entered: they may overlap.
    pub lost: Vec<Range>,
    /// Ranges without records, as entered.
    pub absent: Vec<Range>,
}

/// What was found of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Rows the view shows.
    pub rows: u64,
    /// Positions among them.
    pub positions: u64,
    /// Positions of dead letters.
    pub dead_letters: u64,
    /// Positions that are both.
    pub both: u64,
    /// Those of them that no replay made a row of.
    pub contradictions: u64,
}

#[derive(Row, Deserialize)]
struct BoundsRow {
    partition: i32,
    first: i64,
    reached: i64,
    lost: Vec<(i64, i64)>,
    absent: Vec<(i64, i64)>,
}

#[derive(Row, Deserialize)]
struct RowsRow {
    partition: i32,
    rows: u64,
    positions: u64,
    both: u64,
    contradictions: u64,
}

#[derive(Row, Deserialize)]
struct CountRow {
    partition: i32,
    count: u64,
}

#[derive(Row, Deserialize)]
struct GapRow {
    from: i64,
    to: i64,
}

/// What the ledger says was processed, from `from(partition)` on; partitions where that is nothing are left out.
pub async fn bounds(
    clickhouse: &ClickHouse,
    pipeline: &str,
    from: impl Fn(i32) -> Option<i64>,
) -> Result<Vec<Bounds>, Error> {
    let query = clickhouse
        .client()
        .query(
            "SELECT partition, min(from_offset) AS first, max(to_offset) AS reached, \
             arrayFlatten(groupArray(ledger.lost)) AS lost, arrayFlatten(groupArray(ledger.absent)) AS absent \
             FROM ledger WHERE stage = ? AND topic = ? GROUP BY partition ORDER BY partition",
        )
        .bind(format!("ingest.{pipeline}"))
        .bind(Topics::of(pipeline).raw);
    let rows = clickhouse.in_time("read the ledger", query.fetch_all::<BoundsRow>()).await?;
    let bounds = rows.into_iter().map(|row| Bounds {
        partition: row.partition,
        from: from(row.partition).unwrap_or(row.first).max(row.first),
        to: row.reached,
        lost: row.lost,
        absent: row.absent,
    });
    Ok(bounds.filter(|bounds| bounds.from < bounds.to).collect())
}

/// Counts rows and dead letters of the offsets, by partition.
///
/// A replay that is under way adds rows while this counts. Rows are therefore looked at once, and what was refused stays in
/// the table of dead letters: whatever a replay does meanwhile, a position counts as one or as the other. Its mark is there
/// before its row.
pub async fn count(
    clickhouse: &ClickHouse,
    pipeline: &str,
    bounds: &[Bounds],
) -> Result<BTreeMap<i32, Counted>, Error> {
    let features = quote(&FeatureTable::of(pipeline).view);
    let of_rows = condition(bounds, "_partition", "_offset");
    let (dead, begun) = (dead_positions(pipeline, bounds), begun_positions(pipeline, bounds));
    let rows = format!(
        "SELECT _partition AS partition, count() AS rows, uniqExact(_offset) AS positions, \
         uniqExactIf(_offset, (_partition, _offset) IN ({dead})) AS both, \
         uniqExactIf(_offset, (_partition, _offset) IN ({dead}) AND (_partition, _offset) NOT IN ({begun})) \
         AS contradictions FROM {features} WHERE {of_rows} GROUP BY partition"
    );
    let dead_letters = format!("SELECT partition, count() AS count FROM ({dead}) GROUP BY partition");
    let mut counted: BTreeMap<i32, Counted> = BTreeMap::new();
    for row in clickhouse.rows::<RowsRow>(&rows).await? {
        let RowsRow { partition, rows, positions, both, contradictions } = row;
        counted.insert(partition, Counted { rows, positions, both, contradictions, dead_letters: 0 });
    }
    for row in clickhouse.rows::<CountRow>(&dead_letters).await? {
        counted.entry(row.partition).or_default().dead_letters = row.count;
    }
    Ok(counted)
}

/// The offsets of one partition that left no trace, as ranges.
pub async fn missing(clickhouse: &ClickHouse, pipeline: &str, bounds: &Bounds) -> Result<Vec<Range>, Error> {
    let one = std::slice::from_ref(bounds);
    let features = quote(&FeatureTable::of(pipeline).view);
    let (of_rows, dead) = (condition(one, "_partition", "_offset"), dead_positions(pipeline, one));
    // Every known offset and the end, each with the known offset before it; where they are no neighbours, there is a gap.
    let gaps = format!(
        "SELECT before + 1 AS from, offset AS to FROM (\
           SELECT offset, lagInFrame(offset, 1, toInt64({first})) OVER (ORDER BY offset) AS before FROM (\
             SELECT _offset AS offset FROM {features} WHERE {of_rows} \
             UNION DISTINCT SELECT offset FROM ({dead}) UNION DISTINCT SELECT toInt64({end}) AS offset)) \
         WHERE offset > before + 1 ORDER BY from LIMIT 10000",
        first = bounds.from - 1,
        end = bounds.to,
    );
    let gaps: Vec<Range> = clickhouse.rows::<GapRow>(&gaps).await?.into_iter().map(|gap| (gap.from, gap.to)).collect();
    let gone = [bounds.lost.clone(), bounds.absent.clone()].concat();
    Ok(ranges::without(&gaps, &ranges::union(gone, (bounds.from, bounds.to))))
}

/// A query for the positions that dead letters are about.
fn dead_positions(pipeline: &str, bounds: &[Bounds]) -> String {
    format!(
        "SELECT DISTINCT origin_partition AS partition, origin_offset AS offset FROM {} WHERE origin_topic = '{}' AND ({})",
        quote(&format!("{pipeline}_dead_letters_rows")),
        Topics::of(pipeline).raw,
        condition(bounds, "origin_partition", "origin_offset"),
    )
}

/// A query for the positions at which a replay has made a row, or was about to.
fn begun_positions(pipeline: &str, bounds: &[Bounds]) -> String {
    format!(
        "SELECT DISTINCT origin_partition, origin_offset FROM {} WHERE {}",
        quote(&format!("{pipeline}_replays_rows")),
        condition(bounds, "origin_partition", "origin_offset"),
    )
}

/// An SQL condition for positions.
pub fn condition(bounds: &[Bounds], partition: &str, offset: &str) -> String {
    let one =
        |b: &Bounds| format!("({partition} = {} AND {offset} >= {} AND {offset} < {})", b.partition, b.from, b.to);
    bounds.iter().map(one).collect::<Vec<_>>().join(" OR ")
}
