//! A search as a part of a training: on a thread of its own, each evaluation kept as soon as it is finished.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driftmill_models::Progress;
use driftmill_models::search::{self, Evaluation, Outcome, Score, State};
use driftmill_platform::registry::SearchScore;
use driftmill_schemas::message::RunEvent;
use driftmill_schemas::pipeline::{Loaded, Pipeline, SearchWhen};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::fit::Fault;
use crate::gold::Held;
use crate::halt::Halt;
use crate::run::Reason;
use crate::search::Trials;
use crate::snapshot::Snapshot;
use crate::{Error, Trainer, fit};

/// How long evaluations are gathered before they are kept together.
const GATHERED: Duration = Duration::from_millis(500);

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The parameters that differ from the pipeline file's.
    pub params: Map<String, Value>,
    /// What was found, as metrics of the run.
    pub metrics: BTreeMap<String, f64>,
}

impl Trainer {
    /// The best parameters, if this training is one that searches. A search of the same rows that was interrupted goes on; one
    /// that has ended is not made again.
    pub(crate) async fn search(
        &self,
        loaded: &Loaded,
        snapshot: &Snapshot,
        held: &Held,
        reason: &Reason,
        event: &RunEvent,
    ) -> Result<Found, Error> {
        let pipeline = &loaded.pipeline;
        let always = pipeline.training.search.as_ref().is_some_and(|search| search.when == SearchWhen::Always);
        if !always && !reason.searches() {
            return Ok(Found::default());
        }
        let failed = |error: Fault| Error::Fit { pipeline: pipeline.name.clone(), error };
        let trials = match trials(pipeline, snapshot, held, reason).await? {
            Ok(trials) => trials,
            // Nobody asked for this one: what can be fitted without a search is.
            Err(error) if !reason.searches() => {
                warn!(pipeline = pipeline.name, %error, "there is nothing to search for in this training");
                return Ok(Found::default());
            }
            Err(error) => return Err(failed(error)),
        };
        let key = trials.key.clone();
        let kept = self.registry().scores(&pipeline.name, &key).await?;
        let state = resumed(trials.state.clone(), &kept).map_err(|error| failed(unfit(error)))?;
        info!(
            pipeline = pipeline.name,
            search = key,
            candidates = state.candidates().len(),
            known = kept.len(),
            "searching"
        );
        let candidates = state.candidates().to_vec();
        let shares: Vec<f64> = state.plan().rungs(candidates.len()).iter().map(|rung| rung.share).collect();
        let halt = Halt::default();
        let (sender, receiver) = mpsc::unbounded_channel();
        let (signal, tell, name) = (halt.signal(), Arc::clone(self.listener()), pipeline.name.clone());
        let searching = tokio::task::spawn_blocking(move || {
            let mut state = state;
            let mut best = None;
            let minimize = state.plan().minimize;
            let score = |params: &search::Params, budget, fold| trials.score(params, budget, fold, &signal);
            search::run(&mut state, score, |_, told| {
                tell(&name, &progress(&told, &mut best, minimize));
                // Nobody to send it to means that nobody waits.
                if signal.flow().is_break() || sender.send(told.evaluation.clone()).is_err() {
                    return std::ops::ControlFlow::Break(());
                }
                std::ops::ControlFlow::Continue(())
            })
        });
        let row = |evaluation: Evaluation| SearchScore {
            pipeline: pipeline.name.clone(),
            search: key.clone(),
            run_id: event.run_id,
            rung: number(evaluation.rung),
            share: shares[evaluation.rung],
            candidate: number(evaluation.candidate),
            fold: number(evaluation.fold),
            params: Value::Object(candidates[evaluation.candidate].clone()).to_string(),
            score: if let Score::Value(score) = evaluation.score { Some(score) } else { None },
            failure: if let Score::Failed(why) = evaluation.score { why } else { String::new() },
            snapshot: snapshot.hash.clone(),
            at: self.clock().now(),
        };
        if let Some(score) = kept.first() {
            // What is taken up again is the newest search, and this run's.
            let taken_up = SearchScore { run_id: event.run_id, at: self.clock().now(), ..score.clone() };
            self.registry().record_scores(&[taken_up]).await?;
        }
        self.keep(receiver, row).await?;
        let outcome = searching.await.map_err(|error| Error::Lost(error.to_string()))?;
        let outcome = outcome.map_err(|error| failed(unfit(error)))?;
        let outcome = outcome.ok_or_else(|| Error::Lost("the search was stopped".to_owned()))?;
        info!(pipeline = pipeline.name, search = key, best = ?outcome.best().params, score = outcome.best().mean, "searched");
        Ok(found(&outcome))
    }

