//! Measures the calibrated windowed test: `cargo run --release -p driftmill-drift --example window_alpha [seeds]`. Every seed
//! has a history and a window that history has not seen.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use driftmill_drift::{
    binner::Binner,
    calibration::{Feature, Settings, Test, calibrate},
    column::{Column, binned},
    fdr, ks,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use std::{f64::consts::TAU, time::Instant};

const FEATURES: usize = 20;

fn normal(random: &mut ChaCha8Rng) -> f64 {
    let mut uniform = || ((random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    (-2.0 * uniform().ln()).sqrt() * (TAU * uniform()).cos()
}

/// Columns of one stream: AR(1) with correlation `phi` along the rows and `rho` between the features.
fn columns(random: &mut ChaCha8Rng, rows: usize, phi: f64, rho: f64) -> Vec<Vec<f64>> {
    let mut stream = |rows: usize| {
        let mut state = normal(random);
        let noise = (1.0 - phi * phi).sqrt();
        (0..rows)
            .map(|_| {
                state = phi * state + noise * normal(random);
                state
            })
            .collect::<Vec<f64>>()
    };
    let common = stream(rows);
    (0..FEATURES)
        .map(|_| {
            stream(rows)
                .iter()
                .zip(&common)
                .map(|(own, common)| rho.sqrt() * common + (1.0 - rho).sqrt() * own)
                .collect()
        })
        .collect()
}

fn binner(history: &[f64]) -> Binner {
    let mut sorted = history.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quantiles = (1..1_024).map(|i| sorted[i * (sorted.len() - 1) / 1_024]);
    let mut edges = vec![sorted[0].next_down()];
    edges.extend(quantiles.chain([sorted[sorted.len() - 1]]));
    edges.dedup();
    Binner::new(&edges)
}

/// Runs a case over seeds and prints the share of windows with a significant feature, at the configured level and at the
/// calibrated one.
fn case(name: &str, seeds: u64, (rows, window): (usize, usize), (phi, rho): (f64, f64), settings: Option<&Settings>) {
    let (mut plain, mut calibrated) = (0, 0);
    let (mut alphas, mut predicted, mut length, mut seconds) = (Vec::new(), 0.0, 0.0, 0.0);
    for seed in 0..seeds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // What lies between history and window makes them independent.
        let history = columns(&mut random, rows, phi, rho);
        let live = columns(&mut random, window, phi, rho);
        let binners: Vec<Binner> = history.iter().map(|column| binner(column)).collect();
        let bins: Vec<Vec<u16>> = binners.iter().zip(&history).map(|(binner, column)| binned(binner, column)).collect();
        let features: Vec<Feature<'_>> = binners
            .iter()
            .zip(&bins)
            .map(|(binner, rows)| Feature { column: Column { rows, bins: binner.bins() }, test: Test::Ks })
            .collect();
        let p: Vec<f64> = (0..FEATURES)
            .map(|index| {
                let counts = features[index].column.counts();
                let mut cells = vec![0u32; binners[index].bins()];
                live[index].iter().for_each(|&value| cells[binners[index].bin(value)] += 1);
                let d = ks::bounds(&counts[..cells.len()], &cells, |_| false).unwrap().low;
                // The exact p-value of a thousand windows would take minutes.
                if rows * window <= 200_000 {
                    ks::p_value(d, rows as u64, window as u64)
                } else {
                    ks::p_asymptotic(d, rows as u64, window as u64)
                }
            })
            .collect();
        let smallest = fdr::benjamini_hochberg(&p).into_iter().fold(1.0, f64::min);
        plain += u32::from(smallest < 0.05);
        if let Some(settings) = settings {
            let started = Instant::now();
            let calibration = calibrate(&features, window, seed, settings).unwrap();
            seconds += started.elapsed().as_secs_f64();
            calibrated += u32::from(smallest < calibration.alpha);
            alphas.push(calibration.alpha);
            predicted += calibration.uncalibrated_rate;
            length += calibration.blocks.length as f64;
        }
    }
    alphas.sort_by(f64::total_cmp);
    let n = seeds as f64;
    let alpha = alphas.get(alphas.len() / 2).copied().unwrap_or(0.05);
    println!(
        "| {name} | {rows} v {window} | {:.4} | {:.4} | {:.4} | {alpha:.2e} | {:.0} | {:.3} |",
        f64::from(plain) / n,
        predicted / n,
        f64::from(calibrated) / n,
        length / n,
        seconds / n
    );
}

fn main() {
    let seeds = std::env::args().nth(1).map_or(1_000, |seeds| seeds.parse().unwrap());
    let settings = Settings { replicates: 199, ..Settings::default() };
    println!("{settings:?}, {FEATURES} features, {seeds} seeds\n");
    println!(
        "| rows | history v window | false alarms at .05 | predicted | calibrated | median alpha | block | seconds |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    case("independent, not calibrated", seeds, (10_000, 1_300), (0.0, 0.0), None);
    case("independent", seeds, (5_000, 500), (0.0, 0.0), Some(&settings));
    case("AR(1) 0.8", seeds, (5_000, 500), (0.8, 0.0), Some(&settings));
    case("AR(1) 0.8, correlated features", seeds, (5_000, 500), (0.8, 0.5), Some(&settings));
    case("AR(1) 0.8", seeds.div_ceil(5), (10_000, 1_000), (0.8, 0.0), Some(&settings));
}
