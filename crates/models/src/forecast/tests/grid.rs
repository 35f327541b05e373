//! Behaviours of the grid.

use super::*;

fn seen(points: &[(i64, f64)]) -> Vec<Observation> {
    points.iter().map(|&(at, value)| Observation { at, value }).collect()
}

#[test]
fn irregular_times_become_the_last_value_and_the_mean_of_their_step() {
    let points = [(2 * DAY + 5 * HOUR, 7.0), (DAY + HOUR, 1.0), (DAY + 23 * HOUR, 4.0), (DAY + 2 * HOUR, 1.0)];
    let series = resample(&seen(&points), DAY, 0).unwrap();
    assert_eq!((series.start, series.step), (DAY, DAY));
    assert_eq!((series.values, series.means), (vec![4.0, 7.0], vec![2.0, 7.0]));
}

#[test]
fn of_one_time_the_last_given_counts() {
    let series = resample(&seen(&[(5, 1.0), (5, 3.0)]), DAY, 0).unwrap();
    assert_eq!((series.values, series.means), (vec![3.0], vec![3.0]));
}

#[test]
fn a_gap_is_carried_forward_up_to_the_limit() {
    let series = resample(&seen(&[(0, 1.0), (4 * DAY, 2.0)]), DAY, 2).unwrap();
    assert_eq!(series.values[..3], [1.0, 1.0, 1.0]);
    assert!(series.values[3].is_nan());
    assert_eq!(series.observed, [true, false, false, false, true]);
}

#[test]
fn times_before_1970_have_their_own_steps() {
    let series = resample(&seen(&[(-1, 1.0), (0, 2.0)]), DAY, 0).unwrap();
    assert_eq!((series.start, series.values), (-DAY, vec![1.0, 2.0]));
}

#[test]
fn missing_values_are_left_out_and_unusable_ones_are_named() {
    let series = resample(&seen(&[(0, f64::NAN), (DAY, -3.0), (2 * DAY, f64::NAN)]), DAY, 0).unwrap();
    assert_eq!((series.start, series.values), (DAY, vec![-3.0]));
    assert!(matches!(resample(&seen(&[(0, f64::NAN)]), DAY, 0), Err(Error::Empty)));
    let error = resample(&seen(&[(0, 1.0), (DAY, f64::INFINITY)]), DAY, 0).unwrap_err().to_string();
    assert_eq!(
        error,
        "the value at 1970-01-02T00:00:00Z is inf; it must be a number between -1e60 and 1e60, or missing"
    );
}

#[test]
fn a_grid_beyond_memory_is_refused() {
    let error = resample(&seen(&[(0, 1.0), (20_000 * DAY, 1.0)]), 1_000, 0).unwrap_err().to_string();
    assert!(error.contains("in steps of 1 second is more than 4000000 steps; use a longer `step`"), "{error}");
    for far in [i64::MIN, i64::MAX] {
        assert!(matches!(resample(&seen(&[(far, 1.0)]), DAY, 0), Err(Error::TooLong { .. })));
    }
}

#[test]
fn a_long_gap_does_not_stop_a_forecast() {
    let mut series = autoregressive("a", 120, 0.2, 3);
    series.1.drain(40..80);
    let (_, observations) = &series;
    let last = observations[observations.len() - 1];
    let forecaster = fit(&ForecasterParams { max_gap: 3, ..ForecasterParams::default() }, &[series.clone()]).unwrap();
    let forecasts = forecaster.forecast("a", 7).unwrap();
    assert!(forecasts.iter().all(|f| f.value.is_finite() && f.lower < f.value && f.value < f.upper), "{forecasts:?}");
    assert_eq!(forecasts[0].at, last.at + DAY);
    let in_the_gap = forecaster.at("a", observations[39].at + 20 * DAY).unwrap();
    assert_eq!(in_the_gap.value, observations[39].value);
}

#[test]
fn values_within_a_step_make_its_mean_better_known() {
    // Noise around a level every three hours: the last value of a day tells less than its mean.
    let observations: Vec<Observation> = (0..40 * 8)
        .zip(noise(5))
        .map(|(at, noise)| Observation { at: at * 3 * HOUR + 17, value: 50.0 + noise })
        .collect();
    let forecaster = fit(&ForecasterParams::default(), &[("a".to_owned(), observations)]).unwrap();
    let value = forecaster.forecast("a", 1).unwrap()[0].value;
    assert!((value - 50.0).abs() < 0.5, "{value}");
}
