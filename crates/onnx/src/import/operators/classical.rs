//! The operators of ai.onnx.ml.

use std::rc::Rc;

use super::{Operators, Problem, elementwise, shape};
use crate::import::Value;
use crate::import::attributes::Attributes;
use crate::import::columns::{Columns, Step};
use crate::import::scores::{Kind, SUM_WORDS, Scores, Source, Stage};
use crate::import::trees::Ensemble;
use crate::limits::Budget;

/// The most classes or targets.
const MAX_SUMS: usize = 65_536;

impl Operators<'_> {
    pub(super) fn classical(
        &self,
        operator: &str,
        attributes: &Attributes<'_>,
        inputs: &[&Value],
    ) -> Result<Vec<Value>, Problem> {
        Ok(match (operator, inputs) {
            ("Scaler", [Value::Columns(columns)]) => vec![scale(columns, attributes, self.budget)?],
            ("Imputer", [Value::Columns(columns)]) => vec![impute(columns, attributes, self.budget)?],
            ("Normalizer", [Value::Scores(scores)]) if attributes.text("norm") == b"L1" => {
                vec![elementwise::normalised(scores)?]
            }
            ("Normalizer", [Value::Columns(_)]) => {
                return Err(
                    "it divides each row of the inputs by its length, which no model here does; it can be imported as L1 of \
                     probabilities, as the last step; leave it out"
                        .into(),
                );
            }
            ("FeatureVectorizer", values) => vec![side_by_side(values, self.budget)?],
            ("ArrayFeatureExtractor", [Value::Tensor(names), Value::Labels { classes: None }]) => {
                vec![shape::names_of(names)]
            }
            ("ArrayFeatureExtractor", [value @ (Value::Columns(_) | Value::Scores(_)), Value::Tensor(places)]) => {
                vec![shape::pick(value, places, self.budget)?]
            }
            ("ZipMap", [Value::Scores(scores)]) => {
                let classes = attributes.classes("classlabels_int64s", "classlabels_strings")?.map(Rc::new);
                vec![Value::Scores(Scores { classes, ..scores.clone() })]
            }
            ("LinearRegressor", [Value::Columns(columns)]) => {
                let targets = attributes.integer("targets").unwrap_or(1);
                let scores = weighted(columns, attributes, usize::try_from(targets).unwrap_or(0))?;
                vec![Value::Scores(transformed(scores, attributes)?)]
            }
            ("LinearClassifier", [Value::Columns(columns)]) => {
                let classes = named(attributes, "classlabels_ints", "classlabels_strings")?;
                let n_sums = if attributes.floats("coefficients").len() == columns.width() { 1 } else { classes.len() };
                let scores = weighted(columns, attributes, n_sums)?;
                classified(transformed(scores, attributes)?, classes)?
            }
            ("TreeEnsembleRegressor", [Value::Columns(columns)]) => {
                let n_sums = usize::try_from(attributes.integer("n_targets").unwrap_or(1)).unwrap_or(0);
                let (scores, n_trees) = self.trees(columns, attributes, "target", n_sums)?;
                let share = match attributes.text("aggregate_function") {
                    b"SUM" | b"" => 1.0,
                    b"AVERAGE" => 1.0 / n_trees as f64,
                    _ => return Err("it takes the least or the largest of its trees' values".into()),
                };
                let scores = with_base(&scores.map(|_, output| output.times(share)), attributes)?;
                vec![Value::Scores(transformed(scores, attributes)?)]
            }
            ("TreeEnsembleClassifier", [Value::Columns(columns)]) => {
                let classes = named(attributes, "classlabels_int64s", "classlabels_strings")?;
                self.tree_classifier(columns, attributes, classes)?
            }
            _ => return Err(super::unknown(operator, inputs)),
        })
    }

    /// Sums of leaves, and the number of trees.
    fn trees(
        &self,
        columns: &Columns,
        attributes: &Attributes<'_>,
        leaves: &str,
        n_sums: usize,
    ) -> Result<(Scores, usize), Problem> {
        if !(1..=MAX_SUMS).contains(&n_sums) {
            return Err(format!("its number of classes or targets is not between 1 and {MAX_SUMS}").into());
        }
        self.budget.spend(n_sums * SUM_WORDS)?;
        let ensemble = Ensemble::read(attributes, leaves, columns.width(), n_sums)?;
        let n_trees = ensemble.len();
        let source = Source { columns: columns.columns.clone(), kind: Kind::Trees(ensemble) };
        Ok((Scores::new(source, n_sums), n_trees))
    }

    fn tree_classifier(
        &self,
        columns: &Columns,
        attributes: &Attributes<'_>,
        classes: Vec<String>,
    ) -> Result<Vec<Value>, Problem> {
        let (scores, _) = self.trees(columns, attributes, "class", classes.len())?;
        let Kind::Trees(ensemble) = &scores.source.kind else { return Err("it has no trees".into()) };
        let single = match (classes.len(), ensemble.only_sum()) {
            (2, Some(sum)) => Some(sum),
            _ => None,
        };
        let Some(sum) = single else {
            let scores = with_base(&scores, attributes)?;
            return classified(transformed(scores, attributes)?, classes);
        };
        // Both of two classes share a sum, which speaks for the second one, whatever class it is said to be of.
        let is_positive = ensemble.is_positive();
        let one = Scores { outputs: vec![scores.outputs[sum].clone()], ..scores.clone() };
        let one = transformed(with_base(&one, attributes)?, attributes)?;
        if one.stage != Stage::Raw {
            return classified(one, classes);
        }
        if !is_positive {
            return Err("its scores are below 0 and nothing makes them probabilities".into());
        }
        let outputs = vec![one.outputs[0].times(-1.0).plus(1.0), one.outputs[0].clone()];
        classified(Scores { outputs, ..one }, classes)
    }
}

