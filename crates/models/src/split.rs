//! Which rows train and which test: seeded, the same on every platform, with exact sizes.
//!
//! Parts hold row numbers in ascending order. Part sizes are the rounded cumulative shares, so 0.7/0.1/0.2 of 1,000 rows
//! are 700, 100 and 200.

use crate::random;

/// An impossible split.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Error {
    /// Shares that are negative, not numbers, or do not add up to 1.
    #[error("the shares {0:?} must be 0 or more and add up to 1")]
    Shares(Vec<f64>),
    /// A test share outside of 0..=1.
    #[error("the test share must be between 0 and 1, got {0}")]
    TestShare(f64),
    /// More folds than rows, or fewer than two.
    #[error("{folds} folds of {rows} rows are not possible; there must be at least 2 folds and a row for each")]
    Folds {
        /// Folds asked for.
        folds: usize,
        /// Rows there are.
        rows: usize,
    },
    /// More rows than can be shuffled.
    #[error("{0} rows are more than 4294967295")]
    Rows(usize),
}

/// Row numbers to train on and to test on, both ascending; every row is in one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainTest {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows to test on.
    pub test: Vec<usize>,
}

/// Splits rows `0..rows` into parts of the given shares.
pub fn partition(rows: usize, shares: &[f64], seed: u64) -> Result<Vec<Vec<usize>>, Error> {
    check_shares(rows, shares)?;
    Ok(cut(&shuffled(rows, seed)?, shares))
}

/// Like [`partition`], with each class' share of every part within one row of its share of the whole.
pub fn stratified_partition(labels: &[usize], shares: &[f64], seed: u64) -> Result<Vec<Vec<usize>>, Error> {
    check_shares(labels.len(), shares)?;
    let by_class = shuffled_by_class(labels, seed)?;
    let mut spread = Vec::with_capacity(labels.len());
    for class in by_class.chunk_by(|a, b| labels[*a] == labels[*b]) {
        // The n-th of m rows stands at (n + 1/2) / m: sorted by that, classes are mixed evenly, and any cut is fair.
        let place = |n: usize| (n as f64 + 0.5) / class.len() as f64;
        spread.extend(class.iter().enumerate().map(|(n, &row)| (place(n), row)));
    }
    // Stable: at the same place the class that comes first stays first.
    spread.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rows: Vec<usize> = spread.into_iter().map(|(_, row)| row).collect();
    Ok(cut(&rows, shares))
}

/// Splits rows `0..rows` into a training and a test part of `test_share`.
pub fn train_test(rows: usize, test_share: f64, seed: u64) -> Result<TrainTest, Error> {
    Ok(pair(partition(rows, &complement(test_share)?, seed)?))
}

/// Like [`train_test`], with the classes in proportion. Never fails for a share of 0..=1 and up to 2³² - 1 rows.
pub fn stratified_train_test(labels: &[usize], test_share: f64, seed: u64) -> Result<TrainTest, Error> {
    Ok(pair(stratified_partition(labels, &complement(test_share)?, seed)?))
}

/// `folds` splits of rows `0..rows`; every row is tested on exactly once.
pub fn k_fold(rows: usize, folds: usize, seed: u64) -> Result<Vec<TrainTest>, Error> {
    check_folds(rows, folds)?;
    Ok(deal(&shuffled(rows, seed)?, folds))
}

/// Like [`k_fold`], with each class dealt to the folds in turn.
pub fn stratified_k_fold(labels: &[usize], folds: usize, seed: u64) -> Result<Vec<TrainTest>, Error> {
    check_folds(labels.len(), folds)?;
    Ok(deal(&shuffled_by_class(labels, seed)?, folds))
}

fn shuffled(rows: usize, seed: u64) -> Result<Vec<usize>, Error> {
    if u32::try_from(rows).is_err() {
        return Err(Error::Rows(rows));
    }
    let mut order: Vec<usize> = (0..rows).collect();
    random::shuffle(&mut random::stream(seed, 0), &mut order);
    Ok(order)
}

/// All rows in random order, then grouped by class.
fn shuffled_by_class(labels: &[usize], seed: u64) -> Result<Vec<usize>, Error> {
    let mut order = shuffled(labels.len(), seed)?;
    order.sort_by_key(|&row| labels[row]);
    Ok(order)
}

fn cut(order: &[usize], shares: &[f64]) -> Vec<Vec<usize>> {
    let (mut sum, mut start) = (0.0, 0);
    let parts = shares.iter().enumerate().map(|(index, share)| {
        sum += share;
        let end = if index + 1 == shares.len() { order.len() } else { (sum * order.len() as f64).round() as usize };
        let mut part = order[start..end.clamp(start, order.len())].to_vec();
        start += part.len();
        part.sort_unstable();
        part
    });
    parts.collect()
}

fn deal(order: &[usize], folds: usize) -> Vec<TrainTest> {
    let fold = |fold: usize| {
        let mut parts = TrainTest { train: Vec::new(), test: Vec::new() };
        for (position, &row) in order.iter().enumerate() {
            if position % folds == fold { parts.test.push(row) } else { parts.train.push(row) }
        }
        parts.train.sort_unstable();
        parts.test.sort_unstable();
        parts
    };
    (0..folds).map(fold).collect()
}

