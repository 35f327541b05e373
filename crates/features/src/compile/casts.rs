//! CAST, TRY_CAST and `::`, which are one and the same here.

use sqlparser::ast::{DataType, ExactNumberInfo, Expr};

use super::Compiler;
use super::literals::{Literal, literal, timestamp};
use super::types::{Type, Typed};
use crate::Error;
use crate::code::{Comparison, Operation};

impl Compiler<'_> {
    pub(super) fn cast(&mut self, of: &Expr, target: &DataType, depth: usize) -> Result<Typed, Error> {
        let kind = target_type(target)?;
        if let (Type::Timestamp, Some(Literal::Text(text))) = (kind, literal(of)?) {
            let literal = timestamp(&text)?;
            return Ok(self.literal(&literal));
        }
        let value = self.expression(of, depth)?;
        if value.kind == kind || value.kind == Type::Null {
            return Ok(self.coerce(value, kind));
        }
        let index = value.register.index;
        let operation = match (value.kind, kind) {
            (Type::Boolean, Type::Integer) => Operation::BooleanToInteger(index),
            (Type::Boolean, Type::Number) => {
                let integer = self.emit(Operation::BooleanToInteger(index), Type::Integer);
                Operation::IntegerToNumber(integer.register.index)
            }
            (Type::Boolean, Type::Text) => Operation::BooleanToText(index),
            (Type::Integer, Type::Boolean) => Operation::IntegerToBoolean(index),
            (Type::Integer, Type::Number) => Operation::IntegerToNumber(index),
            (Type::Integer, Type::Text) => Operation::IntegerToText(index),
            (Type::Number, Type::Boolean) => {
                let zero = self.literal(&Literal::Number(0.0));
                return self.compare("CAST", Comparison::NotEqual, value, zero);
            }
            (Type::Number, Type::Integer) => Operation::NumberToInteger(index),
            (Type::Number, Type::Text) => Operation::NumberToText(index),
            (Type::Text, Type::Boolean) => Operation::TextToBoolean(index),
            (Type::Text, Type::Integer) => Operation::TextToInteger(index),
            (Type::Text, Type::Number) => Operation::TextToNumber(index),
            (Type::Timestamp, Type::Text) => Operation::TimestampToText(index),
            (Type::Timestamp, Type::Integer | Type::Number) => {
                return Err(Error::Type(
                    "a timestamp is cast to no number: take its seconds with EXTRACT(EPOCH FROM …)".to_owned(),
                ));
            }
            (from, to) => {
                let way_out = if to == Type::Timestamp { "; make the field a timestamp-millis" } else { "" };
                return Err(Error::Type(format!("{} is not cast to {}{way_out}", from.title(), to.title())));
            }
        };
        Ok(self.emit(operation, kind))
    }
}

fn target_type(target: &DataType) -> Result<Type, Error> {
    Ok(match target {
        DataType::Double(ExactNumberInfo::None) | DataType::DoublePrecision => Type::Number,
        DataType::BigInt(None) => Type::Integer,
        DataType::Varchar(None) | DataType::Text | DataType::String(None) => Type::Text,
        DataType::Boolean | DataType::Bool => Type::Boolean,
        DataType::Timestamp(None, _) => Type::Timestamp,
        other => {
            return Err(Error::Unsupported(format!(
                "CAST to `{other}` is not supported: use DOUBLE, BIGINT, VARCHAR or BOOLEAN"
            )));
        }
    })
}
