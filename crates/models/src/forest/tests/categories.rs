use super::*;

fn stump() -> RandomForestParams {
    RandomForest::params().n_estimators(1).bootstrap(false).max_depth(Some(1)).categorical_features(vec![0])
}

/// Sixty random codes of six categories, forty apart.
fn codes(uniform: &mut test_data::Uniform) -> Vec<usize> {
    (0..60).map(|_| (uniform.next().unwrap() * 6.0) as usize).collect()
}

#[test]
fn the_best_subset_of_all_is_found_for_two_classes_and_for_values() {
    for seed in 0..20 {
        let mut uniform = test_data::Uniform(seed);
        let codes = codes(&mut uniform);
        let values: Vec<f64> = uniform.by_ref().take(60).collect();
        let labels: Vec<usize> = values.iter().map(|value| usize::from(*value > 0.6)).collect();
        let records = Array2::from_shape_fn((60, 1), |(row, _)| (codes[row] * 40) as f64);
        // The Gini impurity of two classes is twice their variance as numbers 0 and 1, so one search serves both.
        let best = |targets: &[f64]| {
            let residual = |members: u32| {
                let side = |inside: bool| {
                    let of = codes.iter().zip(targets).filter(|(code, _)| (members >> **code & 1 == 1) == inside);
                    let values: Vec<f64> = of.map(|(_, target)| *target).collect();
                    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
                    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
                };
                side(true) + side(false)
            };
            (0..64).map(residual).fold(f64::INFINITY, f64::min)
        };
        let squares =
            |ours: Array1<f64>, targets: &[f64]| ours.iter().zip(targets).map(|(p, y)| (p - y).powi(2)).sum::<f64>();
        let dataset = Dataset::new(records.clone(), Array1::from(values.clone()));
        let model = Model::RandomForest(stump().fit(&dataset).unwrap());
        let ours = squares(model.predict_values(records.view()).unwrap(), &values);
        assert!((ours - best(&values)).abs() < 1e-9);
        let numbers: Vec<f64> = labels.iter().map(|&label| label as f64).collect();
        let model = Model::RandomForest(
            stump().n_classes(2).fit(&Dataset::new(records.clone(), Array1::from(labels))).unwrap(),
        );
        let ours = squares(model.predict_proba(records.view()).unwrap().column(1).to_owned(), &numbers);
        assert!((ours - best(&numbers)).abs() < 1e-9);
    }
}

#[test]
fn categories_without_order_are_told_apart_in_one_split() {
    let records = array![[0.0], [1.0], [2.0], [3.0], [255.0]];
    let targets = array![0, 1, 0, 1, 1];
    let model = fit(stump(), &Dataset::new(records.clone(), targets.clone()));
    assert_eq!(model.predict(&records), targets);
    assert_eq!(model.trees()[0].n_splits(), 1);
}

#[test]
fn three_classes_and_weights_are_split_on_categories_too() {
    let codes = Array2::from_shape_fn((90, 1), |(row, _)| (row % 9) as f64);
    let targets = Array1::from_shape_fn(90, |row| row % 9 * 7 % 3);
    let dataset = Dataset::new(codes.clone(), targets.clone());
    let params = stump().max_depth(None);
    assert_eq!(fit(params.clone(), &dataset).predict(&codes), targets);
    let weighted = dataset.with_weights(Array1::from_shape_fn(90, |row| 1.0 + (row % 4) as f32));
    assert_eq!(fit(params, &weighted).predict(&codes), targets);
}

#[test]
fn unseen_categories_go_where_missing_values_go() {
    let nan = f64::NAN;
    let records = array![[0.0], [1.0], [2.0], [3.0], [nan], [nan], [-1.0]];
    for targets in [array![0, 1, 0, 1, 1, 1, 1], array![0, 1, 0, 1, 0, 0, 0], array![0, 0, 0, 0, 1, 1, 1]] {
        let model = fit(stump(), &Dataset::new(records.clone(), targets.clone()));
        assert_eq!(model.predict(&records), targets);
        let unseen = array![[nan], [4.0], [255.0], [-7.0], [256.0], [1.5], [f64::INFINITY]];
        assert_eq!(model.predict(&unseen), Array1::from_elem(7, targets[4]));
    }
}

#[test]
fn values_that_are_no_codes_are_refused() {
    let dataset = Dataset::new(array![[0.5], [1.0]], array![0, 1]);
    assert!(matches!(stump().fit(&dataset), Err(Error::Category { row: 0, feature: 0, .. })));
}
