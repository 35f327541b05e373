use rand_chacha::rand_core::RngCore;

use super::super::{Link, Rule, TreeBuilder};
use super::*;
use crate::category::Set;
use crate::random;

/// A value out of few, so that rows meet thresholds and categories.
fn value(random: u32) -> f64 {
    match random % 12 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => -0.0,
        4 => 200.0,
        5 => 0.5,
        number => f64::from(number) - 7.0,
    }
}

/// Features up to 3 are split by thresholds, those from 3 on by categories: of 3 by both.
fn grown(rng: &mut impl RngCore, leaves: usize, width: usize, n_features: usize, different: u32) -> Tree {
    let mut tree = TreeBuilder::new(width);
    let mut open = vec![Link::Root];
    while open.len() < leaves {
        let at = open.swap_remove(rng.next_u32() as usize % open.len());
        let feature = rng.next_u32() as usize % n_features;
        let threshold = Some(value(rng.next_u32())).filter(|value| !value.is_nan()).unwrap_or(0.0);
        let categories: Set = (0..3).map(|_| (rng.next_u32() % 5) as u8 * 50).chain([1]).collect();
        let by_category = feature > 3 || feature == 3 && rng.next_u32().is_multiple_of(2);
        let rule = if by_category { Rule::Categories(categories) } else { Rule::Threshold(threshold) };
        let (left, right) = tree.push_split(at, feature, rule, rng.next_u32().is_multiple_of(2));
        open.extend([left, right]);
    }
    for at in open {
        let first = rng.next_u32() % different;
        tree.push_leaf(
            at,
            f64::from(1 + rng.next_u32() % 9),
            (0..width).map(|n| 1.0 / f64::from(first + 3 + n as u32)),
        );
    }
    tree.finish()
}

fn finds_what_walks_find(trees: &[Tree], n_features: usize) -> bool {
    let rng = &mut random::stream(7, 0);
    let Some(walker) = Walker::new(trees) else { return false };
    for count in [0, 1, 2, 15, 16, 17, 300, 1000] {
        let rows: Vec<f64> = (0..n_features * count).map(|_| value(rng.next_u32())).collect();
        let row = |number: usize| &rows[number * n_features..][..n_features];
        let mut found = vec![0; count];
        walker.for_each_row(trees, &rows, n_features, |tree, number, values| {
            assert_eq!(values, trees[tree].leaf(row(number)));
            assert_eq!(found[number], tree, "the trees come in order");
            found[number] += 1;
        });
        assert!(found.iter().all(|found| *found == trees.len()));
        for number in 0..count.min(20) {
            let mut next = 0;
            walker.for_each_tree(trees, row(number), |tree, values| {
                assert_eq!(values, trees[tree].leaf(row(number)));
                assert_eq!(tree, next);
                next += 1;
            });
            assert_eq!(next, trees.len());
        }
    }
    true
}

#[test]
fn it_finds_the_leaves_that_walks_find() {
    let rng = &mut random::stream(1, 0);
    for n_features in [3, 6] {
        for (width, different) in [(1, 4), (1, u32::MAX - 9), (3, 2)] {
            let trees: Vec<Tree> =
                (0..300).map(|number| grown(rng, 1 + number % 90, width, n_features, different)).collect();
            assert!(finds_what_walks_find(&trees, n_features));
        }
    }
}

#[test]
fn a_large_tree_is_walked_too() {
    let rng = &mut random::stream(2, 0);
    assert!(finds_what_walks_find(&[grown(rng, 100_000, 1, 6, u32::MAX - 9), grown(rng, 9, 1, 6, 9)], 6));
    assert!(finds_what_walks_find(&[grown(rng, 100_000, 2, 6, 2)], 6));
}

#[test]
fn equal_leaves_are_kept_once() {
    let rng = &mut random::stream(3, 0);
    let trees: Vec<Tree> = (0..50).map(|_| grown(rng, 500, 2, 3, 2)).collect();
    let walker = Walker::new(&trees).unwrap();
    assert_eq!(walker.leaves.as_ref().unwrap().len(), 4);
    assert!(walker.nodes.len() < 2 * 50 * 500 * 9 / 10, "{}", walker.nodes.len());
    let different: Vec<Tree> = (0..50).map(|_| grown(rng, 500, 2, 3, u32::MAX - 9)).collect();
    assert!(Walker::new(&different).unwrap().leaves.is_none());
}

#[test]
fn trees_that_cannot_be_laid_out_are_left_to_walks() {
    // More thresholds than there are ranks.
    let mut tree = TreeBuilder::new(1);
    let mut at = Link::Root;
    for threshold in (0..70_000).rev() {
        let (left, right) = tree.push_split(at, 0, Rule::Threshold(f64::from(threshold)), false);
        tree.push_leaf(right, 1.0, [1.0]);
        at = left;
    }
    tree.push_leaf(at, 1.0, [0.0]);
    assert!(Walker::new(&[tree.finish()]).is_none());
    // A few walks are done before the ranks are known.
    let mut stump = |feature| {
        let mut tree = TreeBuilder::new(1);
        let (left, right) = tree.push_split(Link::Root, feature, Rule::Threshold(0.5), false);
        tree.push_leaf(left, 1.0, [0.0]);
        tree.push_leaf(right, 1.0, [1.0]);
        tree.finish()
    };
    let stumps: Vec<Tree> = (0..100).map(&mut stump).collect();
    assert!(Walker::new(&stumps).is_none());
    assert!(Walker::new(&[]).is_none_or(|walker| walker.roots.is_empty()));
}
