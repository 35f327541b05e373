//! Comparisons: unknown where one side is null.

use super::map2;
use crate::code::Comparison;
use crate::truth::Truth;

pub(super) fn numbers(comparison: Comparison, a: &[f64], b: &[f64], out: &mut [Truth]) {
    // One loop a comparison: with the match inside, it would not be vectorised.
    match comparison {
        Comparison::Equal => map2(a, b, out, known(|a, b| a == b)),
        Comparison::NotEqual => map2(a, b, out, known(|a, b| a != b)),
        Comparison::Less => map2(a, b, out, known(|a, b| a < b)),
        Comparison::LessOrEqual => map2(a, b, out, known(|a, b| a <= b)),
        Comparison::Greater => map2(a, b, out, known(|a, b| a > b)),
        Comparison::GreaterOrEqual => map2(a, b, out, known(|a, b| a >= b)),
    }
}

fn known(holds: impl Fn(f64, f64) -> bool) -> impl Fn(f64, f64) -> Truth {
    move |a, b| Truth::of(holds(a, b), !(a.is_nan() | b.is_nan()))
}

pub(super) fn integers(comparison: Comparison, a: &[Option<i64>], b: &[Option<i64>], out: &mut [Truth]) {
    map2(a, b, out, |a, b| options(comparison, a, b));
}

pub(super) fn booleans(comparison: Comparison, a: &[Truth], b: &[Truth], out: &mut [Truth]) {
    map2(a, b, out, |a, b| options(comparison, a.known(), b.known()));
}

pub(super) fn options<T: PartialOrd>(comparison: Comparison, a: Option<T>, b: Option<T>) -> Truth {
    match (a, b) {
        (Some(a), Some(b)) => Truth::from(holds(comparison, a, b)),
        _ => Truth::UNKNOWN,
    }
}

/// Whether `a` is in the ascending `set`.
pub(super) fn in_numbers(a: f64, set: &[f64]) -> Truth {
    if a.is_nan() {
        return Truth::UNKNOWN;
    }
    let at = set.partition_point(|value| *value < a);
    Truth::from(set.get(at).is_some_and(|value| *value == a))
}

fn holds<T: PartialOrd>(comparison: Comparison, a: T, b: T) -> bool {
    match comparison {
        Comparison::Equal => a == b,
        Comparison::NotEqual => a != b,
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
    }
}
