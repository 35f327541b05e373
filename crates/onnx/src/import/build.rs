//! The model that a graph's outputs are.

use driftmill_models::parts::{Node, Parts};
use driftmill_models::{Estimator, Model, Task};

use super::linear;
use super::scores::{Kind, Output, Scores, Source, Stage};
use super::trees::{Ensemble, Shape};
use crate::Error;
use crate::limits::Budget;

/// How far the sum of a leaf's class frequencies may be from 1: they are 32-bit floats, divided by the number of trees.
const FREQUENCY_TOLERANCE: f64 = 1e-4;

fn unsupported<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Unsupported(text.into()))
}

/// The model, and the names of its classes.
pub(super) fn build(
    scores: &Scores,
    has_labels: bool,
    names: Option<Vec<String>>,
    n_features: usize,
    budget: &Budget,
) -> Result<(Estimator, Vec<String>), Error> {
    let names = names.or_else(|| scores.classes.as_deref().cloned());
    let classifies = has_labels || names.is_some() || scores.stage != Stage::Raw;
    let classes = match names {
        Some(names) => names,
        None if classifies => (0..scores.width()).map(|class| class.to_string()).collect(),
        None => Vec::new(),
    };
    if classifies && classes.len() != scores.width() {
        return unsupported(format!("it names {} classes and answers {} numbers", classes.len(), scores.width()));
    }
    if !classifies && scores.width() != 1 {
        return unsupported(format!("it answers {} values, and one is what a model here answers", scores.width()));
    }
    let task = match classifies {
        true => Task::Classification { n_classes: classes.len() },
        false => Task::Regression,
    };
    if scores.normalised && !classifies {
        return unsupported(
            "it answers values that a Normalizer or a sum divides by their row's; only probabilities, which add up to 1, can be",
        );
    }
    let plan = plan(scores, task)?;
    budget.spend(n_features.saturating_mul(plan.outputs.len()))?;
    let source = &*scores.source;
    let parts = match &source.kind {
        Kind::Nothing => match plan.stage {
            Stage::Raw => {
                let outputs: Vec<f64> = plan.outputs.iter().map(|output| output.summand).collect();
                if scores.normalised && (outputs.iter().sum::<f64>() - 1.0).abs() > FREQUENCY_TOLERANCE {
                    return unsupported("it divides constants by their sum; write them as probabilities");
                }
                Parts::Constant { n_features, task, outputs }
            }
            _ => return unsupported("it answers a function of constants"),
        },
        Kind::Weighted(weights) => {
            budget.spend(
                plan.outputs.iter().map(|output| output.terms.len().saturating_mul(source.columns.len())).sum(),
            )?;
            let sums = linear::sums(&source.columns, weights, &plan.outputs, n_features)?;
            match task {
                Task::Regression => Parts::LinearRegression { sums },
                Task::Classification { .. } if plan.stage == Stage::Raw => {
                    return unsupported(
                        "it is a linear classifier whose scores are no probabilities, such as a LinearSVC; calibrate it, or \
                         use LogisticRegression",
                    );
                }
                Task::Classification { n_classes } => Parts::LogisticRegression { n_classes, sums },
            }
        }
        Kind::Trees(ensemble) => trees(source, ensemble, &plan, task, n_features, budget)?,
    };
    Ok((Estimator::from(Model::from_parts(parts)?), classes))
}

/// Outputs as our models have them: one score for two classes.
struct Plan {
    stage: Stage,
    outputs: Vec<Output>,
}

fn plan(scores: &Scores, task: Task) -> Result<Plan, Error> {
    let stage = scores.stage;
    if task == Task::Regression {
        return Ok(Plan { stage, outputs: scores.outputs.clone() });
    }
    let outputs = match (stage, scores.outputs.as_slice()) {
        (Stage::Softmax, [first, second]) => vec![second.and(&first.times(-1.0))],
        (Stage::Sigmoid, [first, second]) if opposed(&scores.source, first, second) => vec![second.clone()],
        (Stage::Sigmoid, _) => {
            return unsupported(
                "each class has its own logistic function (one against the rest); use a softmax, or two classes",
            );
        }
        (Stage::Softmax | Stage::Raw, outputs) => outputs.to_vec(),
    };
    Ok(Plan { stage, outputs })
}

