//! Graphs as others write them, and what is not to be had.

use driftmill_models::Table;
use ndarray::array;
use prost::Message;

use crate::proto::{self, DOUBLE, FLOAT, ML, STRING};
use crate::{Error, Imported, import};

fn attribute(name: &str) -> proto::Attribute {
    proto::Attribute { name: name.to_owned(), ..Default::default() }
}

fn floats(name: &str, floats: &[f32]) -> proto::Attribute {
    proto::Attribute { floats: floats.to_vec(), ..attribute(name) }
}

fn integers(name: &str, ints: &[i64]) -> proto::Attribute {
    proto::Attribute { ints: ints.to_vec(), ..attribute(name) }
}

fn text(name: &str, text: &str) -> proto::Attribute {
    proto::Attribute { s: Some(text.as_bytes().to_vec()), ..attribute(name) }
}

fn texts(name: &str, texts: &[&str]) -> proto::Attribute {
    proto::Attribute { strings: texts.iter().map(|text| text.as_bytes().to_vec()).collect(), ..attribute(name) }
}

fn integer(name: &str, i: i64) -> proto::Attribute {
    proto::Attribute { i: Some(i), ..attribute(name) }
}

fn node(
    domain: &str,
    operator: &str,
    input: &[&str],
    output: &[&str],
    attribute: Vec<proto::Attribute>,
) -> proto::Node {
    proto::Node {
        input: input.iter().map(|&name| name.to_owned()).collect(),
        output: output.iter().map(|&name| name.to_owned()).collect(),
        op_type: operator.to_owned(),
        domain: domain.to_owned(),
        attribute,
        ..Default::default()
    }
}

