//! Records that are pushed.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use driftmill_platform::config;
use driftmill_platform::kafka::{Outgoing, Producer};
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::record::{Encoder, Record, Value as Cell, framing};
use serde_json::{Value, json};

use super::fixture::{Delivery, Gateway, Reply, bundled, pipeline, request};
use crate::push::Broker;

const PATH: &str = "/api/v1/pipelines/iris/records";
const NDJSON: &str = "application/x-ndjson";
const AVRO: &str = "application/avro";

async fn push(gateway: &Gateway, kind: &str, body: impl Into<Body>) -> Reply {
    let mut request = request(Method::POST, PATH, body.into());
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    request.headers_mut().insert("x-request-id", "push-1".parse().unwrap());
    gateway.send(request).await
}

fn flower(length: f64) -> Value {
    json!({ "sepal_length": length, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2, "species": "setosa" })
}

/// The records that the stream holds.
fn arrived(gateway: &Gateway, loaded: &Loaded) -> Vec<Record> {
    let read = |(topic, message): (String, Outgoing)| {
        assert_eq!(topic, "iris.raw");
        assert_eq!(message.headers, [("driftmill.request".to_owned(), b"push-1".to_vec())]);
        assert_eq!(message.timestamp, Some(1_700_000_000_000));
        let (named, mut body) = framing::split(&message.payload).unwrap();
        assert_eq!(named, framing::SchemaRef::Fingerprint(loaded.schema.fingerprint));
        Record::decode(&loaded.schema, &mut body).unwrap()
    };
    gateway.broker.records().into_iter().map(read).collect()
}

#[tokio::test]
async fn an_object_an_array_and_lines_become_records_of_the_raw_topic() {
    let iris = bundled("iris");
    let gateway = Gateway::new(vec![bundled("iris")]);
    let lines = format!("\u{feff}{}\r\n\n  \n{}", flower(3.0), flower(4.0));
    for (kind, body, records) in [
        ("application/json", flower(1.0).to_string(), 1),
        ("application/json; charset=UTF-8", json!([flower(2.0)]).to_string(), 1),
        (NDJSON, lines, 2),
    ] {
        let reply = push(&gateway, kind, body).await;
        let wanted = json!({
            "pipeline": "iris", "records": records, "accepted": records, "rejected": 0, "unacknowledged": 0, "errors": [],
        });
        assert_eq!((reply.status.as_u16(), reply.json()), (200, wanted), "{kind}");
    }
    let lengths: Vec<_> = arrived(&gateway, &iris).into_iter().map(|record| record.values[0].clone()).collect();
    assert_eq!(lengths, [1.0, 2.0, 3.0, 4.0].map(Cell::Double));
    let metrics = gateway.get("/metrics").await.text();
    assert!(metrics.contains(r#"driftmill_gateway_pushed_records_total{model="iris",outcome="acknowledged"} 4"#));
}

#[tokio::test]
async fn the_good_records_are_sent_and_every_bad_one_is_named_with_line_and_field() {
    let gateway = Gateway::new(vec![bundled("iris")]);
    let mut lines = format!("{}\n\n", flower(1.0)).into_bytes();
    let mut wrong = flower(1.0);
    wrong["petal_width"] = json!("wide");
    lines.extend(format!("{wrong}\n{{\"sepal_lenght\":1}}\n[1]\n").bytes());
    lines.extend(b"{\"species\":\"\xff\"}\n{\"sepal_length\":1,\"sepal_length\":2}\n{\n");
    lines.extend(flower(2.0).to_string().bytes());
    let reply = push(&gateway, NDJSON, lines).await;
    let report = reply.json();
    assert_eq!(reply.status.as_u16(), 207, "{report}");
    assert_eq!((&report["records"], &report["accepted"], &report["rejected"]), (&json!(8), &json!(2), &json!(6)));
    let errors = report["errors"].as_array().unwrap();
    let told: Vec<_> =
        errors.iter().map(|e| (&e["record"], &e["line"], &e["field"], e["kind"].as_str().unwrap())).collect();
    let none = &Value::Null;
    let wanted = [
        (&json!(1), &json!(3), &json!("petal_width"), "WrongType"),
        (&json!(2), &json!(4), &json!("sepal_lenght"), "UnknownKey"),
        (&json!(3), &json!(5), none, "InvalidJson"),
        (&json!(4), &json!(6), none, "InvalidEncoding"),
        (&json!(5), &json!(7), &json!("sepal_length"), "GivenTwice"),
        (&json!(6), &json!(8), none, "InvalidJson"),
    ];
    assert_eq!(told, wanted);
    assert!(errors[1]["message"].as_str().unwrap().contains("did you mean `sepal_length`"), "{report}");
    assert_eq!(arrived(&gateway, &bundled("iris")).len(), 2);
    let metrics = gateway.get("/metrics").await.text();
    assert!(metrics.contains(r#"driftmill_gateway_rejected_records_total{model="iris",kind="InvalidJson"} 2"#));

    let body = format!("[\n{},\n\n{{\"x\":1}}, 7]", flower(1.0));
    let report = push(&gateway, "application/json", body).await.json();
    let places: Vec<_> = report["errors"].as_array().unwrap().iter().map(|e| (&e["record"], &e["line"])).collect();
    assert_eq!(places, [(&json!(1), &json!(4)), (&json!(2), &json!(4))]);

    let reply = push(&gateway, "application/json", "{\"x\":1}").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["accepted"]), (422, &json!(0)));
    assert!(reply.json()["error"].as_str().unwrap().contains("all of the 1 records"), "{}", reply.text());
}

fn single_object(loaded: &Loaded, length: f64) -> Vec<u8> {
    let mut values = vec![Cell::Double(length); 4];
    values.push(Cell::String("setosa".to_owned()));
    let named = framing::SchemaRef::Fingerprint(loaded.schema.fingerprint);
    Encoder::new(loaded, named).payload(&Record { values }).unwrap()
}

#[tokio::test]
async fn avro_records_come_one_after_the_other_and_a_number_that_is_none_is_bad() {
    let iris = bundled("iris");
    let gateway = Gateway::new(vec![bundled("iris")]);
    let body = [single_object(&iris, 1.0), single_object(&iris, f64::NAN), single_object(&iris, 2.0)].concat();
    let reply = push(&gateway, AVRO, body).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["errors"][0]["record"]), (207, &json!(1)), "{}", reply.text());
    let lengths: Vec<_> = arrived(&gateway, &iris).into_iter().map(|record| record.values[0].clone()).collect();
    assert_eq!(lengths, [1.0, 2.0].map(Cell::Double));
}

