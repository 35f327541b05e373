//! Estimated performance beside the measured one, and beside NannyML's estimate:
//! `cargo run --release -p driftmill-drift --example performance FOLDER [chunks]`, FOLDER being what `performance_peer.py`
//! wrote. With `chunks` every chunk has a line, otherwise only the mean absolute errors are shown.
#![allow(clippy::unwrap_used)]

use driftmill_drift::performance::{
    Calibrator, ClassCounts, LossTable, Metric, Performance, Probabilities, ValueCounts, error_of_estimate, estimate,
};
use std::{collections::BTreeMap, fs, path::Path};

const ALPHA: f64 = 0.05;

/// Rows of a chunk: truths, answers and, of a classifier, probabilities row after row.
#[derive(Default)]
struct Rows {
    truths: Vec<f64>,
    answers: Vec<f64>,
    probabilities: Vec<f64>,
}

/// What is stored with a model.
enum Learned {
    Classes(Calibrator),
    Values(LossTable),
}

impl Rows {
    fn probabilities(&self) -> Probabilities {
        Probabilities::new(self.probabilities.len() / self.truths.len(), &self.probabilities).unwrap()
    }

    fn learn(&self) -> Learned {
        if self.probabilities.is_empty() {
            return Learned::Values(LossTable::learn(&self.answers, &self.truths).unwrap());
        }
        Learned::Classes(Calibrator::learn(&self.probabilities(), &classes(&self.truths)).unwrap())
    }

    fn estimate(&self, learned: &Learned) -> Performance {
        match learned {
            Learned::Classes(learned) => estimate(learned, &self.probabilities(), &classes(&self.answers), ALPHA),
            Learned::Values(learned) => learned.estimate(&self.answers, ALPHA),
        }
        .unwrap()
    }

    fn measured(&self) -> Performance {
        if self.probabilities.is_empty() {
            let mut counts = ValueCounts::default();
            counts.count(&self.answers, &self.truths).unwrap();
            return counts.performance(ALPHA).unwrap();
        }
        let probabilities = self.probabilities();
        let mut counts = ClassCounts::new(probabilities.classes()).unwrap();
        counts.count(&probabilities, &classes(&self.answers), &classes(&self.truths)).unwrap();
        counts.performance(ALPHA).unwrap()
    }
}

fn classes(column: &[f64]) -> Vec<usize> {
    column.iter().map(|&class| class as usize).collect()
}

/// The rows of a table by chunk; chunk -1 is the reference.
fn read(path: &Path) -> BTreeMap<i64, Rows> {
    let mut chunks: BTreeMap<i64, Rows> = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap().lines().skip(1) {
        let fields: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        let rows = chunks.entry(fields[0] as i64).or_default();
        rows.truths.push(fields[1]);
        rows.answers.push(fields[2]);
        rows.probabilities.extend(&fields[3..]);
    }
    chunks
}

/// What the peer estimated, by chunk and metric.
fn read_peer(path: &Path) -> BTreeMap<(i64, String), f64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        Some(((fields[0].parse().ok()?, fields[1].to_owned()), fields[2].parse().ok()?))
    };
    text.lines().skip(1).filter_map(line).collect()
}

#[derive(Default)]
struct Errors {
    ours: f64,
    theirs: f64,
    chunks: u32,
    compared: u32,
    covered: u32,
}

fn main() {
    let folder = std::env::args().nth(1).expect("the folder that performance_peer.py wrote to");
    let each = std::env::args().nth(2).is_some();
    println!("| data | metric | chunks | mean abs. error, ours | NannyML | measured within our interval |");
    println!("|---|---|---|---|---|---|");
    for name in ["car_loan", "california", "employment", "three_classes", "car_price"] {
        let path = Path::new(&folder).join(format!("{name}.csv"));
        if !path.exists() {
            continue;
        }
        let mut chunks = read(&path);
        let peer = read_peer(&Path::new(&folder).join(format!("{name}.peer.csv")));
        let reference = chunks.remove(&-1).unwrap();
        let learned = reference.learn();
        let mut all: BTreeMap<Metric, Errors> = BTreeMap::new();
        for (chunk, rows) in &chunks {
            for (metric, error) in error_of_estimate(&rows.estimate(&learned), &rows.measured()) {
                // What NannyML calls F1 of several classes is the macro mean.
                let theirs = match metric {
                    Metric::MacroF1 if name == "three_classes" => peer.get(&(*chunk, "f1".to_owned())),
                    metric => peer.get(&(*chunk, metric.name().to_owned())),
                };
                let sum = all.entry(metric).or_default();
                sum.ours += error.error.abs();
                sum.chunks += 1;
                sum.covered += u32::from(error.covered);
                if let Some(theirs) = theirs {
                    sum.theirs += (theirs - error.measured.value).abs();
                    sum.compared += 1;
                }
                if each {
                    let (estimated, measured) = (error.estimated, error.measured);
                    println!(
                        "{name} {chunk} {}: {:.4} ({:.4}–{:.4}), measured {:.4}, NannyML {}",
                        metric.name(),
                        estimated.value,
                        estimated.low,
                        estimated.high,
                        measured.value,
                        theirs.map_or("–".to_owned(), |value| format!("{value:.4}")),
                    );
                }
            }
        }
        for (metric, sum) in &all {
            let theirs = match sum.compared {
                0 => "–".to_owned(),
                compared => format!("{:.4}", sum.theirs / f64::from(compared)),
            };
            let ours = sum.ours / f64::from(sum.chunks);
            println!("| {name} | {} | {} | {ours:.4} | {theirs} | {} |", metric.name(), sum.chunks, sum.covered);
        }
    }
}
