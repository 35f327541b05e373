//! Arithmetic on each column or score.

use std::rc::Rc;

use super::Problem;
use crate::import::Value;
use crate::import::attributes::Attributes;
use crate::import::columns::{Columns, Step};
use crate::import::scores::Scores;
use crate::import::tensor::Tensor;
use crate::limits::Budget;

pub(super) fn apply(operator: &str, left: &Value, right: &Value, budget: &Budget) -> Result<Value, Problem> {
    match (left, right) {
        (Value::Columns(columns), Value::Tensor(by)) => {
            let by = by.per_column(columns.width())?;
            let step = match operator {
                "Add" => Step::Add,
                "Sub" => Step::Subtract,
                "Mul" => Step::Multiply,
                _ => Step::Divide,
            };
            Ok(Value::Columns(columns.step(&by, step, budget)?))
        }
        (Value::Scores(scores), Value::Tensor(by)) if scores.is_sum() => {
            let by = by.per_column(scores.width())?;
            Ok(Value::Scores(scores.map(|place, output| match operator {
                "Add" => output.plus(by[place]),
                "Sub" => output.plus(-by[place]),
                "Mul" => output.times(by[place]),
                _ => output.times(by[place].recip()),
            })))
        }
        (Value::Tensor(_), Value::Columns(_) | Value::Scores(_)) if matches!(operator, "Add" | "Mul") => {
            apply(operator, right, left, budget)
        }
        (Value::Scores(left), Value::Scores(right)) if matches!(operator, "Add" | "Sub") => {
            let alike = Rc::ptr_eq(&left.source, &right.source)
                && left.is_sum()
                && right.is_sum()
                && left.width() == right.width();
            if !alike {
                return Err("it combines the answers of two models, or what is no longer a sum".into());
            }
            let sign = if operator == "Add" { 1.0 } else { -1.0 };
            Ok(Value::Scores(left.map(|place, output| output.and(&right.outputs[place].times(sign)))))
        }
        (Value::Scores(scores), Value::RowSums(of)) if operator == "Div" && same(scores, of) => normalised(scores),
        _ => Err(super::unknown(operator, &[left, right])),
    }
}

fn same(left: &Scores, right: &Scores) -> bool {
    Rc::ptr_eq(&left.source, &right.source) && left.stage == right.stage && left.outputs == right.outputs
}

/// The sum of each row, in a column of its own: of all at once, or of each column, a model here knows nothing.
pub(super) fn row_sums(scores: &Scores, axes: &[&Value], attributes: &Attributes<'_>) -> Result<Value, Problem> {
    // Since opset 13 an input, before that an attribute.
    let by_row = match axes {
        [] => matches!(attributes.integers("axes"), [1 | -1]),
        [Value::Tensor(axes)] => matches!(axes.numbers()?, [axis] if axis.abs() == 1.0),
        _ => false,
    };
    if !by_row || attributes.integer("keepdims") == Some(0) {
        return Err(
            "it does not sum each row into a column of its own (axes 1, keepdims 1), which is all that is known".into(),
        );
    }
    Ok(Value::RowSums(scores.clone()))
}

/// Divided by the sum of the row, which is 1 already where the model can be imported.
pub(super) fn normalised(scores: &Scores) -> Result<Value, Problem> {
    Ok(Value::Scores(Scores { normalised: true, ..scores.clone() }))
}

/// Whether values are no larger than the limits: the largest number there is, or a negative one for never.
pub(super) fn present(columns: &Columns, limits: &Tensor) -> Result<Value, Problem> {
    let limits = limits.per_column(columns.width())?;
    if limits.iter().any(|limit| *limit >= 0.0 && *limit != f64::MAX) {
        return Err("it compares with limits other than that of finite numbers".into());
    }
    Ok(Value::Present { columns: columns.clone(), never: limits.iter().map(|limit| *limit < 0.0).collect() })
}

pub(super) fn fill(columns: &Columns, never: &[bool], fill: &Tensor, budget: &Budget) -> Result<Value, Problem> {
    let fill = fill.per_column(columns.width())?;
    let filled = columns.step(&fill, Step::Fill, budget)?;
    let fixed = columns.step(&fill, Step::Fix, budget)?;
    let columns = filled.columns.into_iter().zip(fixed.columns).zip(never);
    let columns = columns.map(|((filled, fixed), never)| if *never { fixed } else { filled }).collect();
    Ok(Value::Columns(Columns { columns, single: filled.single }))
}
