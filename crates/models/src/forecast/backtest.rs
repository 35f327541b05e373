//! Rolling-origin evaluation: at each origin, forecast what is known now from what was known then.

use serde::{Deserialize, Serialize};

use super::component::{Component, Learned};
use super::fit::{self, Fitted, Panel, WARM_UP, fit_at, resample_all};
use super::forecaster::{Forecaster, forecast};
use super::params::ForecasterParams;
use super::report::{self, Backtest, METHODS, Rolled};
use super::series::Observation;
use super::state::Sight;
use super::{Error, trial};

/// Where the first origin is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstOrigin {
    /// After this share of the time from the first to the last step.
    Share(f64),
    /// At this time, in ms since 1970 in UTC.
    At(i64),
}

/// How origins roll. Each is a step with a value, and the last thing known then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BacktestOptions {
    /// The first origin, if the history before it is long enough.
    pub first: FirstOrigin,
    /// Steps from one origin to the next.
    pub stride: usize,
    /// Origins from one fit to the next.
    pub refit_every: usize,
    /// Rounds of the bootstrap behind the intervals of differences.
    pub rounds: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Default for BacktestOptions {
    /// The later half, an origin at each step, a fit for each seven.
    fn default() -> Self {
        Self { first: FirstOrigin::Share(0.5), stride: 1, refit_every: 7, rounds: 2_000, seed: 0 }
    }
}

impl BacktestOptions {
    fn check(&self) -> Result<(), crate::Error> {
        let share = match self.first {
            FirstOrigin::Share(share) => share,
            FirstOrigin::At(_) => 0.0,
        };
        let checks = [
            ("first", "a share between 0 and 1", share.to_string(), (0.0..=1.0).contains(&share)),
            ("stride", "at least 1", self.stride.to_string(), self.stride >= 1),
            ("refit_every", "at least 1", self.refit_every.to_string(), self.refit_every >= 1),
            ("rounds", "at least 1", self.rounds.to_string(), self.rounds >= 1),
        ];
        match checks.into_iter().find(|(.., valid)| !valid) {
            Some((name, expected, got, _)) => Err(crate::Error::Parameter { name, expected, got }),
            None => Ok(()),
        }
    }

    /// Numbers of the steps that are origins, from `earliest` on.
    fn origins(&self, first: i64, last: i64, earliest: i64, step: i64) -> impl Iterator<Item = i64> + use<> {
        let asked = match self.first {
            FirstOrigin::Share(share) => first + ((last - first) as f64 * share) as i64,
            FirstOrigin::At(at) => at.div_euclid(step),
        };
        (asked.max(earliest)..last).step_by(self.stride)
    }
}

/// How good forecasters with these parameters are, fitted anew as the origin rolls through the series.
///
/// # Errors
/// As [`ForecasterParams::fit`], for options out of range, and when no origin is left.
pub fn backtest(
    params: &ForecasterParams,
    series: &[(String, Vec<Observation>)],
    options: &BacktestOptions,
) -> Result<Backtest, Error> {
    let (panel, rolled) = refitted(params, series, options)?;
    report::report(&panel, params, options, &rolled)
}

/// The forecasts behind [`backtest`].
pub(super) fn refitted(
    params: &ForecasterParams,
    series: &[(String, Vec<Observation>)],
    options: &BacktestOptions,
) -> Result<(Panel, Vec<Rolled>), Error> {
    params.check()?;
    options.check()?;
    let panel = Panel::new(Sight::new(params), resample_all(params, series)?);
    let components = trial::components(params, &panel);
    // Each fit takes of these what is over at its origin.
    let trials = trial::run(&panel, params, &components)?;
    let (first, last, needed) = (panel.first(), panel.last(), fit::needed(params).0);
    let begins = vec![first; panel.len()];
    let origins = options.origins(first, last, first, params.step);
    let fit = |end| fit_at(&panel, params, &components, &trials, end, &mut |_, _, _| {}).map(Some);
    let rolled = roll(&panel, params, options, Rolling { origins, begins, needed }, fit)?;
    Ok((panel, rolled))
}

