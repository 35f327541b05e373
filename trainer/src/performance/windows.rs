//! One window of answers beside the rows that judged the model.

use driftmill_drift::performance::{
    self, Baseline, ClassCounts, Judgement, Metric, Performance, Probabilities, Rule, ValueCounts, error_of_estimate,
    judge,
};
use serde_json::{Value, json};

use super::answers::Answer;

/// Labels below which nothing is judged.
const FEWEST_LABELS: u64 = 30;

/// Why a window cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The model was read beside the reference of another.
    #[error("the model's classes are not those of its reference")]
    OtherClasses,
    /// What was counted makes no sense.
    #[error(transparent)]
    Performance(#[from] performance::Error),
}

/// What windows of a version are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// How good it was on the rows that judged it.
    pub baseline: &'a Baseline,
    /// In the order of the model's probabilities.
    pub classes: &'a [String],
    /// What is judged.
    pub metric: Metric,
    /// The change that matters, as [`Rule::margin`].
    pub margin: f64,
}

/// A judged window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// When its first and its last row were answered, milliseconds since 1970 UTC.
    pub span: (i64, i64),
    /// Rows that were answered.
    pub answers: usize,
    /// How many of them have a label.
    pub labels: usize,
    /// By the labels that there are.
    pub measured: Performance,
    /// By the answers alone.
    pub estimated: Option<Performance>,
    /// What the labels say, compared with the rows that judged the model.
    pub judgement: Judgement,
    /// What the estimate says, where there is one.
    pub expected: Option<Judgement>,
}

impl Judge<'_> {
    /// Judges the answers of a window, by its labels and without them.
    ///
    /// # Errors
    /// A reference of another model; a senseless margin.
    pub fn window(&self, rows: &[Answer]) -> Result<Window, Fault> {
        let (measured, estimated) =
            if self.baseline.classes.is_empty() { self.values(rows)? } else { self.answered(rows)? };
        let rule = Rule { metric: self.metric, margin: self.margin, min_rows: FEWEST_LABELS };
        let judgement = judge(&rule, &self.baseline.measured, &measured)?;
        // An estimate may lack the metric.
        let expected = estimated.as_ref().and_then(|it| judge(&rule, &self.baseline.measured, it).ok());
        Ok(Window {
            span: (rows.first().map_or(0, |row| row.at), rows.last().map_or(0, |row| row.at)),
            answers: rows.len(),
            labels: usize::try_from(measured.rows).unwrap_or(usize::MAX),
            measured,
            estimated,
            judgement,
            expected,
        })
    }

    fn answered(&self, rows: &[Answer]) -> Result<(Performance, Option<Performance>), Fault> {
        // The baseline may count the classes in another order than the model has them.
        let counted = &self.baseline.classes;
        let places = counted.iter().map(|name| self.classes.iter().position(|class| class == name));
        let places: Vec<usize> = places.collect::<Option<_>>().ok_or(Fault::OtherClasses)?;
        let class = |name: &str| counted.iter().position(|class| class == name);
        let told = |row: &&Answer| row.probabilities.len() == places.len() && class(&row.prediction).is_some();
        let all: Vec<&Answer> = rows.iter().filter(told).collect();
        // A label that is no class of this model is an answer that it could not give.
        let labelled = all.iter().copied().filter(|row| row.known && class(&row.label).is_some());
        let labelled: Vec<&Answer> = labelled.collect();
        let table = |rows: &[&Answer]| {
            let values = rows.iter().flat_map(|row| places.iter().map(|place| row.probabilities[*place]));
            Probabilities::new(counted.len(), &values.collect::<Vec<f64>>())
        };
        let of = |rows: &[&Answer], name: fn(&Answer) -> &str| -> Vec<usize> {
            rows.iter().filter_map(|row| class(name(row))).collect()
        };
        let mut counts = ClassCounts::new(counted.len())?;
        counts.count(&table(&labelled)?, &of(&labelled, |row| &row.prediction), &of(&labelled, |row| &row.label))?;
        let estimated = self.baseline.expected(&table(&all)?, &of(&all, |row| &row.prediction))?;
        Ok((counts.performance(self.baseline.measured.alpha)?, estimated))
    }

    fn values(&self, rows: &[Answer]) -> Result<(Performance, Option<Performance>), Fault> {
        let all: Vec<f64> = rows.iter().filter_map(|row| row.value).collect();
        let labelled = rows.iter().filter(|row| row.known);
        let pairs = labelled.filter_map(|row| Some((row.value?, row.label.parse::<f64>().ok()?)));
        let (answers, truths): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let mut counts = ValueCounts::default();
        counts.count(&answers, &truths)?;
        Ok((counts.performance(self.baseline.measured.alpha)?, self.baseline.expected_of_values(&all)?))
    }
}