/// Whether one output is the other's negative.
fn opposed(source: &Source, first: &Output, second: &Output) -> bool {
    let sum = first.and(second);
    let nothing = |term: &(usize, f64)| term.1 == 0.0;
    sum.summand == 0.0
        && match &source.kind {
            Kind::Weighted(weights) => (0..source.columns.len()).all(|column| {
                let of_column = |(of, weight): &(usize, f64)| weight * weights[*of][column];
                sum.terms.iter().map(of_column).sum::<f64>() == 0.0
            }),
            _ => sum.terms.iter().all(nothing),
        }
}

fn trees(
    source: &Source,
    ensemble: &Ensemble,
    plan: &Plan,
    task: Task,
    n_features: usize,
    budget: &Budget,
) -> Result<Parts, Error> {
    let shapes = ensemble.shapes(&source.columns, budget)?;
    // Boosting always has a value that it starts from; a forest or a tree has none.
    let is_forest = plan.stage == Stage::Raw
        && (matches!(task, Task::Classification { .. }) || plan.outputs.iter().all(|output| output.summand == 0.0));
    if !is_forest {
        let (baseline, trees) = rounds(ensemble, &shapes, &plan.outputs, budget)?;
        return Ok(Parts::GradientBoosting { n_features, task, baseline, trees });
    }
    let width = plan.outputs.len();
    let by_sum = by_sum(&plan.outputs);
    let n_trees = ensemble.len() as f64;
    let mut trees = Vec::with_capacity(shapes.len());
    for shape in &shapes {
        budget.spend(shape.len().saturating_mul(1 + width))?;
        trees.push(ensemble.fill(shape, width, |added, values| {
            values.iter_mut().zip(&plan.outputs).for_each(|(value, output)| *value = output.summand);
            for (sum, weight) in added {
                for (output, factor) in by_sum.get(*sum).into_iter().flatten() {
                    values[*output] += weight * (factor * n_trees);
                }
            }
        }));
    }
    if let Task::Classification { n_classes } = task {
        for node in trees.iter_mut().flatten() {
            let Node::Leaf { values, .. } = node else { continue };
            let sum: f64 = values.iter().sum();
            if (sum - 1.0).abs() > FREQUENCY_TOLERANCE || values.iter().any(|value| *value < 0.0) {
                return unsupported(
                    "its trees add up scores that are no probabilities, and nothing makes them such; a forest of class \
                     frequencies, or boosting with LOGISTIC or SOFTMAX, can be imported",
                );
            }
        }
        if let ([tree], true) = (trees.as_mut_slice(), n_classes > 0) {
            return Ok(Parts::DecisionTree { n_features, n_classes, tree: std::mem::take(tree) });
        }
    }
    Ok(Parts::RandomForest { n_features, task, trees })
}

/// Of each of the source's sums the outputs that it goes into.
fn by_sum(outputs: &[Output]) -> Vec<Vec<(usize, f64)>> {
    let n_sums = outputs.iter().flat_map(|output| &output.terms).map(|(sum, _)| sum + 1).max().unwrap_or(0);
    let mut by_sum = vec![Vec::new(); n_sums];
    for (number, output) in outputs.iter().enumerate() {
        output.terms.iter().for_each(|(sum, factor)| by_sum[*sum].push((number, *factor)));
    }
    by_sum
}

/// The baseline of each output, and trees round after round, one per output.
fn rounds(
    ensemble: &Ensemble,
    shapes: &[Shape],
    outputs: &[Output],
    budget: &Budget,
) -> Result<(Vec<f64>, Vec<Vec<Node>>), Error> {
    let mut by_output = Vec::with_capacity(outputs.len());
    for output in outputs {
        let mut trees = Vec::new();
        for shape in shapes {
            budget.spend(shape.len().saturating_mul(output.terms.len().max(1)))?;
            if !output.terms.iter().any(|(sum, _)| shape.adds_to(ensemble, *sum)) {
                continue;
            }
            trees.push(ensemble.fill(shape, 1, |added, values| {
                for (sum, factor) in &output.terms {
                    let of_sum = added.iter().filter(|(of, _)| of == sum);
                    values[0] += of_sum.map(|(_, weight)| weight * factor).sum::<f64>();
                }
            }));
        }
        by_output.push(trees.into_iter());
    }
    let n_rounds = by_output.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
    budget.spend(n_rounds.saturating_mul(outputs.len()))?;
    let nothing = || vec![Node::Leaf { cover: 1.0, values: vec![0.0] }];
    let mut trees = Vec::with_capacity(n_rounds * outputs.len());
    for _ in 0..n_rounds {
        trees.extend(by_output.iter_mut().map(|trees| trees.next().unwrap_or_else(nothing)));
    }
    Ok((outputs.iter().map(|output| output.summand).collect(), trees))
}