/// How good a fitted forecaster is on series that it was not fitted to. Origins are within what is given; what was kept of a
/// series' history counts where it comes before. Nothing is fitted but the regression on dates that it is compared with.
///
/// # Errors
/// For a series that the forecaster does not know, and as [`backtest`].
pub fn evaluate(
    forecaster: &Forecaster,
    series: &[(String, Vec<Observation>)],
    options: &BacktestOptions,
) -> Result<Backtest, Error> {
    options.check()?;
    let params = forecaster.params();
    let given = resample_all(params, series)?;
    let begins: Vec<i64> = given.iter().map(|(_, series, _)| series.first()).collect();
    let mut dates = Vec::with_capacity(given.len());
    let mut joined = Vec::with_capacity(given.len());
    for (name, newer, _) in given {
        let known = forecaster.known(&name)?;
        let (series, anchor) = forecaster.join(known, &newer)?;
        dates.push(known.date.clone());
        joined.push((name, series, Some(anchor)));
    }
    let panel = Panel::new(forecaster.sight.clone(), joined);
    let learned = Learned { regression: forecaster.regression.clone(), dates };
    let mut fitted = Some(Fitted { weights: forecaster.weights.clone(), spread: forecaster.spread.clone(), learned });
    let first = begins.iter().copied().min().unwrap_or(0);
    let origins = options.origins(first, panel.last(), first, params.step);
    let needed = WARM_UP as usize + 1;
    let rolled = roll(&panel, params, options, Rolling { origins, begins, needed }, |_| Ok(fitted.take()))?;
    report::report(&panel, params, options, &rolled)
}

struct Rolling<I> {
    origins: I,
    /// For each series, the first step that may be an origin.
    begins: Vec<i64>,
    /// Steps with a value up to an origin.
    needed: usize,
}

/// `fit` gives what is known at a step, or nothing when the last fit stays.
fn roll(
    panel: &Panel,
    params: &ForecasterParams,
    options: &BacktestOptions,
    rolling: Rolling<impl Iterator<Item = i64>>,
    mut fit: impl FnMut(i64) -> Result<Option<Fitted>, crate::Error>,
) -> Result<Vec<Rolled>, Error> {
    let Rolling { origins, begins, needed } = rolling;
    let mut non_negative: Vec<NonNegative> = (0..panel.len()).map(|_| NonNegative { steps: 0, so_far: true }).collect();
    let mut current: Option<(Fitted, Learned)> = None;
    let mut left = 0;
    let mut rolled = Vec::new();
    for number in origins {
        let ready = |member: &usize| number >= begins[*member] && panel.known(*member, number) >= needed;
        let members: Vec<usize> = (0..panel.len()).filter(ready).collect();
        let any = members.iter().any(|member| panel.origin(*member, number, &Learned::default()).is_some());
        if !any {
            continue;
        }
        if left == 0 {
            let dates = panel.learn(params, &[Component::DateRegression], number)?;
            let fitted = match (fit(number)?, current.take()) {
                (Some(fitted), _) | (None, Some((fitted, _))) => fitted,
                (None, None) => return Err(Error::NoOrigin { needed }),
            };
            current = Some((fitted, dates));
            left = options.refit_every;
        }
        left -= 1;
        let Some((fitted, dates)) = &current else { continue };
        for member in members {
            let Some(origin) = panel.origin(member, number, &fitted.learned) else { continue };
            let Some(baseline) = panel.origin(member, number, dates) else { continue };
            let non_negative = non_negative[member].up_to(&origin.series.values, origin.index);
            for ahead in 1..=params.horizon {
                let target = origin.index + ahead;
                if origin.series.observed.get(target) != Some(&true) {
                    continue;
                }
                let forecast = forecast(&origin, &fitted.weights, &fitted.spread, non_negative, ahead);
                let baselines = METHODS[1..].iter().map(|(_, component)| {
                    let change = component.map_or(0.0, |component| baseline.change(component, ahead));
                    origin.state.last + change
                });
                rolled.push(Rolled {
                    member,
                    number,
                    ahead,
                    truth: origin.series.values[target],
                    predicted: [forecast.value].into_iter().chain(baselines).collect(),
                    lower: forecast.lower,
                    upper: forecast.upper,
                });
            }
        }
    }
    if rolled.is_empty() { Err(Error::NoOrigin { needed }) } else { Ok(rolled) }
}

/// Whether no value up to a step is below 0, for steps that only grow.
struct NonNegative {
    steps: usize,
    so_far: bool,
}

impl NonNegative {
    fn up_to(&mut self, values: &[f64], index: usize) -> bool {
        self.so_far &= values[self.steps..=index].iter().all(|value| value.is_nan() || *value >= 0.0);
        self.steps = index + 1;
        self.so_far
    }
}
