mod forecast;
mod fusion;
mod image;
mod text;

use std::ops::ControlFlow;
use std::sync::Arc;

use linfa::Dataset;
use ndarray::{Array1, Axis, array};
use serde_json::{Value, json};

use super::*;
use crate::test_data::{fitted, learner, mixed, mixed_features, one_of_each_learner};
use crate::{Algorithm, Column, metrics, test_data};

fn labels(target: &Target) -> Vec<usize> {
    match target {
        Target::Classes { labels, .. } => labels.to_vec(),
        Target::Values(_) => panic!("these are values"),
    }
}

fn accuracy(estimator: &Estimator, table: &Table, target: &Target) -> f64 {
    metrics::accuracy(&labels(target), &estimator.classes(table).unwrap().to_vec()).unwrap()
}

fn message(name: &str, params: &Value, features: &[(String, FeatureKind)]) -> String {
    Learner::from_spec(name, params.as_object().unwrap(), features).unwrap_err().to_string()
}

#[test]
fn every_learner_learns_from_its_features_and_answers_new_rows() {
    let ((table, target), (unseen, truth)) = (mixed(240, 1), mixed(150, 2));
    for learner in one_of_each_learner() {
        let estimator = fitted(&learner, &table, &target);
        assert_eq!((estimator.algorithm(), estimator.n_outputs()), (learner.algorithm(), 3));
        assert_eq!(estimator.task(), Task::Classification { n_classes: 3 });
        let proba = estimator.outputs(&unseen).unwrap();
        assert!(proba.rows().into_iter().all(|row| (row.sum() - 1.0).abs() < 1e-9 && row.iter().all(|p| *p >= 0.0)));
        let accuracy = accuracy(&estimator, &unseen, &truth);
        let expected = match learner.algorithm() {
            "constant" => 0.3,
            // It hardly splits features whose values repeat.
            "decision_tree" => 0.4,
            _ => 0.6,
        };
        assert!(accuracy > expected, "{} of {}", accuracy, learner.algorithm());
    }
}

#[test]
fn one_row_and_a_batch_give_the_same_bits() {
    let ((table, target), (unseen, _)) = (mixed(120, 1), mixed(150, 2));
    for learner in one_of_each_learner() {
        let estimator = fitted(&learner, &table, &target);
        let batch = estimator.outputs(&unseen).unwrap();
        for row in 0..unseen.rows() {
            let one = estimator.outputs(&unseen.select(&[row])).unwrap();
            let bits = |values: ndarray::ArrayView1<'_, f64>| values.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(one.row(0)), bits(batch.row(row)), "{}", learner.algorithm());
        }
        assert_eq!(estimator.outputs(&unseen.select(&[])).unwrap().dim(), (0, 3));
    }
}

#[test]
fn the_same_rows_and_seed_give_the_same_estimator() {
    let (table, target) = mixed(90, 1);
    for learner in one_of_each_learner().into_iter().filter(|learner| learner.algorithm() != "decision_tree") {
        assert_eq!(fitted(&learner, &table, &target), fitted(&learner, &table, &target));
    }
}

#[test]
fn numbers_give_the_model_that_the_algorithm_gives() {
    let dataset = test_data::gappy(200, 3);
    let features: Vec<_> = (0..4).map(|n| (format!("f{n}"), FeatureKind::Number)).collect();
    let table = Table::of_numbers(dataset.records.view());
    let target = Target::Classes { labels: dataset.targets.clone(), n_classes: 3 };
    for name in ["constant", "random_forest", "gradient_boosting", "logistic_regression"] {
        let estimator = fitted(&Learner::from_spec(name, &Map::new(), &features).unwrap(), &table, &target);
        let model = Algorithm::from_spec(name, &Map::new()).unwrap().fit(&dataset, 3, 7).unwrap();
        assert_eq!(estimator.rows_model(), Some(&model));
        assert_eq!(estimator.outputs(&table).unwrap(), model.predict_proba(dataset.records.view()).unwrap());
        assert_eq!(estimator, Estimator::from(model));
    }
}

