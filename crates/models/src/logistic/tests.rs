//! References are scikit-learn 1.9.1's `LogisticRegression` on the same rows, solved to 1e-12.

use ndarray::{Array1, Array2, array};

use super::*;
use crate::ClassWeight;
use crate::test_data::{self, Uniform};

type Data = DatasetBase<Array2<f64>, Array1<usize>>;

/// Four columns of several units with some zeros, three unequal classes.
fn rows(classes: usize) -> Data {
    let mut uniform = Uniform(9);
    let mut draw = || uniform.next().unwrap();
    let mut records = Array2::zeros((90, 4));
    let mut targets = Array1::zeros(90);
    for (mut row, target) in records.rows_mut().into_iter().zip(&mut targets) {
        let drawn: [f64; 4] = std::array::from_fn(|_| draw());
        let zero_below = |value: f64, limit: f64, then: f64| if value > limit { then } else { 0.0 };
        row[0] = zero_below(drawn[0], 0.3, 2.0 * drawn[0] - 1.0);
        row[1] = 4.0 * drawn[1];
        row[2] = zero_below(drawn[2], 0.4, 10.0 * drawn[2] + 20.0);
        row[3] = drawn[3];
        let signal = (row[0] + 0.5 * row[1] + 1.0) / 4.0;
        *target = ((3.0 * (signal * 0.8 + 0.2 * draw())) as usize).min(classes - 1);
    }
    // What a sparse row would hold.
    records.mapv_inplace(|value| f64::from(value as f32));
    DatasetBase::new(records, targets)
}

fn sparse(data: &Data) -> DatasetBase<CsrMatrix, Array1<usize>> {
    let matrix = CsrMatrix::from_dense(data.records.view()).unwrap();
    DatasetBase::new(matrix, data.targets.clone()).with_weights(data.weights.clone())
}

fn exact() -> LogisticRegressionParams {
    LogisticRegression::params().c(0.7).tol(1e-9).max_iter(100_000)
}

#[track_caller]
fn assert_score(model: &LogisticRegression, score: usize, coefficients: [f64; 4], intercept: f64) {
    assert!(model.converged());
    let got = model.coefficients(score).into_iter().chain([model.intercept(score)]);
    for (got, expected) in got.zip(coefficients.into_iter().chain([intercept])) {
        assert!((got - expected).abs() <= 1e-6 * expected.abs().max(0.1), "{got} is not {expected}");
    }
}

const MULTINOMIAL: [[f64; 4]; 3] = [
    [-0.9322492333635743, -1.1756482674083508, 0.00490601306863959, -0.10180834375341045],
    [-0.6913818664334922, -0.15369349433795404, -0.005467770713823685, 0.2196405665201033],
    [1.6236310997970669, 1.3293417617463057, 0.0005617576451853196, -0.11783222276669297],
];

#[test]
fn three_classes_are_scikit_learns_on_dense_and_sparse_rows() {
    let data = rows(3);
    for model in [exact().fit(&data).unwrap(), exact().fit(&sparse(&data)).unwrap()] {
        assert_score(&model, 0, MULTINOMIAL[0], 1.3451888570779984);
        assert_score(&model, 1, MULTINOMIAL[1], 2.259660955907105);
        assert_score(&model, 2, MULTINOMIAL[2], -3.604849812985113);
        let mut proba = [0.0; 3];
        model.predict_proba_into(data.records.row(0).as_slice().unwrap(), &mut proba).unwrap();
        let expected = [0.016340687942025308, 0.7541395991040241, 0.22951971295395063];
        assert!(proba.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7));
    }
}

#[test]
fn class_and_row_weights_are_scikit_learns() {
    let data = rows(3).with_weights(Array1::from_shape_fn(90, |row| 1.0 + (row % 3) as f32));
    let balanced = || exact().class_weight(Some(ClassWeight::Balanced));
    for model in [balanced().fit(&data).unwrap(), balanced().fit(&sparse(&data)).unwrap()] {
        let zero = [-2.182236998763339, -1.6854732527533451, -0.0009469645491324374, -0.096710366640456];
        let two = [2.642359180771914, 1.7820585238568796, 0.0006992642086138568, -0.4071259859889302];
        assert_score(&model, 0, zero, 3.3746857037379194);
        assert_score(&model, 2, two, -4.4748290790772325);
    }
}

