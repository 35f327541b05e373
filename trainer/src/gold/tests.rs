use driftmill_schemas::pipeline::{Metric, Split};
use polars::prelude::{Column, DataFrame};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::fit::{self, fit, learnable};

const ROWS: i64 = 400;

fn pipeline() -> Pipeline {
    serde_json::from_value(json!({
        "version": 1, "name": "p", "schema": "s", "features": [{"name": "x"}],
        "label": {"field": "y", "classes": ["0", "1"]},
        "training": {"algorithm": "logistic_regression"},
    }))
    .unwrap()
}

/// Rows whose class follows from their one feature.
fn frame() -> DataFrame {
    let offsets: Vec<i64> = (0..ROWS).collect();
    let x: Vec<f64> = offsets.iter().map(|i| (i * 389 % 1_000) as f64).collect();
    let labels: Vec<&str> = x.iter().map(|x| if *x > 500.0 { "1" } else { "0" }).collect();
    let entities: Vec<String> = offsets.iter().map(|i| format!("e{}", i / 4)).collect();
    let times: Vec<i64> = offsets.iter().map(|i| 1_000 + i).collect();
    let columns = vec![
        Column::new("_partition".into(), vec![0_i64; offsets.len()]),
        Column::new("_offset".into(), offsets),
        Column::new("event_time".into(), times),
        Column::new("label".into(), labels),
        Column::new("entity".into(), entities),
        Column::new("x".into(), x),
    ];
    DataFrame::new_infer_height(columns).unwrap()
}

fn card(pipeline: &Pipeline, imported: bool) -> ModelCard {
    serde_json::from_value(json!({
        "format": 1, "pipeline": "p", "features": pipeline.features, "schema": "{}", "classes": ["0", "1"],
        "algorithm": "constant", "seed": pipeline.training.seed, "snapshot": "h", "code_version": "0", "imported": imported,
    }))
    .unwrap()
}

fn version(rows_test: f64) -> ModelVersion {
    ModelVersion {
        pipeline: "p".to_owned(),
        version: 1,
        run_id: Uuid::nil(),
        created_at: 0,
        algorithm: "constant".to_owned(),
        artifact: String::new(),
        reference: String::new(),
        snapshot: "h".to_owned(),
        rows: 400,
        metrics: [("rows_test".to_owned(), rows_test)].into(),
        gates: Vec::new(),
    }
}

fn set(pipeline: &Pipeline) -> GoldSet {
    GoldSet {
        pipeline: "p".to_owned(),
        sequence: 1,
        at: 0,
        snapshot: "0123456789abcdef".to_owned(),
        rows: 80,
        features: features_hash(&pipeline.features),
        who: "a test".to_owned(),
        reason: String::new(),
    }
}

/// The rows that judged a version, as a gold set.
fn gold(pipeline: &Pipeline) -> Gold {
    let (mut part, count) = judges(&frame(), pipeline, &version(80.0), &card(pipeline, false)).unwrap();
    assert_eq!(count, 80);
    Gold::read(pipeline, &set(pipeline), snapshot::parquet(&mut part).unwrap())
}

fn all(pipeline: &Pipeline) -> Rows {
    Rows::of_frame(&frame(), pipeline).unwrap()
}

#[test]
fn the_rows_that_judged_a_version_are_its_test_rows_and_all_rows_of_an_imported_one() {
    let pipeline = pipeline();
    let rows = all(&pipeline);
    let test = split::split(&rows, &pipeline.training.split, pipeline.training.seed).test;
    assert_eq!(gold(&pipeline).rows.unwrap().positions, rows.select(&test).positions);
    let (part, count) = judges(&frame(), &pipeline, &version(400.0), &card(&pipeline, true)).unwrap();
    assert_eq!((part.height(), count), (400, 400));
}

#[test]
fn a_file_that_splits_otherwise_now_is_told_so() {
    let mut pipeline = pipeline();
    pipeline.training.split.test = 0.3;
    let error = judges(&frame(), &pipeline, &version(80.0), &card(&pipeline, false)).unwrap_err().to_string();
    assert!(error.contains("judged by 80 rows") && error.contains("120") && error.contains("of a file"), "{error}");
}

