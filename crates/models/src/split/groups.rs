//! Splits that never part a group, such as the rows of one customer or device: what is learnt of a group in training would
//! make its test rows look easier than those of new groups are.

use std::collections::BTreeMap;

use super::{Error, TrainTest, check_rows};
use crate::random;

/// `folds` splits; every row is tested on exactly once, and no group is on both sides. `groups` has each row's group. Folds
/// are about equally large: groups go to the smallest fold, the largest first.
///
/// # Errors
/// [`Error::Groups`] for fewer groups than folds.
pub fn group_k_fold(groups: &[usize], folds: usize, seed: u64) -> Result<Vec<TrainTest>, Error> {
    stratified_group_k_fold(&vec![0; groups.len()], groups, folds, seed)
}

/// Like [`group_k_fold`], with the classes about in proportion: a group goes to the fold that it brings nearest to an equal
/// share of every class, the largest first, and among equals to the smallest fold.
///
/// # Errors
/// [`Error::Groups`] for fewer groups than folds, [`Error::LengthMismatch`].
pub fn stratified_group_k_fold(
    labels: &[usize],
    groups: &[usize],
    folds: usize,
    seed: u64,
) -> Result<Vec<TrainTest>, Error> {
    if labels.len() != groups.len() {
        return Err(Error::LengthMismatch { rows: labels.len(), groups: groups.len() });
    }
    let mut members = shuffled_groups(groups, seed)?;
    if folds < 2 || folds > members.len() {
        return Err(Error::Groups { folds, groups: members.len() });
    }
    // Stable: equally large groups stay in random order.
    members.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
    let totals = count(labels, 0..labels.len());
    let mut balances: Vec<Balance> = (0..folds).map(|_| Balance::default()).collect();
    let mut fold_of = vec![0; labels.len()];
    for rows in members {
        let classes = count(labels, rows.iter().copied());
        let cost = |balance: &Balance| balance.cost(&classes, &totals, 1.0 / folds as f64);
        let better = |a: &Balance, b: &Balance| cost(a).total_cmp(&cost(b)).then(a.rows.cmp(&b.rows));
        // `min_by` takes the first among equals; the fold has no meaning but its number.
        let Some(fold) = (0..folds).min_by(|a, b| better(&balances[*a], &balances[*b])) else { continue };
        balances[fold].add(&classes, rows.len());
        rows.into_iter().for_each(|row| fold_of[row] = fold);
    }
    let part = |fold: usize| {
        let (test, train) = (0..labels.len()).partition(|row| fold_of[*row] == fold);
        TrainTest { train, test }
    };
    Ok((0..folds).map(part).collect())
}

/// Whole groups of about `test_share` of the rows to test on: in random order, a group joins the test part when that brings
/// its size nearer to what was asked for.
///
/// # Errors
/// [`Error::TestShare`].
pub fn group_train_test(groups: &[usize], test_share: f64, seed: u64) -> Result<TrainTest, Error> {
    if !(0.0..=1.0).contains(&test_share) {
        return Err(Error::TestShare(test_share));
    }
    let target = test_share * groups.len() as f64;
    let mut parts = TrainTest { train: Vec::new(), test: Vec::new() };
    for rows in shuffled_groups(groups, seed)? {
        let (without, with) = (parts.test.len() as f64, (parts.test.len() + rows.len()) as f64);
        let part = if (with - target).abs() < (without - target).abs() { &mut parts.test } else { &mut parts.train };
        part.extend(rows);
    }
    parts.train.sort_unstable();
    parts.test.sort_unstable();
    Ok(parts)
}

