//! Schemas in a real registry.

use driftmill_schemas::record::framing::SchemaRef;
use driftmill_schemas::record::{RecordSchema, Value as Cell};
use serde_json::{Value, json};

use crate::harness::{Options, SchemaRegistry, Stack};
use crate::schemas::{colour, evolve, first_framing, flowers, send, send_well, write};

const SUBJECT: &str = "subjects/iris.raw-value/versions";
const COLOURS: &str =
    "SELECT groupArray((sepal_length, colour)) FROM (SELECT * FROM iris_features ORDER BY sepal_length)";

async fn with_registry() -> (SchemaRegistry, Stack) {
    let registry = SchemaRegistry::start().await;
    let url = Some(registry.url());
    let stack = Stack::start(Options { sources: false, registry: url, ..Options::default() }).await;
    (registry, stack)
}

/// A flower of these fields but for `species` and what follows it.
fn cells(length: f64) -> Vec<Cell> {
    [length, 3.5, 1.4, 0.2].map(Cell::Double).into_iter().chain([Cell::String("setosa".to_owned())]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_evolve_in_a_registry_and_messages_name_its_ids() {
    let (registry, stack) = with_registry().await;
    send_well(&stack, 1.0, json!({})).await;
    stack.sql_becomes("SELECT count() FROM iris_features", "1").await;
    assert_eq!(registry.get(SUBJECT).await, json!([1]));
    let id = registry.get(&format!("{SUBJECT}/1")).await["id"].as_u64().unwrap();
    assert_eq!(first_framing(&stack).await, SchemaRef::RegistryId(id.try_into().unwrap()));
    assert_eq!(registry.get("config/iris.raw-value").await["compatibilityLevel"], "FULL_TRANSITIVE");

    evolve(&stack, &[colour()]);
    send_well(&stack, 2.0, json!({ "colour": "blue" })).await;
    stack.sql_becomes(COLOURS, "[(1,NULL),(2,'blue')]").await;
    assert_eq!(registry.get(SUBJECT).await, json!([1, 2]));

    evolve(&stack, &[json!({ "name": "colour", "type": "string" })]);
    let (well, said) = send(&stack, 3.0, json!({ "colour": "red" })).await;
    assert!(!well && said.contains("a null cannot be read as string"), "{said}");
    assert_eq!(registry.get(SUBJECT).await, json!([1, 2]), "nothing was registered");

    // Another client, which asks nobody whether its schema goes together with ours.
    let schema = flowers(&stack.pipelines, &[]).replace("petal_length", "petal_size");
    let id = registry.register("somebody-value", &schema).await;
    write(&stack, SchemaRef::RegistryId(id), &schema, cells(4.0)).await;
    write(&stack, SchemaRef::RegistryId(987_654), &schema, cells(5.0)).await;
    write(&stack, SchemaRef::RegistryId(u32::MAX), &schema, cells(6.0)).await;
    let letters = "SELECT groupArray(error) FROM (SELECT error FROM iris_dead_letters ORDER BY error)";
    stack.sql_becomes(letters, "['UnknownSchema','UnknownSchema','Unreadable']").await;
    let why = stack.sql("SELECT message FROM iris_dead_letters WHERE error = 'Unreadable'").await;
    assert!(why.contains("field `petal_length` is missing in it, and has no default"), "{why}");
    let audit = stack.cli_ok(&["audit", "iris"]).await;
    assert!(audit.contains("balanced"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_registry_is_away_nothing_is_lost_and_nothing_becomes_a_dead_letter() {
    let (mut registry, stack) = with_registry().await;
    send_well(&stack, 1.0, json!({})).await;
    stack.sql_becomes("SELECT count() FROM iris_features", "1").await;
    // A schema that the processor has not seen yet when the registry goes.
    let schema = flowers(&stack.pipelines, &[colour()]);
    let id = registry.register("iris.raw-value", &schema).await;
    registry.stop();
    let with_colour = |length| [cells(length), vec![Cell::String("green".to_owned())]].concat();
    write(&stack, SchemaRef::RegistryId(id), &schema, with_colour(2.0)).await;
    let own = SchemaRef::Fingerprint(RecordSchema::parse(&flowers(&stack.pipelines, &[])).unwrap().fingerprint);
    write(&stack, own, &flowers(&stack.pipelines, &[]), cells(3.0)).await;
    // A producer that starts now waits as well.
    evolve(&stack, &[colour()]);
    let (sent, ()) = tokio::join!(send(&stack, 4.0, json!({ "colour": "blue" })), registry.start_again());
    assert!(sent.0, "{}", sent.1);
    stack.sql_becomes(COLOURS, "[(1,NULL),(2,'green'),(3,NULL),(4,'blue')]").await;
    assert_eq!(stack.sql("SELECT count() FROM iris_dead_letters").await, "0");
    let versions: Value = registry.get(SUBJECT).await;
    assert_eq!(versions, json!([1, 2]), "what is registered is not registered again");
}
