//! Searches of a planted optimum: what they find, what they cost, and that interruptions leave no trace.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;

/// 16 × 16 candidates.
fn grid() -> Space {
    serde_json::from_value(json!({
        "a": {"type": "int", "low": 0, "high": 15},
        "b": {"type": "choice", "values": (0..16).collect::<Vec<_>>()},
    }))
    .unwrap()
}

fn plan() -> Plan {
    Plan { candidates: 256, folds: 3, eta: 4.0, min_share: 1.0 / 64.0, seed: 11, ..Plan::default() }
}

/// Best at a = 11, b = 4; the less budget, the more a fold's noise hides it.
fn planted(params: &Params, budget: Budget, fold: usize) -> Result<f64, String> {
    let number = |name: &str| params[name].as_f64().ok_or("not a number");
    let (a, b) = (number("a")?, number("b")?);
    let noise = ((a * 12.9898 + b * 78.233 + fold as f64 * 37.719).sin() * 43_758.545).fract();
    Ok(-((a - 11.0).powi(2) + (b - 4.0).powi(2)) / 20.0 + 0.1 * noise * (1.0 - budget.share))
}

fn go_on(_: &State, _: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn finish(mut state: State) -> (State, Outcome) {
    let outcome = run(&mut state, planted, go_on).unwrap().unwrap();
    (state, outcome)
}

#[test]
fn halving_finds_the_planted_optimum_at_a_fraction_of_the_grid() {
    let (_, halved) = finish(State::new(grid(), plan()).unwrap());
    let (_, full) = finish(State::new(grid(), Plan { min_share: 1.0, ..plan() }).unwrap());
    assert_eq!(full.evaluations, 256 * 3);
    for outcome in [&halved, &full] {
        assert_eq!((&outcome.best().params["a"], &outcome.best().params["b"]), (&json!(11), &json!(4)));
        assert_eq!(outcome.best().mean, Some(0.0));
    }
    assert!(halved.cost <= full.cost / 15.0, "{} of {}", halved.cost, full.cost);
    assert_eq!(halved.ranking.len(), 256);
    assert_eq!(halved.ranking.iter().filter(|ranked| ranked.rung == 3).count(), 4);
}

#[test]
fn rungs_divide_candidates_and_multiply_the_budget() {
    let of = |plan: Plan, n| plan.rungs(n).iter().map(|rung| (rung.candidates, rung.share)).collect::<Vec<_>>();
    assert_eq!(of(plan(), 256), [(256, 1.0 / 64.0), (64, 1.0 / 16.0), (16, 0.25), (4, 1.0)]);
    let tenth = Plan { min_share: 0.1, ..Plan::default() };
    let rungs = of(tenth, 10);
    assert_eq!(rungs.iter().map(|rung| rung.0).collect::<Vec<_>>(), [10, 4, 2]);
    assert!((rungs[0].1 - 1.0 / 9.0).abs() < 1e-12 && rungs[2].1 == 1.0);
    // Two candidates cannot be halved by three, whatever the budget.
    assert_eq!(of(Plan { min_share: 0.001, ..Plan::default() }, 2), [(2, 1.0)]);
    assert_eq!(Budget { resource: Resource::Rounds, share: 0.25 }.of(10), 3);
    assert_eq!(Budget { resource: Resource::Rows, share: 0.001 }.of(10), 1);
}

#[test]
fn a_search_stopped_anywhere_and_stored_ends_as_one_that_was_not() {
    let (uninterrupted, expected) = finish(State::new(grid(), plan()).unwrap());
    let evaluations = uninterrupted.evaluations().len();
    for stop_every in [1, 50, 191, 768, evaluations] {
        let mut state = State::new(grid(), plan()).unwrap();
        let calls = AtomicUsize::new(0);
        // Stopping after every single one, only for the first few.
        let mut patience = 40;
        let outcome = loop {
            let mut left = if patience > 0 { stop_every } else { usize::MAX };
            patience -= 1;
            let mut stored = String::new();
            let evaluate = |params: &Params, budget, fold| {
                calls.fetch_add(1, Ordering::Relaxed);
                planted(params, budget, fold)
            };
            let outcome = run(&mut state, evaluate, |state, _| {
                left -= usize::from(left > 0);
                if left == 0 {
                    stored = serde_json::to_string(state).unwrap();
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            match outcome.unwrap() {
                Some(outcome) => break outcome,
                // What continues is what was stored, as after a crash; a running evaluation may be made twice.
                None => state = serde_json::from_str(&stored).unwrap(),
            }
        };
        assert_eq!(outcome, expected);
        assert_eq!(state, uninterrupted);
        assert!(calls.into_inner() <= evaluations + 80);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let with = |n_jobs| finish(State::new(grid(), Plan { n_jobs: Some(n_jobs), ..plan() }).unwrap());
    let ((one, outcome), (seven, same)) = (with(1), with(7));
    assert_eq!(outcome, same);
    assert_eq!(one.evaluations(), seven.evaluations());
}

#[test]
fn a_finished_search_is_not_evaluated_again() {
    let (mut state, expected) = finish(State::new(grid(), plan()).unwrap());
    let never = |_: &Params, _, _| -> Result<f64, String> { panic!("evaluated") };
    assert_eq!(run(&mut state, never, go_on).unwrap().unwrap(), expected);
}

#[test]
fn progress_counts_each_rung_to_its_end() {
    let mut told = Vec::new();
    let mut state = State::new(grid(), Plan { n_jobs: Some(2), ..plan() }).unwrap();
    run(&mut state, planted, |state, progress| {
        assert!(state.evaluations().contains(progress.evaluation));
        told.push((progress.rung.index, progress.finished, progress.of, progress.rungs));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(told[0], (0, 1, 768, 4));
    assert_eq!(told[767], (0, 768, 768, 4));
    assert_eq!(told.last(), Some(&(3, 12, 12, 4)));
}

#[test]
fn a_candidate_that_fails_is_out_and_says_why() {
    let plan = Plan { candidates: 16, folds: 2, minimize: true, min_share: 1.0, ..Plan::default() };
    let candidates: Vec<Params> = (0..16).map(|a| Params::from_iter([("a".to_owned(), json!(a))])).collect();
    let mut state = State::of_candidates(candidates.clone(), plan.clone()).unwrap();
    let evaluate = |params: &Params, _, fold| match params["a"].as_i64() {
        Some(0) if fold == 1 => Err("too shallow"),
        Some(1) => Ok(f64::NAN),
        Some(a) => Ok(a as f64 + fold as f64),
        None => Err("no number"),
    };
    let outcome = run(&mut state, evaluate, go_on).unwrap().unwrap();
    assert_eq!(outcome.best().params["a"], 2);
    assert_eq!(outcome.best().scores, [2.0, 3.0]);
    assert!((outcome.best().deviation.unwrap() - 0.5_f64.sqrt()).abs() < 1e-12);
    let failures: Vec<_> = outcome.ranking[14..].iter().map(|ranked| ranked.failure.as_deref()).collect();
    assert_eq!(failures, [Some("too shallow"), Some("the score is NaN")]);
    let mut state = State::of_candidates(candidates, plan).unwrap();
    let outcome = run(&mut state, |_, _, _| Err::<f64, _>("no memory"), go_on);
    assert_eq!(outcome, Err(Error::AllFailed("no memory".to_owned())));
}

#[test]
fn plans_and_states_that_are_none_are_refused() {
    let error = |plan: Plan| State::new(grid(), plan).unwrap_err().to_string();
    assert_eq!(
        error(Plan { candidates: 0, ..plan() }),
        "`candidates` of the search must be between 1 and 100000, got 0"
    );
    assert!(error(Plan { candidates: usize::MAX, ..plan() }).starts_with("`candidates`"));
    assert!(error(Plan { folds: 0, ..plan() }).starts_with("`folds`"));
    assert!(error(Plan { eta: 1.0, ..plan() }).starts_with("`eta`"));
    assert!(error(Plan { min_share: f64::NAN, ..plan() }).starts_with("`min_share`"));
    let (state, _) = finish(State::new(grid(), plan()).unwrap());
    let tampered = |pointer: &str, value: serde_json::Value| {
        let mut json = serde_json::to_value(&state).unwrap();
        *json.pointer_mut(pointer).unwrap() = value;
        run(&mut serde_json::from_value::<State>(json).unwrap(), planted, go_on).unwrap_err()
    };
    assert!(matches!(tampered("/evaluations/0/fold", json!(1)), Error::State(_)));
    assert!(matches!(tampered("/evaluations/1019/candidate", json!(256)), Error::State(_)));
    assert!(matches!(tampered("/plan/eta", json!(0.5)), Error::Plan { name: "eta", .. }));
}
