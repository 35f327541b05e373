//! What a calibrator makes of probabilities.

use super::{super::*, *};
use calibrator::Curve;

/// The mean distance between what a row's probabilities are worth and what they are taken for.
fn distance(calibrator: &Calibrator, sureness: f64, classes: usize) -> f64 {
    let mut random = Lcg::new(77);
    let n = 2_000;
    let distances = (0..n).map(|_| {
        let scores = random.normals(classes, 0.0, 1.5);
        let said = softmax(&scores.iter().map(|score| sureness * score).collect::<Vec<f64>>());
        (calibrator.calibrate(&said)[1] - softmax(&scores)[1]).abs()
    });
    distances.sum::<f64>() / f64::from(n)
}

fn identity(classes: usize) -> Calibrator {
    Calibrator::learn(&Probabilities::new(classes, &[]).unwrap(), &[]).unwrap()
}

#[test]
fn a_model_that_is_too_sure_is_mended() {
    for (rows_, classes, part) in [(4_000, 2, 0.25), (4_000, 3, 0.5), (60, 2, 0.7)] {
        let calibrator = rows(&mut Lcg::new(3), rows_, classes, 1.5, 3.0).calibrator();
        let (mended, left) = (distance(&calibrator, 3.0, classes), distance(&identity(classes), 3.0, classes));
        assert!(mended < part * left, "{rows_} rows, {classes} classes: {mended} of {left}");
    }
}

#[test]
fn a_model_that_means_what_it_says_is_left_alone() {
    for (rows_, most) in [(4_000, 0.03), (60, 0.1), (0, 0.01)] {
        let calibrator = rows(&mut Lcg::new(4), rows_, 2, 1.5, 1.0).calibrator();
        let off = distance(&calibrator, 1.0, 2);
        assert!(off < most, "{rows_} rows: {off}");
    }
}

#[test]
fn few_rows_of_a_class_give_a_logistic_curve_and_many_a_rising_one() {
    let made = |count| rows(&mut Lcg::new(5), count, 2, 1.5, 1.0).calibrator();
    assert!(matches!(made(90).curves[..], [Curve::Logistic(_)]));
    let many = made(2_000);
    let [Curve::Isotonic(curve)] = &many.curves[..] else { panic!("{many:?}") };
    assert!(curve.knots.windows(2).all(|pair| pair[0].share <= pair[1].share));
    assert!(curve.knots.iter().map(|knot| knot.rows).sum::<u64>() == 2_000);
}

#[test]
fn a_calibrator_is_small_survives_json_and_ignores_the_order_of_rows() {
    for classes in [2, 3, 27] {
        let made = rows(&mut Lcg::new(6), 5_000, classes, 1.5, 1.5);
        let calibrator = made.calibrator();
        calibrator.validate().unwrap();
        let knots = calibrator
            .curves
            .iter()
            .map(|curve| if let Curve::Isotonic(curve) = curve { curve.knots.len() } else { 2 });
        assert!(knots.sum::<usize>() <= 120.max(6 * classes));
        let text = serde_json::to_string(&calibrator).unwrap();
        assert_eq!(serde_json::from_str::<Calibrator>(&text).unwrap(), calibrator);
        let learned = |order: &[usize]| {
            let said: Vec<f64> = order.iter().flat_map(|&row| made.probabilities.row(row).to_vec()).collect();
            let truths: Vec<usize> = order.iter().map(|&row| made.truths[row]).collect();
            Calibrator::learn(&Probabilities::new(classes, &said).unwrap(), &truths).unwrap()
        };
        let order: Vec<usize> = (0..5_000).collect();
        let backwards: Vec<usize> = (0..5_000).rev().collect();
        assert_eq!(learned(&order), learned(&backwards));
    }
}

#[test]
fn a_single_class_constant_probabilities_and_no_rows_give_shares_and_no_nan() {
    let constant = |value: f64, truth: &dyn Fn(usize) -> usize| {
        let probabilities = Probabilities::of_positive(&[value; 300]).unwrap();
        Calibrator::learn(&probabilities, &(0..300).map(truth).collect::<Vec<_>>()).unwrap()
    };
    let all = [
        identity(2),
        identity(4),
        constant(0.5, &|row| row % 2),
        constant(0.0, &|row| row % 2),
        constant(1.0, &|_| 1),
        constant(1.0, &|_| 0),
        rows(&mut Lcg::new(1), 1, 5, 1.0, 1.0).calibrator(),
    ];
    for calibrator in &all {
        for said in [vec![1.0, 0.0], vec![0.0, 1.0], vec![0.5, 0.5]] {
            let mut said = said;
            said.resize(calibrator.classes, 0.0);
            let shares = calibrator.calibrate(&said);
            assert!(shares.iter().all(|share| *share > 0.0 && *share < 1.0), "{calibrator:?} {shares:?}");
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
    // Half of the rows are of class 1, whatever the model says of them.
    assert!((all[3].calibrate(&[1.0, 0.0])[1] - 0.5).abs() < 0.01);
}

#[test]
fn what_is_no_probability_is_refused_with_its_place() {
    for wrong in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
        let error = Probabilities::new(2, &[0.5, 0.5, wrong, 0.5]).unwrap_err().to_string();
        assert!(
            error.starts_with("row 1: the probability of class 0 is") && error.contains("leave the row out"),
            "{error}"
        );
        assert!(Probabilities::of_positive(&[0.5, wrong]).is_err());
    }
    assert_eq!(Probabilities::new(2, &[0.0, 0.0]), Err(Error::NoProbability(0)));
    assert_eq!(Probabilities::new(1, &[1.0]), Err(Error::Classes(1)));
    assert!(Probabilities::new(2, &[0.5]).is_err());
    let one = Probabilities::of_positive(&[0.5]).unwrap();
    assert!(Calibrator::learn(&one, &[2]).is_err() && Calibrator::learn(&one, &[]).is_err());
}

#[test]
fn a_damaged_calibrator_is_refused() {
    let mut calibrator = rows(&mut Lcg::new(7), 1_000, 2, 1.5, 1.0).calibrator();
    if let Curve::Isotonic(curve) = &mut calibrator.curves[0] {
        curve.knots[0].share = f64::NAN;
    }
    let error = calibrator.validate().unwrap_err().to_string();
    assert!(error.contains("calibrator is damaged"), "{error}");
    calibrator.curves.clear();
    assert!(calibrator.validate().is_err());
}
