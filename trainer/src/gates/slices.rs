//! Whether a model is worse for some of those it is about, which the whole may hide.

use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::Pipeline;

use super::Answers;
use crate::Rows;
use crate::evaluate::slices_by;
use crate::fit::better_by;

/// A smaller slice proves nothing.
const LEAST_ROWS: usize = 30;

/// `None` where the pipeline names no features to slice by.
pub(super) fn gate(test: &Rows, answers: Answers<'_>, pipeline: &Pipeline) -> Option<GateResult> {
    let promotion = &pipeline.promotion;
    if promotion.slices.is_empty() {
        return None;
    }
    let (rival, than) = match answers.champion {
        Some((version, rival)) => (rival, format!("version {version}")),
        None => (answers.baseline, "the constant baseline".to_owned()),
    };
    let (mut asked, mut worse) = (0, Vec::new());
    let gate = format!("no worse than {than} in any slice");
    let slices = match slices_by(&promotion.slices, test, pipeline) {
        Ok(slices) => slices,
        Err(error) => return Some(super::refused(&gate, &error.to_string())),
    };
    for slice in slices.iter().filter(|slice| slice.rows.len() >= LEAST_ROWS) {
        let of = |target: &driftmill_models::Target| target.select(&slice.rows);
        // A metric without a value in a slice, such as F1 without a positive, says nothing of it.
        let groups: Option<Vec<usize>> =
            answers.groups.map(|groups| slice.rows.iter().map(|&row| groups[row]).collect());
        let (truth, ours, theirs) = (of(answers.truth), of(answers.challenger), of(rival));
        let Ok(interval) = better_by(pipeline, &truth, &ours, &theirs, groups.as_deref()) else { continue };
        asked += 1;
        if interval.upper < 0.0 {
            worse.push(format!("{} by {:.3} on {} rows", slice.name, -interval.estimate, slice.rows.len()));
        }
    }
    let detail = match worse.is_empty() {
        true => format!("{asked} slices of {LEAST_ROWS} rows or more, by {}", promotion.slices.join(", ")),
        false => format!("{} worse beyond chance: {}", promotion.metric.name(), worse.join(", ")),
    };
    Some(GateResult { gate, passed: worse.is_empty(), detail })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pipeline, rows};
    use super::*;
    use driftmill_models::Target;

    #[test]
    fn a_slice_that_got_worse_is_named_though_the_whole_got_better() {
        let test = rows((0..400).map(|i| f64::from(i % 4)).collect(), |x| usize::from(x >= 2.0));
        let Target::Classes { labels, .. } = &test.target else { unreachable!() };
        let classes = |labels| Target::Classes { labels, n_classes: 2 };
        // The champion errs in two slices, the challenger in another one.
        let champion = classes(
            labels.iter().enumerate().map(|(row, label)| if row % 4 < 2 { 1 - label } else { *label }).collect(),
        );
        let challenger = classes(
            labels.iter().enumerate().map(|(row, label)| if row % 4 == 3 { 1 - label } else { *label }).collect(),
        );
        let mut pipeline = pipeline();
        pipeline.promotion.slices = vec!["x".to_owned()];
        let answers = Answers {
            truth: &test.target,
            challenger: &challenger,
            baseline: &champion,
            champion: Some((2, &champion)),
            groups: None,
        };
        let refused = gate(&test, answers, &pipeline).unwrap();
        assert!(!refused.passed && refused.detail.contains("x = 3"), "{}", refused.detail);
        let answers = Answers { challenger: &test.target, ..answers };
        assert!(gate(&test, answers, &pipeline).unwrap().passed);
    }
}
