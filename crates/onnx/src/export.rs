//! An estimator as an ONNX graph.
//!
//! Numbers are 64-bit floats all the way, inputs and thresholds too, so rows take the branches they take here. Operators
//! are those of ai.onnx 15 and ai.onnx.ml 3, which every ONNX Runtime since 2022 reads.

mod builder;
mod inputs;
mod linear;
mod trees;

use std::collections::BTreeMap;

use driftmill_models::parts::Parts;
use driftmill_models::{Estimator, Task};
use prost::Message;

use self::builder::Builder;
use crate::Error;
use crate::proto::{self, DOUBLE, INT64, STRING};

/// Key of the metadata that holds the names of the features, as a list in JSON.
pub(crate) const FEATURES_KEY: &str = "driftmill.features";
/// The layout of the file. ONNX Runtime reads this and newer ones.
const IR_VERSION: i64 = 8;
const OPERATORS: i64 = 15;
const ML_OPERATORS: i64 = 3;

/// What an estimator itself does not know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Of the features, in the estimator's order.
    pub features: Vec<String>,
    /// Of the classes, in the estimator's order; none of a regression. When all are whole numbers, labels are.
    pub classes: Vec<String>,
    /// Goes into the file's metadata as it is.
    pub metadata: BTreeMap<String, String>,
}

/// An estimator as an ONNX file.
///
/// The graph takes a matrix `input` of the features that are numbers, in their order, and a column of texts under its own
/// name for each feature that is a category (an empty text is a missing one). It answers `label` and `probabilities`, or
/// `variable`.
///
/// # Errors
/// [`Error::NotExportable`] for an algorithm without an equivalent in ONNX, and [`Error::Names`].
pub fn export(estimator: &Estimator, names: &Names) -> Result<Vec<u8>, Error> {
    let refused =
        |reason: &str| Error::NotExportable { algorithm: estimator.algorithm().to_owned(), reason: reason.to_owned() };
    let Some((model, columns)) = estimator.tabular() else {
        return Err(refused(reason(estimator.algorithm())));
    };
    let n_classes = match estimator.task() {
        Task::Classification { n_classes } => n_classes,
        Task::Regression => 0,
    };
    check("features", columns.len(), names.features.len())?;
    check("classes", n_classes, names.classes.len())?;

    let mut graph = Builder::new();
    let rows = inputs::write(&mut graph, &columns, &names.features)
        .ok_or_else(|| refused("it has no feature that is a number or a category"))?;
    match model.to_parts() {
        Parts::Constant { outputs, .. } => {
            let count = graph.node("Shape", &[&rows], "rows", &[("start", 0.into()), ("end", 1.into())]);
            let width = graph.integers("n_outputs", &[outputs.len() as i64]);
            let shape = graph.node("Concat", &[&count, &width], "shape", &[("axis", 0.into())]);
            let outputs = graph.doubles("outputs", &[1, outputs.len()], outputs);
            graph.node("Expand", &[&outputs, &shape], output(n_classes), &[]);
        }
        Parts::DecisionTree { n_classes, tree, .. } => {
            let sums = trees::write(&mut graph, &rows, &[tree], n_classes).map_err(|reason| refused(&reason))?;
            graph.node("Identity", &[&sums], output(n_classes), &[]);
        }
        Parts::RandomForest { trees, task, .. } => {
            let sums = trees::write(&mut graph, &rows, &trees, task.n_outputs()).map_err(|reason| refused(&reason))?;
            let n_trees = graph.doubles("n_trees", &[1, 1], vec![trees.len() as f64]);
            graph.node("Div", &[&sums, &n_trees], output(n_classes), &[]);
        }
        Parts::GradientBoosting { baseline, trees, .. } => {
            let width = baseline.len();
            let sums = trees::write(&mut graph, &rows, &trees, width).map_err(|reason| refused(&reason))?;
            let baseline = graph.doubles("baseline", &[1, width], baseline);
            if n_classes == 0 {
                graph.node("Add", &[&sums, &baseline], output(0), &[]);
            } else {
                let scores = graph.node("Add", &[&sums, &baseline], "scores", &[]);
                write_probabilities(&mut graph, &scores, n_classes);
            }
        }
        Parts::LogisticRegression { sums, .. } => {
            let scores = linear::write(&mut graph, &rows, sums, "scores");
            write_probabilities(&mut graph, &scores, n_classes);
        }
        Parts::LinearRegression { sums } => {
            linear::write(&mut graph, &rows, sums, output(0));
        }
    }
    if n_classes > 0 {
        write_labels(&mut graph, &names.classes);
        graph.output("probabilities", DOUBLE, &[n_classes]);
    } else {
        graph.output("variable", DOUBLE, &[1]);
    }
    Ok(file(graph, names).encode_to_vec())
}

fn check(what: &'static str, expected: usize, got: usize) -> Result<(), Error> {
    if expected == got { Ok(()) } else { Err(Error::Names { what, expected, got }) }
}

/// Why an algorithm that is not of numbers and categories is not written.
fn reason(algorithm: &str) -> &'static str {
    match algorithm {
        "text_classifier" => {
            "ONNX has no operator that takes texts apart as it does (markup, normalised Unicode, character n-grams within \
             words); keep serving it from the registry"
        }
        "forecast" => "it answers from the history of a series, and a graph answers from one row; export its forecasts",
        "late_fusion" => "a graph has one model; train a member of numbers and categories alone and export that",
        _ => "it does not answer from numbers and categories",
    }
}

/// Name of the output of probabilities or values.
fn output(n_classes: usize) -> &'static str {
    if n_classes > 0 { "probabilities" } else { "variable" }
}

/// One score stands for two classes, and is that of the second.
fn write_probabilities(graph: &mut Builder, scores: &str, n_classes: usize) {
    if n_classes != 2 {
        graph.node("Softmax", &[scores], "probabilities", &[("axis", 1.into())]);
        return;
    }
    let against = graph.node("Neg", &[scores], "scores_against", &[]);
    let first = graph.node("Sigmoid", &[&against], "probability_of_first", &[]);
    let second = graph.node("Sigmoid", &[scores], "probability_of_second", &[]);
    graph.node("Concat", &[&first, &second], "probabilities", &[("axis", 1.into())]);
}

/// The most probable class, the first among equals.
fn write_labels(graph: &mut Builder, classes: &[String]) {
    let attributes = [("axis", 1.into()), ("keepdims", 0.into())];
    let index = graph.node("ArgMax", &["probabilities"], "class", &attributes);
    let numbers: Option<Vec<i64>> = classes.iter().map(|class| whole(class)).collect();
    let (names, kind) = match numbers {
        Some(numbers) => (graph.integers("classes", &numbers), INT64),
        None => (graph.texts("classes", classes), STRING),
    };
    graph.node("Gather", &[&names, &index], "label", &[("axis", 0.into())]);
    graph.output("label", kind, &[]);
}

/// The number that is written like this, and not in another way.
fn whole(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

fn file(graph: Builder, names: &Names) -> proto::Model {
    let mut metadata = names.metadata.clone();
    metadata.insert(FEATURES_KEY.to_owned(), serde_json::Value::from(names.features.clone()).to_string());
    let set = |domain: &str, version| proto::OperatorSet { domain: domain.to_owned(), version };
    proto::Model {
        ir_version: IR_VERSION,
        producer_name: "driftmill".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph.finish()),
        opset_import: vec![set("", OPERATORS), set(proto::ML, ML_OPERATORS)],
        metadata_props: metadata.into_iter().map(|(key, value)| proto::Entry { key, value }).collect(),
    }
}
