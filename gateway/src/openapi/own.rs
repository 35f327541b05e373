//! The part of the document on our own API, health and metrics.

use serde_json::{Map, Value, json};

use super::{answer, body, error, path_parameter, schema};

pub(super) fn add(paths: &mut Map<String, Value>, schemas: &mut Map<String, Value>) {
    add_schemas(schemas);
    add_system(paths);
    let tag = "Pipelines";
    let pipeline = path_parameter("pipeline", "Name of the pipeline.", json!({ "type": "string" }));
    let version = path_parameter(
        "version",
        "Number of the version.",
        json!({ "type": "integer", "format": "int64", "minimum": 1 }),
    );
    let missing = error("There is no such pipeline.");
    let away = error("The registry does not answer.");
    paths.insert(
        "/api/v1/pipelines".to_owned(),
        json!({ "get": {
            "tags": [tag],
            "summary": "All pipelines",
            "responses": {
                "200": answer("The pipelines.", json!({
                    "type": "object",
                    "required": ["pipelines"],
                    "properties": { "pipelines": { "type": "array", "items": schema("Pipeline") } },
                })),
                "503": away,
            },
        } }),
    );
    paths.insert(
        "/api/v1/pipelines/{pipeline}".to_owned(),
        json!({ "parameters": [pipeline], "get": {
            "tags": [tag],
            "summary": "One pipeline",
            "responses": { "200": answer("The pipeline.", schema("Pipeline")), "404": missing, "503": away },
        } }),
    );
    paths.insert(
        "/api/v1/pipelines/{pipeline}/models".to_owned(),
        json!({ "parameters": [pipeline], "get": {
            "tags": [tag],
            "summary": "Its model versions, oldest first",
            "responses": {
                "200": answer("The versions.", json!({
                    "type": "object",
                    "required": ["models"],
                    "properties": { "models": { "type": "array", "items": schema("ModelVersion") } },
                })),
                "404": missing,
                "503": away,
            },
        } }),
    );
    let reason = json!({
        "type": "object",
        "required": ["reason"],
        "additionalProperties": false,
        "properties": { "reason": { "type": "string", "minLength": 1, "maxLength": 1000 } },
    });
    paths.insert(
        "/api/v1/pipelines/{pipeline}/models/{version}/promote".to_owned(),
        json!({ "parameters": [pipeline, version], "post": {
            "tags": [tag],
            "summary": "Make a version the champion, whatever its gates said",
            "description": "Only from the gateway's own machine.",
            "requestBody": body(reason, json!({ "reason": "checked by hand" })),
            "responses": {
                "200": answer("It is the champion; gateways serve it within moments.", schema("Promotion")),
                "400": error("The reason is missing or too long."),
                "403": error("The request comes from another machine."),
                "404": error("There is no such pipeline or version."),
                "415": error("The body is not declared as JSON."),
                "503": away,
            },
        } }),
    );
}

fn add_schemas(schemas: &mut Map<String, Value>) {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "integer", "format": "int64" });
    let alias = json!({
        "type": "object",
        "properties": { "alias": text, "version": number, "at": number, "reason": text },
    });
    let feature = json!({ "type": "object", "properties": { "name": text, "sql": text } });
    schemas.insert(
        "Pipeline".to_owned(),
        json!({
            "type": "object",
            "required": ["name", "description", "features", "served_version", "aliases"],
            "properties": {
                "name": text,
                "description": text,
                "features": { "type": "array", "items": feature },
                "label": {
                    "type": "object",
                    "properties": { "field": text, "classes": { "type": "array", "items": text } },
                },
                "dialects": { "type": "array", "items": text },
                "served_version": { "type": ["integer", "null"] },
                "aliases": { "type": "array", "items": alias },
            },
        }),
    );
    schemas.insert(
        "ModelVersion".to_owned(),
        json!({
            "type": "object",
            "required": ["pipeline", "version", "metrics", "gates"],
            "properties": {
                "pipeline": text,
                "version": number,
                "run_id": { "type": "string", "format": "uuid" },
                "created_at": number,
                "algorithm": text,
                "artifact": text,
                "reference": text,
                "snapshot": text,
                "rows": number,
                "metrics": { "type": "object", "additionalProperties": { "type": "number" } },
                "gates": { "type": "array", "items": {
                    "type": "object",
                    "properties": { "gate": text, "passed": { "type": "boolean" }, "detail": text },
                } },
            },
        }),
    );
    schemas.insert(
        "Promotion".to_owned(),
        json!({
            "type": "object",
            "required": ["pipeline", "alias", "version", "reason"],
            "properties": { "pipeline": text, "alias": text, "version": number, "reason": text },
        }),
    );
}

fn add_system(paths: &mut Map<String, Value>) {
    let status = json!({
        "type": "object",
        "required": ["status"],
        "properties": { "status": { "type": "string" }, "error": { "type": "string" } },
    });
    let get = |summary: &str, responses: Value| json!({ "get": { "tags": ["System"], "summary": summary, "responses": responses } });
    paths.insert(
        "/health".to_owned(),
        get("Liveness", json!({ "200": answer("The process answers.", status.clone()) })),
    );
    paths.insert(
        "/ready".to_owned(),
        get(
            "Readiness",
            json!({
                "200": answer("Each pipeline that has a champion serves one.", status.clone()),
                "503": answer("Not yet, or no longer; `error` says why.", status),
            }),
        ),
    );
    let text = json!({ "application/openmetrics-text": { "schema": { "type": "string" } } });
    paths.insert(
        "/metrics".to_owned(),
        get("Metrics in the OpenMetrics text format", json!({ "200": { "description": "Metrics.", "content": text } })),
    );
}
