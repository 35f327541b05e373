//! What goes out comes back.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use driftmill_models::parts::{Node, Parts, Rule};
use driftmill_models::{Column, Estimator, FeatureKind, Learner, Model, Table, Target, Task};
use ndarray::{Array1, Array2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::{Error, Names, export, import};

/// Rows with gaps, of which the first column matters most.
pub(super) fn records(rows: usize) -> Array2<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Array2::from_shape_fn((rows, 3), |(_, column)| match column {
        _ if rng.random_bool(0.1) => f64::NAN,
        1 => f64::from(rng.random_range(0..9)),
        _ => rng.random_range(-1.0..1.0),
    })
}

pub(super) fn fitted(algorithm: &str, params: &Value, n_classes: usize) -> Estimator {
    let records = records(200);
    let value = |row: usize| {
        let or_0 = |value: f64| if value.is_nan() { 0.0 } else { value };
        or_0(records[(row, 0)]) + or_0(records[(row, 1)]) % 3.0
    };
    let target = match n_classes {
        0 => Target::Values(Array1::from_shape_fn(200, |row| 1e6 * value(row))),
        _ => Target::Classes {
            labels: Array1::from_shape_fn(200, |row| (value(row) + 1.0) as usize % n_classes),
            n_classes,
        },
    };
    let features: Vec<_> = (0..3).map(|number| (format!("f{number}"), FeatureKind::Number)).collect();
    let learner = Learner::from_spec(algorithm, params.as_object().unwrap(), &features).unwrap();
    learner.fit(&Table::of_numbers(records.view()), &target, 1, &mut |_| ControlFlow::Continue(())).unwrap()
}

pub(super) fn names(estimator: &Estimator) -> Names {
    let n_classes = if estimator.task() == Task::Regression { 0 } else { estimator.n_outputs() };
    Names {
        features: (0..estimator.features().len()).map(|number| format!("f{number}")).collect(),
        classes: (0..n_classes).map(|class| format!("class {class}")).collect(),
        metadata: BTreeMap::from([("version".to_owned(), "7".to_owned())]),
    }
}

/// An estimator of each algorithm and task.
pub(super) fn one_of_each() -> Vec<Estimator> {
    let few = json!({"n_estimators": 7});
    let with_codes = json!({"n_estimators": 7, "categorical_features": [1]});
    vec![
        fitted("constant", &json!({}), 0),
        fitted("constant", &json!({}), 3),
        fitted("decision_tree", &json!({}), 3),
        fitted("random_forest", &few, 0),
        fitted("random_forest", &few, 2),
        fitted("random_forest", &with_codes, 4),
        fitted("gradient_boosting", &few, 0),
        fitted("gradient_boosting", &few, 2),
        fitted("gradient_boosting", &with_codes, 4),
        fitted("logistic_regression", &json!({}), 2),
        fitted("logistic_regression", &json!({}), 4),
        fitted("linear_regression", &json!({}), 0),
        fitted("lasso", &json!({}), 0),
    ]
}

#[test]
fn an_exported_model_comes_back_as_the_same_algorithm_with_the_same_answers() {
    for estimator in one_of_each() {
        let names = names(&estimator);
        let imported = import(&export(&estimator, &names).unwrap()).unwrap();
        assert_eq!(imported.estimator.algorithm(), estimator.algorithm());
        assert_eq!((imported.classes, imported.feature_names), (names.classes, names.features));
        let table = Table::of_numbers(records(300).view());
        let (ours, theirs) = (estimator.outputs(&table).unwrap(), imported.estimator.outputs(&table).unwrap());
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * a.abs().max(1.0);
        assert!(ours.iter().zip(&theirs).all(near), "{}", estimator.algorithm());
    }
}

