//! Constants in the text.

use driftmill_schemas::record::{Field, FieldKind, Value as FieldValue};
use sqlparser::ast::{DataType, Expr, UnaryOperator, Value};

use super::Compiler;
use super::types::{Type, Typed};
use crate::Error;
use crate::code::Operation;

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    Timestamp(i64),
}

/// The constant that `tree` is, if it is one.
pub(super) fn literal(tree: &Expr) -> Result<Option<Literal>, Error> {
    let value = match tree {
        Expr::Value(value) => &value.value,
        // The smallest integer exists only with its sign.
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => return number(&format!("-{digits}")).map(Some),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        },
        Expr::TypedString(typed) => {
            return match (&typed.data_type, &typed.value.value) {
                (DataType::Timestamp(..) | DataType::Date, Value::SingleQuotedString(text)) => {
                    timestamp(text).map(Some)
                }
                _ => Ok(None),
            };
        }
        _ => return Ok(None),
    };
    Ok(match value {
        Value::Null => Some(Literal::Null),
        Value::Boolean(value) => Some(Literal::Boolean(*value)),
        Value::Number(digits, _) => Some(number(digits)?),
        Value::SingleQuotedString(text) => Some(Literal::Text(text.clone())),
        _ => None,
    })
}

/// The literal text that `tree` is.
pub(super) fn text<'t>(place: &str, tree: &'t Expr) -> Result<&'t str, Error> {
    match tree {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Ok(text),
            _ => Err(Error::Type(format!("{place} wants a text in single quotes"))),
        },
        _ => Err(Error::Type(format!("{place} wants a text in single quotes, not an expression"))),
    }
}

/// Digits alone are an integer; everything else, and what is too large for one, is a number.
fn number(digits: &str) -> Result<Literal, Error> {
    if let Ok(integer) = digits.parse() {
        return Ok(Literal::Integer(integer));
    }
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Literal::Number(number)),
        _ => Err(Error::Type(format!("`{digits}` is out of the range of numbers"))),
    }
}

/// The forms of records' timestamps.
pub(super) fn timestamp(text: &str) -> Result<Literal, Error> {
    let field = Field { name: String::new(), kind: FieldKind::Timestamp, nullable: false, null_branch: 0, doc: None };
    match FieldValue::from_text(text, &field) {
        Ok(FieldValue::Long(millis)) => Ok(Literal::Timestamp(millis)),
        _ => Err(Error::Type(format!("`{text}` is no time: write it as '2026-01-31' or '2026-01-31 12:00:00' (UTC)"))),
    }
}

impl Literal {
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Boolean(_) => Type::Boolean,
            Self::Integer(_) => Type::Integer,
            Self::Number(_) => Type::Number,
            Self::Text(_) => Type::Text,
            Self::Timestamp(_) => Type::Timestamp,
        }
    }
}

impl Compiler<'_> {
    pub(super) fn literal(&mut self, literal: &Literal) -> Typed {
        let operation = match literal {
            Literal::Null => return self.null(),
            Literal::Boolean(value) => Operation::BooleanLiteral(*value),
            Literal::Integer(value) | Literal::Timestamp(value) => Operation::IntegerLiteral(*value),
            Literal::Number(value) => Operation::NumberLiteral(value.to_bits()),
            Literal::Text(text) => Operation::TextLiteral(self.keep(text)),
        };
        self.emit(operation, literal.kind())
    }
}
