//! From a declared space to a report, as a pipeline goes: search, fit the best, judge it on rows kept apart.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use driftmill_models::bootstrap::{Bootstrap, Resampling};
use driftmill_models::metrics::report::{ClassificationData, ClassificationReport, Report, Slice};
use driftmill_models::search::{self, Plan, Resource, Space, State};
use driftmill_models::split::{self, TrainTest};
use driftmill_models::{Algorithm, Model, metrics};
use linfa::Dataset;
use ndarray::{Array1, Array2, Axis, Ix1};
use serde_json::json;

/// 600 rows of 60 customers: two features with signal, one of noise, and one that only says whose row it is.
fn customers() -> (Dataset<f64, usize, Ix1>, Vec<usize>) {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let groups: Vec<usize> = (0..600).map(|row| row % 60).collect();
    let mut records = Array2::zeros((600, 4));
    let mut targets = Array1::zeros(600);
    for (row, &group) in groups.iter().enumerate() {
        let features = [uniform(), uniform(), uniform(), group as f64];
        features.into_iter().enumerate().for_each(|(column, value)| records[(row, column)] = value);
        targets[row] = usize::from(features[0] + features[1] + 0.4 * uniform() > 1.2);
    }
    (Dataset::new(records, targets), groups)
}

fn take(dataset: &Dataset<f64, usize, Ix1>, rows: &[usize]) -> Dataset<f64, usize, Ix1> {
    Dataset::new(dataset.records.select(Axis(0), rows), dataset.targets.select(Axis(0), rows))
}

fn fit(params: &search::Params, dataset: &Dataset<f64, usize, Ix1>) -> Result<Model, String> {
    let algorithm = Algorithm::from_spec("gradient_boosting", params).map_err(|error| error.to_string())?;
    algorithm.fit(dataset, 2, 1).map_err(|error| error.to_string())
}

fn auc(model: &Model, dataset: &Dataset<f64, usize, Ix1>) -> Result<f64, String> {
    let proba = model.predict_proba(dataset.records.view()).map_err(|error| error.to_string())?;
    let scores = proba.column(1).to_vec();
    metrics::roc_auc(&dataset.targets.to_vec(), 1, &scores).map_err(|error| error.to_string())
}

#[test]
fn the_best_of_a_search_is_reported_with_intervals_over_customers() {
    let (dataset, groups) = customers();
    let TrainTest { train, test } = split::group_train_test(&groups, 0.3, 1).unwrap();
    let training = take(&dataset, &train);
    let pick = |rows: &[usize]| rows.iter().map(|&row| groups[row]).collect::<Vec<usize>>();
    let folds = split::stratified_group_k_fold(&training.targets.to_vec(), &pick(&train), 3, 1).unwrap();

    let space: Space = serde_json::from_value(json!({
        "learning_rate": {"type": "log_uniform", "low": 0.0001, "high": 0.5},
        "max_leaf_nodes": {"type": "int", "low": 2, "high": 31, "log": true},
        "subsample": {"type": "choice", "values": [0.5, 1.0]},
    }))
    .unwrap();
    let plan = Plan { candidates: 9, folds: 3, resource: Resource::Rounds, seed: 5, ..Plan::default() };
    let evaluate = |params: &search::Params, budget: search::Budget, fold: usize| {
        let TrainTest { train, test } = &folds[fold];
        let mut params = params.clone();
        params.insert("n_estimators".to_owned(), json!(budget.of(90)));
        auc(&fit(&params, &take(&training, train))?, &take(&training, test))
    };
    let mut state = State::new(space, plan).unwrap();
    let outcome = search::run(&mut state, evaluate, |_, _| ControlFlow::Continue(())).unwrap().unwrap();
    assert_eq!(outcome.evaluations, 3 * (9 + 3 + 1));
    assert!(outcome.best().mean.unwrap() > 0.9, "{:?}", outcome.best());

    let model = fit(&outcome.best().params, &training).unwrap();
    let judged = take(&dataset, &test);
    let proba = model.predict_proba(judged.records.view()).unwrap();
    let predicted = model.predict_batch(judged.records.view()).unwrap().to_vec();
    let customers = pick(&test);
    let slice = |name: &str, is: &dyn Fn(usize) -> bool| Slice {
        name: name.to_owned(),
        rows: (0..test.len()).filter(|row| is(customers[*row])).collect(),
    };
    let data = ClassificationData {
        classes: &["no".to_owned(), "yes".to_owned()],
        truth: &judged.targets.to_vec(),
        predicted: &predicted,
        proba: Some(proba.view()),
        positive: 1,
    };
    let bootstrap = Bootstrap { rounds: 300, resampling: Resampling::Groups(&customers), ..Bootstrap::default() };
    let slices = [slice("even", &|customer| customer % 2 == 0), slice("odd", &|customer| customer % 2 == 1)];
    let report = ClassificationReport::new(&data, &slices, &bootstrap).unwrap();
    let area = report.scores.metrics["roc_auc"];
    let bounds = area.interval.unwrap();
    assert!(0.85 < bounds.lower && bounds.lower < area.value && area.value < bounds.upper, "{area:?}");
    assert_eq!(report.slices["even"].rows + report.slices["odd"].rows, test.len());
    let report = Report::from(report);
    assert_eq!(serde_json::from_str::<Report>(&report.to_json().unwrap()).unwrap(), report);
    assert!(report.metrics_csv().lines().any(|line| line.starts_with("odd,roc_auc,0.9")));
}
