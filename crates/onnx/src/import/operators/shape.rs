//! Columns and scores picked, put side by side and multiplied.

use std::rc::Rc;

use super::Problem;
use crate::import::Value;
use crate::import::attributes::Attributes;
use crate::import::columns::Columns;
use crate::import::scores::{Kind, Output, SUM_WORDS, Scores, Source, Stage};
use crate::import::tensor::Tensor;
use crate::limits::Budget;

/// What a part of a split takes at least, in words of 8 bytes.
const PART_WORDS: usize = 16;

/// The product with a matrix: weighted sums of columns, or of sums.
pub(super) fn multiply(value: &Value, matrix: &Tensor, budget: &Budget) -> Result<Value, Problem> {
    let (rows, width) = match *matrix.dims.as_slice() {
        [rows, width] => (rows, width),
        [rows] => (rows, 1),
        _ => return Err("it multiplies with what is no matrix".into()),
    };
    let numbers = matrix.numbers()?;
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err("it has a coefficient that is not finite".into());
    }
    let by_sum = |sum: usize| numbers.iter().skip(sum).step_by(width.max(1)).copied();
    match value {
        Value::Columns(columns) if columns.width() == rows => {
            budget.spend(width.saturating_mul(rows + SUM_WORDS))?;
            let weights = (0..width).map(|sum| by_sum(sum).collect()).collect();
            let source = Source { columns: columns.columns.clone(), kind: Kind::Weighted(weights) };
            Ok(Value::Scores(Scores::new(source, width)))
        }
        Value::Scores(scores) if scores.width() == rows && scores.is_sum() => {
            let mut outputs = Vec::with_capacity(width);
            for sum in 0..width {
                budget.spend(scores.size())?;
                let parts = scores.outputs.iter().zip(by_sum(sum)).filter(|(_, factor)| *factor != 0.0);
                let mut all = Output::default();
                for (output, factor) in parts {
                    let part = output.times(factor);
                    all.terms.extend(part.terms);
                    all.summand += part.summand;
                }
                outputs.push(all.and(&Output::default()));
            }
            Ok(Value::Scores(Scores { outputs, ..scores.clone() }))
        }
        Value::Scores(scores) if !scores.is_sum() => Err(super::unknown("MatMul", &[value])),
        _ => Err("its matrix does not fit what it multiplies".into()),
    }
}

pub(super) fn concat(values: &[&Value], attributes: &Attributes<'_>) -> Result<Value, Problem> {
    let axis = attributes.integer("axis");
    match (axis, values) {
        (Some(0), [Value::RowCount, Value::Tensor(width)]) => match width.numbers()? {
            [width] if *width >= 1.0 && width.fract() == 0.0 => Ok(Value::Shape { width: *width as usize }),
            _ => Err("it makes a shape of more than rows and columns".into()),
        },
        (Some(1 | -1), [Value::Columns(first), ..]) => {
            let mut all = Columns { columns: Vec::new(), single: first.single };
            for value in values {
                match value {
                    Value::Columns(columns) if columns.single == all.single => {
                        all.columns.extend_from_slice(&columns.columns);
                    }
                    _ => return Err("it puts columns side by side with something else".into()),
                }
            }
            Ok(Value::Columns(all))
        }
        (Some(1 | -1), [Value::Scores(first), ..]) => {
            let mut all = Scores { outputs: Vec::new(), ..first.clone() };
            for value in values {
                match value {
                    Value::Scores(scores)
                        if Rc::ptr_eq(&scores.source, &all.source)
                            && scores.stage == all.stage
                            && !scores.normalised
                            && all.stage != Stage::Softmax =>
                    {
                        all.outputs.extend_from_slice(&scores.outputs);
                    }
                    _ => return Err("it puts answers of different models or kinds side by side".into()),
                }
            }
            Ok(Value::Scores(all))
        }
        _ => Err(super::unknown("Concat", values)),
    }
}

