//! The Open Inference Protocol's part of the document.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{answer, body, error, path_parameter, records, schema};
use crate::app::Served;
use crate::v2;

const TAG: &str = "Open Inference Protocol";

pub(super) fn add(
    pipelines: &BTreeMap<Arc<str>, Arc<Served>>,
    paths: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
) {
    add_schemas(schemas);
    let get = |summary: &str, response: Value, errors: &[(&str, &str)]| {
        let mut responses = json!({ "200": answer("Yes, or what was asked for.", response) });
        for (status, description) in errors {
            responses[*status] = error(description);
        }
        json!({ "tags": [TAG], "summary": summary, "responses": responses })
    };
    let server = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "version": { "type": "string" },
            "extensions": { "type": "array", "items": { "type": "string" } },
        },
    });
    let live = json!({ "type": "object", "properties": { "live": { "type": "boolean" } } });
    let ready = json!({ "type": "object", "properties": { "ready": { "type": "boolean" } } });
    let missing = ("404", "No such model or version, or none serves yet.");
    let not_ready = ("400", "Not ready; the error says what is awaited.");
    paths.insert("/v2".to_owned(), json!({ "get": get("Server metadata", server, &[]) }));
    paths.insert("/v2/health/live".to_owned(), json!({ "get": get("Liveness", live, &[]) }));
    paths.insert("/v2/health/ready".to_owned(), json!({ "get": get("Readiness", ready.clone(), &[not_ready]) }));

    let names: Vec<&str> = pipelines.keys().map(|name| &**name).collect();
    let model = path_parameter("model", "Name of the pipeline.", json!({ "type": "string", "enum": names }));
    let version = path_parameter("version", "Number of the version.", json!({ "type": "string" }));
    let examples = examples(pipelines);
    for (base, parameters) in
        [("/v2/models/{model}", json!([model])), ("/v2/models/{model}/versions/{version}", json!([model, version]))]
    {
        let with = |method: &str, operation: Value| json!({ "parameters": parameters, method: operation });
        paths.insert(base.to_owned(), with("get", get("Model metadata", schema("ModelMetadata"), &[missing])));
        paths.insert(format!("{base}/ready"), with("get", get("Model readiness", ready.clone(), &[missing])));
        let mut request = body(schema("InferenceRequest"), Value::Null);
        let content = &mut request["content"]["application/json"];
        *content = json!({ "schema": content["schema"], "examples": examples });
        let infer = json!({
            "tags": [TAG],
            "summary": "Predict",
            "description": "One tensor per input of the model's metadata, of shape [n] or [n, 1] (pixels of images also [n, height, width, 3]), or one tensor called \
                `input` of shape [n, k] with the inputs as columns, in the metadata's order.",
            "requestBody": request,
            "responses": {
                "200": answer("The class and the probabilities of each row.", schema("InferenceResponse")),
                "400": error("The request does not fit the model."),
                "404": error("No such model or version, or none serves yet."),
                "408": error("The request took too long."),
                "413": error("The body is too large."),
            },
        });
        paths.insert(format!("{base}/infer"), with("post", infer));
    }
}

/// One request per pipeline that could be sent as it is.
fn examples(pipelines: &BTreeMap<Arc<str>, Arc<Served>>) -> Value {
    let example = |served: &Served| {
        let inputs: Vec<Value> = served
            .input_fields()
            .map(|field| {
                let datatype = v2::datatype(field.kind);
                // A timestamp of this datatype is milliseconds.
                let value = if datatype == "INT64" { json!(1) } else { records::example(field) };
                json!({ "name": field.name, "shape": [1], "datatype": datatype, "data": [value] })
            })
            .collect();
        json!({ "value": { "id": "example", "inputs": inputs } })
    };
    pipelines.iter().map(|(name, served)| (name.to_string(), example(served))).collect::<Map<_, _>>().into()
}

fn add_schemas(schemas: &mut Map<String, Value>) {
    let shape = json!({ "type": "array", "items": { "type": "integer" } });
    let text = json!({ "type": "string" });
    let metadata_tensor = json!({
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": { "name": text, "datatype": text, "shape": shape, "parameters": { "type": "object" } },
    });
    let tensor = |data: &str| {
        json!({
            "type": "object",
            "required": ["name", "shape", "datatype", "data"],
            "properties": {
                "name": text,
                "shape": { "type": "array", "items": { "type": "integer", "minimum": 0 } },
                "datatype": { "type": "string", "enum": [
                    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
                    "FP16", "FP32", "FP64", "BYTES",
                ] },
                "parameters": { "type": "object" },
                "data": { "type": "array", "description": data },
            },
        })
    };
    let metadata = json!({
        "type": "object",
        "required": ["name", "platform", "inputs", "outputs"],
        "properties": {
            "name": text,
            "versions": { "type": "array", "items": text },
            "platform": text,
            "inputs": { "type": "array", "items": metadata_tensor },
            "outputs": { "type": "array", "items": metadata_tensor },
        },
    });
    let request = json!({
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": text,
            "parameters": { "type": "object" },
            "inputs": { "type": "array", "minItems": 1, "items": tensor("Flat or nested; null where a nullable input is missing.") },
            "outputs": { "type": "array", "items": {
                "type": "object",
                "required": ["name"],
                "properties": { "name": { "type": "string", "enum": ["predict", "probabilities", "lower", "upper"] } },
            } },
        },
    });
    let response = json!({
        "type": "object",
        "required": ["model_name", "model_version", "id", "outputs"],
        "properties": {
            "model_name": text,
            "model_version": text,
            "id": text,
            "outputs": { "type": "array", "items": tensor("Flat, row by row.") },
        },
    });
    schemas.insert("ModelMetadata".to_owned(), metadata);
    schemas.insert("InferenceRequest".to_owned(), request);
    schemas.insert("InferenceResponse".to_owned(), response);
}
