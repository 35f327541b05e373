//! Random expressions of a wanted type, and random records with every awkward value.

use driftmill_schemas::record::{FieldKind, Record, RecordSchema, Value};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::interpreter::{Kind, Tree, Val};

const DEPTH: usize = 4;

pub fn feature(rng: &mut ChaCha8Rng) -> Tree {
    let kind = *[Kind::Bool, Kind::Int, Kind::Num, Kind::Num].choose(rng).unwrap();
    tree(kind, DEPTH, rng)
}

pub fn condition(rng: &mut ChaCha8Rng) -> Tree {
    tree(Kind::Bool, DEPTH, rng)
}

fn any_kind(rng: &mut ChaCha8Rng) -> Kind {
    *[Kind::Bool, Kind::Int, Kind::Num, Kind::Text, Kind::Time].choose(rng).unwrap()
}

/// Two trees that can be compared.
fn pair(depth: usize, rng: &mut ChaCha8Rng) -> (Tree, Tree) {
    let kind = any_kind(rng);
    (alike(kind, depth, rng), alike(kind, depth, rng))
}

/// A tree of `kind`, or a null, or an integer for a number.
fn alike(kind: Kind, depth: usize, rng: &mut ChaCha8Rng) -> Tree {
    match (kind, rng.random_range(0..12)) {
        (_, 0) => Tree::Literal(Val::Null, kind),
        (Kind::Num, 1..5) => tree(Kind::Int, depth, rng),
        _ => tree(kind, depth, rng),
    }
}

fn call(name: &'static str, kind: Kind, inner: Vec<Tree>) -> Tree {
    Tree::Call(name, kind, inner)
}

fn tree(kind: Kind, depth: usize, rng: &mut ChaCha8Rng) -> Tree {
    if depth == 0 || rng.random_range(0..8) == 0 {
        return leaf(kind, rng);
    }
    let below = depth - 1;
    // Calls that every type has.
    match rng.random_range(0..14) {
        0 => {
            let inner = vec![
                tree(Kind::Bool, below, rng),
                tree(kind, below, rng),
                tree(Kind::Bool, below, rng),
                alike(kind, below, rng),
                alike(kind, below, rng),
            ];
            return call("case", kind, inner);
        }
        1 => return call("coalesce", kind, vec![tree(kind, below, rng), alike(kind, below, rng)]),
        2 => return call("nullif", kind, vec![tree(kind, below, rng), alike(kind, below, rng)]),
        3 | 4 => {
            let name = ["least", "greatest"].choose(rng).unwrap();
            return call(name, kind, vec![alike(kind, below, rng), tree(kind, below, rng), alike(kind, below, rng)]);
        }
        5 => {
            let (a, b) = pair(below, rng);
            return call("case of", kind, vec![a, b, tree(kind, below, rng), alike(kind, below, rng)]);
        }
        _ => {}
    }
    match kind {
        Kind::Bool => boolean(below, rng),
        Kind::Int => integer(below, rng),
        Kind::Num => number(below, rng),
        Kind::Text => text(below, rng),
        Kind::Time => leaf(kind, rng),
    }
}