/// Like [`group_train_test`], with about `test_share` of every class: a group joins the test part when that brings the shares
/// of its classes nearer to what was asked for. Up to a half, something always stays in training.
///
/// # Errors
/// [`Error::TestShare`], [`Error::LengthMismatch`].
pub fn stratified_group_train_test(
    labels: &[usize],
    groups: &[usize],
    test_share: f64,
    seed: u64,
) -> Result<TrainTest, Error> {
    if labels.len() != groups.len() {
        return Err(Error::LengthMismatch { rows: labels.len(), groups: groups.len() });
    }
    if !(0.0..=1.0).contains(&test_share) {
        return Err(Error::TestShare(test_share));
    }
    let totals = count(labels, 0..labels.len());
    let mut test = Balance::default();
    let mut parts = TrainTest { train: Vec::new(), test: Vec::new() };
    for rows in shuffled_groups(groups, seed)? {
        let classes = count(labels, rows.iter().copied());
        if test.cost(&classes, &totals, test_share) < 0.0 {
            test.add(&classes, rows.len());
            parts.test.extend(rows);
        } else {
            parts.train.extend(rows);
        }
    }
    parts.train.sort_unstable();
    parts.test.sort_unstable();
    Ok(parts)
}

/// The rows of each group, groups in random order.
fn shuffled_groups(groups: &[usize], seed: u64) -> Result<Vec<Vec<usize>>, Error> {
    check_rows(groups.len())?;
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    groups.iter().enumerate().for_each(|(row, group)| members.entry(*group).or_default().push(row));
    let mut members: Vec<Vec<usize>> = members.into_values().collect();
    random::shuffle(&mut random::stream(seed, 0), &mut members);
    Ok(members)
}

type ClassCounts = BTreeMap<usize, usize>;

fn count(labels: &[usize], rows: impl Iterator<Item = usize>) -> ClassCounts {
    let mut counts = ClassCounts::new();
    rows.for_each(|row| *counts.entry(labels[row]).or_default() += 1);
    counts
}

/// What a fold holds so far.
#[derive(Default)]
struct Balance {
    rows: usize,
    classes: ClassCounts,
}

impl Balance {
    fn add(&mut self, classes: &ClassCounts, rows: usize) {
        self.rows += rows;
        classes.iter().for_each(|(class, count)| *self.classes.entry(*class).or_default() += count);
    }

    /// By how much Σ (share of the class - `wanted`)² over all folds and classes changes when a group joins this fold. An
    /// empty fold is always among the cheapest, so none stays empty.
    fn cost(&self, group: &ClassCounts, totals: &ClassCounts, wanted: f64) -> f64 {
        let change = |(class, count): (&usize, &usize)| {
            let total = totals.get(class).copied().unwrap_or(1) as f64;
            let (share, held) = (*count as f64 / total, self.classes.get(class).copied().unwrap_or(0) as f64 / total);
            share * (share + 2.0 * (held - wanted))
        };
        group.iter().map(change).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups of 1 to 9 rows, whose share of class 1 differs, numbered without order.
    fn rows(seed: u64) -> (Vec<usize>, Vec<usize>) {
        let mut rng = random::stream(seed, 99);
        let (mut labels, mut groups) = (Vec::new(), Vec::new());
        for group in 0..60 {
            let share = random::below(&mut rng, 10);
            for _ in 0..=random::below(&mut rng, 9) {
                labels.push(usize::from(random::below(&mut rng, 20) < share));
                groups.push(group * 7919 % 61);
            }
        }
        (labels, groups)
    }

    fn assert_apart(parts: &TrainTest, groups: &[usize]) {
        let of = |rows: &[usize]| rows.iter().map(|&row| groups[row]).collect::<std::collections::BTreeSet<_>>();
        assert!(of(&parts.train).is_disjoint(&of(&parts.test)));
        let mut all = [parts.train.clone(), parts.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..groups.len()).collect::<Vec<_>>());
        assert!(parts.train.is_sorted() && parts.test.is_sorted());
    }

