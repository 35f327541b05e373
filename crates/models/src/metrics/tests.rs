//! Expected numbers are those of scikit-learn 1.9.1 for the same arguments, with `zero_division=0`.

use ndarray::array;

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
