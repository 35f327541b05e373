//! Operators of two operands, and logic.

use sqlparser::ast::BinaryOperator;

use super::Compiler;
use super::types::{Type, Typed};
use crate::Error;
use crate::code::{Arithmetic, Bank, Comparison, IntegerUnary, NumberUnary, Operation};

impl Compiler<'_> {
    pub(super) fn binary(&mut self, operator: &BinaryOperator, a: Typed, b: Typed) -> Result<Typed, Error> {
        let comparison = match operator {
            BinaryOperator::Plus => return self.arithmetic("+", Arithmetic::Add, a, b),
            BinaryOperator::Minus => return self.arithmetic("-", Arithmetic::Subtract, a, b),
            BinaryOperator::Multiply => return self.arithmetic("*", Arithmetic::Multiply, a, b),
            BinaryOperator::Divide => return self.arithmetic("/", Arithmetic::Divide, a, b),
            BinaryOperator::Modulo => return self.arithmetic("%", Arithmetic::Remainder, a, b),
            BinaryOperator::StringConcat => {
                let (a, b) = (self.expect("||", a, Type::Text)?, self.expect("||", b, Type::Text)?);
                return Ok(self.emit(Operation::Concat(a.register.index, b.register.index), Type::Text));
            }
            BinaryOperator::And => {
                let (a, b) = (self.expect("AND", a, Type::Boolean)?, self.expect("AND", b, Type::Boolean)?);
                return Ok(self.and(a, b));
            }
            BinaryOperator::Or => {
                let (a, b) = (self.expect("OR", a, Type::Boolean)?, self.expect("OR", b, Type::Boolean)?);
                return Ok(self.or(a, b));
            }
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            other => return Err(Error::Unsupported(format!("the operator `{other}` is not supported"))),
        };
        self.compare(&format!("`{operator}`"), comparison, a, b)
    }

    /// Integers stay integers but under `/` and POWER.
    pub(super) fn arithmetic(
        &mut self,
        place: &str,
        operation: Arithmetic,
        a: Typed,
        b: Typed,
    ) -> Result<Typed, Error> {
        for value in [a, b] {
            if value.kind == Type::Timestamp {
                return Err(Error::Type(format!(
                    "`{place}` wants numbers, and this is a timestamp; count seconds with EXTRACT(EPOCH FROM …)"
                )));
            }
            if !value.kind.is_numeric() {
                self.expect(&format!("`{place}`"), value, Type::Number)?;
            }
        }
        let is_exact = !matches!(operation, Arithmetic::Divide | Arithmetic::Power);
        if is_exact && Self::common_type(place, &[a, b])? == Type::Integer {
            let (a, b) = (self.coerce(a, Type::Integer), self.coerce(b, Type::Integer));
            let operation = Operation::IntegerBinary(operation, a.register.index, b.register.index);
            return Ok(self.emit(operation, Type::Integer));
        }
        let (a, b) = (self.coerce(a, Type::Number), self.coerce(b, Type::Number));
        Ok(self.emit(Operation::NumberBinary(operation, a.register.index, b.register.index), Type::Number))
    }

    pub(super) fn compare(&mut self, place: &str, comparison: Comparison, a: Typed, b: Typed) -> Result<Typed, Error> {
        let kind = Self::common_type(place, &[a, b])?;
        let [a, b] = [a, b].map(|value| self.coerce(value, kind).register.index);
        let operation = match kind.bank() {
            Bank::Boolean => Operation::CompareBooleans(comparison, a, b),
            Bank::Integer => Operation::CompareIntegers(comparison, a, b),
            Bank::Number => Operation::CompareNumbers(comparison, a, b),
            Bank::Text => Operation::CompareTexts(comparison, a, b),
        };
        Ok(self.emit(operation, Type::Boolean))
    }

    /// Equal, or both null; never null itself.
    pub(super) fn not_distinct(&mut self, a: Typed, b: Typed) -> Result<Typed, Error> {
        let equal = self.compare("IS DISTINCT FROM", Comparison::Equal, a, b)?;
        let equal = self.emit(Operation::Is(true, equal.register.index), Type::Boolean);
        let [a, b] = [a, b].map(|value| self.emit(Operation::IsNull(value.register), Type::Boolean));
        let nulls = self.and(a, b);
        Ok(self.or(equal, nulls))
    }

    pub(super) fn and(&mut self, a: Typed, b: Typed) -> Typed {
        self.emit(Operation::And(a.register.index, b.register.index), Type::Boolean)
    }

    pub(super) fn or(&mut self, a: Typed, b: Typed) -> Typed {
        self.emit(Operation::Or(a.register.index, b.register.index), Type::Boolean)
    }

    pub(super) fn not(&mut self, a: Typed) -> Typed {
        self.emit(Operation::Not(a.register.index), Type::Boolean)
    }

    pub(super) fn negate(&mut self, value: Typed) -> Result<Typed, Error> {
        self.keep_kind("-", value, IntegerUnary::Negate, NumberUnary::Negate)
    }

    /// An operation that integers and numbers both have.
    pub(super) fn keep_kind(
        &mut self,
        place: &str,
        value: Typed,
        integer: IntegerUnary,
        number: NumberUnary,
    ) -> Result<Typed, Error> {
        if value.kind == Type::Integer {
            return Ok(self.emit(Operation::IntegerUnary(integer, value.register.index), Type::Integer));
        }
        self.number_call(place, number, value)
    }

    /// FLOOR and CEIL: an integer has no fraction.
    pub(super) fn whole(&mut self, place: &str, operation: NumberUnary, value: Typed) -> Result<Typed, Error> {
        if value.kind == Type::Integer { Ok(value) } else { self.number_call(place, operation, value) }
    }

    pub(super) fn number_call(&mut self, place: &str, operation: NumberUnary, value: Typed) -> Result<Typed, Error> {
        let value = self.expect(place, value, Type::Number)?;
        Ok(self.emit(Operation::NumberUnary(operation, value.register.index), Type::Number))
    }
}
