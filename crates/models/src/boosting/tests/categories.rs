use super::*;

fn values(params: GradientBoostingParams, train: &Dataset<f64, f64, Ix1>, records: &Array2<f64>) -> Array1<f64> {
    Model::GradientBoosting(params.fit(train).unwrap()).predict_values(records.view()).unwrap()
}

/// scikit-learn 1.7.2, `HistGradientBoostingRegressor(early_stopping=False, categorical_features=[2])` on the same rows: root
/// mean squared errors of 0.7464, 0.7589 and 0.7767; without the declaration 0.8302, 0.8661 and 0.8452.
#[test]
fn categories_are_learnt_as_well_as_by_scikit_learn() {
    let params = GradientBoosting::params().categorical_features(vec![2]);
    let errors = [(1, 2), (3, 4), (5, 6)].map(|(train, test)| {
        let (train, test) = (test_data::curve(2_000, train), test_data::curve(2_000, test));
        let predicted = values(params.clone(), &train, &test.records);
        (predicted - &test.targets).mapv(|error| error * error).mean().unwrap().sqrt()
    });
    let mean = errors.iter().sum::<f64>() / 3.0;
    assert!(mean < 0.7607 * 1.02, "{mean}");
}

#[test]
fn the_best_subset_of_all_is_found() {
    for seed in 0..20 {
        let mut uniform = test_data::Uniform(seed);
        let codes: Vec<usize> = (0..60).map(|_| (uniform.next().unwrap() * 6.0) as usize).collect();
        let targets: Vec<f64> = uniform.by_ref().take(60).collect();
        let residual = |members: u32| {
            let side = |inside: bool| {
                let of = codes.iter().zip(&targets).filter(|(code, _)| (members >> **code & 1 == 1) == inside);
                let values: Vec<f64> = of.map(|(_, target)| *target).collect();
                let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
                values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
            };
            side(true) + side(false)
        };
        let best = (0..64).map(residual).fold(f64::INFINITY, f64::min);
        let records = Array2::from_shape_fn((60, 1), |(row, _)| (codes[row] * 40) as f64);
        let dataset = Dataset::new(records.clone(), Array1::from(targets.clone()));
        let params = eager().n_estimators(1).learning_rate(1.0).max_leaf_nodes(Some(2)).cat_smooth(0.0);
        let predicted = values(params.categorical_features(vec![0]), &dataset, &records);
        let ours: f64 = predicted.iter().zip(&targets).map(|(p, y)| (p - y).powi(2)).sum();
        assert!((ours - best).abs() < 1e-9, "seed {seed}: {ours} is not {best}");
    }
}

#[test]
fn unseen_categories_go_where_missing_values_go() {
    let nan = f64::NAN;
    let records = array![[0.0], [1.0], [2.0], [3.0], [nan], [nan], [-1.0]];
    let params = || eager().categorical_features(vec![0]).n_estimators(20);
    for targets in [array![0, 1, 0, 1, 1, 1, 1], array![0, 1, 0, 1, 0, 0, 0], array![0, 0, 0, 0, 1, 1, 1]] {
        let model = fit(params(), &Dataset::new(records.clone(), targets.clone()));
        assert_eq!(model.predict(&records), targets);
        let unseen = array![[nan], [4.0], [255.0], [-7.0], [256.0], [1.5], [f64::INFINITY]];
        let proba = proba(&model, &unseen);
        assert!(proba.rows().into_iter().all(|row| row == proba.row(0)));
    }
    // None missing when trained: with most rows.
    let dataset = Dataset::new(array![[0.0], [1.0], [2.0], [3.0]], array![1, 0, 1, 1]);
    assert_eq!(fit(params(), &dataset).predict(&array![[nan], [9.0]]), array![1, 1]);
}

#[test]
fn values_that_are_no_codes_are_refused() {
    let dataset = Dataset::new(array![[0.0, 1.0], [1.0, 256.0]], array![0, 1]);
    let fit = |features| eager().categorical_features(features).fit(&dataset).unwrap_err();
    assert!(matches!(fit(vec![0, 1]), Error::Category { row: 1, feature: 1, value: 256.0 }));
    assert!(matches!(fit(vec![2]), Error::FeatureIndex { feature: 2, n_features: 2, .. }));
}
