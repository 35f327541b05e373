//! Intervals of any metric over rows: percentile bootstrap, drawing rows, rows within strata, or whole groups (Davison and
//! Hinkley, "Bootstrap Methods and their Application", 1997, sections 2.4 and 3.8).

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;

use super::{Error, Interval, quantile};
use crate::{parallel, random};

/// What is drawn with replacement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resampling<'a> {
    /// Rows, as many as there are.
    #[default]
    Rows,
    /// Rows within each stratum (its number for each row), as many as it has: every class keeps its size.
    Stratified(&'a [usize]),
    /// Groups (its number for each row), as many as there are, each with all its rows: for rows of one customer or one
    /// device, which are not independent and would make intervals too narrow.
    Groups(&'a [usize]),
}

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap<'a> {
    /// How often rows are drawn.
    pub rounds: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// How often an interval made so holds the true value, in (0, 1).
    pub confidence: f64,
    /// What is drawn.
    pub resampling: Resampling<'a>,
    /// Threads; one per core when not given. No interval depends on it.
    pub n_jobs: Option<usize>,
}

impl Default for Bootstrap<'_> {
    /// 2,000 rounds of rows, 95 %.
    fn default() -> Self {
        Self { rounds: 2_000, seed: 0, confidence: 0.95, resampling: Resampling::Rows, n_jobs: None }
    }
}

impl Bootstrap<'_> {
    /// The interval of `metric`, which is given row numbers of `0..rows`, some several times.
    ///
    /// # Errors
    /// When the metric has no value for all rows, or for more than half of the rounds (a class so rare that it is often
    /// not drawn: stratify), and for arguments that do not fit.
    pub fn interval<E: std::fmt::Display>(
        &self,
        rows: usize,
        metric: impl Fn(&[usize]) -> Result<f64, E> + Sync,
    ) -> Result<Interval, Error> {
        let one = |rows: &[usize]| vec![metric(rows).map_err(|error| error.to_string())];
        self.intervals(rows, one)?.pop().unwrap_or_else(|| Err(Error::Undefined("there is no metric".to_owned())))
    }

    /// The intervals of several metrics on the same draws: `metrics` gives equally many values, in the same order, for any
    /// rows. Each has an interval or the reason why not.
    ///
    /// # Errors
    /// For arguments that do not fit.
    pub fn intervals(
        &self,
        rows: usize,
        metrics: impl Fn(&[usize]) -> Vec<Result<f64, String>> + Sync,
    ) -> Result<Vec<Result<Interval, Error>>, Error> {
        let Self { rounds, confidence, .. } = *self;
        if rounds == 0 || !(confidence > 0.0 && confidence < 1.0) {
            return Err(Error::Parameters { rounds, confidence });
        }
        let units = self.units(rows)?;
        let all: Vec<usize> = (0..rows).collect();
        let estimates = metrics(&all);
        // Round n has stream n + 1: the same draw whichever thread makes it.
        let drawn = parallel::map(rounds, parallel::threads(self.n_jobs), Vec::new, |drawn, round| {
            drawn.clear();
            units.draw(&mut random::stream(self.seed, round as u64 + 1), drawn);
            metrics(drawn)
        });
        let interval = |(index, estimate): (usize, Result<f64, String>)| {
            let estimate = estimate.map_err(Error::Undefined)?;
            let values = drawn.iter().filter_map(|round| round.get(index)?.as_ref().ok().copied());
            let mut values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
            values.sort_unstable_by(f64::total_cmp);
            let tail = (1.0 - confidence) / 2.0;
            match (quantile(&values, tail), quantile(&values, 1.0 - tail)) {
                (Some(lower), Some(upper)) if values.len() * 2 >= rounds => Ok(Interval { estimate, lower, upper }),
                _ => Err(Error::Rounds { defined: values.len(), rounds }),
            }
        };
        Ok(estimates.into_iter().enumerate().map(interval).collect())
    }

    fn units(&self, rows: usize) -> Result<Units, Error> {
        if u32::try_from(rows).is_err() {
            return Err(Error::Rows(rows));
        }
        let members = |of: &[usize]| -> Result<Vec<Vec<usize>>, Error> {
            if of.len() != rows {
                return Err(Error::Resampling { rows, given: of.len() });
            }
            let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            of.iter().enumerate().for_each(|(row, unit)| members.entry(*unit).or_default().push(row));
            Ok(members.into_values().collect())
        };
        Ok(match self.resampling {
            Resampling::Rows => Units::Strata(vec![(0..rows).collect()]),
            Resampling::Stratified(strata) => Units::Strata(members(strata)?),
            Resampling::Groups(groups) => Units::Groups(members(groups)?),
        })
    }
}

