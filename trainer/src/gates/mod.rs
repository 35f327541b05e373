//! Whether a challenger may serve: facts in, verdicts with their numbers out.

mod budget;
mod calibration;
mod data;
mod gold;
mod leakage;
mod slices;

pub(crate) use data::fingerprint;
use driftmill_models::bootstrap::{self, Interval};
use driftmill_models::{Estimator, Target};
use driftmill_schemas::message::GateResult;
use driftmill_schemas::pipeline::Pipeline;

use crate::fit::{Rival, Said, better_by, error_of};
use crate::{Judge, Rows, forecasts};

/// What the gates ask about.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Rows that the challenger learned from.
    pub train: &'a Rows,
    /// Rows that judge it.
    pub test: &'a Rows,
    /// The challenger, as it was judged.
    pub model: &'a Estimator,
    /// The one that would serve: the same, or one that then learned from all rows.
    pub served: &'a Estimator,
    /// Bytes of that one's artifact.
    pub size: usize,
    /// What it said of the test rows.
    pub said: &'a Said,
    /// The champion's version, and what it said of them.
    pub champion: Option<(u64, &'a Rival)>,
    /// The gold set, where there is one.
    pub gold: Option<&'a Judge>,
}

/// Answers of everybody concerned on the same test rows.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// The true classes or values.
    pub truth: &'a Target,
    /// The challenger's answers.
    pub challenger: &'a Target,
    /// The constant baseline's answers.
    pub baseline: &'a Target,
    /// The champion's version and answers.
    pub champion: Option<(u64, &'a Target)>,
    /// Which of the rows belong together, where some do.
    pub groups: Option<&'a [usize]>,
}

/// Asks every gate that the pipeline has. One whose numbers cannot be computed refuses.
pub fn judge(pipeline: &Pipeline, facts: &Facts<'_>) -> Vec<GateResult> {
    let mut gates = Vec::new();
    // Of a model that was fitted elsewhere nobody knows what it learned from.
    let is_ours = !facts.train.is_empty();
    if is_ours {
        gates.push(data::gate(facts.train, facts.test, pipeline));
    }
    match facts.said {
        Said::Forecasts(judged) => {
            let champion = facts.champion.and_then(|(version, said)| match said {
                Rival::Forecasts(backtest) => Some((version, &**backtest)),
                Rival::Answers(_) => None,
            });
            gates.extend(forecasts::gates(pipeline, judged, champion));
        }
        Said::Answers { model, baseline } => {
            let champion = facts.champion.and_then(|(version, said)| match said {
                Rival::Answers(answers) => Some((version, answers)),
                Rival::Forecasts(_) => None,
            });
            let groups = facts.test.groups_of(pipeline);
            let groups = groups.as_deref();
            let answers = Answers { truth: &facts.test.target, challenger: model, baseline, champion, groups };
            gates.extend(compare(pipeline, answers));
            gates.extend(facts.gold.map(|gold| gold::gate(gold, facts.model, facts.train, pipeline)));
            if is_ours {
                gates.extend(leakage::gate(facts.train, facts.test, pipeline));
            }
            gates.extend(slices::gate(facts.test, answers, pipeline));
            gates.extend(calibration::gate(facts.model, facts.test, pipeline));
        }
    }
    gates.extend(budget::gates(facts.served, facts.size, facts.test, pipeline));
    gates
}

/// Compares the challenger with the constant baseline and the champion.
fn compare(pipeline: &Pipeline, facts: Answers<'_>) -> Vec<GateResult> {
    let against = |other: &Target| better_by(pipeline, facts.truth, facts.challenger, other, facts.groups);
    let judges = format!("{} test rows", facts.truth.len());
    let constant = against(facts.baseline);
    let mut gates = vec![better("better than the constant baseline", pipeline, constant, always(pipeline), &judges)];
    if let Some(rival) = facts.champion {
        let gate = "no worse than the champion";
        gates.push(no_worse(gate, pipeline, (facts.truth, facts.challenger), rival, facts.groups, &judges));
    }
    gates
}

/// What the constant baseline does.
fn always(pipeline: &Pipeline) -> &'static str {
    if pipeline.label.is_value() { "always giving the mean" } else { "always giving the most frequent answer" }
}

/// A gate that the challenger passes when it is not worse than the champion by more than the margin, beyond chance.
fn no_worse(
    gate: &str,
    pipeline: &Pipeline,
    (truth, challenger): (&Target, &Target),
    (version, champion): (u64, &Target),
    groups: Option<&[usize]>,
    judges: &str,
) -> GateResult {
    let margin = pipeline.promotion.margin;
    // A margin of an error is a share of it: what an error is measured in is the label's affair.
    let allowed = match (truth, champion) {
        (Target::Values(truth), Target::Values(answers)) => {
            margin * error_of(pipeline, &truth.to_vec(), &answers.to_vec()).unwrap_or_default()
        }
        _ => margin,
    };
    match better_by(pipeline, truth, challenger, champion, groups) {
        Ok(interval) => GateResult {
            gate: gate.to_owned(),
            passed: interval.lower > -allowed,
            detail: format!(
                "{}; a margin of {margin} is allowed",
                words(pipeline, &interval, &format!("version {version}"), judges),
            ),
        },
        Err(e) => refused(gate, &e.to_string()),
    }
}