pub(super) fn split(
    value: &Value,
    widths: &Tensor,
    attributes: &Attributes<'_>,
    budget: &Budget,
) -> Result<Vec<Value>, Problem> {
    if !matches!(attributes.integer("axis"), Some(1 | -1)) {
        return Err("it parts rows instead of columns".into());
    }
    let mut parts = Vec::new();
    let mut first = 0_usize;
    let width = match value {
        Value::Columns(columns) => columns.width(),
        Value::Scores(scores) => scores.width(),
        _ => return Err(super::unknown("Split", &[value])),
    };
    // A part takes something even without a column.
    budget.spend(widths.len() * PART_WORDS)?;
    for part in widths.numbers()? {
        if !(0.0..=width as f64).contains(part) || part.fract() != 0.0 || first + *part as usize > width {
            return Err("its parts do not add up to what it parts".into());
        }
        let places: Vec<usize> = (first..first + *part as usize).collect();
        first += places.len();
        parts.push(select(value, &places, budget)?);
    }
    Ok(parts)
}

/// What is gathered by class is its name; everything else is columns.
pub(super) fn gather(
    value: &Value,
    places: &Value,
    attributes: &Attributes<'_>,
    budget: &Budget,
) -> Result<Value, Problem> {
    match (value, places, attributes.integer("axis").unwrap_or(0)) {
        (Value::Tensor(names), Value::Labels { classes: None }, 0) => Ok(names_of(names)),
        (value @ (Value::Columns(_) | Value::Scores(_)), Value::Tensor(places), 1 | -1) => pick(value, places, budget),
        _ => Err(super::unknown("Gather", &[value, places])),
    }
}

pub(super) fn names_of(names: &Tensor) -> Value {
    Value::Labels { classes: Some(names.classes()) }
}

/// The columns of these numbers.
pub(super) fn pick(value: &Value, places: &Tensor, budget: &Budget) -> Result<Value, Problem> {
    let width = match value {
        Value::Columns(columns) => columns.width(),
        Value::Scores(scores) => scores.width(),
        _ => 0,
    };
    select(value, &places.places(width)?, budget)
}

fn select(value: &Value, places: &[usize], budget: &Budget) -> Result<Value, Problem> {
    match value {
        Value::Columns(columns) => Ok(Value::Columns(columns.select(places, budget)?)),
        Value::Scores(scores) if scores.stage != Stage::Softmax => {
            // What is left of probabilities that were divided by their sum is not what it was divided by.
            if scores.normalised {
                return Err("it picks some of the probabilities; keep all classes".into());
            }
            budget.spend(places.iter().map(|&place| scores.outputs[place].size()).sum())?;
            let outputs = places.iter().map(|&place| scores.outputs[place].clone()).collect();
            Ok(Value::Scores(Scores { outputs, classes: None, ..scores.clone() }))
        }
        _ => Err("it picks some of the probabilities; keep all classes".into()),
    }
}

/// Only forms that change nothing.
pub(super) fn reshape(value: &Value, form: &Tensor) -> Result<Value, Problem> {
    let form = form.numbers()?;
    let width = match value {
        Value::Columns(columns) => columns.width(),
        Value::Scores(scores) => scores.width(),
        Value::Labels { .. } => return Ok(value.clone()),
        _ => return Err(super::unknown("Reshape", &[value])),
    };
    let same = match form {
        [rows, columns] => *rows <= 0.0 && (*columns == width as f64 || (*columns == 0.0 && *rows == -1.0)),
        [_] => width == 1,
        _ => false,
    };
    if same { Ok(value.clone()) } else { Err("it moves values from one column to another".into()) }
}

/// The same row for every row of the inputs.
pub(super) fn expand(constant: &Tensor, width: usize, budget: &Budget) -> Result<Value, Problem> {
    let numbers = constant.numbers()?;
    if numbers.len() != width || constant.dims.first() != Some(&1) || numbers.iter().any(|number| !number.is_finite()) {
        return Err("it repeats what is not one row of numbers".into());
    }
    budget.spend(width * Output::default().size())?;
    let source = Source { columns: Vec::new(), kind: Kind::Nothing };
    let outputs = numbers.iter().map(|&number| Output { terms: Vec::new(), summand: number }).collect();
    Ok(Value::Scores(Scores { outputs, ..Scores::new(source, 0) }))
}