    /// Keeps what comes, until nothing comes any more.
    async fn keep(
        &self,
        mut finished: mpsc::UnboundedReceiver<Evaluation>,
        row: impl Fn(Evaluation) -> SearchScore,
    ) -> Result<(), Error> {
        let mut gathered = Vec::new();
        while finished.recv_many(&mut gathered, usize::MAX).await > 0 {
            let rows: Vec<SearchScore> = gathered.drain(..).map(&row).collect();
            self.registry().record_scores(&rows).await?;
            tokio::time::sleep(GATHERED).await;
        }
        Ok(())
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn unfit(error: search::Error) -> Fault {
    Fault::Unfit(format!("the search: {error}"))
}

/// The search of a training. On a thread that may be blocked: rows are hashed, and combinations drawn.
async fn trials(
    pipeline: &Pipeline,
    snapshot: &Snapshot,
    held: &Held,
    reason: &Reason,
) -> Result<Result<Trials, Fault>, Error> {
    let (pipeline, snapshot, held, given) = (pipeline.clone(), snapshot.clone(), held.clone(), reason.params());
    let making = move || {
        let rows = snapshot.rows.select(&fit::learnable(&snapshot.rows, &pipeline, &held));
        Trials::new(rows, &pipeline, &given, &held.rest_of(&snapshot.hash))
    };
    tokio::task::spawn_blocking(making).await.map_err(|error| Error::Lost(error.to_string()))
}

/// The search with what is known of it. What failed is tried again: the reason may have been the machine.
fn resumed(state: State, kept: &[SearchScore]) -> Result<State, search::Error> {
    let known = kept.iter().filter_map(|score| Some((score, score.score?)));
    state.resumed(known.map(|(score, value)| Evaluation {
        rung: score.rung as usize,
        candidate: score.candidate as usize,
        fold: score.fold as usize,
        score: Score::Value(value),
    }))
}

/// How far a search is. `best` is the best score so far, of one fold.
fn progress(told: &search::Progress<'_>, best: &mut Option<f64>, minimize: bool) -> Progress {
    let mut metrics = BTreeMap::new();
    if let Score::Value(score) = told.evaluation.score {
        let better = best.is_none_or(|best| if minimize { score < best } else { score > best });
        if better {
            *best = Some(score);
        }
        metrics.insert("score", score);
    }
    metrics.extend(best.map(|best| ("best of a fold", best)));
    let step = match told.rungs {
        1 => "evaluation".to_owned(),
        rungs => format!("search, step {} of {rungs}, evaluation", told.rung.index + 1),
    };
    Progress { step, number: told.finished, of: Some(told.of), metrics, device: None }
}

fn found(outcome: &Outcome) -> Found {
    let best = outcome.best();
    let mut metrics = BTreeMap::from([
        ("search_candidates".to_owned(), outcome.ranking.len() as f64),
        ("search_evaluations".to_owned(), outcome.evaluations as f64),
    ]);
    for (name, value) in [("search_score", best.mean), ("search_deviation", best.deviation)] {
        metrics.extend(value.map(|value| (name.to_owned(), value)));
    }
    Found { params: best.params.clone(), metrics }
}