fn pair(mut parts: Vec<Vec<usize>>) -> TrainTest {
    let test = parts.pop().unwrap_or_default();
    TrainTest { train: parts.pop().unwrap_or_default(), test }
}

fn complement(test_share: f64) -> Result<[f64; 2], Error> {
    if (0.0..=1.0).contains(&test_share) {
        Ok([1.0 - test_share, test_share])
    } else {
        Err(Error::TestShare(test_share))
    }
}

fn check_shares(rows: usize, shares: &[f64]) -> Result<(), Error> {
    if u32::try_from(rows).is_err() {
        return Err(Error::Rows(rows));
    }
    let sum: f64 = shares.iter().sum();
    if shares.iter().all(|share| *share >= 0.0) && (sum - 1.0).abs() < 1e-9 {
        Ok(())
    } else {
        Err(Error::Shares(shares.to_vec()))
    }
}

fn check_folds(rows: usize, folds: usize) -> Result<(), Error> {
    if folds >= 2 && folds <= rows { Ok(()) } else { Err(Error::Folds { folds, rows }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iris_labels() -> Vec<usize> {
        (0..150).map(|row| row / 50).collect()
    }

    fn class_counts(rows: &[usize], labels: &[usize]) -> [usize; 3] {
        let mut counts = [0; 3];
        rows.iter().for_each(|&row| counts[labels[row]] += 1);
        counts
    }

    #[test]
    fn sizes_are_exact() {
        let sizes =
            |rows, shares: &[f64]| -> Vec<usize> { partition(rows, shares, 1).unwrap().iter().map(Vec::len).collect() };
        assert_eq!(sizes(1_000, &[0.7, 0.1, 0.2]), [700, 100, 200]);
        assert_eq!(sizes(150, &[0.8, 0.2]), [120, 30]);
        assert_eq!(sizes(3, &[0.7, 0.1, 0.2]), [2, 0, 1]);
        assert_eq!(sizes(0, &[0.5, 0.5]), [0, 0]);
        assert_eq!(train_test(150, 0.2, 42).unwrap().test.len(), 30);
    }

    #[test]
    fn every_row_is_in_one_part() {
        let labels: Vec<usize> = (0..101).map(|row| row % 7 % 3).collect();
        for parts in
            [partition(101, &[0.5, 0.2, 0.3], 9).unwrap(), stratified_partition(&labels, &[0.5, 0.2, 0.3], 9).unwrap()]
        {
            let mut rows = parts.concat();
            rows.sort_unstable();
            assert_eq!(rows, (0..101).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_stratified_split_keeps_the_proportions() {
        let labels = iris_labels();
        let parts = stratified_train_test(&labels, 0.2, 42).unwrap();
        assert_eq!(class_counts(&parts.test, &labels), [10, 10, 10]);
        let labels: Vec<usize> = (0..1_000).map(|row| usize::from(row % 10 == 0)).collect();
        for (part, rows) in stratified_partition(&labels, &[0.7, 0.1, 0.2], 3).unwrap().iter().zip([700, 100, 200]) {
            assert_eq!(part.len(), rows);
            assert_eq!(class_counts(part, &labels)[1], rows / 10);
        }
    }

    #[test]
    fn folds_test_every_row_once_and_keep_the_proportions() {
        let labels = iris_labels();
        let folds = stratified_k_fold(&labels, 10, 5).unwrap();
        let mut tested: Vec<usize> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
        tested.sort_unstable();
        assert_eq!(tested, (0..150).collect::<Vec<_>>());
        for fold in &folds {
            assert_eq!(class_counts(&fold.test, &labels), [5, 5, 5]);
            assert_eq!(fold.train.len(), 135);
        }
        assert_eq!(k_fold(10, 3, 5).unwrap().iter().map(|fold| fold.test.len()).collect::<Vec<_>>(), [4, 3, 3]);
    }

    #[test]
    fn a_seed_always_gives_the_same_rows() {
        // Written down when first run: a change here would change every model's split.
        assert_eq!(train_test(10, 0.3, 42).unwrap().test, [1, 2, 6]);
        assert_ne!(train_test(1_000, 0.3, 1).unwrap(), train_test(1_000, 0.3, 2).unwrap());
    }

    #[test]
    fn impossible_splits_are_named() {
        assert_eq!(partition(9, &[0.5, 0.4], 1), Err(Error::Shares(vec![0.5, 0.4])));
        assert!(partition(9, &[1.5, -0.5], 1).is_err());
        assert!(partition(9, &[], 1).is_err());
        assert_eq!(train_test(9, 1.1, 1), Err(Error::TestShare(1.1)));
        assert!(train_test(9, f64::NAN, 1).is_err());
        assert_eq!(k_fold(3, 4, 1), Err(Error::Folds { folds: 4, rows: 3 }));
        assert_eq!(k_fold(3, 1, 1), Err(Error::Folds { folds: 1, rows: 3 }));
    }
}