    #[test]
    fn every_row_is_tested_once_and_no_group_is_on_both_sides() {
        for seed in 0..20 {
            let (labels, groups) = rows(seed);
            for folds in [
                group_k_fold(&groups, 5, seed).unwrap(),
                stratified_group_k_fold(&labels, &groups, 5, seed).unwrap(),
                group_k_fold(&groups, 60, seed).unwrap(),
            ] {
                folds.iter().for_each(|fold| assert_apart(fold, &groups));
                assert!(folds.iter().all(|fold| !fold.test.is_empty()));
                let mut tested: Vec<usize> = folds.into_iter().flat_map(|fold| fold.test).collect();
                tested.sort_unstable();
                assert_eq!(tested, (0..groups.len()).collect::<Vec<_>>());
            }
            assert_apart(&group_train_test(&groups, 0.3, seed).unwrap(), &groups);
            assert_apart(&stratified_group_train_test(&labels, &groups, 0.3, seed).unwrap(), &groups);
        }
    }

    #[test]
    fn folds_are_equally_large_and_stratified_ones_keep_the_classes() {
        for seed in 0..20 {
            let (labels, groups) = rows(seed);
            let share = groups.len() as f64 / 5.0;
            for fold in group_k_fold(&groups, 5, seed).unwrap() {
                assert!((fold.test.len() as f64 - share).abs() <= 2.0, "{} of {share}", fold.test.len());
            }
            let ones = |rows: &[usize]| rows.iter().filter(|row| labels[**row] == 1).count() as f64;
            let share = ones(&(0..labels.len()).collect::<Vec<_>>()) / 5.0;
            for fold in stratified_group_k_fold(&labels, &groups, 5, seed).unwrap() {
                assert!((ones(&fold.test) - share).abs() <= 3.0, "{} of {share}", ones(&fold.test));
            }
        }
    }

    #[test]
    fn a_grouped_test_part_has_about_its_share() {
        let (_, groups) = rows(1);
        for share in [0.0, 0.1, 0.5, 1.0] {
            let test = group_train_test(&groups, share, 3).unwrap().test.len() as f64;
            assert!((test - share * groups.len() as f64).abs() <= 4.5, "{test} for {share}");
        }
    }

    #[test]
    fn a_stratified_grouped_test_part_has_about_its_share_of_every_class() {
        let (labels, groups) = rows(1);
        for share in [0.0, 0.1, 0.5] {
            let test = stratified_group_train_test(&labels, &groups, share, 3).unwrap().test;
            for class in 0..2 {
                let of_class = |rows: &[usize]| rows.iter().filter(|row| labels[**row] == class).count() as f64;
                let wanted = share * of_class(&(0..labels.len()).collect::<Vec<_>>());
                assert!((of_class(&test) - wanted).abs() <= 5.0, "{} of {wanted}", of_class(&test));
            }
        }
        // One group alone stays in training.
        assert!(stratified_group_train_test(&[0, 1, 1], &[7; 3], 0.5, 0).unwrap().test.is_empty());
    }

    #[test]
    fn a_seed_always_gives_the_same_groups() {
        let (labels, groups) = rows(1);
        let folds = |seed| stratified_group_k_fold(&labels, &groups, 5, seed).unwrap();
        assert_eq!(folds(1), folds(1));
        assert_ne!(folds(1), folds(2));
        // Written down when first run: a change here would change every model's split.
        assert_eq!(group_train_test(&[5, 5, 1, 2, 2, 2, 9, 9, 4], 0.3, 42).unwrap().test, [0, 1, 2]);
    }

    #[test]
    fn impossible_splits_are_named() {
        assert_eq!(group_k_fold(&[1, 1, 2], 3, 0), Err(Error::Groups { folds: 3, groups: 2 }));
        assert_eq!(group_k_fold(&[1, 2], 1, 0), Err(Error::Groups { folds: 1, groups: 2 }));
        assert_eq!(stratified_group_k_fold(&[0], &[1, 2], 2, 0), Err(Error::LengthMismatch { rows: 1, groups: 2 }));
        assert_eq!(group_train_test(&[1, 2], -0.1, 0), Err(Error::TestShare(-0.1)));
        assert_eq!(stratified_group_train_test(&[0, 1], &[1, 2], 1.1, 0), Err(Error::TestShare(1.1)));
    }
}
