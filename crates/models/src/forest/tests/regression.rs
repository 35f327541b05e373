use super::*;

fn values(params: RandomForestParams, train: &Dataset<f64, f64, Ix1>, records: &Array2<f64>) -> Array1<f64> {
    Model::RandomForest(params.fit(train).unwrap()).predict_values(records.view()).unwrap()
}

/// scikit-learn 1.7.2, `RandomForestRegressor(100)` on the same rows: root mean squared errors of 2.0287, 2.0835 and 1.9962.
#[test]
fn it_learns_values_as_well_as_scikit_learn() {
    let errors = [(1, 2), (3, 4), (5, 6)].map(|(train, test)| {
        let (train, test) = (test_data::curve(2_000, train), test_data::curve(2_000, test));
        let predicted = values(RandomForest::params(), &train, &test.records);
        (predicted - &test.targets).mapv(|error| error * error).mean().unwrap().sqrt()
    });
    let mean = errors.iter().sum::<f64>() / 3.0;
    assert!(mean < 2.0361 * 1.02, "{mean}");
}

#[test]
fn a_tree_of_all_rows_fits_them_exactly_however_large_their_mean() {
    let mut dataset = test_data::curve(300, 3);
    dataset.targets += 1e9;
    let params = RandomForest::params().n_estimators(1).bootstrap(false);
    assert_eq!(values(params, &dataset, &dataset.records), dataset.targets);
}

#[test]
fn leaves_answer_their_mean_and_know_their_cover() {
    let dataset = Dataset::new(array![[1.0], [2.0], [10.0], [20.0]], array![1.0, 2.0, 10.0, 12.0]);
    let params = RandomForest::params().n_estimators(1).bootstrap(false).max_depth(Some(1));
    assert_eq!(values(params, &dataset, &dataset.records), array![1.5, 1.5, 11.0, 11.0]);
}

#[test]
fn threads_do_not_change_the_values() {
    let dataset = test_data::curve(300, 3);
    let model = |jobs| RandomForest::params().n_estimators(10).n_jobs(Some(jobs)).fit(&dataset).unwrap();
    assert_eq!(model(1), model(4));
}

#[test]
fn targets_that_are_no_numbers_are_refused() {
    let dataset = Dataset::new(array![[1.0], [2.0]], array![1.0, f64::NAN]);
    assert!(matches!(RandomForest::params().fit(&dataset), Err(Error::TargetOutOfRange { row: 1, .. })));
}
