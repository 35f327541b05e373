use super::*;
use driftmill_schemas::record::{Record, Value};

const TEXT: &str = r#"{"type":"record","name":"r","fields":[
    {"name":"x","type":["null","double"]},{"name":"s","type":"string"}]}"#;

fn message(schema: &RecordSchema, x: Option<f64>, s: &str) -> Vec<u8> {
    let mut out = Vec::new();
    framing::begin(SchemaRef::Fingerprint(schema.fingerprint), &mut out);
    let record = Record { values: vec![x.map_or(Value::Null, Value::Double), Value::String(s.to_owned())] };
    record.encode(schema, &mut out).unwrap();
    out
}

fn decode(decoder: &mut AvroDecoder, messages: &[Vec<u8>]) -> Decoded {
    decoder.decode(&batch(messages), 0..messages.len())
}

fn batch(messages: &[Vec<u8>]) -> MessageBatch {
    let mut batch = MessageBatch::new("r.raw", false);
    for (offset, message) in messages.iter().enumerate() {
        batch.push(0, offset as i64, 0, message, Vec::new());
    }
    batch
}

#[test]
fn good_messages_become_columns_and_each_bad_one_a_fault_of_its_own() {
    let schema = RecordSchema::parse(TEXT).unwrap();
    let good = message(&schema, Some(1.5), "a");
    let mut trailing = good.clone();
    trailing.push(0);
    let mut torn = good.clone();
    torn.truncate(good.len() - 1);
    let mut bad_text = good.clone();
    *bad_text.last_mut().unwrap() = 0xff;
    let mut foreign = good.clone();
    foreign[2] ^= 1;
    let messages = [good, b"{}".to_vec(), trailing, torn, bad_text, foreign, Vec::new(), message(&schema, None, "é")];
    let decoded = decode(&mut AvroDecoder::new(schema), &messages);
    let bad: Vec<_> = decoded.faults.iter().map(|f| (f.index, f.kind)).collect();
    let undecodable = "Undecodable";
    assert_eq!(
        bad,
        [(1, "NotAvro"), (2, undecodable), (3, undecodable), (4, undecodable), (5, "UnknownSchema"), (6, "NotAvro")]
    );
    let kept: Vec<usize> = decoded.parts.iter().flat_map(|(_, indices)| indices.clone()).collect();
    let rows: usize = decoded.parts.iter().map(|(columns, _)| columns.num_rows()).sum();
    assert_eq!((rows, kept), (2, vec![0, 7]));
}

