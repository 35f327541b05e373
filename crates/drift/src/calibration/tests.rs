//! How often windows without drift are significant.

use super::*;
use crate::testing::{Lcg, autoregressive};

const BINS: usize = 64;

/// Bins of equal mass of a standard normal column.
fn bins(values: &[f64]) -> Vec<u16> {
    use statrs::distribution::{ContinuousCDF, Normal};
    values.iter().map(|&x| (Normal::standard().cdf(x) * BINS as f64).min(BINS as f64 - 1.0) as u16).collect()
}

fn columns(random: &mut Lcg, features: usize, rows: usize, phi: f64) -> Vec<Vec<u16>> {
    (0..features).map(|_| bins(&autoregressive(random, rows, phi))).collect()
}

fn features(columns: &[Vec<u16>], test: Test) -> Vec<Feature<'_>> {
    columns.iter().map(|rows| Feature { column: Column { rows, bins: BINS }, test }).collect()
}

/// The smallest q-value of a window, as a report has it.
fn smallest(history: &[Vec<u16>], window: &[Vec<u16>]) -> f64 {
    let count = |rows: &Vec<u16>| Column { rows, bins: BINS }.counts();
    let p: Vec<f64> = history
        .iter()
        .zip(window)
        .map(|(history, window)| {
            let live: Vec<u32> = count(window).iter().map(|&count| count as u32).collect();
            let bounds = ks::bounds(&count(history), &live, |_| false).unwrap();
            ks::p_asymptotic(bounds.low, history.len() as u64, window.len() as u64)
        })
        .collect();
    fdr::benjamini_hochberg(&p).into_iter().fold(1.0, f64::min)
}

#[test]
fn independent_rows_keep_the_configured_level() {
    let columns = columns(&mut Lcg::new(1), 10, 2_000, 0.0);
    let found = calibrate(&features(&columns, Test::Ks), 300, 1, &Settings::default()).unwrap();
    assert!((0.03..=0.05).contains(&found.alpha), "{found:?}");
    assert!((0.02..0.08).contains(&found.uncalibrated_rate), "{found:?}");
    let categories = calibrate(&features(&columns, Test::Homogeneity), 300, 1, &Settings::default()).unwrap();
    assert!((0.02..=0.05).contains(&categories.alpha), "{categories:?}");
}

#[test]
fn rows_that_resemble_their_neighbours_get_a_level_at_which_windows_alarm_as_rarely_as_configured() {
    let mut random = Lcg::new(2);
    let settings = Settings { replicates: 99, ..Settings::default() };
    let (mut plain, mut calibrated, runs) = (0, 0, 100);
    for seed in 0..runs {
        let (history, window) = (columns(&mut random, 5, 2_000, 0.8), columns(&mut random, 5, 300, 0.8));
        let found = calibrate(&features(&history, Test::Ks), 300, seed, &settings).unwrap();
        assert!(found.alpha < 1e-3 && found.uncalibrated_rate > 0.6, "{found:?}");
        let q = smallest(&history, &window);
        plain += u32::from(q < 0.05);
        calibrated += u32::from(q < found.alpha);
    }
    assert!(plain > 70, "{plain} of {runs} windows are significant without calibration");
    // 5 % are configured, and three standard deviations.
    assert!(calibrated <= 12, "{calibrated} of {runs} windows are significant with it");
}

#[test]
fn the_correlation_of_features_is_kept() {
    let one = columns(&mut Lcg::new(3), 1, 2_000, 0.5);
    let same: Vec<Vec<u16>> = std::iter::repeat_n(one[0].clone(), 8).collect();
    let calibrate = |columns: &[Vec<u16>]| calibrate(&features(columns, Test::Ks), 300, 1, &Settings::default());
    // Eight times the same p: nothing is corrected, and nothing is drawn differently.
    assert_eq!(calibrate(&same), calibrate(&one));
}

#[test]
fn columns_without_information_keep_the_configured_level() {
    let missing = vec![BINS as u16; 500];
    let constant = vec![3u16; 500];
    for columns in [vec![], vec![vec![]], vec![missing.clone()], vec![constant.clone(), missing]] {
        let found = calibrate(&features(&columns, Test::Ks), 100, 1, &Settings::default()).unwrap();
        assert_eq!((found.alpha, found.uncalibrated_rate), (0.05, 0.0), "{columns:?}");
    }
    let empty_window = calibrate(&features(&[constant], Test::Ks), 0, 1, &Settings::default()).unwrap();
    assert_eq!(empty_window.alpha, 0.05);
}

#[test]
fn a_calibration_repeats_with_its_seed_and_comes_back_from_json() {
    let columns = columns(&mut Lcg::new(4), 3, 500, 0.8);
    let calibrate = |seed| calibrate(&features(&columns, Test::Ks), 100, seed, &Settings::default()).unwrap();
    assert_eq!(calibrate(1), calibrate(1));
    assert_ne!(calibrate(1).alpha, calibrate(2).alpha);
    let json = serde_json::to_string(&calibrate(1)).unwrap();
    assert_eq!(serde_json::from_str::<Calibration>(&json).unwrap(), calibrate(1));
}

#[test]
fn senseless_settings_and_tables_are_refused() {
    let spoil: [fn(&mut Settings); 3] = [
        |settings| settings.alpha = 0.0,
        |settings| settings.false_alarm_rate = f64::NAN,
        |settings| settings.replicates = 18,
    ];
    for spoil in spoil {
        let mut settings = Settings::default();
        spoil(&mut settings);
        let error = calibrate(&[], 100, 1, &settings).unwrap_err().to_string();
        assert!(error.contains("must be"), "{error}");
    }
    let columns = [vec![1u16; 5], vec![1u16; 4]];
    let error = calibrate(&features(&columns, Test::Ks), 100, 1, &Settings::default()).unwrap_err();
    assert_eq!(error, Error::UnequalLengths { index: 1, rows: 4, expected: 5 });
}