impl Window {
    /// Everything, for programs.
    pub fn json(&self, version: u64) -> Value {
        let error = self.estimated.as_ref().map(|estimated| error_of_estimate(estimated, &self.measured));
        json!({
            "model_version": version,
            "from": self.span.0,
            "to": self.span.1,
            "answers": self.answers,
            "labels": self.labels,
            "measured": self.measured,
            "estimated": self.estimated,
            "error_of_estimate": error,
            "judged": self.judgement,
            "expected": self.expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(i: usize, right: bool, known: bool) -> Answer {
        let sure = if i.is_multiple_of(2) { 0.9 } else { 0.1 };
        let prediction = if sure > 0.5 { "no" } else { "yes" };
        let other = if sure > 0.5 { "yes" } else { "no" };
        Answer {
            model_version: 1,
            at: i as i64,
            prediction: prediction.to_owned(),
            probabilities: vec![sure, 1.0 - sure],
            value: None,
            label: if right { prediction } else { other }.to_owned(),
            known,
        }
    }

    fn baseline() -> Baseline {
        // Counted in the other order: the positive class is the model's first.
        let classes = ["yes".to_owned(), "no".to_owned()];
        let rows: Vec<Answer> = (0..400).map(|i| answer(i, i % 10 != 0 && i % 10 != 5, true)).collect();
        let flat: Vec<f64> = rows.iter().flat_map(|row| [row.probabilities[1], row.probabilities[0]]).collect();
        let class = |name: &str| usize::from(name == "no");
        let answers: Vec<usize> = rows.iter().map(|row| class(&row.prediction)).collect();
        let truths: Vec<usize> = rows.iter().map(|row| class(&row.label)).collect();
        Baseline::of_classes(&classes, &Probabilities::new(2, &flat).unwrap(), &answers, &truths, 0.05).unwrap()
    }

    #[test]
    fn a_window_is_judged_by_the_labels_there_are_and_estimated_by_all_answers() {
        let (baseline, classes) = (baseline(), ["no".to_owned(), "yes".to_owned()]);
        let judge = Judge { baseline: &baseline, classes: &classes, metric: Metric::Accuracy, margin: 0.02 };
        let good: Vec<Answer> = (0..200).map(|i| answer(i, i % 5 != 0, i < 150)).collect();
        let window = judge.window(&good).unwrap();
        assert_eq!((window.answers, window.labels), (200, 150));
        assert!(matches!(window.judgement, Judgement::Kept(_)), "{:?}", window.judgement);
        let estimated = window.estimated.as_ref().unwrap().figures[&Metric::Accuracy];
        assert!((estimated.value - 0.8).abs() < 0.03, "{estimated:?}");
        let bad: Vec<Answer> = (0..200).map(|i| answer(i, i % 2 == 0, true)).collect();
        let window = judge.window(&bad).unwrap();
        assert!(matches!(window.judgement, Judgement::Worse(_)), "{:?}", window.judgement);
        // The same inputs with other labels: no estimate can know.
        assert!((window.json(3)["error_of_estimate"]["accuracy"]["error"].as_f64().unwrap() - 0.3).abs() < 0.03);
        let few: Vec<Answer> = (0..200).map(|i| answer(i, true, i < 5)).collect();
        assert!(matches!(judge.window(&few).unwrap().judgement, Judgement::TooFewLabels { have: 5, need: 30 }));
    }

    #[test]
    fn labels_of_unknown_classes_and_no_labels_at_all_are_no_failure() {
        let (baseline, classes) = (baseline(), ["no".to_owned(), "yes".to_owned()]);
        let judge = Judge { baseline: &baseline, classes: &classes, metric: Metric::F1, margin: 0.02 };
        let odd: Vec<Answer> =
            (0..40).map(|i| Answer { label: "perhaps".to_owned(), ..answer(i, true, true) }).collect();
        assert_eq!(judge.window(&odd).unwrap().labels, 0);
        let other = ["a".to_owned(), "b".to_owned()];
        assert!(Judge { classes: &other, ..judge }.window(&odd).is_err());
    }
}
