//! Shares, folds and their repeats.

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
fn a_larger_sample_holds_the_smaller_ones() {
    let sample = |size| nested_sample(100, size, 8).unwrap();
    assert_eq!([sample(0).len(), sample(30).len(), sample(200).len()], [0, 30, 100]);
    assert!(sample(10).iter().all(|row| sample(30).contains(row)));
    assert!(sample(30).is_sorted());
    assert_ne!(sample(30), nested_sample(100, 30, 9).unwrap());
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

#[test]
fn repeats_test_every_row_once_each_and_differ() {
    let labels = iris_labels();
    for runs in [repeated_k_fold(150, 5, 4, 9).unwrap(), repeated_stratified_k_fold(&labels, 5, 4, 9).unwrap()] {
        assert_eq!(runs.len(), 20);
        for folds in runs.chunks(5) {
            let mut tested: Vec<usize> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
            tested.sort_unstable();
            assert_eq!(tested, (0..150).collect::<Vec<_>>());
        }
        assert_ne!(runs[..5], runs[5..10]);
    }
    assert_eq!(repeated_k_fold(150, 5, 2, 9).unwrap()[..5], k_fold(150, 5, 9).unwrap());
    let stratified = repeated_stratified_k_fold(&labels, 10, 2, 9).unwrap();
    assert!(stratified.iter().all(|fold| class_counts(&fold.test, &labels) == [5, 5, 5]));
    assert_eq!(repeated_k_fold(3, 4, 2, 1), Err(Error::Folds { folds: 4, rows: 3 }));
}
