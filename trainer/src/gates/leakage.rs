//! Whether one feature alone predicts too well: then it is probably the label itself, or was written after it was known.

use std::ops::ControlFlow;

use driftmill_models::{Column, FeatureKind, Learner, Table, Target};
use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::Pipeline;
use serde_json::json;

use crate::rows::kinds;
use crate::{Rows, fit};

/// Rows that each feature is learned from at most.
const MOST_ROWS: usize = 20_000;
/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_964;

/// `None` when the pipeline turned it off, or has no feature that could be asked alone.
pub(super) fn gate(train: &Rows, test: &Rows, pipeline: &Pipeline) -> Option<GateResult> {
    let limit = pipeline.promotion.leakage;
    let kinds = kinds(pipeline);
    let asked: Vec<usize> = (0..kinds.len())
        .filter(|&index| matches!(kinds[index].1, FeatureKind::Number | FeatureKind::Category))
        .collect();
    if limit >= 1.0 || asked.is_empty() || test.is_empty() {
        return None;
    }
    let some: Vec<usize> = (0..train.len().min(MOST_ROWS)).collect();
    let train = train.select(&some);
    let mut suspects = Vec::new();
    let mut best: Option<(f64, &str)> = None;
    for index in asked {
        let name = kinds[index].0.as_str();
        // One that cannot be learned from gives nothing away.
        let Some(won) = won_alone(&train, test, index, &kinds[index], pipeline) else { continue };
        if best.is_none_or(|(most, _)| won > most) {
            best = Some((won, name));
        }
        if won >= limit {
            suspects.push(format!("`{name}` ({won:.3})"));
        }
    }
    let detail = match best {
        _ if !suspects.is_empty() => format!(
            "{} alone wins at least that share of what there is to win over the constant: is it known before the label is?",
            suspects.join(", ")
        ),
        Some((won, name)) => {
            format!("of what there is to win, `{name}` alone wins at least {won:.3}, the most of all; below {limit}")
        }
        None => "no feature alone could be learned from".to_owned(),
    };
    Some(GateResult { gate: "free of leaked labels".to_owned(), passed: suspects.is_empty(), detail })
}

/// The share of what there is to win over the constant baseline that feature `index` wins alone, at the lower end of its
/// 95 % interval: of accuracy by Wilson's score interval, of squared error as it is.
fn won_alone(
    train: &Rows,
    test: &Rows,
    index: usize,
    feature: &(String, FeatureKind),
    pipeline: &Pipeline,
) -> Option<f64> {
    let alone = |rows: &Rows| -> Option<Rows> {
        let column: &Column = &rows.table.columns()[index];
        Some(Rows { table: Table::new(rows.len(), vec![column.clone()]).ok()?, ..rows.clone() })
    };
    let (train, test) = (alone(train)?, alone(test)?);
    let features = std::slice::from_ref(feature);
    let params = json!({ "n_estimators": 20, "min_samples_leaf": 5 });
    let learner = Learner::from_spec("gradient_boosting", params.as_object()?, features).ok()?;
    let answers = |learner: &Learner| {
        let mut on = |_: &_| ControlFlow::Continue(());
        let model = learner.fit(&train.table, &train.target, pipeline.training.seed, &mut on).ok()?;
        fit::answers(&model, &test).ok()
    };
    let (one, constant) = (answers(&learner)?, answers(&Learner::constant(features))?);
    match (&test.target, &one, &constant) {
        (
            Target::Classes { labels: truth, .. },
            Target::Classes { labels: one, .. },
            Target::Classes { labels: constant, .. },
        ) => {
            let right = |answers: &ndarray::Array1<usize>| {
                answers.iter().zip(truth).filter(|(answer, truth)| answer == truth).count() as f64
            };
            let rows = truth.len() as f64;
            let base = right(constant) / rows;
            (base < 1.0).then(|| (wilson_lower(right(one) / rows, rows) - base) / (1.0 - base))
        }
        (Target::Values(truth), Target::Values(one), Target::Values(constant)) => {
            let error = |answers: &ndarray::Array1<f64>| {
                answers.iter().zip(truth).map(|(answer, truth)| (answer - truth).powi(2)).sum::<f64>()
            };
            let all = error(constant);
            (all > 0.0).then(|| 1.0 - error(one) / all)
        }
        _ => None,
    }
}

/// Lower end of Wilson's score interval of a share.
fn wilson_lower(share: f64, rows: f64) -> f64 {
    let z2 = Z * Z;
    let middle = share + z2 / (2.0 * rows);
    let half = Z * (share * (1.0 - share) / rows + z2 / (4.0 * rows * rows)).sqrt();
    (middle - half) / (1.0 + z2 / rows)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pipeline, rows};
    use super::*;

    #[test]
    fn a_copy_of_the_label_is_named_and_an_honest_feature_is_not() {
        let numbers = |from: i32, to: i32| (from..to).map(|i| f64::from(i * 7919 % 1009)).collect::<Vec<_>>();
        let copied = |x: f64| usize::from(x > 500.0);
        let leaked = gate(&rows(numbers(0, 800), copied), &rows(numbers(800, 1800), copied), &pipeline()).unwrap();
        assert!(!leaked.passed && leaked.detail.contains("`x`"), "{}", leaked.detail);
        // A tenth of the labels is not what the feature says.
        let noisy = |x: f64| usize::from((x > 500.0) != (x % 10.0 < 1.0));
        let honest = gate(&rows(numbers(0, 800), noisy), &rows(numbers(800, 1800), noisy), &pipeline()).unwrap();
        assert!(honest.passed, "{}", honest.detail);
    }

    #[test]
    fn thirty_rows_without_a_mistake_prove_no_leak() {
        assert!(wilson_lower(1.0, 30.0) < 0.9 && wilson_lower(1.0, 1_000.0) > 0.99);
        let copied = |x: f64| usize::from(x > 15.0);
        let few = rows((0..30).map(f64::from).collect(), copied);
        assert!(gate(&few, &few, &pipeline()).unwrap().passed);
    }
}
