//! References are scikit-learn 1.9.1's on the same rows, all digits of them.

use linfa::{Dataset, DatasetBase};
use ndarray::{Array1, Array2, Axis, array, concatenate, s};

use super::*;
use crate::preparation::Imputation;
use crate::test_data::Uniform;

type Data = DatasetBase<Array2<f64>, Array1<f64>>;

/// Five columns of several units, the third near to the first; targets with noise; weights of 0.5 to 1.5.
fn rows() -> (Data, Array1<f32>) {
    let mut uniform = Uniform(5);
    let mut draw = || uniform.next().unwrap();
    let mut records = Array2::zeros((60, 5));
    let (mut targets, mut weights) = (Array1::zeros(60), Array1::zeros(60));
    for (index, mut row) in records.rows_mut().into_iter().enumerate() {
        let drawn: [f64; 5] = std::array::from_fn(|_| draw());
        let values = [drawn[0], 10.0 * drawn[1] + 100.0, drawn[0] + 0.3 * drawn[2], 1e3 * drawn[3] - 500.0, drawn[4]];
        row.assign(&Array1::from_iter(values));
        targets[index] = 3.0 * row[0] - 0.5 * row[1] + 0.002 * row[3] + 7.0 + draw() - 0.5;
        weights[index] = (0.5 + draw()) as f32;
    }
    (Dataset::new(records, targets), weights)
}

fn weighted() -> Data {
    let (dataset, weights) = rows();
    dataset.with_weights(weights)
}

fn gappy() -> Data {
    let (mut dataset, _) = rows();
    dataset.records.slice_mut(s![..;7, 0]).fill(f64::NAN);
    dataset.records.slice_mut(s![3..;11, 3]).fill(f64::NAN);
    dataset
}

#[track_caller]
fn assert_fit(params: LinearRegressionParams, dataset: &Data, coefficients: [f64; 5], intercept: f64) {
    let model = params.fit(dataset).unwrap();
    assert!(model.converged());
    for (got, expected) in
        model.coefficients().into_iter().chain([model.intercept()]).zip(coefficients.into_iter().chain([intercept]))
    {
        assert!((got - expected).abs() <= 1e-9 * expected.abs().max(1e-3), "{got} is not {expected}");
    }
}

#[test]
fn least_squares_is_scikit_learns() {
    let expected =
        [3.178317460105274, -0.5124425927253569, -0.29278848970824833, 0.0019336892246596404, -0.35889330881717946];
    assert_fit(LinearRegression::params(), &rows().0, expected, 8.564567169276806);
    assert_fit(LinearRegression::params().standardize(true), &rows().0, expected, 8.564567169276806);
    let expected =
        [3.173368400072751, -0.5133001243834112, -0.3790598760454912, 0.002019261476573053, -0.3478354695296748];
    assert_fit(LinearRegression::params(), &weighted(), expected, 8.70165039206477);
}

#[test]
fn ridge_is_scikit_learns() {
    let ridge = || LinearRegression::ridge().alpha(2.5);
    let expected =
        [1.219964840852901, -0.5071966623033123, 0.9883335349095108, 0.0019375308775173485, -0.2597914154022846];
    assert_fit(ridge(), &rows().0, expected, 8.150536597374412);
    let expected =
        [1.1645724932385162, -0.5063904605842012, 0.9468871195444206, 0.0020357625292487976, -0.27875586482401543];
    assert_fit(ridge(), &weighted(), expected, 8.128006178952461);
    let expected =
        [2.319811685936672, -0.48873384589502283, 0.482288925314465, 0.0018728734939784139, -0.2919211711356942];
    assert_fit(ridge().standardize(true), &rows().0, expected, 5.98439023575321);
    // The same cost in the elastic net's terms.
    let expected =
        [1.219964840852901, -0.5071966623033123, 0.9883335349095108, 0.0019375308775173485, -0.2597914154022846];
    assert_fit(LinearRegression::elastic_net().alpha(2.5 / 60.0).l1_ratio(0.0), &rows().0, expected, 8.150536597374412);
}

#[test]
fn lasso_and_elastic_net_are_scikit_learns() {
    let lasso = LinearRegression::lasso().alpha(0.05).tol(1e-14).max_iter(100_000);
    let expected = [2.240146155722713, -0.5022374137670522, 0.0, 0.001872424525156875, 0.0];
    assert_fit(lasso, &rows().0, expected, 7.649800490119468);
    let net = || LinearRegression::elastic_net().alpha(0.1).l1_ratio(0.7).tol(1e-14).max_iter(100_000);
    let expected = [0.920445467836082, -0.49897331656835847, 0.6746602731423662, 0.001860026564076866, 0.0];
    assert_fit(net(), &rows().0, expected, 7.558325004277066);
    let expected = [0.8463382097451841, -0.49602483582978607, 0.6359403544389488, 0.0019742388208631055, 0.0];
    assert_fit(net(), &weighted(), expected, 7.315730407567273);
}

