//! What a learner answers for rows that it has not seen.

use ndarray::Array2;

use crate::learner::Rows;
use crate::split::{self, TrainTest};
use crate::{Error, Learner, Table, Target};

/// Fits to each split's training rows and answers its test rows: rows × outputs. A row that is tested more than once has the
/// mean of its answers, one that is never tested has `NaN`. `groups`, a number for each row, are as in
/// [`Learner::fit_grouped`]; that `splits` keep them together is up to the caller, for whom [`folds`] does.
///
/// # Errors
/// As [`Learner::fit`]. Panics for rows of a split that do not exist.
pub fn cross_validate(
    learner: &Learner,
    table: &Table,
    target: &Target,
    groups: Option<&[usize]>,
    splits: &[TrainTest],
    seed: u64,
) -> Result<Array2<f64>, Error> {
    let rows = Rows { table, target, groups };
    rows.check()?;
    let mut sums = Array2::zeros((table.rows(), target.task().n_outputs()));
    let mut tested = vec![0_usize; table.rows()];
    for split in splits {
        let outputs = rows.fit_and_answer(learner, split, seed)?.outputs;
        for (&row, answer) in split.test.iter().zip(outputs.rows()) {
            sums.row_mut(row).zip_mut_with(&answer, |sum, value| *sum += value);
            tested[row] += 1;
        }
    }
    for (mut row, times) in sums.rows_mut().into_iter().zip(tested) {
        // 0 / 0 is the `NaN` of a row that was never tested.
        row.mapv_inplace(|sum| sum / times as f64);
    }
    Ok(sums)
}

/// Splits that test every row once: classes in proportion, groups together. As many as asked for, fewer where there are
/// not so many rows or groups, and none at all where there are not two.
///
/// # Errors
/// [`split::Error`] for more rows than can be shuffled, or another number of groups.
pub fn folds(
    target: &Target,
    groups: Option<&[usize]>,
    folds: usize,
    seed: u64,
) -> Result<Vec<TrainTest>, split::Error> {
    let labels = match target {
        Target::Classes { labels, .. } => labels.to_vec(),
        Target::Values(values) => vec![0; values.len()],
    };
    let distinct = groups.map(|groups| groups.iter().collect::<std::collections::HashSet<_>>().len());
    let folds = folds.min(distinct.unwrap_or(labels.len()));
    match (folds, groups) {
        (0 | 1, _) => Ok(Vec::new()),
        (_, Some(groups)) => split::stratified_group_k_fold(&labels, groups, folds, seed),
        (_, None) => split::stratified_k_fold(&labels, folds, seed),
    }
}