fn info(name: &str, elem_type: i32, width: Option<i64>) -> proto::ValueInfo {
    let dim = |dim_value| proto::Dimension { dim_value, dim_param: None };
    let shape = Some(proto::Shape { dim: vec![dim(None), dim(width)] });
    let tensor_type = Some(proto::TensorType { elem_type, shape });
    proto::ValueInfo { name: name.to_owned(), r#type: Some(proto::Type { tensor_type }) }
}

/// A model whose outputs are those of the last node.
fn file(inputs: Vec<proto::ValueInfo>, nodes: Vec<proto::Node>) -> Vec<u8> {
    let output = nodes.last().unwrap().output.iter().map(|name| info(name, FLOAT, None)).collect();
    let graph = proto::Graph { node: nodes, input: inputs, output, ..Default::default() };
    proto::Model { ir_version: 8, graph: Some(graph), ..Default::default() }.encode_to_vec()
}

/// A tree on one column: `modes` and `values` of the splits, whose children are given; leaves answer 0, 1, 2 and so on.
fn tree(modes: &[&str], values: &[f32], yes: &[i64], no: &[i64]) -> proto::Node {
    let n_splits = modes.len();
    let n_nodes = 2 * n_splits + 1;
    let with_leaves = |of_splits: &[i64]| [of_splits, &vec![0; n_nodes - n_splits]].concat();
    let mut all_modes = modes.to_vec();
    all_modes.resize(n_nodes, "LEAF");
    let leaves: Vec<i64> = (n_splits as i64..n_nodes as i64).collect();
    let attributes = vec![
        integers("nodes_treeids", &vec![0; n_nodes]),
        integers("nodes_nodeids", &(0..n_nodes as i64).collect::<Vec<_>>()),
        integers("nodes_featureids", &vec![0; n_nodes]),
        texts("nodes_modes", &all_modes),
        floats("nodes_values", &[values, &vec![0.0; n_nodes - n_splits]].concat()),
        integers("nodes_truenodeids", &with_leaves(yes)),
        integers("nodes_falsenodeids", &with_leaves(no)),
        integers("target_treeids", &vec![0; leaves.len()]),
        integers("target_nodeids", &leaves),
        integers("target_ids", &vec![0; leaves.len()]),
        floats("target_weights", &(0..leaves.len()).map(|leaf| leaf as f32).collect::<Vec<_>>()),
        integer("n_targets", 1),
    ];
    node(ML, "TreeEnsembleRegressor", &["scaled"], &["variable"], attributes)
}

fn scaler(offset: f32, scale: f32) -> proto::Node {
    let attributes = vec![floats("offset", &[offset]), floats("scale", &[scale])];
    node(ML, "Scaler", &["input"], &["scaled"], attributes)
}

fn one_column() -> Vec<proto::ValueInfo> {
    vec![info("input", FLOAT, Some(1))]
}

fn values(imported: &Imported, inputs: &[f64]) -> Vec<f64> {
    let rows = ndarray::Array2::from_shape_vec((inputs.len(), 1), inputs.to_vec()).unwrap();
    imported.estimator.values(&Table::of_numbers(rows.view())).unwrap().to_vec()
}

#[test]
fn a_threshold_after_a_scaler_is_the_same_threshold_on_the_input_to_the_bit() {
    for (mode, holds) in [
        ("BRANCH_LEQ", (|a, b| a <= b) as fn(f32, f32) -> bool),
        ("BRANCH_LT", |a, b| a < b),
        ("BRANCH_GTE", |a, b| a >= b),
        ("BRANCH_GT", |a, b| a > b),
    ] {
        for scale in [0.37_f32, -2.3] {
            let at = (0.1_f32 - 0.7) * scale;
            let bytes = file(one_column(), vec![scaler(0.7, scale), tree(&[mode], &[at], &[1], &[2])]);
            let imported = import(&bytes).unwrap();
            let mut input = 0.1_f32;
            (0..20).for_each(|_| input = input.next_down());
            for _ in 0..40 {
                let expected = if holds((input - 0.7) * scale, at) { 0.0 } else { 1.0 };
                assert_eq!(values(&imported, &[f64::from(input)]), [expected], "{mode} {scale} {input}");
                // A row of more digits is as if rounded first.
                let between = f64::from(input).next_up();
                assert_eq!(values(&imported, &[between]), [expected]);
                input = input.next_up();
            }
        }
    }
}

#[test]
fn missing_values_go_where_the_graph_sends_them() {
    let graph = |missing: i64, imputed: Option<f32>| {
        let mut tree = tree(&["BRANCH_LEQ"], &[0.5], &[1], &[2]);
        tree.attribute.push(integers("nodes_missing_value_tracks_true", &[missing, 0, 0]));
        let first = match imputed {
            Some(value) => {
                let nan = proto::Attribute { f: Some(f32::NAN), ..attribute("replaced_value_float") };
                node(ML, "Imputer", &["input"], &["scaled"], vec![floats("imputed_value_floats", &[value]), nan])
            }
            None => scaler(0.0, 1.0),
        };
        values(&import(&file(one_column(), vec![first, tree])).unwrap(), &[f64::NAN, 0.0, 1.0])
    };
    assert_eq!(graph(0, None), [1.0, 0.0, 1.0]);
    assert_eq!(graph(1, None), [0.0, 0.0, 1.0]);
    assert_eq!(graph(1, Some(3.0)), [1.0, 0.0, 1.0]);
    assert_eq!(graph(0, Some(-3.0)), [0.0, 0.0, 1.0]);
}

#[test]
fn comparisons_for_equality_are_categories() {
    let scaled = node("", "Identity", &["input"], &["scaled"], vec![]);
    let nodes = vec![scaled.clone(), tree(&["BRANCH_EQ", "BRANCH_NEQ"], &[3.0, 7.0], &[2, 3], &[1, 4])];
    let imported = import(&file(one_column(), nodes)).unwrap();
    assert_eq!(values(&imported, &[3.0, 7.0, 0.0, f64::NAN]), [0.0, 2.0, 1.0, 1.0]);
    let nodes = vec![scaled, tree(&["BRANCH_EQ", "BRANCH_EQ"], &[3.0, 7.0], &[2, 3], &[1, 4])];
    let imported = import(&file(one_column(), nodes)).unwrap();
    assert_eq!(values(&imported, &[3.0, 7.0, 0.0, 3.5, f64::NAN]), [0.0, 1.0, 2.0, 2.0, 2.0]);
}

#[test]
fn trees_with_cycles_or_shared_nodes_are_refused() {
    let refused = |yes: &[i64], no: &[i64]| {
        let nodes = vec![scaler(0.0, 1.0), tree(&["BRANCH_LEQ", "BRANCH_LEQ"], &[0.5, 0.7], yes, no)];
        import(&file(one_column(), nodes)).unwrap_err().to_string()
    };
    assert!(refused(&[1, 0], &[2, 3]).contains("no way leads to"));
    assert!(refused(&[1, 2], &[2, 3]).contains("no root, or several"));
    assert!(refused(&[1, 99], &[2, 3]).contains("has no child 99"));
    let mut shared = tree(&["BRANCH_LEQ", "BRANCH_LEQ"], &[0.5, 0.7], &[1, 2], &[2, 3]);
    for attribute in &mut shared.attribute {
        attribute.ints.truncate(if attribute.name.starts_with("nodes") { 4 } else { 2 });
        attribute.floats.truncate(if attribute.name.starts_with("nodes") { 4 } else { 2 });
        attribute.strings.truncate(4);
    }
    let text = import(&file(one_column(), vec![scaler(0.0, 1.0), shared])).unwrap_err().to_string();
    assert!(text.contains("two parents"), "{text}");
}

#[test]
fn operators_without_a_model_of_ours_are_refused_by_name() {
    let refused = |operator: &str, domain: &str| {
        let nodes = vec![node(domain, operator, &["input"], &["variable"], vec![])];
        import(&file(one_column(), nodes)).unwrap_err()
    };
    for (operator, domain) in [("Conv", ""), ("SVMClassifier", ML), ("Normalizer", ML), ("FusedGemm", "com.microsoft")]
    {
        let error = refused(operator, domain);
        assert!(matches!(&error, Error::Operator { number: 0, operator: named, .. } if named == operator), "{error}");
    }
    let text = refused("Conv", "").to_string();
    assert!(
        text.starts_with("node 0 of the ONNX graph, `Conv`, cannot be imported: not of columns of the inputs; known")
    );
}

/// A graph of nodes with constants of 64-bit floats or, for axes, integers.
fn file_with(constants: &[(&str, &[i64], &[f64])], nodes: Vec<proto::Node>) -> Vec<u8> {
    let mut model = proto::Model::decode(file(one_column(), nodes).as_slice()).unwrap();
    let constant = |(name, dims, numbers): &(&str, &[i64], &[f64])| proto::Tensor {
        name: (*name).to_owned(),
        dims: dims.to_vec(),
        data_type: DOUBLE,
        double_data: numbers.to_vec(),
        ..Default::default()
    };
    model.graph.as_mut().unwrap().initializer = constants.iter().map(constant).collect();
    model.encode_to_vec()
}

/// Two scores of one column, x and 1 - x.
fn two_scores() -> proto::Node {
    let attributes =
        vec![floats("coefficients", &[1.0, -1.0]), floats("intercepts", &[0.0, 1.0]), integer("targets", 2)];
    node(ML, "LinearRegressor", &["input"], &["scores"], attributes)
}

#[test]
fn what_is_divided_by_the_sum_of_its_row_is_never_taken_for_what_was_not() {
    let matrix: (&str, &[i64], &[f64]) = ("matrix", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let normalised = || node(ML, "Normalizer", &["scores"], &["shares"], vec![text("norm", "L1")]);
    let by_sum = || {
        let sums = node("", "ReduceSum", &["scores"], &["sums"], vec![integers("axes", &[1])]);
        vec![sums, node("", "Div", &["scores", "sums"], &["shares"], vec![])]
    };
    let after = [
        ("Softmax", node("", "Softmax", &["shares"], &["probabilities"], vec![])),
        ("Sigmoid", node("", "Sigmoid", &["shares"], &["probabilities"], vec![])),
        ("MatMul", node("", "MatMul", &["shares", "matrix"], &["variable"], vec![])),
        ("Add", node("", "Add", &["shares", "matrix"], &["variable"], vec![])),
        ("Concat", node("", "Concat", &["scores", "shares"], &["variable"], vec![integer("axis", 1)])),
        ("TreeEnsembleRegressor", {
            let mut tree = tree(&["BRANCH_LEQ"], &[0.5], &[1], &[2]);
            tree.input = vec!["shares".to_owned()];
            tree
        }),
        ("LinearRegressor", node(ML, "LinearRegressor", &["shares"], &["variable"], vec![])),
    ];
    for (operator, last) in after {
        for first in [vec![normalised()], by_sum()] {
            let nodes = [vec![two_scores()], first, vec![last.clone()]].concat();
            let error = import(&file_with(&[matrix], nodes)).unwrap_err();
            assert!(
                matches!(&error, Error::Operator { operator: named, .. } if named == operator),
                "{operator}: {error}"
            );
        }
    }
    // As the last step of a regression it is no weighted sum either.
    let one = node(ML, "LinearRegressor", &["input"], &["scores"], vec![floats("coefficients", &[2.0])]);
    let error = import(&file(one_column(), vec![one, normalised()])).unwrap_err().to_string();
    assert!(error.contains("divides by their row's"), "{error}");
    // Probabilities stay what they are.
    let softmax = node("", "Softmax", &["scores"], &["all"], vec![]);
    let mut last = normalised();
    last.input = vec!["all".to_owned()];
    let imported = import(&file(one_column(), vec![two_scores(), softmax, last])).unwrap();
    let answer = imported.estimator.outputs(&Table::of_numbers(array![[2.0]].view())).unwrap();
    assert!((answer[(0, 1)] - 1.0 / (1.0 + 3.0_f64.exp())).abs() < 1e-12);
}

#[test]
fn sums_other_than_of_each_row_are_refused() {
    let refused = |inputs: &[&str], attributes: Vec<proto::Attribute>| {
        let softmax = node("", "Softmax", &["scores"], &["all"], vec![]);
        let nodes = vec![
            two_scores(),
            softmax,
            node("", "ReduceSum", inputs, &["sums"], attributes),
            node("", "Div", &["all", "sums"], &["shares"], vec![]),
        ];
        let constants: [(&str, &[i64], &[f64]); 2] = [("rows", &[1], &[0.0]), ("columns", &[1], &[1.0])];
        import(&file_with(&constants, nodes)).err().map(|error| error.to_string())
    };
    for (inputs, attributes) in [
        (vec!["all"], vec![]),
        (vec!["all"], vec![integers("axes", &[0])]),
        (vec!["all"], vec![integers("axes", &[0, 1])]),
        (vec!["all", "rows"], vec![]),
        (vec!["all", "columns"], vec![integer("keepdims", 0)]),
    ] {
        let error = refused(&inputs, attributes).unwrap();
        assert!(error.contains("`ReduceSum`") && error.contains("axes 1"), "{error}");
    }
    assert_eq!(refused(&["all", "columns"], vec![]), None);
    assert_eq!(refused(&["all"], vec![integers("axes", &[-1])]), None);
}

#[test]
fn columns_that_operators_copy_are_paid_for() {
    // A column that is picked a hundred thousand times, again and again: some bytes each time, megabytes in memory.
    let places: Vec<f64> = vec![0.0; 100_000];
    let dims = [places.len() as i64];
    let gathers = |count: usize| -> Vec<proto::Node> {
        let gather = |number: usize| {
            node("", "Gather", &["input", "places"], &[&format!("columns{number}")], vec![integer("axis", 1)])
        };
        (0..count).map(gather).collect()
    };
    let refused = |nodes| import(&file_with(&[("places", &dims, &places)], nodes)).unwrap_err();
    assert!(matches!(refused(gathers(2)), Error::Unsupported(_)));
    let error = refused(gathers(200));
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    // So is a step on each of them, with all that came before it.
    let mut steps = gathers(1);
    steps.extend((0..31).map(|number| {
        let from = if number == 0 { "columns0".to_owned() } else { format!("scaled{}", number - 1) };
        node("", "Add", &[&from, "one"], &[&format!("scaled{number}")], vec![])
    }));
    let one: (&str, &[i64], &[f64]) = ("one", &[1], &[1.0]);
    let error = import(&file_with(&[("places", &dims, &places), one], steps)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    // And the sums of trees that add to one of many.
    let mut trees = Vec::new();
    for number in 0..120 {
        let mut tree = tree(&["BRANCH_LEQ"], &[0.5], &[1], &[2]);
        tree.input = vec!["input".to_owned()];
        tree.output = vec![format!("variable{number}")];
        tree.attribute.retain(|attribute| attribute.name != "n_targets");
        tree.attribute.push(integer("n_targets", 65_536));
        trees.push(tree);
    }
    let error = import(&file(one_column(), trees)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn graphs_that_cannot_be_followed_are_refused() {
    let identity = |from: &str, to: &str| node("", "Identity", &[from], &[to], vec![]);
    let refused = |nodes| import(&file(one_column(), nodes)).unwrap_err().to_string();
    assert!(refused(vec![identity("a", "b"), identity("b", "a")]).contains("uses `a` before it is made"));
    assert!(refused(vec![identity("input", "input")]).contains("`input` is made twice"));
    assert!(refused(vec![identity("input", "b")]).contains("not what a model answers"));
}

#[test]
fn inputs_that_are_no_numbers_or_of_unknown_width_are_refused() {
    let refused = |input| import(&file(vec![input], vec![scaler(0.0, 1.0)])).unwrap_err().to_string();
    assert!(refused(info("input", STRING, Some(1))).contains("`input` is of texts"));
    assert!(refused(info("input", DOUBLE, None)).contains("FloatTensorType([None, 4])"));
    assert!(refused(info("input", DOUBLE, Some(1 << 40))).contains("rows × columns"));
}

#[test]
fn a_linear_classifier_with_a_scaler_is_a_logistic_regression() {
    let classifier = |transform: &str| {
        let attributes = vec![
            floats("coefficients", &[-2.0, 2.0]),
            floats("intercepts", &[-0.5, 0.5]),
            texts("classlabels_strings", &["no", "yes"]),
            text("post_transform", transform),
        ];
        let nodes =
            vec![scaler(1.0, 0.5), node(ML, "LinearClassifier", &["scaled"], &["label", "probabilities"], attributes)];
        import(&file(one_column(), nodes))
    };
    let imported = classifier("LOGISTIC").unwrap();
    assert_eq!(
        (imported.estimator.algorithm(), imported.classes.join(" ")),
        ("logistic_regression", "no yes".to_owned())
    );
    assert_eq!(imported.feature_names, ["input"]);
    let answer = |value: f64| imported.estimator.outputs(&Table::of_numbers(array![[value]].view())).unwrap()[(0, 1)];
    assert!((answer(3.0) - 1.0 / (1.0 + (-2.5_f64).exp())).abs() < 1e-12);
    // A missing value counts as the scaler's centre.
    assert!((answer(f64::NAN) - 1.0 / (1.0 + (-0.5_f64).exp())).abs() < 1e-12);
    assert!(classifier("NONE").unwrap_err().to_string().contains("LinearSVC"));
}