enum Units {
    Strata(Vec<Vec<usize>>),
    Groups(Vec<Vec<usize>>),
}

impl Units {
    fn draw(&self, rng: &mut ChaCha8Rng, drawn: &mut Vec<usize>) {
        match self {
            Self::Strata(strata) => {
                for rows in strata {
                    drawn.extend((0..rows.len()).map(|_| rows[random::below(rng, rows.len() as u32) as usize]));
                }
            }
            Self::Groups(groups) => {
                for _ in 0..groups.len() {
                    drawn.extend(&groups[random::below(rng, groups.len() as u32) as usize]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[f64]) -> impl Fn(&[usize]) -> Result<f64, String> + Sync {
        |rows| match rows.len() {
            0 => Err("no rows".to_owned()),
            n => Ok(rows.iter().map(|&row| values[row]).sum::<f64>() / n as f64),
        }
    }

    /// 400 values 0 and 1, in blocks of ten equal ones.
    fn blocks() -> (Vec<f64>, Vec<usize>) {
        ((0..400).map(|row| f64::from(row / 10 % 2)).collect(), (0..400).map(|row| row / 10).collect())
    }

    fn width(interval: Interval) -> f64 {
        interval.upper - interval.lower
    }

    #[test]
    fn an_interval_of_a_mean_has_the_width_of_its_standard_error() {
        let (values, _) = blocks();
        let interval = Bootstrap::default().interval(400, mean_of(&values)).unwrap();
        assert_eq!(interval.estimate, 0.5);
        assert!((width(interval) - 2.0 * 1.96 * 0.025).abs() < 0.01, "{interval:?}");
    }

    #[test]
    fn rows_that_belong_together_make_an_interval_wider() {
        let (values, groups) = blocks();
        let bootstrap = Bootstrap { resampling: Resampling::Groups(&groups), ..Bootstrap::default() };
        let interval = bootstrap.interval(400, mean_of(&values)).unwrap();
        // 40 independent blocks, not 400 rows: the standard error is sqrt(10) times as large.
        assert!((width(interval) - 2.0 * 1.96 * 0.025 * 10_f64.sqrt()).abs() < 0.04, "{interval:?}");
    }

    #[test]
    fn strata_keep_their_sizes() {
        let strata: Vec<usize> = (0..100).map(|row| usize::from(row < 3)).collect();
        let bootstrap = Bootstrap { rounds: 50, resampling: Resampling::Stratified(&strata), ..Bootstrap::default() };
        let rare = |rows: &[usize]| Ok::<_, String>(rows.iter().filter(|row| **row < 3).count() as f64);
        let interval = bootstrap.interval(100, rare).unwrap();
        assert_eq!((interval.lower, interval.estimate, interval.upper), (3.0, 3.0, 3.0));
    }

    #[test]
    fn the_number_of_threads_changes_nothing_and_the_seed_does() {
        let (values, _) = blocks();
        let run = |n_jobs, seed| {
            let bootstrap = Bootstrap { rounds: 200, n_jobs: Some(n_jobs), seed, ..Bootstrap::default() };
            bootstrap.interval(400, mean_of(&values)).unwrap()
        };
        assert_eq!(run(1, 3), run(7, 3));
        assert_ne!(run(1, 3), run(1, 4));
    }

    #[test]
    fn metrics_without_a_value_say_why_and_leave_the_others_alone() {
        let bootstrap = Bootstrap { rounds: 100, ..Bootstrap::default() };
        let metrics = |rows: &[usize]| {
            let all = rows.iter().enumerate().all(|(index, row)| index == *row);
            let only_of_all = if all { Ok(1.0) } else { Err("drawn".to_owned()) };
            vec![Err("one class".to_owned()), Ok(rows.len() as f64), only_of_all]
        };
        let intervals = bootstrap.intervals(20, metrics).unwrap();
        assert_eq!(intervals[0], Err(Error::Undefined("one class".to_owned())));
        assert_eq!(intervals[1].as_ref().unwrap().estimate, 20.0);
        assert_eq!(intervals[2], Err(Error::Rounds { defined: 0, rounds: 100 }));
    }

    #[test]
    fn unusable_arguments_are_errors() {
        let run = |bootstrap: Bootstrap<'_>| bootstrap.interval(5, |_| Ok::<_, String>(1.0));
        let groups = Bootstrap { resampling: Resampling::Groups(&[1, 2]), ..Bootstrap::default() };
        assert_eq!(run(groups), Err(Error::Resampling { rows: 5, given: 2 }));
        assert!(matches!(run(Bootstrap { rounds: 0, ..Bootstrap::default() }), Err(Error::Parameters { .. })));
        assert!(matches!(run(Bootstrap { confidence: 1.0, ..Bootstrap::default() }), Err(Error::Parameters { .. })));
    }
}