#[test]
fn gaps_are_filled_as_scikit_learns_simple_imputer_does() {
    let expected =
        [2.3464334011165273, -0.5101915219537657, 0.7201072922075619, 0.002008762712005674, -0.4215790174841574];
    assert_fit(LinearRegression::params(), &gappy(), expected, 8.131292771894174);
    let expected =
        [2.3279766076142514, -0.5093456058092791, 0.7324954671064978, 0.0019978984769746244, -0.4169892639331897];
    assert_fit(LinearRegression::params().imputation(Imputation::Median), &gappy(), expected, 8.03930764283362);
}

#[test]
fn the_residual_standard_error_is_corrected_for_the_degrees_of_freedom() {
    let model = LinearRegression::params().fit(&rows().0).unwrap();
    assert_eq!(model.degrees_of_freedom(), 5.0);
    assert!((model.residual_std().unwrap() - 0.2858991076325117).abs() < 1e-12);
    let model = LinearRegression::ridge().alpha(2.5).fit(&rows().0).unwrap();
    assert!((model.degrees_of_freedom() - 3.4715562472576242).abs() < 1e-9);
    assert!((model.residual_std().unwrap() - 0.3623873011249557).abs() < 1e-10);
    let few = Dataset::new(array![[1.0, 2.0], [3.0, 4.5]], array![1.0, 2.0]);
    assert_eq!(LinearRegression::params().fit(&few).unwrap().residual_std(), None);
}

#[test]
fn dependent_and_constant_columns_change_no_prediction() {
    let (dataset, _) = rows();
    let x = &dataset.records;
    let constant = Array2::from_elem((60, 1), 0.1);
    let sum = (&x.column(1) + &x.column(4)).insert_axis(Axis(1));
    let more = concatenate![Axis(1), *x, x.slice(s![.., 0..1]), constant, sum];
    let model = LinearRegression::params().fit(&Dataset::new(more.clone(), dataset.targets.clone())).unwrap();
    let expected = [
        1.5891587300526,
        -0.22199729221121,
        -0.29278848970819,
        0.00193368922466,
        -0.06844800830303,
        1.5891587300526,
        0.0,
        -0.29044530051415,
    ];
    for (got, expected) in model.coefficients().iter().zip(expected) {
        assert!((got - expected).abs() < 1e-10, "{got} is not {expected}");
    }
    assert_eq!(model.degrees_of_freedom(), 5.0);
    let expected = LinearRegression::params().fit(&dataset).unwrap().predict_batch(x.view()).unwrap();
    let got = model.predict_batch(more.view()).unwrap();
    assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-10));
    for params in [LinearRegression::ridge(), LinearRegression::lasso(), LinearRegression::elastic_net()] {
        let model = params.fit(&Dataset::new(more.clone(), dataset.targets.clone())).unwrap();
        assert!(model.validate().is_ok());
        assert_eq!(model.coefficients()[6], 0.0);
    }
}

