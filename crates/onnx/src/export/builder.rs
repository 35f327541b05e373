//! A graph in the making.

use std::collections::HashSet;

use crate::proto::{self, DOUBLE, INT64, STRING, attribute_type};

/// Names that belong to the graph's interface.
const RESERVED: [&str; 4] = ["input", "label", "probabilities", "variable"];

/// The value of an attribute.
pub(super) enum Value {
    Float(f32),
    Integer(i64),
    Text(&'static str),
    Doubles(Vec<f64>),
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    Texts(Vec<Vec<u8>>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

/// Nodes in the order of their making; names are kept apart.
pub(super) struct Builder {
    graph: proto::Graph,
    names: HashSet<String>,
}

impl Builder {
    pub fn new() -> Self {
        let graph = proto::Graph { name: "driftmill".to_owned(), ..proto::Graph::default() };
        Self { graph, names: RESERVED.map(str::to_owned).into() }
    }

    /// A name like the wanted one that nothing has yet.
    pub fn name(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while name.is_empty() || !self.names.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    pub fn input(&mut self, name: &str, kind: i32, width: usize) {
        self.graph.input.push(info(name, kind, &[width]));
    }

    pub fn output(&mut self, name: &str, kind: i32, widths: &[usize]) {
        // The label comes first, as scikit-learn's exporter has it.
        let place = if name == "label" { 0 } else { self.graph.output.len() };
        self.graph.output.insert(place, info(name, kind, widths));
    }

    pub fn doubles(&mut self, name: &str, dims: &[usize], values: Vec<f64>) -> String {
        let dims = dims.iter().map(|&dim| dim as i64).collect();
        self.constant(name, proto::Tensor { dims, data_type: DOUBLE, double_data: values, ..Default::default() })
    }

    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let dims = vec![values.len() as i64];
        let int64_data = values.to_vec();
        self.constant(name, proto::Tensor { dims, data_type: INT64, int64_data, ..Default::default() })
    }

    pub fn texts(&mut self, name: &str, values: &[String]) -> String {
        let dims = vec![values.len() as i64];
        let string_data = values.iter().map(|text| text.clone().into_bytes()).collect();
        self.constant(name, proto::Tensor { dims, data_type: STRING, string_data, ..Default::default() })
    }

    fn constant(&mut self, name: &str, tensor: proto::Tensor) -> String {
        let name = self.name(name);
        self.graph.initializer.push(proto::Tensor { name: name.clone(), ..tensor });
        name
    }

    /// Adds a node with one output and returns that output's name: the wanted one, if it is still to be had or one of the
    /// interface.
    pub fn node(&mut self, operator: &str, inputs: &[&str], wanted: &str, attributes: &[(&str, Value)]) -> String {
        self.add("", operator, inputs, &[wanted], attributes).remove(0)
    }

    /// The same, of the operators of classical machine learning.
    pub fn ml_node(&mut self, operator: &str, inputs: &[&str], wanted: &str, attributes: &[(&str, Value)]) -> String {
        self.add(proto::ML, operator, inputs, &[wanted], attributes).remove(0)
    }

    /// Adds a node and returns the names of its outputs.
    pub fn add(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        wanted: &[&str],
        attributes: &[(&str, Value)],
    ) -> Vec<String> {
        let output: Vec<String> = wanted
            .iter()
            .map(|wanted| if RESERVED.contains(wanted) { (*wanted).to_owned() } else { self.name(wanted) })
            .collect();
        self.graph.node.push(proto::Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: output.clone(),
            name: format!("{operator}_{}", self.graph.node.len()),
            op_type: operator.to_owned(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            domain: domain.to_owned(),
        });
        output
    }

    pub fn finish(self) -> proto::Graph {
        self.graph
    }
}

/// A tensor of any number of rows.
fn info(name: &str, elem_type: i32, widths: &[usize]) -> proto::ValueInfo {
    let rows = proto::Dimension { dim_param: Some("N".to_owned()), dim_value: None };
    let width = |&width: &usize| proto::Dimension { dim_value: Some(width as i64), dim_param: None };
    let shape = Some(proto::Shape { dim: std::iter::once(rows).chain(widths.iter().map(width)).collect() });
    let tensor_type = Some(proto::TensorType { elem_type, shape });
    proto::ValueInfo { name: name.to_owned(), r#type: Some(proto::Type { tensor_type }) }
}

fn attribute(name: &str, value: &Value) -> proto::Attribute {
    let mut attribute = proto::Attribute { name: name.to_owned(), ..Default::default() };
    attribute.r#type = match value {
        Value::Float(value) => {
            attribute.f = Some(*value);
            attribute_type::FLOAT
        }
        Value::Integer(value) => {
            attribute.i = Some(*value);
            attribute_type::INT
        }
        Value::Text(value) => {
            attribute.s = Some(value.as_bytes().to_vec());
            attribute_type::STRING
        }
        Value::Doubles(values) => {
            let (dims, name) = (vec![values.len() as i64], name.to_owned());
            let double_data = values.clone();
            let tensor = proto::Tensor { dims, data_type: DOUBLE, double_data, name, ..Default::default() };
            attribute.t = Some(Box::new(tensor));
            attribute_type::TENSOR
        }
        Value::Floats(values) => {
            attribute.floats.clone_from(values);
            attribute_type::FLOATS
        }
        Value::Integers(values) => {
            attribute.ints.clone_from(values);
            attribute_type::INTS
        }
        Value::Texts(values) => {
            attribute.strings.clone_from(values);
            attribute_type::STRINGS
        }
    };
    attribute
}
