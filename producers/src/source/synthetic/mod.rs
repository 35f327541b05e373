//! A seeded generator.
//!
//! Record `n` is a function of the declaration and `n`: its randomness is stream `n` of ChaCha8 under the seed. So a
//! generator that goes on anywhere gives what an uninterrupted one gives. Within a record, first the label's number is
//! drawn, then the fields that depend on no class, then those that do, each in the order of names. Everything is drawn
//! whether it is used or not: drift and gaps in one field leave the others as they were. A walk, which depends on the
//! records before, has randomness of its own that all records share.

mod draw;
mod picture;
mod png;
#[cfg(test)]
mod tests;

use driftmill_schemas::pipeline::{Distribution, Drift, Label, Outcome, SyntheticField, SyntheticSource};
use driftmill_schemas::record::{FieldKind, Record, RecordSchema, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use self::draw::Drawn;
use super::{Content, Item, Position, RecordSource, Total};
use crate::Error;

/// Generates the records of a [`SyntheticSource`].
pub(crate) struct Generator {
    random: ChaCha8Rng,
    rows: Option<u64>,
    next: u64,
    counter: Option<(usize, FieldKind)>,
    outcome: Option<Labelling>,
    fields: Vec<Field>,
    width: usize,
}

struct Field {
    index: usize,
    kind: FieldKind,
    how: SyntheticField,
    /// The distribution of each class, in the label's order; one for all without classes.
    draws: Vec<Distribution>,
    drift: Vec<Drift>,
    /// Randomness over all records.
    noise: ChaCha8Rng,
    /// The field that this is the hash of.
    hash_of: Option<usize>,
}

struct Labelling {
    index: usize,
    /// The label's value for each class.
    values: Vec<Value>,
    /// Probability of each class when it depends on nothing.
    shares: Vec<f64>,
    dependences: Vec<Dependence>,
}

/// Change of the second class's log-odds: `slope · (x − mean) / std`.
struct Dependence {
    field: usize,
    slope: f64,
    mean: f64,
    std: f64,
}

impl Generator {
    /// A generator of `declared`, called `name` in errors, whose first record is the one after `position`.
    pub(crate) fn open(
        name: &str,
        declared: &SyntheticSource,
        schema: &RecordSchema,
        label: &Label,
        position: Position,
    ) -> Result<Self, Error> {
        let at_fault = |reason: String| Error::Declaration { source_name: name.to_owned(), reason };
        let place =
            |field: &str| schema.index(field).ok_or_else(|| at_fault(format!("the schema has no field `{field}`")));
        let counter = match &declared.counter {
            None => None,
            Some(field) => {
                let index = place(field)?;
                let kind = schema.fields[index].kind;
                if !(kind.is_numeric() || kind == FieldKind::String) {
                    return Err(at_fault(format!("`counter: {field}` is a {}: count in a number", kind.title())));
                }
                Some((index, kind))
            }
        };
        let mut fields = Vec::with_capacity(declared.fields.len());
        for (field, how) in &declared.fields {
            let index = place(field)?;
            let drift: Vec<Drift> = declared.drift.iter().filter(|change| change.field == *field).cloned().collect();
            let kind = schema.fields[index].kind;
            let checked = checked_field(how, &drift, &schema.fields[index], label, declared.outcome.is_some());
            let draws = checked.map_err(|reason| at_fault(format!("field `{field}`: {reason}")))?;
            let hash_of = match draws.first() {
                Some(Distribution::Sha256 { of }) => Some(place(of)?),
                _ => None,
            };
            let noise = ChaCha8Rng::seed_from_u64(declared.seed ^ fingerprint(field));
            fields.push(Field { index, kind, how: how.clone(), draws, drift, noise, hash_of });
        }
        let outcome = match &declared.outcome {
            None => None,
            Some(outcome) => {
                let index = place(&outcome.field)?;
                Some(labelling(outcome, index, declared, schema, label).map_err(at_fault)?)
            }
        };
        for (index, field) in schema.fields.iter().enumerate() {
            let made = usize::from(counter.is_some_and(|(at, _)| at == index))
                + usize::from(outcome.as_ref().is_some_and(|outcome| outcome.index == index))
                + fields.iter().filter(|other| other.index == index).count();
            if made == 0 && !field.nullable {
                let reason =
                    format!("nothing makes the field `{}`, which must have a value: draw it in `fields`", field.name);
                return Err(at_fault(reason));
            }
            if made > 1 {
                let reason =
                    format!("the field `{}` is made twice: keep one of `fields`, `counter` and `outcome`", field.name);
                return Err(at_fault(reason));
            }
        }
        Ok(Self {
            random: ChaCha8Rng::seed_from_u64(declared.seed),
            rows: declared.rows,
            next: position.sequence,
            counter,
            outcome,
            fields,
            width: schema.fields.len(),
        })
    }

    /// Record `row`, from 0.
    fn record(&self, row: u64) -> Record {
        let mut random = self.random.clone();
        random.set_stream(row);
        let mut values = vec![Value::Null; self.width];
        if let Some((index, kind)) = self.counter {
            values[index] = draw::value(row as f64, kind);
            if matches!(kind, FieldKind::Long) {
                values[index] = Value::Long(i64::try_from(row).unwrap_or(i64::MAX));
            }
        }
        let chance: f64 = random.random();
        let mut class = self.outcome.as_ref().map_or(0, |outcome| outcome.independent(chance));
        // Fields of one distribution come first: the class may depend on them, and the others depend on the class.
        let mut numbers = vec![0.0; self.fields.len()];
        let mut gaps = vec![false; self.fields.len()];
        for by_class in [false, true] {
            for (at, field) in self.fields.iter().enumerate().filter(|(_, field)| (field.draws.len() > 1) == by_class) {
                let distribution = &field.draws[if by_class { class } else { 0 }];
                match draw::sample(distribution, row, &mut random, &field.noise) {
                    Drawn::Number(number) => numbers[at] = draw::shape(number, &field.how, &field.drift, row),
                    Drawn::Text(text) => values[field.index] = Value::String(text),
                    Drawn::Bytes(bytes) => values[field.index] = Value::Bytes(bytes),
                }
                gaps[at] = random.random::<f64>() < draw::missing(&field.how, &field.drift, row);
            }
            if let Some(outcome) = self.outcome.as_ref().filter(|outcome| !by_class && !outcome.dependences.is_empty())
            {
                class = outcome.dependent(chance, &numbers);
            }
        }
        for ((field, number), gap) in self.fields.iter().zip(numbers).zip(gaps) {
            if gap {
                values[field.index] = Value::Null;
            } else if values[field.index] == Value::Null {
                values[field.index] = draw::value(number, field.kind);
            }
        }
        for field in &self.fields {
            if let Some(of) = field.hash_of.filter(|_| values[field.index] != Value::Null) {
                values[field.index] = match &values[of] {
                    Value::String(text) => Value::String(hex::encode(Sha256::digest(text))),
                    Value::Bytes(bytes) => Value::String(hex::encode(Sha256::digest(bytes))),
                    _ => Value::String(hex::encode(Sha256::digest([]))),
                };
            }
        }
        if let Some(outcome) = &self.outcome {
            values[outcome.index] = outcome.values[class].clone();
        }
        Record { values }
    }
}

impl RecordSource for Generator {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        let row = self.next;
        if self.rows.is_some_and(|rows| row >= rows) {
            return Ok(None);
        }
        self.next += 1;
        let next = Position { sequence: self.next, ..Position::default() };
        Ok(Some(Item::numbered(row, row, Content::Record(self.record(row)), next)))
    }

    fn total_hint(&self) -> Option<Total> {
        self.rows.map(Total::Rows)
    }
}

