//! Which rows judge a model and which it learns from.
//!
//! A row's place is drawn from its position in the topic (or its entity) and the seed, so it stays the same from one
//! snapshot to the next: a row that judges challengers today was not learned by the champion of last week, which would make
//! that champion look better than it is. (At the edge of a share a few rows change sides as a snapshot grows.)

use std::collections::BTreeMap;

use driftmill_models::Target;
use driftmill_schemas::pipeline::{Split, SplitBy};
use sha2::{Digest, Sha256};

use crate::Rows;

/// Row numbers of the parts, each ascending; every row is in one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows for choices during the fit.
    pub validation: Vec<usize>,
    /// Rows that judge.
    pub test: Vec<usize>,
}

/// Splits `rows` by the shares of `split`: exact to one row (or the rows of one entity) over all, or within each class when
/// stratified.
pub fn split(rows: &Rows, split: &Split, seed: u64) -> Parts {
    let mut parts = Parts::default();
    if split.by == SplitBy::Time {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&row| (rows.times[row], rows.positions[row]));
        order.reverse();
        parts.take(order.into_iter().map(|row| vec![row]), rows.len(), split);
    } else {
        for class in strata(units(rows, split.by), rows, split.stratified) {
            let mut class: Vec<([u8; 32], Vec<usize>)> =
                class.into_iter().map(|unit| (draw(rows, unit[0], split.by, seed), unit)).collect();
            class.sort();
            let count = class.iter().map(|(_, unit)| unit.len()).sum();
            parts.take(class.into_iter().map(|(_, unit)| unit), count, split);
        }
    }
    for part in [&mut parts.train, &mut parts.validation, &mut parts.test] {
        part.sort_unstable();
    }
    parts
}

impl Parts {
    /// Gives the first of the units to the test, the next to the validation, the others to the training.
    fn take(&mut self, units: impl Iterator<Item = Vec<usize>>, count: usize, split: &Split) {
        let share = |share: f64| (count as f64 * share).round() as usize;
        let (test, validation) = (share(split.test), share(split.test + split.validation));
        let mut given = 0;
        for unit in units {
            // A unit across the edge goes where more than half of it lies.
            let middle = given + unit.len() / 2;
            given += unit.len();
            let part = match middle {
                middle if middle < test => &mut self.test,
                middle if middle < validation => &mut self.validation,
                _ => &mut self.train,
            };
            part.extend(unit);
        }
    }
}

/// Rows that stay together.
fn units(rows: &Rows, by: SplitBy) -> Vec<Vec<usize>> {
    if by != SplitBy::Entity {
        return (0..rows.len()).map(|row| vec![row]).collect();
    }
    let mut units: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, group) in rows.groups().into_iter().enumerate() {
        units.entry(group).or_default().push(row);
    }
    units.into_values().collect()
}

/// The units of each class, that of their first row; all of them when not stratified, or when there are no classes.
fn strata(units: Vec<Vec<usize>>, rows: &Rows, stratified: bool) -> Vec<Vec<Vec<usize>>> {
    let Target::Classes { labels, n_classes } = &rows.target else { return vec![units] };
    if !stratified {
        return vec![units];
    }
    let mut strata = vec![Vec::new(); *n_classes];
    for unit in units {
        strata[labels[unit[0]]].push(unit);
    }
    strata
}

fn draw(rows: &Rows, row: usize, by: SplitBy, seed: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    match &rows.entities[row] {
        Some(entity) if by == SplitBy::Entity => hash.update(entity.as_bytes()),
        _ => {
            let (partition, offset) = rows.positions[row];
            hash.update(partition.to_le_bytes());
            hash.update(offset.to_le_bytes());
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftmill_models::{Column, Table};
    use ndarray::Array1;

    fn rows(labels: Vec<usize>) -> Rows {
        let count = labels.len();
        Rows {
            table: Table::new(count, vec![Column::Number(vec![0.0; count])]).unwrap(),
            positions: (0..count).map(|i| (i as i32 % 2, i as i64 / 2)).collect(),
            classes: Vec::new(),
            times: (0..count as i64).rev().collect(),
            entities: (0..count).map(|i| Some(format!("e{}", i / 3).into())).collect(),
            target: Target::Classes { n_classes: 3, labels: Array1::from(labels) },
        }
    }

    #[test]
    fn shares_are_exact_and_classes_keep_theirs() {
        let thirds = rows((0..150).map(|i| i / 50).collect());
        let parts = split(&thirds, &Split { test: 0.2, ..Split::default() }, 42);
        assert_eq!((parts.train.len(), parts.validation.len(), parts.test.len()), (120, 0, 30));
        for class in 0..3 {
            assert_eq!(parts.test.iter().filter(|&&row| row / 50 == class).count(), 10);
        }
        let shares = Split { test: 0.2, validation: 0.1, stratified: false, ..Split::default() };
        let plain = split(&rows(vec![0; 1000]), &shares, 1);
        assert_eq!((plain.train.len(), plain.validation.len(), plain.test.len()), (700, 100, 200));
    }

    #[test]
    fn a_row_stays_on_its_side_when_the_snapshot_grows() {
        let shares = Split { test: 0.2, stratified: false, ..Split::default() };
        let before = split(&rows(vec![0; 1000]), &shares, 7);
        let after = split(&rows(vec![0; 2000]), &shares, 7);
        let moved = before.train.iter().filter(|row| after.test.contains(row)).count();
        assert!(moved <= 30, "{moved} of 800 rows that were learned judge now");
    }

    #[test]
    fn rows_of_one_entity_are_never_parted() {
        let parts =
            split(&rows((0..300).map(|i| i / 100).collect()), &Split { by: SplitBy::Entity, ..Split::default() }, 3);
        let entities = |part: &[usize]| part.iter().map(|row| row / 3).collect::<std::collections::HashSet<_>>();
        assert!(entities(&parts.train).is_disjoint(&entities(&parts.test)));
        assert!((54..=66).contains(&parts.test.len()), "{}", parts.test.len());
        assert_eq!(parts.train.len() + parts.test.len(), 300);
    }

    #[test]
    fn by_time_the_newest_rows_judge_and_those_before_them_validate() {
        let shares = Split { test: 0.2, validation: 0.1, by: SplitBy::Time, ..Split::default() };
        // The times of these rows descend.
        let parts = split(&rows(vec![0; 10]), &shares, 3);
        assert_eq!((parts.test, parts.validation), (vec![0, 1], vec![2]));
    }
}
