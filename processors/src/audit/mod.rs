//! Proves that no record was lost and none counted twice: for every partition of the raw topic
//!
//! ```text
//! rows + dead letters + offsets that were lost + offsets without a record = offsets processed
//! ```
//! A dead letter that was replayed is a row, and counted as one. Rows and dead letters are counted where they ended up, not
//! where they were sent from; the ledger only says which offsets are done, and which of them had no record. The latter is not
//! believed: the broker is asked whether it holds one. Nothing else is read of the raw topic, so an audit costs two counts
//! over the primary key.

pub(crate) mod count;
mod ranges;
mod watch;

pub use watch::{AuditMetrics, watch};

use std::time::Duration;

use driftmill_platform::clickhouse::{self, ClickHouse, Ledger};
use driftmill_platform::kafka::{self, Admin};
use driftmill_schemas::topic::Topics;
use serde::Serialize;

use self::count::{Bounds, Counted};
use self::ranges::Range;

/// Missing ranges that are told of one partition.
const MOST_EXAMPLES: usize = 10;
/// Ranges without a record that the broker is asked about, of one partition: a topic written in transactions has one for
/// each. A fault that makes holes shows in a thousand of them.
const MOST_ASKED: usize = 1_000;

/// Why there is no audit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ClickHouse.
    #[error(transparent)]
    ClickHouse(#[from] clickhouse::Error),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// Dead letters are on their way to their table.
    #[error(
        "{waiting} dead letters of `{pipeline}` are not in their table yet, so it cannot be said what became of their \
         records: is `driftmill process` running?"
    )]
    Unsettled {
        /// The pipeline.
        pipeline: String,
        /// Dead letters on their way.
        waiting: i64,
    },
}

/// What became of the processed offsets of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// The partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// One past the last offset.
    pub to: i64,
    /// Feature rows.
    pub rows: u64,
    /// Dead letters that no replay made a row of.
    pub dead_letters: u64,
    /// Offsets that the broker deleted before they were read.
    pub lost: u64,
    /// Offsets without a record: a transaction's markers, or what compaction took.
    pub absent: u64,
    /// Offsets of which there is no trace.
    pub missing: u64,
    /// Positions that are in the tables more than once.
    pub twice: u64,
    /// The first of the missing ones, as half-open ranges.
    pub examples: Vec<Range>,
}

impl Balance {
    /// Whether every offset is accounted for, once.
    pub fn is_balanced(&self) -> bool {
        self.missing == 0 && self.twice == 0
    }

    fn of(bounds: &Bounds, counted: Counted) -> Self {
        let within = (bounds.from, bounds.to);
        let lost = ranges::union(bounds.lost.clone(), within);
        let absent = ranges::without(&ranges::union(bounds.absent.clone(), within), &lost);
        let (lost, absent) = (ranges::count(&lost), ranges::count(&absent));
        let offsets = ranges::count(&[within]);
        let found = counted.positions + counted.dead_letters - counted.both.min(counted.dead_letters) + lost + absent;
        Self {
            partition: bounds.partition,
            from: bounds.from,
            to: bounds.to,
            rows: counted.rows,
            dead_letters: counted.dead_letters.saturating_sub(counted.both - counted.contradictions),
            lost,
            absent,
            missing: offsets.saturating_sub(found),
            twice: counted.rows - counted.positions + counted.contradictions + found.saturating_sub(offsets),
            examples: Vec::new(),
        }
    }
}

/// Audits what the pipeline called `pipeline` has processed, each partition from `from(partition)` on (its first offset
/// when that says nothing). Waits up to `patience` for dead letters that are on their way.
pub async fn audit(
    clickhouse: &ClickHouse,
    admin: &Admin,
    pipeline: &str,
    from: impl Fn(i32) -> Option<i64>,
    patience: Duration,
) -> Result<Vec<Balance>, Error> {
    let mut bounds = count::bounds(clickhouse, pipeline, from).await?;
    if bounds.is_empty() {
        return Ok(Vec::new());
    }
    for bounds in &mut bounds {
        doubt(admin, pipeline, bounds).await?;
    }
    // In this order: a dead letter is in its topic before the ledger says that its record is done.
    settle(clickhouse, admin, pipeline, patience).await?;
    let counted = count::count(clickhouse, pipeline, &bounds).await?;
    let mut balances = Vec::with_capacity(bounds.len());
    for bounds in &bounds {
        let counted = counted.get(&bounds.partition).copied().unwrap_or_default();
        let mut balance = Balance::of(bounds, counted);
        if balance.missing > 0 {
            balance.examples = count::missing(clickhouse, pipeline, bounds).await?;
            balance.examples.truncate(MOST_EXAMPLES);
        }
        balances.push(balance);
    }
    Ok(balances)
}