#[test]
fn values_are_learnt_from_categories_by_every_regression() {
    let dataset = test_data::curve(400, 1);
    let categories =
        dataset.records.column(2).to_vec().into_iter().map(|code| Some(Arc::from(format!("level {code}"))));
    let columns = vec![Column::Number(dataset.records.column(0).to_vec()), Column::Text(categories.collect())];
    let table = Table::new(400, columns).unwrap();
    let features = [("x".to_owned(), FeatureKind::Number), ("level".to_owned(), FeatureKind::Category)];
    let target = Target::Values(dataset.targets.clone());
    let numbers_only = Dataset::new(dataset.records.slice(ndarray::s![.., ..1]).to_owned(), dataset.targets.clone());
    for name in ["random_forest", "gradient_boosting", "linear_regression", "ridge", "lasso", "elastic_net"] {
        let params = if ["lasso", "elastic_net"].contains(&name) { json!({"alpha": 0.01}) } else { json!({}) };
        let params = params.as_object().unwrap();
        let estimator = fitted(&Learner::from_spec(name, params, &features).unwrap(), &table, &target);
        let error =
            |values: Array1<f64>| metrics::mean_squared_error(&dataset.targets.to_vec(), &values.to_vec()).unwrap();
        let without = Algorithm::from_spec(name, params).unwrap().fit_regression(&numbers_only, 7).unwrap();
        let without = error(without.predict_values(numbers_only.records.view()).unwrap());
        let with = error(estimator.values(&table).unwrap());
        assert!(with < 0.8 * without, "{name}: {with} of {without}");
        assert!(matches!(estimator.classes(&table), Err(Error::WrongTask { .. })));
        assert_eq!(estimator.rows_model(), None);
    }
}

#[test]
fn unseen_categories_are_answered_as_missing_ones() {
    let (table, target) = mixed(200, 1);
    let row = |colour: Option<&str>| {
        let columns = vec![
            Column::Number(vec![5.0]),
            Column::Text(vec![colour.map(Arc::from)]),
            Column::Text(vec![Some(Arc::from("novel"))]),
        ];
        Table::new(1, columns).unwrap()
    };
    for learner in one_of_each_learner() {
        let estimator = fitted(&learner, &table, &target);
        assert_eq!(estimator.outputs(&row(Some("mauve"))).unwrap(), estimator.outputs(&row(None)).unwrap());
    }
}

#[test]
fn importances_are_of_the_features_and_not_of_their_columns() {
    let (table, target) = mixed(200, 1);
    for name in ["decision_tree", "random_forest"] {
        let importances = fitted(&learner(name, &json!({})), &table, &target).feature_importances().unwrap();
        assert_eq!(importances.len(), 3);
        assert!((importances.iter().sum::<f64>() - 1.0).abs() < 1e-9 && importances[1] > 0.1 && importances[2] == 0.0);
    }
    assert_eq!(fitted(&learner("text_classifier", &json!({})), &table, &target).feature_importances(), None);
}

#[test]
fn features_in_parameters_are_named_or_numbered() {
    let (number, text) = (FeatureKind::Number, FeatureKind::Text);
    let features = [("note", text), ("age", number), ("plan", number), ("city", FeatureKind::Category)]
        .map(|(name, kind)| (name.to_owned(), kind));
    let spec = |params: Value| Learner::from_spec("gradient_boosting", params.as_object().unwrap(), &features).unwrap();
    let named = spec(json!({"categorical_features": ["plan"], "monotonic_cst": {"age": 1}}));
    assert_eq!(named, spec(json!({"categorical_features": [2], "monotonic_cst": [0, 1]})));
    let algorithm = json!({"categorical_features": [1, 2], "monotonic_cst": [1, 0, 0]});
    let algorithm = Algorithm::from_spec("gradient_boosting", algorithm.as_object().unwrap()).unwrap();
    assert_eq!(named.method, Method::one(Member::Tabular(Tabular::new(algorithm))));
    let text = message("random_forest", &json!({"categorical_features": ["note"]}), &features);
    assert!(
        text.contains("`categorical_features` of `random_forest` must be a list of numbers or categories"),
        "{text}"
    );
    let text = message("gradient_boosting", &json!({"monotonic_cst": {"aeg": 1}}), &features);
    assert!(text.contains("by the name of a feature that is a number"), "{text}");
    let text = message("ridge", &json!({"categorical_features": [0]}), &features);
    assert!(text.starts_with("`ridge` has no parameter `categorical_features`"), "{text}");
}

