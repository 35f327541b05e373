//! Expected numbers are those of scikit-learn 1.9.1 for the same arguments, with `zero_division=0`.

use ndarray::{Array2, array};

use super::*;

/// Class 3 is only predicted, class 4 only true.
const TRUTH: [usize; 10] = [0, 0, 1, 1, 1, 2, 2, 2, 2, 4];
const PREDICTED: [usize; 10] = [0, 1, 1, 1, 1, 2, 2, 0, 1, 3];
const BINARY_TRUTH: [usize; 8] = [1, 0, 1, 1, 0, 0, 1, 0];
const BINARY_PREDICTED: [usize; 8] = [1, 1, 0, 1, 0, 0, 1, 1];

#[track_caller]
fn assert_close(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-12, "{ours} is not {theirs}");
}

#[track_caller]
fn assert_scores(ours: Scores, precision: f64, recall: f64, f1: f64) {
    assert_close(ours.precision, precision);
    assert_close(ours.recall, recall);
    assert_close(ours.f1, f1);
}

#[test]
fn accuracy_and_confusion_matrix_agree_with_scikit_learn() {
    assert_close(accuracy(&TRUTH, &PREDICTED).unwrap(), 0.6);
    let expected = array![[1, 1, 0, 0, 0], [0, 3, 0, 0, 0], [1, 1, 2, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]];
    assert_eq!(confusion_matrix(&TRUTH, &PREDICTED, 5).unwrap(), expected);
}

#[test]
fn averages_agree_with_scikit_learn_and_skip_classes_that_do_not_occur() {
    let average = |truth: &[usize], predicted: &[usize], average| averaged(truth, predicted, average).unwrap();
    let weighted = average(&TRUTH, &PREDICTED, Average::Weighted);
    assert_scores(weighted, 0.679_999_999_999_999_9, 0.6, 0.591_666_666_666_666_6);
    assert_scores(average(&TRUTH, &PREDICTED, Average::Macro), 0.420_000_000_000_000_04, 0.4, 0.383_333_333_333_333_3);
    // Renamed to classes far apart, the scores are the same.
    let apart = |labels: &[usize]| labels.iter().map(|label| label * 1_000_000_000).collect::<Vec<_>>();
    assert_eq!(average(&apart(&TRUTH), &apart(&PREDICTED), Average::Weighted), weighted);
}

#[test]
fn each_class_has_its_scores() {
    let classes = per_class(&TRUTH, &PREDICTED, 5).unwrap();
    assert_scores(classes[0].scores, 0.5, 0.5, 0.5);
    assert_scores(classes[1].scores, 0.6, 1.0, 0.75);
    assert_scores(classes[2].scores, 1.0, 0.5, 2.0 / 3.0);
    assert_eq!((classes[3].scores, classes[3].support, classes[3].predicted), (Scores::default(), 0, 1));
    assert_eq!((classes[4].scores, classes[4].support, classes[4].predicted), (Scores::default(), 1, 0));
}

#[test]
fn binary_scores_agree_with_scikit_learn_for_either_class() {
    assert_scores(binary(&BINARY_TRUTH, &BINARY_PREDICTED, 1).unwrap(), 0.6, 0.75, 0.666_666_666_666_666_6);
    assert_scores(
        binary(&BINARY_TRUTH, &BINARY_PREDICTED, 0).unwrap(),
        0.666_666_666_666_666_6,
        0.5,
        0.571_428_571_428_571_4,
    );
    assert_close(binary_f1(&BINARY_TRUTH, &[0; 8], 1).unwrap(), 0.0);
}

#[test]
fn roc_auc_agrees_with_scikit_learn_on_ties() {
    let scores = [0.9, 0.4, 0.35, 0.8, 0.4, 0.1, 0.4, 0.35];
    assert_close(roc_auc(&BINARY_TRUTH, 1, &scores).unwrap(), 0.781_25);
    assert_close(roc_auc(&BINARY_TRUTH, 0, &scores).unwrap(), 0.218_75);
    assert_close(roc_auc(&BINARY_TRUTH, 1, &[0.5; 8]).unwrap(), 0.5);
}