#[test]
fn gold_rows_are_learned_by_nobody_however_the_file_splits_and_refits() {
    let mut pipeline = pipeline();
    let held = gold(&pipeline).held;
    let rows = all(&pipeline);
    let frozen = |rows: &Rows| (0..rows.len()).filter(|&row| held.holds(rows, row)).count();
    assert_eq!(frozen(&rows), 80);
    for by in [SplitBy::Row, SplitBy::Time, SplitBy::Entity] {
        pipeline.training.split = Split { by, stratified: false, ..Split::default() };
        pipeline.training.refit = true;
        let learned = rows.select(&learnable(&rows, &pipeline, &held));
        assert_eq!(frozen(&learned), 0, "{by:?}");
        let fitted =
            fit(&rows, &pipeline, &serde_json::Map::new(), None, &held, &mut |_| std::ops::ControlFlow::Continue(()));
        assert_eq!(frozen(&fitted.unwrap().train), 0, "{by:?}");
    }
    // Of things whose rows resemble each other, no other row is learned either.
    let held = Held::of(&rows.select(&[0]), SplitBy::Entity, "h");
    assert!((0..4).all(|row| held.holds(&rows, row)) && !held.holds(&rows, 4));
    // Of two files without times of their own, records have the same places and times.
    let mut other = rows.select(&[0]);
    other.entities = vec![None];
    other.table = driftmill_models::Table::new(1, vec![driftmill_models::Column::Number(vec![-7.0])]).unwrap();
    assert!(!held.holds(&other, 0));
    // A place in another file is another row: its time is another one.
    let mut elsewhere = rows.select(&[0]);
    elsewhere.entities = vec![None];
    elsewhere.times = vec![5];
    assert!(!held.holds(&elsewhere, 0));
}

#[test]
fn what_may_be_frozen_is_not_learned_by_the_second_fit_either() {
    let mut pipeline = pipeline();
    pipeline.training.refit = true;
    pipeline.promotion.gold = Some(Declared::First);
    let held = Gold::held(None, &pipeline);
    assert!(held.judges);
    let rows = all(&pipeline);
    let refit = |held: &Held| {
        let none = serde_json::Map::new();
        let fitted = fit(&rows, &pipeline, &none, None, held, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
        (fitted.model == fitted.judged.unwrap(), fitted.test.len())
    };
    // Without validation rows there is nothing more to learn from than before.
    assert_eq!((refit(&held), refit(&Held::default())), ((true, 80), (false, 80)));
}

#[test]
fn a_set_that_does_not_fit_any_more_says_what_to_do_and_is_held_all_the_same() {
    let before = pipeline();
    let (mut part, _) = judges(&frame(), &before, &version(80.0), &card(&before, false)).unwrap();
    let bytes = snapshot::parquet(&mut part).unwrap();
    let mut other_sql = pipeline();
    other_sql.features[0].sql = Some("2 * x".to_owned());
    let mut other_classes = pipeline();
    other_classes.label.classes = vec!["a".to_owned(), "b".to_owned()];
    let mut set_of_two = set(&before);
    let mut two = pipeline();
    two.features.push(Feature { name: "z".to_owned(), ..Feature::default() });
    set_of_two.features = features_hash(&two.features);
    for (pipeline, set, why, held) in [
        (&other_sql, set(&before), "computed otherwise", 80),
        (&two, set_of_two, "columns do not fit", 80),
        (&other_classes, set(&before), "no row of it has a label", 0),
    ] {
        let gold = Gold::read(pipeline, &set, bytes.clone());
        let told = gold.rows.unwrap_err();
        assert!(told.contains(why) && told.contains("driftmill models gold p --from FILE"), "{told}");
        assert_eq!(gold.held.rows.len(), held);
    }
    let damaged = Gold::read(&before, &set(&before), Bytes::from_static(b"no parquet"));
    assert!(damaged.rows.unwrap_err().contains("cannot be read"));
}

#[test]
fn values_have_gold_sets_and_forecasts_have_none() {
    let mut values = pipeline();
    values.label.classes.clear();
    values.promotion.metric = Metric::Rmse;
    let (mut part, _) = judges(&frame(), &values, &version(80.0), &card(&values, false)).unwrap();
    let gold = Gold::read(&values, &set(&values), snapshot::parquet(&mut part).unwrap());
    assert!(matches!(gold.rows.unwrap().target, driftmill_models::Target::Values(_)));
    values.training.algorithm = FORECAST.to_owned();
    assert!(refuse_forecasts(&values).unwrap_err().to_string().contains("no gold set"));
    assert!(fit::learner(&pipeline(), &serde_json::Map::new()).is_ok());
}
