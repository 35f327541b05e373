//! An ONNX graph as an estimator.
//!
//! The graph's nodes are followed in their order. What stands for a name is not a tensor but what is known of it: columns of
//! the inputs with the steps that were taken on them ([`columns`]), or sums of trees or of weighted columns with what was
//! done to them ([`scores`]). At the end the outputs are [`build`]t into a model of ours, the steps folded into its
//! thresholds and coefficients.

mod attributes;
mod build;
mod columns;
mod linear;
mod operators;
mod scores;
mod tensor;
mod threshold;
mod trees;

use std::collections::HashMap;

use driftmill_models::Estimator;
use prost::Message;

use self::columns::{Columns, MAX_FEATURES};
use self::operators::Operators;
use self::scores::Scores;
use self::tensor::Tensor;
use crate::Error;
use crate::export::FEATURES_KEY;
use crate::limits::{self, Budget};
use crate::proto::{self, DOUBLE, FLOAT, INT32, INT64, STRING};

/// A model of others, as ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The model, of features that are numbers.
    pub estimator: Estimator,
    /// Names of the classes in the model's order; none of a regression.
    pub classes: Vec<String>,
    /// Names of the features in the model's order: those of a file exported here, of inputs with one column theirs, of an
    /// input with several its own and the column's number.
    pub feature_names: Vec<String>,
}

/// What is known of a name in the graph.
#[derive(Clone)]
enum Value {
    /// A constant.
    Tensor(Tensor),
    /// Columns of the inputs.
    Columns(Columns),
    /// Their sizes, without signs.
    Sizes(Columns),
    /// Whether each is a finite number: of the columns that are never taken to be, false.
    Present { columns: Columns, never: Vec<bool> },
    /// What the model answers, or is about to.
    Scores(Scores),
    /// The sum of these over each row.
    RowSums(Scores),
    /// The most probable class: its name, once that is known, or its number.
    Labels { classes: Option<Vec<String>> },
    /// Number of rows.
    RowCount,
    /// Number of rows, and of columns.
    Shape { width: usize },
}

/// Reads a model in the form that skl2onnx writes and [`crate::export()`] as well.
///
/// # Errors
/// For every file that is no such model: bytes that are no ONNX file ([`Error::Decode`]) or an unsound graph, more than an
/// import takes, and operators or combinations that no model of ours stands for, by name. Never a panic, nor memory out of
/// proportion to the file.
pub fn import(bytes: &[u8]) -> Result<Imported, Error> {
    limits::check(bytes)?;
    let model = proto::Model::decode(bytes).map_err(|error| Error::Decode(error.to_string()))?;
    let graph = model.graph.ok_or_else(|| Error::Decode("it has no graph".to_owned()))?;
    let budget = Budget::new();
    let mut values = HashMap::new();
    for tensor in graph.initializer {
        let name = tensor.name.clone();
        let tensor = Tensor::read(tensor).map_err(|reason| Error::Graph(format!("constant `{name}`: {reason}")))?;
        define(&mut values, &name, Value::Tensor(tensor))?;
    }
    let feature_names = define_inputs(&mut values, &graph.input, &budget)?;

    let operators = Operators { budget: &budget };
    for (number, node) in graph.node.iter().enumerate() {
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            let missing =
                || Error::Graph(format!("node {number}, `{}`, uses `{name}` before it is made", node.op_type));
            inputs.push(values.get(name).ok_or_else(missing)?);
        }
        let outputs = operators.apply(node, &inputs).map_err(|problem| problem.of_node(number, node))?;
        for (name, value) in node.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            define(&mut values, name, value)?;
        }
    }

    let mut scores = None;
    let mut labels = None;
    for output in &graph.output {
        match values.get(&output.name) {
            Some(Value::Scores(found)) if scores.is_none() => scores = Some(found),
            Some(Value::Scores(_)) => {
                return Err(Error::Unsupported("it answers several matrices of numbers; keep one of them".to_owned()));
            }
            Some(Value::Labels { classes }) => labels = Some(classes),
            Some(_) => {
                let text = format!("its output `{}` is not what a model answers", output.name);
                return Err(Error::Unsupported(text));
            }
            None => return Err(Error::Graph(format!("no node makes the output `{}`", output.name))),
        }
    }
    let scores = scores.ok_or_else(|| {
        Error::Unsupported("it has no output of probabilities or values, which labels alone do not tell".to_owned())
    })?;
    let named = labels.and_then(Clone::clone);
    let (estimator, classes) = build::build(scores, labels.is_some(), named, feature_names.len(), &budget)?;
    let feature_names = exported_names(&model.metadata_props, feature_names);
    Ok(Imported { estimator, classes, feature_names })
}

/// Gives a name its value. Each has one, made before it is used, so there are no cycles.
fn define(values: &mut HashMap<String, Value>, name: &str, value: Value) -> Result<(), Error> {
    match values.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Error::Graph(format!("`{name}` is made twice"))),
    }
}

/// Defines the inputs that are not constants and returns the names of their columns.
fn define_inputs(
    values: &mut HashMap<String, Value>,
    inputs: &[proto::ValueInfo],
    budget: &Budget,
) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for input in inputs {
        // Old files declare constants as inputs, too.
        if matches!(values.get(&input.name), Some(Value::Tensor(_))) {
            continue;
        }
        let name = &input.name;
        let wrong = |what: &str| Error::Unsupported(format!("its input `{name}` {what}"));
        let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
        let tensor = tensor.ok_or_else(|| wrong("is not a tensor"))?;
        match tensor.elem_type {
            FLOAT | DOUBLE | INT32 | INT64 => {}
            STRING => return Err(wrong("is of texts; encode categories as numbers before the model")),
            _ => return Err(wrong("is not of floats or integers")),
        }
        let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
        let width = match dims {
            [_, columns] => columns.dim_value.and_then(|width| usize::try_from(width).ok()),
            _ => None,
        };
        let width = width.filter(|width| (1..=MAX_FEATURES - names.len()).contains(width)).ok_or_else(|| {
            wrong("has not the form rows × columns; convert with initial types such as FloatTensorType([None, 4])")
        })?;
        // Each has a column and a name.
        budget.spend(width * 2 * columns::WORDS)?;
        let columns = Columns::of_input(names.len(), width, tensor.elem_type == FLOAT);
        define(values, name, Value::Columns(columns))?;
        match width {
            1 => names.push(name.clone()),
            _ => names.extend((0..width).map(|column| format!("{name}_{column}"))),
        }
    }
    if names.is_empty() {
        return Err(Error::Unsupported("it has no inputs".to_owned()));
    }
    Ok(names)
}

/// The names that an export has written, if they are of this many features.
fn exported_names(metadata: &[proto::Entry], otherwise: Vec<String>) -> Vec<String> {
    let entry = metadata.iter().find(|entry| entry.key == FEATURES_KEY);
    let names: Option<Vec<String>> = entry.and_then(|entry| serde_json::from_str(&entry.value).ok());
    names.filter(|names| names.len() == otherwise.len()).unwrap_or(otherwise)
}
