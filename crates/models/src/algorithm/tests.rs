use serde_json::json;

use super::*;
use crate::test_data;

fn spec(name: &str, params: Value) -> Result<Algorithm, Error> {
    Algorithm::from_spec(name, params.as_object().unwrap())
}

fn message(name: &str, params: Value) -> String {
    spec(name, params).unwrap_err().to_string()
}

#[test]
fn parameters_reach_the_algorithm() {
    let forest = spec("random_forest", json!({"n_estimators": 7.0, "max_depth": null, "max_features": 0.5})).unwrap();
    let expected = RandomForest::params().n_estimators(7).max_features(MaxFeatures::Fraction(0.5));
    assert_eq!(forest, Algorithm::RandomForest(expected));
    let boosting = json!({
        "n_estimators": 5, "learning_rate": 0.3, "max_leaf_nodes": null, "max_depth": 4, "min_samples_leaf": 3, "min_child_weight": 0,
        "l2_regularization": 1, "subsample": 0.5, "early_stopping": true, "validation_fraction": 0.2, "n_iter_no_change": 2, "tol": 0.001,
    });
    let expected = GradientBoosting::params()
        .n_estimators(5)
        .learning_rate(0.3)
        .max_leaf_nodes(None)
        .max_depth(Some(4))
        .min_samples_leaf(3)
        .min_child_weight(0.0)
        .l2_regularization(1.0)
        .subsample(0.5)
        .early_stopping(true)
        .validation_fraction(0.2)
        .n_iter_no_change(2)
        .tol(0.001);
    assert_eq!(spec("gradient_boosting", boosting).unwrap(), Algorithm::GradientBoosting(expected));
    let tree = spec("decision_tree", json!({"criterion": "entropy", "max_depth": 3})).unwrap();
    let expected = DecisionTree::params().criterion(linfa_trees::SplitQuality::Entropy).max_depth(Some(3));
    assert_eq!(tree, Algorithm::DecisionTree(expected));
}

#[test]
fn every_algorithm_has_defaults_and_fits() {
    let dataset = test_data::gappy(60, 2);
    for name in NAMES {
        let algorithm: Algorithm = serde_json::from_value(json!({ "name": name })).unwrap();
        assert_eq!(algorithm.name(), name);
        let model = algorithm.fit(&dataset, 5, 1).unwrap();
        assert_eq!((model.algorithm(), model.classes(), model.n_features()), (name, 5, 4));
    }
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    assert!(message("random_forrest", json!({})).contains("did you mean `random_forest`?"));
    assert!(!message("quantum", json!({})).contains("did you mean"));
    assert_eq!(
        message("gradient_boosting", json!({"learningrate": 0.1})).split("; ").next().unwrap(),
        "`gradient_boosting` has no parameter `learningrate`, did you mean `learning_rate`?"
    );
    assert!(message("constant", json!({"n": 1})).ends_with("it has none"));
    assert!(serde_json::from_value::<Algorithm>(json!({"name": "constant", "parameters": {}})).is_err());
}

#[test]
fn values_of_the_wrong_type_or_range_are_named() {
    for (algorithm, params, expected) in [
        ("random_forest", json!({"n_estimators": "many"}), "must be a whole number, got \"many\""),
        ("random_forest", json!({"n_estimators": 0}), "between 1 and 10000, got 0"),
        ("random_forest", json!({"n_estimators": 100_000}), "between 1 and 10000"),
        ("random_forest", json!({"n_estimators": -1}), "a whole number, got -1"),
        ("random_forest", json!({"max_depth": 0}), "at least 1, or null"),
        ("random_forest", json!({"max_depth": 1.5}), "a whole number or null"),
        ("random_forest", json!({"max_features": "auto"}), "\"sqrt\""),
        ("random_forest", json!({"max_features": 1.5}), "a share above 0"),
        ("random_forest", json!({"bootstrap": 1}), "true or false"),
        ("random_forest", json!({"min_samples_split": 1}), "at least 2"),
        ("gradient_boosting", json!({"learning_rate": 0}), "above 0 and up to 1, got 0"),
        ("gradient_boosting", json!({"learning_rate": null}), "a number, got null"),
        ("gradient_boosting", json!({"subsample": 1.1}), "above 0 and up to 1"),
        ("gradient_boosting", json!({"max_leaf_nodes": 1}), "between 2"),
        ("gradient_boosting", json!({"validation_fraction": 1}), "below 1"),
        ("decision_tree", json!({"criterion": "log_loss"}), "\"gini\" or \"entropy\""),
        ("decision_tree", json!({"max_depth": 65}), "between 1 and 64"),
    ] {
        let message = message(algorithm, params);
        assert!(message.contains(expected) && message.contains(algorithm), "{message}");
    }
}
