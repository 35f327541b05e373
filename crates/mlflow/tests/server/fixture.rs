//! Runs as the trainer tells them. `check.py` knows their numbers too.

use driftmill_mlflow::{Column, ColumnType, Dataset, Gate, InputExample, Model, Run, Signature, State, StepMetric};
use serde_json::json;
use uuid::Uuid;

const STARTED: i64 = 1_750_000_000_000;

fn columns(names: &[&str], kind: ColumnType) -> Vec<Column> {
    names.iter().map(|name| Column { kind, name: (*name).to_owned(), required: true }).collect()
}

/// A champion, with more of everything than fits into one request, and with names and numbers that MLflow does not take.
pub fn forest() -> Run {
    let steps = (0..2_500).map(|step| StepMetric {
        name: "loss".to_owned(),
        step,
        value: 1.0 / (step as f64 + 1.0),
        at: STARTED + step,
    });
    let mut params: std::collections::BTreeMap<_, _> =
        (0..230).map(|n| (format!("search.{n}"), n.to_string())).collect();
    params.insert("n_estimators".to_owned(), "100".to_owned());
    params.insert("max features (share)".to_owned(), "ä".repeat(7_000));
    params.insert("max_depth".to_owned(), String::new());
    let names = ["sepal_length", "sepal_width", "petal_length", "petal_width"];
    Run {
        run_id: Uuid::from_u128(0x1_0000),
        pipeline: "iris".to_owned(),
        name: "iris-7".to_owned(),
        state: State::Finished,
        detail: "promoted: no worse than the champion".to_owned(),
        started: STARTED,
        ended: STARTED + 60_000,
        params,
        metrics: [
            ("accuracy", 0.97),
            ("loss", 0.01),
            ("f1 (setosa)", 1.0),
            ("f1 [setosa]", 0.9),
            ("nan", f64::NAN),
            ("infinite", f64::INFINITY),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
        steps: steps.collect(),
        gates: vec![Gate {
            name: "better than the constant baseline".to_owned(),
            passed: true,
            detail: "0.97 against 0.33".to_owned(),
        }],
        tags: [("cause", "drift of petal_length"), ("code_version", "0.1.0"), ("long", &"x".repeat(9_000))]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        dataset: Some(Dataset {
            name: "iris".to_owned(),
            digest: "0123456789abcdef".repeat(4),
            source: "s3://driftmill/snapshots/0123".to_owned(),
            schema: columns(&names, ColumnType::Double),
            profile: json!({ "num_rows": 120 }),
        }),
        model: Some(Model {
            version: 7,
            artifact: (0..300_000_u64).map(|n| (n * n % 251) as u8).collect(),
            file_name: "iris.dm".to_owned(),
            algorithm: "random_forest".to_owned(),
            card_markdown: "# iris, version 7\n\nA forest of 100 trees: “fleur-de-lis”.\n".to_owned(),
            signature: Some(Signature {
                inputs: columns(&names, ColumnType::Double),
                outputs: columns(&["species"], ColumnType::String),
            }),
            input_example: Some(InputExample {
                columns: names.map(str::to_owned).into(),
                data: vec![vec![json!(5.1), json!(3.5), json!(1.4), json!(0.2)]],
            }),
            aliases: vec!["champion".to_owned()],
        }),
        logs: Some("training\ntrained\n".to_owned()),
    }
}

/// A model that a gate refused.
pub fn refused() -> Run {
    let model = Model { version: 3, aliases: Vec::new(), ..forest().model.unwrap_or_default() };
    Run {
        run_id: Uuid::from_u128(0x2_0000),
        pipeline: "loan".to_owned(),
        state: State::Refused,
        gates: vec![Gate {
            name: "better than the constant baseline".to_owned(),
            passed: false,
            detail: "AUC 0.50".to_owned(),
        }],
        steps: Vec::new(),
        model: Some(model),
        ..forest()
    }
}