fn named(attributes: &Attributes<'_>, numbers: &str, texts: &str) -> Result<Vec<String>, Problem> {
    attributes.classes(numbers, texts)?.ok_or_else(|| "it does not name its classes".into())
}

/// The label and the scores of a classifier.
fn classified(scores: Scores, classes: Vec<String>) -> Result<Vec<Value>, Problem> {
    let scores = match scores.stage {
        Stage::Sigmoid if classes.len() == 2 => scores.for_and_against().unwrap_or(scores),
        _ => scores,
    };
    if scores.width() != classes.len() {
        return Err(format!("it names {} classes and has {} scores", classes.len(), scores.width()).into());
    }
    let labels = Value::Labels { classes: Some(classes.clone()) };
    Ok(vec![labels, Value::Scores(Scores { classes: Some(Rc::new(classes)), ..scores })])
}

fn transformed(scores: Scores, attributes: &Attributes<'_>) -> Result<Scores, Problem> {
    match attributes.text("post_transform") {
        b"NONE" | b"" => Ok(scores),
        b"LOGISTIC" => Ok(scores.at(Stage::Sigmoid)),
        b"SOFTMAX" => Ok(scores.at(Stage::Softmax)),
        other => {
            let name = String::from_utf8_lossy(other);
            Err(format!("its post_transform `{name}` is not NONE, LOGISTIC or SOFTMAX").into())
        }
    }
}

fn with_base(scores: &Scores, attributes: &Attributes<'_>) -> Result<Scores, Problem> {
    let base = attributes.numbers("base_values")?;
    if base.is_empty() {
        return Ok(scores.clone());
    }
    if base.len() != scores.width() || base.iter().any(|value| !value.is_finite()) {
        return Err(format!("it has {} base values for {} scores", base.len(), scores.width()).into());
    }
    Ok(scores.map(|place, output| output.plus(base[place])))
}

fn weighted(columns: &Columns, attributes: &Attributes<'_>, n_sums: usize) -> Result<Scores, Problem> {
    let coefficients = attributes.numbers("coefficients")?;
    let intercepts = attributes.numbers("intercepts")?;
    let width = columns.width();
    if !(1..=MAX_SUMS).contains(&n_sums) || coefficients.len() != width.saturating_mul(n_sums) {
        return Err(format!("it has {} coefficients for {width} columns", coefficients.len()).into());
    }
    if ![0, n_sums].contains(&intercepts.len()) {
        return Err(format!("it has {} intercepts for {n_sums} scores", intercepts.len()).into());
    }
    if coefficients.iter().chain(&intercepts).any(|number| !number.is_finite()) {
        return Err("it has a coefficient that is not finite".into());
    }
    let weights = coefficients.chunks_exact(width).map(<[f64]>::to_vec).collect();
    let source = Source { columns: columns.columns.clone(), kind: Kind::Weighted(weights) };
    let scores = Scores::new(source, n_sums);
    Ok(scores.map(|place, output| output.plus(intercepts.get(place).copied().unwrap_or(0.0))))
}

/// (x - offset) × scale, in 32-bit floats.
fn scale(columns: &Columns, attributes: &Attributes<'_>, budget: &Budget) -> Result<Value, Problem> {
    let columns = columns.cast(true, budget)?;
    let per_column = |name: &str, otherwise: f64| match *attributes.numbers(name)?.as_slice() {
        [] => Ok(vec![otherwise; columns.width()]),
        [one] => Ok(vec![one; columns.width()]),
        ref several if several.len() == columns.width() => Ok(several.to_vec()),
        ref several => Err(format!("its `{name}` has {} values for {} columns", several.len(), columns.width())),
    };
    let (offset, scale) = (per_column("offset", 0.0)?, per_column("scale", 1.0)?);
    Ok(Value::Columns(columns.step(&offset, Step::Subtract, budget)?.step(&scale, Step::Multiply, budget)?))
}

fn impute(columns: &Columns, attributes: &Attributes<'_>, budget: &Budget) -> Result<Value, Problem> {
    if !attributes.float("replaced_value_float").is_some_and(f32::is_nan) {
        return Err("it replaces a value that is a number; only missing ones (NaN) can be filled in".into());
    }
    let fill = match *attributes.numbers("imputed_value_floats")?.as_slice() {
        [one] => vec![one; columns.width()],
        ref several if several.len() == columns.width() => several.to_vec(),
        ref several => {
            return Err(format!("it has {} values for {} columns", several.len(), columns.width()).into());
        }
    };
    Ok(Value::Columns(columns.step(&fill, Step::Fill, budget)?))
}

/// Columns of all inputs, as 32-bit floats.
fn side_by_side(values: &[&Value], budget: &Budget) -> Result<Value, Problem> {
    let mut all = Columns { columns: Vec::new(), single: true };
    for value in values {
        match value {
            Value::Columns(columns) => all.columns.extend(columns.cast(true, budget)?.columns),
            _ => return Err(super::unknown("FeatureVectorizer", values)),
        }
    }
    Ok(Value::Columns(all))
}
