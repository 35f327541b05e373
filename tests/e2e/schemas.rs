//! Schemas that change while everything runs, without a schema registry.

use std::path::Path;
use std::time::Duration;

use driftmill_platform::kafka::{Admin, MessageBatch, Outgoing, Producer, TopicSpec, read_range};
use driftmill_platform::schemas::AnnouncedSchemas;
use driftmill_schemas::pipeline;
use driftmill_schemas::record::framing::{self, SchemaRef};
use driftmill_schemas::record::{Record, RecordSchema, Value as Cell};
use driftmill_schemas::topic;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{Backend, Options, Stack, repository};

/// The schema of flowers, with `more` fields.
pub fn flowers(pipelines: &Path, more: &[Value]) -> String {
    let own = std::fs::read_to_string(pipelines.join("iris/original.avsc"));
    let own = own.or_else(|_| std::fs::read_to_string(pipelines.join("iris/record.avsc"))).unwrap();
    let mut schema: Value = serde_json::from_str(&own).unwrap();
    schema["fields"].as_array_mut().unwrap().extend_from_slice(more);
    schema.to_string()
}

/// Gives the pipeline file another schema: those who start from now on have it.
pub fn evolve(stack: &Stack, more: &[Value]) {
    let folder = stack.pipelines.join("iris");
    let changed = flowers(&stack.pipelines, more);
    if !folder.join("original.avsc").exists() {
        std::fs::copy(folder.join("record.avsc"), folder.join("original.avsc")).unwrap();
    }
    std::fs::write(folder.join("record.avsc"), changed).unwrap();
}

