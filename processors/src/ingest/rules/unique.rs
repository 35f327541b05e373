//! Which records are there already.
//!
//! The answer is a function of the topic alone: a record is a repetition if one with the same values stands among the
//! `records` offsets before it in its partition, and if that one's time in Kafka lies at most `within` back. So a batch that
//! is processed again, whole or cut in another way, is judged the same; what is remembered is only a copy, and is read from
//! the topic again whenever a partition does not go on where the memory ends.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use arrow_array::{Array as _, RecordBatch, StringArray};
use driftmill_platform::kafka::OffsetRange;
use driftmill_schemas::pipeline::Unique;

use super::super::fields;

/// What names each row by each rule; `None` where a field is null.
pub struct Keys(Vec<Vec<Option<u128>>>);

/// The memory of the uniqueness rules of a pipeline.
#[derive(Debug, Default)]
pub struct Uniqueness {
    rules: Vec<Memory>,
    /// Where the memory of a partition ends.
    next: HashMap<i32, i64>,
}

#[derive(Debug)]
struct Memory {
    fields: Vec<String>,
    records: i64,
    /// Milliseconds.
    within: Option<i64>,
    partitions: HashMap<i32, Seen>,
}

/// The last position and time of each name.
#[derive(Debug, Default)]
struct Seen {
    last: HashMap<u128, (i64, i64)>,
    /// Names after which those that are too far back are forgotten.
    sweep_at: usize,
}

/// A gap between what is remembered and a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub partition: i32,
    /// Offsets to be read: half-open.
    pub from: i64,
    pub to: i64,
}

impl Uniqueness {
    /// The memory of these rules, empty.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a Unique>) -> Self {
        let memory = |rule: &Unique| Memory {
            fields: rule.fields.clone(),
            records: i64::try_from(rule.records).unwrap_or(i64::MAX),
            within: rule.within.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)),
            partitions: HashMap::new(),
        };
        Self { rules: rules.into_iter().map(memory).collect(), next: HashMap::new() }
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What must be read, and shown to [`first`](Self::first), before the messages of `ranges` are.
    pub fn gaps(&mut self, ranges: &[OffsetRange]) -> Vec<Gap> {
        let Some(back) = self.rules.iter().map(|rule| rule.records).max() else { return Vec::new() };
        let mut gaps = Vec::new();
        for range in ranges {
            let (partition, to) = (range.partition, range.from);
            let from = match self.next.get(&partition) {
                Some(&next) if next == to => continue,
                // Not far ahead: what is remembered stays.
                Some(&next) if next < to && to - next <= back => next,
                _ => {
                    self.rules.iter_mut().for_each(|rule| {
                        rule.partitions.remove(&partition);
                    });
                    to.saturating_sub(back).max(0)
                }
            };
            gaps.push(Gap { partition, from, to });
        }
        gaps
    }

    /// Says that everything before `offset` was shown.
    pub fn reached(&mut self, partition: i32, offset: i64) {
        self.next.insert(partition, offset);
    }

    /// The names of all rows.
    pub fn keys(&self, columns: &RecordBatch) -> Keys {
        Keys(self.rules.iter().map(|rule| keys(columns, &rule.fields)).collect())
    }

    /// For each rule the offset of the record that `row` repeats. The rows of a partition come in the order of their
    /// offsets. From then on the row is remembered.
    pub fn first<'a>(
        &'a mut self,
        keys: &'a Keys,
        row: usize,
        (partition, offset, time): (i32, i64, i64),
    ) -> impl Iterator<Item = Option<i64>> + 'a {
        self.rules.iter_mut().zip(&keys.0).map(move |(rule, keys)| rule.first(keys[row], partition, offset, time))
    }
}

impl Memory {
    fn first(&mut self, key: Option<u128>, partition: i32, offset: i64, time: i64) -> Option<i64> {
        let key = key?;
        let seen = self.partitions.entry(partition).or_default();
        let before = seen.last.insert(key, (offset, time));
        if seen.last.len() > seen.sweep_at {
            let oldest = offset.saturating_sub(self.records);
            seen.last.retain(|_, (offset, _)| *offset >= oldest);
            seen.sweep_at = (2 * seen.last.len()).max(1_024);
        }
        let (at, then) = before?;
        let near = offset - at <= self.records;
        let soon = self.within.is_none_or(|within| time.saturating_sub(then) <= within);
        (near && soon && at < offset).then_some(at)
    }
}

