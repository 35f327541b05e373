use serde_json::json;

use super::*;
use crate::test_data::{fitted, learner, mixed, one_of_each_learner};

/// The estimator as JSON, with a change to it, and back.
fn tampered(estimator: &Estimator, pointer: &str, value: serde_json::Value) -> Result<(), String> {
    let mut json = serde_json::to_value(estimator).unwrap();
    *json.pointer_mut(pointer).expect("this is there") = value;
    serde_json::from_value::<Estimator>(json).map_err(|error| error.to_string())?.validate()
}

#[test]
fn what_was_fitted_is_valid() {
    let (table, target) = mixed(60, 1);
    for learner in one_of_each_learner() {
        assert_eq!(fitted(&learner, &table, &target).validate(), Ok(()));
    }
}

#[test]
fn tampered_encodings_are_refused() {
    let (table, target) = mixed(60, 1);
    let forest = fitted(&learner("random_forest", &json!({"n_estimators": 2})), &table, &target);
    assert!(tampered(&forest, "/features/1", json!("Number")).is_err());
    assert!(tampered(&forest, "/features/0", json!("Text")).is_err());
    assert!(tampered(&forest, "/features", json!(["Number", "Category"])).is_err());
    assert!(tampered(&forest, "/fitted/One/Tabular/encodings/2", json!("Number")).is_err());
    assert!(tampered(&forest, "/fitted/One/Tabular/encodings/1/Codes/codes/0/1", json!(77)).is_err());
    assert!(tampered(&forest, "/fitted/One/Tabular/model/RandomForest/n_features", json!(9)).is_err());
    let line = fitted(&learner("logistic_regression", &json!({})), &table, &target);
    assert!(tampered(&line, "/fitted/One/Tabular/encodings/1/OneHot/codes", json!([["red", 0]])).is_err());
}

#[test]
fn a_tampered_text_classifier_is_refused() {
    let (table, target) = mixed(60, 1);
    let text = fitted(&learner("text_classifier", &json!({"analyzer": "word"})), &table, &target);
    let refused = |pointer: &str, value| tampered(&text, &format!("/fitted/One/Text/{pointer}"), value).is_err();
    assert!(refused("columns", json!([])) && refused("columns", json!([0])) && refused("columns", json!([2, 2])));
    assert!(refused("columns", json!([9])) && refused("vectorizers", json!([])) && refused("separator", json!(null)));
    assert!(refused("frequencies", json!([])) && refused("frequencies", json!([0.5, 0.5])));
    assert!(refused("frequencies", json!([0.5, 0.5, 2.0])) && refused("frequencies/0", json!(0.0)));
    assert!(refused("separator/n_classes", json!(2)));
}

#[test]
fn a_tampered_fusion_is_refused() {
    let (table, target) = mixed(60, 1);
    let params = json!({"members": [{"algorithm": "constant"}, {"algorithm": "text_classifier"}], "weights": [1, 3]});
    let fusion = fitted(&learner("late_fusion", &params), &table, &target);
    let refused = |pointer: &str, value| tampered(&fusion, &format!("/fitted/Fusion/{pointer}"), value).is_err();
    assert!(refused("members", json!([])) && refused("weights", json!([1.0])) && refused("weights/0", json!(-1.0)));
    assert!(refused("weights/0", json!(2.0)) && refused("members/0/Tabular/encodings", json!([])));
    assert!(refused("members/0/Tabular/model/Constant/task", json!("Regression")));
    let two = json!({"Classification": {"n_classes": 2}});
    assert!(refused("members/0/Tabular/model/Constant/task", two));
}
