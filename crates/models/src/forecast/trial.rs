//! What each component would have forecast in the past, and the weights and intervals that follow.
//!
//! The regressions behind a trial know nothing after its origin: they are fitted anew whenever the history has grown by a
//! quarter. So one set of trials serves every later origin, which takes those that are over by then.

use super::component::Component;
use super::fit::{Panel, WARM_UP};
use super::params::{ForecasterParams, Method};

/// Shares of a component's change that are tried.
const SHARES: [f64; 4] = [0.25, 0.5, 0.75, 1.0];
/// Odds of the naive forecast before any trial.
const PRIOR: f64 = 0.5;
/// How much trials count for: neighbours have most of their time ahead in common, see [`weights`].
const EVIDENCE: f64 = 2.0;
/// A share less likely than that is none.
const NEGLIGIBLE: f64 = 0.01;

/// One forecast of the past. Changes are in units of the origin's scale.
pub(super) struct Trial {
    pub ahead: usize,
    /// Number of the step forecast.
    pub target: i64,
    pub actual: f64,
    /// One for each component.
    pub changes: Vec<f64>,
}

/// A component and the share of its change that is taken.
pub(super) type Weights = Vec<(Component, f64)>;

/// All trials of a panel for these components, in order of their origins.
pub(super) fn run(
    panel: &Panel,
    params: &ForecasterParams,
    components: &[Component],
) -> Result<Vec<Trial>, crate::Error> {
    let mut trials = Vec::new();
    let (first, last) = (panel.first() + WARM_UP, panel.last());
    let mut from = first;
    while from <= last {
        let next = from + ((from - panel.first()) / 4).max(1);
        let learned = panel.learn(params, components, from)?;
        for number in from..next.min(last + 1) {
            for member in 0..panel.len() {
                let Some(origin) = panel.origin(member, number, &learned).filter(|origin| origin.state.scale > 0.0)
                else {
                    continue;
                };
                for ahead in 1..=params.horizon {
                    if origin.series.observed.get(origin.index + ahead) != Some(&true) {
                        continue;
                    }
                    let scale = origin.state.scale;
                    trials.push(Trial {
                        ahead,
                        target: number + ahead as i64,
                        actual: (origin.series.values[origin.index + ahead] - origin.state.last) / scale,
                        changes: components.iter().map(|component| origin.change(*component, ahead) / scale).collect(),
                    });
                }
            }
        }
        from = next;
    }
    Ok(trials)
}

/// The components that a method is made of.
pub(super) fn components(params: &ForecasterParams, panel: &Panel) -> Vec<Component> {
    match params.method {
        Method::Naive => Vec::new(),
        Method::SeasonalNaive => vec![Component::SeasonalNaive],
        Method::Drift => vec![Component::Drift],
        Method::DateRegression => vec![Component::DateRegression],
        Method::Regression => vec![Component::Regression],
        Method::Auto => Component::all(&panel.sight),
    }
}

