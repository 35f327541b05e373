//! Syntax tree to steps: names are resolved and types checked here, once, so that evaluating cannot fail.

mod calls;
mod casts;
mod expression;
mod lists;
mod literals;
mod operators;
mod types;

use std::collections::{BTreeSet, HashMap};

use driftmill_schemas::name::did_you_mean;
use driftmill_schemas::record::{FieldKind, RecordSchema};

use crate::code::{Bank, Code, Index, Operation, Piece, Register, Step};
use crate::{Error, parse};
use types::{Type, Typed};

/// Compiles expressions over one schema into one [`Code`]; what several expressions share is computed once.
pub(crate) struct Compiler<'s> {
    schema: &'s RecordSchema,
    code: Code,
    /// Where the result of an operation already stands.
    known: HashMap<Operation, Register>,
    literals: HashMap<String, Piece>,
    inputs: BTreeSet<usize>,
}

impl<'s> Compiler<'s> {
    pub(crate) fn new(schema: &'s RecordSchema) -> Self {
        Self {
            schema,
            code: Code { schema: schema.fingerprint, ..Code::default() },
            known: HashMap::new(),
            literals: HashMap::new(),
            inputs: BTreeSet::new(),
        }
    }

    pub(crate) fn finish(mut self) -> Code {
        self.code.inputs = self.inputs.into_iter().collect();
        self.code
    }

    /// Compiles the text of a feature; the result is a register of numbers.
    pub(crate) fn feature(&mut self, text: &str) -> Result<Index, Error> {
        let tree = parse::expression(text)?;
        let value = self.expression(&tree, 0)?;
        self.output(value)
    }

    /// Compiles a feature that is a field as it is.
    pub(crate) fn field_feature(&mut self, name: &str) -> Result<Index, Error> {
        let value = self.field(name)?;
        self.output(value)
    }

    fn output(&mut self, value: Typed) -> Result<Index, Error> {
        let way_out = match value.kind {
            Type::Integer | Type::Number => return Ok(self.number(value)),
            Type::Boolean => {
                let integer = self.emit(Operation::BooleanToInteger(value.register.index), Type::Integer);
                return Ok(self.number(integer));
            }
            Type::Null => "it says nothing",
            Type::Text => "use CASE x WHEN 'low' THEN 0 WHEN 'high' THEN 1 END, or CAST(x AS DOUBLE)",
            Type::Timestamp => "take a part of it, as in EXTRACT(HOUR FROM x)",
        };
        let kind = value.kind.title();
        Err(Error::Type(format!("a feature is a number or a boolean, and this is {kind}: {way_out}")))
    }

    /// Compiles the text of a condition; the result is a register of truth values.
    pub(crate) fn condition(&mut self, text: &str) -> Result<Index, Error> {
        let tree = parse::expression(text)?;
        let value = self.expression(&tree, 0)?;
        match value.kind {
            Type::Boolean => Ok(value.register.index),
            other => Err(Error::Type(format!("an expectation is true or false, and this is {}", other.title()))),
        }
    }

    /// Refuses a name that is no field.
    pub(crate) fn known_field(&self, name: &str) -> Result<usize, Error> {
        self.schema
            .index(name)
            .ok_or_else(|| Error::UnknownField { name: name.to_owned(), hint: did_you_mean(name, self.schema.names()) })
    }

    fn field(&mut self, name: &str) -> Result<Typed, Error> {
        let index = self.known_field(name)?;
        self.inputs.insert(index);
        let kind = match self.schema.fields[index].kind {
            FieldKind::Boolean => Type::Boolean,
            FieldKind::Int | FieldKind::Long => Type::Integer,
            FieldKind::Float | FieldKind::Double => Type::Number,
            FieldKind::String => Type::Text,
            FieldKind::Timestamp => Type::Timestamp,
            FieldKind::Bytes => {
                return Err(Error::Type(format!("field `{name}` holds bytes, and no expression can be made of bytes")));
            }
        };
        Ok(self.emit(Operation::Field(kind.bank(), index as u32), kind))
    }

    /// Adds a step, or finds where its result already is.
    fn emit(&mut self, operation: Operation, kind: Type) -> Typed {
        let bank = kind.bank();
        let register = *self.known.entry(operation).or_insert_with(|| {
            let count = &mut self.code.registers[bank as usize];
            let index = *count;
            *count += 1;
            self.code.steps.push(Step { operation, out: index });
            Register { bank, index }
        });
        Typed { register, kind }
    }

    /// Keeps a literal text.
    fn keep(&mut self, text: &str) -> Piece {
        if let Some(piece) = self.literals.get(text) {
            return *piece;
        }
        // Both fit: all literals are parts of expressions of at most a megabyte, and of at most thousands of them.
        let piece = Piece { start: self.code.constants.len() as u32, len: text.len() as u32 };
        self.code.constants.push_str(text);
        self.literals.insert(text.to_owned(), piece);
        piece
    }

    /// Number of the register of numbers that holds an integer or a number.
    fn number(&mut self, value: Typed) -> Index {
        match value.register.bank {
            Bank::Integer => self.emit(Operation::IntegerToNumber(value.register.index), Type::Number).register.index,
            _ => value.register.index,
        }
    }
}
