use super::*;

fn values(params: GradientBoostingParams, train: &Dataset<f64, f64, Ix1>, records: &Array2<f64>) -> Array1<f64> {
    Model::GradientBoosting(params.fit(train).unwrap()).predict_values(records.view()).unwrap()
}

/// Mean over three pairs of [`test_data::curve`] of a loss by target and prediction, with default parameters.
fn mean_loss(params: &GradientBoostingParams, loss: impl Fn(f64, f64) -> f64) -> f64 {
    let losses = [(1, 2), (3, 4), (5, 6)].map(|(train, test)| {
        let (train, test) = (test_data::curve(2_000, train), test_data::curve(2_000, test));
        let predicted = values(params.clone(), &train, &test.records);
        test.targets.iter().zip(&predicted).map(|(y, p)| loss(*y, *p)).sum::<f64>() / 2_000.0
    });
    losses.iter().sum::<f64>() / 3.0
}

/// scikit-learn 1.7.2, `HistGradientBoostingRegressor(early_stopping=False)` on the same rows: root mean squared errors of
/// 0.8302, 0.8661 and 0.8452; mean absolute errors of 0.7391, 0.7999 and 0.7144; mean pinball losses at 0.9 of 0.2387,
/// 0.2277 and 0.2252.
#[test]
fn it_learns_values_medians_and_quantiles_as_well_as_scikit_learn() {
    let squared = mean_loss(&GradientBoosting::params(), |y, p| (y - p).powi(2)).sqrt();
    assert!(squared < 0.8473 * 1.02, "{squared}");
    let absolute = GradientBoosting::params().loss(Some(Loss::AbsoluteError));
    let absolute = mean_loss(&absolute, |y, p| (y - p).abs());
    assert!(absolute < 0.7511 * 1.02, "{absolute}");
    let quantile = GradientBoosting::params().loss(Some(Loss::Quantile)).alpha(0.9);
    let pinball = mean_loss(&quantile, |y, p| if y > p { 0.9 * (y - p) } else { 0.1 * (p - y) });
    assert!(pinball < 0.2305 * 1.02, "{pinball}");
    let below = mean_loss(&quantile, |y, p| f64::from(u8::from(y <= p)));
    assert!((0.82..0.93).contains(&below), "{below}");
}

/// `HistGradientBoostingRegressor(max_iter=3, learning_rate=.5, max_leaf_nodes=3, min_samples_leaf=1)`, whose gradients are
/// single precision.
#[test]
fn three_rounds_are_scikit_learns() {
    let records = Array2::from_shape_fn((8, 1), |(row, _)| row as f64);
    let targets = array![1.0, 2.0, 1.0, 5.0, 6.0, 9.0, 4.0, 4.0];
    let params = eager().n_estimators(3).learning_rate(0.5).max_leaf_nodes(Some(3));
    let squared = [1.866_666_7, 1.866_666_7, 1.866_666_7, 4.533_333_3, 6.158_333_3, 7.708_333_3, 4.0, 4.0];
    let absolute = [1.5, 1.5, 1.5, 5.0, 6.375, 6.375, 4.125, 4.125];
    for (loss, expected) in [(Loss::SquaredError, squared), (Loss::AbsoluteError, absolute)] {
        let dataset = Dataset::new(records.clone(), targets.clone());
        let ours = values(params.clone().loss(Some(loss)), &dataset, &records);
        for (ours, theirs) in ours.iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-6, "{loss:?}: {ours} is not {theirs}");
        }
    }
}

#[test]
fn early_stopping_judges_values_too() {
    let dataset = test_data::curve(600, 6);
    let params = GradientBoosting::params().n_estimators(2_000).learning_rate(0.5).early_stopping(true);
    for loss in [Loss::SquaredError, Loss::AbsoluteError, Loss::Quantile] {
        let rounds = params.clone().loss(Some(loss)).fit(&dataset).unwrap().n_rounds();
        assert!((1..300).contains(&rounds), "{loss:?}: {rounds}");
    }
}

#[test]
fn constant_targets_are_answered_exactly() {
    let dataset = Dataset::new(array![[1.0], [2.0], [3.0]], array![0.25, 0.25, 0.25]);
    for loss in [Loss::SquaredError, Loss::AbsoluteError, Loss::Quantile] {
        assert_eq!(values(eager().loss(Some(loss)), &dataset, &array![[9.0]]), array![0.25]);
    }
}

#[test]
fn losses_of_the_other_task_are_refused() {
    let squared = GradientBoosting::params().loss(Some(Loss::SquaredError));
    assert!(matches!(squared.fit(&line(vec![0, 1])), Err(Error::Conflict { parameter: "loss", .. })));
    let log = GradientBoosting::params().loss(Some(Loss::LogLoss));
    assert!(matches!(log.fit(&test_data::curve(9, 1)), Err(Error::Conflict { parameter: "loss", .. })));
}

#[test]
fn the_largest_targets_and_weights_do_not_overflow() {
    let mut dataset = test_data::curve(100, 1);
    dataset.targets *= 1e58;
    let dataset = dataset.with_weights(Array1::from_elem(100, 9e29));
    let boosted = Model::GradientBoosting(eager().n_estimators(9).fit(&dataset).unwrap());
    let forest = Model::RandomForest(crate::forest::RandomForest::params().n_estimators(9).fit(&dataset).unwrap());
    for model in [boosted, forest] {
        let values = model.predict_values(dataset.records.view()).unwrap();
        let error = (&values - &dataset.targets).mapv(f64::abs).mean().unwrap();
        assert!(error < 5e58, "{error}");
        assert!(model.validate().is_ok());
    }
}
