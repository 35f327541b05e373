//! Several series side by side, and how a forecaster is fitted to them.

use super::Error;
use super::calendar::duration;
use super::component::{Anchor, Component, Learned, Origin, learn_dates, learn_regression};
use super::forecaster::{Forecaster, Known};
use super::params::{ForecasterParams, Method};
use super::series::{MAX_STEPS, Observation, Series, resample};
use super::state::{Sight, State};
use super::trial::{self, Trial, Weights};

/// Forecasts in hindsight that are kept of a panel: some hundred bytes each.
const MOST_TRIALS: i64 = 10_000_000;

/// Steps before the first trial.
pub(super) const WARM_UP: i64 = 3;

/// Series on one grid with their states.
pub(super) struct Panel {
    pub sight: Sight,
    members: Vec<Member>,
}

struct Member {
    name: String,
    series: Series,
    states: Vec<Option<State>>,
    anchor: Anchor,
}

impl Panel {
    /// Names must differ. Of a series that begins with what is no longer kept, the anchor is given.
    pub fn new(sight: Sight, series: Vec<(String, Series, Option<Anchor>)>) -> Self {
        let member = |(name, series, anchor): (String, Series, Option<Anchor>)| {
            let states = (0..series.values.len()).map(|index| State::at(&series, index, &sight)).collect();
            let anchor = anchor.unwrap_or_else(|| Anchor::of(&series));
            Member { name, series, states, anchor }
        };
        let members = series.into_iter().map(member).collect();
        Self { sight, members }
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn name(&self, member: usize) -> &str {
        &self.members[member].name
    }

    pub fn series(&self, member: usize) -> &Series {
        &self.members[member].series
    }

    pub fn first(&self) -> i64 {
        self.members.iter().map(|member| member.series.first()).min().unwrap_or(0)
    }

    pub fn last(&self) -> i64 {
        self.members.iter().map(|member| member.series.last()).max().unwrap_or(0)
    }

    /// A series at a step that was observed.
    pub fn origin<'a>(&'a self, member: usize, number: i64, learned: &'a Learned) -> Option<Origin<'a>> {
        let Member { series, states, anchor, .. } = &self.members[member];
        let index =
            usize::try_from(number - series.first()).ok().filter(|index| series.observed.get(*index) == Some(&true))?;
        let (regression, date) = (&learned.regression[..], learned.dates.get(member).and_then(Option::as_ref));
        let state = states[index].as_ref()?;
        Some(Origin { series, index, state, anchor: *anchor, regression, date, sight: &self.sight })
    }

    /// Fits what the components need, from steps up to `end`.
    pub fn learn(
        &self,
        params: &ForecasterParams,
        components: &[Component],
        end: i64,
    ) -> Result<Learned, crate::Error> {
        let mut learned = Learned::default();
        if components.contains(&Component::Regression) {
            let panel: Vec<_> = self.members.iter().map(|member| (&member.series, &member.states[..])).collect();
            learned.regression = learn_regression(&panel, &self.sight, params.horizon, params.alpha, end)?;
        }
        if components.contains(&Component::DateRegression) {
            learned.dates = self.members.iter().map(|member| learn_dates(&member.series, end)).collect();
        }
        Ok(learned)
    }

    /// Steps of a series with a value, up to `end`.
    pub fn known(&self, member: usize, end: i64) -> usize {
        let series = self.series(member);
        let count = usize::try_from(end - series.first() + 1).unwrap_or(0).min(series.observed.len());
        series.observed[..count].iter().filter(|observed| **observed).count()
    }
}

/// Weights, intervals and regressions as they are known at one step.
pub(super) struct Fitted {
    pub weights: Weights,
    pub spread: Vec<f64>,
    pub learned: Learned,
}

/// As known at step `end`.
pub(super) fn fit_at(
    panel: &Panel,
    params: &ForecasterParams,
    components: &[Component],
    trials: &[Trial],
    end: i64,
    told: &mut dyn FnMut(Component, f64, f64),
) -> Result<Fitted, crate::Error> {
    let over = || trials.iter().filter(|trial| trial.target <= end);
    let weights = trial::weights(components, params.horizon, over(), params.method, told);
    let spread = trial::spread(components, &weights, params.horizon, over(), params.confidence);
    let used: Vec<Component> = weights.iter().map(|(component, _)| *component).collect();
    Ok(Fitted { weights, spread, learned: panel.learn(params, &used, end)? })
}

/// Steps with a value that a series must have.
pub(super) fn needed(params: &ForecasterParams) -> (usize, &'static str) {
    match params.method {
        // Several series help each other to the rows of a regression, but one alone should do.
        Method::Regression => (params.horizon + 24, "fit a regression"),
        _ => (params.horizon + 5, "measure how far forecasts are off"),
    }
}

pub(super) fn resample_all(
    params: &ForecasterParams,
    series: &[(String, Vec<Observation>)],
) -> Result<Vec<(String, Series, Option<Anchor>)>, Error> {
    if series.is_empty() {
        return Err(Error::NoSeries);
    }
    let mut all: Vec<(String, Series, Option<Anchor>)> = Vec::with_capacity(series.len());
    for (name, observations) in series {
        if all.iter().any(|(other, ..)| other == name) {
            return Err(Error::Duplicate(name.clone()));
        }
        match resample(observations, params.step, params.max_gap) {
            Ok(series) => all.push((name.clone(), series, None)),
            Err(Error::Empty) => return Err(too_short(params, name, 0)),
            Err(error) => return Err(error),
        }
    }
    // One series far from the others in time, or a unit mistaken in one of them, must not make the panel endless; and every step
    // of every series is forecast in hindsight, for each step ahead.
    let first = all.iter().map(|(_, series, _)| series.first()).min().unwrap_or(0);
    let last = all.iter().map(|(_, series, _)| series.last()).max().unwrap_or(0);
    let limit = (MOST_TRIALS / (params.horizon.max(1) * all.len()) as i64).clamp(1, MAX_STEPS);
    if last.saturating_sub(first) >= limit {
        let (from, to) = (first.saturating_mul(params.step), last.saturating_mul(params.step));
        return Err(Error::TooLong { from, to, step: params.step, limit });
    }
    Ok(all)
}

fn too_short(params: &ForecasterParams, name: &str, known: usize) -> Error {
    let (needed, purpose) = needed(params);
    Error::TooShort { series: name.to_owned(), known, needed, step: params.step, purpose }
}

impl ForecasterParams {
    /// Fits a forecaster to the whole of these series, telling of what it finds. Each has a name and its observations in any
    /// order; those of several should be of one kind, for they share what is learnt.
    ///
    /// # Errors
    /// For parameters out of range, for no series or two of one name, and for a series that is too short or has values that
    /// cannot be computed with.
    pub fn fit(
        &self,
        series: &[(String, Vec<Observation>)],
        observe: &mut dyn FnMut(&str),
    ) -> Result<Forecaster, Error> {
        self.check()?;
        let all = resample_all(self, series)?;
        if let Some((name, series, _)) = all.iter().find(|(_, series, _)| series.known() < needed(self).0) {
            return Err(too_short(self, name, series.known()));
        }
        let panel = Panel::new(Sight::new(self), all);
        let steps = panel.last() - panel.first() + 1;
        observe(&format!("{} series, {steps} steps of {}", panel.len(), duration(self.step)));
        let components = trial::components(self, &panel);
        let trials = trial::run(&panel, self, &components)?;
        observe(&format!("{} forecasts in hindsight", trials.len()));
        let Fitted { weights, spread, learned } =
            fit_at(&panel, self, &components, &trials, panel.last(), &mut |component, ratio, probability| {
                let name = component.name(&panel.sight);
                observe(&format!("{name}: error {ratio:.3} of the naive one, probability {probability:.3}"));
            })?;
        let told: Vec<String> =
            weights.iter().map(|(component, share)| format!("{share:.3} {}", component.name(&panel.sight))).collect();
        observe(&format!("last value + {}", if told.is_empty() { "nothing".to_owned() } else { told.join(" + ") }));
        let kept = panel.sight.kept() as i64;
        let mut dates = learned.dates.into_iter();
        let known = panel.members.into_iter().map(|Member { name, series, anchor, .. }| Known {
            name,
            non_negative: series.values.iter().all(|value| value.is_nan() || *value >= 0.0),
            history: series.since(series.last() + 1 - kept),
            anchor,
            date: dates.next().flatten(),
        });
        Ok(Forecaster {
            series: known.collect(),
            params: self.clone(),
            sight: panel.sight,
            weights,
            spread,
            regression: learned.regression,
        })
    }
}
