//! Whether the challenger is as good as the champion on the gold set: rows that nothing in the stream can change.

use std::ops::ControlFlow;

use driftmill_models::{Estimator, Learner, Target};
use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::Pipeline;

use super::{always, better, data, no_worse, refused};
use crate::fit::{self, Fault, Rival, better_by};
use crate::rows::kinds;
use crate::{Judge, Rows};

const GATE: &str = "no worse on the gold set";

/// `train` is what `model`, the challenger as it was judged, learned from; nothing where it was fitted elsewhere.
pub(super) fn gate(gold: &Judge, model: &Estimator, train: &Rows, pipeline: &Pipeline) -> GateResult {
    let rows = match &gold.rows {
        Ok(rows) => rows,
        Err(why) => return refused(GATE, why),
    };
    let judges = format!("{} gold rows ({})", rows.len(), gold.name);
    let asked = fit::answers(model, rows).map(|answers| match &gold.champion {
        Some((version, Rival::Answers(theirs))) => {
            let groups = rows.groups_of(pipeline);
            Ok(no_worse(GATE, pipeline, (&rows.target, &answers), (*version, theirs), groups.as_deref(), &judges))
        }
        _ => better_than_constant(&answers, train, rows, pipeline, &judges),
    });
    let mut gate = match asked {
        Ok(Ok(gate)) => gate,
        Ok(Err(fault)) | Err(fault) => return refused(GATE, &fault.to_string()),
    };
    let shared = data::shared(train, rows);
    if shared > 0 {
        gate.detail.push_str(&format!("; {shared} of them equal a row that was learned"));
    }
    gate
}

/// Where there is no champion to be as good as.
fn better_than_constant(
    answers: &Target,
    train: &Rows,
    rows: &Rows,
    pipeline: &Pipeline,
    judges: &str,
) -> Result<GateResult, Fault> {
    let learned = if train.is_empty() { rows } else { train };
    let learner = Learner::constant(&kinds(pipeline));
    let mut on = |_: &_| ControlFlow::Continue(());
    let constant = learner.fit(&learned.table, &learned.target, pipeline.training.seed, &mut on)?;
    let baseline = fit::answers(&constant, rows)?;
    let groups = rows.groups_of(pipeline);
    let interval = better_by(pipeline, &rows.target, answers, &baseline, groups.as_deref());
    Ok(better(GATE, pipeline, interval, always(pipeline), judges))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pipeline, rows};
    use super::*;
    use driftmill_schemas::pipeline::Metric;

    fn learned(rows: &Rows, pipeline: &Pipeline) -> Estimator {
        let (learner, _) = fit::learner(pipeline, &serde_json::Map::new()).unwrap();
        learner.fit(&rows.table, &rows.target, 1, &mut |_| ControlFlow::Continue(())).unwrap()
    }

    fn judge(rows: &Rows, champion: Option<&Estimator>) -> Judge {
        let champion = champion.map(|model| (3, Rival::Answers(fit::answers(model, rows).unwrap())));
        Judge { name: "abc".to_owned(), rows: Ok(rows.clone()), champion }
    }

    fn line() -> Pipeline {
        let mut pipeline = pipeline();
        pipeline.training.algorithm = "logistic_regression".to_owned();
        pipeline
    }

    fn spread(from: i32, count: i32) -> Vec<f64> {
        (from..from + count).map(|i| f64::from(i * 389 % 1_000) / 100.0 - 5.0).collect()
    }

    #[test]
    fn a_challenger_that_learned_flipped_labels_is_refused_with_the_numbers_and_an_equal_one_is_not() {
        let pipeline = line();
        let truth = |x: f64| usize::from(x > 0.0);
        let (train, gold) = (rows(spread(0, 300), truth), rows(spread(1_300, 200), truth));
        let flipped = rows(spread(0, 300), |x| 1 - truth(x));
        let (good, bad) = (learned(&train, &pipeline), learned(&flipped, &pipeline));
        let gate = gate(&judge(&gold, Some(&good)), &bad, &flipped, &pipeline);
        assert!(!gate.passed && gate.gate == GATE, "{gate:?}");
        for told in ["version 3", "200 gold rows (abc)", "margin of 0.02"] {
            assert!(gate.detail.contains(told), "{}", gate.detail);
        }
        assert!(super::gate(&judge(&gold, Some(&good)), &good, &train, &pipeline).passed);
        assert!(super::gate(&judge(&gold, Some(&bad)), &good, &train, &pipeline).passed);
    }

    #[test]
    fn without_a_champion_the_constant_baseline_is_what_to_beat() {
        let pipeline = line();
        let truth = |x: f64| usize::from(x > 1.0);
        let (train, gold) = (rows(spread(0, 300), truth), rows(spread(1_300, 200), truth));
        let flipped = rows(spread(0, 300), |x| 1 - truth(x));
        assert!(gate(&judge(&gold, None), &learned(&train, &pipeline), &train, &pipeline).passed);
        let refused = gate(&judge(&gold, None), &learned(&flipped, &pipeline), &flipped, &pipeline);
        assert!(!refused.passed && refused.detail.contains("most frequent answer"), "{}", refused.detail);
    }

    #[test]
    fn values_are_judged_by_their_error_and_a_margin_that_is_a_share_of_it() {
        let mut pipeline = pipeline();
        pipeline.label.classes.clear();
        pipeline.promotion.metric = Metric::Rmse;
        pipeline.training.algorithm = "linear_regression".to_owned();
        let of = |from: i32, slope: f64| {
            let mut rows = rows(spread(from, 300), |_| 0);
            let x = spread(from, 300);
            let noise = |i: usize| ((i * 7_919) % 101) as f64 / 101.0;
            rows.target = Target::Values(x.iter().enumerate().map(|(i, x)| slope * x + noise(i)).collect());
            rows
        };
        let (train, poisoned, gold) = (of(0, 2.0), of(0, -2.0), of(1_000, 2.0));
        let (good, bad) = (learned(&train, &pipeline), learned(&poisoned, &pipeline));
        assert!(gate(&judge(&gold, Some(&good)), &good, &train, &pipeline).passed);
        let refused = gate(&judge(&gold, Some(&good)), &bad, &poisoned, &pipeline);
        assert!(!refused.passed && refused.detail.starts_with("rmse +"), "{}", refused.detail);
        assert!(gate(&judge(&gold, None), &good, &train, &pipeline).passed);
    }

    #[test]
    fn a_set_that_cannot_judge_refuses_and_says_what_to_do() {
        let pipeline = line();
        let train = rows(spread(0, 300), |x| usize::from(x > 0.0));
        let judge = Judge { name: "abc".to_owned(), rows: Err("its columns do not fit".to_owned()), champion: None };
        let gate = gate(&judge, &learned(&train, &pipeline), &train, &pipeline);
        assert!(!gate.passed && gate.detail == "its columns do not fit");
    }

    #[test]
    fn gold_rows_that_equal_what_was_learned_are_counted() {
        let pipeline = line();
        let train = rows(spread(0, 300), |x| usize::from(x > 0.0));
        let gate = gate(&judge(&train, None), &learned(&train, &pipeline), &train, &pipeline);
        assert!(gate.detail.ends_with("300 of them equal a row that was learned"), "{}", gate.detail);
    }
}
