//! References are scikit-learn 1.9.1's `LinearSVC` on the same rows, all digits of them.

use ndarray::{Array1, Array2, array};

use super::*;
use crate::ClassWeight;
use crate::test_data::Uniform;

type Data = DatasetBase<CsrMatrix, Array1<usize>>;

/// Four columns with some zeros, three classes of which the first has one row.
fn rows(classes: usize) -> Data {
    let mut uniform = Uniform(3);
    let mut records = Array2::zeros((80, 4));
    let mut targets = Array1::zeros(80);
    for (mut row, target) in records.rows_mut().into_iter().zip(&mut targets) {
        row.iter_mut().zip(&mut uniform).for_each(|(cell, v)| *cell = if v > 0.3 { 2.0 * v - 1.0 } else { 0.0 });
        let signal = (row[0] + 0.7 * row[1] + 1.7) / 3.4;
        *target = (3.0 * (signal * 0.7 + 0.3 * uniform.next().unwrap())) as usize;
        *target = (*target).min(classes - 1);
    }
    DatasetBase::new(CsrMatrix::from_dense(records.view()).unwrap(), targets)
}

fn exact() -> LinearSvmParams {
    LinearSvm::params().c(0.8).tol(1e-10).max_iter(1_000_000).calibration_folds(0)
}

#[track_caller]
fn assert_score(model: &LinearSvm, score: usize, coefficients: [f64; 4], intercept: f64) {
    assert!(model.converged());
    let got = model.coefficients(score).into_iter().chain([model.intercepts()[score]]);
    for (got, expected) in got.zip(coefficients.into_iter().chain([intercept])) {
        assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
    }
}

#[test]
fn both_losses_are_those_of_linear_svc() {
    let model = exact().class_weight(Some(ClassWeight::Balanced)).fit(&rows(3)).unwrap();
    let zero = [-2.8420382123077252, -1.8544240590416823, -0.7925312290313972, -0.22984414803474457];
    let one = [-1.068557914912811, -0.8455297735264894, 0.3560695042416182, 0.28514678879921834];
    let two = [1.4128451096208952, 1.0979779470044462, -0.3397584298059652, -0.28848065240186105];
    assert_score(&model, 0, zero, -0.8254759135802506);
    assert_score(&model, 1, one, 0.5598764911543963);
    assert_score(&model, 2, two, -0.9702715059425059);
    let model = exact().class_weight(Some(ClassWeight::Balanced)).loss(Loss::Hinge).fit(&rows(3)).unwrap();
    let one = [-1.5204005989700533, -1.3116818572119666, 0.616653997732428, 0.579345477158956];
    let two = [2.169243112194226, 1.268751418996599, -0.6566998567187744, -0.6742150537581063];
    assert_score(&model, 1, one, 0.7932359808184581);
    assert_score(&model, 2, two, -1.3891276719811398);
}

#[test]
fn two_classes_share_a_score_and_weights_count_as_in_linear_svc() {
    let model = exact().intercept_scaling(3.0).fit(&rows(2)).unwrap();
    let expected = [0.5569730139197228, 0.36630787380842517, 0.15241870668898105, 0.04362093673110124];
    assert_score(&model, 0, expected, 0.96942658934327);
    let weights = Array1::from_shape_fn(80, |row| 1.0 + (row % 3) as f32);
    let model = exact().fit_intercept(false).fit(&rows(2).with_weights(weights)).unwrap();
    let expected = [1.1459604318784153, 0.9018088032883834, 1.3387524824858463, 0.8921392831528564];
    assert_score(&model, 0, expected, 0.0);
}

/// 600 texts of 25 words from 400, few of which are frequent; a third of the words depend on the class. Rows of length 1.
fn text_like() -> (CsrMatrix, Vec<usize>) {
    let mut uniform = Uniform(21);
    let mut draw = || uniform.next().unwrap();
    let mut matrix = CsrMatrix::new(400).unwrap();
    let labels = (0..600).map(|_| {
        let class = (draw() * 4.0) as usize;
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..25 {
            let (telling, place) = (draw() < 0.35, draw());
            let word = (400.0 * place * place) as usize;
            let word = if telling { (word * 7 + class * 101 + 13) % 400 } else { word };
            *counts.entry(word as u32).or_insert(0.0) += 1.0;
        }
        let length = counts.values().map(|count: &f64| count * count).sum::<f64>().sqrt();
        matrix.push(counts.into_iter().map(|(word, count)| (word, (count / length) as f32))).unwrap();
        class
    });
    let labels = labels.collect();
    (matrix, labels)
}

