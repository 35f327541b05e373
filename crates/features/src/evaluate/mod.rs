//! Runs compiled steps over columns, a chunk of rows at a time, so that registers stay in the processor's caches.

mod arithmetic;
mod calendar;
mod compare;
mod convert;
mod images;
mod texts;

use std::ops::Range;

use crate::code::{Bank, Code, Operation, Step};
use crate::columns::{Column, Columns};
use crate::scratch::{Buffers, LITERAL, Scratch, View, keep};
use crate::truth::Truth;

/// Rows evaluated together.
const CHUNK: usize = 256;

/// Runs `code` over all rows; `done` reads the registers after each chunk.
pub(crate) fn chunks(
    code: &Code,
    columns: &Columns,
    scratch: &mut Scratch,
    mut done: impl FnMut(Range<usize>, &Scratch),
) {
    assert_eq!(code.schema, columns.schema, "the columns and the expressions are of different schemas");
    let mut start = 0;
    while start < columns.rows() {
        let rows = start..columns.rows().min(start + CHUNK);
        scratch.prepare(code, rows.len());
        for step in &code.steps {
            run(step, code, columns, start, scratch);
        }
        start = rows.end;
        done(rows, scratch);
    }
}

/// One value from one.
#[inline(always)]
fn map<A: Copy, O>(a: &[A], out: &mut [O], f: impl Fn(A) -> O) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = f(a);
    }
}

/// One value from two.
#[inline(always)]
fn map2<A: Copy, B: Copy, O>(a: &[A], b: &[B], out: &mut [O], f: impl Fn(A, B) -> O) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = f(a, b);
    }
}

/// The second where the first is true, the third elsewhere.
fn select<T: Copy>(condition: &[Truth], then: &[T], otherwise: &[T], out: &mut [T]) {
    for (((out, &condition), &then), &otherwise) in out.iter_mut().zip(condition).zip(then).zip(otherwise) {
        *out = if condition == Truth::TRUE { then } else { otherwise };
    }
}

