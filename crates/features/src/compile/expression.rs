//! One node of the syntax tree after the other.

use sqlparser::ast::{CaseWhen, CeilFloorKind, DateTimeField, Expr, Ident, TrimWhereField, UnaryOperator};

use super::Compiler;
use super::literals::literal;
use super::types::{Type, Typed};
use crate::Error;
use crate::code::{Comparison, Ends, NumberUnary, Operation, Part};
use crate::parse::MAX_DEPTH;

impl Compiler<'_> {
    /// Compiles `tree`, which stands below `depth` others.
    pub(super) fn expression(&mut self, tree: &Expr, depth: usize) -> Result<Typed, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep(MAX_DEPTH));
        }
        // A chain of operators leans left and may be long: it is walked, so that depth counts nesting alone.
        let mut chain = Vec::new();
        let mut first = tree;
        while let Expr::BinaryOp { left, op, right } = first {
            chain.push((op, right));
            first = left;
        }
        let mut value = self.operand(first, depth)?;
        for (operator, right) in chain.into_iter().rev() {
            let right = self.expression(right, depth + 1)?;
            value = self.binary(operator, value, right)?;
        }
        Ok(value)
    }

    fn operand(&mut self, tree: &Expr, depth: usize) -> Result<Typed, Error> {
        if let Some(literal) = literal(tree)? {
            return Ok(self.literal(&literal));
        }
        let inner = depth + 1;
        match tree {
            Expr::Identifier(name) => self.field(&name.value),
            Expr::CompoundIdentifier(path) => Err(dotted(path)),
            Expr::Nested(tree) => self.expression(tree, inner),
            Expr::UnaryOp { op, expr } => {
                let value = self.expression(expr, inner)?;
                self.unary(*op, value)
            }
            Expr::IsNull(of) => self.is_null(of, inner),
            Expr::IsNotNull(of) => {
                let is = self.is_null(of, inner)?;
                Ok(self.not(is))
            }
            Expr::IsTrue(of) => self.is("IS TRUE", of, true, inner),
            Expr::IsFalse(of) => self.is("IS FALSE", of, false, inner),
            Expr::IsNotTrue(of) => {
                let is = self.is("IS NOT TRUE", of, true, inner)?;
                Ok(self.not(is))
            }
            Expr::IsNotFalse(of) => {
                let is = self.is("IS NOT FALSE", of, false, inner)?;
                Ok(self.not(is))
            }
            Expr::IsUnknown(of) | Expr::IsNotUnknown(of) => {
                let of = self.expression(of, inner)?;
                let of = self.expect("IS UNKNOWN", of, Type::Boolean)?;
                let is = self.emit(Operation::IsNull(of.register), Type::Boolean);
                Ok(if matches!(tree, Expr::IsUnknown(_)) { is } else { self.not(is) })
            }
            Expr::IsDistinctFrom(a, b) | Expr::IsNotDistinctFrom(a, b) => {
                let (a, b) = (self.expression(a, inner)?, self.expression(b, inner)?);
                let same = self.not_distinct(a, b)?;
                Ok(if matches!(tree, Expr::IsNotDistinctFrom(..)) { same } else { self.not(same) })
            }
            Expr::Between { expr, negated, low, high } => {
                let of = self.expression(expr, inner)?;
                let low = self.expression(low, inner)?;
                let high = self.expression(high, inner)?;
                let above = self.compare("BETWEEN", Comparison::GreaterOrEqual, of, low)?;
                let below = self.compare("BETWEEN", Comparison::LessOrEqual, of, high)?;
                let within = self.and(above, below);
                Ok(self.not_if(*negated, within))
            }
            Expr::InList { expr, list, negated } => {
                let of = self.expression(expr, inner)?;
                let within = self.in_list(of, list, inner)?;
                Ok(self.not_if(*negated, within))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let of = self.expression(expr, inner)?;
                let matches = self.like("LIKE", of, pattern, escape_char.as_deref())?;
                Ok(self.not_if(*negated, matches))
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                let of = self.expression(expr, inner)?;
                let matches = self.like("ILIKE", of, pattern, escape_char.as_deref())?;
                Ok(self.not_if(*negated, matches))
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), inner)
            }
            Expr::Cast { expr, data_type, format: None, .. } => self.cast(expr, data_type, inner),
            Expr::Extract { field, expr, .. } => {
                let part = part(field)?;
                let of = self.expression(expr, inner)?;
                let of = self.expect("EXTRACT", of, Type::Timestamp)?;
                let kind = if part == Part::Epoch { Type::Number } else { Type::Integer };
                Ok(self.emit(Operation::Extract(part, of.register.index), kind))
            }
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let of = self.expression(expr, inner)?;
                self.whole("FLOOR", NumberUnary::Floor, of)
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let of = self.expression(expr, inner)?;
                self.whole("CEIL", NumberUnary::Ceil, of)
            }
            Expr::Floor { .. } | Expr::Ceil { .. } => {
                Err(Error::Unsupported("FLOOR and CEIL take one number and nothing else".to_owned()))
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let of = self.expression(expr, inner)?;
                let from = substring_from.as_deref().map(|from| self.expression(from, inner)).transpose()?;
                let len = substring_for.as_deref().map(|len| self.expression(len, inner)).transpose()?;
                self.substring(of, from, len)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let of = self.expression(expr, inner)?;
                let ends = match trim_where {
                    None | Some(TrimWhereField::Both) => Ends::Both,
                    Some(TrimWhereField::Leading) => Ends::Start,
                    Some(TrimWhereField::Trailing) => Ends::End,
                };
                self.trim(of, ends, trim_what.as_deref())
            }
            Expr::Function(call) => self.call(call, inner),
            other => Err(unsupported(other)),
        }
    }

    fn is_null(&mut self, of: &Expr, depth: usize) -> Result<Typed, Error> {
        let of = self.expression(of, depth)?;
        Ok(self.emit(Operation::IsNull(of.register), Type::Boolean))
    }

    fn is(&mut self, place: &str, of: &Expr, wanted: bool, depth: usize) -> Result<Typed, Error> {
        let of = self.expression(of, depth)?;
        let of = self.expect(place, of, Type::Boolean)?;
        Ok(self.emit(Operation::Is(wanted, of.register.index), Type::Boolean))
    }

    /// Every branch is computed, and the first whose condition is true is taken: nothing a branch does can fail.
    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[CaseWhen],
        otherwise: Option<&Expr>,
        depth: usize,
    ) -> Result<Typed, Error> {
        let operand = operand.map(|operand| self.expression(operand, depth)).transpose()?;
        let mut conditions = Vec::with_capacity(branches.len());
        let mut results = Vec::with_capacity(branches.len() + 1);
        for branch in branches {
            let condition = self.expression(&branch.condition, depth)?;
            conditions.push(match operand {
                Some(operand) => self.compare("CASE", Comparison::Equal, operand, condition)?,
                None => self.expect("WHEN", condition, Type::Boolean)?,
            });
            results.push(self.expression(&branch.result, depth)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.expression(otherwise, depth)?,
            None => self.null(),
        });
        let (results, kind) = self.unify("CASE", &results)?;
        let mut results = results.into_iter().rev();
        let otherwise = results.next().unwrap_or_else(|| self.null());
        Ok(conditions
            .into_iter()
            .rev()
            .zip(results)
            .fold(otherwise, |otherwise, (condition, then)| self.select(condition, then, otherwise, kind)))
    }

    pub(super) fn select(&mut self, condition: Typed, then: Typed, otherwise: Typed, kind: Type) -> Typed {
        let [condition, then, otherwise] = [condition, then, otherwise].map(|value| value.register.index);
        self.emit(Operation::Select(kind.bank(), condition, then, otherwise), kind)
    }

    pub(super) fn null(&mut self) -> Typed {
        self.emit(Operation::Null(Type::Null.bank()), Type::Null)
    }

    pub(super) fn not_if(&mut self, negated: bool, value: Typed) -> Typed {
        if negated { self.not(value) } else { value }
    }

    fn unary(&mut self, operator: UnaryOperator, value: Typed) -> Result<Typed, Error> {
        match operator {
            UnaryOperator::Not => {
                let value = self.expect("NOT", value, Type::Boolean)?;
                Ok(self.not(value))
            }
            UnaryOperator::Minus => self.negate(value),
            UnaryOperator::Plus if value.kind.is_numeric() => Ok(value),
            UnaryOperator::Plus => self.expect("+", value, Type::Number),
            other => Err(Error::Unsupported(format!("the operator `{other}` is not supported"))),
        }
    }
}

