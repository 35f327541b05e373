//! Which rows judge a model and which it learns from.
//!
//! A row's place is drawn from its position in the topic and the seed, so it stays the same from one snapshot to the
//! next: a row that judges challengers today was not learned by the champion of last week, which would make that
//! champion look better than it is. (At the edge of a share a few rows change sides as a snapshot grows.)

use driftmill_schemas::pipeline::Split;
use sha2::{Digest, Sha256};

use crate::snapshot::Rows;

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

/// Splits `rows` by the shares of `split`; exact to one row over all, or within each class when stratified.
pub fn split(rows: &Rows, split: &Split, seed: u64) -> Parts {
    let mut parts = Parts::default();
    let classes: Vec<Vec<usize>> = if split.stratified {
        let most = rows.labels.iter().copied().max().map_or(0, |label| label + 1);
        let mut classes = vec![Vec::new(); most];
        for (row, &label) in rows.labels.iter().enumerate() {
            classes[label].push(row);
        }
        classes
    } else {
        vec![(0..rows.labels.len()).collect()]
    };
    for mut class in classes {
        class.sort_by_key(|&row| (draw(rows.positions[row], seed), row));
        let share = |share: f64| (class.len() as f64 * share).round() as usize;
        let (test, validation) = (share(split.test), share(split.validation));
        parts.test.extend(&class[..test]);
        parts.validation.extend(&class[test..test + validation]);
        parts.train.extend(&class[test + validation..]);
    }
    for part in [&mut parts.train, &mut parts.validation, &mut parts.test] {
        part.sort_unstable();
    }
    parts
}

fn draw((partition, offset): (i32, i64), seed: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(partition.to_le_bytes());
    hash.update(offset.to_le_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};

    fn rows(labels: Vec<usize>) -> Rows {
        let positions = (0..labels.len()).map(|i| (i as i32 % 2, i as i64 / 2)).collect();
        Rows { features: Array2::zeros((labels.len(), 1)), labels: Array1::from(labels), positions }
    }

    #[test]
    fn shares_are_exact_and_classes_keep_theirs() {
        let thirds = rows((0..150).map(|i| i / 50).collect());
        let parts = split(&thirds, &Split { test: 0.2, validation: 0.0, stratified: true }, 42);
        assert_eq!((parts.train.len(), parts.validation.len(), parts.test.len()), (120, 0, 30));
        for class in 0..3 {
            assert_eq!(parts.test.iter().filter(|&&row| thirds.labels[row] == class).count(), 10);
        }
        let plain = split(&rows(vec![0; 1000]), &Split { test: 0.2, validation: 0.1, stratified: false }, 1);
        assert_eq!((plain.train.len(), plain.validation.len(), plain.test.len()), (700, 100, 200));
    }

    #[test]
    fn a_row_stays_on_its_side_when_the_snapshot_grows() {
        let shares = Split { test: 0.2, validation: 0.0, stratified: false };
        let before = split(&rows(vec![0; 1000]), &shares, 7);
        let after = split(&rows(vec![0; 2000]), &shares, 7);
        let moved = before.train.iter().filter(|row| after.test.contains(row)).count();
        assert!(moved <= 30, "{moved} of 800 rows that were learned judge now");
    }
}
