//! 500 rows with many ties; expected numbers are those of scikit-learn 1.9.1 for the same rows, to 1e-9.

use ndarray::{Array2, Axis};

use super::*;
use crate::predictor::argmax;
use crate::test_data::Uniform;

#[track_caller]
fn assert_close(ours: Result<f64, Error>, theirs: f64) {
    let ours = ours.unwrap();
    assert!((ours - theirs).abs() < 1e-9, "{ours} is not {theirs}");
}

/// Classes, and probabilities that are small whole numbers divided by their sum, with more weight on the true class.
fn classified(uniform: &mut Uniform) -> (Vec<usize>, Array2<f64>) {
    let mut truth = Vec::new();
    let mut proba = Array2::zeros((500, 4));
    let mut draw = |below: f64| (below * uniform.next().unwrap()).floor();
    for mut row in proba.rows_mut() {
        let class = draw(4.0) as usize;
        row.map_inplace(|weight| *weight = 1.0 + draw(9.0));
        row[class] += draw(8.0);
        let sum = row.sum();
        row.map_inplace(|weight| *weight /= sum);
        truth.push(class);
    }
    (truth, proba)
}

#[test]
fn four_classes_agree_with_scikit_learn() {
    let (truth, proba) = classified(&mut Uniform(2024));
    let predicted: Vec<usize> = proba.rows().into_iter().map(|row| argmax(row.iter().copied())).collect();
    assert_close(accuracy(&truth, &predicted), 0.622);
    assert_close(balanced_accuracy(&truth, &predicted), 0.621_360_844_875_362_3);
    assert_close(cohen_kappa(&truth, &predicted), 0.494_998_076_183_147_3);
    assert_close(matthews_corrcoef(&truth, &predicted), 0.496_014_663_211_934_8);
    assert_close(averaged(&truth, &predicted, Average::Macro).map(|scores| scores.f1), 0.620_488_801_300_984_3);
    assert_close(averaged(&truth, &predicted, Average::Weighted).map(|scores| scores.f1), 0.620_911_010_989_193_9);
    assert_close(log_loss(&truth, proba.view()), 1.085_918_706_433_735_7);
    assert_close(brier_score(&truth, proba.view()), 0.589_354_165_738_575_4);
    assert_close(roc_auc_ovr(&truth, proba.view()), 0.825_924_546_267_556_8);
    assert_close(average_precision_ovr(&truth, proba.view()), 0.650_122_605_483_405_4);
    let (right, confidence) = top_label(&truth, proba.view()).unwrap();
    let error = |binning| expected_calibration_error(&reliability_bins(&right, &confidence, 15, binning)?);
    assert_close(error(Binning::EqualWidth), 0.212_949_353_314_317_83);
    assert_close(error(Binning::EqualMass), 0.219_331_971_619_164_07);
}

#[test]
fn one_class_against_the_others_agrees_with_scikit_learn() {
    let (truth, proba) = classified(&mut Uniform(2024));
    let scores = proba.index_axis(Axis(1), 3).to_vec();
    assert_close(roc_auc(&truth, 3, &scores), 0.820_425_503_593_930_3);
    assert_close(average_precision(&truth, 3, &scores), 0.663_572_946_623_225_7);
    let two = Array2::from_shape_fn((500, 2), |(row, class)| (class as f64 - scores[row]).abs());
    let two = two.mapv(|distance| 1.0 - distance);
    let is_three: Vec<usize> = truth.iter().map(|&class| usize::from(class == 3)).collect();
    assert_close(brier_score(&is_three, two.view()), 0.143_285_280_059_611_97);
    let roc = roc_curve(&truth, 3, &scores).unwrap();
    assert_eq!((roc.len(), roc[40].threshold), (156, Some(7.0 / 19.0)));
    assert_close(Ok(roc[40].false_positive_rate), 0.062_827_225_130_890_05);
    assert_close(Ok(roc[40].true_positive_rate), 0.457_627_118_644_067_8);
    let curve = precision_recall_curve(&truth, 3, &scores).unwrap();
    assert_eq!((curve.len(), curve[40].threshold), (156, Some(7.0 / 19.0)));
    assert_close(Ok(curve[40].precision), 0.692_307_692_307_692_3);
    assert_close(Ok(curve[40].recall), 0.457_627_118_644_067_8);
}

#[test]
fn calibration_of_one_class_agrees_with_scikit_learn() {
    let (truth, proba) = classified(&mut Uniform(2024));
    let scores = proba.index_axis(Axis(1), 3).to_vec();
    let came_true: Vec<bool> = truth.iter().map(|&class| class == 3).collect();
    for (binning, expected, maximum, bins) in [
        (Binning::EqualWidth, 0.101_092_618_310_911_2, 0.444_767_310_789_049_96, 8),
        (Binning::EqualMass, 0.103_635_714_171_887_72, 0.284_237_653_930_118_9, 10),
    ] {
        let of = reliability_bins(&came_true, &scores, 10, binning).unwrap();
        assert_eq!((of.len(), of.iter().map(|bin| bin.rows).sum::<usize>()), (bins, 500));
        assert_close(expected_calibration_error(&of), expected);
        assert_close(maximum_calibration_error(&of), maximum);
    }
}

#[test]
fn numbers_agree_with_scikit_learn() {
    let mut uniform = Uniform(2024);
    classified(&mut uniform);
    let (mut truth, mut predicted) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        let number = 10.0 + 20.0 * uniform.next().unwrap();
        truth.push(number);
        predicted.push(number + 4.0 * uniform.next().unwrap() - 1.5);
    }
    assert_close(mean_absolute_error(&truth, &predicted), 1.050_250_735_728_031);
    assert_close(root_mean_squared_error(&truth, &predicted), 1.248_285_754_625_397_6);
    assert_close(median_absolute_error(&truth, &predicted), 0.997_168_816_516_392_6);
    assert_close(r2_score(&truth, &predicted), 0.951_655_511_487_356_8);
    assert_close(mean_absolute_percentage_error(&truth, &predicted), 0.058_024_156_331_397_01);
    assert_close(pinball_loss(&truth, &predicted, 0.9), 0.330_095_031_680_216_8);
}