#[test]
fn contributions_of_features_survive() {
    let estimator = fitted("random_forest", &json!({"n_estimators": 5}), 3);
    let imported = import(&export(&estimator, &names(&estimator)).unwrap()).unwrap();
    let explained = |estimator: &Estimator| {
        let model = estimator.rows_model().unwrap();
        model.explainer().unwrap().contributions(&[0.3, 4.0, f64::NAN]).unwrap().values
    };
    let (ours, theirs) = (explained(&estimator), explained(&imported.estimator));
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn labels_that_are_whole_numbers_come_back_as_they_were() {
    let estimator = fitted("decision_tree", &json!({}), 2);
    for classes in [["0", "10"], ["-3", "4"], ["01", "1"]] {
        let classes: Vec<String> = classes.map(str::to_owned).into();
        let names = Names { classes: classes.clone(), ..names(&estimator) };
        assert_eq!(import(&export(&estimator, &names).unwrap()).unwrap().classes, classes);
    }
}

#[test]
fn a_split_on_a_set_without_members_is_passed_by() {
    let split = |codes: &[u8], missing_left, left, right| Node::Split {
        feature: 0,
        rule: Rule::Categories(codes.to_vec()),
        missing_left,
        left,
        right,
    };
    let leaf = |value: f64| Node::Leaf { cover: 1.0, values: vec![value] };
    let tree = vec![
        split(&[], true, 1, 2),
        split(&[3, 200], true, 3, 4),
        leaf(1.0),
        split(&[5], false, 5, 6),
        leaf(2.0),
        leaf(3.0),
        leaf(4.0),
    ];
    let parts = Parts::RandomForest { n_features: 1, task: Task::Regression, trees: vec![tree] };
    let estimator = Estimator::from(Model::from_parts(parts).unwrap());
    let again = import(&export(&estimator, &names(&estimator)).unwrap()).unwrap().estimator;
    let rows = Array2::from_shape_vec((6, 1), vec![3.0, 200.0, 5.0, 0.0, f64::NAN, 0.5]).unwrap();
    let table = Table::of_numbers(rows.view());
    let values = estimator.values(&table).unwrap();
    assert_eq!(values.to_vec(), [2.0, 2.0, 3.0, 4.0, 4.0, 4.0]);
    assert_eq!(again.values(&table).unwrap(), values);
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let estimator = fitted("gradient_boosting", &json!({"n_estimators": 3}), 3);
    assert_eq!(export(&estimator, &names(&estimator)).unwrap(), export(&estimator, &names(&estimator)).unwrap());
}

#[test]
fn names_that_do_not_fit_are_refused() {
    let estimator = fitted("constant", &json!({}), 2);
    let names = names(&estimator);
    let wrong = Names { classes: vec!["one".to_owned()], ..names.clone() };
    let text = export(&estimator, &wrong).unwrap_err().to_string();
    assert_eq!(text, "the model has 2 classes, 1 names were given");
    assert!(matches!(export(&estimator, &Names { features: vec![], ..names }), Err(Error::Names { .. })));
}

/// Texts of two classes.
fn texts() -> (Table, Target) {
    let texts = ["red car", "blue boat", "red van", "blue ship", "red bus", "blue raft"];
    let column = Column::Text(texts.iter().cycle().take(60).map(|text| Some(Arc::from(*text))).collect());
    let labels = Array1::from_shape_fn(60, |row| row % 2);
    (Table::new(60, vec![column]).unwrap(), Target::Classes { labels, n_classes: 2 })
}

fn of_texts(algorithm: &str, params: &Value, kind: FeatureKind) -> Estimator {
    let (table, target) = texts();
    let learner = Learner::from_spec(algorithm, params.as_object().unwrap(), &[("text".to_owned(), kind)]).unwrap();
    learner.fit(&table, &target, 1, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn categories_are_inputs_of_texts_which_only_the_export_has() {
    for algorithm in ["random_forest", "logistic_regression"] {
        let estimator = of_texts(algorithm, &json!({}), FeatureKind::Category);
        let bytes = export(&estimator, &names(&estimator)).unwrap();
        let text = import(&bytes).unwrap_err().to_string();
        assert!(text.contains("`f0` is of texts"), "{text}");
    }
}

#[test]
fn a_classifier_of_texts_is_refused_with_the_reason() {
    let estimator = of_texts("text_classifier", &json!({"min_df": 1}), FeatureKind::Text);
    let text = export(&estimator, &names(&estimator)).unwrap_err().to_string();
    assert!(text.starts_with("`text_classifier` cannot be exported to ONNX: ONNX has no operator"), "{text}");
}
