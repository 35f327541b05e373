//! Who goes on with which budget: the decisions of successive halving, without any evaluation.

use serde::{Deserialize, Serialize};

use super::{Error, Params, State};

/// What a budget is a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Rows to train on.
    #[default]
    Rows,
    /// Rounds, trees or epochs of training.
    Rounds,
}

/// How much an evaluation may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Of what.
    pub resource: Resource,
    /// The share, in (0, 1].
    pub share: f64,
}

impl Budget {
    /// So many of `whole`, rounded, at least one; [`crate::split::nested_sample`] draws so many rows.
    pub fn of(&self, whole: usize) -> usize {
        ((self.share * whole as f64).round() as usize).clamp(1, whole.max(1))
    }
}

/// How a search goes about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Candidates drawn, 1 to 100,000.
    pub candidates: usize,
    /// Folds each is evaluated on, at least 1.
    pub folds: usize,
    /// One in `eta` candidates goes on, with `eta` times the budget; at least 1.5.
    pub eta: f64,
    /// The smallest share of the budget that tells candidates apart, in (0, 1]; the first rung has this much or up to `eta`
    /// times as much. With 1 there is no halving: every candidate gets the whole budget.
    pub min_share: f64,
    /// What the budget is a share of.
    pub resource: Resource,
    /// Whether a lower score is better.
    pub minimize: bool,
    /// Seed of the draws.
    pub seed: u64,
    /// Threads; one per core when not given. The result does not depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_jobs: Option<usize>,
}

impl Default for Plan {
    /// 27 candidates on 5 folds with 1/9, 1/3 and all of the rows.
    fn default() -> Self {
        Self {
            candidates: 27,
            folds: 5,
            eta: 3.0,
            min_share: 1.0 / 9.0,
            resource: Resource::Rows,
            minimize: false,
            seed: 0,
            n_jobs: None,
        }
    }
}

/// One step of the halving.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// Its number, from 0.
    pub index: usize,
    /// The most candidates it takes.
    pub candidates: usize,
    /// Each one's share of the budget.
    pub share: f64,
}

impl Plan {
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |name, expected, got: String| Err(Error::Plan { name, expected, got });
        if !(1..=10_000).contains(&self.folds) {
            return wrong("folds", "between 1 and 10000", self.folds.to_string());
        }
        if !(self.eta >= 1.5 && self.eta.is_finite()) {
            return wrong("eta", "at least 1.5", self.eta.to_string());
        }
        if !(self.min_share > 0.0 && self.min_share <= 1.0) {
            return wrong("min_share", "above 0 and up to 1", self.min_share.to_string());
        }
        Ok(())
    }

    /// The rungs for so many candidates. The last one has the whole budget; there are not more than leave a candidate to
    /// choose from.
    pub fn rungs(&self, candidates: usize) -> Vec<Rung> {
        // A share of exactly eta^-n must give n steps, whatever the logarithms' last bits.
        let steps = |ratio: f64| (ratio.ln() / self.eta.ln() + 1e-9).floor().max(0.0) as i32;
        let last = steps(1.0 / self.min_share).min(steps(candidates as f64));
        let rung = |index: i32| Rung {
            index: index as usize,
            candidates: ((candidates as f64 / self.eta.powi(index)) - 1e-9).ceil().max(1.0) as usize,
            share: self.eta.powi(index - last),
        };
        (0..=last).map(rung).collect()
    }
}

/// A candidate and how it did in the last rung it was evaluated in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Its number.
    pub candidate: usize,
    /// Its parameters.
    pub params: Params,
    /// The last rung it was in, from 0.
    pub rung: usize,
    /// Its share of the budget there.
    pub share: f64,
    /// Score of each fold there; empty when it failed.
    pub scores: Vec<f64>,
    /// Mean of the scores; none when it failed.
    pub mean: Option<f64>,
    /// Their standard deviation (of the sample); none for fewer than two.
    pub deviation: Option<f64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// The end of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// All candidates, the best first: by rung reached, then by mean, failed ones last. Never empty.
    pub ranking: Vec<Ranked>,
    /// How often `evaluate` was called.
    pub evaluations: usize,
    /// Sum of the shares: what it cost in evaluations with the whole budget.
    pub cost: f64,
}

