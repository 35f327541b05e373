//! The log loss and its derivatives by score: logistic for two classes, softmax for any other number.

/// First and second derivative of one row's loss.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gradient {
    pub first: f64,
    pub second: f64,
}

/// How many scores a row has: one stands for two classes.
pub(super) fn n_outputs(n_classes: usize) -> usize {
    if n_classes == 2 { 1 } else { n_classes }
}

/// The scores that answer the class frequencies. A class that does not occur gets a tiny share instead of none, as a
/// score must be finite.
pub(super) fn baseline(labels: impl Iterator<Item = usize>, n_classes: usize) -> Vec<f64> {
    let mut counts = vec![0_u64; n_classes];
    labels.for_each(|label| counts[label] += 1);
    let rows = counts.iter().sum::<u64>() as f64;
    let share = |count: u64| (count as f64 / rows).clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    if n_classes == 2 {
        let positive = share(counts[1]);
        vec![(positive / (1.0 - positive)).ln()]
    } else {
        counts.into_iter().map(|count| share(count).ln()).collect()
    }
}

/// Derivatives of every row by each output's score: output × rows.
pub(super) fn gradients(scores: &[Vec<f64>], targets: &[u32]) -> Vec<Vec<Gradient>> {
    let gradient = |probability: f64, hit: bool| Gradient {
        first: probability - f64::from(u8::from(hit)),
        second: probability * (1.0 - probability),
    };
    if let [scores] = scores {
        let row = |(&score, &target)| gradient(sigmoid(score), target == 1);
        return vec![scores.iter().zip(targets).map(row).collect()];
    }
    let mut gradients = vec![vec![Gradient::default(); targets.len()]; scores.len()];
    let mut row_scores = vec![0.0; scores.len()];
    for (row, &target) in targets.iter().enumerate() {
        gather(scores, row, &mut row_scores);
        softmax(&mut row_scores);
        for (output, &probability) in row_scores.iter().enumerate() {
            gradients[output][row] = gradient(probability, output == target as usize);
        }
    }
    gradients
}

/// Mean log loss; 0 for no rows.
pub(super) fn mean(scores: &[Vec<f64>], targets: &[u32]) -> f64 {
    let mut row_scores = vec![0.0; scores.len()];
    let loss = |(row, &target): (usize, &u32)| {
        if let [scores] = scores {
            let margin = if target == 1 { scores[row] } else { -scores[row] };
            // ln(1 + e^-m), without overflow.
            return (-margin.abs()).exp().ln_1p() + (-margin).max(0.0);
        }
        gather(scores, row, &mut row_scores);
        let highest = row_scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row_scores.iter().map(|score| (score - highest).exp()).sum();
        sum.ln() + highest - row_scores[target as usize]
    };
    targets.iter().enumerate().map(loss).sum::<f64>() / targets.len().max(1) as f64
}

/// 1 / (1 + e^-x).
pub(super) fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// Turns scores into probabilities in place.
pub(super) fn softmax(scores: &mut [f64]) {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - highest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn gather(scores: &[Vec<f64>], row: usize, into: &mut [f64]) {
    for (into, scores) in into.iter_mut().zip(scores) {
        *into = scores[row];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_differences_of_the_loss() {
        let step = 1e-4;
        for scores in [vec![vec![0.3]], vec![vec![0.1], vec![-0.7], vec![1.2]]] {
            let target = [1];
            let gradients = gradients(&scores, &target);
            for output in 0..scores.len() {
                let at = |shift: f64| {
                    let mut scores = scores.clone();
                    scores[output][0] += shift;
                    mean(&scores, &target)
                };
                let first = (at(step) - at(-step)) / (2.0 * step);
                let second = (at(step) - 2.0 * at(0.0) + at(-step)) / (step * step);
                assert!((gradients[output][0].first - first).abs() < 1e-7);
                assert!((gradients[output][0].second - second).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_baseline_answers_the_class_frequencies() {
        let score = baseline([0, 1, 1, 1].into_iter(), 2)[0];
        assert!((sigmoid(score) - 0.75).abs() < 1e-12);
        let mut scores = baseline([0, 1, 1, 2].into_iter(), 3);
        softmax(&mut scores);
        assert!((scores[1] - 0.5).abs() < 1e-12);
        assert!(baseline([1, 1].into_iter(), 2)[0].is_finite());
    }

    #[test]
    fn huge_scores_do_not_overflow() {
        let mut scores = [1e6, -1e6, 0.0];
        softmax(&mut scores);
        assert_eq!(scores, [1.0, 0.0, 0.0]);
        assert_eq!((sigmoid(1e6), sigmoid(-1e6)), (1.0, 0.0));
        assert!((mean(&[vec![-1e6]], &[1]) - 1e6).abs() < 1e-6);
    }
}
