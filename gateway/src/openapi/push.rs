//! The part of the document on pushed records.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{answer, error, path_parameter, records, schema};
use crate::app::Served;
use crate::push::MOST_RECORDS;

pub(super) fn add(
    pipelines: &BTreeMap<Arc<str>, Arc<Served>>,
    paths: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
) {
    add_schemas(pipelines, schemas);
    let names: Vec<&str> = pipelines.keys().map(|name| &**name).collect();
    let pipeline = path_parameter("pipeline", "Name of the pipeline.", json!({ "type": "string", "enum": names }));
    let mut examples = Map::new();
    let mut lines = Map::new();
    for (name, served) in pipelines {
        let record = example(served);
        lines.insert(name.to_string(), json!({ "value": format!("{record}\n{record}\n") }));
        examples.insert(name.to_string(), json!({ "value": [record] }));
    }
    let record = match pipelines.len() {
        0 => json!({ "type": "object" }),
        _ => json!({ "anyOf": names.iter().map(|name| schema(&schema_name(name))).collect::<Vec<_>>() }),
    };
    let many = json!({ "type": "array", "minItems": 1, "maxItems": MOST_RECORDS, "items": record });
    let content = json!({
        "application/json": { "schema": { "anyOf": [record, many] }, "examples": examples },
        "application/x-ndjson": {
            "schema": { "type": "string", "description": "One JSON object a line." },
            "examples": lines,
        },
        "application/avro": { "schema": {
            "type": "string",
            "format": "binary",
            "description": "An object container (codec null, deflate or snappy), whose fields are found by name; or records \
                of the pipeline's schema in single-object encoding, one after the other.",
        } },
    });
    let report = schema("Push");
    paths.insert("/api/v1/pipelines/{pipeline}/labels".to_owned(), labels(pipelines, &pipeline, &report));
    paths.insert(
        "/api/v1/pipelines/{pipeline}/records".to_owned(),
        json!({ "parameters": [pipeline], "post": {
            "tags": ["Pipelines"],
            "summary": "Push records into the pipeline",
            "description": format!(
                "Answered when Kafka holds every record that is said to be accepted. Each record is judged by itself: the \
                 good ones are sent, the others are named with line and field. At most {MOST_RECORDS} records and 16 MiB. \
                 Delivery is at least once: records that are pushed again, because an answer was lost, are sent again."
            ),
            "requestBody": { "required": true, "content": content },
            "responses": {
                "200": answer("Kafka holds all of the records.", report.clone()),
                "207": answer("Kafka holds the good records; `errors` names the bad ones.", report.clone()),
                "400": error("The body cannot be split into records, or holds none; nothing was sent."),
                "404": error("There is no such pipeline."),
                "408": error("The body took too long to arrive; nothing was sent."),
                "409": error("The pipeline's schema does not go together with its earlier versions; nothing was sent."),
                "413": error("The body or its number of records is too large; nothing was sent."),
                "415": error("The body is declared as something that is not read here; nothing was sent."),
                "422": answer("All of the records are bad; nothing was sent.", report.clone()),
                "429": error("Too many records wait for Kafka; nothing was sent. `Retry-After` says when to try again."),
                "503": answer(
                    "Kafka did not acknowledge the records that `errors` names `NotAcknowledged`; push those again after \
                     `Retry-After` seconds. Without `errors`, nothing was sent.",
                    json!({ "anyOf": [report, schema("Error")] }),
                ),
            },
        } }),
    );
}