#[test]
fn algorithms_without_a_feature_to_learn_from_are_refused_with_what_they_need() {
    let of = |kind| [("f".to_owned(), kind)];
    let text = message("random_forest", &json!({}), &of(FeatureKind::Text));
    assert_eq!(
        text,
        "`random_forest` learns from numbers and categories, and none of the features is one; declare one or choose \
         another algorithm"
    );
    let text = message("text_classifier", &json!({}), &of(FeatureKind::Category));
    assert!(text.starts_with("`text_classifier` learns from texts"), "{text}");
    let text = message("text_clasifier", &json!({}), &of(FeatureKind::Text));
    assert!(text.contains("did you mean `text_classifier`?") && text.ends_with("forecast"), "{text}");
    assert!(message("ridge", &json!({"alpa": 1}), &of(FeatureKind::Number)).contains("did you mean `alpha`?"));
}

#[test]
fn the_baseline_needs_no_feature_that_it_could_learn_from() {
    let features = [("picture".to_owned(), FeatureKind::Image { side: 2 })];
    let table = Table::new(4, vec![Column::Image { side: 2, pixels: vec![None; 4] }]).unwrap();
    let baseline = Learner::constant(&features);
    assert_eq!(baseline, Learner::from_spec("constant", &Map::new(), &features).unwrap());
    let classes = fitted(&baseline, &table, &Target::Classes { labels: array![0, 1, 1, 1], n_classes: 2 });
    assert_eq!(classes.outputs(&table).unwrap().row(3), array![0.25, 0.75]);
    let values = fitted(&baseline, &table, &Target::Values(array![1.0, 2.0, 3.0, 6.0]));
    assert_eq!(values.values(&table).unwrap(), Array1::from_elem(4, 3.0));
}

#[test]
fn tasks_are_refused_with_the_reason() {
    let classes = Task::Classification { n_classes: 2 };
    let reason = learner("ridge", &json!({})).supports(classes).unwrap_err();
    assert_eq!(reason, "`ridge` predicts numbers, and the label has classes");
    let reason = learner("text_classifier", &json!({})).supports(Task::Regression).unwrap_err();
    assert_eq!(reason, "`text_classifier` predicts classes, and the label is a number");
    for name in ["constant", "random_forest", "gradient_boosting"] {
        assert!(learner(name, &json!({})).supports(classes).is_ok());
        assert!(learner(name, &json!({})).supports(Task::Regression).is_ok());
    }
    let (table, _) = mixed(4, 1);
    let fit = |target, groups: Option<&[usize]>| {
        let learner = learner("logistic_regression", &json!({}));
        learner.fit_grouped(&table, &target, groups, 0, &mut |_| ControlFlow::Continue(())).unwrap_err()
    };
    let values = Target::Values(Array1::zeros(4));
    assert!(matches!(fit(values, None), Error::TaskUnsupported { algorithm: "logistic_regression", .. }));
    let classes = || Target::Classes { labels: array![0, 1, 0, 1], n_classes: 2 };
    assert!(matches!(fit(classes(), Some(&[1, 2])), Error::Split(_)));
    assert!(matches!(fit(classes().select(&[0]), None), Error::LengthMismatch { rows: 4, targets: 1 }));
}

#[test]
fn tables_of_other_features_are_refused_by_fit_and_estimator() {
    let (table, target) = mixed(30, 1);
    let learner = learner("random_forest", &json!({"n_estimators": 2}));
    let estimator = fitted(&learner, &table, &target);
    assert_eq!(estimator.features(), mixed_features().into_iter().map(|(_, kind)| kind).collect::<Vec<_>>());
    let others = Table::of_numbers(ndarray::Array2::zeros((30, 3)).view());
    assert!(matches!(estimator.outputs(&others), Err(Error::ColumnKind { feature: 1, .. })));
    let error = learner.fit(&others, &target, 0, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, Error::ColumnKind { feature: 1, .. }));
}

