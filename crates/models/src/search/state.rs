//! A search as a value: what was drawn and every evaluation that is finished.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::{Error, Params, Plan, Space};

/// Most candidates of a search: bounds what a plan can make us allocate.
const MAX_CANDIDATES: usize = 100_000;

/// What an evaluation gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// A finite score.
    Value(f64),
    /// Why there is none.
    Failed(String),
}

impl<E: Display> From<Result<f64, E>> for Score {
    fn from(result: Result<f64, E>) -> Self {
        match result {
            Ok(score) if score.is_finite() => Self::Value(score),
            Ok(score) => Self::Failed(format!("the score is {score}")),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

/// One candidate on one fold with the budget of one rung.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of the rung, from 0.
    pub rung: usize,
    /// Number of the candidate.
    pub candidate: usize,
    /// Number of the fold.
    pub fold: usize,
    /// What it gave.
    pub score: Score,
}

impl Score {
    fn value(&self) -> Result<f64, &str> {
        match self {
            Self::Value(score) => Ok(*score),
            Self::Failed(why) => Err(why),
        }
    }
}

impl Evaluation {
    fn key(&self) -> (usize, usize, usize) {
        (self.rung, self.candidate, self.fold)
    }
}

/// A search that is under way or finished. Candidates are kept, not only their seed, so that a state is the same search
/// whichever version of the program continues it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    plan: Plan,
    candidates: Vec<Params>,
    /// In order of rung, candidate and fold, whichever was finished first.
    evaluations: Vec<Evaluation>,
}

impl State {
    /// A search that has not begun, of the plan's number of candidates; of fewer when the space is smaller.
    ///
    /// # Errors
    /// [`Error::Plan`].
    pub fn new(space: Space, plan: Plan) -> Result<Self, Error> {
        // Checked before so many are drawn.
        check_candidates(plan.candidates)?;
        Self::of_candidates(space.draw_distinct(plan.seed, plan.candidates), plan)
    }

    /// A search among these candidates: a grid, or draws beside parameters that are known to be good.
    ///
    /// # Errors
    /// [`Error::Plan`].
    pub fn of_candidates(candidates: Vec<Params>, plan: Plan) -> Result<Self, Error> {
        let state = Self { plan: Plan { candidates: candidates.len(), ..plan }, candidates, evaluations: Vec::new() };
        state.check()?;
        Ok(state)
    }

    /// The same search with these evaluations finished, in any order, as they were kept elsewhere.
    ///
    /// # Errors
    /// [`Error::State`] for one that this search has not.
    pub fn resumed(mut self, finished: impl IntoIterator<Item = Evaluation>) -> Result<Self, Error> {
        finished.into_iter().for_each(|evaluation| self.record(evaluation));
        self.check()?;
        Ok(self)
    }

    /// How it searches.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is tried, by number.
    pub fn candidates(&self) -> &[Params] {
        &self.candidates
    }

    /// What is finished, in order of rung, candidate and fold.
    pub fn evaluations(&self) -> &[Evaluation] {
        &self.evaluations
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_candidates(self.candidates.len())?;
        self.plan.check()?;
        if !self.evaluations.is_sorted_by(|a, b| a.key() < b.key()) {
            return Err(Error::State("evaluations are out of order or repeated".to_owned()));
        }
        let rungs = self.plan.rungs(self.candidates.len()).len();
        let strange = |evaluation: &&Evaluation| {
            let finite = !matches!(evaluation.score, Score::Value(score) if !score.is_finite());
            let (candidates, folds) = (self.candidates.len(), self.plan.folds);
            let known = evaluation.rung < rungs && evaluation.candidate < candidates && evaluation.fold < folds;
            !(known && finite)
        };
        match self.evaluations.iter().find(strange) {
            Some(Evaluation { rung, candidate, fold, .. }) => {
                Err(Error::State(format!("it has rung {rung}, candidate {candidate}, fold {fold}")))
            }
            None => Ok(()),
        }
    }

    pub(super) fn record(&mut self, evaluation: Evaluation) {
        match self.evaluations.binary_search_by_key(&evaluation.key(), Evaluation::key) {
            Ok(place) => self.evaluations[place] = evaluation,
            Err(place) => self.evaluations.insert(place, evaluation),
        }
    }

    /// Candidates and folds of a rung that are still to be evaluated.
    pub(super) fn missing(&self, rung: usize, candidates: &[usize]) -> Vec<(usize, usize)> {
        let pairs = candidates.iter().flat_map(|&candidate| (0..self.plan.folds).map(move |fold| (candidate, fold)));
        pairs
            .filter(|&(candidate, fold)| {
                self.evaluations.binary_search_by_key(&(rung, candidate, fold), Evaluation::key).is_err()
            })
            .collect()
    }

    /// Scores of a candidate on all folds of a rung, or the first failure; `None` while a fold is missing.
    pub(super) fn scores(&self, rung: usize, candidate: usize) -> Option<Result<Vec<f64>, &str>> {
        let start = self.evaluations.partition_point(|evaluation| evaluation.key() < (rung, candidate, 0));
        let own: Vec<&Evaluation> = self.evaluations[start..]
            .iter()
            .take_while(|evaluation| (evaluation.rung, evaluation.candidate) == (rung, candidate))
            .collect();
        let whole = own.len() == self.plan.folds;
        whole.then(|| own.into_iter().map(|evaluation| evaluation.score.value()).collect())
    }
}

fn check_candidates(count: usize) -> Result<(), Error> {
    if (1..=MAX_CANDIDATES).contains(&count) {
        return Ok(());
    }
    Err(Error::Plan { name: "candidates", expected: "between 1 and 100000", got: count.to_string() })
}