#[test]
fn texts_are_classified_as_linear_svc_does() {
    let (matrix, labels) = text_like();
    let (train, test): (Vec<usize>, Vec<usize>) = (0..600).partition(|&row| row < 400);
    let data = DatasetBase::new(matrix.select(&train), Array1::from(labels[..400].to_vec()));
    let model = LinearSvm::params().fit(&data).unwrap();
    let mut predicted = [0; 4];
    let mut right = 0;
    for row in test {
        let class = model.predict(matrix.row(row)).unwrap();
        predicted[class] += 1;
        right += u32::from(class == labels[row]);
    }
    assert_eq!((right, predicted), (121, [43, 51, 48, 58]));
}

#[test]
fn the_same_rows_and_seed_give_the_same_model_with_any_number_of_threads() {
    let fit = |jobs, seed| LinearSvm::params().n_jobs(Some(jobs)).seed(seed).fit(&rows(3)).unwrap();
    assert_eq!(fit(1, 7), fit(3, 7));
    assert_ne!(fit(1, 7), fit(1, 8), "another order of the rows");
}

#[test]
fn probabilities_are_calibrated_and_keep_the_order_of_the_scores() {
    let data = rows(3);
    let log_loss = |model: &LinearSvm| -> f64 {
        let mut proba = [0.0; 3];
        data.records
            .rows()
            .zip(&data.targets)
            .map(|(row, &label)| {
                model.predict_proba_into(row, &mut proba).unwrap();
                assert!((proba.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                -proba[label].ln()
            })
            .sum()
    };
    let (plain, calibrated) =
        (LinearSvm::params().calibration_folds(0).fit(&data).unwrap(), LinearSvm::params().fit(&data).unwrap());
    let sigmoid = LinearSvm::params().calibration(Calibration::Sigmoid).fit(&data).unwrap();
    assert!(log_loss(&calibrated) < log_loss(&plain));
    assert!(log_loss(&sigmoid) < log_loss(&plain));
    for row in data.records.rows() {
        assert_eq!(plain.predict(row).unwrap(), calibrated.predict(row).unwrap());
    }
}

#[test]
fn few_rows_empty_rows_and_absent_classes_are_no_trouble() {
    let records = CsrMatrix::from_dense(array![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]].view()).unwrap();
    for loss in [Loss::Hinge, Loss::SquaredHinge] {
        let params = LinearSvm::params().n_classes(5).loss(loss).fit_intercept(false);
        let model = params.fit(&DatasetBase::new(records.clone(), array![0, 1, 1])).unwrap();
        assert!(model.validate().is_ok());
        assert_eq!(model.predict(records.row(1)).unwrap(), 1);
    }
    let single = LinearSvm::params().fit(&DatasetBase::new(records.clone(), array![0, 0, 0])).unwrap();
    let mut proba = [0.0];
    single.predict_proba_into(records.row(0), &mut proba).unwrap();
    assert_eq!(proba, [1.0]);
}

#[test]
fn rows_and_parameters_that_do_not_fit_are_named() {
    let model = LinearSvm::params().fit(&rows(3)).unwrap();
    let wide = SparseRow { indices: &[4], values: &[1.0] };
    assert!(matches!(model.predict(wide), Err(Error::FeatureCount { expected: 4, got: 5 })));
    let none = SparseRow { indices: &[], values: &[] };
    assert!(matches!(model.predict_proba_into(none, &mut [0.0; 2]), Err(Error::OutputLength { expected: 3, got: 2 })));
    for (params, bad) in [
        (LinearSvm::params().c(0.0), "C"),
        (LinearSvm::params().class_weight(Some(ClassWeight::Given([(0, f64::NAN)].into()))), "class_weight"),
        (LinearSvm::params().class_weight(Some(ClassWeight::Given([(9, 1.0)].into()))), "class_weight"),
        (LinearSvm::params().intercept_scaling(0.0), "intercept_scaling"),
        (LinearSvm::params().tol(0.0), "tol"),
        (LinearSvm::params().max_iter(0), "max_iter"),
        (LinearSvm::params().calibration_folds(1), "calibration_folds"),
    ] {
        assert!(matches!(params.fit(&rows(3)), Err(Error::Parameter { name, .. }) if name == bad));
    }
}

#[test]
fn a_model_comes_back_from_bytes_and_a_tampered_one_is_refused() {
    let model = LinearSvm::params().fit(&rows(3)).unwrap();
    let decoded: LinearSvm = postcard::from_bytes(&postcard::to_stdvec(&model).unwrap()).unwrap();
    assert_eq!(decoded, model);
    assert!(decoded.validate().is_ok());
    for calibrator in [
        Calibrator::Temperature(-1.0),
        Calibrator::Temperature(f64::NAN),
        Calibrator::Sigmoid(vec![(1.0, 0.0)]),
        Calibrator::Sigmoid(vec![(1.0, f64::INFINITY); 3]),
    ] {
        assert!(LinearSvm { calibrator, ..model.clone() }.validate().is_err());
    }
    assert!(LinearSvm { n_classes: 2, ..model.clone() }.validate().is_err());
    assert!(LinearSvm { n_classes: usize::MAX, ..model }.validate().is_err());
}
