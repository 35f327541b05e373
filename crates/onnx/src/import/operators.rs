//! What each operator makes of what is known of its inputs.

mod classical;
mod elementwise;
mod shape;

use super::Value;
use super::attributes::Attributes;
use super::scores::{Scores, Stage};
use crate::Error;
use crate::limits::Budget;
use crate::proto::{self, DOUBLE, FLOAT, ML};

/// All that are known, for people.
const KNOWN: &str = "known are TreeEnsembleClassifier, TreeEnsembleRegressor, LinearClassifier, LinearRegressor, Scaler, \
                     Imputer, Normalizer (L1, of probabilities, as the last step), ArrayFeatureExtractor, FeatureVectorizer, ZipMap, Cast, Identity, \
                     Concat, Split, Gather, Reshape, Flatten, Add, Sub, Mul, Div, Neg, Abs, MatMul, Sigmoid, Softmax, ArgMax, \
                     ReduceSum (of each row, to divide it by), and those of an export";

/// Why a node cannot be translated.
pub(super) enum Problem {
    Reason(String),
    Other(Error),
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl From<&str> for Problem {
    fn from(reason: &str) -> Self {
        Self::Reason(reason.to_owned())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Problem {
    pub fn of_node(self, number: usize, node: &proto::Node) -> Error {
        match self {
            Self::Reason(reason) => Error::Operator { number, operator: node.op_type.clone(), reason },
            Self::Other(error) => error,
        }
    }
}

/// The operators over one graph.
pub(super) struct Operators<'a> {
    pub budget: &'a Budget,
}

impl Operators<'_> {
    /// The outputs of a node, in their order. Each input is paid for, as many copy theirs; what makes more pays for that itself.
    pub fn apply(&self, node: &proto::Node, inputs: &[&Value]) -> Result<Vec<Value>, Problem> {
        for value in inputs {
            self.budget.spend(value.size())?;
        }
        let attributes = Attributes(&node.attribute);
        match node.domain.as_str() {
            "" | "ai.onnx" => self.standard(&node.op_type, &attributes, inputs),
            ML => self.classical(&node.op_type, &attributes, inputs),
            domain => Err(format!("its domain `{domain}` is not known; {KNOWN}").into()),
        }
    }

    fn standard(&self, operator: &str, attributes: &Attributes<'_>, inputs: &[&Value]) -> Result<Vec<Value>, Problem> {
        let value = match (operator, inputs) {
            ("Identity", [value]) => (*value).clone(),
            ("Cast", [value]) => cast(value, attributes, self.budget)?,
            ("Add" | "Sub" | "Mul" | "Div", [left, right]) => elementwise::apply(operator, left, right, self.budget)?,
            ("Neg", [Value::Scores(scores)]) if scores.is_sum() => {
                Value::Scores(scores.map(|_, output| output.times(-1.0)))
            }
            ("Abs", [Value::Columns(columns)]) => Value::Sizes(columns.clone()),
            // Probabilities are not below 0.
            ("Abs", [value @ Value::Scores(scores)]) if scores.stage != Stage::Raw => (*value).clone(),
            ("LessOrEqual", [Value::Sizes(columns), Value::Tensor(limits)]) => elementwise::present(columns, limits)?,
            ("Where", [Value::Present { columns, never }, Value::Columns(_), Value::Tensor(fill)]) => {
                elementwise::fill(columns, never, fill, self.budget)?
            }
            ("MatMul", [value, Value::Tensor(matrix)]) => shape::multiply(value, matrix, self.budget)?,
            ("Sigmoid", [Value::Scores(scores)]) if scores.is_sum() => Value::Scores(scores.clone().at(Stage::Sigmoid)),
            ("Softmax", [Value::Scores(scores)]) if scores.is_sum() && is_by_row(attributes) => {
                Value::Scores(scores.clone().at(Stage::Softmax))
            }
            ("ReduceSum", [Value::Scores(scores), axes @ ..]) => elementwise::row_sums(scores, axes, attributes)?,
            ("ArgMax", [Value::Scores(_)]) if is_by_row(attributes) => Value::Labels { classes: None },
            ("Concat", values) => shape::concat(values, attributes)?,
            ("Split", [value, Value::Tensor(widths)]) => {
                return shape::split(value, widths, attributes, self.budget);
            }
            ("Gather", [value, places]) => shape::gather(value, places, attributes, self.budget)?,
            ("Reshape", [value, Value::Tensor(form)]) => shape::reshape(value, form)?,
            ("Flatten", [value @ (Value::Columns(_) | Value::Scores(_) | Value::Labels { .. })]) => (*value).clone(),
            ("Shape", [Value::Columns(_)])
                if attributes.integer("start").unwrap_or(0) == 0 && attributes.integer("end") == Some(1) =>
            {
                Value::RowCount
            }
            ("Expand", [Value::Tensor(constant), Value::Shape { width }]) => {
                shape::expand(constant, *width, self.budget)?
            }
            _ => return Err(unknown(operator, inputs)),
        };
        Ok(vec![value])
    }
}

impl Value {
    /// How much there is of it, for the budget.
    fn size(&self) -> usize {
        match self {
            Self::Columns(columns) | Self::Sizes(columns) | Self::Present { columns, .. } => columns.size(),
            Self::Scores(scores) | Self::RowSums(scores) => scores.size(),
            Self::Labels { classes } => 1 + classes.iter().flatten().map(|name| 3 + name.len() / 8).sum::<usize>(),
            Self::Tensor(tensor) => tensor.size(),
            Self::RowCount | Self::Shape { .. } => 1,
        }
    }

