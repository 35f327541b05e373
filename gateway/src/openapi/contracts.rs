//! The contracts' part of the document.

use serde_json::{Map, Value, json};

use super::{answer, body, error, records, schema};
use crate::app::Served;
use crate::contracts::loan;

const TAG: &str = "Contracts";

pub(super) fn add_iris(served: &Served, paths: &mut Map<String, Value>, schemas: &mut Map<String, Value>) {
    let columns: Vec<&str> = served.input_fields().map(|field| field.name.as_str()).collect();
    let row: Vec<Value> = served.input_fields().map(records::example).collect();
    schemas.insert(
        "IrisQuestion".to_owned(),
        json!({
            "type": "object",
            "required": ["input"],
            "properties": { "input": {
                "type": "array",
                "description": format!("Rows of {}.", columns.join(", ")),
                "minItems": 1,
                "items": {
                    "type": "array",
                    "items": { "type": "number" },
                    "minItems": columns.len(),
                    "maxItems": columns.len(),
                },
            } },
        }),
    );
    schemas.insert(
        "IrisAnswer".to_owned(),
        json!({
            "type": "object",
            "required": ["predictions", "target_names"],
            "properties": {
                "predictions": { "type": "array", "items": { "type": "integer" }, "description": "Class index of each row." },
                "target_names": { "type": "array", "items": { "type": "string" }, "description": "Class name of each row." },
            },
        }),
    );
    let number = json!({ "type": ["number", "null"] });
    schemas.insert(
        "IrisTraining".to_owned(),
        json!({
            "type": "object",
            "required": ["message", "metrics"],
            "properties": {
                "message": { "type": "string" },
                "metrics": {
                    "type": "object",
                    "required": ["accuracy", "precision", "recall", "f1_score"],
                    "properties": { "accuracy": number, "precision": number, "recall": number, "f1_score": number },
                },
                "promoted": { "type": "boolean", "description": "Only when a gate refused the model: false." },
                "reason": { "type": "string", "description": "Why it was refused." },
            },
        }),
    );
    let predict = json!({
        "tags": [TAG],
        "summary": format!("Predict with `{}`", served.name),
        "requestBody": body(schema("IrisQuestion"), json!({ "input": [row] })),
        "responses": {
            "200": answer("One class per row.", schema("IrisAnswer")),
            "400": error("There is no model yet, or the input is no matrix of numbers."),
            "408": error("The request took too long."),
            "413": error("The body is too large."),
        },
    });
    let parameters = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "n_estimators": { "type": "integer", "minimum": 1, "maximum": 10_000 },
            "max_depth": { "type": ["integer", "null"], "minimum": 1, "maximum": 1_000, "description": "null: no limit" },
        },
    });
    let train = json!({
        "tags": [TAG],
        "summary": format!("Train `{}` and wait for the outcome", served.name),
        "requestBody": {
            "required": false,
            "content": { "application/json": {
                "schema": parameters,
                "example": { "n_estimators": 100, "max_depth": 5 },
            } },
        },
        "responses": {
            "200": answer("A model was trained.", schema("IrisTraining")),
            "400": error("A parameter is unknown or out of range."),
            "413": error("The body is too large."),
            "429": error("Too many trainings are waited for."),
            "500": error("The training failed."),
            "503": error("The trainer cannot be reached."),
            "504": error("No outcome within ten minutes; the training goes on."),
        },
    });
    paths.insert("/predict".to_owned(), json!({ "post": predict }));
    paths.insert("/train".to_owned(), json!({ "post": train }));
}

pub(super) fn add_loan(served: &Served, paths: &mut Map<String, Value>, schemas: &mut Map<String, Value>) {
    let fields = || loan::fields(&served.loaded.schema.fields, served).map(|(_, field)| field);
    let names: Vec<&str> = fields().map(|field| field.name.as_str()).collect();
    let properties: Map<String, Value> = fields().map(|field| (field.name.clone(), records::schema(field))).collect();
    let example: Map<String, Value> = fields().map(|field| (field.name.clone(), records::example(field))).collect();
    schemas.insert(
        "LoanRequest".to_owned(),
        json!({ "type": "object", "required": names, "additionalProperties": false, "properties": properties }),
    );
    schemas.insert(
        "LoanAnswer".to_owned(),
        json!({
            "type": "object",
            "required": ["prediction"],
            "properties": { "prediction": { "type": "integer" } },
        }),
    );
    schemas.insert(
        "LoanError".to_owned(),
        json!({
            "type": "object",
            "required": ["detail"],
            "properties": { "detail": { "type": "string" } },
        }),
    );
    schemas.insert(
        "LoanSchemaError".to_owned(),
        json!({
            "type": "object",
            "required": ["detail"],
            "properties": { "detail": { "type": "array", "items": {
                "type": "object",
                "required": ["loc", "msg", "type"],
                "properties": {
                    "loc": { "type": "array", "items": { "type": ["string", "integer"] } },
                    "msg": { "type": "string" },
                    "type": { "type": "string" },
                },
            } } },
        }),
    );
    let predict = json!({
        "tags": [TAG],
        "summary": format!("Predict with `{}`", served.name),
        "requestBody": body(schema("LoanRequest"), json!(example)),
        "responses": {
            "200": answer("The class.", schema("LoanAnswer")),
            "400": answer("There is no model yet.", schema("LoanError")),
            "408": answer("The request took too long.", schema("LoanError")),
            "413": answer("The body is too large.", schema("LoanError")),
            "422": answer("The request does not fit the schema.", schema("LoanSchemaError")),
        },
    });
    paths.insert("/predict/".to_owned(), json!({ "post": predict }));
}
