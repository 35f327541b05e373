//! What an estimate is worth.

use super::{super::*, *};
use std::collections::BTreeMap;

/// Over `windows`, each with a calibrator of its own: the mean error of each metric and how often the interval held it.
fn coverage(
    windows: u64,
    calibration: usize,
    window: usize,
    classes: usize,
    sureness: f64,
) -> BTreeMap<Metric, (f64, f64)> {
    let mut sums: BTreeMap<Metric, (f64, f64, f64)> = BTreeMap::new();
    for seed in 0..windows {
        let mut random = Lcg::new(seed * 7_919 + 1);
        let calibrator = rows(&mut random, calibration, classes, 1.5, sureness).calibrator();
        let rows = rows(&mut random, window, classes, 1.5, sureness);
        for (metric, error) in error_of_estimate(&rows.estimate(&calibrator), &rows.measured()) {
            let sum = sums.entry(metric).or_default();
            *sum = (sum.0 + error.error, sum.1 + f64::from(error.covered), sum.2 + 1.0);
        }
    }
    sums.into_iter().map(|(metric, (error, covered, n))| (metric, (error / n, covered / n))).collect()
}

fn check(found: &BTreeMap<Metric, (f64, f64)>, metrics: usize, bias: f64) {
    assert_eq!(found.len(), metrics);
    for (metric, (error, covered)) in found {
        assert!((0.90..=0.99).contains(covered), "{metric:?}: covered {covered}, {found:?}");
        // A loss of a model that is too sure is many times a share.
        let bias = if metric.is_loss() { 3.0 * bias } else { bias };
        assert!(error.abs() < bias, "{metric:?}: off by {error} on average, {found:?}");
    }
}

#[test]
fn the_estimate_is_right_on_average_and_its_interval_holds_what_is_measured() {
    check(&coverage(300, 1_000, 400, 2, 1.0), 6, 0.01);
    check(&coverage(300, 1_000, 400, 3, 1.0), 4, 0.02);
}

#[test]
fn so_it_is_of_a_model_that_is_too_sure_or_too_unsure() {
    check(&coverage(300, 1_000, 400, 2, 2.5), 6, 0.01);
    check(&coverage(300, 1_000, 400, 2, 0.4), 6, 0.01);
}

#[test]
fn so_it_is_of_several_classes() {
    check(&coverage(300, 1_000, 400, 3, 2.0), 4, 0.01);
    check(&coverage(300, 600, 300, 5, 2.0), 4, 0.015);
}

#[test]
fn so_it_is_with_few_rows_to_calibrate_on() {
    check(&coverage(300, 80, 400, 2, 1.0), 6, 0.02);
    check(&coverage(300, 80, 400, 2, 2.0), 6, 0.04);
}

#[test]
fn harder_inputs_lower_the_estimate_as_they_lower_the_truth() {
    let mut random = Lcg::new(11);
    let calibrator = rows(&mut random, 4_000, 2, 1.5, 2.0).calibrator();
    let (usual, harder) = (rows(&mut random, 4_000, 2, 1.5, 2.0), rows(&mut random, 4_000, 2, 0.5, 2.0));
    for metric in [Metric::Accuracy, Metric::F1, Metric::RocAuc] {
        let drop = value(&usual.measured(), metric) - value(&harder.measured(), metric);
        let estimated = value(&usual.estimate(&calibrator), metric) - value(&harder.estimate(&calibrator), metric);
        assert!(drop > 0.05 && (estimated - drop).abs() < 0.03, "{metric:?}: {estimated} for {drop}");
    }
}

#[test]
fn concept_drift_is_not_seen_until_labels_land() {
    let mut random = Lcg::new(12);
    let calibrator = rows(&mut random, 4_000, 2, 1.5, 1.0).calibrator();
    let mut drifted = rows(&mut random, 2_000, 2, 1.5, 1.0);
    let before = drifted.estimate(&calibrator);
    // Each third label means the other class now.
    drifted.truths.iter_mut().step_by(3).for_each(|truth| *truth = 1 - *truth);
    let (estimated, measured) = (drifted.estimate(&calibrator), drifted.measured());
    assert_eq!(estimated, before);
    let error = error_of_estimate(&estimated, &measured)[&Metric::Accuracy];
    assert!(error.error > 0.1 && !error.covered, "{error:?}");
}

#[test]
fn a_small_matrix_worked_out_by_hand() {
    // Without any row to learn from the calibrator is the identity.
    let calibrator = Calibrator::learn(&Probabilities::new(2, &[]).unwrap(), &[]).unwrap();
    let probabilities = Probabilities::of_positive(&[0.9, 0.6, 0.2]).unwrap();
    let estimated = estimate(&calibrator, &probabilities, &[1, 1, 0], ALPHA).unwrap();
    assert!((value(&estimated, Metric::Accuracy) - (0.9 + 0.6 + 0.8) / 3.0).abs() < 1e-12);
    assert!((value(&estimated, Metric::F1) - 2.0 * 1.5 / (2.0 + 1.7)).abs() < 1e-12);
    // Pairs in order: .9·.4, .9·.8 and .6·.8, and half of each row against itself.
    let ordered = 0.9 * 0.4 + 0.9 * 0.8 + 0.6 * 0.8 + (0.9 * 0.1 + 0.6 * 0.4 + 0.2 * 0.8) / 2.0;
    assert!((value(&estimated, Metric::RocAuc) - ordered / (1.7 * 1.3)).abs() < 1e-12);
    let entropy = |p: f64| -(p * p.ln() + (1.0 - p) * (1.0 - p).ln());
    let loss = (entropy(0.9) + entropy(0.6) + entropy(0.2)) / 3.0;
    assert!((value(&estimated, Metric::LogLoss) - loss).abs() < 1e-12);
}

#[test]
fn no_rows_give_no_figures_and_a_single_class_or_probability_gives_finite_ones() {
    let mut random = Lcg::new(13);
    let calibrator = rows(&mut random, 500, 2, 1.5, 1.0).calibrator();
    let none = estimate(&calibrator, &Probabilities::new(2, &[]).unwrap(), &[], ALPHA).unwrap();
    assert!(none.figures.is_empty() && none.rows == 0);
    for said in [vec![1.0; 50], vec![0.0; 50], vec![0.5; 50], vec![0.7]] {
        let probabilities = Probabilities::of_positive(&said).unwrap();
        let estimated = estimate(&calibrator, &probabilities, &probabilities.most_probable(), ALPHA).unwrap();
        assert!(estimated.figures.contains_key(&Metric::Accuracy));
        for figure in estimated.figures.values() {
            assert!(figure.low <= figure.value && figure.value <= figure.high && figure.high.is_finite(), "{figure:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let calibrator = rows(&mut Lcg::new(14), 100, 3, 1.5, 1.0).calibrator();
    let two = Probabilities::of_positive(&[0.5]).unwrap();
    let three = Probabilities::new(3, &[0.2, 0.3, 0.5]).unwrap();
    let error = estimate(&calibrator, &two, &[1], ALPHA).unwrap_err().to_string();
    assert!(error.contains("3 classes against 2"), "{error}");
    let error = estimate(&calibrator, &three, &[3], ALPHA).unwrap_err().to_string();
    assert!(error.contains("row 0: class 3 is not one of the 3 classes"), "{error}");
    assert!(estimate(&calibrator, &three, &[], ALPHA).is_err());
    assert_eq!(estimate(&calibrator, &three, &[0], 0.0), Err(Error::Alpha(0.0)));
}
