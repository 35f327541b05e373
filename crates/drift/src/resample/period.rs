//! Whether a series repeats itself, and after how many rows.

use super::fourier::autocovariance;
use std::f64::consts::TAU;

/// The series must show so many periods.
const MIN_CYCLES: usize = 4;
/// A shorter period is held by any block.
const MIN_PERIOD: usize = 8;
/// How often the power at a period must exceed that of its neighbours. Without a period the ratio is about exponential with
/// mean 1, over some hundred independent tries.
const MIN_RATIO: f64 = 30.0;
/// Points of a period that are enough to see its harmonics.
const POINTS: usize = 32;
/// Harmonics of a period looked at.
const HARMONICS: usize = 3;

/// The period of `series` in rows, where there is one.
///
/// The autocorrelations propose the first lag at which they return to their height; the spectrum confirms it by a peak over
/// its neighbourhood, which slow random wandering does not make, and tells it exactly.
pub(super) fn find(series: &[f64]) -> Option<f64> {
    let mean = series.iter().sum::<f64>() / series.len().max(1) as f64;
    let centred: Vec<f64> = series.iter().map(|value| value - mean).collect();
    let candidate = candidate(&centred)?;
    // A wave of 1,440 rows needs no more points than one of 32.
    let merged = (candidate / POINTS).max(1);
    let centred: Vec<f64> = centred.chunks_exact(merged).map(|rows| rows.iter().sum::<f64>()).collect();
    let (candidate, n) = (candidate as f64 / merged as f64, centred.len() as f64);
    // The longer the piece, the narrower the top: each tells where to look for that of a piece twice as long.
    let mut frequency = 1.0 / candidate;
    let mut piece = ((2 * MIN_CYCLES) as f64 * candidate).min(n);
    loop {
        let centred = &centred[..piece as usize];
        let score = |frequency: f64| (1..=HARMONICS).map(|k| power(centred, frequency * k as f64)).sum::<f64>();
        frequency = (-8..=8)
            .map(|step| frequency + f64::from(step) * 0.125 / piece)
            .filter(|&frequency| frequency * n >= MIN_CYCLES as f64 - 0.5)
            .map(|frequency| (frequency, score(frequency)))
            .max_by(|a, b| a.1.total_cmp(&b.1))?
            .0;
        if piece >= n {
            break;
        }
        piece = (2.0 * piece).min(n);
    }
    let score = |frequency: f64| (1..=HARMONICS).map(|k| power(&centred, frequency * k as f64)).sum::<f64>();
    frequency = (-8..=8)
        .map(|step| frequency + f64::from(step) * 0.016 / n)
        .map(|frequency| (frequency, score(frequency)))
        .max_by(|a, b| a.1.total_cmp(&b.1))?
        .0;
    let stands_out = |peak: f64| {
        // Whole steps of 1/n away, where a pure wave at the peak has no power.
        let mut around: Vec<f64> = (3..=10)
            .flat_map(|step| [peak - f64::from(step) / n, peak + f64::from(step) / n])
            .filter(|&beside| beside * n >= 0.5)
            .map(|beside| power(&centred, beside))
            .collect();
        around.sort_unstable_by(f64::total_cmp);
        // The median of an exponential variable is ln 2 of its mean.
        let usual = around[around.len() / 2] / std::f64::consts::LN_2;
        power(&centred, peak) > MIN_RATIO * usual
    };
    // The autocorrelation is as high at twice or three times the period: all harmonics that stand out have a factor then.
    let factor = (1..=2 * HARMONICS).filter(|&k| stands_out(frequency * k as f64)).reduce(common_factor)?;
    Some(merged as f64 / (frequency * factor as f64)).filter(|&period| period >= MIN_PERIOD as f64)
}

/// The greatest common factor (Euclid).
fn common_factor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_factor(b, a % b) }
}

/// What is left of `series` without its mean at every phase of `period`.
pub(super) fn without(series: &[f64], period: f64) -> Vec<f64> {
    let phases = (period.round() as usize).max(1);
    let phase = |row: usize| ((row as f64 % period) as usize).min(phases - 1);
    let mut sums = vec![(0.0, 0.0); phases];
    for (row, value) in series.iter().enumerate() {
        let sum = &mut sums[phase(row)];
        *sum = (sum.0 + value, sum.1 + 1.0);
    }
    series.iter().enumerate().map(|(row, value)| value - sums[phase(row)].0 / sums[phase(row)].1).collect()
}

/// The first lag, past where the autocorrelation falls below zero, at which it is nearly the highest again.
fn candidate(centred: &[f64]) -> Option<usize> {
    let covariance = autocovariance(centred, centred.len() / MIN_CYCLES + 1);
    let below = covariance.iter().position(|&value| value < 0.0)?;
    let after = &covariance[below..];
    let highest = after.iter().copied().fold(0.0, f64::max);
    if highest <= 0.0 {
        return None;
    }
    // The top of the first hill that is nearly as high as the highest.
    let start = after.iter().position(|&value| value >= 0.7 * highest)?;
    let hill = after[start..].iter().take_while(|&&value| value > 0.0);
    let top = hill.enumerate().max_by(|a, b| a.1.total_cmp(b.1))?.0;
    Some(below + start + top).filter(|&lag| lag >= MIN_PERIOD)
}

/// The periodogram at `frequency`, in cycles a row.
fn power(centred: &[f64], frequency: f64) -> f64 {
    let (sin, cos) = (TAU * frequency).sin_cos();
    // Goertzel's recurrence.
    let (mut last, mut before) = (0.0, 0.0);
    for value in centred {
        (last, before) = (value + 2.0 * cos * last - before, last);
    }
    let (re, im) = (last - before * cos, before * sin);
    (re * re + im * im) / centred.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lcg, autoregressive};

    fn wave(rows: usize, period: f64, amplitude: f64, seed: u64) -> Vec<f64> {
        let mut random = Lcg::new(seed);
        (0..rows).map(|row| amplitude * (TAU * row as f64 / period).sin() + random.normal()).collect()
    }

    #[test]
    fn a_daily_wave_is_found_and_timed() {
        for (rows, period, amplitude) in [(10_000, 1_440.0, 1.0), (10_000, 24.0, 0.5), (3_000, 97.3, 1.0)] {
            for seed in 0..5 {
                let found = find(&wave(rows, period, amplitude, seed)).unwrap();
                assert!((found / period - 1.0).abs() < 0.01, "{found} for {period}");
            }
        }
        // One busy hour a day has harmonics as strong as the day itself.
        let mut random = Lcg::new(9);
        let peaks: Vec<f64> = (0..10_000).map(|row| if row % 240 < 10 { 5.0 } else { 0.0 } + random.normal()).collect();
        assert!((find(&peaks).unwrap() / 240.0 - 1.0).abs() < 0.01);
    }

    #[test]
    fn noise_and_wandering_have_no_period() {
        for seed in 0..20 {
            for phi in [0.0, 0.8, 0.99] {
                assert_eq!(find(&autoregressive(&mut Lcg::new(seed), 5_000, phi)), None, "{phi} {seed}");
            }
        }
        assert_eq!(find(&[]), None);
        assert_eq!(find(&[1.0; 300]), None);
    }

    #[test]
    fn without_its_period_a_wave_is_noise() {
        let left = without(&wave(10_000, 1_440.0, 3.0, 4), 1_440.0);
        let variance = left.iter().map(|x| x * x).sum::<f64>() / left.len() as f64;
        // A share of one in seven goes with the mean of seven days.
        assert!((variance - 6.0 / 7.0).abs() < 0.05, "{variance}");
    }
}