fn boolean(below: usize, rng: &mut ChaCha8Rng) -> Tree {
    let name = *[
        "=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "and",
        "or",
        "not",
        "is null",
        "is not null",
        "is true",
        "is false",
        "is not true",
        "is not false",
        "is unknown",
        "between",
        "not between",
        "in",
        "not in",
        "in literals",
        "like",
        "ilike",
        "regexp_like",
        "cast",
        "is distinct from",
        "is not distinct from",
    ]
    .choose(rng)
    .unwrap();
    let inner = match name {
        "=" | "<>" | "<" | "<=" | ">" | ">=" | "is distinct from" | "is not distinct from" => {
            let (a, b) = pair(below, rng);
            vec![a, b]
        }
        "and" | "or" => vec![alike(Kind::Bool, below, rng), alike(Kind::Bool, below, rng)],
        "not" | "is true" | "is false" | "is not true" | "is not false" | "is unknown" => {
            vec![tree(Kind::Bool, below, rng)]
        }
        "is null" | "is not null" => {
            let kind = any_kind(rng);
            vec![tree(kind, below, rng)]
        }
        "between" | "not between" | "in" | "not in" => {
            let kind = any_kind(rng);
            vec![alike(kind, below, rng), alike(kind, below, rng), alike(kind, below, rng)]
        }
        "in literals" => {
            let kind = any_kind(rng);
            let mut inner = vec![tree(kind, below, rng)];
            inner.extend((0..rng.random_range(1..6)).map(|_| literal(kind, rng)));
            if rng.random_range(0..5) == 0 {
                inner.push(Tree::Literal(Val::Null, kind));
            }
            inner
        }
        "like" | "ilike" => {
            let pattern = *["a%", "%b_%", "_", "", "%", "%é%", "A!%c", "!_%", "%."].choose(rng).unwrap();
            vec![tree(Kind::Text, below, rng), Tree::Literal(Val::Text(pattern.to_owned()), Kind::Text)]
        }
        "regexp_like" => {
            let pattern = *["^a", "[0-9]", "c$"].choose(rng).unwrap();
            vec![tree(Kind::Text, below, rng), Tree::Literal(Val::Text(pattern.to_owned()), Kind::Text)]
        }
        _ => {
            let kind = *[Kind::Int, Kind::Num, Kind::Text].choose(rng).unwrap();
            vec![tree(kind, below, rng)]
        }
    };
    call(name, Kind::Bool, inner)
}

fn integer(below: usize, rng: &mut ChaCha8Rng) -> Tree {
    let name = *[
        "+", "-", "*", "%", "negate", "abs", "sign", "mod", "length", "year", "month", "day", "dow", "hour", "minute",
        "cast", "floor", "ceil", "round",
    ]
    .choose(rng)
    .unwrap();
    let inner = match name {
        "+" | "-" | "*" | "%" | "mod" => vec![tree(Kind::Int, below, rng), tree(Kind::Int, below, rng)],
        "length" => vec![tree(Kind::Text, below, rng)],
        "year" | "month" | "day" | "dow" | "hour" | "minute" => vec![tree(Kind::Time, below, rng)],
        "cast" => {
            let kind = *[Kind::Bool, Kind::Num, Kind::Text].choose(rng).unwrap();
            vec![tree(kind, below, rng)]
        }
        _ => vec![tree(Kind::Int, below, rng)],
    };
    call(name, Kind::Int, inner)
}

fn number(below: usize, rng: &mut ChaCha8Rng) -> Tree {
    let name = *[
        "+", "-", "*", "/", "%", "negate", "abs", "sign", "sqrt", "ln", "log10", "exp", "power", "floor", "ceil",
        "round", "round 2", "round -1", "epoch", "cast",
    ]
    .choose(rng)
    .unwrap();
    let inner = match name {
        "+" | "-" | "*" | "%" => vec![tree(Kind::Num, below, rng), alike(Kind::Num, below, rng)],
        "/" | "power" => vec![alike(Kind::Num, below, rng), alike(Kind::Num, below, rng)],
        "epoch" => vec![tree(Kind::Time, below, rng)],
        "sqrt" | "ln" | "log10" | "exp" | "round -1" => vec![alike(Kind::Num, below, rng)],
        "cast" => {
            let kind = *[Kind::Bool, Kind::Int, Kind::Text].choose(rng).unwrap();
            vec![tree(kind, below, rng)]
        }
        _ => vec![tree(Kind::Num, below, rng)],
    };
    call(name, Kind::Num, inner)
}

