//! What is sent: every record is a function of the seed and its number, so that whoever finds one knows what it must hold.

use driftmill_schemas::record::framing::{self, SchemaRef};
use driftmill_schemas::record::{Record, RecordSchema, Value};

/// The pipeline.
pub const PIPELINE: &str = "chaos";
/// Its raw topic.
pub const TOPIC: &str = "chaos.raw";
/// Partitions of the raw topic.
pub const PARTITIONS: usize = 4;

const CLASSES: [&str; 2] = ["even", "odd"];

/// The Avro schema of a record.
pub const SCHEMA: &str = r#"{"type": "record", "name": "Numbered", "namespace": "driftmill.chaos", "fields": [
  {"name": "seq", "type": "long"},
  {"name": "sent_to", "type": "int"},
  {"name": "noise", "type": "double"},
  {"name": "parity", "type": ["null", "string"], "default": null}
]}"#;

/// The pipeline file. No model is ever trained: this is about ingestion.
pub const PIPELINE_FILE: &str = "\
version: 1
name: chaos
description: Numbered records, for tests
schema: record.avsc
topics:
  partitions: 4
expectations:
  - { field: noise, between: [0, 1000000] }
features:
  - name: seq
  - name: sent_to
  - name: noise
  - name: twice
    sql: noise * 2
label:
  field: parity
  classes: [even, odd]
training:
  algorithm: constant
  min_rows: 1000000000
";

/// What must become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A row of the view.
    Row,
    /// A dead letter of this kind.
    Dead(&'static str),
}

/// Makes records.
#[derive(Debug, Clone)]
pub struct Recipe {
    seed: u64,
    schema: RecordSchema,
}

impl Recipe {
    /// The records of the run with this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, schema: RecordSchema::parse(SCHEMA).unwrap() }
    }

    /// Of fifty records one is broken, each in one of four ways.
    pub fn fate(&self, seq: u64) -> Fate {
        let drawn = mix(self.seed ^ mix(seq));
        match (drawn % 50, drawn / 50 % 4) {
            (0, 0) => Fate::Dead("NotAvro"),
            (0, 1) => Fate::Dead("Undecodable"),
            (0, 2) => Fate::Dead("BrokenExpectation"),
            (0, _) => Fate::Dead("UnknownClass"),
            _ => Fate::Row,
        }
    }

    /// The partition it is sent to.
    pub fn partition(&self, seq: u64) -> i32 {
        (mix(self.seed ^ seq ^ 1) % PARTITIONS as u64) as i32
    }

    /// Its payload.
    pub fn payload(&self, seq: u64) -> Vec<u8> {
        let fate = self.fate(seq);
        if fate == Fate::Dead("NotAvro") {
            return format!("broken {seq}").into_bytes();
        }
        let noise = if fate == Fate::Dead("BrokenExpectation") { -1.0 } else { self.noise(seq) };
        let parity = if fate == Fate::Dead("UnknownClass") { "neither" } else { CLASSES[(seq % 2) as usize] };
        let mut payload = Vec::new();
        framing::begin(SchemaRef::Fingerprint(self.schema.fingerprint), &mut payload);
        let values = vec![
            Value::Long(seq as i64),
            Value::Long(self.partition(seq).into()),
            Value::Double(noise),
            Value::String(parity.to_owned()),
        ];
        Record { values }.encode(&self.schema, &mut payload).unwrap();
        if fate == Fate::Dead("Undecodable") {
            payload.pop();
        }
        payload
    }

    /// What its row holds besides its position, as ClickHouse writes it tab-separated: seq, sent_to, noise, twice, label.
    pub fn row(&self, seq: u64) -> String {
        let (noise, parity) = (self.noise(seq), CLASSES[(seq % 2) as usize]);
        format!("{seq}\t{}\t{noise}\t{}\t{parity}", self.partition(seq), noise * 2.0)
    }

    // Sixteenths are written the same way by everybody.
    fn noise(&self, seq: u64) -> f64 {
        (mix(self.seed.wrapping_add(seq)) % 16_000_000) as f64 / 16.0
    }
}

/// A number that looks like chance (splitmix64).
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_record_comes_and_most_are_good() {
        let recipe = Recipe::new(3);
        let fates: Vec<Fate> = (0..10_000).map(|seq| recipe.fate(seq)).collect();
        let dead = fates.iter().filter(|fate| **fate != Fate::Row).count();
        assert!((100..300).contains(&dead), "{dead}");
        for kind in ["NotAvro", "Undecodable", "BrokenExpectation", "UnknownClass"] {
            assert!(fates.contains(&Fate::Dead(kind)), "{kind}");
        }
        assert!((0..PARTITIONS as i32).all(|p| (0..100).any(|seq| recipe.partition(seq) == p)));
    }

    #[test]
    fn a_record_is_the_same_whenever_it_is_made() {
        assert_eq!(Recipe::new(3).payload(17), Recipe::new(3).payload(17));
        assert_ne!(Recipe::new(3).payload(17), Recipe::new(4).payload(17));
        assert_ne!(Recipe::new(3).row(17), Recipe::new(3).row(18));
    }
}
