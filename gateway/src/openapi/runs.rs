//! The part of the document on trainings.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{answer, error, path_parameter, schema};
use crate::app::Served;
use crate::runs::MOST_RUNS;

/// The run of the examples.
const EXAMPLE: &str = "0197a1d2-1c50-7000-8000-000000000001";

pub(super) fn add(
    pipelines: &BTreeMap<Arc<str>, Arc<Served>>,
    paths: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
) {
    add_schemas(schemas);
    let names: Vec<&str> = pipelines.keys().map(|name| &**name).collect();
    let pipeline = path_parameter("pipeline", "Name of the pipeline.", json!({ "type": "string", "enum": names }));
    let missing = error("There is no such pipeline.");
    let away = error("The registry does not answer.");
    paths.insert("/api/v1/pipelines/{pipeline}/trainings".to_owned(), trainings(pipelines, &pipeline));
    let limit = json!({
        "name": "limit", "in": "query", "description": "At most so many.",
        "schema": { "type": "integer", "minimum": 1, "maximum": MOST_RUNS, "default": 50 },
    });
    paths.insert(
        "/api/v1/pipelines/{pipeline}/runs".to_owned(),
        json!({ "parameters": [pipeline, limit], "get": {
            "tags": ["Pipelines"],
            "summary": "Its trainings, the newest first",
            "responses": {
                "200": answer("The runs.", json!({
                    "type": "object",
                    "required": ["runs"],
                    "properties": { "runs": { "type": "array", "items": schema("Run") } },
                })),
                "400": error("The limit is none."),
                "404": missing,
                "503": away,
            },
        } }),
    );
    let mut run = path_parameter("run", "Id of the run.", json!({ "type": "string", "format": "uuid" }));
    run["example"] = json!(EXAMPLE);
    paths.insert(
        "/api/v1/pipelines/{pipeline}/runs/{run}".to_owned(),
        json!({ "parameters": [pipeline, run], "get": {
            "tags": ["Pipelines"],
            "summary": "One training, with its log",
            "responses": {
                "200": answer("The run.", schema("RunDetail")),
                "404": error("There is no such pipeline or run, or the trainer has not taken it up yet."),
                "503": away,
            },
        } }),
    );
}

fn trainings(pipelines: &BTreeMap<Arc<str>, Arc<Served>>, pipeline: &Value) -> Value {
    let example = |name: &Arc<str>| (name.to_string(), json!({ "value": { "reason": "new labels have come" } }));
    let examples: Map<String, Value> = pipelines.keys().map(example).collect();
    let wish = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "params": {
                "type": "object",
                "description": "Hyper-parameters that replace those of the pipeline file, for this run only.",
            },
            "search": { "type": "boolean", "description": "Search the space of `training.search` first." },
            "reason": { "type": "string", "maxLength": 1000, "description": "Why: it is kept in the run's log." },
        },
    });
    let key = json!({
        "name": "Idempotency-Key", "in": "header",
        "description": "Wishes of one key are one run, also when they are sent again later; the first one counts.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
    });
    json!({ "parameters": [pipeline, key], "post": {
        "tags": ["Pipelines"],
        "summary": "Train the pipeline",
        "description": "Answered when Kafka holds the wish. Only from the gateway's own machine.",
        "requestBody": { "required": true, "content": { "application/json": { "schema": wish, "examples": examples } } },
        "responses": {
            "202": answer("The trainer takes it up; `look` says where its run will be.", schema("Training")),
            "400": error("The body or the key is not as described, or there is no space to search."),
            "403": error("The request comes from another machine."),
            "404": error("There is no such pipeline."),
            "413": error("The body is too large."),
            "415": error("The body is not declared as JSON."),
            "503": error("Kafka is away: wish again with the same key."),
        },
    } })
}

fn add_schemas(schemas: &mut Map<String, Value>) {
    let text = json!({ "type": "string" });
    let id = json!({ "type": "string", "format": "uuid" });
    let number = json!({ "type": "integer", "format": "int64" });
    schemas.insert(
        "Training".to_owned(),
        json!({
            "type": "object",
            "required": ["pipeline", "request", "run", "look"],
            "properties": { "pipeline": text, "request": id, "run": id, "look": text },
        }),
    );
    let time = |what: &str| json!({ "type": "integer", "format": "int64", "description": format!("{what}, milliseconds since 1970 UTC.") });
    let summary = json!({
        "pipeline": text,
        "run": id,
        "state": {
            "type": "string",
            "description": "`started`; `promoted`, `refused` by a gate, `failed`, or `timed_out`.",
        },
        "attempt": { "type": "integer", "minimum": 1 },
        "began": time("When it began"),
        "ended": time("When it entered its state"),
        "model_version": { "type": "integer", "format": "int64", "description": "The version it registered; 0 for none." },
        "cause": text,
        "detail": text,
    });
    let required = ["pipeline", "run", "state", "attempt", "began", "ended", "model_version", "cause", "detail"];
    schemas.insert("Run".to_owned(), json!({ "type": "object", "required": required, "properties": summary }));
    schemas.insert(
        "RunDetail".to_owned(),
        json!({
            "allOf": [schema("Run"), {
                "type": "object",
                "required": ["metrics", "gates", "logs"],
                "properties": {
                    "metrics": { "type": "object", "additionalProperties": { "type": "number" } },
                    "gates": { "type": "array", "items": {
                        "type": "object",
                        "properties": { "gate": text, "passed": { "type": "boolean" }, "detail": text },
                    } },
                    "logs": { "type": "array", "items": {
                        "type": "object",
                        "properties": { "at": number, "level": text, "line": text },
                    } },
                },
            }],
        }),
    );
}
