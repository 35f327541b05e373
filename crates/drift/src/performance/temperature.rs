//! How sure a model of many classes is of itself, in one number (temperature scaling, Guo et al. 2017).
//!
//! Curves of single classes take each probability for itself and are then scaled to sum to 1. With many classes they can mend a
//! model that is too sure only in part, so what all classes have in common is mended before: p becomes proportional to
//! p^sharpness, the most probable sharpness under a normal prior around 1.

use super::probabilities::Probabilities;

/// The standard deviation of the prior.
const SHARPNESS_SD: f64 = 1.0;
/// Less than that is taken for it: a class that a model rules out costs no more when it comes.
const LEAST_PROBABILITY: f64 = 1e-6;
const BOUNDS: (f64, f64) = (0.05, 20.0);
const MOST_STEPS: usize = 50;

/// Scales a row in place.
pub(crate) fn sharpen(row: &mut [f64], sharpness: f64) {
    row.iter_mut().for_each(|value| *value = value.max(LEAST_PROBABILITY).powf(sharpness));
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
}

/// The sharpness that fits the truths best, by Newton's method; 1 without rows.
pub(crate) fn fit(probabilities: &Probabilities, truths: &[usize]) -> f64 {
    let mut sharpness = 1.0;
    let mut row_now = vec![0.0; probabilities.classes()];
    for _ in 0..MOST_STEPS {
        let prior = 1.0 / (SHARPNESS_SD * SHARPNESS_SD);
        // Each row adds a rounded number: sorted, so that the order of the rows cannot matter.
        let (mut slopes, mut bends) = (vec![-prior * (sharpness - 1.0)], vec![prior]);
        for (row, &truth) in truths.iter().enumerate() {
            let own = probabilities.row(row);
            row_now.copy_from_slice(own);
            sharpen(&mut row_now, sharpness);
            let logarithm = |class: usize| own[class].max(LEAST_PROBABILITY).ln();
            let mean: f64 = row_now.iter().enumerate().map(|(class, share)| share * logarithm(class)).sum();
            let spread = row_now.iter().enumerate().map(|(class, share)| share * (logarithm(class) - mean).powi(2));
            slopes.push(logarithm(truth) - mean);
            bends.push(spread.sum());
        }
        let step = sum_sorted(slopes) / sum_sorted(bends);
        // The objective is concave; halving or doubling at most keeps a step that overshoots in reach.
        let next = (sharpness + step).clamp(sharpness / 2.0, sharpness * 2.0).clamp(BOUNDS.0, BOUNDS.1);
        let moved = f64::abs(next - sharpness);
        sharpness = next;
        if moved < 1e-9 {
            break;
        }
    }
    sharpness
}

fn sum_sorted(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.iter().sum()
}