impl Labelling {
    /// The class at `chance` (uniform over `[0, 1)`) by the shares alone.
    fn independent(&self, chance: f64) -> usize {
        let mut left = chance;
        for (class, share) in self.shares.iter().enumerate() {
            if left < *share {
                return class;
            }
            left -= share;
        }
        // Rounding left a sliver above the last share: it goes to the last class that can occur.
        self.shares.iter().rposition(|share| *share > 0.0).unwrap_or(0)
    }

    /// The class at `chance`, where the fields move the log-odds of the second class against the first. A gap is made
    /// after this: the hidden value counts.
    fn dependent(&self, chance: f64, numbers: &[f64]) -> usize {
        let standard = |on: &Dependence| if on.std > 0.0 { (numbers[on.field] - on.mean) / on.std } else { 0.0 };
        let moved: f64 = self.dependences.iter().map(|on| on.slope * standard(on)).sum();
        let log_odds = (self.shares[1] / self.shares[0]).ln() + moved;
        let second = 1.0 / (1.0 + (-log_odds).exp());
        usize::from(chance >= 1.0 - second)
    }
}

/// A number of a name, the same in every build: FNV-1a.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn checked_field(
    how: &SyntheticField,
    drift: &[Drift],
    field: &driftmill_schemas::record::Field,
    label: &Label,
    has_outcome: bool,
) -> Result<Vec<Distribution>, String> {
    for drawn in how.draw.iter().chain(how.by_class.values()) {
        drawn.check()?;
        if let Some(misfit) = drawn.misfit(field.kind) {
            return Err(misfit);
        }
        let moved = drift.iter().any(|change| change.shift != 0.0 || change.scale != 1.0);
        if !drawn.is_of_numbers() && (moved || how.decimals.is_some() || how.clamp.is_some()) {
            return Err("only numbers have `decimals`, a `clamp`, and a `shift` and `scale` of `drift`".to_owned());
        }
        if !how.by_class.is_empty() && matches!(drawn, Distribution::Sha256 { .. }) {
            return Err("`sha256` is of another field, whatever the class: give it as `draw` alone".to_owned());
        }
    }
    if !field.nullable && (how.missing > 0.0 || drift.iter().any(|change| change.missing > 0.0)) {
        return Err("it must have a value, so nothing of it can be `missing`".to_owned());
    }
    if let Some((least, most)) = how.clamp
        && (least.is_nan() || most.is_nan() || least > most)
    {
        return Err(format!("`clamp: [{least}, {most}]` has its bounds the wrong way round"));
    }
    if how.by_class.is_empty() {
        return how
            .draw
            .clone()
            .map(|draw| vec![draw])
            .ok_or_else(|| "it is not drawn: give it `draw` or `by_class`".to_owned());
    }
    if !has_outcome {
        return Err("`by_class` needs an `outcome` that draws the class".to_owned());
    }
    let of = |class: &String| how.by_class.get(class).or(how.draw.as_ref()).cloned();
    let missing = |class: &String| {
        format!("class `{class}` has no distribution: give it one in `by_class`, or a `draw` for the rest")
    };
    label.classes.iter().map(|class| of(class).ok_or_else(|| missing(class))).collect()
}

