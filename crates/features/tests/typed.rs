//! Texts, categories and images: a batch, the same records and each record alone give the same features.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use driftmill_features::{Columns, FeatureMatrix, Program, Scratch, Values};
use driftmill_schemas::pipeline::Feature;
use driftmill_schemas::record::{Record, RecordSchema, Value};

const AVRO: &str = r#"{"type":"record","name":"r","fields":[
    {"name":"title","type":["null","string"],"default":null},
    {"name":"body","type":["null","string"],"default":null},
    {"name":"stars","type":["null","int"],"default":null},
    {"name":"photo","type":["null","bytes"],"default":null}]}"#;

fn schema() -> RecordSchema {
    RecordSchema::parse(AVRO).unwrap()
}

fn features(json: &str) -> Vec<Feature> {
    serde_json::from_str(json).unwrap()
}

fn all() -> Vec<Feature> {
    features(
        r#"[{"name":"text","type":"text","sql":"CONCAT(title, '. ', LOWER(body))"},
            {"name":"length","sql":"LENGTH(body)"},
            {"name":"stars","type":"category"},
            {"name":"photo","type":"image","side":8},
            {"name":"width","sql":"IMAGE_WIDTH(photo)"},
            {"name":"mode","type":"category","sql":"IMAGE_MODE(photo)"},
            {"name":"red","sql":"IMAGE_MEAN_RED(photo) - IMAGE_MEAN_BLUE(photo)"}]"#,
    )
}

/// A binary PPM of one colour.
fn picture(width: usize, height: usize, colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = format!("P6 {width} {height} 255 ").into_bytes();
    (0..width * height).for_each(|_| bytes.extend(colour));
    bytes
}

/// More rows than are evaluated together.
fn records() -> Vec<Record> {
    let text = |some: bool, text: String| if some { Value::String(text) } else { Value::Null };
    (0..600)
        .map(|i: usize| {
            let photo = match i % 5 {
                0 => Value::Null,
                1 => Value::Bytes(b"no picture".to_vec()),
                _ => Value::Bytes(picture(i % 7 + 1, 3, [i as u8, 7, 200])),
            };
            Record {
                values: vec![
                    text(!i.is_multiple_of(3), format!("Title {i}")),
                    text(!i.is_multiple_of(4), format!("É und {}", "ß".repeat(i % 9))),
                    if !i.is_multiple_of(6) { Value::Long((i % 6) as i64) } else { Value::Null },
                    photo,
                ],
            }
        })
        .collect()
}

/// Everything of the rows, as text, so that it can be compared.
fn told(matrix: &FeatureMatrix, row: usize) -> String {
    let values = matrix.columns().map(|values| match values {
        Values::Numbers(numbers) => format!("{:x}", numbers[row].to_bits()),
        Values::Texts(texts) => format!("{:?}", texts[row]),
        Values::Images(images) => format!("{:?}", images[row]),
    });
    values.collect::<Vec<_>>().join(" | ")
}

fn evaluate(columns: &Columns) -> FeatureMatrix {
    let program = Program::compile(&schema(), &all()).unwrap();
    let mut out = FeatureMatrix::default();
    program.evaluate(columns, &mut Scratch::default(), &mut out);
    out
}

#[test]
fn a_batch_the_same_records_and_each_record_alone_give_the_same_features() {
    let records = records();
    let text = |index: usize| {
        let texts = records.iter().map(|record| match &record.values[index] {
            Value::String(text) => Some(text.clone()),
            _ => None,
        });
        Arc::new(StringArray::from_iter(texts)) as ArrayRef
    };
    let photos = records.iter().map(|record| match &record.values[3] {
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    });
    let stars = records.iter().map(|record| match &record.values[2] {
        Value::Long(stars) => i32::try_from(*stars).ok(),
        _ => None,
    });
    let batch = RecordBatch::try_from_iter([
        ("title", text(0)),
        ("body", text(1)),
        ("stars", Arc::new(arrow_array::Int32Array::from_iter(stars)) as ArrayRef),
        ("photo", Arc::new(BinaryArray::from_iter(photos)) as ArrayRef),
    ])
    .unwrap();
    let of_batch = evaluate(&Columns::from_batch(&schema(), &batch).unwrap());
    let of_records = evaluate(&Columns::from_records(&schema(), &records).unwrap());
    let (mut scratch, mut alone) = (Scratch::default(), FeatureMatrix::default());
    let program = Program::compile(&schema(), &all()).unwrap();
    let mut columns = Columns::new(&schema());
    for (row, record) in records.iter().enumerate() {
        columns.clear();
        columns.push(record).unwrap();
        program.evaluate(&columns, &mut scratch, &mut alone);
        let expected = told(&alone, 0);
        assert_eq!(told(&of_batch, row), expected);
        assert_eq!(told(&of_records, row), expected);
        assert_eq!(alone.unreadable().len(), usize::from(row % 5 == 1));
    }
    let unreadable: Vec<usize> = of_batch.unreadable().iter().map(|image| image.row).collect();
    assert_eq!(unreadable, (0..600).filter(|row| row % 5 == 1).collect::<Vec<_>>());
}

#[test]
fn a_picture_of_one_colour_keeps_it_and_tells_its_size() {
    let record = |photo| Record { values: vec![Value::Null, Value::Null, Value::Null, Value::Bytes(photo)] };
    let records = [record(picture(5, 3, [10, 20, 30]))];
    let matrix = evaluate(&Columns::from_records(&schema(), &records).unwrap());
    let Values::Images(images) = matrix.values(3) else { panic!("no image") };
    let pixels = images[0].as_ref().unwrap();
    assert_eq!(pixels.len(), 8 * 8 * 3);
    assert!(pixels.chunks(3).all(|pixel| pixel == [10, 20, 30]), "{pixels:?}");
    assert_eq!((matrix.column(4), matrix.column(6)), (&[5.0][..], &[-20.0][..]));
    let Values::Texts(modes) = matrix.values(5) else { panic!("no text") };
    assert_eq!(modes[0].as_deref(), Some("RGB"));
}

#[test]
fn a_feature_whose_values_are_of_another_type_is_refused_with_the_way_out() {
    for (feature, expected) in [
        (r#"{"name":"title"}"#, "`type: category` or `type: text`"),
        (r#"{"name":"x","type":"text","sql":"LENGTH(body)"}"#, "CAST(… AS VARCHAR)"),
        (r#"{"name":"photo"}"#, "`type: image`"),
        (r#"{"name":"x","type":"image","sql":"title"}"#, "field of bytes"),
        (r#"{"name":"x","sql":"IMAGE_WIDTH(title)"}"#, "field of bytes"),
        (r#"{"name":"x","sql":"IMAGE_WIDTH(1 + 1)"}"#, "name of one field"),
        (r#"{"name":"x","sql":"IMAGE_WIDHT(photo)"}"#, "image_width"),
    ] {
        let errors = Program::compile(&schema(), &[serde_json::from_str(feature).unwrap()]).unwrap_err();
        assert!(errors[0].1.to_string().contains(expected), "{feature}: {}", errors[0].1);
    }
}
