use std::io::Cursor;

use driftmill_schemas::pipeline::CsvSource;
use driftmill_schemas::record::{Record, RecordSchema, Value};

use super::*;

mod beside;

fn schema() -> RecordSchema {
    RecordSchema::parse(
        r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"},{"name":"width","type":["null","double"]},
            {"name":"species","type":["null","string"]}]}"#,
    )
    .unwrap()
}

fn declared(yaml: &str) -> CsvSource {
    let mut source = serde_json::json!({"path": "f.csv"});
    let given: serde_json::Value = serde_json::from_str(yaml).unwrap();
    source.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
    serde_json::from_value(source).unwrap()
}

fn try_open(text: &[u8], options: &str, position: Position) -> Result<CsvReader<Cursor<Vec<u8>>>, Error> {
    let (size, folder) = (text.len() as u64, Path::new(""));
    CsvReader::open(Cursor::new(text.to_vec()), size, "f.csv", folder, &declared(options), &schema(), position)
}

fn items_from(text: &[u8], options: &str, position: Position) -> Vec<Item> {
    let mut reader = try_open(text, options, position).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn items(text: impl AsRef<[u8]>, options: &str) -> Vec<Item> {
    items_from(text.as_ref(), options, Position::default())
}

fn fault(text: &str, options: &str) -> String {
    match try_open(text.as_bytes(), options, Position::default()) {
        Ok(_) => panic!("{text} was opened"),
        Err(error) => error.to_string(),
    }
}

fn record(id: i64, width: Option<f64>, species: Option<&str>) -> Content {
    let width = width.map_or(Value::Null, Value::Double);
    let species = species.map_or(Value::Null, |text| Value::String(text.to_owned()));
    Content::Record(Record { values: vec![Value::Long(id), width, species] })
}

fn contents(items: &[Item]) -> Vec<&Content> {
    items.iter().map(|item| &item.content).collect()
}

fn kinds(items: &[Item]) -> Vec<(u64, &'static str)> {
    let kind = |item: &Item| match &item.content {
        Content::Record(_) | Content::Framed(..) | Content::Nothing => "record",
        Content::Unreadable { reason, .. } => reason.kind(),
    };
    items.iter().map(|item| (item.line, kind(item))).collect()
}

fn reason(item: &Item) -> (String, &[u8]) {
    match &item.content {
        Content::Unreadable { reason, original } => (reason.to_string(), original),
        read => panic!("{read:?} was read"),
    }
}

#[test]
fn columns_are_mapped_replaced_ignored_and_gaps_are_null() {
    let options = r#"{"columns":{"":"id","target":"species"},"ignore":["note"],"replace":{"species":{"0":"setosa"}}}"#;
    let found = items("note,, width ,target\n?,1,NA,0\n?,2.0, 1.5,rosa\n?,3,,\n", options);
    assert_eq!(
        contents(&found),
        [&record(1, None, Some("setosa")), &record(2, Some(1.5), Some("rosa")), &record(3, None, None)]
    );
}

#[test]
fn a_nullable_field_needs_no_column_and_delimiters_are_declared() {
    let found = items("id;width\n1;2,5\n2;2.5\n", r#"{"delimiter":";"}"#);
    assert_eq!(kinds(&found), [(2, "WrongType"), (3, "record")]);
    assert_eq!(found[1].content, record(2, Some(2.5), None));
}

const HOSTILE: &[u8] =
    b"id,width,species\r\n1,2.5,a\r\n\r\n2,abc,b\r\n3,1\r\n4,1,c,d\r\n,1,e\r\n5,\"1,f\r\n6,1,\"g\r\nh\"\r\n\
    7,1,\xff\r\n8,1,i\"j\r\n9,1e999,k\r\n10,1,\"say \"\"l\"\"\"\r\n\x00\x01\x02\r\n11,1,m";

#[test]
fn every_bad_row_is_one_item_with_its_bytes_and_the_reading_goes_on() {
    let found = items(HOSTILE, "{}");
    let wanted = [
        (2, "record"),
        (4, "WrongType"),
        (5, "CellCount"),
        (6, "CellCount"),
        (7, "MissingValue"),
        (8, "BrokenQuote"),
        (9, "record"),
        (11, "InvalidEncoding"),
        (12, "BrokenQuote"),
        (13, "WrongType"),
        (14, "record"),
        (15, "CellCount"),
        (16, "record"),
    ];
    assert_eq!(kinds(&found), wanted);
    assert_eq!(reason(&found[1]), ("field `width`: `abc` is no double".to_owned(), &b"2,abc,b"[..]));
    assert_eq!(reason(&found[2]), ("2 cells where the header has 3".to_owned(), &b"3,1"[..]));
    assert_eq!(reason(&found[7]).1, b"7,1,\xff");
    assert_eq!(found[6].content, record(6, Some(1.0), Some("g\r\nh")));
    assert_eq!(found[10].content, record(10, Some(1.0), Some("say \"l\"")));
    assert_eq!(found.iter().map(|item| item.sequence).collect::<Vec<_>>(), (0..13).collect::<Vec<_>>());
}

#[test]
fn going_on_anywhere_gives_what_was_not_interrupted() {
    let wide: Vec<u8> = "\u{feff}id,species\n1,\"é\né\"\n\n2\n3,x".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for text in [HOSTILE, &wide] {
        let whole = items(text, "{}");
        assert!(whole.len() > 2);
        for cut in 0..whole.len() {
            assert_eq!(items_from(text, "{}", whole[cut].next), whole[cut + 1..], "after item {cut}");
        }
    }
}

#[test]
fn a_file_that_grew_goes_on_with_the_new_rows() {
    let before = b"id\n1\n2";
    let last = items(before, "{}").last().unwrap().next;
    let grown = items_from(b"id\n1\n2\n3\n", "{}", last);
    assert_eq!(contents(&grown), [&record(3, None, None)]);
    assert_eq!((grown[0].line, grown[0].sequence), (4, 2));
}

#[test]
fn an_unknown_column_makes_every_row_a_dead_letter_that_names_it() {
    let found = items("id,widht,species\n1,2,a\n2,3\n", "{}");
    assert_eq!(kinds(&found), [(2, "UnknownColumn"), (3, "UnknownColumn")]);
    let (text, original) = reason(&found[0]);
    assert!(text.starts_with("unknown column `widht`, did you mean `width`?"), "{text}");
    assert_eq!(original, b"1,2,a");
}

#[test]
fn a_missing_needed_column_is_one_error_that_names_file_header_and_the_nearest() {
    let text = fault("idd,width\n1,2\n", "{}");
    for part in ["f.csv", "`id`", "`idd`, `width`", "did you mean `idd`?", "`columns`"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The nearest of the header that the pipeline file expects.
    let text = fault("Numbr\n1\n", r#"{"columns":{"Number":"id"}}"#);
    assert!(text.contains("did you mean `Numbr`?"), "{text}");
}

#[test]
fn a_field_that_two_columns_fill_is_one_error() {
    assert!(fault("id,width,id\n", "{}").contains("`id` and `id` both fill the field `id`"));
    assert!(fault("id,n\n", r#"{"columns":{"n":"id"}}"#).contains("`id` and `n`"));
    assert_eq!(items("id,x,x\n1,2,3\n", r#"{"ignore":["x"]}"#).len(), 1);
}

#[test]
fn an_empty_file_and_a_lone_header_are_empty_sources() {
    for text in ["", "\n\n", "id,width", "id,width\n", "\u{feff}", "\u{feff}id\n"] {
        assert!(items(text, "{}").is_empty(), "{text:?}");
    }
}

#[test]
fn encodings_are_declared_and_a_byte_order_mark_wins() {
    let wanted = record(1, None, Some("Größe €"));
    let windows = b"id,species\n1,Gr\xf6\xdfe \x80\n";
    for label in ["windows-1252", "latin1", "ISO-8859-1"] {
        assert_eq!(items(windows, &format!(r#"{{"encoding":"{label}"}}"#))[0].content, wanted);
    }
    let text = "id,species\n1,Größe €\n";
    for (mark, label) in [("", "utf-8"), ("\u{feff}", "utf-8"), ("\u{feff}", "latin1")] {
        assert_eq!(items(format!("{mark}{text}"), &format!(r#"{{"encoding":"{label}"}}"#))[0].content, wanted);
    }
    let units: Vec<u16> = format!("\u{feff}{text}").encode_utf16().collect();
    let little: Vec<u8> = units.iter().copied().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units.iter().copied().flat_map(u16::to_be_bytes).collect();
    for wide in [&little, &big] {
        assert_eq!(items(wide, "{}")[0].content, wanted);
    }
    assert_eq!(items(&little[2..], r#"{"encoding":"utf-16le"}"#)[0].content, wanted);
    // A lone surrogate, and half a unit at the end.
    let mut torn = little.clone();
    torn.extend([b'2', 0, b',', 0, 0x00, 0xD8, b'\n', 0, b'3']);
    assert_eq!(kinds(&items(&torn, "{}")), [(2, "record"), (3, "InvalidEncoding"), (4, "CellCount")]);
    assert!(fault(text, r#"{"encoding":"klingon"}"#).contains("klingon"));
    assert!(fault(text, r#"{"encoding":"iso-2022-jp"}"#).contains("convert"));
    assert!(fault(text, r#"{"delimiter":"\n"}"#).contains("delimiter"));
    // The second byte of 表 in Shift_JIS is a backslash, of 能 it is 5C, too: neither splits a row.
    let japanese = b"id,species\n1,\x95\x5c\x94\x5c\n";
    assert_eq!(items(japanese, r#"{"encoding":"shift_jis"}"#)[0].content, record(1, None, Some("表能")));
    assert!(fault(text, r#"{"encoding":"shift_jis","delimiter":"|"}"#).contains("delimiter"));
}

#[test]
fn a_header_that_cannot_be_read_is_one_error() {
    assert!(fault("id,\"width\n1,2\n", "{}").contains("header"));
    assert!(matches!(try_open(b"id,\xff\n", "{}", Position::default()), Err(Error::Header { .. })));
    assert!(fault(&"x".repeat(5 << 20), "{}").contains("header"));
}

#[test]
fn a_field_of_ten_megabytes_is_one_item() {
    for quote in ["", "\""] {
        let text = format!("id,species\n1,{quote}{}{quote}\n2,b\n", "x".repeat(10_000_000));
        let found = items(text, "{}");
        assert_eq!(kinds(&found), [(2, "TooLong"), (3, "record")]);
        assert_eq!(reason(&found[0]).1.len(), 10_000_002 + 2 * quote.len());
    }
}

#[test]
fn no_bytes_make_it_panic_or_lose_the_end() {
    use rand::{Rng, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let alphabet = b"0123,,,\"\"\n\n\r\xff\x00a.-";
    for _ in 0..3_000 {
        let length = random.random_range(0..60);
        let mut text = b"id,width,species\n".to_vec();
        text.extend((0..length).map(|_| alphabet[random.random_range(0..alphabet.len())]));
        let whole = items(&text, "{}");
        if let Some(last) = whole.last() {
            assert!(items_from(&text, "{}", last.next).is_empty());
            let middle = whole.len() / 2;
            assert_eq!(items_from(&text, "{}", whole[middle].next), whole[middle + 1..], "{text:?}");
        }
    }
}

#[test]
fn fishers_flowers_are_all_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines/iris");
    let loaded = driftmill_schemas::pipeline::load(&folder.join("pipeline.yaml")).unwrap();
    let csv = loaded.pipeline.sources.iter().find_map(|source| source.csv.as_ref()).unwrap();
    let file = std::fs::File::open(folder.join(&csv.path)).unwrap();
    let mut reader = CsvReader::open(file, 0, "iris.csv", &folder, csv, &loaded.schema, Position::default()).unwrap();
    let found: Vec<Item> = std::iter::from_fn(|| reader.next().unwrap()).collect();
    assert_eq!(found.len(), 150);
    assert!(found.iter().all(|item| matches!(item.content, Content::Record(_))));
}
