//! The files of a logged model: the model itself, its card, and `MLmodel`, which tells MLflow what it is.
//!
//! The flavour is `driftmill`, with no `python_function` beside it: MLflow shows the signature, hands the files out, and does
//! not pretend that it could run them.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::json;

use crate::names::file;
use crate::run::{Column, Model, Run};

/// A file and its name.
pub(crate) struct File {
    pub name: String,
    pub body: Bytes,
}

/// All files of a model, `MLmodel` last: who sees it sees them all.
pub(crate) fn files(run: &Run, model: &Model, place: &Place<'_>) -> Vec<File> {
    let mut files = vec![File { name: file_name(model), body: model.artifact.clone() }];
    let mut text = |name: &str, body: String| files.push(File { name: name.to_owned(), body: body.into() });
    text(CARD, model.card_markdown.clone());
    if let Some(example) = &model.input_example {
        text(EXAMPLE, json!(example).to_string());
        text(SERVING_EXAMPLE, json!({ "dataframe_split": example }).to_string());
    }
    text(DESCRIPTION, description(run, model, place));
    files
}

/// Where a model is in MLflow.
pub(crate) struct Place<'a> {
    pub run_id: &'a str,
    pub model_id: &'a str,
    pub folder: &'a str,
}

const CARD: &str = "MODEL_CARD.md";
const EXAMPLE: &str = "input_example.json";
const SERVING_EXAMPLE: &str = "serving_input_example.json";
const DESCRIPTION: &str = "MLmodel";

/// Name of the file with the model: not one of the others'.
fn file_name(model: &Model) -> String {
    let name = file(&model.file_name);
    if [CARD, EXAMPLE, SERVING_EXAMPLE, DESCRIPTION].contains(&name.as_str()) { format!("model-{name}") } else { name }
}

/// The file `MLmodel`, in YAML.
fn description(run: &Run, model: &Model, place: &Place<'_>) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let mut line = |indent: usize, key: &str, value: &str| {
        let _ = writeln!(text, "{:indent$}{key}:{value}", "");
    };
    line(0, "artifact_path", &scalar(place.folder));
    line(0, "flavors", "");
    line(2, "driftmill", "");
    line(4, "algorithm", &scalar(&model.algorithm));
    line(4, "data", &scalar(&file_name(model)));
    line(4, "pipeline", &scalar(&run.pipeline));
    line(4, "run_id", &scalar(&run.run_id.to_string()));
    line(4, "version", &format!(" {}", model.version));
    line(0, "model_id", &scalar(place.model_id));
    line(0, "model_size_bytes", &format!(" {}", model.artifact.len()));
    line(0, "run_id", &scalar(place.run_id));
    if model.input_example.is_some() {
        line(0, "saved_input_example_info", "");
        line(2, "artifact_path", &scalar(EXAMPLE));
        line(2, "pandas_orient", &scalar("split"));
        line(2, "serving_input_path", &scalar(SERVING_EXAMPLE));
        line(2, "type", &scalar("dataframe"));
    }
    if let Some(signature) = &model.signature {
        line(0, "signature", "");
        line(2, "inputs", &scalar(&columns(&signature.inputs)));
        line(2, "outputs", &scalar(&columns(&signature.outputs)));
        line(2, "params", " null");
    }
    text
}

/// Columns as MLflow writes them.
pub(crate) fn columns(columns: &[Column]) -> String {
    json!(columns).to_string()
}

/// A text in YAML, with the space before it. JSON's texts are YAML's, but for characters that a reader of YAML refuses.
fn scalar(text: &str) -> String {
    let mut quoted = String::from(" ");
    for c in json!(text).to_string().chars() {
        match c {
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{ColumnType, InputExample, Signature};

    #[test]
    fn the_description_names_flavour_signature_and_example() {
        let model = Model {
            version: 7,
            artifact: Bytes::from_static(b"abc"),
            file_name: "model.dm".to_owned(),
            algorithm: "random_forest".to_owned(),
            signature: Some(Signature {
                inputs: vec![Column { kind: ColumnType::Double, name: "a \"b\"".to_owned(), required: true }],
                outputs: Vec::new(),
            }),
            input_example: Some(InputExample { columns: vec!["a".to_owned()], data: vec![vec![json!(1.5)]] }),
            ..Model::default()
        };
        let run = Run { pipeline: "iris".to_owned(), ..Run::default() };
        let place = Place { run_id: "r", model_id: "m-1", folder: "mlflow-artifacts:/1/models/m-1/artifacts" };
        let files = files(&run, &model, &place);
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["model.dm", CARD, EXAMPLE, SERVING_EXAMPLE, DESCRIPTION]);
        let expected = r#"artifact_path: "mlflow-artifacts:/1/models/m-1/artifacts"
flavors:
  driftmill:
    algorithm: "random_forest"
    data: "model.dm"
    pipeline: "iris"
    run_id: "00000000-0000-0000-0000-000000000000"
    version: 7
model_id: "m-1"
model_size_bytes: 3
run_id: "r"
saved_input_example_info:
  artifact_path: "input_example.json"
  pandas_orient: "split"
  serving_input_path: "serving_input_example.json"
  type: "dataframe"
signature:
  inputs: "[{\"name\":\"a \\\"b\\\"\",\"required\":true,\"type\":\"double\"}]"
  outputs: "[]"
  params: null
"#;
        assert_eq!(files.last().map(|file| file.body.as_ref()), Some(expected.as_bytes()));
    }

    #[test]
    fn a_model_file_does_not_take_the_place_of_another_file() {
        let named = |name: &str| file_name(&Model { file_name: name.to_owned(), ..Model::default() });
        assert_eq!(named("MLmodel"), "model-MLmodel");
        assert_eq!(named("forest.dm"), "forest.dm");
    }

    #[test]
    fn characters_that_yaml_refuses_are_escaped() {
        assert_eq!(scalar("a\u{7f}\n\u{feff}ö"), " \"a\\u007f\\n\\ufeffö\"");
    }
}