fn text(below: usize, rng: &mut ChaCha8Rng) -> Tree {
    let name =
        *["||", "concat", "lower", "upper", "trim", "trim leading", "trim trailing", "substring", "from", "cast"]
            .choose(rng)
            .unwrap();
    let inner = match name {
        "||" | "concat" => vec![alike(Kind::Text, below, rng), alike(Kind::Text, below, rng)],
        "substring" => {
            vec![tree(Kind::Text, below, rng), tree(Kind::Int, below, rng), tree(Kind::Int, below, rng)]
        }
        "from" => vec![tree(Kind::Text, below, rng), tree(Kind::Int, below, rng)],
        "cast" => {
            let kind = *[Kind::Bool, Kind::Int, Kind::Num, Kind::Time].choose(rng).unwrap();
            vec![tree(kind, below, rng)]
        }
        _ => vec![tree(Kind::Text, below, rng)],
    };
    call(name, Kind::Text, inner)
}

fn leaf(kind: Kind, rng: &mut ChaCha8Rng) -> Tree {
    if rng.random_range(0..3) == 0 {
        return literal(kind, rng);
    }
    // Indices in the schema of the test.
    let fields: &[usize] = match kind {
        Kind::Bool => &[0, 1],
        Kind::Int => &[2, 3],
        Kind::Num => &[4, 5, 6],
        Kind::Text => &[7, 8],
        Kind::Time => &[9],
    };
    Tree::Field(*fields.choose(rng).unwrap(), kind)
}

fn literal(kind: Kind, rng: &mut ChaCha8Rng) -> Tree {
    let value = match kind {
        Kind::Bool => Val::Bool(rng.random()),
        Kind::Int => Val::Int(long(rng)),
        Kind::Num => Val::Num(Some(double(rng)).filter(|x| x.is_finite()).unwrap_or(2.5)),
        Kind::Text => Val::Text(word(rng)),
        Kind::Time => Val::Time(time(rng).div_euclid(1000) * 1000),
    };
    Tree::Literal(value, kind)
}

fn long(rng: &mut ChaCha8Rng) -> i64 {
    match rng.random_range(0..10) {
        0 => *[i64::MIN, i64::MAX, 0, -1, (1 << 53) + 1, 1 << 53].choose(rng).unwrap(),
        1 => rng.random(),
        _ => rng.random_range(-5..10),
    }
}

fn double(rng: &mut ChaCha8Rng) -> f64 {
    match rng.random_range(0..10) {
        0 => {
            *[0.0, -0.0, f64::NAN, f64::INFINITY, 1e308, -1e308, 1e-300, 9.007_199_254_740_993e15].choose(rng).unwrap()
        }
        1 => f64::from(rng.random_range(-4..5)) / 2.0,
        2 => f64::from(rng.random_range(-3..4)),
        _ => rng.random_range(-50.0..50.0),
    }
}

fn word(rng: &mut ChaCha8Rng) -> String {
    let words =
        ["", "a", "abc", "Abc", " é ", "Straße", "123", "-7", " 1e3", "true", "0", "x%y_z", "a.c", "ab\nc", "b'b"];
    (*words.choose(rng).unwrap()).to_owned()
}

fn time(rng: &mut ChaCha8Rng) -> i64 {
    rng.random_range(-3_000_000_000_000..5_000_000_000_000)
}

pub fn record(schema: &RecordSchema, rng: &mut ChaCha8Rng) -> Record {
    let values = schema
        .fields
        .iter()
        .map(|field| {
            if field.nullable && rng.random_range(0..6) == 0 {
                return Value::Null;
            }
            match field.kind {
                FieldKind::Boolean => Value::Boolean(rng.random()),
                FieldKind::Int => Value::Long(long(rng).clamp(i64::from(i32::MIN), i64::from(i32::MAX))),
                FieldKind::Long => Value::Long(long(rng)),
                FieldKind::Float => Value::Double(f64::from(double(rng) as f32)),
                FieldKind::Double => Value::Double(double(rng)),
                FieldKind::String => Value::String(word(rng)),
                FieldKind::Bytes => Value::Bytes(word(rng).into_bytes()),
                FieldKind::Timestamp => Value::Long(time(rng)),
            }
        })
        .collect();
    Record { values }
}
