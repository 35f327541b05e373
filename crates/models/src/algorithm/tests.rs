use serde_json::json;

use super::*;
use crate::boosting::{GradientBoosting, Loss};
use crate::forest::{MaxFeatures, RandomForest};
use crate::linear::LinearRegression;
use crate::linfa_tree::DecisionTree;
use crate::logistic::LogisticRegression;
use crate::{ClassWeight, Imputation, test_data};

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
fn weights_categories_losses_and_constraints_reach_the_algorithm() {
    let params = json!({"class_weight": {"0": 1, "1": 2.5}, "categorical_features": [0, 2]});
    let given = ClassWeight::Given([(0, 1.0), (1, 2.5)].into());
    let expected = RandomForest::params().class_weight(Some(given)).categorical_features(vec![0, 2]);
    assert_eq!(spec("random_forest", params).unwrap(), Algorithm::RandomForest(expected));
    let params = json!({
        "class_weight": "balanced", "categorical_features": [1], "monotonic_cst": [1, 0, -1], "loss": "quantile", "alpha": 0.2,
        "cat_smooth": 5,
    });
    let expected = GradientBoosting::params()
        .class_weight(Some(ClassWeight::Balanced))
        .categorical_features(vec![1])
        .monotonic_cst(vec![1, 0, -1])
        .loss(Some(Loss::Quantile))
        .alpha(0.2)
        .cat_smooth(5.0);
    assert_eq!(spec("gradient_boosting", params).unwrap(), Algorithm::GradientBoosting(expected));
}

#[test]
fn regressions_are_fitted_where_there_are_any() {
    let dataset = test_data::curve(60, 1);
    for name in NAMES {
        let fitted = spec(name, json!({})).unwrap().fit_regression(&dataset, 1);
        match name {
            "decision_tree" | "logistic_regression" => {
                assert!(matches!(fitted, Err(crate::Error::TaskUnsupported { .. })))
            }
            _ => assert_eq!(fitted.unwrap().task(), Task::Regression),
        }
    }
}

#[test]
fn rounds_are_told_and_can_be_ended() {
    let algorithm = spec("gradient_boosting", json!({"min_samples_leaf": 5})).unwrap();
    let mut rounds = Vec::new();
    let mut observe = |round: &Round| {
        rounds.push(round.round);
        if round.round == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let dataset = test_data::gappy(60, 2);
    let Model::GradientBoosting(model) = algorithm.fit_observed(&dataset, 2, 1, &mut observe).unwrap() else {
        panic!()
    };
    assert_eq!(model.n_rounds(), 3);
    algorithm.fit_regression_observed(&test_data::curve(60, 1), 1, &mut observe).unwrap();
    spec("random_forest", json!({})).unwrap().fit_observed(&dataset, 2, 1, &mut observe).unwrap();
    assert_eq!(rounds, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn only_boosting_is_continued() {
    let dataset = test_data::gappy(60, 2);
    let boosting = spec("gradient_boosting", json!({"n_estimators": 3, "min_samples_leaf": 2})).unwrap();
    let model = boosting.fit(&dataset, 2, 1).unwrap();
    let Model::GradientBoosting(longer) = boosting.clone().continue_from(&model).unwrap().fit(&dataset, 2, 1).unwrap()
    else {
        panic!()
    };
    assert_eq!(longer.n_rounds(), 6);
    let forest = spec("random_forest", json!({})).unwrap();
    assert!(matches!(forest.clone().continue_from(&model), Err(crate::Error::Continuation { .. })));
    let forest = forest.fit(&dataset, 2, 1).unwrap();
    assert!(matches!(boosting.continue_from(&forest), Err(crate::Error::Continuation { .. })));
}

#[test]
fn every_algorithm_has_defaults_and_fits() {
    let dataset = test_data::gappy(60, 2);
    for name in NAMES {
        let algorithm: Algorithm = serde_json::from_value(json!({ "name": name })).unwrap();
        assert_eq!(algorithm.name(), name);
        if !algorithm.classifies() {
            assert!(["linear_regression", "ridge", "lasso", "elastic_net"].contains(&name));
            continue;
        }
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
        ("gradient_boosting", json!({"loss": "huber"}), "\"quantile\", got \"huber\""),
        ("gradient_boosting", json!({"alpha": 1}), "between 0 and 1, got 1"),
        ("gradient_boosting", json!({"monotonic_cst": [0, 2]}), "-1, 0 or 1 for each feature"),
        ("gradient_boosting", json!({"monotonic_cst": {"0": 1}}), "a list of -1, 0 and 1"),
        ("gradient_boosting", json!({"categorical_features": [-1]}), "a list of feature numbers"),
        ("random_forest", json!({"class_weight": "even"}), "\"balanced\""),
        ("random_forest", json!({"class_weight": {"red": 1}}), "by class index"),
        ("random_forest", json!({"class_weight": {"0": -1}}), "weights between 0 and 1e30"),
        ("decision_tree", json!({"criterion": "log_loss"}), "\"gini\" or \"entropy\""),
        ("decision_tree", json!({"max_depth": 65}), "between 1 and 64"),
    ] {
        let message = message(algorithm, params);
        assert!(message.contains(expected) && message.contains(algorithm), "{message}");
    }
}

#[test]
fn lines_have_their_parameters_and_their_task() {
    let logistic =
        spec("logistic_regression", json!({"C": 0.5, "class_weight": "balanced", "imputation": "median"})).unwrap();
    let expected = LogisticRegression::params().c(0.5).class_weight(Some(ClassWeight::Balanced));
    assert_eq!(logistic, Algorithm::LogisticRegression(expected.imputation(Imputation::Median)));
    let elastic =
        spec("elastic_net", json!({"alpha": 0.1, "l1_ratio": 0.9, "standardize": true, "max_iter": 7})).unwrap();
    let expected = LinearRegression::elastic_net().alpha(0.1).l1_ratio(0.9).standardize(true).max_iter(7);
    assert_eq!(elastic, Algorithm::ElasticNet(expected));
    assert!(message("linear_regression", json!({"alpha": 1})).contains("no parameter `alpha`"));
    assert!(message("ridge", json!({"alpha": -1})).contains("`ridge`"));
    assert!(message("lasso", json!({"imputation": "mode"})).contains("\"median\""));

    let (classes, values) = (test_data::gappy(60, 3), test_data::curve(60, 1));
    assert_eq!(logistic.fit(&classes, 3, 0).unwrap().classes(), 3);
    for name in ["linear_regression", "ridge", "lasso", "elastic_net"] {
        let line = spec(name, json!({})).unwrap();
        assert_eq!((line.name(), line.fit_regression(&values, 0).unwrap().task()), (name, Task::Regression));
        assert!(matches!(line.fit(&classes, 3, 0), Err(crate::Error::TaskUnsupported { .. })), "{name}");
    }
    assert!(matches!(logistic.fit_regression(&values, 0), Err(crate::Error::TaskUnsupported { .. })));
}