/// What turned out to be true of predictions.
fn labels(pipelines: &BTreeMap<Arc<str>, Arc<Served>>, pipeline: &Value, report: &Value) -> Value {
    let mut examples = Map::new();
    let mut lines = Map::new();
    for (name, served) in pipelines {
        let declared = &served.loaded.pipeline.label;
        let label =
            if declared.is_value() { json!(1.5) } else { json!(declared.classes.first().map_or("a", |first| first)) };
        let example = json!({ "request_id": "0197a1d2-1c50-7000-8000-000000000001", "row": 0, "label": label });
        lines.insert(name.to_string(), json!({ "value": format!("{example}\n{example}\n") }));
        examples.insert(name.to_string(), json!({ "value": [example] }));
    }
    let label = json!({
        "type": "object",
        "required": ["request_id", "label"],
        "properties": {
            "request_id": {
                "type": "string", "minLength": 1, "maxLength": 128,
                "description": "The `X-Request-Id` that the answer carried.",
            },
            "row": { "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "The row of the request, from 0." },
            "label": {
                "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "number" }, { "type": "boolean" }],
                "description": "The class, or the value.",
            },
        },
        "additionalProperties": false,
    });
    let many = json!({ "type": "array", "minItems": 1, "maxItems": MOST_RECORDS, "items": label });
    let content = json!({
        "application/json": { "schema": { "anyOf": [label, many] }, "examples": examples },
        "application/x-ndjson": {
            "schema": { "type": "string", "description": "One JSON object a line." },
            "examples": lines,
        },
    });
    json!({ "parameters": [pipeline], "post": {
        "tags": ["Pipelines"],
        "summary": "Say what turned out to be true of predictions",
        "description": format!(
            "However late. Each label is judged by itself, as records are; at most {MOST_RECORDS} labels. The latest label of a row \
             counts: sending one again changes nothing."
        ),
        "requestBody": { "required": true, "content": content },
        "responses": {
            "200": answer("Kafka holds all of the labels.", report.clone()),
            "207": answer("Kafka holds the good labels; `errors` names the bad ones.", report.clone()),
            "400": error("The body cannot be split into labels, or holds none; nothing was sent."),
            "404": error("There is no such pipeline."),
            "408": error("The body took too long to arrive; nothing was sent."),
            "413": error("The body or its number of labels is too large; nothing was sent."),
            "415": error("The body is declared as something that is not read here; nothing was sent."),
            "422": answer("All of the labels are bad; nothing was sent.", report.clone()),
            "429": error("Too many records wait for Kafka; nothing was sent. `Retry-After` says when to try again."),
            "503": answer(
                "Kafka did not acknowledge the labels that `errors` names `NotAcknowledged`; send those again after \
                 `Retry-After` seconds. Without `errors`, nothing was sent.",
                json!({ "anyOf": [report, schema("Error")] }),
            ),
        },
    } })
}

fn schema_name(pipeline: &str) -> String {
    format!("Record.{pipeline}")
}

fn example(served: &Served) -> Value {
    let fields = &served.loaded.schema.fields;
    fields.iter().map(|field| (field.name.clone(), records::example(field))).collect::<Map<_, _>>().into()
}

fn add_schemas(pipelines: &BTreeMap<Arc<str>, Arc<Served>>, schemas: &mut Map<String, Value>) {
    for (name, served) in pipelines {
        let fields = &served.loaded.schema.fields;
        let properties: Map<_, _> = fields.iter().map(|field| (field.name.clone(), records::schema(field))).collect();
        let required: Vec<&str> = fields.iter().filter(|field| !field.nullable).map(|field| &*field.name).collect();
        schemas.insert(
            schema_name(name),
            json!({
                "type": "object",
                "required": required,
                "properties": properties,
                "additionalProperties": false,
            }),
        );
    }
    let count = |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    let text = |description: &str| json!({ "type": "string", "description": description });
    schemas.insert(
        "Push".to_owned(),
        json!({
            "type": "object",
            "required": ["pipeline", "records", "accepted", "rejected", "unacknowledged", "errors"],
            "properties": {
                "pipeline": text("The pipeline."),
                "records": count("Records of the body."),
                "accepted": count("Records that Kafka holds."),
                "rejected": count("Records that are bad."),
                "unacknowledged": count("Good records that Kafka did not acknowledge."),
                "error": text("What is wrong, and what to do."),
                "errors": { "type": "array", "items": {
                    "type": "object",
                    "required": ["record", "kind", "message"],
                    "properties": {
                        "record": count("Number of the record in the body, from 0."),
                        "line": count("The line it begins in, from 1."),
                        "field": text("The field or key at fault."),
                        "kind": text("WrongType, MissingValue, UnknownKey, GivenTwice, InvalidJson, InvalidEncoding, \
                            TooLong, UnknownClass or NotAcknowledged."),
                        "message": text("What is wrong with it."),
                    },
                } },
            },
        }),
    );
}
