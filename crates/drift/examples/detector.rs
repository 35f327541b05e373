//! Measures the detector: `cargo run --release -p driftmill-drift --example detector [seeds]`. Every seed has a history of its
//! own, from which reference, scores and thresholds are made, and streams that history has not seen.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use driftmill_drift::{
    binner::Binner,
    column::{Column, binned},
    detector::{Calibration, Cusum, Direction, Scores, Settings, Sums, calibrate},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use std::{f64::consts::TAU, time::Instant};

/// A stream without end.
struct Stream {
    random: ChaCha8Rng,
    kind: Kind,
    row: u64,
    state: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Normal,
    Lognormal,
    Sine,
    Autoregressive(f64),
}

impl Stream {
    fn new(kind: Kind, seed: u64) -> Self {
        let mut stream = Self { random: ChaCha8Rng::seed_from_u64(seed), kind, row: 0, state: 0.0 };
        stream.state = stream.normal();
        stream
    }

    fn normal(&mut self) -> f64 {
        let mut uniform = || ((self.random.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        (-2.0 * uniform().ln()).sqrt() * (TAU * uniform()).cos()
    }

    /// The next value, of a stream whose underlying normal variable is moved and scaled.
    fn next(&mut self, shift: f64, scale: f64) -> f64 {
        let noise = self.normal();
        self.row += 1;
        match self.kind {
            Kind::Normal => shift + scale * noise,
            Kind::Lognormal => (4.0 * (shift + scale * noise)).exp(),
            Kind::Sine => shift + scale * (noise + (TAU * self.row as f64 / 1_440.0).sin()),
            Kind::Autoregressive(phi) => {
                self.state = phi * self.state + (1.0 - phi * phi).sqrt() * noise;
                shift + scale * self.state
            }
        }
    }

    fn take(&mut self, rows: usize) -> Vec<f64> {
        (0..rows).map(|_| self.next(0.0, 1.0)).collect()
    }
}

/// A detector made from a history.
struct Fitted {
    binner: Binner,
    scores: Scores,
    calibration: Calibration,
    seconds: f64,
}

impl Fitted {
    fn new(history: &[f64], seed: u64, settings: &Settings) -> Self {
        let mut sorted = history.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantiles = (1..1_024).map(|i| sorted[i * (sorted.len() - 1) / 1_024]);
        let mut edges = vec![sorted[0].next_down()];
        edges.extend(quantiles.chain([sorted[sorted.len() - 1]]));
        edges.dedup();
        let binner = Binner::new(&edges);
        let rows = binned(&binner, history);
        let column = Column { rows: &rows, bins: binner.bins() };
        let started = Instant::now();
        let calibration = calibrate(&column, seed, settings).unwrap();
        let seconds = started.elapsed().as_secs_f64();
        let scores = Scores::new(&column.counts()[..binner.bins()]);
        Self { binner, scores, calibration, seconds }
    }

    fn scores(&self, value: f64) -> (f64, f64) {
        let bin = self.binner.bin(value);
        self.scores.z(bin).zip(self.scores.w(bin)).unwrap()
    }

    /// False alarms in `rows` rows, by direction, fed in panes of `pane` rows.
    fn false_alarms(&self, stream: &mut Stream, rows: usize, pane: usize) -> [usize; 4] {
        let (mut cusum, mut alarms) = (Cusum::default(), [0; 4]);
        for _ in 0..rows / pane {
            let mut sums = Sums::default();
            for _ in 0..pane {
                let (z, w) = self.scores(stream.next(0.0, 1.0));
                sums = Sums { n: sums.n + 1, z: sums.z + z, w: sums.w + w };
            }
            if let Some(alarm) = cusum.advance(&self.calibration.limits, &sums) {
                alarms[Direction::ALL.iter().position(|&side| side == alarm.direction).unwrap()] += 1;
                cusum.reset();
            }
        }
        alarms
    }

    /// Rows from a change to its alarm, after 2,000 rows without; `None` past 20,000.
    fn delay(&self, stream: &mut Stream, shift: f64, scale: f64) -> Option<(usize, u64)> {
        let (limits, mut cusum) = (&self.calibration.limits, Cusum::default());
        for _ in 0..2_000 {
            let (z, w) = self.scores(stream.next(0.0, 1.0));
            if cusum.update(limits, z, w).is_some() {
                cusum.reset();
            }
        }
        (1..=20_000).find_map(|row| {
            let (z, w) = self.scores(stream.next(shift, scale));
            cusum.update(limits, z, w).map(|alarm| (row, alarm.since))
        })
    }
}

/// Detectors of many seeds and the kind of their streams.
struct Many {
    name: String,
    kind: Kind,
    history: usize,
    fitted: Vec<Fitted>,
}

impl Many {
    fn new(name: &str, kind: Kind, history: usize, seeds: u64, settings: &Settings) -> Self {
        let fit = |seed| Fitted::new(&Stream::new(kind, 1_000 + seed).take(history), seed, settings);
        Self { name: name.to_owned(), kind, history, fitted: (0..seeds).map(fit).collect() }
    }

    fn false_alarms(&self, pane: usize) {
        let (mut by_side, mut worst) = ([0; 4], 0);
        for (seed, fitted) in (0..).zip(&self.fitted) {
            let alarms = fitted.false_alarms(&mut Stream::new(self.kind, 1_000_000 + seed), 100_000, pane);
            worst = worst.max(alarms.iter().sum());
            by_side.iter_mut().zip(alarms).for_each(|(sum, alarms)| *sum += alarms);
        }
        let seeds = self.fitted.len() as f64;
        let mean = |value: fn(&Fitted) -> f64| self.fitted.iter().map(value).sum::<f64>() / seeds;
        println!(
            "| {} | {} | {pane} | {:.2} | {by_side:?} | {worst} | {:.0} | {:?} | {:.3} | {:.1} {:.1} | {:.3} |",
            self.name,
            self.history,
            by_side.iter().sum::<usize>() as f64 / seeds,
            mean(|fitted| fitted.calibration.blocks.length as f64),
            self.fitted[0].calibration.blocks.period.map(f64::round),
            mean(|fitted| fitted.calibration.limits.k_location),
            mean(|fitted| fitted.calibration.limits.thresholds[0]),
            mean(|fitted| fitted.calibration.limits.thresholds[2]),
            mean(|fitted| fitted.seconds),
        );
    }

    fn delays(&self, shift: f64, scale: f64) {
        let (mut delays, mut since, mut missed) = (Vec::new(), Vec::new(), 0);
        for (seed, fitted) in (0..).zip(&self.fitted) {
            for stream in 0..6 {
                // Up as often as down.
                let shift = if stream % 2 == 0 { shift } else { -shift };
                match fitted.delay(&mut Stream::new(self.kind, 2_000_000 + 6 * seed + stream), shift, scale) {
                    Some((rows, estimate)) => {
                        delays.push(rows);
                        since.push(estimate.abs_diff(rows as u64));
                    }
                    None => missed += 1,
                }
            }
        }
        delays.sort_unstable();
        since.sort_unstable();
        let at = |share: f64| delays.get((share * delays.len() as f64) as usize).copied().unwrap_or(0);
        let error = since.get(since.len() / 2).copied().unwrap_or(0);
        let (name, history) = (&self.name, self.history);
        println!("| {name} | {history} | ±{shift} σ, × {scale} | {} | {} | {missed} | {error} |", at(0.5), at(0.9));
    }
}

const ALARMS: &str = "\n| stream | history | pane | false alarms/100k | by side, all seeds | most of one seed | block | period | k | \
                      thresholds | seconds |\n|---|---|---|---|---|---|---|---|---|---|---|";
const DELAYS: &str =
    "\n| stream | history | change | median delay | 90 % | missed | error of since |\n|---|---|---|---|---|---|---|";
const CHANGES: [(f64, f64); 5] = [(0.25, 1.0), (0.5, 1.0), (1.0, 1.0), (0.0, 2.0), (0.0, 0.5)];

fn main() {
    let seeds = std::env::args().nth(1).map_or(100, |seeds| seeds.parse().unwrap());
    let settings = Settings::default();
    println!("{settings:?}\n{ALARMS}");
    let mut kept = Vec::new();
    for (name, kind, history, seeds) in [
        ("N(0,1)", Kind::Normal, 10_000, 2 * seeds),
        ("N(0,1)", Kind::Normal, 20_000, seeds),
        ("lognormal(0,4)", Kind::Lognormal, 10_000, seeds),
        ("daily sine", Kind::Sine, 10_000, seeds),
        ("daily sine", Kind::Sine, 20_000, seeds),
        ("AR(1) 0.8", Kind::Autoregressive(0.8), 10_000, seeds),
        ("AR(1) 0.95", Kind::Autoregressive(0.95), 10_000, seeds),
        ("N(0,1)", Kind::Normal, 1_000, seeds),
        ("N(0,1)", Kind::Normal, 150, seeds),
    ] {
        let many = Many::new(name, kind, history, seeds, &settings);
        many.false_alarms(1);
        if history == 10_000 || history == 150 {
            kept.push(many);
        }
    }
    for pane in [50, 200] {
        kept[0].false_alarms(pane);
    }
    println!("{DELAYS}");
    for many in &kept {
        CHANGES.iter().for_each(|(shift, scale)| many.delays(*shift, *scale));
    }
    println!("\nThe trade-off: k of location, N(0,1), 10,000 rows of history{ALARMS}");
    for k_location in [0.08, 0.1, 0.135, 0.16, 0.2] {
        let settings = Settings { k_location, ..settings };
        let many = Many::new(&format!("k {k_location}"), Kind::Normal, 10_000, seeds, &settings);
        many.false_alarms(1);
        CHANGES[..3].iter().for_each(|(shift, scale)| many.delays(*shift, *scale));
    }
}