/// The share of each component: all of it for a method of one component, by evidence for several.
///
/// Each component at each share is a hypothesis, and so is the naive forecast, with even odds against all others together.
/// Trials weigh them by their likelihood under normal errors, -n/2 log(mean square), where n at horizon h is the number of
/// trials over h, for those overlap; horizons are averaged. The forecast is the mean over hypotheses (Hoeting et al.,
/// "Bayesian model averaging", Statistical Science 14, 1999), unless naive is still more likely than not: then it is that.
pub(super) fn weights<'a>(
    components: &[Component],
    horizon: usize,
    trials: impl Iterator<Item = &'a Trial>,
    method: Method,
    told: &mut dyn FnMut(Component, f64, f64),
) -> Weights {
    if method != Method::Auto {
        return components.iter().map(|component| (*component, 1.0)).collect();
    }
    let (n, width) = (components.len(), SHARES.len());
    let mut count = vec![0.0; horizon];
    let mut naive = vec![0.0; horizon];
    let mut squares = vec![vec![0.0; horizon]; n * width];
    for trial in trials {
        let at = trial.ahead - 1;
        count[at] += 1.0;
        naive[at] += trial.actual.powi(2);
        for (squares, hypothesis) in squares.iter_mut().zip(0..) {
            let change: f64 = trial.changes[hypothesis / width] * SHARES[hypothesis % width];
            squares[at] += (trial.actual - change).powi(2);
        }
    }
    let likelihood = |squares: &Vec<f64>| -> f64 {
        let at = |at: usize| {
            if count[at] == 0.0 || naive[at] == 0.0 || squares[at] == naive[at] {
                return 0.0;
            }
            // An exact hypothesis is not infinitely likely.
            let ratio = (squares[at] / naive[at]).max(1e-6);
            -0.5 * ratio.ln() * EVIDENCE * count[at] / (at + 1) as f64
        };
        (0..horizon).map(at).sum::<f64>() / horizon as f64
    };
    let prior = (1.0 - PRIOR) / PRIOR / (n * width) as f64;
    let odds: Vec<f64> = squares.iter().map(|squares| prior.ln() + likelihood(squares)).collect();
    let highest = odds.iter().copied().fold(0.0, f64::max);
    let of_naive = (-highest).exp();
    let sum = of_naive + odds.iter().map(|odds| (odds - highest).exp()).sum::<f64>();
    let probability: Vec<f64> = odds.iter().map(|odds| (odds - highest).exp() / sum).collect();
    let ratio = |squares: &Vec<f64>| {
        let ratios = (0..horizon).filter(|at| naive[*at] > 0.0).map(|at| squares[at] / naive[at]);
        let (sum, count) = ratios.fold((0.0, 0.0), |(sum, count), ratio| (sum + ratio, count + 1.0));
        f64::sqrt(if count > 0.0 { sum / count } else { 1.0 })
    };
    for (index, component) in components.iter().enumerate() {
        let of = index * width..(index + 1) * width;
        told(*component, ratio(&squares[of.end - 1]), probability[of].iter().sum());
    }
    if of_naive / sum >= 0.5 {
        return Vec::new();
    }
    let left: f64 = of_naive / sum + probability.iter().filter(|p| **p >= NEGLIGIBLE).sum::<f64>();
    let share = |(index, component): (usize, &Component)| {
        let of = probability[index * width..(index + 1) * width].iter().zip(SHARES);
        let share: f64 = of.filter(|(p, _)| **p >= NEGLIGIBLE).map(|(p, share)| p / left * share).sum();
        (share > 0.0).then_some((*component, share))
    };
    components.iter().enumerate().filter_map(share).collect()
}

/// For each step ahead, the distance from forecast to truth, in units of the scale, that is kept with this confidence.
///
/// Of many trials the quantile of a step's own distances, of few that of all steps, each divided by its root mean square;
/// it never shrinks with the distance.
pub(super) fn spread<'a>(
    components: &[Component],
    weights: &Weights,
    horizon: usize,
    trials: impl Iterator<Item = &'a Trial>,
    confidence: f64,
) -> Vec<f64> {
    let shares: Vec<f64> = (components.iter())
        .map(|component| weights.iter().find(|(of, _)| of == component).map_or(0.0, |(_, share)| *share))
        .collect();
    let mut misses = vec![Vec::new(); horizon];
    for trial in trials {
        let change: f64 = trial.changes.iter().zip(&shares).map(|(change, share)| change * share).sum();
        misses[trial.ahead - 1].push((trial.actual - change).abs());
    }
    let mut root_squares = Vec::with_capacity(horizon);
    let mut widest = 0.0_f64;
    for (at, misses) in misses.iter().enumerate() {
        let mean = misses.iter().map(|miss| miss * miss).sum::<f64>() / misses.len() as f64;
        // Without a trial it grows as that of a random walk.
        let grown = widest * ((at + 1) as f64 / at.max(1) as f64).sqrt();
        widest = if misses.is_empty() { grown } else { widest.max(mean.sqrt()) };
        root_squares.push(widest);
    }
    let relative = |(misses, root): (&Vec<f64>, &f64)| {
        let root = root.max(f64::MIN_POSITIVE);
        misses.iter().map(|miss| miss / root).collect::<Vec<f64>>()
    };
    let mut of_all: Vec<f64> = misses.iter().zip(&root_squares).flat_map(relative).collect();
    let of_all = quantile(&mut of_all, confidence);
    let independent =
        misses.iter().zip(1_u32..).map(|(misses, ahead)| misses.len() as f64 / f64::from(ahead)).sum::<f64>();
    let independent = independent / horizon as f64;
    let mut widest = 0.0_f64;
    let half = |(at, misses): (usize, &mut Vec<f64>)| {
        // Trials that overlap tell less: a step far ahead has less of its own.
        let own = misses.len() as f64 / (at + 1) as f64;
        let trust = own / (own + 50.0);
        widest = widest.max(trust * quantile(misses, confidence) + (1.0 - trust) * root_squares[at] * of_all);
        // Few trials know neither the spread nor the weights well: a normal's interval has about this surcharge.
        widest * (1.0 + 2.0 / independent.max(1.0)).sqrt()
    };
    misses.iter_mut().enumerate().map(half).collect()
}

/// The one of rank ⌈(n + 1) q⌉, as in conformal prediction, or the largest.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = ((values.len() + 1) as f64 * q).ceil() as usize;
    values.get(rank.clamp(1, values.len().max(1)) - 1).copied().unwrap_or(0.0)
}
