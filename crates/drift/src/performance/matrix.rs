//! Metrics of a confusion matrix, and how they change with each of its cells.
//!
//! A matrix of `n` classes has `n·n` cells, truths down and answers across: cell `truth·n + answer`. Cells may be expected
//! counts.

use super::figure::Metric;

/// A class is taken to occur from half a row on: expected counts are never exactly 0.
const OCCURS: f64 = 0.5;

/// A metric and its derivative by each cell, at unchanged other cells. As no metric changes when all cells grow alike, the
/// derivatives weighted by the cells sum to 0.
pub(crate) struct Linear {
    pub(crate) metric: Metric,
    pub(crate) value: f64,
    pub(crate) slopes: Vec<f64>,
    /// Rows that the value rests on: all, or those that class 1 occurs in.
    pub(crate) rows: f64,
}

/// The metrics that the matrix defines; none without rows.
pub(crate) fn metrics(cells: &[f64], classes: usize) -> Vec<Linear> {
    let total: f64 = cells.iter().sum();
    if total <= 0.0 {
        return Vec::new();
    }
    let right: f64 = (0..classes).map(|class| cells[class * classes + class]).sum();
    let accuracy = right / total;
    let slopes = each_cell(classes, |truth, answer| (f64::from(truth == answer) - accuracy) / total);
    let mut all = vec![Linear { metric: Metric::Accuracy, value: accuracy, slopes, rows: total }];

    let f1: Vec<F1> = (0..classes).map(|class| F1::of(cells, classes, class)).collect();
    let occurring: Vec<&F1> = f1.iter().filter(|f1| f1.occurs()).collect();
    if classes == 2 && f1[1].occurs() {
        let slopes = each_cell(classes, |truth, answer| f1[1].slope(truth, answer));
        let rows = cells[1] + cells[2] + cells[3];
        all.push(Linear { metric: Metric::F1, value: f1[1].value, slopes, rows });
    }
    let weighted = f1.iter().map(|f1| f1.truths * f1.value).sum::<f64>() / total;
    let slopes = each_cell(classes, |truth, answer| {
        let own: f64 = changed(truth, answer).map(|class| f1[class].truths * f1[class].slope(truth, answer)).sum();
        (own + f1[truth].value - weighted) / total
    });
    all.push(Linear { metric: Metric::WeightedF1, value: weighted, slopes, rows: total });
    if !occurring.is_empty() {
        let n = occurring.len() as f64;
        let value = occurring.iter().map(|f1| f1.value).sum::<f64>() / n;
        let slopes = each_cell(classes, |truth, answer| {
            let occurring = changed(truth, answer).filter(|&class| f1[class].occurs());
            occurring.map(|class| f1[class].slope(truth, answer)).sum::<f64>() / n
        });
        all.push(Linear { metric: Metric::MacroF1, value, slopes, rows: total });
    }
    all
}

fn each_cell(classes: usize, slope: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..classes * classes).map(|cell| slope(cell / classes, cell % classes)).collect()
}

/// The classes whose F1 a cell has a part in.
fn changed(truth: usize, answer: usize) -> impl Iterator<Item = usize> {
    [Some(truth), (answer != truth).then_some(answer)].into_iter().flatten()
}

/// 2·hits / (truths + answers) of one class.
struct F1 {
    class: usize,
    truths: f64,
    both: f64,
    value: f64,
}

impl F1 {
    fn of(cells: &[f64], classes: usize, class: usize) -> Self {
        let truths: f64 = cells[class * classes..(class + 1) * classes].iter().sum();
        let answers: f64 = (0..classes).map(|truth| cells[truth * classes + class]).sum();
        let both = truths + answers;
        let value = if both > 0.0 { 2.0 * cells[class * classes + class] / both } else { 0.0 };
        Self { class, truths, both, value }
    }

    fn occurs(&self) -> bool {
        self.both >= OCCURS
    }

    fn slope(&self, truth: usize, answer: usize) -> f64 {
        if self.both <= 0.0 {
            return 0.0;
        }
        let (in_truth, in_answer) = (f64::from(truth == self.class), f64::from(answer == self.class));
        (2.0 * in_truth * in_answer - self.value * (in_truth + in_answer)) / self.both
    }
}
