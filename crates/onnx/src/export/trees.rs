//! Sums of trees as a `TreeEnsembleRegressor`.
//!
//! That operator compares and adds 64-bit floats, but answers 32-bit ones. So each sum is answered in two parts: leaves are
//! written as a multiple of a step that is coarse enough for the sum to be a 32-bit float exactly, and the small rest.
//! The sum of both is as exact as a 64-bit sum.

use driftmill_models::parts::{Node, Rule};

use super::builder::{Builder, Value};
use crate::proto::DOUBLE;

/// Steps of a sum: 2 to the power of this fit twice into the digits of a 32-bit float, which leaves room for rounding.
const STEP_BITS: i32 = 22;
/// Larger sums are beyond 32-bit floats, or nearly so.
const LARGEST_SUM: f64 = 1e37;

/// The attributes of the operator, node by node and leaf by leaf.
#[derive(Default)]
struct Attributes {
    tree_ids: Vec<i64>,
    node_ids: Vec<i64>,
    modes: Vec<Vec<u8>>,
    features: Vec<i64>,
    values: Vec<f64>,
    yes: Vec<i64>,
    no: Vec<i64>,
    missing_yes: Vec<i64>,
    covers: Vec<f32>,
    target_tree_ids: Vec<i64>,
    target_node_ids: Vec<i64>,
    target_ids: Vec<i64>,
    target_weights: Vec<f64>,
}

/// Writes the sums of the trees' leaves and returns their name. Leaves hold a value per sum, or one value, tree after tree
/// for the next sum.
pub(super) fn write(graph: &mut Builder, rows: &str, trees: &[Vec<Node>], n_sums: usize) -> Result<String, String> {
    let steps = steps(trees, n_sums)?;
    let mut attributes = Attributes::default();
    for (number, nodes) in trees.iter().enumerate() {
        attributes.add_tree(number, nodes, &steps);
    }
    if trees.is_empty() {
        // The operator wants one.
        attributes.add_tree(0, &[Node::Leaf { cover: 1.0, values: vec![0.0] }], &steps);
    }
    let parts = graph.ml_node("TreeEnsembleRegressor", &[rows], "sums_in_parts", &attributes.finish(2 * n_sums));
    let parts = graph.node("Cast", &[&parts], "sums_in_parts", &[("to", i64::from(DOUBLE).into())]);
    let widths = graph.integers("widths", &[n_sums as i64; 2]);
    let halves = graph.add("", "Split", &[&parts, &widths], &["coarse", "rest"], &[("axis", 1.into())]);
    Ok(graph.node("Add", &[&halves[0], &halves[1]], "sums", &[]))
}

/// The step of each sum.
fn steps(trees: &[Vec<Node>], n_sums: usize) -> Result<Vec<f64>, String> {
    let mut bounds = vec![0.0; n_sums];
    for (number, nodes) in trees.iter().enumerate() {
        let mut largest = vec![0.0_f64; n_sums];
        for node in nodes {
            let Node::Leaf { values, .. } = node else { continue };
            let places = largest.iter_mut().skip(number * values.len() % n_sums);
            places.zip(values).for_each(|(largest, value)| *largest = largest.max(value.abs()));
        }
        bounds.iter_mut().zip(largest).for_each(|(bound, largest)| *bound += largest);
    }
    if bounds.iter().any(|bound| *bound > LARGEST_SUM) {
        return Err(format!("its leaves add up to more than {LARGEST_SUM:e}, which ONNX's trees cannot answer"));
    }
    Ok(bounds
        .into_iter()
        .map(|bound| if bound > 0.0 { f64::exp2(bound.log2().ceil() - f64::from(STEP_BITS)) } else { 1.0 })
        .collect())
}

impl Attributes {
    fn add_tree(&mut self, number: usize, nodes: &[Node], steps: &[f64]) {
        // Numbers are to begin with 0 and have no gaps. A split on n categories becomes n nodes, one on none no node at all.
        let order = reached(nodes);
        let mut ids = vec![0; nodes.len()];
        let mut next = 0;
        for &node in &order {
            ids[node] = next;
            next += match &nodes[node] {
                Node::Split { rule: Rule::Categories(codes), .. } => codes.len() as i64,
                _ => 1,
            };
        }
        let covers = covers(nodes);
        let id = |node: usize| ids[through(nodes, node)];
        for node in order {
            let at = (number as i64, ids[node]);
            let cover = covers[node] as f32;
            match &nodes[node] {
                Node::Leaf { values, .. } => {
                    // A leaf has no threshold, but ONNX Runtime joins comparisons for equality that lead to leaves with the
                    // same one and the same weight, even of different classes.
                    self.push(at, b"LEAF", (0, at.1 as f64), (0, 0, false), cover);
                    self.push_values(at, number * values.len() % steps.len(), values, steps);
                }
                Node::Split { feature, rule, missing_left, left, right } => {
                    match rule {
                        Rule::Threshold(threshold) => {
                            let children = (id(*left), id(*right), *missing_left);
                            self.push(at, b"BRANCH_LEQ", (*feature, *threshold), children, cover);
                        }
                        Rule::Categories(codes) => {
                            // Those in the set go the other way than missing values: one after another, else the next.
                            let (member, other) = if *missing_left { (*right, *left) } else { (*left, *right) };
                            for (place, code) in codes.iter().enumerate() {
                                let here = (at.0, at.1 + place as i64);
                                let no = if place + 1 < codes.len() { here.1 + 1 } else { id(other) };
                                let children = (id(member), no, false);
                                self.push(here, b"BRANCH_EQ", (*feature, f64::from(*code)), children, cover);
                            }
                        }
                    }
                }
            }
        }
    }

