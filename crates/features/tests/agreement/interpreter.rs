//! The language once more, as plainly as possible: one value after the other, by recursion.

use chrono::{DateTime, Datelike, Timelike};
use driftmill_schemas::record::{FieldKind, Record, RecordSchema, Value};

use crate::texts;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Num,
    Text,
    Time,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Num(f64),
    Text(String),
    Time(i64),
}

#[derive(Debug, Clone)]
pub enum Tree {
    Field(usize, Kind),
    Literal(Val, Kind),
    Call(&'static str, Kind, Vec<Tree>),
}

impl Tree {
    fn kind(&self) -> Kind {
        match self {
            Self::Field(_, kind) | Self::Literal(_, kind) | Self::Call(_, kind, _) => *kind,
        }
    }

    pub fn sql(&self, schema: &RecordSchema) -> String {
        let (name, kind, inner) = match self {
            Self::Field(index, _) => return format!("\"{}\"", schema.fields[*index].name),
            Self::Literal(value, _) => return literal(value),
            Self::Call(name, kind, inner) => (*name, *kind, inner),
        };
        let args: Vec<String> = inner.iter().map(|tree| tree.sql(schema)).collect();
        let target = match kind {
            Kind::Bool => "BOOLEAN",
            Kind::Int => "BIGINT",
            Kind::Num => "DOUBLE",
            Kind::Text => "VARCHAR",
            Kind::Time => "TIMESTAMP",
        };
        match (name, args.as_slice()) {
            ("negate", [a]) => format!("(- {a})"),
            ("not", [a]) => format!("(NOT {a})"),
            (
                "is null" | "is not null" | "is true" | "is false" | "is not true" | "is not false" | "is unknown",
                [a],
            ) => {
                format!("({a} {name})")
            }
            ("case", [c, a, d, b, e]) => format!("CASE WHEN {c} THEN {a} WHEN {d} THEN {b} ELSE {e} END"),
            ("case of", [x, w, a, b]) => format!("CASE {x} WHEN {w} THEN {a} ELSE {b} END"),
            ("between" | "not between", [x, a, b]) => format!("({x} {name} {a} AND {b})"),
            ("in" | "not in", [x, rest @ ..]) => format!("({x} {name} ({}))", rest.join(", ")),
            ("in literals", [x, rest @ ..]) => {
                let bare: Vec<_> = rest.iter().map(|text| text.trim_matches(['(', ')'])).collect();
                format!("({x} IN ({}))", bare.join(", "))
            }
            ("like" | "ilike", [a, b]) => format!("({a} {name} {b} ESCAPE '!')"),
            ("cast", [a]) => format!("CAST({a} AS {target})"),
            ("year" | "month" | "day" | "dow" | "hour" | "minute" | "epoch", [a]) => {
                format!("EXTRACT({name} FROM {a})")
            }
            ("trim leading", [a]) => format!("TRIM(LEADING ' ' FROM {a})"),
            ("trim trailing", [a]) => format!("TRIM(TRAILING ' ' FROM {a})"),
            ("substring", [a, from, len]) => format!("SUBSTRING({a} FROM {from} FOR {len})"),
            ("from", [a, from]) => format!("SUBSTRING({a}, {from})"),
            ("round 2", [a]) => format!("ROUND({a}, 2)"),
            ("round -1", [a]) => format!("ROUND({a}, -1)"),
            (operator, [a, b]) if !operator.starts_with(|c: char| c.is_alphabetic()) || is_word(operator) => {
                format!("({a} {operator} {b})")
            }
            (function, args) => format!("{function}({})", args.join(", ")),
        }
    }