fn labelling(
    outcome: &Outcome,
    index: usize,
    declared: &SyntheticSource,
    schema: &RecordSchema,
    label: &Label,
) -> Result<Labelling, String> {
    let values = label
        .classes
        .iter()
        .map(|class| {
            Value::from_text(class, &schema.fields[index]).map_err(|error| format!("class `{class}`: {error}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let sum: f64 = outcome.weights.iter().sum();
    if outcome.weights.len() != values.len() || !(sum > 0.0 && sum.is_finite()) {
        return Err("`outcome` needs one weight for each class of the label, and not all 0".to_owned());
    }
    let mut dependences = Vec::new();
    for (name, slope) in &outcome.depends_on {
        let position = declared.fields.keys().position(|field| field == name);
        let how = declared.fields.get(name).filter(|how| how.by_class.is_empty());
        let (Some(field), Some(draw)) = (position, how.and_then(|how| how.draw.as_ref())) else {
            return Err(format!("`depends_on: {name}` must be a field with a `draw` of its own and no `by_class`"));
        };
        if values.len() != 2 {
            return Err("`depends_on` works on log-odds: the label must have two classes".to_owned());
        }
        let Some((mean, std)) = draw.moments() else {
            return Err(format!("`depends_on: {name}` must be a number that is drawn"));
        };
        dependences.push(Dependence { field, slope: slope * outcome.signal, mean, std });
    }
    if outcome.signal == 0.0 {
        dependences.clear();
    }
    Ok(Labelling { index, values, shares: outcome.weights.iter().map(|weight| weight / sum).collect(), dependences })
}
