use super::*;

/// Noisy values of three features, some missing, whose true slope is now up, now down.
fn waves(seed: u64) -> Dataset<f64, f64, Ix1> {
    let mut uniform = test_data::Uniform(seed);
    let mut draw = || uniform.next().unwrap();
    let mut records = Array2::from_shape_fn((400, 3), |_| draw());
    let noise = Array1::from_shape_fn(400, |_| draw());
    let wave = |(row, noise): (ndarray::ArrayView1<'_, f64>, &f64)| {
        (9.0 * row[0]).sin() + row[0] * row[1] * 3.0 - row[1] + (7.0 * row[2]).cos() + noise
    };
    let targets = records.rows().into_iter().zip(&noise).map(wave).collect();
    records.column_mut(0).iter_mut().step_by(17).for_each(|value| *value = f64::NAN);
    Dataset::new(records, targets)
}

/// The largest step against a constraint, over many rows and a grid of one feature's values.
fn worst(model: &Model, feature: usize, constraint: f64, output: impl Fn(&Model, &[f64]) -> f64) -> f64 {
    let mut uniform = test_data::Uniform(99);
    let mut worst = 0.0_f64;
    for _ in 0..100 {
        let mut row: Vec<f64> = uniform.by_ref().take(3).collect();
        let along: Vec<f64> = (0..=200)
            .map(|step| {
                row[feature] = f64::from(step) / 200.0;
                output(model, &row)
            })
            .collect();
        worst = along.windows(2).map(|pair| (pair[0] - pair[1]) * constraint).fold(worst, f64::max);
    }
    worst
}

#[test]
fn predictions_are_monotonic_whatever_the_data() {
    for seed in 0..6 {
        let params =
            GradientBoosting::params().n_estimators(40).min_samples_leaf(3).monotonic_cst(vec![1, -1]).seed(seed);
        let params = if seed % 2 == 0 { params } else { params.max_leaf_nodes(None).max_depth(Some(6)).subsample(0.7) };
        let dataset = waves(seed);
        let values = |model: &Model, row: &[f64]| model.predict_value(row).unwrap();
        let model = Model::GradientBoosting(params.fit(&dataset).unwrap());
        assert!(worst(&model, 0, 1.0, values) <= 0.0 && worst(&model, 1, -1.0, values) <= 0.0);
        assert!(worst(&model, 2, 1.0, values) > 0.1, "a free feature stays free");

        let labels = dataset.targets.mapv(|value| usize::from(value > 0.5));
        let model = Model::GradientBoosting(fit(params, &Dataset::new(dataset.records, labels)));
        let positive = |model: &Model, row: &[f64]| {
            let mut out = [0.0; 2];
            model.predict_proba_into(row, &mut out).unwrap();
            out[1]
        };
        assert!(worst(&model, 0, 1.0, positive) <= 0.0 && worst(&model, 1, -1.0, positive) <= 0.0);
    }
}

/// `HistGradientBoostingRegressor(max_iter=3, learning_rate=.5, max_leaf_nodes=3, min_samples_leaf=1, monotonic_cst=[1])`.
#[test]
fn bounded_steps_are_scikit_learns() {
    let records = Array2::from_shape_fn((8, 1), |(row, _)| row as f64);
    let dataset = Dataset::new(records.clone(), array![1.0, 2.0, 1.0, 5.0, 6.0, 9.0, 4.0, 4.0]);
    let params = eager().n_estimators(3).learning_rate(0.5).max_leaf_nodes(Some(3)).monotonic_cst(vec![1]);
    let model = Model::GradientBoosting(params.fit(&dataset).unwrap());
    let expected = [1.5, 1.75, 1.75, 4.95, 5.5125, 5.5125, 5.5125, 5.5125];
    let ours = model.predict_values(records.view()).unwrap();
    assert!(ours.iter().zip(expected).all(|(ours, theirs)| (ours - theirs).abs() < 1e-6), "{ours}");
}

#[test]
fn constraints_that_cannot_be_kept_are_refused() {
    let params = || GradientBoosting::params().monotonic_cst(vec![0, 1]);
    let conflict = |error: Error| matches!(error, Error::Conflict { parameter: "monotonic_cst", .. });
    assert!(conflict(params().fit(&test_data::gappy(60, 3)).unwrap_err()));
    let codes = Dataset::new(array![[0.0, 1.0], [1.0, 0.0]], array![0, 1]);
    assert!(conflict(params().categorical_features(vec![1]).fit(&codes).unwrap_err()));
    assert!(conflict(params().loss(Some(Loss::Quantile)).fit(&waves(1)).unwrap_err()));
    let beyond = GradientBoosting::params().monotonic_cst(vec![0, 0, 0, -1]).fit(&waves(1));
    assert!(matches!(beyond, Err(Error::FeatureIndex { feature: 3, n_features: 3, .. })));
}