#[test]
fn rounds_are_told_and_a_break_ends_them() {
    let (table, target) = mixed(90, 1);
    let learner = learner("gradient_boosting", &json!({"n_estimators": 6, "min_samples_leaf": 3}));
    let mut told = Vec::new();
    let estimator = learner.fit(&table, &target, 7, &mut |progress| {
        told.push(progress.clone());
        ControlFlow::Continue(())
    });
    assert_eq!(estimator.unwrap(), fitted(&learner, &table, &target));
    assert_eq!(told.len(), 6);
    assert_eq!((told[5].step.as_str(), told[5].number, told[5].of), ("round", 6, Some(6)));
    assert!(told[5].metrics["train_loss"] < told[0].metrics["train_loss"]);
    let mut rounds = 0;
    learner
        .fit(&table, &target, 7, &mut |_| {
            rounds += 1;
            if rounds == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(rounds, 2);
}

#[test]
fn a_boosting_is_continued_with_the_codes_it_has() {
    let ((table, target), (more, of_more)) = (mixed(90, 1), mixed(120, 5));
    let learner = || learner("gradient_boosting", &json!({"n_estimators": 3, "min_samples_leaf": 3}));
    let first = fitted(&learner(), &table, &target);
    let mut last = None;
    let second = learner().continue_from(&first).unwrap().fit(&more, &of_more, 7, &mut |progress| {
        last = Some((progress.number, progress.of));
        ControlFlow::Continue(())
    });
    assert_eq!(last, Some((6, Some(6))));
    assert!(accuracy(&second.unwrap(), &more, &of_more) >= accuracy(&first, &more, &of_more));
    let error = test_data::learner("random_forest", &json!({})).continue_from(&first).unwrap_err();
    assert!(matches!(error, Error::Continuation { .. }));
    let numbers = Learner::from_spec("gradient_boosting", &Map::new(), &[("x".to_owned(), FeatureKind::Number)]);
    assert!(matches!(numbers.unwrap().continue_from(&first), Err(Error::Continuation { what: "other features" })));
}

#[test]
fn cross_validation_answers_each_row_by_a_fit_without_it() {
    let (table, target) = mixed(60, 1);
    let learner = learner("random_forest", &json!({"n_estimators": 5}));
    let splits = crate::validation::folds(&target, None, 3, 9).unwrap();
    let cross_validate =
        |splits: &[TrainTest]| crate::validation::cross_validate(&learner, &table, &target, None, splits, 7).unwrap();
    let outputs = cross_validate(&splits);
    for TrainTest { train, test } in &splits {
        let estimator = fitted(&learner, &table.select(train), &target.select(train));
        assert_eq!(estimator.outputs(&table.select(test)).unwrap(), outputs.select(Axis(0), test));
    }
    let some = cross_validate(&splits[..1]);
    let answered = |row: &usize| some.row(*row).iter().all(|p| !p.is_nan());
    assert!((0..60).all(|row| answered(&row) == splits[0].test.contains(&row)));
    let twice = cross_validate(&[splits.as_slice(), splits.as_slice()].concat());
    assert!((twice - outputs).iter().all(|difference| difference.abs() < 1e-12));
}

#[test]
fn folds_keep_groups_together_and_are_none_where_there_is_one() {
    let target = Target::Values(Array1::zeros(6));
    let groups = [1, 1, 2, 2, 3, 3];
    let folds = |groups: Option<&[usize]>, count| crate::validation::folds(&target, groups, count, 0).unwrap();
    assert_eq!((folds(Some(&groups), 5).len(), folds(None, 5).len()), (3, 5));
    assert!(folds(Some(&groups), 5).iter().all(|fold| groups[fold.test[0]] == groups[fold.test[1]]));
    assert!(folds(Some(&[4; 6]), 5).is_empty());
}