    pub fn value(&self, record: &Record) -> Val {
        let (name, kind, inner) = match self {
            Self::Field(index, kind) => return field(&record.values[*index], *kind),
            Self::Literal(value, _) => return value.clone(),
            Self::Call(name, kind, inner) => (*name, *kind, inner),
        };
        let args: Vec<Val> = inner.iter().map(|tree| tree.value(record)).collect();
        let is_null = |index: usize| args[index] == Val::Null;
        let equal = |a: &Val, b: &Val| compare(a, b).map(|order| order.is_eq());
        match name {
            "case" => as_kind(
                match (&args[0], &args[2]) {
                    (Val::Bool(true), _) => &args[1],
                    (_, Val::Bool(true)) => &args[3],
                    _ => &args[4],
                },
                kind,
            ),
            "case of" => as_kind(if equal(&args[0], &args[1]) == Some(true) { &args[2] } else { &args[3] }, kind),
            "coalesce" => as_kind(args.iter().find(|value| **value != Val::Null).unwrap_or(&Val::Null), kind),
            "nullif" => {
                if equal(&args[0], &args[1]) == Some(true) {
                    Val::Null
                } else {
                    args[0].clone()
                }
            }
            "least" | "greatest" => {
                let mut best = Val::Null;
                for value in args.iter().map(|value| as_kind(value, kind)) {
                    let wins = match compare(&value, &best) {
                        Some(order) => {
                            if name == "least" {
                                order.is_lt()
                            } else {
                                order.is_gt()
                            }
                        }
                        None => best == Val::Null,
                    };
                    if wins {
                        best = value;
                    }
                }
                best
            }
            "and" | "or" => {
                let decides = Val::Bool(name == "or");
                if args.contains(&decides) {
                    decides
                } else if args.contains(&Val::Null) {
                    Val::Null
                } else {
                    Val::Bool(name == "and")
                }
            }
            "not" => not(&args[0]),
            "is null" | "is unknown" => Val::Bool(is_null(0)),
            "is not null" => Val::Bool(!is_null(0)),
            "is true" => Val::Bool(args[0] == Val::Bool(true)),
            "is false" => Val::Bool(args[0] == Val::Bool(false)),
            "is not true" => Val::Bool(args[0] != Val::Bool(true)),
            "is not false" => Val::Bool(args[0] != Val::Bool(false)),
            "is distinct from" | "is not distinct from" => {
                let same = equal(&args[0], &args[1]).unwrap_or(is_null(0) && is_null(1));
                Val::Bool(same == (name == "is not distinct from"))
            }
            "between" | "not between" => {
                let above = compare(&args[0], &args[1]).map(|order| order.is_ge());
                let below = compare(&args[0], &args[2]).map(|order| order.is_le());
                let within = match (above, below) {
                    (Some(false), _) | (_, Some(false)) => Val::Bool(false),
                    (Some(true), Some(true)) => Val::Bool(true),
                    _ => Val::Null,
                };
                if name == "between" { within } else { not(&within) }
            }
            "in" | "not in" | "in literals" => {
                // A list of integers and numbers is compared as numbers.
                let numbers = inner.iter().any(|tree| tree.kind() == Kind::Num) && name == "in literals";
                let of = |value: &Val| if numbers { as_kind(value, Kind::Num) } else { value.clone() };
                let answers: Vec<_> = args[1..].iter().map(|value| equal(&of(&args[0]), &of(value))).collect();
                let within = if answers.contains(&Some(true)) {
                    Val::Bool(true)
                } else if answers.contains(&None) {
                    Val::Null
                } else {
                    Val::Bool(false)
                };
                if name == "not in" { not(&within) } else { within }
            }
            "=" | "<>" | "<" | "<=" | ">" | ">=" => compare(&args[0], &args[1]).map_or(Val::Null, |order| {
                Val::Bool(match name {
                    "=" => order.is_eq(),
                    "<>" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                })
            }),
            "concat" => {
                let text = |value: &Val| if let Val::Text(text) = value { text.clone() } else { String::new() };
                Val::Text(text(&args[0]) + &text(&args[1]))
            }
            _ if args.contains(&Val::Null) => Val::Null,
            "like" | "ilike" | "regexp_like" | "length" | "lower" | "upper" | "||" | "trim" | "trim leading"
            | "trim trailing" | "substring" | "from" => texts::call(name, &args),
            "cast" => cast(&args[0], kind),
            "year" | "month" | "day" | "dow" | "hour" | "minute" | "epoch" => part(name, &args[0]),
            _ if kind == Kind::Int => integer_call(name, &args),
            _ => number_call(name, &args),
        }
    }
}

fn is_word(operator: &str) -> bool {
    matches!(operator, "and" | "or" | "is distinct from" | "is not distinct from")
}

fn literal(value: &Val) -> String {
    match value {
        Val::Null => "NULL".to_owned(),
        Val::Bool(value) => value.to_string(),
        Val::Int(value) => format!("({value})"),
        Val::Num(value) => format!("({value:?})"),
        Val::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Val::Time(millis) => {
            format!("TIMESTAMP '{}'", DateTime::from_timestamp_millis(*millis).unwrap().format("%Y-%m-%d %H:%M:%S"))
        }
    }
}

fn field(value: &Value, kind: Kind) -> Val {
    match (value, kind) {
        (Value::Null, _) => Val::Null,
        (Value::Boolean(value), _) => Val::Bool(*value),
        (Value::Long(value), Kind::Time) => Val::Time(*value),
        (Value::Long(value), _) => Val::Int(*value),
        (Value::Double(value), _) => num(*value),
        (Value::String(text), _) => Val::Text(text.clone()),
        (Value::Bytes(_), _) => Val::Null,
    }
}

fn num(value: f64) -> Val {
    if value.is_finite() { Val::Num(value) } else { Val::Null }
}

fn as_kind(value: &Val, kind: Kind) -> Val {
    match (value, kind) {
        (Val::Int(value), Kind::Num) => Val::Num(*value as f64),
        _ => value.clone(),
    }
}

fn float(value: &Val) -> f64 {
    match value {
        Val::Int(value) => *value as f64,
        Val::Num(value) => *value,
        other => panic!("{other:?} is no number"),
    }
}

fn not(value: &Val) -> Val {
    match value {
        Val::Bool(value) => Val::Bool(!value),
        _ => Val::Null,
    }
}

fn compare(a: &Val, b: &Val) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Val::Null, _) | (_, Val::Null) => None,
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        (Val::Int(a), Val::Int(b)) | (Val::Time(a), Val::Time(b)) => Some(a.cmp(b)),
        (Val::Text(a), Val::Text(b)) => Some(a.cmp(b)),
        (a, b) => float(a).partial_cmp(&float(b)),
    }
}

