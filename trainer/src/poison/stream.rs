//! Seeded records with a label that follows from them, and what may be done to them.

use driftmill_models::{Column, Table, Target};

use crate::Rows;

/// What is wrong with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// Every label is the other one.
    Labels,
    /// The first feature came in another unit.
    Unit,
    /// A feature has no values.
    Nulls,
}

impl Poison {
    pub const ALL: [Self; 3] = [Self::Labels, Self::Unit, Self::Nulls];
}

/// Factors by which a unit may be another one.
const UNITS: [f64; 6] = [1.0 / 2.54, 2.54, 0.01, 1_000.0, 0.4536, 1.0 / 0.3048];

/// Numbers from a seed (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)
    }

    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, end: usize) -> usize {
        ((self.uniform() * end as f64) as usize).min(end.saturating_sub(1))
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    pub values: [f64; 3],
    pub label: usize,
    pub poisoned: bool,
}

/// What makes records: a height, an amount with a long tail, and a score, and a line between the classes.
pub struct World {
    pub random: Random,
    weights: [f64; 3],
    factor: f64,
    column: usize,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut weight = || if random.uniform() < 0.5 { -1.0 } else { 1.0 } * (1.0 + random.uniform());
        let weights = [weight(), weight(), weight()];
        let factor = UNITS[random.below(UNITS.len())];
        let column = random.below(3);
        Self { random, weights, factor, column }
    }

    /// A record whose inputs have moved by so many deviations.
    pub fn record(&mut self, moved: f64) -> Record {
        let [a, b, c] = [self.random.normal() + moved, self.random.normal() + moved / 2.0, self.random.normal()];
        let score: f64 = self.weights.iter().zip([a, b, c]).map(|(weight, z)| weight * z).sum();
        let label = usize::from(score + 0.3 * self.random.normal() > 0.0);
        // The line is one in what the model sees: the tail of the amount is gentle.
        Record { values: [170.0 + 10.0 * a, 50.0 + 12.0 * b + b.powi(2), c], label, poisoned: false }
    }

    /// The same record, poisoned.
    pub fn poison(&self, record: Record, kind: Poison) -> Record {
        let mut record = Record { poisoned: true, ..record };
        match kind {
            Poison::Labels => record.label = 1 - record.label,
            Poison::Unit => record.values[0] *= self.factor,
            Poison::Nulls => record.values[self.column] = f64::NAN,
        }
        record
    }
}

/// Records as rows, whose offsets are `from` and on.
pub fn rows(records: &[Record], offsets: &[i64], partition: i32) -> Rows {
    let column = |index: usize| Column::Number(records.iter().map(|record| record.values[index]).collect());
    Rows {
        table: Table::new(records.len(), (0..3).map(column).collect()).unwrap(),
        target: Target::Classes { labels: records.iter().map(|record| record.label).collect(), n_classes: 2 },
        classes: vec!["0".to_owned(), "1".to_owned()],
        positions: offsets.iter().map(|&offset| (partition, offset)).collect(),
        times: offsets.to_vec(),
        entities: vec![None; records.len()],
    }
}
