//! Which hyper-parameters are best, by cross-validation on the rows that a model may learn from. Pure: the same rows, pipeline
//! and overrides give the same search. The rows that judge the model are not looked at.

use std::collections::BTreeMap;

use driftmill_models::search::{self, Budget, Params, Plan, Resource, Space, State};
use driftmill_models::split::{self, TrainTest};
use driftmill_schemas::pipeline::{Domain, Pipeline, Search, SearchMethod};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::fit::{Fault, answers, learner, metric};
use crate::halt::Signal;
use crate::{Rows, folds, forecasts};

/// The best third goes on.
const ETA: f64 = 3.0;
/// The smallest share of the rows that a step begins with.
const SMALLEST_SHARE: f64 = 1.0 / 9.0;
/// Rows below which a comparison says more of the draw than of the parameters.
const FEWEST_ROWS: f64 = 200.0;

/// A search of a pipeline over rows to learn from.
#[derive(Debug)]
pub(crate) struct Trials {
    rows: Rows,
    pipeline: Pipeline,
    overrides: Map<String, Value>,
    /// What each combination is tried on; one without any for forecasts, which are judged by a rolling origin.
    folds: Vec<TrainTest>,
    /// Nothing is evaluated yet.
    pub state: State,
    /// What names the search.
    pub key: String,
}

impl Trials {
    /// The search that the pipeline declares. `overrides` are parameters that are given: they stand, and are not searched for.
    ///
    /// # Errors
    /// When nothing is declared or left to be searched for, or no folds can be made of the rows.
    pub fn new(rows: Rows, pipeline: &Pipeline, overrides: &Map<String, Value>, snapshot: &str) -> Result<Self, Fault> {
        let declared = pipeline.training.search.as_ref().ok_or_else(|| {
            let how = "declare what may be tried with `training.search.space` (docs/training.md tells how)";
            Fault::Unfit(format!("there is nothing to search for: {how}"))
        })?;
        let (learner, _) = learner(pipeline, overrides)?;
        let forecasts = learner.forecasts();
        let folds = match forecasts {
            true => vec![TrainTest::default()],
            false => folds::folds(&rows, pipeline, declared.folds)?,
        };
        let learned = folds.iter().map(|fold| fold.train.len()).min().unwrap_or_default();
        let min_share = match declared.method {
            SearchMethod::Halving if !forecasts => (FEWEST_ROWS / learned.max(1) as f64).clamp(SMALLEST_SHARE, 1.0),
            _ => 1.0,
        };
        let plan = Plan {
            folds: folds.len(),
            eta: ETA,
            min_share,
            resource: Resource::Rows,
            minimize: pipeline.promotion.metric.is_of_values(),
            seed: pipeline.training.seed,
            ..Plan::default()
        };
        let unfit = |error: search::Error| Fault::Unfit(error.to_string());
        let state = State::of_candidates(candidates(declared, overrides, plan.seed)?, plan).map_err(unfit)?;
        let key = key(pipeline, overrides, snapshot, &state);
        Ok(Self { rows, pipeline: pipeline.clone(), overrides: overrides.clone(), folds, state, key })
    }

    /// The pipeline's metric of a combination on the rows of a fold that it has not learned from. One that is stopped has none.
    pub fn score(&self, params: &Params, budget: Budget, fold: usize, signal: &Signal) -> Result<f64, Fault> {
        let mut all = self.overrides.clone();
        all.extend(params.clone());
        let (learner, _) = learner(&self.pipeline, &all)?;
        let seed = self.pipeline.training.seed;
        if learner.forecasts() {
            return forecasts::rolling_error(&learner, &self.rows, &self.pipeline);
        }
        let TrainTest { train, test } = &self.folds[fold];
        let drawn = split::nested_sample(train.len(), budget.of(train.len()), seed);
        let drawn = drawn.map_err(|error| Fault::Unfit(error.to_string()))?;
        let learned = self.rows.select(&drawn.into_iter().map(|index| train[index]).collect::<Vec<_>>());
        let groups = learned.groups_of(&self.pipeline);
        let mut on = |_: &driftmill_models::Progress| signal.flow();
        let model = learner.fit_grouped(&learned.table, &learned.target, groups.as_deref(), seed, &mut on)?;
        if signal.flow().is_break() {
            return Err(Fault::Unfit("the search was stopped".to_owned()));
        }
        let judging = self.rows.select(test);
        metric(&self.pipeline, &judging.target, &answers(&model, &judging)?)
    }
}

