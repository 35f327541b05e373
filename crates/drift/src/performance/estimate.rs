//! Confidence-based performance estimation: what to expect of answers that have no labels yet.
//!
//! Row i is of class t with the calibrated share q(i, t), so the expected confusion matrix is C(t, a) = Σ q(i, t) over the rows
//! answered a, and every metric is taken of it. To first order a metric changes by g(i, t) when row i turns out to be of class
//! t. Two things may be otherwise than expected, and both are in the interval:
//!
//! * the labels, given the shares: the variance of a Poisson–multinomial sum, Σ_i Var_{t ~ q(i)} g(i, t);
//! * the shares, learned from so few rows: Σ over the calibrator's parameters, derivative² × variance of the parameter.
//!
//! So the interval covers what will be *measured* on the same rows, unless the meaning of the probabilities changed since
//! (concept drift), which nothing here can see.

use super::{
    auc,
    calibrator::{Calibrator, Influence},
    error::{Error, check_alpha},
    figure::{Figure, Metric, Performance, Source, quantile},
    matrix,
    probabilities::Probabilities,
};
use std::collections::BTreeMap;

/// The least probability that a loss is taken of.
pub(crate) const LEAST_PROBABILITY: f64 = 1e-15;

/// Estimates the performance of `answers` given with `probabilities`. F1 and AUC are those of class 1 of two classes; the log
/// loss is that of the model's own probabilities.
///
/// # Errors
/// Another number of answers or classes, or an alpha that is none.
pub fn estimate(
    calibrator: &Calibrator,
    probabilities: &Probabilities,
    answers: &[usize],
    alpha: f64,
) -> Result<Performance, Error> {
    check_alpha(alpha)?;
    calibrator.validate()?;
    probabilities.check(answers, "answers")?;
    let classes = probabilities.classes();
    if calibrator.classes != classes {
        return Err(Error::OtherClasses { ours: calibrator.classes, others: classes });
    }
    let window = Window::new(calibrator, probabilities);
    let z = quantile(alpha);
    let mut figures = BTreeMap::new();
    for linear in matrix::metrics(&window.expected_matrix(answers), classes) {
        let error = window.error(|row, worth| {
            worth.iter_mut().enumerate().for_each(|(t, worth)| *worth = linear.slopes[t * classes + answers[row]]);
        });
        figures.insert(linear.metric, Figure::normal(linear.value, error, z, (0.0, 1.0)));
    }
    if !answers.is_empty() {
        let rows = answers.len() as f64;
        let losses = |row: usize, worth: &mut [f64]| {
            let own = probabilities.row(row);
            worth.iter_mut().zip(own).for_each(|(worth, own)| *worth = -own.max(LEAST_PROBABILITY).ln() / rows);
        };
        figures.insert(
            Metric::LogLoss,
            Figure::normal(window.mean(losses), window.error(losses), z, (0.0, f64::INFINITY)),
        );
    }
    if classes == 2 {
        let column = |of: &dyn Fn(usize) -> f64| (0..answers.len()).map(of).collect::<Vec<f64>>();
        let scores = column(&|row| probabilities.row(row)[1]);
        if let Some((area, slopes)) = auc::expected(&scores, &column(&|row| window.shares(row)[1])) {
            let error = window.error(|row, worth| worth.copy_from_slice(&[0.0, slopes[row]]));
            figures.insert(Metric::RocAuc, Figure::normal(area, error, z, (0.0, 1.0)));
        }
    }
    Ok(Performance { source: Source::Estimated, rows: answers.len() as u64, alpha, figures })
}

/// The rows of a window with their calibrated shares.
struct Window<'a> {
    calibrator: &'a Calibrator,
    /// The model's probabilities as the curves take them.
    sharpened: Vec<f64>,
    shares: Vec<f64>,
    /// What the curves' values of each row were divided by.
    sums: Vec<f64>,
}

impl<'a> Window<'a> {
    fn new(calibrator: &'a Calibrator, probabilities: &'a Probabilities) -> Self {
        let (rows, classes) = (probabilities.rows(), probabilities.classes());
        let mut shares = vec![0.0; rows * classes];
        let sharpened = calibrator.sharpened(probabilities);
        let each = sharpened.chunks_exact(classes).zip(shares.chunks_exact_mut(classes));
        let sums = each.map(|(row, shares)| calibrator.calibrate_into(row, shares)).collect();
        Self { calibrator, sharpened, shares, sums }
    }

    fn shares(&self, row: usize) -> &[f64] {
        let classes = self.calibrator.classes;
        &self.shares[row * classes..(row + 1) * classes]
    }

    fn expected_matrix(&self, answers: &[usize]) -> Vec<f64> {
        let classes = self.calibrator.classes;
        let mut cells = vec![0.0; classes * classes];
        for (row, answer) in answers.iter().enumerate() {
            self.shares(row).iter().enumerate().for_each(|(truth, share)| cells[truth * classes + answer] += share);
        }
        cells
    }

    /// The sum over the rows of what each is expected to be worth; `worth` writes the worth of a row by its class.
    fn mean(&self, worth: impl Fn(usize, &mut [f64])) -> f64 {
        let mut by_class = vec![0.0; self.calibrator.classes];
        let expected = |row| {
            worth(row, &mut by_class);
            dot(self.shares(row), &by_class)
        };
        (0..self.sums.len()).map(expected).sum()
    }

    /// The standard error of that sum, from the labels and from the calibration.
    fn error(&self, worth: impl Fn(usize, &mut [f64])) -> f64 {
        let mut by_class = vec![0.0; self.calibrator.classes];
        let mut influence = Influence::new(self.calibrator);
        let mut labels = 0.0;
        for (row, &sum) in self.sums.iter().enumerate() {
            worth(row, &mut by_class);
            let mean = dot(self.shares(row), &by_class);
            let spread = self.shares(row).iter().zip(&by_class).map(|(share, worth)| share * (worth - mean).powi(2));
            labels += spread.sum::<f64>();
            let classes = by_class.len();
            influence.add(&self.sharpened[row * classes..(row + 1) * classes], &by_class, mean, sum);
        }
        (labels + influence.variance()).sqrt()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
