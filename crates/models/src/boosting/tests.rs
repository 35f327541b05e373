mod categories;
mod constraints;
mod regression;
mod rounds;
mod weights;

use linfa::Dataset;
use linfa::traits::Predict;
use ndarray::{Array1, Array2, Axis, Ix1, array};

use super::*;
use crate::{Model, metrics, test_data};

fn fit(params: GradientBoostingParams, dataset: &Dataset<f64, usize, Ix1>) -> GradientBoosting {
    params.fit(dataset).unwrap()
}

fn proba(model: &GradientBoosting, records: &Array2<f64>) -> Array2<f64> {
    Model::GradientBoosting(model.clone()).predict_proba(records.view()).unwrap()
}

/// For data without a meaning: every split that helps is made.
fn eager() -> GradientBoostingParams {
    GradientBoosting::params().min_samples_leaf(1)
}

/// One feature 0, 1, 2, … and these labels.
fn line(targets: Vec<usize>) -> Dataset<f64, usize, Ix1> {
    Dataset::new(Array2::from_shape_fn((targets.len(), 1), |(row, _)| row as f64), Array1::from(targets))
}

/// Five pairs of training and test sets, as seeds of [`test_data::interactions`].
const PAIRS: [(u64, u64); 5] = [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)];

/// Mean over [`PAIRS`] of a score of the probabilities for the test set, after fitting with default parameters.
fn mean_score(relabel: impl Fn(&mut Dataset<f64, usize, Ix1>), score: impl Fn(&[usize], &Array2<f64>) -> f64) -> f64 {
    let scores = PAIRS.map(|(train, test)| {
        let (mut train, mut test) = (test_data::interactions(2_000, train), test_data::interactions(2_000, test));
        relabel(&mut train);
        relabel(&mut test);
        let proba = proba(&fit(GradientBoosting::params(), &train), &test.records);
        score(test.targets.as_slice().unwrap(), &proba)
    });
    scores.iter().sum::<f64>() / scores.len() as f64
}

/// scikit-learn 1.9.1, `HistGradientBoostingClassifier(early_stopping=False)` on the same rows: 0.9230, 0.9138, 0.9332, 0.9220 and
/// 0.9255.
#[test]
fn it_learns_interactions_as_well_as_scikit_learn() {
    let auc = |truth: &[usize], proba: &Array2<f64>| metrics::roc_auc(truth, 1, &proba.column(1).to_vec()).unwrap();
    let mean = mean_score(|_| (), auc);
    assert!((mean - 0.9235).abs() < 0.01, "{mean}");
}

/// The same with a third class by the seventh feature, log loss: 0.4168, 0.4566, 0.4074, 0.4223 and 0.4480.
#[test]
fn it_learns_three_classes_as_well_as_scikit_learn() {
    let relabel = |dataset: &mut Dataset<f64, usize, Ix1>| {
        for (target, row) in dataset.targets.iter_mut().zip(dataset.records.rows()) {
            *target += usize::from(row[6] > 0.5);
        }
    };
    let mean = mean_score(relabel, |truth, proba| metrics::log_loss(truth, proba.view()).unwrap());
    assert!((mean - 0.4302).abs() < 0.01, "{mean}");
}

/// `HistGradientBoostingClassifier(max_iter=1, learning_rate=1, max_leaf_nodes=4, min_samples_leaf=1)`, whose gradients
/// are single precision.
#[test]
fn a_single_newton_step_is_scikit_learns() {
    let dataset = line(vec![0, 0, 1, 1, 0, 1, 1, 1]);
    let params = eager().n_estimators(1).learning_rate(1.0).max_leaf_nodes(Some(4));
    let proba = proba(&fit(params, &dataset), &dataset.records);
    let (low, high) = (0.103_786_66, 0.891_950_93);
    for (ours, theirs) in proba.column(1).iter().zip([low, low, high, high, low, high, high, high]) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} is not {theirs}");
    }
}

