use super::*;
use crate::ClassWeight;

/// Rows repeated as often as these weights say.
fn repeated<T: Clone>(records: &Array2<f64>, targets: &Array1<T>, weights: &[usize]) -> (Array2<f64>, Array1<T>) {
    let rows: Vec<usize> = weights.iter().enumerate().flat_map(|(row, &times)| vec![row; times]).collect();
    (records.select(Axis(0), &rows), targets.select(Axis(0), &rows))
}

fn close(a: impl IntoIterator<Item = f64>, b: impl IntoIterator<Item = f64>) -> bool {
    a.into_iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn a_weight_counts_like_repeated_rows() {
    let dataset = test_data::gappy(200, 3);
    let weights: Vec<usize> = (0..200).map(|row| row % 4).collect();
    let (records, targets) = repeated(&dataset.records, &dataset.targets, &weights);
    let weights = Array1::from_iter(weights.iter().map(|&weight| weight as f32));
    let params = eager().n_estimators(5).max_leaf_nodes(Some(4));
    let weighted = fit(params.clone(), &dataset.clone().with_weights(weights.clone()));
    let copied = fit(params.clone(), &Dataset::new(records, targets));
    let (weighted, copied) = (proba(&weighted, &dataset.records), proba(&copied, &dataset.records));
    assert!(close(weighted, copied));

    let dataset = test_data::curve(200, 1);
    let (records, targets) =
        repeated(&dataset.records, &dataset.targets, &weights.mapv(|weight| weight as usize).to_vec());
    let (weighted, copied) = (dataset.clone().with_weights(weights), Dataset::new(records, targets));
    for loss in [Loss::SquaredError, Loss::AbsoluteError, Loss::Quantile] {
        let values = |data: &Dataset<f64, f64, Ix1>| {
            let model = Model::GradientBoosting(params.clone().loss(Some(loss)).fit(data).unwrap());
            model.predict_values(dataset.records.view()).unwrap()
        };
        assert!(close(values(&weighted), values(&copied)), "{loss:?}");
    }
}

/// `HistGradientBoostingClassifier(max_iter=3, learning_rate=.5, max_leaf_nodes=3, min_samples_leaf=1)`, whose gradients are
/// single precision, with sample weights and with balanced classes.
#[test]
fn weights_weigh_as_in_scikit_learn() {
    let dataset = line(vec![0, 0, 1, 1, 0, 1, 1, 1]);
    let weighted = dataset.clone().with_weights(array![1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 2.5]);
    let params = eager().n_estimators(3).learning_rate(0.5).max_leaf_nodes(Some(3));
    let ours = proba(&fit(params.clone(), &weighted), &dataset.records);
    let (a, b, c, d) = (0.180_685_59, 0.857_355_02, 0.277_432_06, 0.906_270_97);
    assert!(close(ours.column(1).to_vec(), [a, a, b, b, c, d, d, d]), "{ours}");
    let ours = proba(&fit(params.class_weight(Some(ClassWeight::Balanced)), &dataset), &dataset.records);
    let (a, b, c, d) = (0.156_375_36, 0.739_996_58, 0.274_595_48, 0.839_958_69);
    assert!(close(ours.column(1).to_vec(), [a, a, b, b, c, d, d, d]), "{ours}");
}

#[test]
fn subsamples_carry_their_weights() {
    // The feature says nothing: what is answered is the share of the weight, not of the rows.
    let targets = Array1::from_shape_fn(400, |row| row / 2 % 2);
    let weights = targets.mapv(|target| if target == 1 { 3.0 } else { 1.0 });
    let records = Array2::from_shape_fn((400, 1), |(row, _)| (row % 2) as f64);
    let dataset = Dataset::new(records, targets).with_weights(weights);
    let model = fit(GradientBoosting::params().n_estimators(20).subsample(0.5), &dataset);
    assert!(proba(&model, &dataset.records).column(1).iter().all(|p| (p - 0.75).abs() < 0.1));
}
