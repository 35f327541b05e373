//! How good a model was on the rows that judged it, kept with its reference: what live performance is compared with, and what
//! estimates without labels rest on.

use super::{Calibrator, ClassCounts, Error, LossTable, Performance, Probabilities, ValueCounts, estimate};
use serde::{Deserialize, Serialize};

/// Performance on rows that a model did not learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Names of the classes, in the order in which they are counted, the positive one of two last; none of values.
    pub classes: Vec<String>,
    /// What was measured.
    pub measured: Performance,
    /// What the model's probabilities are worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrator: Option<Calibrator>,
    /// How large its errors are, by the value it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<LossTable>,
}

impl Baseline {
    /// Of a classifier: one row of `probabilities` an answer, in the order of `classes`.
    ///
    /// # Errors
    /// Rows of different numbers, or no rows.
    pub fn of_classes(
        classes: &[String],
        probabilities: &Probabilities,
        answers: &[usize],
        truths: &[usize],
        alpha: f64,
    ) -> Result<Self, Error> {
        let mut counts = ClassCounts::new(classes.len())?;
        counts.count(probabilities, answers, truths)?;
        Ok(Self {
            classes: classes.to_vec(),
            measured: counts.performance(alpha)?,
            calibrator: Some(Calibrator::learn(probabilities, truths)?),
            losses: None,
        })
    }

    /// Of a model of values.
    ///
    /// # Errors
    /// As [`of_classes`](Self::of_classes).
    pub fn of_values(predictions: &[f64], truths: &[f64], alpha: f64) -> Result<Self, Error> {
        let mut counts = ValueCounts::default();
        counts.count(predictions, truths)?;
        let losses = Some(LossTable::learn(predictions, truths)?);
        Ok(Self { classes: Vec::new(), measured: counts.performance(alpha)?, calibrator: None, losses })
    }

    /// What the classifier's performance on some answers is expected to be, whatever their labels turn out to be. `None` for a
    /// model of values.
    ///
    /// # Errors
    /// Rows of different numbers.
    pub fn expected(&self, probabilities: &Probabilities, answers: &[usize]) -> Result<Option<Performance>, Error> {
        let Some(calibrator) = &self.calibrator else { return Ok(None) };
        estimate(calibrator, probabilities, answers, self.measured.alpha).map(Some)
    }

    /// The same of a model of values.
    ///
    /// # Errors
    /// Values that are no numbers.
    pub fn expected_of_values(&self, predictions: &[f64]) -> Result<Option<Performance>, Error> {
        let Some(losses) = &self.losses else { return Ok(None) };
        losses.estimate(predictions, self.measured.alpha).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::performance::Metric;
    use crate::testing::Lcg;

    #[test]
    fn a_baseline_expects_what_it_measured_of_rows_like_its_own() {
        let mut random = Lcg::new(91);
        let p: Vec<f64> = (0..2_000).map(|_| random.next().unwrap()).collect();
        let truths: Vec<usize> = p.iter().map(|p| usize::from(random.next().unwrap() < *p)).collect();
        let probabilities = Probabilities::of_positive(&p).unwrap();
        let answers = probabilities.most_probable();
        let classes = ["no".to_owned(), "yes".to_owned()];
        let baseline = Baseline::of_classes(&classes, &probabilities, &answers, &truths, 0.05).unwrap();
        let back: Baseline = serde_json::from_str(&serde_json::to_string(&baseline).unwrap()).unwrap();
        assert_eq!(back, baseline);
        let expected = back.expected(&probabilities, &answers).unwrap().unwrap();
        let (measured, expected) = (&baseline.measured.figures, &expected.figures);
        assert!((measured[&Metric::Accuracy].value - expected[&Metric::Accuracy].value).abs() < 0.02);
        assert!(back.expected_of_values(&[1.0]).unwrap().is_none());
    }

    #[test]
    fn values_have_a_table_of_losses() {
        let predictions: Vec<f64> = (0..200).map(f64::from).collect();
        let truths: Vec<f64> =
            predictions.iter().map(|value| value + if *value as i64 % 2 == 0 { 3.0 } else { -3.0 }).collect();
        let baseline = Baseline::of_values(&predictions, &truths, 0.05).unwrap();
        let expected = baseline.expected_of_values(&predictions).unwrap().unwrap();
        assert!((expected.figures[&Metric::Mae].value - 3.0).abs() < 1e-9, "{expected:?}");
    }
}
