//! Drawing one field.

use driftmill_schemas::pipeline::{Distribution, Drift, SyntheticField};
use driftmill_schemas::record::{FieldKind, Value};
use rand::Rng;
use rand_distr::{Distribution as _, LogNormal, Normal};

/// Whether a distribution's parameters mean something.
pub(super) fn check(distribution: &Distribution) -> Result<(), String> {
    let sound = match *distribution {
        Distribution::Normal { mean, std } | Distribution::LogNormal { mean, std } => {
            mean.is_finite() && std.is_finite() && std >= 0.0
        }
        Distribution::Uniform { from, to } => {
            from.is_finite() && to.is_finite() && from <= to && (to - from).is_finite()
        }
        Distribution::Integer { from, to } => from <= to,
        Distribution::Bernoulli { p } => (0.0..=1.0).contains(&p),
    };
    if sound {
        Ok(())
    } else {
        Err("its distribution needs finite numbers, `std` from 0 up, `from` not above `to`, and `p` between 0 and 1"
            .to_owned())
    }
}

/// One number from a checked distribution.
pub(super) fn sample(distribution: &Distribution, random: &mut impl Rng) -> f64 {
    match *distribution {
        // The parameters were checked; a fault would show as the mean, not as a panic.
        Distribution::Normal { mean, std } => Normal::new(mean, std).map_or(mean, |normal| normal.sample(random)),
        Distribution::LogNormal { mean, std } => {
            LogNormal::new(mean, std).map_or(mean.exp(), |log_normal| log_normal.sample(random))
        }
        Distribution::Uniform { from, to } => from + (to - from) * random.random::<f64>(),
        Distribution::Integer { from, to } => random.random_range(from..=to) as f64,
        Distribution::Bernoulli { p } => f64::from(u8::from(random.random::<f64>() < p)),
    }
}

/// How far `change` has come at `row`: 0 before it, 1 when it is complete.
fn progress(change: &Drift, row: u64) -> f64 {
    match row.checked_sub(change.at_row) {
        None => 0.0,
        Some(since) if since >= change.over_rows => 1.0,
        Some(since) => (since + 1) as f64 / change.over_rows as f64,
    }
}

/// `drawn` as it is at `row`: scheduled changes, then rounding, then bounds.
pub(super) fn shape(drawn: f64, how: &SyntheticField, drift: &[Drift], row: u64) -> f64 {
    let mut value = drawn;
    for change in drift {
        let part = progress(change, row);
        value = value * (1.0 + (change.scale - 1.0) * part) + change.shift * part;
    }
    if let Some(decimals) = how.decimals {
        let unit = 10f64.powi(decimals.min(300) as i32);
        let rounded = (value * unit).round() / unit;
        // Far from the point there is nothing to round.
        if rounded.is_finite() {
            value = rounded;
        }
    }
    if let Some((least, most)) = how.clamp {
        value = value.max(least).min(most);
    }
    if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) }
}

/// Share of nulls at `row`.
pub(super) fn missing(how: &SyntheticField, drift: &[Drift], row: u64) -> f64 {
    let added: f64 = drift.iter().map(|change| change.missing * progress(change, row)).sum();
    (how.missing + added).clamp(0.0, 1.0)
}

/// `number` as a value of a field of that kind.
pub(super) fn value(number: f64, kind: FieldKind) -> Value {
    match kind {
        FieldKind::Boolean => Value::Boolean(number >= 0.5),
        FieldKind::Int => Value::Long(number.round().clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i64),
        FieldKind::Long | FieldKind::Timestamp => Value::Long(number.round() as i64),
        FieldKind::Float | FieldKind::Double => Value::Double(number),
        FieldKind::String => Value::String(number.to_string()),
        // The declaration is refused before.
        FieldKind::Bytes => Value::Bytes(number.to_le_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_grows_from_its_first_row_to_its_full_size() {
        let at = |over_rows| {
            let change = Drift { at_row: 10, over_rows, field: String::new(), shift: 0.0, scale: 1.0, missing: 0.0 };
            [9, 10, 11, 12, 13, 99].map(|row| progress(&change, row))
        };
        assert_eq!(at(0), [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(at(1), [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(at(4), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn numbers_become_values_of_the_field() {
        assert_eq!(value(2.6, FieldKind::Int), Value::Long(3));
        assert_eq!(value(1e300, FieldKind::Int), Value::Long(i64::from(i32::MAX)));
        assert_eq!(value(1e300, FieldKind::Long), Value::Long(i64::MAX));
        assert_eq!(value(1.0, FieldKind::Boolean), Value::Boolean(true));
        assert_eq!(value(1.0, FieldKind::String), Value::String("1".to_owned()));
    }
}
