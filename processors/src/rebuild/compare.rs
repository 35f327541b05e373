//! A version beside the rows that are in force.

use clickhouse::Row;
use driftmill_platform::clickhouse::{FeatureTable, Offsets, covers, quote};
use serde::{Deserialize, Serialize};

use super::{Error, Rebuild};

/// Offsets that are compared in one query: what it holds in memory is a hash for each.
const AT_ONCE: i64 = 1_000_000;
/// Positions that are told.
const EXAMPLES: usize = 10;

/// How the rows of a version differ from those in force at the same offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Rows that are the same, byte for byte.
    pub equal: u64,
    /// Rows of the same record that differ.
    pub changed: u64,
    /// Records that were rows and are none.
    pub no_more: u64,
    /// Records that were none and are rows.
    pub new: u64,
    /// The first positions of records that are not the same.
    pub examples: Vec<(i32, i64)>,
}

impl Comparison {
    /// Whether there is no difference.
    pub fn is_equal(&self) -> bool {
        self.changed + self.no_more + self.new == 0
    }
}

#[derive(Row, Deserialize)]
struct CountRow {
    equal: u64,
    changed: u64,
    no_more: u64,
    new: u64,
    examples: Vec<(i32, i64)>,
}

impl Rebuild {
    /// Compares the version with the rows in force: every column of both.
    pub async fn compare(&self) -> Result<Comparison, Error> {
        let clickhouse = &self.services.clickhouse;
        let live = FeatureTable::of(&self.version.pipeline);
        let table = self.version.table();
        let columns = clickhouse.copy_columns(&live.rows, &table.rows).await?;
        let mut comparison = Comparison::default();
        for range in cut(&self.version.ranges) {
            let covers = covers(&[range]);
            // As text, so that a null is a value like any other; ClickHouse writes a number so that it reads the same bits.
            let side = |number: u8, table: &str| {
                format!(
                    "SELECT _partition, _offset, {number} AS side, sipHash128(toString(({columns}))) AS content \
                     FROM {} WHERE {covers}",
                    quote(table)
                )
            };
            let sql = format!(
                "SELECT countIf(sides = 2 AND same) AS equal, countIf(sides = 2 AND NOT same) AS changed, \
                 countIf(sides = 1 AND side = 0) AS no_more, countIf(sides = 1 AND side = 1) AS new, \
                 groupArrayIf({EXAMPLES})((_partition, _offset), sides != 2 OR NOT same) AS examples FROM (\
                   SELECT _partition, _offset, count() AS sides, any(side) AS side, uniqExact(content) = 1 AS same \
                   FROM ({} UNION ALL {}) GROUP BY _partition, _offset ORDER BY _partition, _offset)",
                side(0, &live.view),
                side(1, &table.view),
            );
            let found = clickhouse.row::<CountRow>(&sql).await?;
            comparison.equal += found.equal;
            comparison.changed += found.changed;
            comparison.no_more += found.no_more;
            comparison.new += found.new;
            comparison.examples.extend(found.examples);
        }
        comparison.examples.truncate(EXAMPLES);
        Ok(comparison)
    }
}

/// The same offsets in smaller ranges.
pub(super) fn cut(ranges: &[Offsets]) -> Vec<Offsets> {
    let cut = |(partition, from, to): &Offsets| {
        let (partition, to) = (*partition, *to);
        let starts = (*from..to).step_by(AT_ONCE as usize);
        starts.map(move |start| (partition, start, to.min(start + AT_ONCE))).collect::<Vec<_>>()
    };
    ranges.iter().flat_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ranges_are_compared_piece_by_piece() {
        assert_eq!(
            cut(&[(0, 5, 7), (3, 0, 2_500_000)]),
            [(0, 5, 7), (3, 0, 1_000_000), (3, 1_000_000, 2_000_000), (3, 2_000_000, 2_500_000),]
        );
    }
}