fn run(step: &Step, code: &Code, columns: &Columns, start: usize, scratch: &mut Scratch) {
    let Scratch { numbers, integers, booleans, texts, arena, text, images, .. } = scratch;
    let out = step.out;
    match step.operation {
        Operation::Field(_, field) => {
            let rows = |len: usize| start..start + len;
            match &columns.columns[field as usize] {
                Column::Number(values) => {
                    let out = numbers.out(out);
                    out.copy_from_slice(&values[rows(out.len())]);
                }
                Column::Integer(values) => {
                    let out = integers.out(out);
                    out.copy_from_slice(&values[rows(out.len())]);
                }
                Column::Boolean(values) => {
                    let out = booleans.out(out);
                    out.copy_from_slice(&values[rows(out.len())]);
                }
                Column::Text(column) => column.views(field, start, texts.out(out)),
                // No expression names such a field but through the operations on images.
                Column::Bytes(_) => {}
            }
        }
        Operation::Null(Bank::Boolean) => booleans.out(out).fill(Truth::UNKNOWN),
        Operation::Null(Bank::Integer) => integers.out(out).fill(None),
        Operation::Null(Bank::Number) => numbers.out(out).fill(f64::NAN),
        Operation::Null(Bank::Text) => texts.out(out).fill(View::NULL),
        Operation::BooleanLiteral(value) => booleans.out(out).fill(Truth::from(value)),
        Operation::IntegerLiteral(value) => integers.out(out).fill(Some(value)),
        Operation::NumberLiteral(bits) => numbers.out(out).fill(f64::from_bits(bits)),
        Operation::TextLiteral(piece) => {
            texts.out(out).fill(View { buffer: LITERAL, len: piece.len, start: piece.start as usize });
        }

        Operation::NumberUnary(operation, a) => {
            let (before, out) = numbers.split(out);
            arithmetic::number_unary(operation, before.get(a), out);
        }
        Operation::NumberBinary(operation, a, b) => {
            let (before, out) = numbers.split(out);
            arithmetic::number_binary(operation, before.get(a), before.get(b), out);
        }
        Operation::Round(a, digits) => {
            let (before, out) = numbers.split(out);
            arithmetic::round(before.get(a), digits, out);
        }
        Operation::IntegerUnary(operation, a) => {
            let (before, out) = integers.split(out);
            arithmetic::integer_unary(operation, before.get(a), out);
        }
        Operation::IntegerBinary(operation, a, b) => {
            let (before, out) = integers.split(out);
            arithmetic::integer_binary(operation, before.get(a), before.get(b), out);
        }

        Operation::CompareBooleans(comparison, a, b) => {
            let (before, out) = booleans.split(out);
            compare::booleans(comparison, before.get(a), before.get(b), out);
        }
        Operation::CompareIntegers(comparison, a, b) => {
            compare::integers(comparison, integers.get(a), integers.get(b), booleans.out(out));
        }
        Operation::CompareNumbers(comparison, a, b) => {
            compare::numbers(comparison, numbers.get(a), numbers.get(b), booleans.out(out));
        }
        Operation::CompareTexts(comparison, a, b) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            map2(texts.get(a), texts.get(b), booleans.out(out), |a, b| {
                compare::options(comparison, buffers.get(a), buffers.get(b))
            });
        }
        Operation::And(a, b) => {
            let (before, out) = booleans.split(out);
            map2(before.get(a), before.get(b), out, Truth::and);
        }
        Operation::Or(a, b) => {
            let (before, out) = booleans.split(out);
            map2(before.get(a), before.get(b), out, Truth::or);
        }
        Operation::Not(a) => {
            let (before, out) = booleans.split(out);
            map(before.get(a), out, |a| !a);
        }
        Operation::Is(wanted, a) => {
            let (before, out) = booleans.split(out);
            map(before.get(a), out, |a| Truth::from(a == Truth::from(wanted)));
        }
        Operation::IsNull(register) => match register.bank {
            Bank::Boolean => {
                let (before, out) = booleans.split(out);
                map(before.get(register.index), out, |a| Truth::from(a == Truth::UNKNOWN));
            }
            Bank::Integer => map(integers.get(register.index), booleans.out(out), |a| Truth::from(a.is_none())),
            Bank::Number => map(numbers.get(register.index), booleans.out(out), |a| Truth::from(a.is_nan())),
            Bank::Text => map(texts.get(register.index), booleans.out(out), |a| Truth::from(a.is_null())),
        },
        Operation::InIntegers(a, set) => {
            let set = &code.integer_sets[set as usize];
            map(integers.get(a), booleans.out(out), |a| Truth::from_option(a.map(|a| set.binary_search(&a).is_ok())));
        }
        Operation::InNumbers(a, set) => {
            let set = &code.number_sets[set as usize];
            map(numbers.get(a), booleans.out(out), |a| compare::in_numbers(a, set));
        }
        Operation::InTexts(a, set) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            let set = &code.text_sets[set as usize];
            map(texts.get(a), booleans.out(out), |a| {
                Truth::from_option(buffers.get(a).map(|a| set.binary_search_by(|text| (**text).cmp(a)).is_ok()))
            });
        }

        Operation::Select(bank, condition, then, otherwise) => match bank {
            Bank::Boolean => {
                let (before, out) = booleans.split(out);
                select(before.get(condition), before.get(then), before.get(otherwise), out);
            }
            Bank::Integer => {
                let (before, out) = integers.split(out);
                select(booleans.get(condition), before.get(then), before.get(otherwise), out);
            }
            Bank::Number => {
                let (before, out) = numbers.split(out);
                select(booleans.get(condition), before.get(then), before.get(otherwise), out);
            }
            Bank::Text => {
                let (before, out) = texts.split(out);
                select(booleans.get(condition), before.get(then), before.get(otherwise), out);
            }
        },
        Operation::Coalesce(bank, a, b) => match bank {
            Bank::Boolean => {
                let (before, out) = booleans.split(out);
                map2(before.get(a), before.get(b), out, |a, b| if a == Truth::UNKNOWN { b } else { a });
            }
            Bank::Integer => {
                let (before, out) = integers.split(out);
                map2(before.get(a), before.get(b), out, Option::or);
            }
            Bank::Number => {
                let (before, out) = numbers.split(out);
                map2(before.get(a), before.get(b), out, |a, b| if a.is_nan() { b } else { a });
            }
            Bank::Text => {
                let (before, out) = texts.split(out);
                map2(before.get(a), before.get(b), out, |a, b| if a.is_null() { b } else { a });
            }
        },

        Operation::BooleanToInteger(a) => {
            map(booleans.get(a), integers.out(out), |a| a.known().map(i64::from));
        }
        Operation::IntegerToBoolean(a) => {
            map(integers.get(a), booleans.out(out), |a| Truth::from_option(a.map(|a| a != 0)));
        }
        Operation::IntegerToNumber(a) => {
            map(integers.get(a), numbers.out(out), |a| a.map_or(f64::NAN, |a| a as f64));
        }
        Operation::NumberToInteger(a) => map(numbers.get(a), integers.out(out), convert::truncate),
        Operation::TextToBoolean(a) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            map(texts.get(a), booleans.out(out), |a| {
                Truth::from_option(buffers.get(a).and_then(convert::read_boolean))
            });
        }
        Operation::TextToInteger(a) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            map(texts.get(a), integers.out(out), |a| buffers.get(a).and_then(|a| a.trim().parse().ok()));
        }
        Operation::TextToNumber(a) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            map(texts.get(a), numbers.out(out), |a| buffers.get(a).map_or(f64::NAN, convert::read_number));
        }
        Operation::BooleanToText(a) => {
            texts::write(booleans.get(a), texts.out(out), arena, text, convert::boolean);
        }
        Operation::IntegerToText(a) => {
            texts::write(integers.get(a), texts.out(out), arena, text, convert::integer);
        }
        Operation::NumberToText(a) => {
            texts::write(numbers.get(a), texts.out(out), arena, text, convert::number);
        }
        Operation::TimestampToText(a) => {
            texts::write(integers.get(a), texts.out(out), arena, text, convert::timestamp);
        }

        Operation::Extract(part, a) => calendar::extract(part, a, integers, numbers, out),

        Operation::Lower(a) | Operation::Upper(a) => {
            let is_upper = matches!(step.operation, Operation::Upper(_));
            let (before, out) = texts.split(out);
            texts::change_case(is_upper, before.get(a), out, (columns, &code.constants), arena, text);
        }
        Operation::Length(a) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            map(texts.get(a), integers.out(out), |a| buffers.get(a).map(texts::length));
        }
        Operation::Trim(ends, a, characters) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            let (before, out) = texts.split(out);
            let characters = characters.of(&code.constants);
            map(before.get(a), out, |a| texts::trim(ends, a, characters, buffers));
        }
        Operation::Concat(a, b) => {
            let (before, out) = texts.split(out);
            texts::concat(before.get(a), before.get(b), out, (columns, &code.constants), arena, text);
        }
        Operation::From(a, from) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            let (before, out) = texts.split(out);
            map2(before.get(a), integers.get(from), out, |a, from| {
                from.map_or(View::NULL, |from| texts::substring(a, from, None, buffers))
            });
        }
        Operation::Substring(a, from, len) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            let (before, out) = texts.split(out);
            let bounds = integers.get(from).iter().zip(integers.get(len));
            for ((out, &a), (&from, &len)) in out.iter_mut().zip(before.get(a)).zip(bounds) {
                *out = match (from, len) {
                    (Some(from), Some(len)) => texts::substring(a, from, Some(len), buffers),
                    _ => View::NULL,
                };
            }
        }
        Operation::ImageNumber(statistic, field) => {
            let out = numbers.out(out);
            let images = images::statistics(images, columns, field, start..start + out.len());
            for (out, image) in out.iter_mut().zip(images) {
                *out = image.as_ref().map_or(f64::NAN, |image| statistic.of(image));
            }
        }
        Operation::ImageMode(field) => {
            let out = texts.out(out);
            let images = images::statistics(images, columns, field, start..start + out.len());
            for (out, image) in out.iter_mut().zip(images) {
                *out = image.as_ref().map_or(View::NULL, |image| keep(image.mode, arena));
            }
        }
        Operation::Matches(a, pattern) => {
            let buffers = Buffers { columns, constants: &code.constants, arena };
            let pattern = &code.patterns[pattern as usize];
            map(texts.get(a), booleans.out(out), |a| Truth::from_option(buffers.get(a).map(|a| pattern.is_match(a))));
        }
    }
}
