//! Fisher's iris: the forest is as good on it as the field's standard tools.

#![allow(clippy::unwrap_used)]

use driftmill_models::split::{self, TrainTest};
use driftmill_models::{Algorithm, metrics};
use linfa::Dataset;
use ndarray::{Array1, Array2, Axis, Ix1};
use serde_json::Map;

const CSV: &str = include_str!("../../../pipelines/iris/data/iris.csv");
const SPECIES: [&str; 3] = ["setosa", "versicolor", "virginica"];

fn iris() -> Dataset<f64, usize, Ix1> {
    let rows: Vec<Vec<&str>> = CSV.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let records = Array2::from_shape_fn((rows.len(), 4), |(row, column)| rows[row][column].parse().unwrap());
    let targets = rows.iter().map(|row| SPECIES.iter().position(|name| *name == row[4]).unwrap());
    Dataset::new(records, targets.collect::<Array1<usize>>())
}

/// Predictions for the test rows of a forest with default parameters.
fn predict(dataset: &Dataset<f64, usize, Ix1>, parts: &TrainTest, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let train =
        Dataset::new(dataset.records.select(Axis(0), &parts.train), dataset.targets.select(Axis(0), &parts.train));
    let model = Algorithm::from_spec("random_forest", &Map::new()).unwrap().fit(&train, 3, seed).unwrap();
    let predicted = model.predict_batch(dataset.records.select(Axis(0), &parts.test).view()).unwrap();
    (dataset.targets.select(Axis(0), &parts.test).to_vec(), predicted.to_vec())
}

/// One run of ten folds moves by ±0.01 with the seed (scikit-learn 1.9.1 from 0.933 to 0.960, 0.951 in the mean of twenty), so
/// ten are averaged.
#[test]
fn ten_fold_cross_validation_reaches_the_bar() {
    let dataset = iris();
    let accuracies = (0..10).map(|seed| {
        let (mut truth, mut predicted) = (Vec::new(), Vec::new());
        for parts in split::stratified_k_fold(&dataset.targets.to_vec(), 10, seed).unwrap() {
            let (fold_truth, fold_predicted) = predict(&dataset, &parts, seed);
            truth.extend(fold_truth);
            predicted.extend(fold_predicted);
        }
        metrics::accuracy(&truth, &predicted).unwrap()
    });
    let mean = accuracies.sum::<f64>() / 10.0;
    assert!(mean >= 0.947, "{mean}");
}

/// Rows (from 0) of scikit-learn's `train_test_split(X, y, test_size=0.2, random_state=42)`, by which this data is judged
/// everywhere.
const ORIGINAL_TEST_ROWS: [usize; 30] = [
    9, 12, 18, 19, 26, 29, 30, 31, 36, 45, 55, 56, 64, 68, 69, 73, 76, 78, 82, 104, 108, 110, 118, 127, 128, 131, 132,
    141, 143, 145,
];

#[test]
fn the_split_of_scikit_learn_is_predicted_without_a_mistake_by_any_seed() {
    let train = (0..150).filter(|row| !ORIGINAL_TEST_ROWS.contains(row)).collect();
    let parts = TrainTest { train, test: ORIGINAL_TEST_ROWS.to_vec() };
    for seed in 0..10 {
        let (truth, predicted) = predict(&iris(), &parts, seed);
        assert_eq!(truth, predicted, "seed {seed}");
    }
}
