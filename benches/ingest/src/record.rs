//! The records of the benchmark: seeded readings of machines, framed as single objects, about 200 bytes each.

use anyhow::Context as _;
use driftmill_schemas::record::RecordSchema;
use driftmill_schemas::record::framing::{self, SchemaRef};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The Avro schema that [`Readings`] encodes by hand.
pub const SCHEMA: &str = include_str!("../pipeline/record.avsc");
/// Seed of everything drawn.
pub const SEED: u64 = 20;
/// One record in so many breaks an expectation.
pub const REJECTED_ONE_IN: u32 = 1000;

const SITES: [&str; 5] = ["north", "south", "east", "west", "harbour"];
const STATES: [&str; 3] = ["good", "worn", "faulty"];

/// An endless sequence of encoded readings; the same seed gives the same bytes but for the event time.
#[derive(Debug)]
pub struct Readings {
    random: ChaCha8Rng,
    head: Vec<u8>,
}

impl Readings {
    /// The sequence from its beginning.
    pub fn new(seed: u64) -> anyhow::Result<Self> {
        let schema = RecordSchema::parse(SCHEMA).context("record.avsc")?;
        let mut head = Vec::new();
        framing::begin(SchemaRef::Fingerprint(schema.fingerprint), &mut head);
        Ok(Self { random: ChaCha8Rng::seed_from_u64(seed), head })
    }

    /// Appends the next reading, taken at `at` (milliseconds since 1970 UTC), to `out`; true if it breaks an expectation.
    pub fn next(&mut self, at: i64, out: &mut Vec<u8>) -> bool {
        let random = &mut self.random;
        let rejected = random.random_ratio(1, REJECTED_ONE_IN);
        out.extend_from_slice(&self.head);
        let machine = random.random_range(0..100_000u32);
        text(&format!("hall-{:02}/machine-{machine:06}", machine % 40), out);
        long(at, out);
        text(SITES[random.random_range(0..SITES.len())], out);
        long(1, out);
        text(STATES[random.random_range(0..STATES.len())], out);
        let temperature = random.random_range(-20.0..110.0);
        double(if rejected { 900.0 } else { temperature }, out);
        double(random.random_range(0.5..12.0), out);
        for range in [20.0..95.0, 0.0..40.0] {
            if random.random_ratio(1, 20) {
                long(0, out);
            } else {
                long(1, out);
                double(random.random_range(range), out);
            }
        }
        for range in [
            -3.0..3.0,
            -3.0..3.0,
            -3.0..3.0,
            1.0..40.0,
            1.0..40.0,
            1.0..40.0,
            220.0..240.0,
            300.0..3000.0,
            2.0..90.0,
            0.0..1.1,
            30.0..110.0,
            0.0..8.0,
        ] {
            double(random.random_range(range), out);
        }
        long(random.random_range(1..5_000_000), out);
        long(random.random_range(0..80_000_000), out);
        long(random.random_range(0..500), out);
        long(random.random_range(1_000_000_000..9_000_000_000i64), out);
        rejected
    }
}

fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest > 0x7f {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn double(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn text(value: &str, out: &mut Vec<u8>) {
    long(value.len() as i64, out);
    out.extend_from_slice(value.as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FRAME: usize = 10;

    #[test]
    fn every_record_is_avro_of_the_schema_and_about_200_bytes() {
        let schema = apache_avro::Schema::parse_str(SCHEMA).unwrap();
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
        let mut readings = Readings::new(SEED).unwrap();
        let (mut bytes, count) = (0, 2000);
        for i in 0..count {
            let mut record = Vec::new();
            readings.next(1_700_000_000_000 + i, &mut record);
            bytes += record.len();
            let mut body = &record[FRAME..];
            reader.read_value(&mut body).unwrap();
            assert!(body.is_empty(), "{} bytes left over", body.len());
        }
        let mean = bytes / count as usize;
        assert!((190..=210).contains(&mean), "{mean} bytes a record");
    }

    #[test]
    fn the_same_seed_gives_the_same_records() {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for out in [&mut one, &mut other] {
            let mut readings = Readings::new(3).unwrap();
            (0..100).for_each(|i| {
                readings.next(i, out);
            });
        }
        assert_eq!(one, other);
    }

    #[test]
    fn about_one_record_in_a_thousand_is_to_be_rejected() {
        let mut readings = Readings::new(SEED).unwrap();
        let rejected = (0..100_000).filter(|i| readings.next(*i, &mut Vec::new())).count();
        assert!((70..=130).contains(&rejected), "{rejected} of 100,000");
    }
}