    fn push(
        &mut self,
        (tree, node): (i64, i64),
        mode: &[u8],
        (feature, value): (usize, f64),
        (yes, no, missing_yes): (i64, i64, bool),
        cover: f32,
    ) {
        self.tree_ids.push(tree);
        self.node_ids.push(node);
        self.modes.push(mode.to_vec());
        self.features.push(feature as i64);
        self.values.push(value);
        self.yes.push(yes);
        self.no.push(no);
        self.missing_yes.push(i64::from(missing_yes));
        self.covers.push(cover.clamp(f32::MIN_POSITIVE, f32::MAX));
    }

    /// Both parts of a leaf's values; at least one, as a leaf without a value is none.
    fn push_values(&mut self, (tree, node): (i64, i64), first: usize, values: &[f64], steps: &[f64]) {
        let before = self.target_ids.len();
        for (sum, value) in (first..).zip(values) {
            let coarse = (value / steps[sum]).round() * steps[sum];
            for (target, part) in [(sum, coarse), (sum + steps.len(), value - coarse)] {
                if part != 0.0 {
                    self.target_ids.push(target as i64);
                    self.target_weights.push(part);
                }
            }
        }
        if self.target_ids.len() == before {
            self.target_ids.push(first as i64);
            self.target_weights.push(0.0);
        }
        self.target_tree_ids.resize(self.target_ids.len(), tree);
        self.target_node_ids.resize(self.target_ids.len(), node);
    }

    fn finish(self, n_targets: usize) -> [(&'static str, Value); 16] {
        [
            ("n_targets", (n_targets as i64).into()),
            ("aggregate_function", Value::Text("SUM")),
            ("post_transform", Value::Text("NONE")),
            ("nodes_treeids", Value::Integers(self.tree_ids)),
            ("nodes_nodeids", Value::Integers(self.node_ids)),
            ("nodes_modes", Value::Texts(self.modes)),
            ("nodes_featureids", Value::Integers(self.features)),
            ("nodes_values_as_tensor", Value::Doubles(self.values)),
            ("nodes_truenodeids", Value::Integers(self.yes)),
            ("nodes_falsenodeids", Value::Integers(self.no)),
            ("nodes_missing_value_tracks_true", Value::Integers(self.missing_yes)),
            ("nodes_hitrates", Value::Floats(self.covers)),
            ("target_treeids", Value::Integers(self.target_tree_ids)),
            ("target_nodeids", Value::Integers(self.target_node_ids)),
            ("target_ids", Value::Integers(self.target_ids)),
            ("target_weights_as_tensor", Value::Doubles(self.target_weights)),
        ]
    }
}

/// The nodes from the root down, a parent before its children. Those that only a set without members leads to are left out.
fn reached(nodes: &[Node]) -> Vec<usize> {
    let mut order = Vec::with_capacity(nodes.len());
    let mut pending = vec![through(nodes, 0)];
    while let Some(node) = pending.pop() {
        order.push(node);
        if let Node::Split { left, right, .. } = &nodes[node] {
            pending.push(through(nodes, *right));
            pending.push(through(nodes, *left));
        }
    }
    order
}

/// The node itself, or the one that all rows go on to when its set of categories has no members.
fn through(nodes: &[Node], mut node: usize) -> usize {
    while let Node::Split { rule: Rule::Categories(codes), missing_left, left, right, .. } = &nodes[node] {
        if !codes.is_empty() {
            break;
        }
        node = if *missing_left { *left } else { *right };
    }
    node
}

/// The cover of each node: an inner one's is that of its leaves. Children come after their parent.
fn covers(nodes: &[Node]) -> Vec<f64> {
    let mut covers = vec![0.0; nodes.len()];
    for (number, node) in nodes.iter().enumerate().rev() {
        covers[number] = match node {
            Node::Leaf { cover, .. } => *cover,
            Node::Split { left, right, .. } => covers[*left] + covers[*right],
        };
    }
    covers
}