#[tokio::test]
async fn a_container_brings_its_own_schema() {
    let yaml = "version: 1\nname: iris\nschema: r.avsc\nfeatures: [{ name: a }]\nlabel: { field: y, classes: [p, q] }\n\
                training: { algorithm: constant }\n";
    let avro = |fields: &str| format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#);
    let ours = avro(r#"{"name":"a","type":"double"},{"name":"y","type":["null","string"]}"#);
    let loaded = pipeline(yaml, &ours);
    let gateway = Gateway::new(vec![pipeline(yaml, &ours)]);
    // Two records {a: 1}, {a: -1} of a schema with `a` as an int only; each varint is one byte.
    let theirs = |name: &str| {
        let schema = avro(&format!(r#"{{"name":"{name}","type":"int"}}"#));
        let mut out = b"Obj\x01\x02\x16avro.schema".to_vec();
        out.extend([(schema.len() as u8 * 2) | 0x80, (schema.len() >> 6) as u8]);
        out.extend(schema.bytes());
        out.extend([0]);
        out.extend([9; 16]);
        out.extend([4, 4, 2, 1]);
        out.extend([9; 16]);
        out
    };
    let reply = push(&gateway, AVRO, theirs("a")).await;
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text());
    let values: Vec<_> = arrived(&gateway, &loaded).into_iter().map(|record| record.values).collect();
    assert_eq!(values, [[Cell::Double(1.0), Cell::Null], [Cell::Double(-1.0), Cell::Null]]);
    let (status, message) = push(&gateway, AVRO, theirs("b")).await.error();
    assert!(status == 400 && message.contains("field `b`"), "{message}");
    let mut cut = theirs("a");
    cut.truncate(cut.len() - 1);
    let (status, message) = push(&gateway, AVRO, cut).await.error();
    assert!(status == 400 && message.contains("block 0"), "{message}");
    assert_eq!(gateway.broker.records().len(), 2);
}

#[tokio::test]
async fn a_schema_that_is_refused_is_a_conflict_and_nothing_is_sent() {
    let yaml = "version: 1\nname: refused\nschema: r.avsc\nfeatures: [{ name: a }]\n\
                label: { field: y, classes: [p, q] }\ntraining: { algorithm: constant }\n";
    let avro = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"double"},{"name":"y","type":"string"}]}"#;
    let gateway = Gateway::new(vec![pipeline(yaml, avro)]);
    let reply = gateway.post("/api/v1/pipelines/refused/records", &json!({ "a": 1.0, "y": "p" })).await;
    let (status, message) = reply.error();
    assert!(status == 409 && message.contains("field `x` is gone"), "{status} {message}");
    assert!(gateway.broker.records().is_empty());
}

