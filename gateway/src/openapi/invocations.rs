//! MLflow's scoring protocol's part of the document.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{answer, records, schema};
use crate::app::Served;

const TAG: &str = "MLflow scoring";

pub(super) fn add(
    pipelines: &BTreeMap<Arc<str>, Arc<Served>>,
    paths: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
) {
    let rows = json!({ "type": "array" });
    schemas.insert(
        "ScoringRequest".to_owned(),
        json!({
            "type": "object",
            "description": "Exactly one of the four, and `params` beside it, which are passed over.",
            "properties": {
                "dataframe_split": {
                    "type": "object",
                    "required": ["data"],
                    "properties": { "columns": { "type": "array", "items": { "type": "string" } }, "data": rows },
                },
                "dataframe_records": { "type": "array", "items": { "type": "object" } },
                "instances": rows,
                "inputs": { "description": "Rows, or an object of columns." },
                "params": { "type": "object" },
            },
        }),
    );
    schemas.insert(
        "ScoringAnswer".to_owned(),
        json!({
            "type": "object",
            "required": ["predictions"],
            "properties": {
                "predictions": { "type": "array", "description": "The class or the value of each row." },
                "positive_class": { "type": "string", "description": "Where an answer is one probability: of which class." },
            },
        }),
    );
    schemas.insert(
        "ScoringError".to_owned(),
        json!({
            "type": "object",
            "required": ["error_code", "message"],
            "properties": { "error_code": { "type": "string" }, "message": { "type": "string" } },
        }),
    );
    let error = |description: &str| answer(description, schema("ScoringError"));
    let example = |served: &Served| {
        let record: Map<String, Value> =
            served.input_fields().map(|field| (field.name.clone(), records::example(field))).collect();
        json!({ "value": { "dataframe_records": [record] } })
    };
    let examples: Map<String, Value> =
        pipelines.iter().map(|(name, served)| (name.to_string(), example(served))).collect();
    let names: Vec<&str> = pipelines.keys().map(|name| &**name).collect();
    let score = json!({
        "tags": [TAG],
        "summary": "Predict",
        "parameters": [{
            "name": "model",
            "in": "query",
            "required": false,
            "description": "The pipeline; absent: the only one, or the one whose inputs the request fits.",
            "schema": { "type": "string", "enum": names },
        }],
        "requestBody": {
            "required": true,
            "content": {
                "application/json": { "schema": schema("ScoringRequest"), "examples": examples },
                "text/csv": { "schema": { "type": "string" } },
            },
        },
        "responses": {
            "200": answer("An answer a row.", schema("ScoringAnswer")),
            "400": error("The request is in no form of the protocol, or does not fit the model."),
            "404": error("No such model."),
            "408": error("The request took too long."),
            "413": error("The body is too large."),
            "503": error("No version of the model serves yet."),
        },
    });
    paths.insert("/invocations".to_owned(), json!({ "post": score }));
    let plain = |summary: &str| {
        let text = json!({ "description": summary, "content": { "text/plain": { "schema": { "type": "string" } } } });
        json!({ "get": { "tags": [TAG], "summary": summary, "responses": { "200": text } } })
    };
    paths.insert("/ping".to_owned(), plain("Liveness"));
    paths.insert("/version".to_owned(), plain("Version of the program"));
}
