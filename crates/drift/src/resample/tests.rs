//! How histories are drawn from.

use super::*;
use crate::testing::{Lcg, autoregressive};

fn choose(series: &[f64]) -> Blocks {
    dependence(&[series])[0].blocks
}

#[test]
fn blocks_follow_the_dependence_of_the_rows() {
    let mut random = Lcg::new(1);
    let independent = choose(&random.normals(10_000, 0.0, 1.0));
    assert!(independent.length <= 16 && independent.reason == Reason::Autocorrelation, "{independent:?}");
    let dependent = choose(&autoregressive(&mut random, 10_000, 0.8));
    assert!((90..200).contains(&dependent.length), "{dependent:?}");
    let few = choose(&random.normals(150, 0.0, 1.0));
    assert_eq!((few.length, few.reason), (1, Reason::TooShort));
    assert_eq!(choose(&[2.0; 500]).reason, Reason::Constant);
    assert_eq!(choose(&[]).reason, Reason::TooShort);
}

#[test]
fn what_is_drawn_has_the_rows_asked_for_and_repeats_with_its_seed() {
    let mut ranges = Vec::new();
    for period in [None, Some(96.4)] {
        let blocks = Blocks { rows: 1_000, length: 30, period, reason: Reason::Periodic };
        for (seed, count) in [(1, 0), (2, 1), (3, 29), (4, 5_000)] {
            Resampler::new(blocks, seed, 0).draw(count, false, &mut ranges);
            assert_eq!(ranges.iter().map(Range::len).sum::<usize>(), count);
            assert!(ranges.iter().all(|range| range.start < range.end && range.end <= 1_000));
            let first = ranges.clone();
            Resampler::new(blocks, seed, 0).draw(count, false, &mut ranges);
            assert_eq!(first, ranges);
            Resampler::new(blocks, seed, 1).draw(count, false, &mut ranges);
            assert!(count < 2 || first != ranges);
        }
    }
}

#[test]
fn blocks_of_a_periodic_history_keep_their_phase() {
    let period = 96.4;
    let blocks = Blocks { rows: 2_000, length: 30, period: Some(period), reason: Reason::Periodic };
    let mut ranges = Vec::new();
    Resampler::new(blocks, 5, 0).draw(10_000, true, &mut ranges);
    let mut at = 0;
    for range in ranges {
        let apart = (range.start as f64 - at as f64).rem_euclid(period);
        assert!(apart.min(period - apart) <= 0.5, "{range:?} at {at}");
        at += range.len();
    }
}

#[test]
fn drawn_means_vary_as_means_of_the_stream_do() {
    // AR(1) with φ = 0.8: the variance of a mean of n rows is 9·variance/n.
    let series = autoregressive(&mut Lcg::new(6), 20_000, 0.8);
    let mean = series.iter().sum::<f64>() / 20_000.0;
    let variance = series.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
    let (mut squares, mut ranges) = (0.0, Vec::new());
    let mut resampler = Resampler::new(choose(&series), 7, 0);
    for _ in 0..400 {
        resampler.draw(2_000, false, &mut ranges);
        let sum: f64 = ranges.iter().flat_map(|range| &series[range.clone()]).sum();
        squares += (sum / 2_000.0 - mean).powi(2);
    }
    let inflation = squares / 400.0 * 2_000.0 / variance;
    assert!((7.0..11.0).contains(&inflation), "{inflation}");
}
