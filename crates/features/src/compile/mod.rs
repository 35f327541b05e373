//! Syntax tree to steps: names are resolved and types checked here, once, so that evaluating cannot fail.

mod calls;
mod casts;
mod expression;
mod images;
mod lists;
mod literals;
mod operators;
mod types;

use std::collections::{BTreeSet, HashMap};

use driftmill_schemas::name::did_you_mean;
use driftmill_schemas::pipeline::{Feature, FeatureType};
use driftmill_schemas::record::{FieldKind, RecordSchema};

use crate::code::{Bank, Code, Index, Operation, Piece, Register, Step};
use crate::program::Output;
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

    /// Compiles a feature.
    pub(crate) fn feature(&mut self, feature: &Feature) -> Result<Output, Error> {
        if feature.kind == FeatureType::Image {
            let name = feature.expression().trim_matches('"');
            return Ok(Output::Image { field: self.image_field(name)?, side: feature.side() });
        }
        // A name alone is a field even where SQL would read it as a keyword.
        let value = match &feature.sql {
            Some(sql) => self.expression(&parse::expression(sql)?, 0)?,
            None => self.field(&feature.name)?,
        };
        match feature.kind {
            FeatureType::Category | FeatureType::Text => self.text_output(feature.kind, value).map(Output::Text),
            FeatureType::Number | FeatureType::Image => self.output(value).map(Output::Number),
        }
    }

    /// A register of texts. Booleans and integers are written out for a category; what a number is as a text is nobody's
    /// category.
    fn text_output(&mut self, kind: FeatureType, value: Typed) -> Result<Index, Error> {
        let operation = match (kind, value.kind) {
            (_, Type::Text) => return Ok(value.register.index),
            (_, Type::Null) => return Err(Error::Type("a feature is null: it says nothing".to_owned())),
            (FeatureType::Category, Type::Boolean) => Operation::BooleanToText(value.register.index),
            (FeatureType::Category, Type::Integer) => Operation::IntegerToText(value.register.index),
            (_, other) => {
                return Err(Error::Type(format!(
                    "a feature of type {} is a text, and this is {}: use CAST(… AS VARCHAR)",
                    kind.title(),
                    other.title()
                )));
            }
        };
        Ok(self.emit(operation, Type::Text).register.index)
    }

    fn output(&mut self, value: Typed) -> Result<Index, Error> {
        let way_out = match value.kind {
            Type::Integer | Type::Number => return Ok(self.number(value)),
            Type::Boolean => {
                let integer = self.emit(Operation::BooleanToInteger(value.register.index), Type::Integer);
                return Ok(self.number(integer));
            }
            Type::Null => "it says nothing",
            Type::Text => {
                "say `type: category` or `type: text`, or use CASE x WHEN 'low' THEN 0 WHEN 'high' THEN 1 END, or CAST(x AS DOUBLE)"
            }
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
                return Err(Error::Type(format!(
                    "field `{name}` holds bytes: a feature of `type: image` takes it as it is, and functions such as IMAGE_WIDTH tell numbers of it"
                )));
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
