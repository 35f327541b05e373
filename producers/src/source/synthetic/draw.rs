//! Drawing one field.

use std::f64::consts::TAU;

use driftmill_schemas::pipeline::{Distribution, Drift, SyntheticField, Words};
use driftmill_schemas::record::{FieldKind, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, LogNormal, Normal, StandardNormal};

use super::picture;

/// The weight of a step of a walk that does not count any more.
const NEGLIGIBLE: f64 = 1e-6;

/// What a distribution gives.
pub(super) enum Drawn {
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What a checked distribution gives record `row`; `noise` is the randomness of the field over all records.
pub(super) fn sample(distribution: &Distribution, row: u64, random: &mut ChaCha8Rng, noise: &ChaCha8Rng) -> Drawn {
    Drawn::Number(match distribution {
        // The parameters were checked; a fault would show as the mean, not as a panic.
        Distribution::Normal { mean, std } => Normal::new(*mean, *std).map_or(*mean, |normal| normal.sample(random)),
        Distribution::LogNormal { mean, std } => {
            LogNormal::new(*mean, *std).map_or(mean.exp(), |log_normal| log_normal.sample(random))
        }
        Distribution::Uniform { from, to } => from + (to - from) * random.random::<f64>(),
        Distribution::Integer { from, to } => random.random_range(*from..=*to) as f64,
        Distribution::Bernoulli { p } => f64::from(u8::from(random.random::<f64>() < *p)),
        Distribution::Sequence { from, step, repeat } => from + step * (row / repeat) as f64,
        Distribution::Walk { means, spread, reversion, season, period } => {
            let series = means.len() as u64;
            let (mean, step) = (means[(row % series) as usize], row / series);
            let wave = season * (TAU * (step as f64 / period)).sin();
            mean * (1.0 + wave + spread * deviation(*reversion, step, (row % series, series), noise))
        }
        Distribution::Cycle { of } => return Drawn::Text(of[(row % of.len() as u64) as usize].clone()),
        Distribution::Text { template } => return Drawn::Text(template.replace("{row}", &row.to_string())),
        Distribution::Words(words) => return Drawn::Text(text(words, random)),
        Distribution::Image(image) => return Drawn::Bytes(picture::draw(image, random)),
        // Made of another field, when that is known.
        Distribution::Sha256 { .. } => return Drawn::Text(String::new()),
    })
}

/// How many standard deviations a walk is off its mean at `step`. It is a sum over the noise of the steps before, as far
/// back as that counts, so that every step can be had without those before.
fn deviation(reversion: f64, step: u64, (series, of): (u64, u64), noise: &ChaCha8Rng) -> f64 {
    let kept = 1.0 - reversion;
    let mut weight = (1.0 - kept * kept).sqrt();
    let mut sum = 0.0;
    let mut back = step;
    while weight > NEGLIGIBLE {
        let mut random = noise.clone();
        // Before the first step there were others, so that the walk begins anywhere.
        random.set_stream(back.wrapping_mul(of).wrapping_add(series));
        let shock: f64 = StandardNormal.sample(&mut random);
        sum += weight * shock;
        weight *= kept;
        back = back.wrapping_sub(1);
    }
    sum
}

fn text(words: &Words, random: &mut impl Rng) -> String {
    let mut text = String::new();
    for (place, around) in words.template.split("{}").enumerate() {
        for word in 0..if place == 0 { 0 } else { random.random_range(words.count.0..=words.count.1) } {
            let own = words.among.is_empty() || random.random::<f64>() < words.share;
            let from = if own { &words.of } else { &words.among };
            text += if word == 0 { "" } else { " " };
            text += &from[random.random_range(0..from.len())];
        }
        text += around;
    }
    text
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
