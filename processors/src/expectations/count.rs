//! What the tables hold of given windows.

use std::collections::{BTreeMap, HashMap};

use clickhouse::Row;
use driftmill_platform::clickhouse::{ClickHouse, Error, FeatureTable, FeatureVersion, quote};
use serde::Deserialize;

use super::judge::Counts;
use crate::audit::count::{Bounds, condition};

/// Windows of one length.
#[derive(Debug, Clone, Copy)]
pub struct Windows<'a> {
    /// Milliseconds.
    pub per: i64,
    /// Milliseconds since 1970 UTC, ascending.
    pub starts: &'a [i64],
}

/// What every expectation has in common in a window, and what breaks which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    rows: u64,
    refused: u64,
    broken: HashMap<String, u64>,
}

impl Held {
    /// The counts for the expectation called `title`.
    pub fn of(&self, title: &str) -> Counts {
        let broken = self.broken.get(title).copied().unwrap_or_default();
        Counts { rows: self.rows, refused: self.refused, broken }
    }
}

#[derive(Row, Deserialize)]
struct StartRow {
    start: i64,
}

#[derive(Row, Deserialize)]
struct CountRow {
    start: i64,
    count: u64,
}

#[derive(Row, Deserialize)]
struct BrokenRow {
    start: i64,
    title: String,
    count: u64,
}

/// The start of the window that a column's time lies in.
fn start_of(column: &str, per: i64) -> String {
    let at = format!("toUnixTimestamp64Milli({column})");
    format!("{at} - positiveModulo({at}, toInt64({per}))")
}

async fn starts(clickhouse: &ClickHouse, sql: &str) -> Result<Vec<i64>, Error> {
    Ok(clickhouse.rows::<StartRow>(sql).await?.into_iter().map(|row| row.start).collect())
}

/// The windows that the rows at these positions lie in.
pub async fn of_rows(clickhouse: &ClickHouse, pipeline: &str, new: &[Bounds], per: i64) -> Result<Vec<i64>, Error> {
    let sql = format!(
        "SELECT DISTINCT {} AS start FROM {} WHERE {}",
        start_of("event_time", per),
        quote(&FeatureTable::of(pipeline).rows),
        condition(new, "_partition", "_offset"),
    );
    starts(clickhouse, &sql).await
}

/// The windows that the rows of a version lie in.
pub async fn of_version(clickhouse: &ClickHouse, version: &FeatureVersion, per: i64) -> Result<Vec<i64>, Error> {
    let (start, rows) = (start_of("event_time", per), quote(&version.table().rows));
    let sql = format!("SELECT DISTINCT {start} AS start FROM {rows}");
    starts(clickhouse, &sql).await
}

/// One past the newest record of the topic of dead letters that is in the table.
pub async fn end_of_letters(clickhouse: &ClickHouse, pipeline: &str) -> Result<i64, Error> {
    let sql = format!("SELECT max(_offset) + 1 AS start FROM {} HAVING count() > 0", letters(pipeline));
    Ok(clickhouse.rows::<StartRow>(&sql).await?.first().map_or(0, |row| row.start))
}

/// The windows that the dead letters at `from..to` lie in.
pub async fn of_letters(
    clickhouse: &ClickHouse,
    pipeline: &str,
    (from, to): (i64, i64),
    per: i64,
) -> Result<Vec<i64>, Error> {
    let sql = format!(
        "SELECT DISTINCT {} AS start FROM {} WHERE stage = 'expectation' AND _offset >= {from} AND _offset < {to}",
        start_of("at", per),
        letters(pipeline),
    );
    starts(clickhouse, &sql).await
}

/// What the windows hold; one without anything is left out.
pub async fn held(clickhouse: &ClickHouse, pipeline: &str, windows: Windows<'_>) -> Result<BTreeMap<i64, Held>, Error> {
    let mut held: BTreeMap<i64, Held> = BTreeMap::new();
    if windows.starts.is_empty() {
        return Ok(held);
    }
    let features = quote(&FeatureTable::of(pipeline).view);
    let (start, within) = (start_of("event_time", windows.per), windows.condition("event_time"));
    let rows = format!(
        "SELECT {start} AS start, count() AS count FROM {features} WHERE {within} GROUP BY start \
         SETTINGS use_skip_indexes_if_final = 1"
    );
    let broken = format!(
        "SELECT {start} AS start, toString(arrayJoin(_breaches)) AS title, count() AS count FROM {features} \
         WHERE notEmpty(_breaches) AND {within} GROUP BY start, title SETTINGS use_skip_indexes_if_final = 1"
    );
    let refused = format!(
        "SELECT {} AS start, toString(expectation) AS title, count() AS count FROM {} FINAL \
         WHERE stage = 'expectation' AND {} GROUP BY start, title",
        start_of("at", windows.per),
        letters(pipeline),
        windows.condition("at"),
    );
    for row in clickhouse.rows::<CountRow>(&rows).await? {
        held.entry(row.start).or_default().rows = row.count;
    }
    for row in clickhouse.rows::<BrokenRow>(&broken).await? {
        *held.entry(row.start).or_default().broken.entry(row.title).or_default() += row.count;
    }
    for row in clickhouse.rows::<BrokenRow>(&refused).await? {
        let held = held.entry(row.start).or_default();
        held.refused += row.count;
        if !row.title.is_empty() {
            *held.broken.entry(row.title).or_default() += row.count;
        }
    }
    Ok(held)
}

fn letters(pipeline: &str) -> String {
    quote(&format!("{pipeline}_dead_letters_rows"))
}

impl Windows<'_> {
    /// An SQL condition for times within the windows. The outer bounds are what an index understands.
    fn condition(&self, column: &str) -> String {
        let (first, last) = (self.starts.first().copied(), self.starts.last().copied());
        let (first, end) = (first.unwrap_or_default(), last.unwrap_or_default().saturating_add(self.per));
        let starts = self.starts.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        format!(
            "{column} >= fromUnixTimestamp64Milli(toInt64({first})) AND {column} < fromUnixTimestamp64Milli(toInt64({end})) \
             AND {} IN ({starts})",
            start_of(column, self.per),
        )
    }
}
