//! What boosting minimises, with its derivatives by score. The log loss is logistic for two classes and softmax for any
//! other number; the score of a regression is its value.

use std::ops::Range;

use crate::{Error, Task};

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Of a classification: minus the logarithm of the true class's probability.
    LogLoss,
    /// Half the squared difference; the mean minimises it.
    SquaredError,
    /// The difference without its sign; the median minimises it.
    AbsoluteError,
    /// `alpha` times what a value is above the prediction, 1 - `alpha` times what it is below; the `alpha` quantile
    /// minimises it.
    Quantile,
}

/// First and second derivative of one row's loss.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gradient {
    pub first: f64,
    pub second: f64,
}

impl Gradient {
    /// The sums of each, without the sign of the other's.
    pub fn plus(self, other: Self) -> Self {
        Self { first: self.first + other.first.abs(), second: self.second + other.second }
    }

    pub fn times(self, weight: f64) -> Self {
        Self { first: self.first * weight, second: self.second * weight }
    }
}

/// Rows to judge: a target each (of a classification the class), and a weight each or none.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub targets: &'a [f64],
    pub weights: &'a [f64],
}

/// A loss that fits its task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Objective {
    LogLoss { n_classes: usize },
    SquaredError,
    AbsoluteError,
    Quantile(f64),
}

/// How many scores a row has: one stands for two classes.
pub(super) fn n_scores(task: Task) -> usize {
    match task {
        Task::Classification { n_classes: 2 } => 1,
        task => task.n_outputs(),
    }
}

impl Objective {
    pub fn new(loss: Option<Loss>, alpha: f64, task: Task) -> Result<Self, Error> {
        Ok(match (task, loss) {
            (Task::Classification { n_classes }, None | Some(Loss::LogLoss)) => Self::LogLoss { n_classes },
            (Task::Regression, None | Some(Loss::SquaredError)) => Self::SquaredError,
            (Task::Regression, Some(Loss::AbsoluteError)) => Self::AbsoluteError,
            (Task::Regression, Some(Loss::Quantile)) => Self::Quantile(alpha),
            (task, Some(_)) => return Err(Error::Conflict { parameter: "loss", with: task.name() }),
        })
    }

    /// The quantile that leaves answer instead of a Newton step: the second derivative of these losses is zero.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::AbsoluteError => Some(0.5),
            Self::Quantile(alpha) => Some(alpha),
            _ => None,
        }
    }

    /// The constant scores that are best. A class that does not occur gets a tiny share instead of none, as a score must be
    /// finite.
    pub fn baseline(self, rows: Rows<'_>) -> Vec<f64> {
        let weighted = || rows.targets.iter().enumerate().map(|(row, &target)| (target, rows.weight(row)));
        match self {
            Self::LogLoss { n_classes } => {
                let mut sums = vec![0.0; n_classes];
                weighted().for_each(|(label, weight)| sums[label as usize] += weight);
                let all: f64 = sums.iter().sum();
                let share = |sum: f64| (sum / all).clamp(f64::EPSILON, 1.0 - f64::EPSILON);
                if n_classes == 2 {
                    let positive = share(sums[1]);
                    vec![(positive / (1.0 - positive)).ln()]
                } else {
                    sums.into_iter().map(|sum| share(sum).ln()).collect()
                }
            }
            Self::SquaredError => {
                let (sum, all) =
                    weighted().fold((0.0, 0.0), |(sum, all), (y, weight)| (sum + weight * y, all + weight));
                vec![sum / all]
            }
            Self::AbsoluteError => vec![quantile(&mut weighted().collect::<Vec<_>>(), 0.5)],
            Self::Quantile(alpha) => vec![quantile(&mut weighted().collect::<Vec<_>>(), alpha)],
        }
    }

    /// Calls `put` with the derivatives of some rows by each score: the score's number, the row, the derivatives.
    pub fn gradients(
        self,
        scores: &[Vec<f64>],
        rows: Rows<'_>,
        range: Range<usize>,
        mut put: impl FnMut(usize, usize, Gradient),
    ) {
        match self {
            Self::LogLoss { .. } if scores.len() != 1 => softmax_gradients(scores, rows, range, put),
            Self::LogLoss { .. } => {
                each(scores, rows, range, &mut put, |score, label| probability_gradient(sigmoid(score), label == 1.0))
            }
            Self::SquaredError => {
                each(scores, rows, range, &mut put, |score, y| Gradient { first: score - y, second: 1.0 })
            }
            Self::AbsoluteError => each(scores, rows, range, &mut put, |score, y| Gradient {
                first: if score > y { 1.0 } else { -1.0 },
                second: 1.0,
            }),
            Self::Quantile(alpha) => each(scores, rows, range, &mut put, |score, y| Gradient {
                first: if score > y { 1.0 - alpha } else { -alpha },
                second: 1.0,
            }),
        }
    }

    /// Weighted mean of the loss; 0 for no rows.
    pub fn mean(self, scores: &[Vec<f64>], rows: Rows<'_>) -> f64 {
        let mut row_scores = vec![0.0; scores.len()];
        let mut loss = |row: usize, target: f64| match self {
            Self::LogLoss { .. } if scores.len() != 1 => {
                gather(scores, row, &mut row_scores);
                let highest = row_scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = row_scores.iter().map(|score| (score - highest).exp()).sum();
                sum.ln() + highest - row_scores[target as usize]
            }
            Self::LogLoss { .. } => {
                let margin = if target == 1.0 { scores[0][row] } else { -scores[0][row] };
                // ln(1 + e^-m), without overflow.
                (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
            }
            Self::SquaredError => (target - scores[0][row]).powi(2) / 2.0,
            Self::AbsoluteError => (target - scores[0][row]).abs(),
            Self::Quantile(alpha) => {
                let above = target - scores[0][row];
                if above > 0.0 { alpha * above } else { (alpha - 1.0) * above }
            }
        };
        let (mut sum, mut all) = (0.0, 0.0);
        for (row, &target) in rows.targets.iter().enumerate() {
            sum += rows.weight(row) * loss(row, target);
            all += rows.weight(row);
        }
        if all > 0.0 { sum / all } else { 0.0 }
    }
}

