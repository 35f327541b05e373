use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int32Array,
    Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::*;

/// Writes columns into `file`, `group` rows a row group.
fn write(file: &Path, columns: Vec<(&str, ArrayRef)>, group: usize, compression: Compression) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(group)).set_compression(compression).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(file).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn schema(fields: &str) -> RecordSchema {
    RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap()
}

fn id() -> RecordSchema {
    schema(r#"{"name":"id","type":"int"}"#)
}

fn declared(columns: &[(&str, &str)], ignore: &[&str]) -> ParquetSource {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    let ignore = ignore.iter().map(|name| (*name).to_owned()).collect();
    ParquetSource { path: String::new(), columns: columns.iter().map(owned).collect(), ignore }
}

fn items(path: &Path, declared: &ParquetSource, schema: &RecordSchema, from: Position) -> Result<Vec<Item>, Error> {
    let mut reader = ParquetReader::open(path, declared, schema, from)?;
    std::iter::from_fn(|| reader.next().transpose()).collect()
}

fn values(items: &[Item]) -> Vec<Vec<Value>> {
    let values = |item: &Item| match &item.content {
        Content::Record(record) => record.values.clone(),
        other => panic!("{other:?}"),
    };
    items.iter().map(values).collect()
}

#[test]
fn every_type_that_can_fill_a_field_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.parquet");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("b", Arc::new(BooleanArray::from(vec![true]))),
        ("i", Arc::new(Int8Array::from(vec![-3]))),
        ("l", Arc::new(UInt64Array::from(vec![7]))),
        ("f", Arc::new(Float32Array::from(vec![0.5]))),
        ("whole", Arc::new(Float64Array::from(vec![35.0]))),
        ("money", Arc::new(Decimal128Array::from(vec![12_345]).with_precision_and_scale(9, 2).unwrap())),
        ("s", Arc::new(StringArray::from(vec!["é"]))),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![-1]).with_timezone("UTC"))),
        ("day", Arc::new(Date32Array::from(vec![1]))),
        ("text", Arc::new(StringArray::from(vec!["1970-01-01T00:00:01Z"]))),
        ("none", Arc::new(Int64Array::from(vec![None]))),
        ("other", Arc::new(Int64Array::from(vec![1]))),
    ];
    write(&file, columns, 10, Compression::SNAPPY);
    let time = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
    let schema = schema(&format!(
        r#"{{"name":"b","type":"boolean"}},{{"name":"i","type":"int"}},{{"name":"l","type":"long"}},
        {{"name":"f","type":"double"}},{{"name":"whole","type":"int"}},{{"name":"money","type":"double"}},
        {{"name":"name","type":"string"}},{{"name":"t","type":{time}}},{{"name":"day","type":{time}}},
        {{"name":"text","type":{time}}},{{"name":"none","type":["null","long"]}},{{"name":"absent","type":["null","string"]}}"#
    ));
    let found = items(&file, &declared(&[("s", "name")], &["other"]), &schema, Position::default()).unwrap();
    let wanted = vec![
        Value::Boolean(true),
        Value::Long(-3),
        Value::Long(7),
        Value::Double(0.5),
        Value::Long(35),
        Value::Double(123.45),
        Value::String("é".to_owned()),
        Value::Long(-1),
        Value::Long(86_400_000),
        Value::Long(1_000),
        Value::Null,
        Value::Null,
    ];
    assert_eq!(values(&found), [wanted]);
}

/// Two files of 2,500 and 7 rows in groups of 1,000 and 3, numbered through; row 1,203 does not fit.
fn two_files(folder: &Path, compression: Compression) {
    let ids = |range: std::ops::Range<i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(range.map(|id| if id == 1_203 { 3_000_000_000 } else { id })))
    };
    write(&folder.join("a.parquet"), vec![("id", ids(0..2_500))], 1_000, compression);
    write(&folder.join("b.parquet"), vec![("id", ids(2_500..2_507))], 3, compression);
}

#[test]
fn files_follow_each_other_by_name_and_any_row_can_be_gone_on_from() {
    for compression in
        [Compression::UNCOMPRESSED, Compression::ZSTD(Default::default()), Compression::GZIP(Default::default())]
    {
        let folder = tempfile::tempdir().unwrap();
        two_files(folder.path(), compression);
        let pattern = folder.path().join("*.parquet");
        let read = |from| items(&pattern, &declared(&[], &[]), &id(), from).unwrap();
        let whole = read(Position::default());
        assert_eq!((whole.len(), whole[2_506].line, whole[2_506].sequence), (2_507, 7, 2_506));
        for cut in [0, 998, 999, 1_000, 1_023, 1_024, 1_203, 2_498, 2_499, 2_500, 2_502, 2_505, 2_506] {
            assert_eq!(read(whole[cut].next), whole[cut + 1..], "{compression} after row {cut}");
        }
    }
}

#[test]
fn a_value_that_does_not_fit_is_told_with_file_row_group_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    two_files(folder.path(), Compression::UNCOMPRESSED);
    let found = items(&folder.path().join("*.parquet"), &declared(&[], &[]), &id(), Position::default()).unwrap();
    let bad: Vec<_> = found.iter().filter(|item| matches!(item.content, Content::Unreadable { .. })).collect();
    let [Item { sequence: 1_203, line: 1_204, content: Content::Unreadable { reason, original }, .. }] = bad.as_slice()
    else {
        panic!("{bad:?}")
    };
    assert_eq!((reason.kind(), original.as_slice()), ("WrongType", &b"{\"id\":3000000000}"[..]));
    let wanted = "a.parquet`, row group 1, row 1204, column `id`: field `id`: 3000000000 is no int";
    assert!(reason.to_string().contains(wanted), "{reason}");
}

#[test]
fn columns_that_cannot_work_are_told_before_any_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.parquet");
    let ints = || -> ArrayRef { Arc::new(Int32Array::from(vec![1])) };
    let list = ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>([Some([Some(1)])]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let none: &[(&str, &str)] = &[];
    for (columns, renamed, part) in [
        (vec![("idd", ints())], none, "did you mean `id`"),
        (vec![("id", ints()), ("x", ints())], none, "unknown column `x`"),
        (vec![("id", texts)], none, "holds Utf8, which cannot fill the field `id` of type int"),
        (vec![("id", Arc::new(list) as ArrayRef)], none, "column `id` holds List"),
        (vec![("id", ints()), ("x", ints())], &[("x", "id")], "both fill the field `id`"),
    ] {
        write(&file, columns, 10, Compression::UNCOMPRESSED);
        let error = items(&file, &declared(renamed, &[]), &id(), Position::default()).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("f.parquet"), "{error}");
    }
    write(&file, vec![("x", ints())], 10, Compression::UNCOMPRESSED);
    let error = items(&file, &declared(none, &["x"]), &id(), Position::default()).unwrap_err();
    assert!(matches!(&error, Error::MissingColumn { field, .. } if field == "id"), "{error}");
}

#[test]
fn what_is_no_parquet_file_is_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    two_files(folder.path(), Compression::SNAPPY);
    let (file, whole) = (folder.path().join("c"), std::fs::read(folder.path().join("b.parquet")).unwrap());
    let read = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        items(&file, &declared(&[], &[]), &id(), Position::default())
    };
    for cut in 0..whole.len() {
        assert!(read(&whole[..cut]).is_err(), "{cut}");
    }
    assert!(read(b"id\n1\n").is_err());
    let nowhere = items(&folder.path().join("*.pq"), &declared(&[], &[]), &id(), Position::default());
    assert!(nowhere.unwrap_err().to_string().contains("no such file"));
}