#[tokio::test]
async fn a_body_that_is_no_row_of_records_sends_nothing() {
    let iris = bundled("iris");
    let gateway = Gateway::new(vec![bundled("iris")]);
    let mut foreign = single_object(&iris, 1.0);
    foreign[3] ^= 1;
    let mut torn = [single_object(&iris, 1.0), single_object(&iris, 2.0)].concat();
    torn.pop();
    let many = format!("[{}]", vec!["1"; 10_001].join(","));
    for (kind, body, status, message) in [
        ("text/plain", b"{}".to_vec(), 415, "application/x-ndjson"),
        ("text/csv", b"a,b".to_vec(), 415, "application/avro"),
        ("application/json; charset=latin1", b"{}".to_vec(), 415, "UTF-8"),
        (NDJSON, b" \n\n".to_vec(), 400, "no records"),
        ("application/json", b"[]".to_vec(), 400, "no records"),
        ("application/json", b"[{\"a\":1}".to_vec(), 400, "line 1 column 8"),
        ("application/json", b"\xff".to_vec(), 400, "UTF-8"),
        ("application/json", many.into_bytes(), 413, "10000 records"),
        (NDJSON, b"1\n".repeat(10_001), 413, "10000 records"),
        (AVRO, foreign, 400, "fingerprint"),
        (AVRO, torn, 400, "record 1"),
        (AVRO, b"\0\0\0\0\x01x".to_vec(), 400, "Confluent"),
        (AVRO, b"{}".to_vec(), 400, "record 0"),
    ] {
        let (found, text) = push(&gateway, kind, body).await.error();
        assert!(found == status && text.contains(message), "{kind}: {found} {text}");
    }
    for (header, value, status) in [("idempotency-key", "a", 400), ("content-encoding", "gzip", 415)] {
        let mut asked = request(Method::POST, PATH, Body::from(flower(1.0).to_string()));
        asked.headers_mut().insert(header, value.parse().unwrap());
        assert_eq!(gateway.send(asked).await.error().0, status, "{header}");
    }
    let (status, message) = gateway.post("/api/v1/pipelines/irris/records", &flower(1.0)).await.error();
    assert!(status == 404 && message.contains("did you mean `iris`"), "{message}");
    assert!(gateway.broker.records().is_empty());
}

#[tokio::test]
async fn what_kafka_does_not_acknowledge_is_named_and_asked_for_again() {
    let gateway = Gateway::new(vec![bundled("iris")]);
    gateway.broker.set(Delivery::RefuseAllButOne);
    let lines = format!("{}\n7\n{}\n", flower(1.0), flower(2.0));
    let reply = push(&gateway, NDJSON, lines).await;
    let report = reply.json();
    assert_eq!((reply.status.as_u16(), &reply.headers["retry-after"]), (503, &"5".parse().unwrap()));
    let counts = ["records", "accepted", "rejected", "unacknowledged"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 1, 1]);
    let kinds: Vec<_> = report["errors"].as_array().unwrap().iter().map(|e| (&e["line"], e["kind"].as_str())).collect();
    assert_eq!(kinds, [(&json!(2), Some("InvalidJson")), (&json!(3), Some("NotAcknowledged"))]);
}

#[tokio::test]
async fn records_that_wait_for_kafka_are_bounded_also_when_their_clients_have_gone() {
    let gateway = Gateway::new(vec![bundled("iris")]);
    gateway.broker.set(Delivery::Hang);
    // A body whose size is not declared counts as the largest; eight of them may wait.
    for sent in 1..=8 {
        let asking = push(&gateway, "application/json", flower(1.0).to_string());
        let given_up = tokio::time::timeout(Duration::from_millis(1), asking).await.is_err();
        assert!(given_up && gateway.broker.records().len() == sent);
    }
    let reply = push(&gateway, "application/json", flower(1.0).to_string()).await;
    let (status, message) = reply.error();
    assert!(status == 429 && reply.headers.contains_key("retry-after"), "{message}");
    assert_eq!(gateway.broker.records().len(), 8);
}

#[test]
fn records_are_given_up_when_kafka_stays_away() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let settings = config::Kafka { brokers: "127.0.0.1:1".to_owned(), ..config::Kafka::default() };
        let moment = Duration::from_millis(200);
        let producer = Producer::with_patience(&settings, Duration::from_millis(1), moment).unwrap();
        let record = Outgoing { payload: vec![1], ..Outgoing::default() };
        let outcomes = Broker::send(&producer, "iris.raw".into(), vec![record; 3]).await;
        assert!(outcomes.len() == 3 && outcomes.iter().all(Result::is_err), "{outcomes:?}");
    });
    // librdkafka's look-ups go on for seconds; as in the process itself, nobody waits for them.
    runtime.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let gateway = Gateway::new(vec![bundled("iris")]);
    let endless = Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    assert_eq!(push(&gateway, NDJSON, endless).await.error().0, 408);
}
