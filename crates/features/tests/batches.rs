//! Arrow batches become the same columns as records; conditions tell rows apart; faults have their place in the file.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StringViewArray, TimestampMillisecondArray,
};
use driftmill_features::{BatchError, Columns, Conditions, FeatureMatrix, Program, Scratch, check};
use driftmill_schemas::pipeline::{Expectation, Feature, Loaded, parse};
use driftmill_schemas::record::{Record, RecordSchema, Value};

const SCHEMA: &str = r#"{"type":"record","name":"r","fields":[
    {"name":"b","type":["null","boolean"]},{"name":"i","type":["null","int"]},{"name":"l","type":"long"},
    {"name":"f","type":["null","float"]},{"name":"d","type":["null","double"]},{"name":"s","type":["null","string"]},
    {"name":"v","type":"string"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"absent","type":["null","string"]}]}"#;

fn columns() -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("at", Arc::new(TimestampMillisecondArray::from(vec![0, 1, 2]).with_timezone("+00:00"))),
        ("v", Arc::new(StringViewArray::from(vec!["", "a text of more than twelve bytes", "é"]))),
        ("s", Arc::new(StringArray::from(vec![Some("x"), None, Some("")]))),
        ("d", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(f64::INFINITY)]))),
        ("f", Arc::new(Float32Array::from(vec![Some(0.1), Some(2.0), None]))),
        ("l", Arc::new(Int64Array::from(vec![i64::MAX, 0, -1]))),
        ("i", Arc::new(Int32Array::from(vec![None, Some(7), Some(-7)]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("extra", Arc::new(Int32Array::from(vec![1, 2, 3]))),
    ]
}

fn features() -> Vec<Feature> {
    [
        "b",
        "i",
        "CAST(l % 1000 AS DOUBLE)",
        "f",
        "d",
        "LENGTH(s)",
        "LENGTH(v)",
        "EXTRACT(EPOCH FROM at)",
        "absent IS NULL",
        "CASE s WHEN 'x' THEN 1 ELSE 0 END",
        "LENGTH(CONCAT(s, v, absent))",
    ]
    .iter()
    .enumerate()
    .map(|(index, sql)| Feature { name: format!("f{index}"), sql: Some((*sql).to_owned()), ..Default::default() })
    .collect()
}

fn evaluate(schema: &RecordSchema, columns: &Columns) -> Vec<Vec<u64>> {
    let program = Program::compile(schema, &features()).unwrap();
    let mut out = FeatureMatrix::default();
    program.evaluate(columns, &mut Scratch::default(), &mut out);
    (0..out.width()).map(|index| out.column(index).iter().map(|value| value.to_bits()).collect()).collect()
}

#[test]
fn a_batch_and_the_same_records_give_the_same_features() {
    let schema = RecordSchema::parse(SCHEMA).unwrap();
    let batch = RecordBatch::try_from_iter(columns()).unwrap();
    let text = |text: &str| Value::String(text.to_owned());
    let rows = [
        [
            Value::Boolean(true),
            Value::Null,
            Value::Long(i64::MAX),
            Value::Double(f64::from(0.1f32)),
            Value::Double(1.5),
            text("x"),
            text(""),
            Value::Long(0),
            Value::Null,
        ],
        [
            Value::Null,
            Value::Long(7),
            Value::Long(0),
            Value::Double(2.0),
            Value::Null,
            Value::Null,
            text("a text of more than twelve bytes"),
            Value::Long(1),
            Value::Null,
        ],
        [
            Value::Boolean(false),
            Value::Long(-7),
            Value::Long(-1),
            Value::Null,
            Value::Null,
            text(""),
            text("é"),
            Value::Long(2),
            Value::Null,
        ],
    ];
    let records = rows.map(|values| Record { values: values.into() });
    let wanted = evaluate(&schema, &Columns::from_records(&schema, &records).unwrap());
    assert_eq!(evaluate(&schema, &Columns::from_batch(&schema, &batch).unwrap()), wanted);

    // A slice, and a second batch behind the first.
    let mut both = Columns::from_batch(&schema, &batch.slice(1, 2)).unwrap();
    both.extend(&batch.slice(0, 1)).unwrap();
    let rotated: Vec<Vec<u64>> = wanted.iter().map(|column| vec![column[1], column[2], column[0]]).collect();
    assert_eq!(evaluate(&schema, &both), rotated);
}

#[test]
fn a_batch_that_does_not_fit_is_refused_by_column_and_leaves_no_trace() {
    let schema = RecordSchema::parse(SCHEMA).unwrap();
    let without = |name: &str| columns().into_iter().filter(|(column, _)| *column != name).collect::<Vec<_>>();
    let mut batch = Columns::from_batch(&schema, &RecordBatch::try_from_iter(columns()).unwrap()).unwrap();
    let lacking = RecordBatch::try_from_iter(without("l")).unwrap();
    assert_eq!(batch.extend(&lacking), Err(BatchError::Missing("l".to_owned())));
    let mut wrong = without("v");
    wrong.push(("v", Arc::new(Int32Array::from(vec![1, 2, 3]))));
    let error = batch.extend(&RecordBatch::try_from_iter(wrong).unwrap()).unwrap_err().to_string();
    assert_eq!(error, "column `v` has the Arrow type Int32, which is no string");
    assert_eq!(batch.rows(), 3);
    assert_eq!(evaluate(&schema, &batch)[0].len(), 3);
}

#[test]
fn a_condition_is_broken_where_it_is_false_and_met_where_it_is_null() {
    let schema = RecordSchema::parse(SCHEMA).unwrap();
    let rules: Vec<Expectation> = [
        (Some("i"), None, Some((0.0, 10.0)), None, None),
        (Some("s"), Some(true), None, None, None),
        (Some("s"), None, None, Some(vec!["x".to_owned()]), None),
        (None, None, None, None, Some("d > 0 OR b".to_owned())),
    ]
    .into_iter()
    .map(|(field, required, between, one_of, sql)| Expectation {
        field: field.map(str::to_owned),
        required,
        between,
        one_of,
        sql,
        ..Expectation::default()
    })
    .collect();
    let conditions = Conditions::compile(&schema, &rules).unwrap();
    assert_eq!((conditions.len(), conditions.inputs()), (4, &[0, 1, 4, 5][..]));
    let columns = Columns::from_batch(&schema, &RecordBatch::try_from_iter(columns()).unwrap()).unwrap();
    let mut scratch = Scratch::default();
    // Row 2: d is infinite, which is null, and b is false: unknown.
    let wanted = [vec![2], vec![1], vec![2], vec![]];
    assert_eq!(conditions.evaluate(&columns, &mut scratch), wanted);
    assert_eq!(conditions.evaluate(&columns, &mut scratch), wanted, "a used scratch forgets");
}

#[test]
fn faults_are_reported_at_their_place_in_the_pipeline_file() {
    let yaml = "version: 1
name: demo
schema: r.avsc
expectations:
  - field: ii
    required: true
features:
  - name: a
    sql: i + 1
  - name: c
    sql: sqroot(d)
label: { field: s, classes: [x, y] }
training: { algorithm: constant }
";
    let loaded = |yaml: &str| {
        let (pipeline, schema, places) = parse(yaml, Path::new("p.yaml"), |_| Ok(SCHEMA.to_owned())).unwrap();
        Loaded { pipeline, schema, folder: Default::default(), places }
    };
    // A field that does not exist may be found before this crate sees the file.
    let yaml = yaml.replace("field: ii\n    required: true", "sql: ii > 0");
    let problems = check(&loaded(&yaml)).unwrap_err();
    let shown: Vec<_> = problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(shown[0].0, 5);
    assert!(shown[0].1.starts_with("expectation `ii > 0`: the record has no field `ii`"), "{shown:?}");
    assert_eq!(shown[1].0, 9);
    assert!(shown[1].1.contains("feature `c`: there is no function `sqroot`, did you mean `sqrt`"), "{shown:?}");

    let (program, conditions) = check(&loaded(&yaml.replace("sqroot", "sqrt").replace("ii >", "i >"))).unwrap();
    assert_eq!((program.width(), conditions.len()), (2, 1));
}