/// Takes the offsets at which the broker does hold a record out of those that are said to have none.
async fn doubt(admin: &Admin, pipeline: &str, bounds: &mut Bounds) -> Result<(), Error> {
    let absent = ranges::union(std::mem::take(&mut bounds.absent), (bounds.from, bounds.to));
    let asked: Vec<Range> = absent.iter().step_by(absent.len().div_ceil(MOST_ASKED).max(1)).copied().collect();
    let held = match asked.is_empty() {
        true => Vec::new(),
        false => admin.held(&Topics::of(pipeline).raw, bounds.partition, asked).await?,
    };
    let held: Vec<Range> = held.into_iter().map(|offset| (offset, offset + 1)).collect();
    bounds.absent = ranges::without(&absent, &held);
    Ok(())
}

/// Waits until every dead letter there is now is in its table.
async fn settle(clickhouse: &ClickHouse, admin: &Admin, pipeline: &str, patience: Duration) -> Result<(), Error> {
    let topics = Topics::of(pipeline);
    let ledger = Ledger::new(clickhouse.clone(), format!("dead_letters.{pipeline}"));
    let ends = admin.watermarks(&topics.rejected).await?;
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let waiting: i64 = ledger.lag(&topics.rejected, &ends).await?.iter().sum();
        if waiting == 0 {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Error::Unsettled { pipeline: pipeline.to_owned(), waiting });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(lost: &[Range], absent: &[Range], counted: Counted) -> Balance {
        let bounds = Bounds { partition: 0, from: 100, to: 200, lost: lost.to_vec(), absent: absent.to_vec() };
        Balance::of(&bounds, counted)
    }

    fn counted(rows: u64, positions: u64, dead_letters: u64, both: u64) -> Counted {
        Counted { rows, positions, dead_letters, both, contradictions: both }
    }

    #[test]
    fn rows_dead_letters_losses_and_markers_make_up_the_offsets() {
        let found = balance(&[(90, 105), (103, 110)], &[(109, 112)], counted(80, 80, 8, 0));
        assert_eq!((found.lost, found.absent, found.missing, found.twice), (10, 2, 0, 0));
        assert!(found.is_balanced());
    }

    #[test]
    fn an_offset_without_a_trace_is_missing() {
        let found = balance(&[], &[], counted(98, 98, 1, 0));
        assert_eq!((found.missing, found.twice, found.is_balanced()), (1, 0, false));
    }

    #[test]
    fn a_dead_letter_that_was_replayed_is_a_row() {
        let replayed = Counted { contradictions: 0, ..counted(99, 99, 3, 2) };
        let found = balance(&[], &[], replayed);
        assert_eq!((found.rows, found.dead_letters, found.missing, found.twice), (99, 1, 0, 0));
        let found = balance(&[], &[], Counted { contradictions: 1, ..replayed });
        assert_eq!((found.dead_letters, found.missing, found.twice), (2, 0, 1), "one of them has no mark");
    }

    #[test]
    fn a_position_that_shows_up_again_is_twice_and_does_not_hide_a_missing_one() {
        let again = balance(&[], &[], counted(101, 99, 0, 0));
        assert_eq!((again.missing, again.twice), (1, 2));
        let both = balance(&[], &[], counted(99, 99, 1, 1));
        assert_eq!((both.missing, both.twice), (1, 1));
        let too_many = balance(&[(100, 101)], &[], counted(100, 100, 0, 0));
        assert_eq!((too_many.missing, too_many.twice), (0, 1));
    }
}
