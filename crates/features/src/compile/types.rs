//! Types of expressions, and how two of them meet.

use super::Compiler;
use crate::Error;
use crate::code::{Bank, Operation, Register};

/// The type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// The literal `NULL`: becomes any type.
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    Timestamp,
}

/// A register and what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Typed {
    pub(super) register: Register,
    pub(super) kind: Type,
}

impl Type {
    pub(super) fn bank(self) -> Bank {
        match self {
            Self::Null | Self::Boolean => Bank::Boolean,
            Self::Integer | Self::Timestamp => Bank::Integer,
            Self::Number => Bank::Number,
            Self::Text => Bank::Text,
        }
    }

    /// With its article, for errors.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Timestamp => "a timestamp",
        }
    }

    pub(super) fn is_numeric(self) -> bool {
        matches!(self, Self::Null | Self::Integer | Self::Number)
    }
}

impl Compiler<'_> {
    /// The one type that all values take in `place`.
    pub(super) fn common_type(place: &str, values: &[Typed]) -> Result<Type, Error> {
        let mut common = Type::Null;
        for value in values {
            common = match (common, value.kind) {
                (a, b) if a == b => a,
                (Type::Null, other) | (other, Type::Null) => other,
                (Type::Integer, Type::Number) | (Type::Number, Type::Integer) => Type::Number,
                (a, b) => {
                    let way_out = match (a, b) {
                        (Type::Timestamp, Type::Text) | (Type::Text, Type::Timestamp) => {
                            "write the time as TIMESTAMP '2026-01-31 12:00:00'"
                        }
                        _ => "make them one type with CAST(… AS DOUBLE | BIGINT | VARCHAR | BOOLEAN)",
                    };
                    return Err(Error::Type(format!("{place} mixes {} and {}: {way_out}", a.title(), b.title())));
                }
            };
        }
        Ok(common)
    }

    /// `value` as `kind`, which is its common type with others.
    pub(super) fn coerce(&mut self, value: Typed, kind: Type) -> Typed {
        match (value.kind, kind) {
            (Type::Integer, Type::Number) => self.emit(Operation::IntegerToNumber(value.register.index), Type::Number),
            (Type::Null, kind) => self.emit(Operation::Null(kind.bank()), kind),
            _ => value,
        }
    }

    /// All values as their common type.
    pub(super) fn unify(&mut self, place: &str, values: &[Typed]) -> Result<(Vec<Typed>, Type), Error> {
        let kind = Self::common_type(place, values)?;
        Ok((values.iter().map(|value| self.coerce(*value, kind)).collect(), kind))
    }

    /// `value` as exactly `kind`; integers become numbers, null becomes anything.
    pub(super) fn expect(&mut self, place: &str, value: Typed, kind: Type) -> Result<Typed, Error> {
        let fits =
            value.kind == kind || value.kind == Type::Null || (value.kind, kind) == (Type::Integer, Type::Number);
        if fits {
            return Ok(self.coerce(value, kind));
        }
        let way_out = match kind {
            Type::Number => "; use CAST(… AS DOUBLE)",
            Type::Integer => "; use CAST(… AS BIGINT)",
            Type::Text => "; use CAST(… AS VARCHAR)",
            Type::Boolean if value.kind.is_numeric() => "; compare it, as in x <> 0",
            _ => "",
        };
        Err(Error::Type(format!("{place} wants {}, and this is {}{way_out}", kind.title(), value.kind.title())))
    }
}
