//! Feature expressions and expectations: SQL text, parsed once and evaluated by one implementation for the stream's
//! batch and for the gateway's single row, so there is nothing to skew.
//!
//! ```text
//! text ── parse ──> syntax tree ── compile ──> steps over typed registers ── evaluate ──> FeatureMatrix, breaches
//!                                                      ▲
//!                      Records, Arrow batches ──> Columns
//! ```
//!
//! # The language
//! Names are the record's fields, spelled exactly; `"double quotes"` allow any name. Types: boolean, integer (64 bits),
//! number (64-bit float), text, timestamp (milliseconds, UTC). There are no implicit conversions but integer to number
//! where the two meet.
//! - `+ - * / %`, `-x`. Between integers `+ - * %` are exact integers; `/` always gives a number.
//! - `= <> < <= > >=`, `AND OR NOT` in three-valued logic, `IS [NOT] NULL | TRUE | FALSE`, `IS [NOT] DISTINCT FROM`,
//!   `[NOT] BETWEEN`, `[NOT] IN (…)`, both forms of `CASE`. Two integers are compared exactly.
//! - `COALESCE NULLIF LEAST GREATEST ABS SIGN SQRT LN LOG10 EXP POWER FLOOR CEIL ROUND(x[, digits]) MOD`. `LEAST` and
//!   `GREATEST` skip nulls; `ROUND` rounds halves away from zero.
//! - `LOWER UPPER TRIM LENGTH SUBSTRING CONCAT ||`, `[NOT] [I]LIKE`, `REGEXP_LIKE`. Lengths and positions count
//!   characters. `||` of a null is null, `CONCAT` skips nulls. Patterns are literals.
//! - `EXTRACT(YEAR | MONTH | DAY | DOW | HOUR | MINUTE | EPOCH FROM ts)`: `DOW` counts from Sunday = 0, `EPOCH` is
//!   seconds with their fraction. `TIMESTAMP '2026-01-31 12:00:00'` is a literal.
//! - `CAST`, `TRY_CAST` and `::` to `DOUBLE`, `BIGINT`, `VARCHAR`, `BOOLEAN`. All three give null where the value has no
//!   counterpart. Number to `BIGINT` cuts the fraction off.
//!
//! What has no finite answer is null: `1/0`, `SQRT(-1)`, `LN(0)`, an overflow, a computed text above 1 MiB. A `NaN` or an
//! infinity in a record is null, too. Hence a number that is not null is finite.
//!
//! - `IMAGE_WIDTH IMAGE_HEIGHT IMAGE_ASPECT_RATIO IMAGE_MODE IMAGE_MEAN_RED` (`_GREEN _BLUE`) `IMAGE_STD_RED` (`_GREEN _BLUE`)
//!   `IMAGE_CONTRAST IMAGE_SHARPNESS IMAGE_USEFUL_SURFACE` of a field of bytes that holds an encoded image; null where it
//!   cannot be decoded.
//!
//! A feature of type `number` is a number, an integer or a boolean (true is 1); null is `NaN` in the matrix. `category` and
//! `text` are texts. An `image` is a field of bytes, decoded and scaled to a square of RGB pixels.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod aspects;
mod batch;
mod check;
mod code;
mod columns;
mod compile;
mod conditions;
mod error;
mod evaluate;
mod matrix;
mod parse;
mod program;
mod scratch;
mod truth;

pub use batch::Error as BatchError;
pub use check::check;
pub use columns::{Columns, Error as ColumnsError};
pub use conditions::Conditions;
pub use error::Error;
pub use matrix::{FeatureMatrix, Unreadable, Values};
pub use program::Program;
pub use scratch::Scratch;
