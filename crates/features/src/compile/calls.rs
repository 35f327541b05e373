//! Functions.

use driftmill_schemas::name::did_you_mean;
use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::Compiler;
use super::literals::{Literal, literal, text};
use super::types::{Type, Typed};
use crate::Error;
use crate::code::{Arithmetic, Comparison, Ends, IntegerUnary, NumberUnary, Operation};

/// Every function, for "did you mean".
const FUNCTIONS: [&str; 28] = [
    "abs",
    "ceil",
    "ceiling",
    "coalesce",
    "concat",
    "exp",
    "extract",
    "floor",
    "greatest",
    "least",
    "length",
    "ln",
    "log10",
    "lower",
    "mod",
    "nullif",
    "power",
    "regexp_like",
    "round",
    "sign",
    "sqrt",
    "substring",
    "trim",
    "upper",
    "cast",
    "try_cast",
    "char_length",
    "substr",
];
const AGGREGATES: [&str; 14] = [
    "sum",
    "avg",
    "mean",
    "count",
    "min",
    "max",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "median",
    "row_number",
];
const CHANGING: [&str; 8] =
    ["now", "random", "rand", "uuid", "current_timestamp", "current_date", "current_time", "localtimestamp"];

/// The most digits ROUND takes: a number has no more.
const MAX_DIGITS: i64 = 17;

impl Compiler<'_> {
    pub(super) fn call(&mut self, call: &Function, depth: usize) -> Result<Typed, Error> {
        let name = match call.name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.to_lowercase()),
            _ => None,
        };
        let name = name.ok_or_else(|| unknown(&call.name.to_string()))?;
        if CHANGING.contains(&name.as_str()) {
            return Err(Error::Unsupported(format!(
                "`{name}` is not supported: the same record must give the same value at any time; use a timestamp field"
            )));
        }
        if call.over.is_some() || AGGREGATES.contains(&name.as_str()) {
            let way_out = match name.as_str() {
                "min" => "; the smallest of several fields is LEAST(…)",
                "max" => "; the greatest of several fields is GREATEST(…)",
                _ => "",
            };
            return Err(Error::Unsupported(format!(
                "`{name}` looks at many rows, and an expression sees one record{way_out}"
            )));
        }
        let trees = arguments(call, &name)?;
        if let Some(told) = self.image_call(&name, &trees) {
            return told;
        }
        // Before its arguments: a wrong name explains what is wrong with them.
        if arity(&name).is_none() {
            return Err(unknown(&name));
        }
        // Arguments that are part of the function, not values.
        match (name.as_str(), trees.as_slice()) {
            ("regexp_like", [of, pattern]) => {
                let pattern = text("the pattern of REGEXP_LIKE", pattern)?;
                let of = self.expression(of, depth)?;
                return self.matches("REGEXP_LIKE", of, pattern);
            }
            ("round", [of, digits]) => {
                let digits = match literal(digits)? {
                    Some(Literal::Integer(digits)) if digits.abs() <= MAX_DIGITS => digits as i8,
                    _ => {
                        return Err(Error::Type(format!(
                            "the digits of ROUND are an integer from -{MAX_DIGITS} to {MAX_DIGITS}"
                        )));
                    }
                };
                let of = self.expression(of, depth)?;
                return self.round(of, digits);
            }
            _ => {}
        }
        let values = trees.iter().map(|tree| self.expression(tree, depth)).collect::<Result<Vec<_>, _>>()?;
        self.apply(&name, &values)
    }

    fn apply(&mut self, name: &str, values: &[Typed]) -> Result<Typed, Error> {
        match (name, values) {
            ("abs", &[a]) => self.keep_kind("ABS", a, IntegerUnary::Abs, NumberUnary::Abs),
            ("sign", &[a]) => self.keep_kind("SIGN", a, IntegerUnary::Sign, NumberUnary::Sign),
            ("sqrt", &[a]) => self.number_call("SQRT", NumberUnary::Sqrt, a),
            ("ln", &[a]) => self.number_call("LN", NumberUnary::Ln, a),
            ("log10", &[a]) => self.number_call("LOG10", NumberUnary::Log10, a),
            ("exp", &[a]) => self.number_call("EXP", NumberUnary::Exp, a),
            ("floor", &[a]) => self.whole("FLOOR", NumberUnary::Floor, a),
            ("ceil" | "ceiling", &[a]) => self.whole("CEIL", NumberUnary::Ceil, a),
            ("round", &[a]) => self.round(a, 0),
            ("power", &[a, b]) => self.arithmetic("POWER", Arithmetic::Power, a, b),
            ("mod", &[a, b]) => self.arithmetic("MOD", Arithmetic::Remainder, a, b),
            ("least", [_, ..]) => self.extreme("LEAST", Arithmetic::Least, Comparison::Less, values),
            ("greatest", [_, ..]) => self.extreme("GREATEST", Arithmetic::Greatest, Comparison::Greater, values),
            ("coalesce", [_, ..]) => {
                let (values, kind) = self.unify("COALESCE", values)?;
                self.fold(&values, |compiler, a, b| {
                    let operation = Operation::Coalesce(kind.bank(), a.register.index, b.register.index);
                    compiler.emit(operation, kind)
                })
            }
            ("nullif", &[a, b]) => {
                let equal = self.compare("NULLIF", Comparison::Equal, a, b)?;
                let null = self.null();
                let null = self.coerce(null, a.kind);
                Ok(self.select(equal, null, a, a.kind))
            }
            ("lower" | "upper", &[a]) => {
                let a = self.expect(&name.to_uppercase(), a, Type::Text)?.register.index;
                Ok(self.emit(if name == "lower" { Operation::Lower(a) } else { Operation::Upper(a) }, Type::Text))
            }
            ("length" | "char_length", &[a]) => {
                let a = self.expect("LENGTH", a, Type::Text)?;
                Ok(self.emit(Operation::Length(a.register.index), Type::Integer))
            }
            ("concat", [_, ..]) => {
                let empty = self.literal(&Literal::Text(String::new()));
                let mut texts = Vec::with_capacity(values.len());
                for value in values {
                    let text = self.expect("CONCAT", *value, Type::Text)?.register.index;
                    let operation = Operation::Coalesce(Type::Text.bank(), text, empty.register.index);
                    texts.push(self.emit(operation, Type::Text));
                }
                self.fold(&texts, |compiler, a, b| {
                    compiler.emit(Operation::Concat(a.register.index, b.register.index), Type::Text)
                })
            }
            (name, values) => Err(match arity(name) {
                Some(wanted) => Error::Arguments { function: name.to_uppercase(), wanted, found: values.len() },
                None => unknown(name),
            }),
        }
    }

    /// LEAST and GREATEST over numbers, timestamps and texts.
    fn extreme(
        &mut self,
        place: &str,
        operation: Arithmetic,
        wins: Comparison,
        values: &[Typed],
    ) -> Result<Typed, Error> {
        let (values, kind) = self.unify(place, values)?;
        self.fold(&values, |compiler, a, b| {
            let (left, right) = (a.register.index, b.register.index);
            match kind {
                Type::Number => compiler.emit(Operation::NumberBinary(operation, left, right), kind),
                Type::Integer | Type::Timestamp => {
                    compiler.emit(Operation::IntegerBinary(operation, left, right), kind)
                }
                Type::Text | Type::Boolean | Type::Null => {
                    let compare = if kind == Type::Text {
                        Operation::CompareTexts(wins, right, left)
                    } else {
                        Operation::CompareBooleans(wins, right, left)
                    };
                    let is_right = compiler.emit(compare, Type::Boolean);
                    let chosen = compiler.select(is_right, b, a, kind);
                    // Where the first is null, the comparison is not true.
                    let operation = Operation::Coalesce(kind.bank(), chosen.register.index, right);
                    compiler.emit(operation, kind)
                }
            }
        })
    }

    fn fold(&mut self, values: &[Typed], join: impl Fn(&mut Self, Typed, Typed) -> Typed) -> Result<Typed, Error> {
        let mut values = values.iter().copied();
        let first = values.next().unwrap_or_else(|| self.null());
        Ok(values.fold(first, |a, b| join(self, a, b)))
    }

    fn round(&mut self, value: Typed, digits: i8) -> Result<Typed, Error> {
        if value.kind == Type::Integer && digits >= 0 {
            return Ok(value);
        }
        let value = self.expect("ROUND", value, Type::Number)?;
        Ok(self.emit(Operation::Round(value.register.index, digits), Type::Number))
    }

    pub(super) fn substring(&mut self, of: Typed, from: Option<Typed>, len: Option<Typed>) -> Result<Typed, Error> {
        let of = self.expect("SUBSTRING", of, Type::Text)?.register.index;
        let from = match from {
            Some(from) => self.expect("the position of SUBSTRING", from, Type::Integer)?,
            None => self.literal(&Literal::Integer(1)),
        };
        let from = from.register.index;
        let operation = match len {
            Some(len) => Operation::Substring(
                of,
                from,
                self.expect("the length of SUBSTRING", len, Type::Integer)?.register.index,
            ),
            None => Operation::From(of, from),
        };
        Ok(self.emit(operation, Type::Text))
    }

    pub(super) fn trim(&mut self, of: Typed, ends: Ends, characters: Option<&Expr>) -> Result<Typed, Error> {
        let of = self.expect("TRIM", of, Type::Text)?;
        let characters = match characters {
            Some(characters) => text("what TRIM takes off", characters)?,
            None => " ",
        };
        let characters = self.keep(characters);
        Ok(self.emit(Operation::Trim(ends, of.register.index, characters), Type::Text))
    }
}

