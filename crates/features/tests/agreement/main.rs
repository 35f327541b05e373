//! A batch, a single row and a naive interpreter agree on every bit, over random expressions and records.
#![allow(clippy::unwrap_used)]

mod interpreter;
mod random;
mod texts;

use driftmill_features::{Columns, Conditions, FeatureMatrix, Program, Scratch};
use driftmill_schemas::pipeline::{Expectation, Feature};
use driftmill_schemas::record::{Record, RecordSchema};
use interpreter::{Tree, Val};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const ROWS: usize = 1_000;

fn schema() -> RecordSchema {
    RecordSchema::parse(
        r#"{"type":"record","name":"r","fields":[
            {"name":"b","type":["null","boolean"]},{"name":"flag","type":["null","boolean"]},
            {"name":"i","type":["null","int"]},{"name":"l","type":["null","long"]},
            {"name":"f","type":["null","float"]},{"name":"x","type":["null","double"]},{"name":"y","type":"double"},
            {"name":"s","type":["null","string"]},{"name":"select","type":["null","string"]},
            {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-millis"}]}]}"#,
    )
    .unwrap()
}

/// What a feature of this value is in the matrix.
fn cell(value: &Val) -> f64 {
    match value {
        Val::Null => f64::NAN,
        Val::Bool(value) => f64::from(u8::from(*value)),
        Val::Int(value) => *value as f64,
        Val::Num(value) => *value,
        other => panic!("{other:?} is no feature"),
    }
}

fn records(schema: &RecordSchema, rng: &mut ChaCha8Rng) -> Vec<Record> {
    (0..ROWS).map(|_| random::record(schema, rng)).collect()
}

#[test]
fn features_are_the_same_bits_in_a_batch_in_a_row_and_in_the_naive_interpreter() {
    let schema = schema();
    let mut rng = ChaCha8Rng::seed_from_u64(20_260_131);
    let (mut scratch, mut batch, mut single) = (Scratch::default(), FeatureMatrix::default(), FeatureMatrix::default());
    let mut given = 0;
    for _ in 0..12 {
        let trees: Vec<Tree> = (0..40).map(|_| random::feature(&mut rng)).collect();
        let features: Vec<Feature> = trees
            .iter()
            .enumerate()
            .map(|(index, tree)| Feature {
                name: format!("f{index}"),
                sql: Some(tree.sql(&schema)),
                ..Default::default()
            })
            .collect();
        let program = Program::compile(&schema, &features).unwrap_or_else(|errors| {
            let (index, error) = &errors[0];
            panic!("{}: {error}", features[*index].expression())
        });
        let records = records(&schema, &mut rng);
        program.evaluate(&Columns::from_records(&schema, &records).unwrap(), &mut scratch, &mut batch);
        let mut row = vec![0.0; program.width()];
        let mut one = Columns::new(&schema);
        for (index, record) in records.iter().enumerate() {
            one.clear();
            one.push(record).unwrap();
            program.evaluate(&one, &mut scratch, &mut single);
            batch.row(index, &mut row);
            for (column, tree) in trees.iter().enumerate() {
                let wanted = cell(&tree.value(record));
                given += usize::from(!wanted.is_nan());
                let got = (row[column], single.column(column)[0]);
                let wanted_bits = if wanted.is_nan() { f64::NAN.to_bits() } else { wanted.to_bits() };
                assert_eq!(
                    (got.0.to_bits(), got.1.to_bits()),
                    (wanted_bits, wanted_bits),
                    "{}\nof {:?}\nis {wanted}, and in a batch {}, alone {}",
                    tree.sql(&schema),
                    record.values,
                    got.0,
                    got.1
                );
            }
        }
    }
    assert!(given > 100_000, "only {given} values are not null: the test tests little");
}

#[test]
fn conditions_are_broken_by_the_same_rows() {
    let schema = schema();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut scratch = Scratch::default();
    for _ in 0..4 {
        let trees: Vec<Tree> = (0..40).map(|_| random::condition(&mut rng)).collect();
        let expectations: Vec<Expectation> =
            trees.iter().map(|tree| Expectation { sql: Some(tree.sql(&schema)), ..Expectation::default() }).collect();
        let conditions = Conditions::compile(&schema, &expectations).unwrap();
        let records = records(&schema, &mut rng);
        let breaches = conditions.evaluate(&Columns::from_records(&schema, &records).unwrap(), &mut scratch);
        assert_eq!(breaches.len(), trees.len());
        for (tree, rows) in trees.iter().zip(breaches) {
            let wanted: Vec<usize> = (0..ROWS).filter(|row| tree.value(&records[*row]) == Val::Bool(false)).collect();
            assert_eq!(*rows, wanted, "{}", tree.sql(&schema));
        }
    }
}
