//! Which parameters are best: random draws from a declared [`Space`], cross-validated, of which only the better ones get
//! more of the budget (successive halving; Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
//! optimization", 2016).
//!
//! Progress is a value: [`State`] holds every evaluation that is finished, is written as JSON at any time, and continues
//! from there to the same end. An evaluation that was running when the process ended is made again.
//!
//! ```
//! use driftmill_models::search::{self, Plan, Space, State};
//!
//! let space: Space = serde_json::from_str(r#"{"depth": {"type": "int", "low": 1, "high": 30}}"#)?;
//! let mut state = State::new(space, Plan { candidates: 30, folds: 2, ..Plan::default() })?;
//! let evaluate = |params: &search::Params, _, _| params["depth"].as_f64().map(|depth| -(depth - 7.0).abs()).ok_or("no depth");
//! let outcome = search::run(&mut state, evaluate, |_, _| std::ops::ControlFlow::Continue(()))?;
//! assert_eq!(outcome.unwrap().best().params["depth"], 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod halving;
mod space;
mod state;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

pub use self::halving::{Budget, Outcome, Plan, Ranked, Resource, Rung, spread};
pub use self::space::{Domain, Error as SpaceError, Params, Space};
pub use self::state::{Evaluation, Score, State};
use crate::parallel;

/// Why there is no best candidate.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Error {
    /// A parameter of the search out of its range.
    #[error("`{name}` of the search must be {expected}, got {got}")]
    Plan {
        /// Its name.
        name: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// No candidate could be evaluated on all folds.
    #[error("every candidate failed; the first one with: {0}")]
    AllFailed(String),
    /// A stored state that no search has written.
    #[error("the stored state is not of this search: {0}")]
    State(String),
}

/// How far a search is, told after every evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress<'a> {
    /// What has just been finished.
    pub evaluation: &'a Evaluation,
    /// Its rung.
    pub rung: Rung,
    /// How many rungs there are.
    pub rungs: usize,
    /// Evaluations of this rung that are finished.
    pub finished: usize,
    /// Evaluations of this rung.
    pub of: usize,
}

/// Runs or continues a search. `None` when `progress` has stopped it; the state then continues where it was.
///
/// `evaluate` gives the score of parameters on a fold, within the budget; for the same arguments it must give the same. It
/// is called by several threads, and the result does not depend on how many. A candidate that fails on a fold, or whose
/// score is not finite, is out. `progress` gets the state after each evaluation, to store it, and stops the search with
/// [`ControlFlow::Break`]; evaluations that are running then are still finished and told.
///
/// # Errors
/// [`Error::AllFailed`]; for a state that was read, also [`Error::Plan`] and [`Error::State`].
pub fn run<E: Display>(
    state: &mut State,
    evaluate: impl Fn(&Params, Budget, usize) -> Result<f64, E> + Sync,
    mut progress: impl FnMut(&State, Progress<'_>) -> ControlFlow<()> + Send,
) -> Result<Option<Outcome>, Error> {
    state.check()?;
    let rungs = state.plan().rungs(state.candidates().len());
    let threads = parallel::threads(state.plan().n_jobs);
    let mut alive: Vec<usize> = (0..state.candidates().len()).collect();
    for rung in &rungs {
        alive = halving::survivors(state, rung, alive)?;
        let missing = state.missing(rung.index, &alive);
        let of = alive.len() * state.plan().folds;
        let candidates = state.candidates().to_vec();
        let budget = Budget { resource: state.plan().resource, share: rung.share };
        let stopped = AtomicBool::new(false);
        let shared = Mutex::new((&mut *state, &mut progress, of - missing.len()));
        let work = |(): &mut (), index: usize| {
            if stopped.load(Ordering::Relaxed) {
                return;
            }
            let (candidate, fold) = missing[index];
            let score = Score::from(evaluate(&candidates[candidate], budget, fold));
            let evaluation = Evaluation { rung: rung.index, candidate, fold, score };
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (state, progress, finished) = &mut *shared;
            state.record(evaluation.clone());
            *finished += 1;
            let told = Progress { evaluation: &evaluation, rung: *rung, rungs: rungs.len(), finished: *finished, of };
            if progress(state, told).is_break() {
                stopped.store(true, Ordering::Relaxed);
            }
        };
        parallel::map(missing.len(), threads, || (), work);
        if stopped.into_inner() {
            return Ok(None);
        }
    }
    halving::outcome(state, &rungs).map(Some)
}
