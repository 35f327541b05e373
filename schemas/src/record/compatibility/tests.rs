use super::*;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

fn record(fields: &str) -> RecordSchema {
    RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap()
}

fn versions<const N: usize>(schemas: [RecordSchema; N]) -> Vec<Version> {
    (1..).zip(schemas).map(|(number, schema)| Version::parse(number, &schema.text).unwrap()).collect()
}

const A: &str = r#"{"name":"a","type":"int"}"#;

fn with_a(field: &str) -> RecordSchema {
    record(&format!("{A},{field}"))
}

/// One change of a record, and whether records of the old schema are readable with the new one, and the other way round.
fn changes() -> Vec<(&'static str, RecordSchema, RecordSchema, bool, bool)> {
    let field = |kind: &str| with_a(&format!(r#"{{"name":"x","type":{kind}}}"#));
    vec![
        ("no change", record(A), record(A), true, true),
        ("a field with a default", record(A), with_a(r#"{"name":"x","type":"long","default":0}"#), true, true),
        (
            "a nullable field with a default",
            record(A),
            with_a(r#"{"name":"x","type":["null","string"],"default":null}"#),
            true,
            true,
        ),
        ("a field without a default", record(A), field(r#""string""#), false, true),
        ("a field less", field(r#""string""#), record(A), true, false),
        ("a field with a default less", with_a(r#"{"name":"x","type":"int","default":1}"#), record(A), true, true),
        ("a new name", field(r#""int""#), with_a(r#"{"name":"y","type":"int"}"#), false, false),
        (
            "a new name with the old one as its alias",
            field(r#""int""#),
            with_a(r#"{"name":"y","type":"int","aliases":["x"]}"#),
            true,
            false,
        ),
        ("int to long", field(r#""int""#), field(r#""long""#), true, false),
        ("long to int", field(r#""long""#), field(r#""int""#), false, true),
        ("int to double", field(r#""int""#), field(r#""double""#), true, false),
        ("double to long", field(r#""double""#), field(r#""long""#), false, true),
        ("float to double", field(r#""float""#), field(r#""double""#), true, false),
        ("int to string", field(r#""int""#), field(r#""string""#), false, false),
        ("a value that may be null now", field(r#""int""#), field(r#"["null","int"]"#), true, false),
        ("a value that may not be null any more", field(r#"["null","int"]"#), field(r#""int""#), false, true),
        ("the branches in another order", field(r#"["null","int"]"#), field(r#"["int","null"]"#), true, true),
        ("a wider branch", field(r#"["null","int"]"#), field(r#"["null","double"]"#), true, false),
        (
            "a long that is a time now",
            field(r#""long""#),
            field(r#"{"type":"long","logicalType":"timestamp-millis"}"#),
            true,
            true,
        ),
    ]
}

#[test]
fn each_mode_looks_in_its_directions_at_each_change() {
    for (title, old, new, backward, forward) in changes() {
        let versions = versions([old]);
        for (mode, wanted) in [
            (Mode::None, true),
            (Mode::Backward, backward),
            (Mode::BackwardTransitive, backward),
            (Mode::Forward, forward),
            (Mode::ForwardTransitive, forward),
            (Mode::Full, backward && forward),
            (Mode::FullTransitive, backward && forward),
        ] {
            let found = check(mode, &versions, &new);
            assert_eq!(found.is_ok(), wanted, "{title}, {mode}: {found:?}");
        }
    }
}

#[test]
fn only_the_transitive_modes_look_past_the_last_version() {
    // The field that was optional in version 1 is gone in version 2, and comes back as another type.
    let versions = versions([with_a(r#"{"name":"x","type":"string","default":""}"#), record(A)]);
    let new = with_a(r#"{"name":"x","type":"long","default":0}"#);
    for mode in Mode::ALL {
        assert_eq!(check(mode, &versions, &new).is_err(), mode.is_transitive(), "{mode}");
    }
    assert_eq!(check(Mode::FullTransitive, &[], &new), Ok(()), "there is nothing to be compatible with yet");
}

#[test]
fn apache_avro_agrees_on_each_change() {
    for (title, old, new, backward, forward) in changes() {
        for (writer, reader, wanted) in [(&old, &new, backward), (&new, &old, forward)] {
            let theirs = SchemaCompatibility::can_read(writer.avro(), reader.avro());
            assert_eq!(theirs == Ok(Compatibility::Full), wanted, "{title}: {theirs:?}");
        }
    }
}

fn found(writer: &str, reader: &str) -> Vec<(String, bool)> {
    let parse = |kind: &str| {
        let text = format!(r#"{{"type":"record","name":"r","fields":[{{"name":"x","type":{kind}}}]}}"#);
        apache_avro::Schema::parse_str(&text).unwrap()
    };
    faults(&parse(writer), &parse(reader)).into_iter().map(|fault| (fault.to_string(), fault.partial)).collect()
}

#[test]
fn types_that_a_pipeline_does_not_hold_are_compared_too() {
    let list = |kind: &str| format!(r#"{{"type":"array","items":{kind}}}"#);
    let colours = |symbols: &str| format!(r#"{{"type":"enum","name":"e","symbols":[{symbols}]}}"#);
    let point = |fields: &str| format!(r#"{{"type":"record","name":"p","fields":[{fields}]}}"#);
    let fixed = |size: u32| format!(r#"{{"type":"fixed","name":"f","size":{size}}}"#);
    let (x, xy) = (r#"{"name":"x","type":"int"}"#, r#"{"name":"x","type":"int"},{"name":"y","type":"int"}"#);
    let same = [list("\"int\""), colours(r#""a","b""#), point(xy), fixed(4), r#"["int","string","null"]"#.to_owned()];
    for kind in &same {
        assert_eq!(found(kind, kind), [], "{kind}");
    }
    for (writer, reader, told, partial) in [
        (list("\"string\""), list("\"int\""), "`x[]`: string cannot be read as int", false),
        (colours(r#""a","b""#), colours(r#""a""#), "symbol `b`", true),
        (colours(r#""b""#), colours(r#""a""#), "symbol `b`", false),
        (point(x), point(xy), "`x.y` is missing", false),
        (fixed(4), fixed(8), "fixed of 4 bytes", false),
        (r#"["int","string","null"]"#.to_owned(), r#"["int","null"]"#.to_owned(), "string, a branch", true),
        (r#"["int","string"]"#.to_owned(), r#""boolean""#.to_owned(), "int, a branch", false),
    ] {
        let faults = found(&writer, &reader);
        assert!(faults.iter().any(|(text, some)| text.contains(told) && *some == partial), "{told}: {faults:?}");
    }
    assert_eq!(found(&colours(r#""a""#), &colours(r#""a","b""#)), []);
    let known = r#"{"type":"enum","name":"e","symbols":["a"],"default":"a"}"#;
    assert_eq!(found(&colours(r#""a","b""#), known), []);
    assert_eq!(found(r#""int""#, r#"["int","string"]"#), []);
}

#[test]
fn a_time_of_another_unit_is_another_type_though_apache_avro_reads_it() {
    let time = |unit: &str| format!(r#"{{"type":"long","logicalType":"{unit}"}}"#);
    let faults = found(&time("timestamp-micros"), &time("timestamp-millis"));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(found(&time("timestamp-millis"), r#""long""#), []);
}

#[test]
fn a_type_within_itself_is_compared_once() {
    let list =
        r#"{"type":"record","name":"l","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","l"]}]}"#;
    assert_eq!(found(list, list), []);
    assert_eq!(found(list, &list.replace("int", "string")).len(), 1);
}

#[test]
fn a_record_of_another_name_is_another_record_unless_it_says_so() {
    let named = |head: &str| RecordSchema::parse(&format!(r#"{{"type":"record",{head},"fields":[{A}]}}"#)).unwrap();
    let (flower, plant) = (named(r#""name":"flower""#), named(r#""name":"plant""#));
    assert!(check(Mode::Backward, &versions([flower.clone()]), &plant).is_err());
    let renamed = named(r#""name":"plant","aliases":["flower"]"#);
    assert_eq!(check(Mode::Backward, &versions([flower.clone()]), &renamed), Ok(()));
    let moved = named(r#""name":"flower","namespace":"com.example""#);
    assert_eq!(check(Mode::Full, &versions([flower]), &moved), Ok(()));
}

#[test]
fn a_refusal_says_which_field_which_version_and_what_to_do() {
    let long = with_a(r#"{"name":"x","type":"long"}"#);
    let versions = versions([long.clone(), long]);
    let new = record(&format!(r#"{A},{{"name":"x","type":"int"}},{{"name":"y","type":"string"}}"#));
    let told: Vec<String> =
        check(Mode::FullTransitive, &versions, &new).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "field `x`, records of version 2: long cannot be read as int: keep the type, or add a field of another name",
            "field `y` is new and has no default, so that records of version 2 could not be read: give it a default",
        ]
    );
    assert_eq!(milder(Mode::FullTransitive, &versions, &new), Some(Mode::ForwardTransitive));
    let gone = check(Mode::Forward, &versions, &record(A)).unwrap_err();
    assert!(gone[0].to_string().contains("field `x` is gone"), "{gone:?}");
}