#[test]
fn two_classes_share_a_score_and_are_scikit_learns() {
    let data = rows(2);
    let expected = [0.767359045037451, 1.122422013864026, -0.009168639475189486, 0.13095240077488995];
    for model in [exact().fit(&data).unwrap(), exact().fit(&sparse(&data)).unwrap()] {
        assert_score(&model, 0, expected, 0.8791523493815812);
    }
    let standardised = exact().standardize(true).fit(&data).unwrap();
    let expected = [2.37402296048061, 1.053142668978488, -0.006550808946493171, 0.18256010021469546];
    assert_score(&standardised, 0, expected, 0.8282890787538246);
}

#[test]
fn the_default_tolerance_is_good_for_three_digits() {
    let model = LogisticRegression::params().c(0.7).fit(&rows(3)).unwrap();
    assert!(model.converged());
    assert!((model.coefficients(2)[0] / MULTINOMIAL[2][0] - 1.0).abs() < 1e-2);
}

#[test]
fn gaps_constants_and_units_are_no_trouble() {
    let mut data = test_data::gappy(300, 3);
    data.records.column_mut(1).mapv_inplace(|value| value * 1e9 + 1e12);
    let model = LogisticRegression::params().fit(&data).unwrap();
    assert!(model.converged() && model.validate().is_ok());
    assert_eq!(model.coefficients(0)[3], 0.0, "a constant column");
    let mut proba = [0.0; 3];
    for row in [[f64::NAN; 4], [f64::INFINITY; 4], [0.0, 0.0, 0.0, 1e300]] {
        model.predict_proba_into(&row, &mut proba).unwrap();
        assert!((proba.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    let right = data.records.rows().into_iter().zip(&data.targets);
    let right = right.filter(|(row, label)| model.predict(row.as_slice().unwrap()).unwrap() == **label).count();
    assert!(right > 150, "{right} of 300");
}

#[test]
fn the_same_rows_give_the_same_model_with_any_number_of_threads() {
    let data = test_data::interactions(10_000, 3);
    let fit = |jobs| LogisticRegression::params().n_jobs(Some(jobs)).fit(&data).unwrap();
    assert_eq!(fit(1), fit(3));
}

#[test]
fn a_single_class_and_an_absent_one_are_no_trouble() {
    let fit = |labels, n_classes| {
        let data = DatasetBase::new(array![[0.0], [1.0], [2.0]], labels);
        LogisticRegression::params().n_classes(n_classes).fit(&data).unwrap()
    };
    assert!(fit(array![0, 0, 0], 2).predict(&[1.0]).unwrap() == 0);
    assert!(fit(array![0, 0, 0], 1).predict(&[1.0]).unwrap() == 0);
    assert!(fit(array![3, 3, 0], 4).predict(&[0.0]).unwrap() == 3);
}

#[test]
fn rows_and_parameters_that_do_not_fit_are_named() {
    let data = rows(3);
    let model = LogisticRegression::params().fit(&data).unwrap();
    assert!(matches!(model.predict(&[1.0]), Err(Error::FeatureCount { expected: 4, got: 1 })));
    assert!(matches!(model.predict_proba_into(&[0.0; 4], &mut [0.0; 2]), Err(Error::OutputLength { .. })));
    let wide = SparseRow { indices: &[4], values: &[1.0] };
    assert!(matches!(model.predict_proba_sparse_into(wide, &mut [0.0; 3]), Err(Error::FeatureCount { got: 5, .. })));
    let zero = ClassWeight::Given((0..3).map(|class| (class, 0.0)).collect());
    assert!(matches!(
        LogisticRegression::params().class_weight(Some(zero)).fit(&data),
        Err(Error::Weights { rows: 90 })
    ));
    for (params, bad) in [
        (LogisticRegression::params().c(f64::INFINITY), "C"),
        (LogisticRegression::params().class_weight(Some(ClassWeight::Given([(9, 1.0)].into()))), "class_weight"),
        (LogisticRegression::params().tol(-1.0), "tol"),
        (LogisticRegression::params().max_iter(0), "max_iter"),
        (LogisticRegression::params().standardize(true), "standardize"),
    ] {
        assert!(matches!(params.fit(&sparse(&data)), Err(Error::Parameter { name, .. }) if name == bad));
    }
}

#[test]
fn a_model_comes_back_from_bytes_and_a_tampered_one_is_refused() {
    let model = LogisticRegression::params().fit(&rows(3)).unwrap();
    let decoded: LogisticRegression = postcard::from_bytes(&postcard::to_stdvec(&model).unwrap()).unwrap();
    assert_eq!(decoded, model);
    assert!(decoded.validate().is_ok());
    assert!(LogisticRegression { n_classes: 2, ..model.clone() }.validate().is_err());
    let preparation = Some(Preparation::fit(array![[1.0]].view(), &[1.0], crate::Imputation::Mean, false));
    assert!(LogisticRegression { preparation, ..model }.validate().is_err());
}
