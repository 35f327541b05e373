//! Which rows train and which test: seeded, the same on every platform, with exact sizes.
//!
//! Parts hold row numbers in ascending order. Part sizes are the rounded cumulative shares, so 0.7/0.1/0.2 of 1,000 rows
//! are 700, 100 and 200.
//!
//! Which split is honest depends on the rows: independent ones are dealt at random, rows that belong together are kept
//! together ([`group_k_fold`]), and rows in time are tested on after what was trained on ([`rolling_origin`]).

mod groups;
mod rolling;
#[cfg(test)]
mod tests;

pub use self::groups::{group_k_fold, group_train_test, stratified_group_k_fold, stratified_group_train_test};
pub use self::rolling::{RollingOrigin, Window, rolling_origin, rolling_origin_by_time};
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
    /// More folds than groups, or fewer than two.
    #[error("{folds} folds of {groups} groups are not possible; there must be at least 2 folds and a group for each")]
    Groups {
        /// Folds asked for.
        folds: usize,
        /// Groups there are.
        groups: usize,
    },
    /// Labels and groups differ in length.
    #[error("{rows} labels but {groups} groups; every row needs one of each")]
    LengthMismatch {
        /// Labels given.
        rows: usize,
        /// Groups given.
        groups: usize,
    },
    /// Lengths of a rolling origin that are zero.
    #[error("window, horizon and step must be at least 1, got {window}, {horizon} and {step}")]
    Lengths {
        /// Points trained on at first.
        window: usize,
        /// Points tested on.
        horizon: usize,
        /// Points from origin to origin.
        step: usize,
    },
    /// A series too short for one split.
    #[error("{points} points in time are too few: window, gap and horizon need {needed}")]
    Series {
        /// Points there are.
        points: usize,
        /// Points of one split.
        needed: usize,
    },
    /// More rows than can be shuffled.
    #[error("{0} rows are more than 4294967295")]
    Rows(usize),
}

/// Row numbers to train on and to test on, both ascending; every row is in one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainTest {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows to test on.
    pub test: Vec<usize>,
}

/// Splits rows `0..rows` into parts of the given shares.
pub fn partition(rows: usize, shares: &[f64], seed: u64) -> Result<Vec<Vec<usize>>, Error> {
    check_shares(rows, shares)?;
    Ok(cut(&shuffled(rows, seed, 0)?, shares))
}

/// Like [`partition`], with each class' share of every part within one row of its share of the whole.
pub fn stratified_partition(labels: &[usize], shares: &[f64], seed: u64) -> Result<Vec<Vec<usize>>, Error> {
    check_shares(labels.len(), shares)?;
    let by_class = shuffled_by_class(labels, seed, 0)?;
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
    Ok(deal(&shuffled(rows, seed, 0)?, folds))
}

/// Like [`k_fold`], with each class dealt to the folds in turn.
pub fn stratified_k_fold(labels: &[usize], folds: usize, seed: u64) -> Result<Vec<TrainTest>, Error> {
    check_folds(labels.len(), folds)?;
    Ok(deal(&shuffled_by_class(labels, seed, 0)?, folds))
}

/// [`k_fold`] `repeats` times, each time shuffled anew, one after the other: the spread of its scores is also that of the
/// split. The first repeat is [`k_fold`]'s.
pub fn repeated_k_fold(rows: usize, folds: usize, repeats: usize, seed: u64) -> Result<Vec<TrainTest>, Error> {
    check_folds(rows, folds)?;
    repeat(repeats, |stream| Ok(deal(&shuffled(rows, seed, stream)?, folds)))
}

/// [`stratified_k_fold`] `repeats` times, as [`repeated_k_fold`].
pub fn repeated_stratified_k_fold(
    labels: &[usize],
    folds: usize,
    repeats: usize,
    seed: u64,
) -> Result<Vec<TrainTest>, Error> {
    check_folds(labels.len(), folds)?;
    repeat(repeats, |stream| Ok(deal(&shuffled_by_class(labels, seed, stream)?, folds)))
}

/// `size` of the rows `0..rows` (all when there are not so many), ascending. For one seed, a larger sample holds all rows of
/// the smaller ones: for budgets and learning curves, where only the number of rows should change.
pub fn nested_sample(rows: usize, size: usize, seed: u64) -> Result<Vec<usize>, Error> {
    let mut order = shuffled(rows, seed, 0)?;
    order.truncate(size);
    order.sort_unstable();
    Ok(order)
}

fn repeat(repeats: usize, folds: impl Fn(u64) -> Result<Vec<TrainTest>, Error>) -> Result<Vec<TrainTest>, Error> {
    let mut all = Vec::new();
    for stream in 0..repeats as u64 {
        all.extend(folds(stream)?);
    }
    Ok(all)
}

fn shuffled(rows: usize, seed: u64, stream: u64) -> Result<Vec<usize>, Error> {
    check_rows(rows)?;
    let mut order: Vec<usize> = (0..rows).collect();
    random::shuffle(&mut random::stream(seed, stream), &mut order);
    Ok(order)
}

/// All rows in random order, then grouped by class.
fn shuffled_by_class(labels: &[usize], seed: u64, stream: u64) -> Result<Vec<usize>, Error> {
    let mut order = shuffled(labels.len(), seed, stream)?;
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

fn check_rows(rows: usize) -> Result<(), Error> {
    u32::try_from(rows).map(|_| ()).map_err(|_| Error::Rows(rows))
}

fn check_shares(rows: usize, shares: &[f64]) -> Result<(), Error> {
    check_rows(rows)?;
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
