//! Arithmetic. A result that is not finite, or does not fit, is null.

use super::{map, map2};
use crate::code::{Arithmetic, IntegerUnary, NumberUnary};
use crate::columns::finite;

pub(super) fn number_unary(operation: NumberUnary, a: &[f64], out: &mut [f64]) {
    // The dispatch stands outside of the loops, so that each loop is one operation a compiler can vectorise.
    match operation {
        NumberUnary::Negate => map(a, out, |a| -a),
        NumberUnary::Abs => map(a, out, f64::abs),
        NumberUnary::Sign => map(a, out, sign),
        NumberUnary::Sqrt => map(a, out, f64::sqrt),
        NumberUnary::Ln => map(a, out, |a| finite(a.ln())),
        NumberUnary::Log10 => map(a, out, |a| finite(a.log10())),
        NumberUnary::Exp => map(a, out, |a| finite(a.exp())),
        NumberUnary::Floor => map(a, out, f64::floor),
        NumberUnary::Ceil => map(a, out, f64::ceil),
    }
}

pub(super) fn number_binary(operation: Arithmetic, a: &[f64], b: &[f64], out: &mut [f64]) {
    match operation {
        Arithmetic::Add => map2(a, b, out, |a, b| finite(a + b)),
        Arithmetic::Subtract => map2(a, b, out, |a, b| finite(a - b)),
        Arithmetic::Multiply => map2(a, b, out, |a, b| finite(a * b)),
        Arithmetic::Divide => map2(a, b, out, |a, b| finite(a / b)),
        Arithmetic::Remainder => map2(a, b, out, |a, b| a % b),
        Arithmetic::Power => map2(a, b, out, power),
        Arithmetic::Least => map2(a, b, out, |a, b| if b < a || a.is_nan() { b } else { a }),
        Arithmetic::Greatest => map2(a, b, out, |a, b| if b > a || a.is_nan() { b } else { a }),
    }
}

fn sign(a: f64) -> f64 {
    if a > 0.0 {
        1.0
    } else if a < 0.0 {
        -1.0
    } else {
        // 0, or null.
        a.abs()
    }
}

fn power(base: f64, exponent: f64) -> f64 {
    // IEEE 754 has NaN^0 = 1 and 1^NaN = 1; a null stays one.
    if base.is_nan() || exponent.is_nan() { f64::NAN } else { finite(base.powf(exponent)) }
}

/// Halves are rounded away from zero. Where scaling leaves the range, the number has no such digits and stays.
pub(super) fn round(a: &[f64], digits: i8, out: &mut [f64]) {
    let scale = 10f64.powi(i32::from(digits.abs()));
    match digits {
        0 => map(a, out, f64::round),
        1.. => map(a, out, |a| {
            let scaled = a * scale;
            if scaled.abs() < f64::INFINITY { scaled.round() / scale } else { a }
        }),
        _ => map(a, out, |a| finite((a / scale).round() * scale)),
    }
}

pub(super) fn integer_unary(operation: IntegerUnary, a: &[Option<i64>], out: &mut [Option<i64>]) {
    match operation {
        IntegerUnary::Negate => map(a, out, |a| a.and_then(i64::checked_neg)),
        IntegerUnary::Abs => map(a, out, |a| a.and_then(i64::checked_abs)),
        IntegerUnary::Sign => map(a, out, |a| a.map(i64::signum)),
    }
}

pub(super) fn integer_binary(operation: Arithmetic, a: &[Option<i64>], b: &[Option<i64>], out: &mut [Option<i64>]) {
    match operation {
        Arithmetic::Add => map2(a, b, out, |a, b| a?.checked_add(b?)),
        Arithmetic::Subtract => map2(a, b, out, |a, b| a?.checked_sub(b?)),
        Arithmetic::Multiply => map2(a, b, out, |a, b| a?.checked_mul(b?)),
        // The remainder by -1 is 0, also of the smallest integer, whose quotient would overflow.
        Arithmetic::Remainder => map2(a, b, out, |a, b| match (a?, b?) {
            (_, 0) => None,
            (a, b) => Some(a.wrapping_rem(b)),
        }),
        Arithmetic::Least => map2(a, b, out, |a, b| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            _ => a.or(b),
        }),
        Arithmetic::Greatest => map2(a, b, out, Option::max),
        // The compiler makes numbers of the operands first.
        Arithmetic::Divide | Arithmetic::Power => out.fill(None),
    }
}