#[test]
fn a_null_text_is_no_empty_text() {
    let nullable = TEXT.replace(r#"{"name":"s","type":"string"}"#, r#"{"name":"s","type":["null","string"]}"#);
    let schema = RecordSchema::parse(&nullable).unwrap();
    let message = |s: Value| {
        let mut out = Vec::new();
        framing::begin(SchemaRef::Fingerprint(schema.fingerprint), &mut out);
        Record { values: vec![Value::Null, s] }.encode(&schema, &mut out).unwrap();
        out
    };
    let messages = [message(Value::Null), message(Value::String(String::new()))];
    let decoded = decode(&mut AvroDecoder::new(schema.clone()), &messages);
    let texts = super::super::fields::texts(&decoded.parts[0].0, "s");
    assert_eq!(texts.iter().collect::<Vec<_>>(), [None, Some("")]);
}

#[test]
fn a_length_that_promises_more_than_there_is_is_a_fault() {
    let schema = RecordSchema::parse(TEXT).unwrap();
    let mut hostile = Vec::new();
    framing::begin(SchemaRef::Fingerprint(schema.fingerprint), &mut hostile);
    // null x, then a string of 2^62 bytes; and one of a negative length.
    for tail in [&[0x00, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f][..], &[0x00, 0x03], &[0x04]] {
        let mut one = hostile.clone();
        one.extend_from_slice(tail);
        let decoded = decode(&mut AvroDecoder::new(schema.clone()), &[one]);
        assert_eq!((decoded.parts.len(), decoded.faults.len()), (0, 1), "{decoded:?}");
    }
}

#[test]
fn an_older_writer_is_read_with_the_defaults_of_the_reader() {
    let newer = TEXT.replace("]}\n", "").replace(
        r#"{"name":"s","type":"string"}]}"#,
        r#"{"name":"s","type":"string"},{"name":"t","type":["null","long"],"default":null}]}"#,
    );
    let older = RecordSchema::parse(TEXT).unwrap();
    let mut decoder = AvroDecoder::new(RecordSchema::parse(&newer).unwrap());
    let message = message(&older, Some(2.0), "b");
    let named = AvroDecoder::named(&batch(std::slice::from_ref(&message)));
    assert_eq!(decoder.unknown(&named).len(), 1);
    decoder.learn(SchemaRef::Fingerprint(older.fingerprint), older.text.clone());
    let decoded = decode(&mut decoder, &[message]);
    assert_eq!(decoded.parts[0].0.num_columns(), 3);
}

fn written(text: &str, values: Vec<Value>) -> (SchemaRef, String, Vec<u8>) {
    let schema = RecordSchema::parse(text).unwrap();
    let named = SchemaRef::Fingerprint(schema.fingerprint);
    let mut out = Vec::new();
    framing::begin(named, &mut out);
    Record { values }.encode(&schema, &mut out).unwrap();
    (named, schema.text, out)
}

#[test]
fn what_newer_writers_added_comes_beside_the_reader_s_columns() {
    let mut decoder = AvroDecoder::new(RecordSchema::parse(TEXT).unwrap());
    let newer = r#"{"type":"record","name":"r","namespace":"com.example","fields":[
        {"name":"t","type":["null","long"],"default":null},{"name":"s","type":"string"},
        {"name":"x","type":["null","float"]},{"name":"u","type":"int"}]}"#;
    let values = vec![Value::Long(7), Value::String("a".to_owned()), Value::Double(0.5), Value::Long(-3)];
    let (named, text, message) = written(newer, values);
    decoder.learn(named, text);
    assert_eq!(decoder.beyond(named).0.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["t", "u"]);
    let decoded = decode(&mut decoder, &[message]);
    let text = |name: &str| super::super::fields::texts(&decoded.parts[0].0, name).value(0).to_owned();
    assert_eq!([text("x"), text("s"), text("t"), text("u")], ["0.5", "a", "7", "-3"], "{:?}", decoded.faults);
}

#[test]
fn each_message_of_a_schema_that_cannot_be_read_is_a_fault_with_the_reason() {
    let mut decoder = AvroDecoder::new(RecordSchema::parse(TEXT).unwrap());
    let other = TEXT.replace(r#""type":"string""#, r#""type":"long""#);
    let (named, text, message) = written(&other, vec![Value::Null, Value::Long(1)]);
    decoder.learn(named, text);
    let decoded = decode(&mut decoder, &[message.clone(), message]);
    assert_eq!((decoded.parts.len(), decoded.faults.len()), (0, 2));
    let fault = &decoded.faults[1];
    assert!(fault.kind == "Unreadable" && fault.message.contains("`s`: long cannot be read as string"), "{fault:?}");
}

#[test]
fn of_a_field_that_may_be_null_now_only_the_nulls_are_faults() {
    let mut decoder = AvroDecoder::new(RecordSchema::parse(TEXT).unwrap());
    let nullable = TEXT.replace(r#""type":"string""#, r#""type":["null","string"]"#);
    let (named, text, null) = written(&nullable, vec![Value::Null, Value::Null]);
    let (_, _, good) = written(&nullable, vec![Value::Null, Value::String("b".to_owned())]);
    decoder.learn(named, text);
    let decoded = decode(&mut decoder, &[good.clone(), null, good]);
    let kept: Vec<usize> = decoded.parts.iter().flat_map(|(_, indices)| indices.clone()).collect();
    assert_eq!((kept, decoded.faults.len()), (vec![0, 2], 1), "{:?}", decoded.faults);
    assert_eq!(super::super::fields::texts(&decoded.parts[0].0, "s").value(0), "b");
}

#[test]
fn a_schema_that_nobody_knows_is_a_fault_with_what_was_found_out_and_asked_for_again() {
    let mut decoder = AvroDecoder::new(RecordSchema::parse(TEXT).unwrap());
    let message = [0, 0, 0, 0, 9, 1, 2];
    let named = AvroDecoder::named(&batch(&[message.to_vec()]));
    assert_eq!(decoder.unknown(&named), [SchemaRef::RegistryId(9)]);
    decoder.give_up(named[0], "the registry does not know it".to_owned());
    let decoded = decode(&mut decoder, &[message.to_vec()]);
    assert_eq!(decoded.faults[0].message, "the registry does not know it");
    assert_eq!(decoder.unknown(&named), [SchemaRef::RegistryId(9)]);
}
