use super::*;

/// x0 <= 1.5 ? (x1 <= 0 ? 10 : 20) : 30, missing x0 to the right, missing x1 to the left.
fn tree() -> Tree {
    let mut builder = TreeBuilder::new(1);
    let (left, right) = builder.push_split(Link::Root, 0, Rule::Threshold(1.5), false);
    let (inner_left, inner_right) = builder.push_split(left, 1, Rule::Threshold(0.0), true);
    builder.push_leaf(inner_left, 1.0, [10.0]);
    builder.push_leaf(inner_right, 1.0, [20.0]);
    builder.push_leaf(right, 1.0, [30.0]);
    builder.finish()
}

#[test]
fn a_row_follows_thresholds_and_missing_values_their_side() {
    let tree = tree();
    assert_eq!(tree.leaf(&[1.5, 0.0]), [10.0]);
    assert_eq!(tree.leaf(&[1.5, 0.1]), [20.0]);
    assert_eq!(tree.leaf(&[1.6, 0.0]), [30.0]);
    assert_eq!(tree.leaf(&[f64::NAN, 0.0]), [30.0]);
    assert_eq!(tree.leaf(&[0.0, f64::NAN]), [10.0]);
    assert_eq!((tree.n_splits(), tree.n_leaves(), tree.depth()), (2, 3, 2));
}

#[test]
fn a_single_leaf_answers_every_row() {
    let mut builder = TreeBuilder::new(2);
    builder.push_leaf(Link::Root, 1.0, [0.25, 0.75]);
    let tree = builder.finish();
    assert_eq!(tree.leaf(&[]), [0.25, 0.75]);
    assert_eq!(tree.depth(), 0);
    assert!(tree.validate(0, 2).is_ok());
}

#[test]
fn a_tampered_tree_is_refused() {
    assert!(tree().validate(2, 1).is_ok());
    assert!(tree().validate(1, 1).is_err(), "a feature the rows do not have");
    assert!(tree().validate(2, 2).is_err(), "leaves of another width");
    let tampered = |change: fn(&mut Tree)| {
        let mut tree = tree();
        change(&mut tree);
        tree.validate(2, 1)
    };
    assert!(tampered(|tree| tree.nodes[1].children[0] = 1).is_err(), "a cycle of one");
    assert!(tampered(|tree| tree.nodes[1].children[0] = 0).is_err(), "a way back");
    assert!(tampered(|tree| tree.nodes[0].children[0] = 9).is_err(), "a node that is not there");
    assert!(tampered(|tree| tree.nodes[0].children[1] = LEAF | 9).is_err(), "a leaf that is not there");
    assert!(tampered(|tree| tree.nodes[0].children[1] = LEAF).is_err(), "a leaf used twice");
    assert!(tampered(|tree| tree.root = 1).is_err(), "a root in the middle");
    assert!(tampered(|tree| tree.nodes[0].threshold = f64::NAN).is_err());
    assert!(tampered(|tree| tree.leaves[0] = f64::INFINITY).is_err());
    assert!(tampered(|tree| tree.leaves.truncate(2)).is_err());
    assert!(tampered(|tree| tree.covers[1] = 0.0).is_err(), "a leaf that no row reached");
    assert!(tampered(|tree| tree.covers[1] = f64::NAN).is_err());
    assert!(tampered(|tree| tree.covers.truncate(2)).is_err());
    assert!(tampered(|tree| tree.sets.push(Set::default())).is_err(), "a set that no split has");
    assert!(tampered(|tree| tree.nodes[1].feature |= CATEGORICAL).is_err(), "a split without its set");
}

/// x0 in {3, 200} ? 10 : 20, and the same with missing values to the left.
fn categorical(missing_left: bool) -> Tree {
    let mut builder = TreeBuilder::new(1);
    let rule = Rule::Categories([3, 200].into_iter().collect());
    let (left, right) = builder.push_split(Link::Root, 0, rule, missing_left);
    builder.push_leaf(left, 1.0, [10.0]);
    builder.push_leaf(right, 1.0, [20.0]);
    builder.finish()
}

#[test]
fn categories_out_of_the_set_go_with_missing_values() {
    for (missing_left, in_set, others) in [(false, [10.0], [20.0]), (true, [20.0], [10.0])] {
        let tree = categorical(missing_left);
        assert!(tree.validate(1, 1).is_ok());
        assert!([3.0, 200.0].iter().all(|&value| tree.leaf(&[value]) == in_set));
        let others_go = |value: &f64| tree.leaf(&[*value]) == others;
        assert!([0.0, 4.0, 255.0, -1.0, 256.0, 3.5, f64::NAN, f64::INFINITY].iter().all(others_go));
    }
}

#[test]
fn sets_of_categories_stay_with_their_splits() {
    let mut tree = categorical(false);
    tree.nodes[0].threshold = 1.0;
    assert!(tree.validate(1, 1).is_err());
    tree.nodes[0].threshold = 0.5;
    assert!(tree.validate(1, 1).is_err());
}

#[test]
fn many_rows_and_many_trees_walk_as_one_row_does() {
    let trees: Vec<Tree> = (0..19).map(|i| if i % 3 == 0 { categorical(i % 2 == 0) } else { tree() }).collect();
    let rows: Vec<f64> = (0..46).map(|i| f64::from(i % 5)).collect();
    for row in rows.chunks(2) {
        for_each_tree(&trees, None, row, |index, values| assert_eq!(values, trees[index].leaf(row)));
    }
    for_each_row(&trees, None, &rows, 2, |tree, row, values| {
        assert_eq!(values, trees[tree].leaf(&rows[2 * row..][..2]));
    });
}
