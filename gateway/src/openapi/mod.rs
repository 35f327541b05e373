//! The OpenAPI 3.1 document: every route there is, with schemas made from the served pipelines' records.

mod contracts;
mod invocations;
mod own;
mod push;
mod records;
mod runs;
mod v2;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::app::Served;

/// The document for these pipelines.
pub(crate) fn document(
    pipelines: &BTreeMap<Arc<str>, Arc<Served>>,
    iris: Option<&Served>,
    loan: Option<&Served>,
) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert("Error".to_owned(), error_schema());
    own::add(&mut paths, &mut schemas);
    runs::add(pipelines, &mut paths, &mut schemas);
    push::add(pipelines, &mut paths, &mut schemas);
    v2::add(pipelines, &mut paths, &mut schemas);
    invocations::add(pipelines, &mut paths, &mut schemas);
    if let Some(served) = iris {
        contracts::add_iris(served, &mut paths, &mut schemas);
    }
    if let Some(served) = loan {
        contracts::add_loan(served, &mut paths, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Driftmill gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Every request may carry an `X-Request-Id` (up to 128 letters, digits and `-_.:/+=@~,`); the \
                response repeats it, or names the one that was made. Predictions say in `X-Model-Version` which version \
                answered. A body may have 16 MiB, and 64 MiB where a pipeline takes images.",
        },
        "tags": [
            { "name": "Open Inference Protocol", "description": "Version 2, over HTTP and JSON." },
            { "name": "Contracts", "description": "APIs of earlier stacks, kept for their clients." },
            { "name": "MLflow scoring", "description": "MLflow's scoring protocol, for every pipeline." },
            { "name": "Pipelines", "description": "Pipelines, their records, their models, promotion, and trainings." },
            { "name": "System", "description": "Health and metrics." },
        ],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": { "type": "string", "description": "What is wrong, and what to do." } },
    })
}

/// A reference to one of the document's schemas.
fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A response with a JSON body.
fn answer(description: &str, schema: Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// An error in the usual shape.
fn error(description: &str) -> Value {
    answer(description, schema("Error"))
}

/// A required body of JSON.
fn body(schema: Value, example: Value) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": schema, "example": example } } })
}

/// A parameter in the path.
fn path_parameter(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
}
