//! Rules of a pipeline that need more than an expression over one record.

mod fresh;
mod known;
mod unique;

pub(super) use fresh::stale;
pub(super) use known::{KnownValues, Unavailable};
pub(super) use unique::{Gap, Keys, Uniqueness};
