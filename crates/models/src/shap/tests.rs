use linfa::traits::Fit;

use super::*;
use crate::boosting::{GradientBoosting, Loss};
use crate::forest::RandomForest;
use crate::{Model, Task, test_data};

/// The expectation of a tree's first value when only some features are known, as the definition says it.
fn expectation(tree: &Tree, covers: &[f64], link: u32, row: &[f64], known: u32) -> f64 {
    match tree.place(link, row) {
        Place::Leaf(values) => values[0],
        Place::Split { feature, taken, .. } if known >> feature & 1 == 1 => {
            expectation(tree, covers, taken, row, known)
        }
        Place::Split { node, taken, other, .. } => [taken, other]
            .map(|link| expectation(tree, covers, link, row, known) * tree.cover(link, covers) / covers[node])
            .iter()
            .sum(),
    }
}

/// Shapley's formula over all sets of features.
fn brute_force(trees: &[Tree], scale: f64, row: &[f64], feature: usize) -> f64 {
    let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
    let n = row.len() as u32;
    let mut sum = 0.0;
    for known in (0..1_u32 << n).filter(|known| known >> feature & 1 == 0) {
        let size = known.count_ones();
        let weight = factorial(size) * factorial(n - size - 1) / factorial(n);
        for tree in trees {
            let covers = tree.inner_covers();
            let of = |known| expectation(tree, &covers, tree.root(), row, known);
            sum += scale * weight * (of(known | 1 << feature) - of(known));
        }
    }
    sum
}

#[test]
fn contributions_are_the_shapley_values() {
    let dataset = test_data::curve(120, 1).with_weights((0..120).map(|row| 0.5 + (row % 5) as f32).collect());
    let boosting = GradientBoosting::params().n_estimators(6).min_samples_leaf(2).categorical_features(vec![2]);
    let forest = RandomForest::params().n_estimators(4).categorical_features(vec![2]);
    let boosting = Model::GradientBoosting(boosting.fit(&dataset).unwrap());
    let forest = Model::RandomForest(forest.fit(&dataset).unwrap());
    for model in [boosting, forest] {
        let explainer = model.explainer().unwrap();
        for row in dataset.records.rows().into_iter().take(8) {
            let contributions = explainer.contributions(row.as_slice().unwrap()).unwrap();
            for feature in 0..6 {
                let Ensemble { trees, scale, .. } = explainer.ensemble;
                let expected = brute_force(trees, scale, row.as_slice().unwrap(), feature);
                let ours = contributions.values[(0, feature)];
                assert!((ours - expected).abs() < 1e-9, "{}: {ours} is not {expected}", model.algorithm());
            }
        }
    }
}

/// What the contributions of a row add up to.
fn total(contributions: &Contributions) -> Vec<f64> {
    contributions.expected.iter().zip(contributions.values.rows()).map(|(e, values)| e + values.sum()).collect()
}

#[test]
fn contributions_and_expectation_sum_up_to_the_output() {
    for n_classes in [2, 3] {
        let dataset = test_data::gappy(200, n_classes);
        for model in test_data::without_lines(test_data::one_of_each(&dataset)) {
            let explainer = model.explainer().unwrap();
            for row in dataset.records.rows().into_iter().take(50) {
                let row = row.as_slice().unwrap();
                let mut out = vec![0.0; n_classes];
                model.predict_proba_into(row, &mut out).unwrap();
                let mut total = total(&explainer.contributions(row).unwrap());
                if model.algorithm() == "gradient_boosting" {
                    total = match total.as_slice() {
                        [score] => vec![1.0 - 1.0 / (1.0 + (-score).exp()), 1.0 / (1.0 + (-score).exp())],
                        scores => {
                            let sum: f64 = scores.iter().map(|score| score.exp()).sum();
                            scores.iter().map(|score| score.exp() / sum).collect()
                        }
                    };
                }
                assert!(total.iter().zip(&out).all(|(a, b)| (a - b).abs() < 1e-9), "{total:?} is not {out:?}");
            }
        }
    }
    let dataset = test_data::curve(200, 2);
    let median = GradientBoosting::params().loss(Some(Loss::AbsoluteError)).subsample(0.5).fit(&dataset).unwrap();
    let mut models = test_data::without_lines(test_data::one_of_each_regression(&dataset));
    models.push(Model::GradientBoosting(median));
    for model in models {
        assert_eq!(model.task(), Task::Regression);
        let explainer = model.explainer().unwrap();
        for row in dataset.records.rows().into_iter().take(50) {
            let row = row.as_slice().unwrap();
            let total = total(&explainer.contributions(row).unwrap())[0];
            assert!((total - model.predict_value(row).unwrap()).abs() < 1e-9);
        }
    }
}

#[test]
fn a_feature_without_a_split_contributes_nothing() {
    let dataset = test_data::gappy(200, 2);
    for model in test_data::without_lines(test_data::one_of_each(&dataset)) {
        let row = dataset.records.row(0).to_vec();
        assert_eq!(model.explainer().unwrap().contributions(&row).unwrap().values[(0, 3)], 0.0);
    }
}

#[test]
fn rows_of_the_wrong_length_are_errors() {
    let model = &test_data::one_of_each(&test_data::gappy(60, 2))[2];
    let result = model.explainer().unwrap().contributions(&[1.0]);
    assert!(matches!(result, Err(Error::FeatureCount { expected: 4, got: 1 })));
}