/// Sends one flower, with `more` fields, and says whether it went well and what was said.
pub async fn send(stack: &Stack, length: f64, more: Value) -> (bool, String) {
    let mut flower = json!({
        "sepal_length": length, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2, "species": "setosa"
    });
    flower.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let output = stack.feed(&["produce", "iris", "--stdin"], format!("{flower}\n")).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

pub async fn send_well(stack: &Stack, length: f64, more: Value) {
    let (well, said) = send(stack, length, more).await;
    assert!(well, "{said}");
}

/// Writes a message of its own into the raw topic, as any other client could.
pub async fn write(stack: &Stack, named: SchemaRef, schema: &str, values: Vec<Cell>) {
    let mut payload = Vec::new();
    framing::begin(named, &mut payload);
    Record { values }.encode(&RecordSchema::parse(schema).unwrap(), &mut payload).unwrap();
    let producer = Producer::new(&stack.kafka, Duration::from_millis(1)).unwrap();
    producer.send("iris.raw", Outgoing { payload, ..Outgoing::default() }).await.unwrap();
}

/// How the first record of the raw topic names its schema.
pub async fn first_framing(stack: &Stack) -> SchemaRef {
    let mut first = None;
    let noting = |batch: &MessageBatch, i: usize| first = Some(framing::split(batch.payload(i)).unwrap().0);
    read_range(&stack.kafka, "iris.raw", 0, 1, &CancellationToken::new(), noting).await.unwrap();
    first.unwrap()
}

pub fn colour() -> Value {
    json!({ "name": "colour", "type": ["null", "string"], "default": null })
}

fn weight() -> Value {
    json!({ "name": "weight", "type": "int", "default": 7 })
}

const ROWS: &str =
    "SELECT groupArray((sepal_length, colour, weight)) FROM (SELECT * FROM iris_features ORDER BY sepal_length)";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_field_becomes_a_column_while_everything_runs_and_stays_one() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    send_well(&stack, 1.0, json!({})).await;
    stack.sql_becomes("SELECT count() FROM iris_features", "1").await;
    // Without a registry the record names its schema by what it is.
    let own = RecordSchema::parse(&flowers(&stack.pipelines, &[])).unwrap();
    assert_eq!(first_framing(&stack).await, SchemaRef::Fingerprint(own.fingerprint));

    evolve(&stack, &[colour(), weight()]);
    send_well(&stack, 2.0, json!({ "colour": "blue", "weight": 12 })).await;
    stack.sql_becomes(ROWS, "[(1,NULL,NULL),(2,'blue',12)]").await;
    let types = "SELECT groupArray(type) FROM (SELECT type FROM system.columns WHERE table = 'iris_features' AND name IN \
                 ('colour', 'weight') ORDER BY name)";
    assert_eq!(stack.sql(types).await, "['Nullable(String)','Nullable(Int64)']");

    // Processors that have the new schema themselves go on filling the columns, and read what older producers write.
    let mut stack = stack;
    stack.kill();
    let stack = stack.restart().await;
    send_well(&stack, 3.0, json!({ "colour": "red", "weight": 13 })).await;
    evolve(&stack, &[]);
    send_well(&stack, 4.0, json!({})).await;
    stack.sql_becomes(ROWS, "[(1,NULL,NULL),(2,'blue',12),(3,'red',13),(4,NULL,7)]").await;
    let audit = stack.cli_ok(&["audit", "iris"]).await;
    assert!(audit.contains("balanced"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incompatible_schema_is_refused_before_anything_is_written() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    send_well(&stack, 1.0, json!({})).await;
    evolve(&stack, &[json!({ "name": "colour", "type": "string" })]);
    let (well, said) = send(&stack, 2.0, json!({ "colour": "blue" })).await;
    assert!(!well && said.contains("field `colour` is new and has no default"), "{said}");
    assert!(said.contains("FORWARD_TRANSITIVE"), "it says what would let it pass: {said}");

    // A gateway that is started with such a schema takes no records either.
    let mut stack = stack;
    stack.kill();
    let stack = stack.restart().await;
    let flower = json!({ "sepal_length": 3.0, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2,
        "species": "setosa", "colour": "blue" });
    let (status, answer) = stack.post("/api/v1/pipelines/iris/records", flower).await;
    assert!(status == 409 && answer["error"].as_str().unwrap().contains("`colour`"), "{status} {answer}");

    let file = stack.pipelines.join("iris/pipeline.yaml");
    let declared =
        std::fs::read_to_string(&file).unwrap().replacen("version: 1\n", "version: 1\ncompatibility: FORWARD\n", 1);
    std::fs::write(&file, declared).unwrap();
    send_well(&stack, 4.0, json!({ "colour": "red" })).await;
    stack.sql_becomes("SELECT groupArray(colour) FROM iris_features WHERE sepal_length = 4", "['red']").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_producers_whose_schemas_do_not_go_together_one_is_refused() {
    let backend = Backend::start().await;
    let spec = TopicSpec { name: topic::SCHEMAS.to_owned(), partitions: 1, compacted: true };
    Admin::new(&backend.kafka).unwrap().ensure(&[spec]).await.unwrap();
    let iris = pipeline::load(&repository().join("pipelines/iris/pipeline.yaml")).unwrap().pipeline;
    let producer = || AnnouncedSchemas::new(backend.kafka.clone(), backend.services().producer);
    let schema = |kind: &str| {
        let field = json!({ "name": "size", "type": kind });
        RecordSchema::parse(&flowers(&repository().join("pipelines"), &[field])).unwrap()
    };
    let (texts, numbers) = (schema("string"), schema("long"));
    let (one, other) = (producer(), producer());
    let (one, other) = tokio::join!(one.announce(&iris, &texts, 0), other.announce(&iris, &numbers, 0));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let found = producer().find("iris", &[texts.fingerprint, numbers.fingerprint]).await.unwrap();
    let found: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(found, [one.is_ok(), other.is_ok()], "only the one that was not refused is there");
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_nobody_announced_is_a_dead_letter_until_somebody_does() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    let foreign = flowers(&stack.pipelines, &[colour()]);
    let values = |length| {
        let cells = [length, 3.5, 1.4, 0.2].map(Cell::Double).into_iter();
        cells.chain([Cell::String("setosa".to_owned()), Cell::String("green".to_owned())]).collect::<Vec<_>>()
    };
    let named = SchemaRef::Fingerprint(RecordSchema::parse(&foreign).unwrap().fingerprint);
    write(&stack, named, &foreign, values(5.0)).await;
    let letters = "SELECT groupArray(error) FROM iris_dead_letters";
    stack.sql_becomes(letters, "['UnknownSchema']").await;
    let message = stack.sql("SELECT message FROM iris_dead_letters").await;
    assert!(message.contains("nor one that a producer announced"), "{message}");

    // It becomes known, and from then on its messages are rows, with the column it brings.
    evolve(&stack, &[colour()]);
    send_well(&stack, 6.0, json!({ "colour": "blue" })).await;
    write(&stack, named, &foreign, values(7.0)).await;
    let colours = "SELECT groupArray((sepal_length, colour)) FROM (SELECT * FROM iris_features ORDER BY sepal_length)";
    stack.sql_becomes(colours, "[(6,'blue'),(7,'green')]").await;
    stack.cli_ok(&["dead-letters", "replay", "iris", "--kind", "UnknownSchema"]).await;
    stack.sql_becomes(colours, "[(5,'green'),(6,'blue'),(7,'green')]").await;
    let audit = stack.cli_ok(&["audit", "iris"]).await;
    assert!(audit.contains("balanced"), "{audit}");
}