    /// What it is, for people.
    fn kind(&self) -> &'static str {
        match self {
            Self::Tensor(_) => "a constant",
            Self::Columns(_) | Self::Sizes(_) | Self::Present { .. } => "columns of the inputs",
            Self::Scores(Scores { normalised: true, .. }) => "scores that were divided by the sum of their row",
            Self::Scores(Scores { stage: Stage::Raw, .. }) => "scores",
            Self::Scores(_) => "probabilities",
            Self::RowSums(_) => "sums of rows",
            Self::Labels { .. } => "labels",
            Self::RowCount | Self::Shape { .. } => "a shape",
        }
    }
}

fn unknown(operator: &str, inputs: &[&Value]) -> Problem {
    let kinds: Vec<&str> = inputs.iter().map(|value| value.kind()).collect();
    let reason = match operator {
        "TreeEnsemble" => "it is of ai.onnx.ml 5; convert with target_opset {'': 15, 'ai.onnx.ml': 3}".to_owned(),
        "OneHotEncoder" | "LabelEncoder" | "OrdinalEncoder" => {
            "categories cannot be imported; encode them before the model".to_owned()
        }
        _ => format!("not of {}; {KNOWN}", kinds.join(" and ")),
    };
    reason.into()
}

/// Whether it works along each row, which is axis 1 or the last one.
fn is_by_row(attributes: &Attributes<'_>) -> bool {
    matches!(attributes.integer("axis"), None | Some(1 | -1))
}

fn cast(value: &Value, attributes: &Attributes<'_>, budget: &Budget) -> Result<Value, Problem> {
    let to = attributes.integer("to");
    Ok(match (value, to) {
        (Value::Columns(columns), Some(to)) if to == i64::from(FLOAT) || to == i64::from(DOUBLE) => {
            Value::Columns(columns.cast(to == i64::from(FLOAT), budget)?)
        }
        (Value::Scores(_), Some(to)) if to == i64::from(FLOAT) || to == i64::from(DOUBLE) => value.clone(),
        (Value::Labels { .. } | Value::Tensor(_), _) => value.clone(),
        _ => return Err("it casts to a type other than floats, which drops what the model goes by".into()),
    })
}