/// Checks what can be checked of a training before there are rows: that every combination that a search would try is one that
/// the algorithm takes, and that it can be continued where it shall be.
///
/// # Errors
/// The first fault.
pub fn check(pipeline: &Pipeline) -> Result<(), Fault> {
    if pipeline.training.warm_start.is_some() && pipeline.training.algorithm != "gradient_boosting" {
        let reason =
            format!("`warm_start`: only `gradient_boosting` can be continued, not `{}`", pipeline.training.algorithm);
        return Err(Fault::Unfit(reason));
    }
    let Some(declared) = &pipeline.training.search else { return Ok(()) };
    for params in candidates(declared, &Map::new(), pipeline.training.seed)? {
        learner(pipeline, &params).map_err(|error| Fault::Unfit(format!("`search.space`: {error}")))?;
    }
    Ok(())
}

/// The file's own parameters, and the draws.
fn candidates(declared: &Search, overrides: &Map<String, Value>, seed: u64) -> Result<Vec<Params>, Fault> {
    let open = declared.space.iter().filter(|(name, _)| !overrides.contains_key(*name));
    let domains: BTreeMap<String, search::Domain> = open.map(|(name, it)| (name.clone(), domain(it))).collect();
    let space = Space::try_from(domains).map_err(|error| Fault::Unfit(format!("`search.space`: {error}")))?;
    let drawn = space.draw_distinct(seed, declared.candidates);
    Ok([Params::new()].into_iter().chain(drawn).collect())
}

fn domain(declared: &Domain) -> search::Domain {
    match declared.clone() {
        Domain::Uniform { from: low, to: high } => search::Domain::Uniform { low, high },
        Domain::LogUniform { from: low, to: high } => search::Domain::LogUniform { low, high },
        Domain::Integer { from: low, to: high, log } => search::Domain::Int { low, high, log },
        Domain::Choice(values) => search::Domain::Choice { values },
    }
}