/// `HistGradientBoostingClassifier(max_iter=3, learning_rate=.5, max_leaf_nodes=3, min_samples_leaf=1, l2_regularization=.5)`.
#[test]
fn three_softmax_rounds_with_regularisation_are_scikit_learns() {
    let dataset = line(vec![0, 0, 1, 1, 2, 1, 2, 2, 0]);
    let params = eager().n_estimators(3).learning_rate(0.5).max_leaf_nodes(Some(3)).l2_regularization(0.5);
    let proba = proba(&fit(params, &dataset), &dataset.records);
    let expected = array![
        [0.827_456_15, 0.103_075_98, 0.069_467_87],
        [0.827_456_15, 0.103_075_98, 0.069_467_87],
        [0.100_677_89, 0.783_998_80, 0.115_323_31],
        [0.100_677_89, 0.783_998_80, 0.115_323_31],
        [0.047_676_79, 0.371_268_64, 0.581_054_57],
        [0.047_168_84, 0.573_382_10, 0.379_449_06],
        [0.097_068_30, 0.122_067_15, 0.780_864_55],
        [0.097_068_30, 0.122_067_15, 0.780_864_55],
        [0.735_798_87, 0.098_776_60, 0.165_424_53],
    ];
    assert!((proba - &expected).iter().all(|difference| difference.abs() < 1e-6));
}

#[test]
fn missing_values_carry_information() {
    let nan = f64::NAN;
    for (targets, missing) in
        [(array![0, 0, 0, 0, 1, 1], 1), (array![0, 0, 1, 1, 0, 0], 0), (array![0, 0, 1, 1, 1, 1], 1)]
    {
        let dataset = Dataset::new(array![[1.0], [2.0], [3.0], [4.0], [nan], [nan]], targets);
        let model = fit(eager(), &dataset);
        assert_eq!(model.predict(&dataset.records), dataset.targets);
        assert_eq!(model.predict(&array![[nan]]), array![missing]);
    }
}

#[test]
fn limits_of_depth_leaves_and_weight_hold() {
    let dataset = test_data::interactions(500, 5);
    let trees = |params: GradientBoostingParams| fit(params.n_estimators(5), &dataset).trees;
    assert!(trees(eager().max_depth(Some(2)).max_leaf_nodes(None)).iter().all(|tree| tree.depth() == 2));
    assert!(trees(eager().max_leaf_nodes(Some(7))).iter().all(|tree| tree.n_leaves() == 7));
    assert!(trees(eager().min_samples_leaf(100)).iter().all(|tree| tree.n_leaves() <= 5));
    assert!(trees(eager().min_child_weight(1e9)).is_empty(), "no split, and so no round");
    assert!(trees(eager().max_leaf_nodes(None)).iter().all(|tree| tree.n_leaves() > 50));
}

#[test]
fn early_stopping_keeps_the_best_rounds() {
    let dataset = test_data::interactions(600, 6);
    let params = GradientBoosting::params().n_estimators(500).learning_rate(0.3).seed(3);
    let stopped = fit(params.clone().early_stopping(true), &dataset);
    assert!((1..100).contains(&stopped.n_rounds()), "{}", stopped.n_rounds());
    assert_eq!(fit(params, &dataset).n_rounds(), 500);
    // Noise cannot be learnt: a few rounds at most, and none that make it worse.
    let noise = Dataset::new(dataset.records.clone(), Array1::from_shape_fn(600, |row| row * 7919 % 13 % 2));
    let model = fit(GradientBoosting::params().early_stopping(true).learning_rate(0.3), &noise);
    assert!(model.n_rounds() <= 5, "{}", model.n_rounds());
    // Nothing to hold out: all rounds are kept.
    assert!(fit(eager().early_stopping(true), &line(vec![0, 1])).n_rounds() > 0);
}

