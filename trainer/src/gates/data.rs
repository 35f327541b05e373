//! Whether the rows are fit to be learned from and judged by.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use driftmill_models::{Column, Target};
use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::Pipeline;

use crate::Rows;

pub(super) fn gate(train: &Rows, test: &Rows, pipeline: &Pipeline) -> GateResult {
    let mut faults = Vec::new();
    let mut notes = Vec::new();
    if let (Target::Classes { labels, n_classes }, Target::Classes { labels: judged, .. }) =
        (&train.target, &test.target)
    {
        let learned: HashSet<usize> = labels.iter().copied().collect();
        let unknown: Vec<&str> = (0..*n_classes)
            .filter(|class| !learned.contains(class) && judged.iter().any(|label| label == class))
            .map(|class| pipeline.label.classes[class].as_str())
            .collect();
        if !unknown.is_empty() {
            faults.push(format!("no row to learn the class {} from", unknown.join(", ")));
        }
    }
    let features = || pipeline.features.iter().zip(train.table.columns());
    let constant: Vec<&str> =
        features().filter(|(_, column)| is_constant(column)).map(|(feature, _)| feature.name.as_str()).collect();
    if constant.len() == pipeline.features.len() {
        faults.push("every feature has one value only: there is nothing to tell rows apart by".to_owned());
    } else if !constant.is_empty() {
        notes.push(format!("one value only in {}", constant.join(", ")));
    }
    let shared = shared(train, test);
    let share = shared as f64 / test.len().max(1) as f64;
    if pipeline.promotion.max_shared_rows.is_some_and(|most| share > most) {
        faults.push(format!(
            "{shared} of {} test rows have the same features as one that was learned: split by entity, or remove what is \
             there twice",
            test.len()
        ));
    } else if shared > 0 {
        notes.push(format!("{shared} of {} test rows equal one that was learned", test.len()));
    }
    let all = format!("{} rows to learn from, {} to judge by", train.len(), test.len());
    GateResult {
        gate: "learned from sound data".to_owned(),
        passed: faults.is_empty(),
        detail: [vec![all], faults, notes].concat().join("; "),
    }
}

/// How many of the rows `judges` have the same features as one of `learned`.
pub(super) fn shared(learned: &Rows, judges: &Rows) -> usize {
    let learned: HashSet<u64> = (0..learned.len()).map(|row| fingerprint(learned, row)).collect();
    (0..judges.len()).filter(|&row| learned.contains(&fingerprint(judges, row))).count()
}

fn is_constant(column: &Column) -> bool {
    fn alike<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
        let first = values.next();
        values.all(|value| Some(value) == first)
    }
    match column {
        Column::Number(values) => alike(values.iter().map(|value| value.to_bits())),
        Column::Text(texts) => alike(texts.iter()),
        Column::Image { pixels, .. } => alike(pixels.iter()),
    }
}

/// A hash of a row's features.
pub(crate) fn fingerprint(rows: &Rows, row: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    for column in rows.table.columns() {
        match column {
            Column::Number(values) => values[row].to_bits().hash(&mut hasher),
            Column::Text(texts) => texts[row].hash(&mut hasher),
            Column::Image { pixels, .. } => pixels[row].hash(&mut hasher),
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pipeline, rows};
    use super::*;

    #[test]
    fn sound_rows_pass_and_rows_that_were_learned_are_counted() {
        let train = rows((0..100).map(f64::from).collect(), |x| usize::from(x > 50.0));
        let test = rows((95..115).map(f64::from).collect(), |x| usize::from(x > 50.0));
        let mut strict = pipeline();
        strict.promotion.max_shared_rows = Some(0.2);
        let gate = gate(&train, &test, &strict);
        assert!(!gate.passed && gate.detail.contains("5 of 20 test rows"), "{}", gate.detail);
        let test = rows((98..128).map(f64::from).collect(), |x| usize::from(x > 50.0));
        let gate = super::gate(&train, &test, &pipeline());
        assert!(gate.passed && gate.detail.contains("2 of 30 test rows equal"), "{}", gate.detail);
    }

    #[test]
    fn a_class_without_a_row_to_learn_from_and_features_without_values_are_refused() {
        let train = rows(vec![1.0; 50], |_| 0);
        let test = rows(vec![2.0; 10], |_| 1);
        let gate = gate(&train, &test, &pipeline());
        assert!(gate.detail.contains("class 1") && gate.detail.contains("one value only"), "{}", gate.detail);
        assert!(!gate.passed);
    }
}