/// A gate that the challenger passes when it is better than something simple beyond chance.
pub(crate) fn better(
    gate: &str,
    pipeline: &Pipeline,
    interval: Result<Interval, bootstrap::Error>,
    than: &str,
    judges: &str,
) -> GateResult {
    match interval {
        Ok(interval) => GateResult {
            gate: gate.to_owned(),
            passed: interval.lower > 0.0,
            detail: words(pipeline, &interval, than, judges),
        },
        Err(e) => refused(gate, &e.to_string()),
    }
}

fn words(pipeline: &Pipeline, interval: &Interval, against: &str, judges: &str) -> String {
    let promotion = &pipeline.promotion;
    let (metric, percent) = (promotion.metric.name(), promotion.confidence * 100.0);
    let Interval { estimate, lower, upper, .. } = interval;
    // Errors are told as errors: less is better.
    let (estimate, lower, upper) =
        if promotion.metric.is_of_values() { (-estimate, -upper, -lower) } else { (*estimate, *lower, *upper) };
    format!("{metric} {estimate:+.3} against {against}, {percent:.0} % interval [{lower:+.3}, {upper:+.3}] on {judges}")
}

fn refused(gate: &str, why: &str) -> GateResult {
    GateResult { gate: gate.to_owned(), passed: false, detail: why.to_owned() }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use driftmill_models::{Column, Table};

    pub(crate) fn pipeline() -> Pipeline {
        serde_json::from_value(serde_json::json!({
            "version": 1, "name": "p", "schema": "s", "features": [{"name": "x"}],
            "label": {"field": "y", "classes": ["0", "1"]},
            "training": {"algorithm": "constant"},
            "promotion": {"metric": "f1", "confidence": 0.95, "margin": 0.02},
        }))
        .unwrap()
    }

    /// Rows of one feature, whose classes are what `class` makes of it.
    pub(crate) fn rows(values: Vec<f64>, class: impl Fn(f64) -> usize) -> Rows {
        let count = values.len();
        Rows {
            target: Target::Classes { labels: values.iter().map(|value| class(*value)).collect(), n_classes: 2 },
            table: Table::new(count, vec![Column::Number(values)]).unwrap(),
            positions: (0..count as i64).map(|offset| (0, offset)).collect(),
            classes: vec!["0".to_owned(), "1".to_owned()],
            times: vec![0; count],
            entities: vec![None; count],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::pipeline;
    use super::*;

    fn classes(labels: Vec<usize>) -> Target {
        Target::Classes { labels: labels.into(), n_classes: 2 }
    }

    fn passed(facts: Answers<'_>) -> Vec<bool> {
        compare(&pipeline(), facts).iter().map(|gate| gate.passed).collect()
    }

    #[test]
    fn coin_flips_are_not_better_than_the_constant_and_knowledge_is() {
        let truth = classes((0..200).map(|i| (i * 7919 % 13) % 2).collect());
        let flips = classes((0..200).map(|i| (i * 104_729 % 17) % 2).collect());
        let always = classes(vec![1; 200]);
        let facts = |challenger| Answers { truth: &truth, challenger, baseline: &always, champion: None, groups: None };
        assert_eq!(passed(facts(&flips)), [false]);
        assert_eq!(passed(facts(&truth)), [true]);
    }

    #[test]
    fn a_challenger_may_equal_the_champion_and_not_fall_behind() {
        let truth = classes((0..400).map(|i| i % 2).collect());
        let worse = classes((0..400).map(|i| if i < 60 { 1 - i % 2 } else { i % 2 }).collect());
        let always = classes(vec![1; 400]);
        let facts = |challenger, champion| Answers {
            truth: &truth,
            challenger,
            baseline: &always,
            champion: Some((3, champion)),
            groups: None,
        };
        assert_eq!(passed(facts(&worse, &worse)), [true, true]);
        assert_eq!(passed(facts(&worse, &truth)), [true, false]);
        assert_eq!(passed(facts(&truth, &worse)), [true, true]);
    }

    #[test]
    fn errors_are_compared_the_other_way_round_and_the_margin_is_a_share_of_them() {
        let mut pipeline = pipeline();
        pipeline.label.classes.clear();
        pipeline.promotion.metric = driftmill_schemas::pipeline::Metric::Rmse;
        let values = |offset: f64| Target::Values((0..200).map(|i| f64::from(i % 17) + offset).collect());
        let (truth, near, far, mean) = (values(0.0), values(1.0), values(1.01), Target::Values(vec![8.0; 200].into()));
        let facts =
            Answers { truth: &truth, challenger: &far, baseline: &mean, champion: Some((1, &near)), groups: None };
        let gates = compare(&pipeline, facts);
        assert_eq!(gates.iter().map(|gate| gate.passed).collect::<Vec<_>>(), [true, true], "{gates:?}");
        assert!(gates[0].detail.starts_with("rmse -3."), "{}", gates[0].detail);
        let worse = values(1.5);
        let facts = Answers { challenger: &worse, ..facts };
        assert!(!compare(&pipeline, facts)[1].passed);
    }
}
