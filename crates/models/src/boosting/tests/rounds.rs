use std::ops::ControlFlow;

use serde_json::json;

use super::*;
use crate::artifact;

fn bytes(model: GradientBoosting) -> Vec<u8> {
    artifact::encode(&Model::GradientBoosting(model).into(), &json!({})).unwrap()
}

#[test]
fn a_continued_fit_gives_the_bytes_of_one_long_fit() {
    let params = |rounds| eager().n_estimators(rounds).max_leaf_nodes(Some(8)).subsample(0.7).seed(5);
    let dataset = test_data::gappy(200, 3).with_weights(Array1::from_shape_fn(200, |row| 0.3 + (row % 3) as f32));
    let first = fit(params(4), &dataset);
    assert_eq!(bytes(fit(params(6).continue_from(first), &dataset)), bytes(fit(params(10), &dataset)));
    for (loss, subsample) in [(Loss::SquaredError, 1.0), (Loss::AbsoluteError, 0.5), (Loss::Quantile, 1.0)] {
        let dataset = test_data::curve(200, 1);
        let params = |rounds| params(rounds).loss(Some(loss)).subsample(subsample).categorical_features(vec![2]);
        let first = params(3).fit(&dataset).unwrap();
        let continued = params(4).continue_from(first).fit(&dataset).unwrap();
        assert_eq!(bytes(continued), bytes(params(7).fit(&dataset).unwrap()));
    }
}

#[test]
fn a_model_of_other_data_is_not_continued() {
    let model = fit(eager().n_estimators(2), &test_data::gappy(60, 2));
    let continued = eager().continue_from(model);
    assert!(matches!(continued.fit(&test_data::interactions(60, 1)), Err(Error::Continuation { .. })));
    assert!(matches!(continued.fit(&test_data::gappy(60, 3)), Err(Error::Continuation { .. })));
    let values = Dataset::new(Array2::zeros((3, 4)), array![0.0, 1.0, 2.0]);
    assert!(matches!(continued.fit(&values), Err(Error::Continuation { .. })));
}

#[test]
fn the_trace_tells_every_round() {
    let dataset = test_data::interactions(600, 6);
    let params = GradientBoosting::params().n_estimators(30).learning_rate(0.3).seed(3);
    let (model, trace) = params.fit_traced(&dataset).unwrap();
    assert_eq!(model, fit(params.clone(), &dataset), "watching changes nothing");
    assert_eq!(trace.iter().map(|round| round.round).collect::<Vec<_>>(), (1..=30).collect::<Vec<_>>());
    assert!(trace.windows(2).all(|pair| pair[1].train_loss < pair[0].train_loss && pair[0].validation_loss.is_none()));
    let truth = dataset.targets.as_slice().unwrap();
    let log_loss = metrics::log_loss(truth, proba(&model, &dataset.records).view()).unwrap();
    assert!((trace[29].train_loss - log_loss).abs() < 1e-9);

    let (stopped, trace) = params.n_estimators(500).early_stopping(true).fit_traced(&dataset).unwrap();
    let loss = |round: usize| trace[round - 1].validation_loss.unwrap();
    assert!(trace.len() > stopped.n_rounds());
    assert!((1..=trace.len()).all(|round| loss(round) >= loss(stopped.n_rounds()) - 1e-7));
}

#[test]
fn an_observer_can_end_the_fit() {
    let dataset = test_data::curve(200, 1);
    let mut seen = 0;
    let mut observe = |round: &Round| {
        seen = round.round;
        if round.round == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let model = eager().fit_observed(&dataset, &mut observe).unwrap();
    assert_eq!((model.n_rounds(), seen), (4, 4));
    assert_eq!(model, eager().n_estimators(4).fit(&dataset).unwrap());
    let continued = eager().n_estimators(2).continue_from(model).fit_traced(&dataset).unwrap();
    assert_eq!(continued.1.iter().map(|round| round.round).collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn the_largest_group_teaches_and_a_class_of_one_group_is_not_taken_away() {
    // One group of 900 rows and ten of ten: whatever the seed, most rows are learned from.
    let dataset = test_data::interactions(1_000, 3);
    let groups: Vec<usize> = (0..1_000_usize).map(|row| row.saturating_sub(890) / 10).collect();
    let stopped = eager().early_stopping(true).n_estimators(12);
    for seed in 0..5 {
        let model = fit(stopped.clone().seed(seed).groups(Some(&groups)), &dataset);
        assert!(model.n_rounds() > 3, "seed {seed}: {} rounds", model.n_rounds());
        let learned: f64 = model.trees()[0].leaves().map(|(cover, _)| cover).sum();
        assert!(learned >= 890.0, "seed {seed}: {learned} rows");
    }
    // Three classes of a group each: nothing can be held out, and all rounds are kept.
    let labels = Array1::from_iter((0..300).map(|row| row / 100));
    let records =
        Array2::from_shape_fn((300, 2), |(row, column)| (row / 100) as f64 + ((row * 7 + column) % 10) as f64 / 10.0);
    let groups: Vec<usize> = labels.to_vec();
    let model = fit(stopped.groups(Some(&groups)).n_classes(3), &Dataset::new(records, labels));
    assert_eq!(model.n_rounds(), 12);
}

/// Rows of a group are copies with one label; a hold-out of single rows finds copies of all it holds out in training.
#[test]
fn early_stopping_holds_out_whole_groups() {
    let groups: Vec<usize> = (0..600).map(|row| row / 10).collect();
    let of_groups = test_data::interactions(60, 5).records;
    let records = Array2::from_shape_fn((600, of_groups.ncols()), |(row, column)| of_groups[(groups[row], column)]);
    let noise = |group: usize| group * 7919 % 13 % 2;
    let dataset = Dataset::new(records, Array1::from_iter(groups.iter().map(|&group| noise(group))));
    let params = eager().early_stopping(true).learning_rate(0.3);
    let by_row = fit(params.clone(), &dataset).n_rounds();
    let by_group = fit(params.clone().groups(Some(&groups)), &dataset).n_rounds();
    assert!(by_group <= 5 && by_row >= 20, "{by_group} rounds by group, {by_row} by row");
    // One group leaves nothing to hold out: all rounds are kept.
    let one = fit(params.clone().n_estimators(7).groups(Some(&[3; 600])), &dataset);
    assert_eq!(one.n_rounds(), 7);
    let short = params.groups(Some(&[1, 2])).fit(&dataset).unwrap_err().to_string();
    assert!(short.contains("600"), "{short}");
}

#[test]
fn groups_are_those_of_the_rows_that_weigh_something() {
    let dataset = test_data::interactions(400, 5);
    let (weightless, groups) = (|row: usize| row % 4 == 1, |row: usize| row / 8);
    let weights = Array1::from_shape_fn(400, |row| if weightless(row) { 0.0 } else { 1.0 });
    let kept: Vec<usize> = (0..400).filter(|&row| !weightless(row)).collect();
    let without = Dataset::new(dataset.records.select(Axis(0), &kept), dataset.targets.select(Axis(0), &kept));
    let of = |rows: &mut dyn Iterator<Item = usize>| rows.map(groups).collect::<Vec<_>>();
    let params = eager().early_stopping(true).n_estimators(20);
    let all = params.clone().groups(Some(&of(&mut (0..400)))).fit(&dataset.with_weights(weights)).unwrap();
    assert_eq!(all, params.groups(Some(&of(&mut kept.into_iter()))).fit(&without).unwrap());
}