fn keys(columns: &RecordBatch, fields: &[String]) -> Vec<Option<u128>> {
    let texts: Vec<StringArray> = fields.iter().map(|field| fields::texts(columns, field)).collect();
    (0..columns.num_rows())
        .map(|row| {
            // Two hashes of 64 bits: among a million remembered names no other is ever taken for this one.
            let mut halves = [DefaultHasher::new(), DefaultHasher::new()];
            1_u8.hash(&mut halves[1]);
            for text in &texts {
                if text.is_null(row) {
                    return None;
                }
                halves.iter_mut().for_each(|half| text.value(row).hash(half));
            }
            Some(u128::from(halves[0].finish()) << 64 | u128::from(halves[1].finish()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow_array::ArrayRef;

    fn rule(records: u64, within: Option<u64>) -> Unique {
        Unique { fields: vec!["id".to_owned()], records, within }
    }

    fn columns(ids: &[Option<&str>]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
        RecordBatch::try_from_iter_with_nullable([("id", ids, true)]).unwrap()
    }

    /// What each of the ids, one a second from `from` on, repeats.
    fn repeated(uniqueness: &mut Uniqueness, from: i64, ids: &[Option<&str>]) -> Vec<Option<i64>> {
        let keys = uniqueness.keys(&columns(ids));
        let found = (0..ids.len())
            .map(|row| {
                let offset = from + row as i64;
                uniqueness.first(&keys, row, (0, offset, 1_000 * offset)).next().unwrap()
            })
            .collect();
        uniqueness.reached(0, from + ids.len() as i64);
        found
    }

    #[test]
    fn a_repetition_is_found_among_the_last_records_and_within_the_time() {
        let ids = ["a", "b", "a", "c", "d", "e", "a", "a"].map(Some);
        let found = |rule: Unique| repeated(&mut Uniqueness::new([&rule]), 0, &ids);
        assert_eq!(found(rule(100, None)), [None, None, Some(0), None, None, None, Some(2), Some(6)]);
        assert_eq!(found(rule(3, None)), [None, None, Some(0), None, None, None, None, Some(6)]);
        assert_eq!(found(rule(100, Some(1))), [None, None, None, None, None, None, None, Some(6)]);
    }

    #[test]
    fn nothing_repeats_a_null() {
        let mut uniqueness = Uniqueness::new([&rule(10, None)]);
        assert_eq!(repeated(&mut uniqueness, 0, &[None, None, Some("a"), Some("a")]), [None, None, None, Some(2)]);
    }

    #[test]
    fn texts_that_only_join_to_the_same_are_not_the_same() {
        let two: [(&str, ArrayRef); 2] =
            [("x", Arc::new(StringArray::from(vec!["ab", "a"]))), ("y", Arc::new(StringArray::from(vec!["c", "bc"])))];
        let found = keys(&RecordBatch::try_from_iter(two).unwrap(), &["x".to_owned(), "y".to_owned()]);
        assert_ne!(found[0], found[1]);
    }

    #[test]
    fn the_same_record_shown_again_repeats_nothing() {
        let mut uniqueness = Uniqueness::new([&rule(10, None)]);
        repeated(&mut uniqueness, 5, &[Some("a")]);
        assert_eq!(repeated(&mut uniqueness, 5, &[Some("a")]), [None]);
    }

    #[test]
    fn what_is_not_remembered_is_asked_for() {
        let range = |partition, from| OffsetRange { topic: "t".to_owned(), partition, from, to: from + 10 };
        let mut uniqueness = Uniqueness::new([&rule(100, None), &rule(5, None)]);
        assert_eq!(
            uniqueness.gaps(&[range(0, 30), range(1, 500)]),
            [Gap { partition: 0, from: 0, to: 30 }, Gap { partition: 1, from: 400, to: 500 },]
        );
        uniqueness.reached(0, 30);
        assert_eq!(uniqueness.gaps(&[range(0, 30)]), []);
        uniqueness.reached(0, 40);
        assert_eq!(uniqueness.gaps(&[range(0, 60)]), [Gap { partition: 0, from: 40, to: 60 }], "a short way ahead");
        assert_eq!(uniqueness.gaps(&[range(0, 35)]), [Gap { partition: 0, from: 0, to: 35 }], "back");
        assert_eq!(uniqueness.gaps(&[range(0, 900)]), [Gap { partition: 0, from: 800, to: 900 }], "far ahead");
        assert_eq!(Uniqueness::default().gaps(&[range(0, 900)]), []);
    }

    #[test]
    fn what_is_too_far_back_is_forgotten() {
        let mut uniqueness = Uniqueness::new([&rule(100, None)]);
        let ids: Vec<String> = (0..20_000).map(|id| id.to_string()).collect();
        let ids: Vec<Option<&str>> = ids.iter().map(|id| Some(id.as_str())).collect();
        repeated(&mut uniqueness, 0, &ids);
        assert!(uniqueness.rules[0].partitions[&0].last.len() < 2_000);
    }
}