fn integer_call(name: &str, args: &[Val]) -> Val {
    let of = |index: usize| match args[index] {
        Val::Int(value) => i128::from(value),
        ref other => panic!("{other:?} is no integer"),
    };
    let exact = match name {
        "+" => of(0) + of(1),
        "-" => of(0) - of(1),
        "*" => of(0) * of(1),
        "%" | "mod" if of(1) == 0 => return Val::Null,
        "%" | "mod" => of(0) % of(1),
        "negate" => -of(0),
        "abs" => of(0).abs(),
        "sign" => of(0).signum(),
        "floor" | "ceil" | "round" => of(0),
        other => panic!("{other}"),
    };
    i64::try_from(exact).map_or(Val::Null, Val::Int)
}

fn number_call(name: &str, args: &[Val]) -> Val {
    let a = float(&args[0]);
    let b = || float(&args[1]);
    num(match name {
        "+" => a + b(),
        "-" => a - b(),
        "*" => a * b(),
        "/" => a / b(),
        "%" => a % b(),
        "power" => a.powf(b()),
        "negate" => -a,
        "abs" => a.abs(),
        "sign" => {
            if a == 0.0 {
                0.0
            } else {
                a.signum()
            }
        }
        "sqrt" => a.sqrt(),
        "ln" => a.ln(),
        "log10" => a.log10(),
        "exp" => a.exp(),
        "floor" => a.floor(),
        "ceil" => a.ceil(),
        "round" => a.round(),
        "round 2" => {
            if (a * 100.0).is_finite() {
                (a * 100.0).round() / 100.0
            } else {
                a
            }
        }
        "round -1" => (a / 10.0).round() * 10.0,
        other => panic!("{other}"),
    })
}

fn cast(value: &Val, kind: Kind) -> Val {
    match (value, kind) {
        (Val::Bool(value), Kind::Int) => Val::Int(i64::from(*value)),
        (Val::Bool(value), Kind::Num) => Val::Num(f64::from(u8::from(*value))),
        (Val::Int(value), Kind::Bool) => Val::Bool(*value != 0),
        (Val::Int(value), Kind::Num) => Val::Num(*value as f64),
        (Val::Num(value), Kind::Bool) => Val::Bool(*value != 0.0),
        (Val::Num(value), Kind::Int) => {
            let whole = *value as i128;
            i64::try_from(whole).map_or(Val::Null, Val::Int)
        }
        (Val::Text(text), Kind::Bool) => match text.trim().to_lowercase().as_str() {
            "true" | "1" => Val::Bool(true),
            "false" | "0" => Val::Bool(false),
            _ => Val::Null,
        },
        (Val::Text(text), Kind::Int) => text.trim().parse().map_or(Val::Null, Val::Int),
        (Val::Text(text), Kind::Num) => text.trim().parse().map_or(Val::Null, num),
        (Val::Num(value), Kind::Text) if *value == 0.0 => Val::Text("0".to_owned()),
        (Val::Num(value), Kind::Text) => Val::Text(value.to_string()),
        (Val::Bool(value), Kind::Text) => Val::Text(value.to_string()),
        (Val::Int(value), Kind::Text) => Val::Text(value.to_string()),
        (Val::Time(millis), Kind::Text) => {
            let at = DateTime::from_timestamp_millis(*millis).unwrap();
            Val::Text(at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        }
        (value, kind) => panic!("{value:?} to {kind:?}"),
    }
}

fn part(name: &str, value: &Val) -> Val {
    let Val::Time(millis) = value else { panic!("{value:?} is no time") };
    let at = DateTime::from_timestamp_millis(*millis).unwrap();
    match name {
        "year" => Val::Int(i64::from(at.year())),
        "month" => Val::Int(i64::from(at.month())),
        "day" => Val::Int(i64::from(at.day())),
        "dow" => Val::Int(i64::from(at.weekday().num_days_from_sunday())),
        "hour" => Val::Int(i64::from(at.hour())),
        "minute" => Val::Int(i64::from(at.minute())),
        _ => Val::Num(*millis as f64 / 1000.0),
    }
}

/// The fields of the test's schema have the kinds the generator assumes.
#[test]
fn kinds_and_fields_agree() {
    let kinds: Vec<_> = crate::schema().fields.iter().map(|field| field.kind).collect();
    use FieldKind::*;
    assert_eq!(kinds, [Boolean, Boolean, Int, Long, Float, Double, Double, String, String, Timestamp]);
}
