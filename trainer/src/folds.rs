//! Splits of rows for a cross-validation, in the way in which the pipeline holds rows out.

use driftmill_models::split::{RollingOrigin, TrainTest, Window, rolling_origin_by_time};
use driftmill_models::validation;
use driftmill_schemas::pipeline::{Pipeline, SplitBy};

use crate::Rows;
use crate::fit::Fault;

/// As many folds as asked for, or fewer where there are not so many rows or entities: drawn with classes in proportion, with
/// the rows of an entity together, or, by time, each of what came after all that is learned.
///
/// # Errors
/// When there are not even two.
pub(crate) fn folds(rows: &Rows, pipeline: &Pipeline, folds: usize) -> Result<Vec<TrainTest>, Fault> {
    let seed = pipeline.training.seed;
    let unfit = |error: driftmill_models::split::Error| Fault::Unfit(format!("no folds can be made: {error}"));
    let found = match pipeline.training.split.by {
        SplitBy::Time => by_time(&rows.times, folds).map_err(unfit)?,
        SplitBy::Row => validation::folds(&rows.target, None, folds, seed).map_err(unfit)?,
        SplitBy::Entity => validation::folds(&rows.target, Some(&rows.groups()), folds, seed).map_err(unfit)?,
    };
    match found.len() {
        0 | 1 => Err(Fault::Unfit("no two folds can be made: there are too few rows, entities or times".to_owned())),
        _ => Ok(found),
    }
}

/// The times in equal stretches, one more than folds: each but the first is tested by what was learned from those before.
fn by_time(times: &[i64], folds: usize) -> Result<Vec<TrainTest>, driftmill_models::split::Error> {
    let mut distinct = times.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let horizon = (distinct.len() / (folds + 1)).max(1);
    let first = distinct.len().saturating_sub(horizon * folds).max(1);
    let rolling = RollingOrigin { window: Window::Expanding(first), horizon, step: horizon, gap: 0 };
    rolling_origin_by_time(times, &rolling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_every_fold_is_tested_by_what_came_before_it() {
        let times: Vec<i64> = (0..100).rev().collect();
        let splits = by_time(&times, 4).unwrap();
        assert_eq!(splits.len(), 4);
        for split in &splits {
            let newest = split.train.iter().map(|&row| times[row]).max();
            assert!(newest < split.test.iter().map(|&row| times[row]).min());
        }
        let tested: usize = splits.iter().map(|split| split.test.len()).sum();
        assert_eq!(tested, 80);
        assert_eq!(by_time(&[1, 2, 3], 9).unwrap().len(), 2);
    }
}
