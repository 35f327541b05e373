use std::collections::BTreeMap;

use ndarray::Axis;

use super::*;
use crate::ClassWeight;

fn single() -> RandomForestParams {
    RandomForest::params().n_estimators(1).bootstrap(false).max_features(MaxFeatures::All)
}

fn proba(params: RandomForestParams, dataset: &Dataset<f64, usize, Ix1>) -> Array2<f64> {
    Model::RandomForest(fit(params, dataset)).predict_proba(dataset.records.view()).unwrap()
}

/// `DecisionTreeRegressor(max_depth=2)` and `DecisionTreeClassifier(max_depth=2)` of scikit-learn 1.7.2.
#[test]
fn weights_weigh_as_in_scikit_learn() {
    let records = Array2::from_shape_fn((8, 1), |(row, _)| row as f64);
    let weights = array![1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 1.0];
    let targets = array![1.0, 2.0, 1.0, 5.0, 6.0, 9.0, 4.0, 4.0];
    let dataset = Dataset::new(records.clone(), targets).with_weights(weights.clone());
    let model = Model::RandomForest(single().max_depth(Some(2)).fit(&dataset).unwrap());
    let (a, b) = (5.0 / 3.0, 6.0);
    let expected = array![1.0, a, a, b, b, b, 4.0, 4.0];
    let ours = model.predict_values(records.view()).unwrap();
    assert!((&ours - &expected).iter().all(|difference| difference.abs() < 1e-12), "{ours}");
    let dataset = Dataset::new(records, array![0, 0, 1, 1, 0, 1, 1, 1]).with_weights(weights);
    let ours = proba(single().max_depth(Some(2)), &dataset);
    let expected = array![0.0, 0.0, 1.0, 1.0, 0.8, 0.8, 0.8, 0.8];
    assert!((&ours.column(1) - &expected).iter().all(|difference| difference.abs() < 1e-12), "{ours}");
}

#[test]
fn a_weight_counts_like_repeated_rows() {
    let dataset = test_data::gappy(200, 3);
    let weights: Vec<usize> = (0..200).map(|row| row % 4).collect();
    let rows: Vec<usize> = weights.iter().enumerate().flat_map(|(row, &times)| vec![row; times]).collect();
    let copied = Dataset::new(dataset.records.select(Axis(0), &rows), dataset.targets.select(Axis(0), &rows));
    let weighted = dataset.clone().with_weights(weights.iter().map(|&weight| weight as f32).collect());
    let model = |data: &Dataset<f64, usize, Ix1>| Model::RandomForest(fit(single().max_depth(Some(4)), data));
    let (weighted, copied) = (model(&weighted), model(&copied));
    let of = |model: &Model| model.predict_proba(dataset.records.view()).unwrap();
    assert!((of(&weighted) - of(&copied)).iter().all(|difference| difference.abs() < 1e-12));
}

#[test]
fn the_bootstrap_multiplies_weights_with_draws() {
    // Rows that look the same, so that every tree is one leaf: the mean over trees nears the weighted share.
    let targets = Array1::from_shape_fn(200, |row| row % 2);
    let weights = targets.mapv(|target| if target == 1 { 3.0 } else { 1.0 });
    let dataset = Dataset::new(Array2::zeros((200, 1)), targets).with_weights(weights);
    let model = fit(RandomForest::params(), &dataset);
    let probability = proba(RandomForest::params(), &dataset)[(0, 1)];
    assert!((probability - 0.75).abs() < 0.01, "{probability}");
    assert!(model.trees().iter().all(|tree| tree.n_leaves() == 1));
}

#[test]
fn classes_weigh_what_they_are_given() {
    let dataset = Dataset::new(Array2::zeros((4, 1)), array![0, 1, 1, 1]);
    let share = |weight| proba(single().class_weight(Some(weight)), &dataset)[(0, 0)];
    assert!((share(ClassWeight::Balanced) - 0.5).abs() < 1e-12);
    assert_eq!(share(ClassWeight::Given(BTreeMap::from([(0, 9.0)]))), 0.75);
}

#[test]
fn weights_of_one_give_the_same_model_as_none() {
    let dataset = test_data::gappy(100, 2);
    let weighted = dataset.clone().with_weights(Array1::ones(100));
    assert_eq!(fit(RandomForest::params(), &dataset), fit(RandomForest::params(), &weighted));
}