impl Outcome {
    /// The best candidate.
    pub fn best(&self) -> &Ranked {
        &self.ranking[0]
    }
}

/// The candidates that enter a rung: all enter the first, then the best of those that were in the one before.
pub(super) fn survivors(state: &State, rung: &Rung, before: Vec<usize>) -> Result<Vec<usize>, Error> {
    let Some(previous) = rung.index.checked_sub(1) else { return Ok(before) };
    let mut ranked = rank(state, previous, &before)?;
    ranked.truncate(rung.candidates);
    let mut alive: Vec<usize> = ranked.into_iter().map(|(candidate, _)| candidate).collect();
    alive.sort_unstable();
    Ok(alive)
}

/// Candidates without a failure in a rung with their means, the best first, the lower number first among equals.
fn rank(state: &State, rung: usize, candidates: &[usize]) -> Result<Vec<(usize, f64)>, Error> {
    let mean = |&candidate: &usize| Some((candidate, mean(&state.scores(rung, candidate)?.ok()?)));
    let mut ranked: Vec<(usize, f64)> = candidates.iter().filter_map(mean).collect();
    if ranked.is_empty() {
        let failure = candidates.iter().find_map(|&candidate| state.scores(rung, candidate)?.err());
        return Err(Error::AllFailed(failure.unwrap_or("it was not evaluated").to_owned()));
    }
    ranked.sort_by(|a, b| better(state.plan(), a.1, b.1));
    Ok(ranked)
}

fn better(plan: &Plan, a: f64, b: f64) -> std::cmp::Ordering {
    if plan.minimize { a.total_cmp(&b) } else { b.total_cmp(&a) }
}

/// The ranking once every rung is evaluated.
pub(super) fn outcome(state: &State, rungs: &[Rung]) -> Result<Outcome, Error> {
    let everybody: Vec<usize> = (0..state.candidates().len()).collect();
    if let Some(last) = rungs.last() {
        rank(state, last.index, &everybody)?;
    }
    let ranked = |candidate: usize| {
        let (rung, scores) = rungs.iter().rev().find_map(|rung| Some((rung, state.scores(rung.index, candidate)?)))?;
        let (scores, failure) = match scores {
            Ok(scores) => (scores, None),
            Err(why) => (Vec::new(), Some(why.to_owned())),
        };
        let (mean, deviation) = spread(&scores);
        let params = state.candidates()[candidate].clone();
        Some(Ranked { candidate, params, rung: rung.index, share: rung.share, scores, mean, deviation, failure })
    };
    let mut ranking: Vec<Ranked> = everybody.into_iter().filter_map(ranked).collect();
    ranking.sort_by(|a, b| {
        let failed = a.mean.is_none().cmp(&b.mean.is_none());
        let scores = a.mean.zip(b.mean).map_or(std::cmp::Ordering::Equal, |(a, b)| better(state.plan(), a, b));
        failed.then(b.rung.cmp(&a.rung)).then(scores)
    });
    let evaluations = state.evaluations();
    let cost = evaluations.iter().map(|evaluation| rungs[evaluation.rung].share).sum();
    Ok(Outcome { ranking, evaluations: evaluations.len(), cost })
}

/// Mean of scores, if there is one, and their standard deviation (of the sample), if there are two.
pub fn spread(scores: &[f64]) -> (Option<f64>, Option<f64>) {
    let mean = (!scores.is_empty()).then(|| mean(scores));
    let squares = mean.map(|mean| scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>());
    let deviation = squares.filter(|_| scores.len() > 1).map(|sum| (sum / (scores.len() - 1) as f64).sqrt());
    (mean, deviation)
}

fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len() as f64
}
