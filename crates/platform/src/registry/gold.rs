//! The gold set of a pipeline: which snapshot it is, since when, and who said so.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{Error, Registry};
use crate::clickhouse::quote_text;

/// What was once made the gold set of a pipeline: a row of the table `gold_sets`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct GoldSet {
    /// The pipeline.
    pub pipeline: String,
    /// Orders the gold sets of one pipeline.
    pub sequence: u64,
    /// Since when, milliseconds since 1970 UTC.
    pub at: i64,
    /// Hash of the snapshot, which the object store holds; empty where there was to be none any more.
    pub snapshot: String,
    /// Its labelled rows.
    pub rows: u64,
    /// Hash of how the features in it were computed.
    pub features: String,
    /// Who made it.
    pub who: String,
    /// Why.
    pub reason: String,
}

impl GoldSet {
    /// Whether it says that there is none any more.
    pub fn is_none(&self) -> bool {
        self.snapshot.is_empty()
    }
}

/// What is said of a new gold set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGoldSet {
    /// The pipeline.
    pub pipeline: String,
    /// Hash of the snapshot; empty for none.
    pub snapshot: String,
    /// Its labelled rows.
    pub rows: u64,
    /// Hash of how the features in it were computed.
    pub features: String,
    /// Who makes it.
    pub who: String,
    /// Why.
    pub reason: String,
}

const COLUMNS: &str = "toString(pipeline) AS pipeline, sequence, toUnixTimestamp64Milli(at) AS at, snapshot, rows, features, \
                       who, reason";

impl Registry {
    /// Makes a snapshot the gold set of a pipeline, from now on.
    pub async fn set_gold(&self, new: NewGoldSet) -> Result<GoldSet, Error> {
        let now = self.clock.now();
        let last = self.gold_history(&new.pipeline).await?.first().map(|last| last.sequence);
        let set = GoldSet {
            pipeline: new.pipeline,
            // By the clock, and after what was there in any case: clocks of two machines differ.
            sequence: last.map_or(0, |last| last + 1).max(u64::try_from(now).unwrap_or_default() << 16),
            at: now,
            snapshot: new.snapshot,
            rows: new.rows,
            features: new.features,
            who: new.who,
            reason: new.reason,
        };
        self.clickhouse.insert_rows("gold_sets", std::slice::from_ref(&set)).await?;
        Ok(set)
    }

    /// All that ever were the gold set of a pipeline, the newest, which is in force, first.
    pub async fn gold_history(&self, pipeline: &str) -> Result<Vec<GoldSet>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT * FROM gold_sets WHERE pipeline = {} ORDER BY gold_sets.sequence DESC)",
            quote_text(pipeline)
        );
        Ok(self.clickhouse.rows::<GoldSet>(&sql).await?)
    }
}
