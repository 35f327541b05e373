//! Whether a challenger may serve: facts in, verdicts with their numbers out.

use driftmill_models::bootstrap::{Interval, paired_bootstrap};
use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::Pipeline;

use crate::fit::score;

/// Rounds of the bootstrap: the ends of a 95 % interval then rest on 50 values each.
const ROUNDS: usize = 2_000;

/// Answers of everybody concerned on the same test rows.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The true classes.
    pub truth: &'a [usize],
    /// The challenger's answers.
    pub challenger: &'a [usize],
    /// The constant baseline's answers.
    pub baseline: &'a [usize],
    /// The champion's version and answers.
    pub champion: Option<(u64, &'a [usize])>,
}

/// Asks every gate. A gate whose metric cannot be computed refuses.
pub fn judge(pipeline: &Pipeline, facts: Facts<'_>) -> Vec<GateResult> {
    let promotion = &pipeline.promotion;
    let metric =
        serde_json::to_value(promotion.metric).ok().and_then(|m| m.as_str().map(str::to_owned)).unwrap_or_default();
    let compare = |other: &[usize]| {
        paired_bootstrap(
            |truth, answers| score(pipeline, truth, answers),
            facts.truth,
            facts.challenger,
            other,
            ROUNDS,
            pipeline.training.seed,
            promotion.confidence,
        )
    };
    let percent = promotion.confidence * 100.0;
    let words = |interval: &Interval, against: &str| {
        format!(
            "{metric} {:+.3} against {against}, {percent:.0} % interval [{:+.3}, {:+.3}] on {} test rows",
            interval.estimate,
            interval.lower,
            interval.upper,
            facts.truth.len()
        )
    };
    let mut gates = vec![match compare(facts.baseline) {
        Ok(interval) => GateResult {
            gate: "better than the constant baseline".to_owned(),
            passed: interval.lower > 0.0,
            detail: words(&interval, "always giving the most frequent answer"),
        },
        Err(e) => refused("better than the constant baseline", &e.to_string()),
    }];
    if let Some((version, answers)) = facts.champion {
        let gate = "no worse than the champion";
        gates.push(match compare(answers) {
            Ok(interval) => GateResult {
                gate: gate.to_owned(),
                passed: interval.lower > -promotion.margin,
                detail: format!(
                    "{}; a margin of {} is allowed",
                    words(&interval, &format!("version {version}")),
                    promotion.margin
                ),
            },
            Err(e) => refused(gate, &e.to_string()),
        });
    }
    gates
}

fn refused(gate: &str, why: &str) -> GateResult {
    GateResult { gate: gate.to_owned(), passed: false, detail: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline() -> Pipeline {
        serde_json::from_value(serde_json::json!({
            "version": 1, "name": "p", "schema": "s", "features": [{"name": "x"}],
            "label": {"field": "y", "classes": ["0", "1"]},
            "training": {"algorithm": "constant"},
            "promotion": {"metric": "f1", "confidence": 0.95, "margin": 0.02},
        }))
        .unwrap()
    }

    fn passed(facts: Facts<'_>) -> Vec<bool> {
        judge(&pipeline(), facts).iter().map(|gate| gate.passed).collect()
    }

    #[test]
    fn coin_flips_are_not_better_than_the_constant_and_knowledge_is() {
        let truth: Vec<usize> = (0..200).map(|i| (i * 7919 % 13) % 2).collect();
        let flips: Vec<usize> = (0..200).map(|i| (i * 104_729 % 17) % 2).collect();
        let always = vec![1; 200];
        let facts = |challenger| Facts { truth: &truth, challenger, baseline: &always, champion: None };
        assert_eq!(passed(facts(&flips)), [false]);
        assert_eq!(passed(facts(&truth)), [true]);
    }

    #[test]
    fn a_challenger_may_equal_the_champion_and_not_fall_behind() {
        let truth: Vec<usize> = (0..400).map(|i| i % 2).collect();
        let mut worse = truth.clone();
        worse[..60].iter_mut().for_each(|answer| *answer = 1 - *answer);
        let always = vec![1; 400];
        let facts = |challenger, champion| Facts {
            truth: &truth,
            challenger,
            baseline: &always,
            champion: Some((3, champion)),
        };
        assert_eq!(passed(facts(&worse, &worse)), [true, true]);
        assert_eq!(passed(facts(&worse, &truth)), [true, false]);
        assert_eq!(passed(facts(&truth, &worse)), [true, true]);
    }
}
