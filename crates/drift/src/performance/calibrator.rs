//! What a classifier's probabilities are worth.

use super::{error::Error, probabilities::Probabilities, temperature};
use serde::{Deserialize, Serialize};

pub use super::{
    curve::Curve,
    isotonic::{Isotonic, Knot},
    logistic::Logistic,
};

/// Knots of all curves together, three numbers each …
const KNOTS: usize = 120;
/// … but a curve may always have so many.
const LEAST_KNOTS: usize = 6;
/// More would show noise.
const MOST_KNOTS: usize = 40;

/// Curves from a model's probabilities to shares of rows, one for each class against the rest, scaled to sum to 1; two classes
/// need only that of class 1. Learned from rows that the model was not trained on, and stored with it: at most 360 numbers for
/// up to 20 classes, 18 for each class beyond.
///
/// A class with 50 rows, and as many of others, has an isotonic curve. With fewer it has a logistic one (Platt's) drawn towards
/// the identity, which without any rows is the identity. Where there are more than two classes, how sure the model is of itself
/// is mended for all of them before. The order of the rows changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibrator {
    /// Classes of the model.
    pub classes: usize,
    /// Rows it was learned from.
    pub rows: u64,
    /// The power that probabilities are raised to before their curves; 1 for two classes, whose curve needs none.
    pub sharpness: f64,
    /// The curve of each class; of two classes that of class 1 alone.
    pub curves: Vec<Curve>,
}

impl Calibrator {
    /// Learns from rows that judged the model.
    ///
    /// # Errors
    /// Not one truth for each row, or one that is no class.
    pub fn learn(probabilities: &Probabilities, truths: &[usize]) -> Result<Self, Error> {
        probabilities.check(truths, "truths")?;
        let classes = probabilities.classes();
        let sharpness = if classes == 2 { 1.0 } else { temperature::fit(probabilities, truths) };
        let sharpened = sharpened(probabilities, sharpness);
        let curved = if classes == 2 { 1..2 } else { 0..classes };
        let most = (KNOTS / curved.len()).clamp(LEAST_KNOTS, MOST_KNOTS);
        let curves = curved
            .map(|class| {
                let pairs = truths.iter().enumerate();
                let at = |row: usize| sharpened[row * classes + class];
                Curve::fit(pairs.map(|(row, &truth)| (at(row), truth == class)).collect(), most)
            })
            .collect();
        Ok(Self { classes, rows: truths.len() as u64, sharpness, curves })
    }

    /// What the probabilities of a row (one for each class, summing to 1) are worth; each above 0, summing to 1.
    pub fn calibrate(&self, row: &[f64]) -> Vec<f64> {
        let mut sharpened = row.to_vec();
        if self.sharpness != 1.0 {
            temperature::sharpen(&mut sharpened, self.sharpness);
        }
        let mut shares = vec![0.0; self.classes];
        self.calibrate_into(&sharpened, &mut shares);
        shares
    }

    /// The table of all rows as the curves take them.
    pub(crate) fn sharpened(&self, probabilities: &Probabilities) -> Vec<f64> {
        sharpened(probabilities, self.sharpness)
    }

    /// The shares of a row of that table. Returns what the curves' values were divided by.
    pub(crate) fn calibrate_into(&self, row: &[f64], shares: &mut [f64]) -> f64 {
        if let [curve] = &self.curves[..] {
            shares[1] = curve.value(row[1]);
            shares[0] = 1.0 - shares[1];
            return 1.0;
        }
        let values = self.curves.iter().zip(row).map(|(curve, &probability)| curve.value(probability));
        shares.iter_mut().zip(values).for_each(|(share, value)| *share = value);
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        sum
    }

    /// Checks what a stored calibrator must fulfil.
    ///
    /// # Errors
    /// What does not add up.
    pub fn validate(&self) -> Result<(), Error> {
        let curves = if self.classes == 2 { 1 } else { self.classes };
        if self.classes < 2 || self.curves.len() != curves {
            return Err(Error::Damaged { what: "calibrator", fault: "it has not one curve for each class" });
        }
        if !(self.sharpness > 0.0 && self.sharpness.is_finite()) {
            return Err(Error::Damaged { what: "calibrator", fault: "its sharpness is not above 0" });
        }
        self.curves.iter().try_for_each(Curve::validate)
    }
}

fn sharpened(probabilities: &Probabilities, sharpness: f64) -> Vec<f64> {
    let mut values = probabilities.values().to_vec();
    if sharpness != 1.0 {
        let rows = values.chunks_exact_mut(probabilities.classes());
        rows.for_each(|row| temperature::sharpen(row, sharpness));
    }
    values
}

/// How an estimate changes with the parameters of each curve.
pub(crate) struct Influence<'a> {
    calibrator: &'a Calibrator,
    by_curve: Vec<Vec<f64>>,
}

impl<'a> Influence<'a> {
    pub(crate) fn new(calibrator: &'a Calibrator) -> Self {
        let by_curve = calibrator.curves.iter().map(|curve| vec![0.0; curve.parameters()]).collect();
        Self { calibrator, by_curve }
    }

    /// Adds a (sharpened) row whose part of the estimate is the mean of `worth` (a number for each class) over its calibrated shares:
    /// `mean`, which came from values that were divided by `sum`.
    pub(crate) fn add(&mut self, row: &[f64], worth: &[f64], mean: f64, sum: f64) {
        let two = self.calibrator.classes == 2;
        for (index, (curve, influence)) in self.calibrator.curves.iter().zip(&mut self.by_curve).enumerate() {
            let (probability, by_value) =
                if two { (row[1], worth[1] - worth[0]) } else { (row[index], (worth[index] - mean) / sum) };
            for (parameter, weight) in curve.weights(probability) {
                influence[parameter] += weight * by_value;
            }
        }
    }

    /// The variance of the estimate that comes from so few calibration rows. Curves are taken for independent, as if each were
    /// learned from rows of its own, and the sharpness for known: it rests on all rows and all classes.
    pub(crate) fn variance(&self) -> f64 {
        self.calibrator.curves.iter().zip(&self.by_curve).map(|(curve, influence)| curve.variance(influence)).sum()
    }
}