#[test]
fn subsamples_are_drawn_anew_by_seed() {
    let dataset = test_data::gappy(300, 3);
    let model = |seed| fit(GradientBoosting::params().n_estimators(10).subsample(0.5).seed(seed), &dataset);
    assert_eq!(model(1), model(1));
    assert_ne!(model(1), model(2));
    let truth = dataset.targets.as_slice().unwrap();
    let accuracy = metrics::accuracy(truth, model(1).predict(&dataset.records).as_slice().unwrap()).unwrap();
    assert!(accuracy > 0.5, "{accuracy}");
}

#[test]
fn threads_do_not_change_the_model() {
    // Enough cells that the histogram of the root is shared out.
    let dataset = test_data::interactions(110_000, 8);
    let model = |jobs| fit(GradientBoosting::params().n_estimators(2).n_jobs(Some(jobs)), &dataset);
    assert_eq!(model(1), model(3));
}

#[test]
fn more_threads_than_shares_of_the_rows_do_not_change_the_model() {
    // So many cells of so few rows that 8 threads are worth it, for whom 25 rows make 7 shares or fewer.
    let records =
        Array2::from_shape_fn((25, 20_001), |(row, feature)| if feature == 0 { row as f64 } else { f64::NAN });
    let dataset = Dataset::new(records, Array1::from_shape_fn(25, |row| row % 2));
    let params = eager().min_samples_leaf(1).n_estimators(3);
    let model = |jobs| fit(params.clone().n_jobs(Some(jobs)), &dataset);
    let alone = model(1);
    assert!((2..=8).all(|jobs| model(jobs) == alone));
}

#[test]
fn threads_that_share_the_features_do_not_change_the_model() {
    // Every feature twice: whoever finds the second one's splits must not win.
    let dataset = test_data::gappy(1_500, 3);
    let twice = ndarray::concatenate![Axis(1), dataset.records, dataset.records];
    for n_classes in [2, 3] {
        let dataset = Dataset::new(twice.clone(), dataset.targets.mapv(|label| label % n_classes));
        let params = eager().n_estimators(5).categorical_features(vec![2, 6]);
        let model = |jobs| fit(params.clone().n_jobs(Some(jobs)), &dataset);
        let alone = model(1);
        assert!([2, 3, 4].into_iter().all(|jobs| model(jobs) == alone));
        let mut splits = [0; 8];
        alone.trees().iter().for_each(|tree| tree.count_splits(&mut splits));
        assert!(splits[0] > 0 && splits[2] > 0 && splits[4..] == [0; 4], "{splits:?}");
    }
}

#[test]
fn degenerate_data_gives_the_class_frequencies() {
    let frequencies = |records: Array2<f64>, targets: Array1<usize>, n_classes| {
        let model = fit(eager().n_classes(n_classes), &Dataset::new(records, targets));
        assert_eq!(model.n_rounds(), 0);
        proba(&model, &array![[3.0]]).row(0).to_vec()
    };
    let close = |a: Vec<f64>, b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9) && a.len() == b.len();
    assert!(close(frequencies(array![[5.0], [5.0], [5.0], [5.0]], array![0, 1, 1, 1], 2), &[0.25, 0.75]));
    assert!(close(frequencies(array![[1.0], [2.0]], array![1, 1], 2), &[0.0, 1.0]));
    assert!(close(frequencies(array![[1.0], [2.0]], array![1, 1], 3), &[0.0, 1.0, 0.0]));
    assert!(close(frequencies(array![[1.0]], array![0], 1), &[1.0]));
    assert!(close(frequencies(array![[f64::NAN], [f64::NAN]], array![0, 1], 2), &[0.5, 0.5]));
}

#[test]
fn no_rows_and_no_features_are_errors() {
    let fit = |records, targets| GradientBoosting::params().fit(&Dataset::new(records, targets)).unwrap_err();
    assert!(matches!(fit(Array2::zeros((0, 3)), array![]), Error::NoRows));
    assert!(matches!(fit(Array2::zeros((2, 0)), array![0, 1]), Error::NoFeatures));
}