impl Rows<'_> {
    pub fn weight(self, row: usize) -> f64 {
        self.weights.get(row).copied().unwrap_or(1.0)
    }
}

/// The value below which a share of the weight lies; halfway to the next one where the share ends between two. `items`
/// are values with their weights, at least one, and are put in order.
pub(super) fn quantile(items: &mut [(f64, f64)], share: f64) -> f64 {
    items.sort_by(|a, b| a.0.total_cmp(&b.0));
    let target = share * items.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut below = 0.0;
    for pair in items.windows(2) {
        below += pair[0].1;
        // Sums of weights are exact only for whole numbers.
        if (below - target).abs() <= 1e-12 * target {
            return pair[0].0 / 2.0 + pair[1].0 / 2.0;
        }
        if below > target {
            return pair[0].0;
        }
    }
    items.last().map_or(0.0, |(value, _)| *value)
}

fn each(
    scores: &[Vec<f64>],
    rows: Rows<'_>,
    range: Range<usize>,
    put: &mut impl FnMut(usize, usize, Gradient),
    gradient: impl Fn(f64, f64) -> Gradient,
) {
    let pairs = scores[0][range.clone()].iter().zip(&rows.targets[range.clone()]);
    if rows.weights.is_empty() {
        pairs.zip(range).for_each(|((&score, &target), row)| put(0, row, gradient(score, target)));
        return;
    }
    let weighted = pairs.zip(&rows.weights[range.clone()]).zip(range);
    weighted.for_each(|(((&score, &target), &weight), row)| put(0, row, gradient(score, target).times(weight)));
}

fn probability_gradient(probability: f64, hit: bool) -> Gradient {
    Gradient { first: probability - f64::from(u8::from(hit)), second: probability * (1.0 - probability) }
}

