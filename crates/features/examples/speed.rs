//! Measures the evaluator: `cargo run --release -p driftmill-features --example speed`. Informational; nothing depends
//! on the outcome.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use driftmill_features::{Columns, FeatureMatrix, Program, Scratch};
use driftmill_schemas::pipeline::Feature;
use driftmill_schemas::record::{Record, RecordSchema, Value};

const FEATURES: [&str; 8] = [
    "petal_length * petal_width",
    "sepal_length / sepal_width",
    "LN(petal_length + 1)",
    "(petal_length - 3.76) / 1.76",
    "CASE WHEN age > 40 THEN 1 ELSE 0 END",
    "COALESCE(income, 0) / (age + 1)",
    "petal_length * petal_length + petal_width * petal_width",
    "ROUND(SQRT(ABS(sepal_length - sepal_width)), 3)",
];

fn main() {
    let names = ["petal_length", "petal_width", "sepal_length", "sepal_width", "income"];
    let doubles = names.map(|name| format!(r#"{{"name":"{name}","type":["null","double"]}}"#)).join(",");
    let text = format!(r#"{{"type":"record","name":"r","fields":[{doubles},{{"name":"age","type":"int"}}]}}"#);
    let schema = RecordSchema::parse(&text).unwrap();
    let features =
        FEATURES.map(|sql| Feature { name: sql.to_owned(), sql: Some(sql.to_owned()), ..Default::default() });
    let program = Program::compile(&schema, &features).unwrap();
    let (mut scratch, mut out) = (Scratch::default(), FeatureMatrix::default());
    let records: Vec<Record> = (0..1024)
        .map(|row| {
            let x = f64::from(row) / 100.0;
            let mut values = vec![Value::Double(x), Value::Double(x / 2.0), Value::Double(5.0 + x), Value::Double(3.0)];
            values.push(if row % 10 == 0 { Value::Null } else { Value::Double(1000.0 * x) });
            values.push(Value::Long(i64::from(row) % 90));
            Record { values }
        })
        .collect();
    for rows in [1, 8, 128, 1024] {
        let mut columns = Columns::from_records(&schema, &records[..rows]).unwrap();
        let calls = 4_000_000 / (rows + 10);
        let mut best = f64::INFINITY;
        let mut best_with_push = f64::INFINITY;
        for _ in 0..5 {
            let start = Instant::now();
            for _ in 0..calls {
                program.evaluate(black_box(&columns), &mut scratch, &mut out);
                black_box(out.column(0));
            }
            best = best.min(start.elapsed().as_secs_f64() / calls as f64);
            let start = Instant::now();
            for _ in 0..calls {
                columns.clear();
                records[..rows].iter().for_each(|record| columns.push(record).unwrap());
                program.evaluate(black_box(&columns), &mut scratch, &mut out);
                black_box(out.column(0));
            }
            best_with_push = best_with_push.min(start.elapsed().as_secs_f64() / calls as f64);
        }
        println!(
            "{rows:5} rows: {:9.0} ns a call, {:6.1} ns a row; with the records pushed {:6.1} ns a row",
            best * 1e9,
            best * 1e9 / rows as f64,
            best_with_push * 1e9 / rows as f64
        );
    }
}
