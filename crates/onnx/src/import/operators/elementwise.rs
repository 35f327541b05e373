//! Arithmetic on each column or score.

use std::rc::Rc;

use super::Problem;
use crate::import::Value;
use crate::import::columns::{Columns, Step};
use crate::import::scores::{Scores, Stage};
use crate::import::tensor::Tensor;

pub(super) fn apply(operator: &str, left: &Value, right: &Value) -> Result<Value, Problem> {
    match (left, right) {
        (Value::Columns(columns), Value::Tensor(by)) => {
            let by = by.per_column(columns.width())?;
            let step = match operator {
                "Add" => Step::Add,
                "Sub" => Step::Subtract,
                "Mul" => Step::Multiply,
                _ => Step::Divide,
            };
            Ok(Value::Columns(columns.step(&by, step)?))
        }
        (Value::Scores(scores), Value::Tensor(by)) if scores.stage == Stage::Raw => {
            let by = by.per_column(scores.width())?;
            Ok(Value::Scores(scores.map(|place, output| match operator {
                "Add" => output.plus(by[place]),
                "Sub" => output.plus(-by[place]),
                "Mul" => output.times(by[place]),
                _ => output.times(by[place].recip()),
            })))
        }
        (Value::Tensor(_), Value::Columns(_) | Value::Scores(_)) if matches!(operator, "Add" | "Mul") => {
            apply(operator, right, left)
        }
        (Value::Scores(left), Value::Scores(right)) if matches!(operator, "Add" | "Sub") => {
            let alike = Rc::ptr_eq(&left.source, &right.source)
                && (left.stage, right.stage) == (Stage::Raw, Stage::Raw)
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

pub(super) fn fill(columns: &Columns, never: &[bool], fill: &Tensor) -> Result<Value, Problem> {
    let fill = fill.per_column(columns.width())?;
    let filled = columns.step(&fill, Step::Fill)?;
    let fixed = columns.step(&fill, Step::Fix)?;
    let columns = filled.columns.into_iter().zip(fixed.columns).zip(never);
    let columns = columns.map(|((filled, fixed), never)| if *never { fixed } else { filled }).collect();
    Ok(Value::Columns(Columns { columns, single: filled.single }))
}
