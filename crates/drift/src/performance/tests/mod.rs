//! Behaviours, on made data whose truth is known.

mod calibrating;
mod estimating;
mod judging;
mod measuring;

use super::{Calibrator, ClassCounts, Metric, Performance, Probabilities, estimate};
use crate::testing::Lcg;

pub(super) const ALPHA: f64 = 0.05;

/// Rows of a made classifier.
pub(super) struct Rows {
    pub(super) probabilities: Probabilities,
    pub(super) answers: Vec<usize>,
    pub(super) truths: Vec<usize>,
}

impl Rows {
    pub(super) fn estimate(&self, calibrator: &Calibrator) -> Performance {
        estimate(calibrator, &self.probabilities, &self.answers, ALPHA).unwrap()
    }

    pub(super) fn calibrator(&self) -> Calibrator {
        Calibrator::learn(&self.probabilities, &self.truths).unwrap()
    }

    pub(super) fn counts(&self) -> ClassCounts {
        let mut counts = ClassCounts::new(self.probabilities.classes()).unwrap();
        counts.count(&self.probabilities, &self.answers, &self.truths).unwrap();
        counts
    }

    pub(super) fn measured(&self) -> Performance {
        self.counts().performance(ALPHA).unwrap()
    }
}

fn draw(random: &mut Lcg, shares: &[f64]) -> usize {
    let mut left = random.next().unwrap();
    for (class, share) in shares.iter().enumerate() {
        left -= share;
        if left < 0.0 {
            return class;
        }
    }
    shares.len() - 1
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let powers: Vec<f64> = scores.iter().map(|score| score.exp()).collect();
    powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect()
}

/// Rows of `classes` whose log odds are normal with deviation `spread`: the smaller, the harder they are. The model says what
/// is true if `sureness` is 1, and is too sure of itself above.
pub(super) fn rows(random: &mut Lcg, count: usize, classes: usize, spread: f64, sureness: f64) -> Rows {
    let (mut said, mut truths) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let scores = random.normals(classes, 0.0, spread);
        truths.push(draw(random, &softmax(&scores)));
        said.extend(softmax(&scores.iter().map(|score| sureness * score).collect::<Vec<f64>>()));
    }
    let probabilities = Probabilities::new(classes, &said).unwrap();
    Rows { answers: probabilities.most_probable(), probabilities, truths }
}

pub(super) fn value(performance: &Performance, metric: Metric) -> f64 {
    performance.figures[&metric].value
}
