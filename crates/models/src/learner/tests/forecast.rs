//! Forecasts over tables.

use super::*;

const DAY: f64 = 86_400_000.0;

fn features() -> Vec<(String, FeatureKind)> {
    vec![("time".to_owned(), FeatureKind::Number), ("region".to_owned(), FeatureKind::Category)]
}

/// Two regions with a weekly wave, a row a day each.
fn prices(days: usize) -> (Table, Target) {
    let rows = 2 * days;
    let time = (0..rows).map(|row| 20_000.0 * DAY + (row / 2) as f64 * DAY).collect();
    let region = (0..rows).map(|row| Some(Arc::from(["EU", "US"][row % 2]))).collect();
    let table = Table::new(rows, vec![Column::Number(time), Column::Text(region)]).unwrap();
    let value = |row: usize| 100.0 * (1 + row % 2) as f64 + [0.0, 3.0, 5.0, 3.0, 0.0, -4.0, -6.0][row / 2 % 7];
    (table, Target::Values(Array1::from_shape_fn(rows, value)))
}

#[test]
fn a_row_asks_for_the_value_of_a_series_at_a_time_and_gets_it_with_its_bounds() {
    let learner = Learner::from_spec("forecast", &Map::new(), &features()).unwrap();
    let (table, target) = prices(60);
    let estimator = fitted(&learner, &table, &target);
    assert!(estimator.tells_intervals() && estimator.rows_model().is_none());
    let tomorrow = (20_000.0 + 60.0) * DAY;
    let times = vec![tomorrow, tomorrow, tomorrow, f64::NAN, tomorrow + 5_000.0 * DAY];
    let names = ["EU", "US", "Mars", "EU", "EU"].map(|name| Some(Arc::from(name))).to_vec();
    let asked = Table::new(5, vec![Column::Number(times), Column::Text(names)]).unwrap();
    let values = estimator.values(&asked).unwrap();
    let bounds = estimator.intervals(&asked).unwrap().unwrap();
    assert!((90.0..110.0).contains(&values[0]) && (190.0..215.0).contains(&values[1]), "{values}");
    for row in 0..2 {
        assert!(bounds[row].0 <= values[row] && values[row] <= bounds[row].1);
    }
    // A series that nobody knows, no time, and a time too far ahead have no answer.
    assert!((2..5).all(|row| values[row].is_nan() && bounds[row].0.is_nan()));
    assert_eq!(estimator.informed(&asked).unwrap(), [true, true, false, false, false]);
}

#[test]
fn a_single_series_needs_no_name_and_classes_are_refused() {
    let learner = Learner::from_spec("forecast", &Map::new(), &features()[..1]).unwrap();
    let (table, target) = prices(60);
    let eu: Vec<usize> = (0..120).step_by(2).collect();
    let times = Table::new(60, vec![table.select(&eu).columns()[0].clone()]).unwrap();
    let estimator = fitted(&learner, &times, &target.select(&eu));
    let asked = Table::new(1, vec![Column::Number(vec![(20_000.0 + 62.0) * DAY])]).unwrap();
    assert!(estimator.values(&asked).unwrap()[0].is_finite());
    let reason = learner.supports(Task::Classification { n_classes: 2 }).unwrap_err();
    assert!(reason.contains("predicts numbers"), "{reason}");
    assert!(message("forecast", &json!({ "horizn": 7 }), &features()).contains("did you mean `horizon`"));
}