/// Longley's data, NIST's test of least squares for columns that are nearly dependent ("higher level of difficulty"),
/// with its certified values.
#[test]
fn nists_longley_is_solved_to_nine_digits() {
    let x = array![
        [83.0, 234289.0, 2356.0, 1590.0, 107608.0, 1947.0],
        [88.5, 259426.0, 2325.0, 1456.0, 108632.0, 1948.0],
        [88.2, 258054.0, 3682.0, 1616.0, 109773.0, 1949.0],
        [89.5, 284599.0, 3351.0, 1650.0, 110929.0, 1950.0],
        [96.2, 328975.0, 2099.0, 3099.0, 112075.0, 1951.0],
        [98.1, 346999.0, 1932.0, 3594.0, 113270.0, 1952.0],
        [99.0, 365385.0, 1870.0, 3547.0, 115094.0, 1953.0],
        [100.0, 363112.0, 3578.0, 3350.0, 116219.0, 1954.0],
        [101.2, 397469.0, 2904.0, 3048.0, 117388.0, 1955.0],
        [104.6, 419180.0, 2822.0, 2857.0, 118734.0, 1956.0],
        [108.4, 442769.0, 2936.0, 2798.0, 120445.0, 1957.0],
        [110.8, 444546.0, 4681.0, 2637.0, 121950.0, 1958.0],
        [112.6, 482704.0, 3813.0, 2552.0, 123366.0, 1959.0],
        [114.2, 502601.0, 3931.0, 2514.0, 125368.0, 1960.0],
        [115.7, 518173.0, 4806.0, 2572.0, 127852.0, 1961.0],
        [116.9, 554894.0, 4007.0, 2827.0, 130081.0, 1962.0],
    ];
    let y = array![
        60323.0, 61122.0, 60171.0, 61187.0, 63221.0, 63639.0, 64989.0, 63761.0, 66019.0, 67857.0, 68169.0, 66513.0,
        68655.0, 69564.0, 69331.0, 70551.0
    ];
    let model = LinearRegression::params().fit(&Dataset::new(x, y)).unwrap();
    let certified = [
        15.0618722713733,
        -0.0358191792925910,
        -2.02022980381683,
        -1.03322686717359,
        -0.0511041056535807,
        1829.15146461355,
    ];
    let relative = |got: f64, expected: f64| (got / expected - 1.0).abs();
    assert!(model.coefficients().iter().zip(certified).all(|(got, expected)| relative(*got, expected) < 1e-9));
    assert!(relative(model.intercept(), -3482258.63459582) < 1e-9);
    assert!(relative(model.residual_std().unwrap(), 304.854073561965) < 1e-9);
}

#[test]
fn a_row_and_a_batch_give_the_same_bits() {
    let dataset = gappy();
    let model = LinearRegression::elastic_net().standardize(true).fit(&dataset).unwrap();
    let batch = model.predict_batch(dataset.records.view()).unwrap();
    for (row, expected) in dataset.records.rows().into_iter().zip(batch) {
        let got = model.predict(row.as_slice().unwrap()).unwrap();
        assert!(got.is_finite());
        assert_eq!(got.to_bits(), expected.to_bits());
    }
    assert!(matches!(model.predict(&[1.0]), Err(Error::FeatureCount { expected: 5, got: 1 })));
}

#[test]
fn unusable_training_data_is_named() {
    let fit =
        |records: Array2<f64>, targets| LinearRegression::params().fit(&Dataset::new(records, targets)).unwrap_err();
    assert!(matches!(fit(Array2::zeros((0, 1)), array![]), Error::NoRows));
    assert!(matches!(fit(Array2::zeros((1, 0)), array![1.0]), Error::NoFeatures));
    assert!(matches!(fit(Array2::zeros((2, 1)), array![1.0]), Error::LengthMismatch { rows: 2, targets: 1 }));
    assert!(matches!(fit(Array2::zeros((2, 1)), array![1.0, f64::NAN]), Error::TargetNotFinite { row: 1 }));
    assert!(matches!(fit(array![[1e300], [-1e300]], array![1.0, 2.0]), Error::Overflow));
    let negative = Dataset::new(array![[1.0], [2.0]], array![1.0, 2.0]).with_weights(array![1.0, -1.0]);
    assert!(matches!(LinearRegression::params().fit(&negative), Err(Error::Weights { rows: 2 })));
}

#[test]
fn parameters_out_of_range_are_named() {
    for (params, bad) in [
        (LinearRegression::ridge().alpha(-1.0), "alpha"),
        (LinearRegression::elastic_net().l1_ratio(1.5), "l1_ratio"),
        (LinearRegression::lasso().max_iter(0), "max_iter"),
        (LinearRegression::lasso().tol(f64::NAN), "tol"),
    ] {
        assert!(matches!(params.fit(&rows().0), Err(Error::Parameter { name, .. }) if name == bad));
    }
}

#[test]
fn a_model_comes_back_from_bytes_and_a_tampered_one_is_refused() {
    let model = LinearRegression::ridge().fit(&gappy()).unwrap();
    let decoded: LinearRegression = postcard::from_bytes(&postcard::to_stdvec(&model).unwrap()).unwrap();
    assert_eq!(decoded, model);
    assert!(decoded.validate().is_ok());
    let tampered = |change: fn(&mut LinearRegression)| {
        let mut model = model.clone();
        change(&mut model);
        model.validate()
    };
    assert!(tampered(|model| model.coefficients[2] = f64::NAN).is_err());
    assert!(tampered(|model| model.mean = f64::INFINITY).is_err());
    assert!(tampered(|model| model.residual_std = Some(-1.0)).is_err());
    assert!(tampered(|model| model.residual_std = Some(f64::NAN)).is_err());
    assert!(tampered(|model| model.coefficients.truncate(2)).is_err(), "fewer than the preparation has");
}