fn part(field: &DateTimeField) -> Result<Part, Error> {
    match field {
        DateTimeField::Year => Ok(Part::Year),
        DateTimeField::Month => Ok(Part::Month),
        DateTimeField::Day => Ok(Part::Day),
        DateTimeField::Dow | DateTimeField::DayOfWeek => Ok(Part::DayOfWeek),
        DateTimeField::Hour => Ok(Part::Hour),
        DateTimeField::Minute => Ok(Part::Minute),
        DateTimeField::Epoch => Ok(Part::Epoch),
        other => Err(Error::Unsupported(format!(
            "EXTRACT({other} …) is not supported: use YEAR, MONTH, DAY, DOW, HOUR, MINUTE or EPOCH"
        ))),
    }
}

fn dotted(path: &[Ident]) -> Error {
    let joined = path.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
    Error::Unsupported(format!(
        "`{joined}`: a record has no tables and no nested fields; write the field alone, in double quotes if its name \
         has a dot"
    ))
}

fn unsupported(tree: &Expr) -> Error {
    let what = match tree {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. } => {
            "a subquery is not supported: an expression sees one record and no tables"
        }
        Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => "`*` is not supported: name the fields",
        Expr::Like { .. } | Expr::ILike { .. } => "LIKE ANY is not supported: join several LIKE with OR",
        Expr::SimilarTo { .. } | Expr::RLike { .. } => "use LIKE or REGEXP_LIKE(text, 'pattern')",
        Expr::AtTimeZone { .. } => "AT TIME ZONE is not supported: timestamps are UTC",
        Expr::Interval(_) => "intervals are not supported: count seconds with EXTRACT(EPOCH FROM …)",
        Expr::Cast { .. } => "CAST takes no FORMAT",
        Expr::Trim { .. } => "write TRIM(BOTH 'x' FROM text)",
        Expr::Value(_) => "this kind of literal is not supported: use 1, 1.5, 'text', TRUE, FALSE or NULL",
        Expr::TypedString(_) => "this kind of literal is not supported: use TIMESTAMP '2026-01-31 12:00:00'",
        Expr::Tuple(_) | Expr::Array(_) | Expr::Struct { .. } | Expr::Map(_) | Expr::Dictionary(_) => {
            "lists and structures are not supported: values are scalars"
        }
        _ => "this SQL is no part of the expression language",
    };
    Error::Unsupported(what.to_owned())
}