#[test]
fn log_loss_agrees_with_scikit_learn_also_on_confident_mistakes() {
    let proba = array![[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
    assert_close(log_loss(&[0, 1, 2, 1, 2], proba.view()).unwrap(), 7.507_952_523_248_851);
    assert_close(log_loss(&[0, 1, 2, 0, 2], proba.view()).unwrap(), 0.299_221_845_425_419_5);
}

#[test]
fn arguments_without_a_score_are_named() {
    assert_eq!(accuracy(&[], &[]), Err(Error::Empty));
    assert_eq!(accuracy(&[1], &[]), Err(Error::LengthMismatch { truth: 1, predicted: 0 }));
    assert_eq!(confusion_matrix(&[0], &[7], 2), Err(Error::Label { label: 7, n_classes: 2 }));
    assert_eq!(log_loss(&[3], array![[0.5, 0.5]].view()), Err(Error::Label { label: 3, n_classes: 2 }));
    assert_eq!(log_loss(&[0], array![[f64::NAN, 0.5]].view()), Err(Error::NotANumber(0)));
    assert_eq!(roc_auc(&[1, 1], 1, &[0.1, 0.2]), Err(Error::OneClass(2)));
    assert_eq!(roc_auc(&[0, 1], 1, &[0.1, f64::NAN]), Err(Error::NotANumber(1)));
    assert_eq!(averaged(&[], &[], Average::Macro), Err(Error::Empty));
}

#[test]
fn chance_corrected_scores_agree_with_scikit_learn() {
    assert_close(balanced_accuracy(&TRUTH, &PREDICTED).unwrap(), 0.5);
    assert_close(cohen_kappa(&TRUTH, &PREDICTED).unwrap(), 0.452_054_794_520_548);
    assert_close(matthews_corrcoef(&TRUTH, &PREDICTED).unwrap(), 0.485_504_156_227_612_2);
    assert_close(balanced_accuracy(&BINARY_TRUTH, &BINARY_PREDICTED).unwrap(), 0.625);
    assert_close(cohen_kappa(&BINARY_TRUTH, &BINARY_PREDICTED).unwrap(), 0.25);
    assert_close(matthews_corrcoef(&BINARY_TRUTH, &BINARY_PREDICTED).unwrap(), 0.258_198_889_747_161_1);
    assert!(matches!(cohen_kappa(&[3, 3], &[3, 3]), Err(Error::Undefined(_))));
    assert!(matches!(matthews_corrcoef(&[0, 1], &[1, 1]), Err(Error::Undefined(_))));
    assert_close(cohen_kappa(&[0, 1], &[1, 1]).unwrap(), 0.0);
}

fn probabilities() -> ([usize; 6], Array2<f64>) {
    let proba = array![
        [0.7, 0.2, 0.1],
        [0.1, 0.8, 0.1],
        [0.3, 0.25, 0.45],
        [0.5, 0.15, 0.35],
        [0.05, 0.15, 0.8],
        [0.4, 0.35, 0.25]
    ];
    ([0, 1, 2, 1, 2, 0], proba)
}

#[test]
fn scores_of_probabilities_agree_with_scikit_learn() {
    let (truth, proba) = probabilities();
    assert_close(top_k_accuracy(&truth, proba.view(), 1).unwrap(), 5.0 / 6.0);
    assert_close(top_k_accuracy(&truth, proba.view(), 2).unwrap(), 5.0 / 6.0);
    assert_close(top_k_accuracy(&truth, proba.view(), 3).unwrap(), 1.0);
    assert_close(brier_score(&truth, proba.view()).unwrap(), 0.393_333_333_333_333_3);
    let two = Array2::from_shape_fn((8, 2), |(row, class)| if class == 1 { SCORES[row] } else { 1.0 - SCORES[row] });
    assert_close(brier_score(&BINARY_TRUTH, two.view()).unwrap(), 0.160_625);
    assert_close(roc_auc_ovr(&truth, proba.view()).unwrap(), 0.8125);
    assert_close(average_precision_ovr(&truth, proba.view()).unwrap(), 0.833_333_333_333_333_4);
    assert_close(roc_auc_ovr(&BINARY_TRUTH, two.view()).unwrap(), 0.781_25);
    assert_eq!(roc_auc_ovr(&[0; 6], proba.view()), Err(Error::OneClass(6)));
    assert_eq!(roc_auc_ovr(&[0, 0, 0, 1, 1, 1], proba.view()), Err(Error::AbsentClass(2)));
}

#[test]
fn of_equal_scores_the_lower_class_comes_first() {
    let equal = array![[0.5, 0.5]];
    assert_eq!(top_k_accuracy(&[0], equal.view(), 1), Ok(1.0));
    assert_eq!(top_k_accuracy(&[1], equal.view(), 1), Ok(0.0));
    assert!(matches!(top_k_accuracy(&[1], equal.view(), 0), Err(Error::Parameter { name: "k", .. })));
}

const SCORES: [f64; 8] = [0.9, 0.4, 0.35, 0.8, 0.4, 0.1, 0.4, 0.35];

#[test]
fn curves_agree_with_scikit_learn() {
    let roc = roc_curve(&BINARY_TRUTH, 1, &SCORES).unwrap();
    let rates: Vec<_> = roc.iter().map(|point| (point.false_positive_rate, point.true_positive_rate)).collect();
    assert_eq!(rates, [(0.0, 0.0), (0.0, 0.25), (0.0, 0.5), (0.5, 0.75), (0.75, 1.0), (1.0, 1.0)]);
    let thresholds = [None, Some(0.9), Some(0.8), Some(0.4), Some(0.35), Some(0.1)];
    assert_eq!(roc.iter().map(|point| point.threshold).collect::<Vec<_>>(), thresholds);
    let curve = precision_recall_curve(&BINARY_TRUTH, 1, &SCORES).unwrap();
    let points: Vec<_> = curve.iter().map(|point| (point.precision, point.recall)).collect();
    assert_eq!(points, [(1.0, 0.0), (1.0, 0.25), (1.0, 0.5), (0.6, 0.75), (4.0 / 7.0, 1.0), (0.5, 1.0)]);
    assert_close(average_precision(&BINARY_TRUTH, 1, &SCORES).unwrap(), 0.792_857_142_857_142_8);
    assert_eq!(average_precision(&[0, 0], 1, &[0.1, 0.2]), Err(Error::AbsentClass(1)));
    assert_eq!(roc_curve(&[0, 0], 1, &[0.1, 0.2]), Err(Error::OneClass(2)));
}

#[test]
fn reliability_agrees_with_scikit_learn_for_either_binning() {
    let proba = [0.05, 0.1, 0.15, 0.2, 0.33, 0.4, 0.47, 0.55, 0.6, 0.7, 0.81, 0.88, 0.93, 0.99];
    let outcomes = [0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1].map(|outcome| outcome == 1);
    let check = |binning, rows: [usize; 5], true_: [f64; 5], predicted: [f64; 5], error: f64| {
        let bins = reliability_bins(&outcomes, &proba, 5, binning).unwrap();
        assert_eq!(bins.iter().map(|bin| bin.rows).collect::<Vec<_>>(), rows);
        for (bin, (true_, predicted)) in bins.iter().zip(true_.into_iter().zip(predicted)) {
            assert_close(bin.fraction_true, true_);
            assert_close(bin.mean_predicted, predicted);
        }
        assert_close(expected_calibration_error(&bins).unwrap(), error);
    };
    check(
        Binning::EqualWidth,
        [4, 2, 3, 1, 4],
        [0.25, 0.5, 1.0 / 3.0, 1.0, 0.75],
        [0.125, 0.365, 0.54, 0.7, 0.902_5],
        0.164_285_714_285_714_3,
    );
    check(
        Binning::EqualMass,
        [3, 3, 2, 3, 3],
        [0.0, 2.0 / 3.0, 0.5, 2.0 / 3.0, 2.0 / 3.0],
        [0.1, 0.31, 0.51, 0.703_333_333_333_333_3, 0.933_333_333_333_333_2],
        0.164_285_714_285_714_26,
    );
}

#[test]
fn equal_probabilities_share_a_bin_and_empty_bins_are_left_out() {
    for binning in [Binning::EqualWidth, Binning::EqualMass] {
        let bins = reliability_bins(&[true, false, true, true], &[0.75; 4], 10, binning).unwrap();
        assert_eq!((bins.len(), bins[0].rows), (1, 4));
        assert_close(expected_calibration_error(&bins).unwrap(), 0.0);
        assert_close(maximum_calibration_error(&bins).unwrap(), 0.0);
    }
    let (right, confidence) = top_label(&[1, 0], array![[0.5, 0.5], [0.9, 0.1]].view()).unwrap();
    assert_eq!((right, confidence), (vec![false, true], vec![0.5, 0.9]));
    assert!(matches!(
        reliability_bins(&[true], &[1.5], 10, Binning::EqualMass),
        Err(Error::Parameter { name: "proba", .. })
    ));
}

const NUMBERS: [f64; 6] = [3.0, -0.5, 2.0, 7.0, 4.2, 1.1];
const FORECAST: [f64; 6] = [2.5, 0.1, 2.0, 8.0, 3.9, 1.6];
const SERIES: [f64; 11] = [10.0, 12.0, 13.0, 11.0, 11.0, 13.0, 15.0, 12.0, 12.0, 14.0, 16.0];

#[test]
fn errors_of_numbers_agree_with_scikit_learn() {
    assert_close(mean_absolute_error(&NUMBERS, &FORECAST).unwrap(), 0.483_333_333_333_333_4);
    assert_close(root_mean_squared_error(&NUMBERS, &FORECAST).unwrap(), 0.570_087_712_549_569);
    assert_close(median_absolute_error(&NUMBERS, &FORECAST).unwrap(), 0.5);
    assert_close(median_absolute_error(&NUMBERS[..3], &FORECAST[..3]).unwrap(), 0.5);
    assert_close(r2_score(&NUMBERS, &FORECAST).unwrap(), 0.942_748_091_603_053_4);
    assert_close(mean_absolute_percentage_error(&NUMBERS, &FORECAST).unwrap(), 0.339_249_639_249_639_2);
    assert_close(pinball_loss(&NUMBERS, &FORECAST, 0.9).unwrap(), 0.155);
    assert_close(pinball_loss(&NUMBERS, &FORECAST, 0.1).unwrap(), 0.328_333_333_333_333_4);
}

#[test]
fn errors_of_forecasts_agree_with_their_formulas_in_numpy() {
    let smape = symmetric_mean_absolute_percentage_error(&NUMBERS, &FORECAST).unwrap();
    assert_close(smape, 0.459_932_659_932_659_9);
    assert_close(mean_absolute_scaled_error(&NUMBERS, &FORECAST, &SERIES, 4).unwrap(), 0.422_916_666_666_666_7);
    assert_close(mean_absolute_scaled_error(&NUMBERS, &FORECAST, &SERIES, 1).unwrap(), 0.302_083_333_333_333_3);
    let (lower, upper) = ([2.0, 0.0, 2.0, 5.0, 4.0, 1.2], [3.0, 1.0, 2.0, 9.0, 5.0, 1.4]);
    assert_close(interval_coverage(&NUMBERS, &lower, &upper).unwrap(), 4.0 / 6.0);
    assert_close(mean_interval_width(&lower, &upper).unwrap(), 7.2 / 6.0);
}

#[test]
fn numbers_without_a_score_are_named() {
    assert!(matches!(r2_score(&[0.1; 3], &[0.1, 0.2, 0.3]), Err(Error::Undefined(_))));
    assert_eq!(mean_absolute_percentage_error(&[1.0, 0.0], &[1.0, 1.0]), Err(Error::ZeroTruth(1)));
    assert_eq!(symmetric_mean_absolute_percentage_error(&[1.0, 0.0], &[1.0, 1.0]), Ok(1.0));
    assert_eq!(symmetric_mean_absolute_percentage_error(&[1.0, 0.0], &[1.0, 0.0]), Err(Error::ZeroTruth(1)));
    assert!(matches!(seasonal_naive_error(&[1.0, 2.0], 2), Err(Error::Parameter { name: "period", .. })));
    assert!(matches!(seasonal_naive_error(&[1.0, 1.0], 1), Err(Error::Undefined(_))));
    assert!(matches!(pinball_loss(&[1.0], &[1.0], 1.0), Err(Error::Parameter { name: "quantile", .. })));
    assert_eq!(mean_absolute_error(&[], &[]), Err(Error::Empty));
    assert_eq!(mean_absolute_error(&[1.0], &[f64::NAN]), Err(Error::NotANumber(0)));
}
