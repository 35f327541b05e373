//! Parquet files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use super::{add_source, produce_killed_at};
use crate::harness::{Options, Stack};

/// Flowers with the numbers in `range`, which their lengths tell.
fn write(file: &Path, range: std::ops::Range<u32>) {
    let count = range.len();
    let lengths: ArrayRef = Arc::new(Float64Array::from_iter_values(range.map(|n| 1.0 + f64::from(n) / 100.0)));
    let fixed = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value; count])) };
    let species: ArrayRef = Arc::new(StringArray::from(vec!["setosa"; count]));
    let columns = [
        ("Sepal Length", lengths),
        ("sepal_width", fixed(3.5)),
        ("petal_length", fixed(1.4)),
        ("petal_width", fixed(0.2)),
        ("species", species),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(file).unwrap(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_files_are_gone_on_with_after_kills_and_when_one_is_added() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    let folder = stack.pipelines.join("iris/parts");
    std::fs::create_dir(&folder).unwrap();
    write(&folder.join("a.parquet"), 0..90);
    write(&folder.join("b.parquet"), 90..200);
    let source = "  - name: parts\n    rate: 100\n    parquet: { path: 'parts/*.parquet', columns: { Sepal Length: sepal_length } }\n";
    add_source(&stack.pipelines, "iris", source);
    let count = "SELECT count(), uniqExact(sepal_length) FROM iris_features";
    let process = produce_killed_at(&stack, ("iris", "parts"), &[], &[13, 110]).await;
    stack.sql_becomes(count, "200\t200").await;
    drop(process);
    write(&folder.join("c.parquet"), 200..230);
    let told = stack.cli_ok(&["produce", "iris", "--source", "parts"]).await;
    assert!(told.contains("30 records sent, 200 were there already"), "{told}");
    stack.sql_becomes(count, "230\t230").await;
}