/// Two searches of the same name would evaluate the same, as long as the version says which code it is.
fn key(pipeline: &Pipeline, overrides: &Map<String, Value>, snapshot: &str, state: &State) -> String {
    let (training, promotion) = (&pipeline.training, &pipeline.promotion);
    let what = (&training.algorithm, &training.params, &training.split, training.seed, promotion.metric, overrides);
    let version = env!("CARGO_PKG_VERSION");
    let on = (snapshot, &pipeline.features, &pipeline.label, version, state.plan(), state.candidates());
    // These always serialise.
    hex::encode(Sha256::digest(serde_json::to_vec(&(what, on)).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use driftmill_models::{Column, Table, Target};
    use ndarray::Array1;

    use super::*;
    use crate::halt::Halt;

    /// A class that the sum of two features tells.
    fn rows(count: usize) -> Rows {
        let draw = |row: usize, by: usize| ((row * by) % 97) as f64 / 97.0;
        let (a, b): (Vec<f64>, Vec<f64>) = (0..count).map(|row| (draw(row, 31), draw(row, 59))).unzip();
        let labels = a.iter().zip(&b).map(|(a, b)| usize::from(a + b > 1.0)).collect::<Vec<_>>();
        Rows {
            table: Table::new(count, vec![Column::Number(a), Column::Number(b)]).unwrap(),
            target: Target::Classes { labels: Array1::from(labels), n_classes: 2 },
            classes: vec!["0".to_owned(), "1".to_owned()],
            positions: (0..count as i64).map(|row| (0, row)).collect(),
            times: (0..count as i64).collect(),
            entities: (0..count).map(|row| Some(format!("e{}", row / 4).into())).collect(),
        }
    }

    fn pipeline(search: &str) -> Pipeline {
        let mut pipeline = crate::gates::testing::pipeline();
        pipeline.training.algorithm = "random_forest".to_owned();
        pipeline.training.params = Map::from_iter([("n_estimators".to_owned(), Value::from(5))]);
        pipeline.training.search = Some(serde_json::from_str(search).unwrap());
        pipeline.features.truncate(2);
        while pipeline.features.len() < 2 {
            let name = format!("f{}", pipeline.features.len());
            pipeline.features.push(driftmill_schemas::pipeline::Feature { name, ..Default::default() });
        }
        pipeline
    }

    const DEPTHS: &str = r#"{"space": {"max_depth": {"integer": {"from": 1, "to": 6}}}, "candidates": 6, "folds": 3}"#;

    fn run(trials: &Trials) -> search::Outcome {
        let halt = Halt::default();
        let signal = halt.signal();
        let mut state = trials.state.clone();
        let score = |params: &Params, budget, fold| trials.score(params, budget, fold, &signal);
        search::run(&mut state, score, |_, _| ControlFlow::Continue(())).unwrap().unwrap()
    }

    #[test]
    fn the_files_own_parameters_are_tried_beside_the_draws_and_a_stump_is_not_the_best() {
        let trials = Trials::new(rows(300), &pipeline(DEPTHS), &Map::new(), "s").unwrap();
        assert_eq!(trials.state.candidates().len(), 7);
        assert!(trials.state.candidates()[0].is_empty());
        let outcome = run(&trials);
        assert_ne!(outcome.best().params.get("max_depth"), Some(&Value::from(1)));
        assert!(outcome.best().mean.unwrap() > 0.85, "{:?}", outcome.best());
    }

    #[test]
    fn what_is_given_is_not_searched_for_and_makes_another_search() {
        let space = r#"{"space": {"max_depth": {"integer": {"from": 1, "to": 6}},
            "criterion": {"choice": ["gini", "entropy"]}}, "candidates": 6}"#;
        let space = space.replace("criterion", "bootstrap").replace("\"gini\", \"entropy\"", "true, false");
        let given = Map::from_iter([("max_depth".to_owned(), Value::from(2))]);
        let trials = Trials::new(rows(60), &pipeline(&space), &given, "s").unwrap();
        assert!(trials.state.candidates().iter().all(|params| !params.contains_key("max_depth")));
        let other = Trials::new(rows(60), &pipeline(&space), &Map::new(), "s").unwrap();
        assert_ne!(trials.key, other.key);
        let all = Map::from_iter([("max_depth".to_owned(), Value::from(2)), ("bootstrap".to_owned(), true.into())]);
        let error = Trials::new(rows(60), &pipeline(&space), &all, "s").unwrap_err();
        assert!(error.to_string().contains("no parameters"), "{error}");
    }

    #[test]
    fn a_space_that_the_algorithm_does_not_take_is_told_before_anything_is_fitted() {
        let wrong = r#"{"space": {"max_dept": {"integer": {"from": 1, "to": 6}}}}"#;
        let error = check(&pipeline(wrong)).unwrap_err().to_string();
        assert!(error.contains("`search.space`") && error.contains("did you mean `max_depth`"), "{error}");
        let range = r#"{"space": {"n_estimators": {"integer": {"from": 0, "to": 6}}}}"#;
        assert!(check(&pipeline(range)).is_err());
        assert!(check(&pipeline(DEPTHS)).is_ok());
    }

    #[test]
    fn few_rows_are_not_halved_and_many_are() {
        let of = |count| Trials::new(rows(count), &pipeline(DEPTHS), &Map::new(), "s").unwrap();
        let rungs = |trials: &Trials| trials.state.plan().rungs(trials.state.candidates().len()).len();
        assert_eq!((rungs(&of(150)), rungs(&of(1_200))), (1, 2));
    }
}