/// Plain arguments, by position.
fn arguments<'t>(call: &'t Function, name: &str) -> Result<Vec<&'t Expr>, Error> {
    let plain = || Error::Unsupported(format!("`{name}` takes plain arguments: values between parentheses"));
    let FunctionArguments::List(list) = &call.args else { return Err(plain()) };
    let is_plain = list.duplicate_treatment.is_none()
        && list.clauses.is_empty()
        && call.filter.is_none()
        && call.null_treatment.is_none()
        && call.within_group.is_empty()
        && matches!(call.parameters, FunctionArguments::None);
    if !is_plain {
        return Err(plain());
    }
    let argument = |argument: &'t FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) => Ok(tree),
        _ => Err(plain()),
    };
    list.args.iter().map(argument).collect()
}

fn arity(name: &str) -> Option<&'static str> {
    match name {
        "abs" | "sign" | "sqrt" | "ln" | "log10" | "exp" | "floor" | "ceil" | "ceiling" | "lower" | "upper"
        | "length" | "char_length" => Some("one argument"),
        "round" => Some("one or two arguments"),
        "power" | "mod" | "nullif" | "regexp_like" => Some("two arguments"),
        "least" | "greatest" | "coalesce" | "concat" => Some("one or more arguments"),
        _ => None,
    }
}

fn unknown(name: &str) -> Error {
    let hint = match name {
        "log" => ", say which logarithm: LN(x) or LOG10(x)".to_owned(),
        "if" | "iif" => ", use CASE WHEN … THEN … ELSE … END".to_owned(),
        "ifnull" | "nvl" => ", use COALESCE(x, y)".to_owned(),
        _ => did_you_mean(name, FUNCTIONS.into_iter().chain(super::images::names())),
    };
    Error::UnknownFunction { name: name.to_owned(), hint }
}
