//! Versions of a pipeline's features: rows that were made anew of a part of the raw topic, and stand in for those of the
//! live table.
//!
//! ```text
//! view <p>_features  =  rows of <p>_features_rows outside of the ranges   (written by the processors, always)
//!                    +  rows of <p>_features_v<n>_rows within the ranges  (the newest version that is in force)
//! ```
//! The view is the switch: replacing it is one statement, so a reader sees all of one version or all of the other.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use tracing::error;

use super::{ClickHouse, Error, FeatureTable, quote, quote_text};
use crate::kafka::merged;

/// Half-open offsets of one partition: partition, first, one past the last.
pub type Offsets = (i32, i64, i64);

/// Rows that were made anew.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct FeatureVersion {
    /// The pipeline.
    pub pipeline: String,
    /// Number, from 1.
    pub version: u64,
    /// What it holds the rows of.
    pub ranges: Vec<Offsets>,
    /// Names what the rows are made by: schema, expectations and features.
    pub definition: String,
    /// 0 while it stands beside the live rows, 1 when it is in force, 2 when it is no more. It only grows: of two entries the
    /// one of the later state counts, whatever the clocks of those who made them said.
    pub state: u8,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
}

impl FeatureVersion {
    /// It is being made, or compared.
    pub const BESIDE: u8 = 0;
    /// The view shows it.
    pub const IN_FORCE: u8 = 1;
    /// It was replaced or thrown away.
    pub const GONE: u8 = 2;

    /// Its tables.
    pub fn table(&self) -> FeatureTable {
        let name = format!("{}_features_v{}", self.pipeline, self.version);
        FeatureTable { rows: format!("{name}_rows"), view: name }
    }

    /// An SQL condition for the positions it stands in for.
    pub fn covers(&self) -> String {
        covers(&self.ranges)
    }
}

/// An SQL condition for positions within `ranges`.
pub fn covers(ranges: &[Offsets]) -> String {
    let one = |(partition, from, to): &Offsets| {
        format!("(_partition = {partition} AND _offset >= {from} AND _offset < {to})")
    };
    if ranges.is_empty() { "0".to_owned() } else { ranges.iter().map(one).collect::<Vec<_>>().join(" OR ") }
}

/// How often a view is made anew when somebody else's new column is not in it yet.
const TRIES: usize = 10;

impl ClickHouse {
    /// All versions of a pipeline's features, the oldest first.
    pub async fn feature_versions(&self, pipeline: &str) -> Result<Vec<FeatureVersion>, Error> {
        let query = self
            .client()
            .query("SELECT ?fields FROM feature_versions FINAL WHERE pipeline = ? ORDER BY version")
            .bind(pipeline);
        self.in_time("read the feature versions", query.fetch_all::<FeatureVersion>()).await
    }

    /// The version that the view shows, if it shows one.
    pub async fn feature_version_in_force(&self, pipeline: &str) -> Result<Option<FeatureVersion>, Error> {
        let versions = self.feature_versions(pipeline).await?;
        Ok(versions.into_iter().rev().find(|version| version.state == FeatureVersion::IN_FORCE))
    }

    /// Notes what became of a version.
    pub async fn note_feature_version(&self, version: &FeatureVersion) -> Result<(), Error> {
        self.insert_rows("feature_versions", std::slice::from_ref(version)).await
    }

    /// Gives the table `to` every column of `from`, of the same type; those that it lacked are null, or empty, in its rows.
    /// Returns them as a query lists them.
    pub async fn copy_columns(&self, from: &str, to: &str) -> Result<String, Error> {
        let (columns, known) = (self.columns(from).await?, self.columns(to).await?);
        for (name, kind) in columns.iter().filter(|column| !known.contains(column)) {
            let change = match known.iter().any(|(known, _)| known == name) {
                true => "MODIFY COLUMN",
                false => "ADD COLUMN IF NOT EXISTS",
            };
            self.execute(&format!("ALTER TABLE {} {change} {} {kind}", quote(to), quote(name))).await?;
        }
        Ok(columns.iter().map(|(name, _)| quote(name)).collect::<Vec<_>>().join(", "))
    }

    /// Makes the view of a pipeline's features what the table's columns and the version in force ask for. Several processes
    /// may do so at once.
    pub async fn make_feature_view(&self, pipeline: &str) -> Result<(), Error> {
        let live = FeatureTable::of(pipeline);
        for _ in 0..TRIES {
            let version = self.feature_version_in_force(pipeline).await?;
            self.make_view_of(&live, version.as_ref()).await?;
            // Another process may have added a column, or put a version in force, and made the view, before ours was made.
            let (rows, view) = (self.columns(&live.rows).await?, self.columns(&live.view).await?);
            let whole = rows.iter().all(|column| view.contains(column));
            if whole && self.feature_version_in_force(pipeline).await? == version {
                break;
            }
        }
        Ok(())
    }

    async fn make_view_of(&self, live: &FeatureTable, version: Option<&FeatureVersion>) -> Result<(), Error> {
        let (view, rows) = (quote(&live.view), quote(&live.rows));
        let Some(version) = version else { return self.execute(&live.view_statement()).await };
        if self.columns(&version.table().rows).await?.is_empty() {
            // Somebody dropped it. Without the view nothing would start that could make it again.
            let (pipeline, version) = (&version.pipeline, version.version);
            error!(
                pipeline,
                version,
                "the table of the version in force is gone: `driftmill replay {pipeline} --swap` makes it anew"
            );
            return self.execute(&live.view_statement()).await;
        }
        let columns = self.copy_columns(&live.rows, &version.table().rows).await?;
        let covers = version.covers();
        self.execute(&format!(
            "CREATE OR REPLACE VIEW {view} AS SELECT {columns} FROM {rows} FINAL WHERE NOT ({covers}) \
             UNION ALL SELECT {columns} FROM {} FINAL WHERE {covers}",
            quote(&version.table().rows)
        ))
        .await
    }
}

/// The same offsets as ranges that neither overlap nor touch.
pub fn union(ranges: &[Offsets]) -> Vec<Offsets> {
    let mut by_partition: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    for &(partition, from, to) in ranges {
        by_partition.entry(partition).or_default().push((from, to));
    }
    let whole = |(partition, ranges)| merged(ranges).into_iter().map(move |(from, to)| (partition, from, to));
    by_partition.into_iter().flat_map(whole).collect()
}

/// A text that tells where ranges lie, for people.
pub fn told(ranges: &[Offsets]) -> String {
    let one = |(partition, from, to): &Offsets| format!("{partition}:{from}–{to}");
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The statement that makes the table of versions.
pub(super) fn table(settings: &str) -> String {
    let states =
        [("beside", 0), ("in force", 1), ("gone", 2)].map(|(name, value)| format!("{} = {value}", quote_text(name)));
    format!(
        "CREATE TABLE IF NOT EXISTS feature_versions (pipeline LowCardinality(String), version UInt64, \
         ranges Array(Tuple(Int32, Int64, Int64)), definition String, state UInt8 COMMENT {}, at DateTime64(3, 'UTC')) \
         ENGINE = ReplacingMergeTree(state) ORDER BY (pipeline, version) {settings}",
        quote_text(&states.join(", "))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_partition_that_touch_become_one() {
        let ranges = [(1, 5, 7), (0, 10, 20), (0, 0, 10), (0, 15, 18), (1, 0, 4)];
        assert_eq!(union(&ranges), [(0, 0, 20), (1, 0, 4), (1, 5, 7)]);
    }
}