fn softmax_gradients(
    scores: &[Vec<f64>],
    rows: Rows<'_>,
    range: Range<usize>,
    mut put: impl FnMut(usize, usize, Gradient),
) {
    let mut row_scores = vec![0.0; scores.len()];
    for row in range {
        gather(scores, row, &mut row_scores);
        softmax(&mut row_scores);
        let label = rows.targets[row] as usize;
        for (output, &probability) in row_scores.iter().enumerate() {
            put(output, row, probability_gradient(probability, output == label).times(rows.weight(row)));
        }
    }
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

    fn rows<'a>(targets: &'a [f64]) -> Rows<'a> {
        Rows { targets, weights: &[] }
    }

    #[test]
    fn derivatives_agree_with_differences_of_the_loss() {
        let step = 1e-4;
        let (two, three) = (Objective::LogLoss { n_classes: 2 }, Objective::LogLoss { n_classes: 3 });
        let (one, many) = (vec![vec![0.3]], vec![vec![0.1], vec![-0.7], vec![1.2]]);
        for (objective, scores) in [(two, one.clone()), (three, many), (Objective::SquaredError, one)] {
            let rows = Rows { targets: &[1.0], weights: &[1.0] };
            let mut gradients = vec![Gradient::default(); scores.len()];
            let weighted = Rows { targets: &[1.0], weights: &[3.0] };
            objective.gradients(&scores, weighted, 0..1, |output, _, gradient| gradients[output] = gradient);
            for output in 0..scores.len() {
                let at = |shift: f64| {
                    let mut scores = scores.clone();
                    scores[output][0] += shift;
                    3.0 * objective.mean(&scores, rows)
                };
                let first = (at(step) - at(-step)) / (2.0 * step);
                let second = (at(step) - 2.0 * at(0.0) + at(-step)) / (step * step);
                assert!((gradients[output].first - first).abs() < 1e-6);
                assert!((gradients[output].second - second).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn slopes_of_the_losses_with_a_corner_are_those_of_their_sides() {
        let slope = |objective: Objective, score: f64| {
            let mut slope = f64::NAN;
            objective.gradients(&[vec![score]], rows(&[1.0]), 0..1, |_, _, gradient| slope = gradient.first);
            slope
        };
        assert_eq!([0.0, 2.0].map(|score| slope(Objective::AbsoluteError, score)), [-1.0, 1.0]);
        assert_eq!([0.0, 2.0].map(|score| slope(Objective::Quantile(0.75), score)), [-0.75, 0.25]);
        assert_eq!(Objective::Quantile(0.75).mean(&[vec![0.0, 3.0]], rows(&[1.0, 1.0])), (0.75 + 0.5) / 2.0);
        assert_eq!(Objective::AbsoluteError.mean(&[vec![0.0, 3.0]], rows(&[1.0, 1.0])), 1.5);
    }

    #[test]
    fn the_baseline_answers_frequencies_means_and_quantiles() {
        let of = |objective: Objective, targets: &[f64], weights: &[f64]| objective.baseline(Rows { targets, weights });
        let (two, three) = (Objective::LogLoss { n_classes: 2 }, Objective::LogLoss { n_classes: 3 });
        assert!((sigmoid(of(two, &[0.0, 1.0, 1.0, 1.0], &[])[0]) - 0.75).abs() < 1e-12);
        assert!((sigmoid(of(two, &[0.0, 1.0], &[1.0, 4.0])[0]) - 0.8).abs() < 1e-12);
        let mut scores = of(three, &[0.0, 1.0, 1.0, 2.0], &[]);
        softmax(&mut scores);
        assert!((scores[1] - 0.5).abs() < 1e-12);
        assert!(of(two, &[1.0, 1.0], &[])[0].is_finite());
        assert_eq!(of(Objective::SquaredError, &[1.0, 4.0], &[2.0, 1.0]), [2.0]);
        assert_eq!(of(Objective::AbsoluteError, &[9.0, 1.0, 4.0], &[]), [4.0]);
    }

    #[test]
    fn a_weight_counts_like_repeated_values_in_a_quantile() {
        for share in [0.1, 0.25, 0.5, 0.8] {
            let mut weighted = [(5.0, 1.0), (1.0, 3.0), (2.0, 2.0), (7.0, 2.0)];
            let mut repeated = [1.0, 1.0, 1.0, 2.0, 2.0, 5.0, 7.0, 7.0].map(|value| (value, 1.0));
            assert_eq!(quantile(&mut weighted, share), quantile(&mut repeated, share));
        }
        assert_eq!(quantile(&mut [(1.0, 1.0), (3.0, 1.0)], 0.5), 2.0);
    }

    #[test]
    fn losses_of_the_other_task_are_refused() {
        let classes = Task::Classification { n_classes: 2 };
        assert!(Objective::new(Some(Loss::SquaredError), 0.5, classes).is_err());
        assert!(Objective::new(Some(Loss::LogLoss), 0.5, Task::Regression).is_err());
        assert_eq!(Objective::new(Some(Loss::Quantile), 0.2, Task::Regression).unwrap(), Objective::Quantile(0.2));
    }

    #[test]
    fn huge_scores_do_not_overflow() {
        let mut scores = [1e6, -1e6, 0.0];
        softmax(&mut scores);
        assert_eq!(scores, [1.0, 0.0, 0.0]);
        assert_eq!((sigmoid(1e6), sigmoid(-1e6)), (1.0, 0.0));
        let mean = Objective::LogLoss { n_classes: 2 }.mean(&[vec![-1e6]], rows(&[1.0]));
        assert!((mean - 1e6).abs() < 1e-6);
    }
}
