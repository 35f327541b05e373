use ndarray::Array2;

use super::*;
use crate::test_data;

fn leaf(values: &[f64]) -> Node {
    Node::Leaf { cover: 1.0, values: values.to_vec() }
}

fn split(left: usize, right: usize) -> Node {
    Node::Split { feature: 0, rule: Rule::Threshold(0.5), missing_left: false, left, right }
}

#[test]
fn a_model_taken_apart_and_put_together_is_the_same() {
    for n_classes in [2, 3] {
        for model in test_data::one_of_each(&test_data::gappy(200, n_classes)) {
            let again = Model::from_parts(model.to_parts()).unwrap();
            let records = test_data::gappy(50, n_classes).records;
            assert_eq!(again.outputs(records.view()).unwrap(), model.outputs(records.view()).unwrap());
        }
    }
    for model in test_data::one_of_each_regression(&test_data::curve(100, 1)) {
        let again = Model::from_parts(model.to_parts()).unwrap();
        let records = Array2::from_shape_fn((20, 6), |(row, column)| (row * column) as f64 / 20.0);
        assert_eq!(again.outputs(records.view()).unwrap(), model.outputs(records.view()).unwrap());
    }
}

#[test]
fn splits_on_categories_keep_their_sets() {
    let rule = Rule::Categories(vec![1, 70]);
    let nodes = vec![
        Node::Split { feature: 0, rule, missing_left: true, left: 1, right: 2 },
        leaf(&[1.0]),
        Node::Leaf { cover: 3.0, values: vec![2.0] },
    ];
    let parts = Parts::RandomForest { n_features: 1, task: Task::Regression, trees: vec![nodes] };
    let model = Model::from_parts(parts.clone()).unwrap();
    let answer = |value| model.predict_value(&[value]).unwrap();
    assert_eq!([1.0, 70.0, 2.0, f64::NAN].map(answer), [2.0, 2.0, 1.0, 1.0]);
    assert_eq!(model.to_parts(), parts);
}

#[test]
fn nodes_that_are_no_tree_are_refused() {
    let forest = |tree: Vec<Node>| {
        Model::from_parts(Parts::RandomForest { n_features: 1, task: Task::Regression, trees: vec![tree] })
    };
    assert!(forest(vec![split(1, 2), leaf(&[1.0]), leaf(&[2.0])]).is_ok());
    for (what, tree) in [
        ("nothing", vec![]),
        ("a cycle", vec![split(0, 1), leaf(&[1.0])]),
        ("two parents", vec![split(1, 1), leaf(&[1.0])]),
        ("a child that is not there", vec![split(1, 2), leaf(&[1.0])]),
        ("a node that is not reached", vec![leaf(&[1.0]), leaf(&[2.0])]),
        ("another width", vec![leaf(&[1.0, 2.0])]),
        ("a value that is not finite", vec![leaf(&[f64::NAN])]),
        ("no cover", vec![Node::Leaf { cover: 0.0, values: vec![1.0] }]),
    ] {
        assert!(matches!(forest(tree), Err(Error::Parts(_))), "{what}");
    }
    let feature = Node::Split { feature: 7, rule: Rule::Threshold(0.5), missing_left: false, left: 1, right: 2 };
    assert!(forest(vec![feature, leaf(&[1.0]), leaf(&[2.0])]).is_err());
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    let sums = WeightedSums {
        fill: vec![0.0; 2],
        shift: vec![0.0; 2],
        scale: vec![1.0; 2],
        coefficients: vec![vec![1.0, 2.0]],
        intercepts: vec![0.5],
    };
    let linear = |sums| Model::from_parts(Parts::LinearRegression { sums });
    assert_eq!(linear(sums.clone()).unwrap().predict_value(&[1.0, f64::NAN]).unwrap(), 1.5);
    assert!(linear(WeightedSums { fill: vec![0.0], ..sums.clone() }).is_err());
    assert!(linear(WeightedSums { scale: vec![f64::NAN; 2], ..sums.clone() }).is_err());
    assert!(linear(WeightedSums { coefficients: vec![], intercepts: vec![], ..sums.clone() }).is_err());
    assert!(Model::from_parts(Parts::LogisticRegression { n_classes: 3, sums: sums.clone() }).is_err());
    assert!(Model::from_parts(Parts::LogisticRegression { n_classes: 2, sums }).is_ok());
}
