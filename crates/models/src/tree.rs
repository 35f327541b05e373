//! The compact binary tree that every tree algorithm predicts with.

use serde::{Deserialize, Serialize};

/// Marks a link as the number of a leaf instead of an inner node's.
const LEAF: u32 = 1 << 31;

/// A binary decision tree in two flat arrays. A row goes left where its feature is at or below the threshold; a missing
/// value goes where the training rows with missing values (else most rows) went.
///
/// Inner nodes point to later ones only, so a walk always ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    root: u32,
    nodes: Vec<Node>,
    /// `width` values per leaf.
    leaves: Vec<f64>,
    width: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    threshold: f64,
    feature: u32,
    /// Left, right: an array, so that the step is an index instead of a branch the processor would guess wrong.
    children: [u32; 2],
    missing_left: bool,
}

impl Tree {
    /// The values of the leaf a row falls into: class frequencies in a forest, one score in boosting.
    /// `row` must have as many values as the training data had features.
    pub fn leaf(&self, row: &[f64]) -> &[f64] {
        let mut link = self.root;
        while link & LEAF == 0 {
            link = self.step(link, row);
        }
        self.values(link)
    }

    fn step(&self, node: u32, row: &[f64]) -> u32 {
        let node = &self.nodes[node as usize];
        let value = row[node.feature as usize];
        let left = (value <= node.threshold) | (value.is_nan() & node.missing_left);
        node.children[usize::from(!left)]
    }

    fn values(&self, leaf: u32) -> &[f64] {
        let width = self.width as usize;
        &self.leaves[(leaf & !LEAF) as usize * width..][..width]
    }

    /// Number of inner nodes.
    pub fn n_splits(&self) -> usize {
        self.nodes.len()
    }

    /// Number of leaves.
    pub fn n_leaves(&self) -> usize {
        self.leaves.len() / self.width as usize
    }

    /// Inner nodes on the longest way down; 0 for a single leaf.
    pub fn depth(&self) -> usize {
        let mut depths = vec![1; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for child in node.children {
                if child & LEAF == 0 {
                    depths[child as usize] = depths[index] + 1;
                }
            }
        }
        depths.into_iter().max().unwrap_or(0)
    }

    /// Adds one to `counts[feature]` for each split on that feature.
    pub(crate) fn count_splits(&self, counts: &mut [u64]) {
        for node in &self.nodes {
            counts[node.feature as usize] += 1;
        }
    }

    /// Whether a tree that was read from outside can be walked with rows of `n_features` values and has `width` values
    /// per leaf: children exist and come after their parent, each once; thresholds are ordered, values finite.
    pub(crate) fn validate(&self, n_features: usize, width: usize) -> Result<(), String> {
        if self.width as usize != width {
            return Err(format!("a tree has {} values per leaf, expected {width}", self.width));
        }
        if width == 0 || self.leaves.len() != (self.nodes.len() + 1).saturating_mul(width) {
            return Err("a tree's leaves do not match its splits".to_owned());
        }
        if self.nodes.len() >= LEAF as usize {
            return Err("a tree has too many nodes".to_owned());
        }
        let mut reached = vec![false; self.nodes.len() + self.n_leaves()];
        let mut reach = |link: u32, after: Option<usize>| {
            let index = (link & !LEAF) as usize;
            let (slot, in_range) = if link & LEAF == 0 {
                (index, index < self.nodes.len() && after.is_none_or(|parent| index > parent))
            } else {
                (index.saturating_add(self.nodes.len()), index < self.n_leaves())
            };
            in_range && !std::mem::replace(&mut reached[slot], true)
        };
        let mut sound = reach(self.root, None);
        for (index, node) in self.nodes.iter().enumerate() {
            sound &= node.children.iter().all(|&child| reach(child, Some(index)));
            sound &= (node.feature as usize) < n_features && !node.threshold.is_nan();
        }
        if !sound {
            return Err("a tree has a split that points nowhere, backwards or twice".to_owned());
        }
        if self.leaves.iter().any(|value| !value.is_finite()) {
            return Err("a tree has a leaf value that is not a number".to_owned());
        }
        Ok(())
    }
}

/// How many walks go on at a time in [`for_each_tree`] and [`for_each_row`]: each step waits for memory, several wait together.
const LANES: usize = 8;

/// Calls `each` with the number of every tree and the values of the leaf the row falls into there, in order of the trees.
pub(crate) fn for_each_tree(trees: &[Tree], row: &[f64], mut each: impl FnMut(usize, &[f64])) {
    let (chunks, rest) = trees.as_chunks::<LANES>();
    for (chunk, trees) in chunks.iter().enumerate() {
        let leaves = walk(std::array::from_fn(|lane| (&trees[lane], row)));
        leaves.into_iter().enumerate().for_each(|(lane, leaf)| each(chunk * LANES + lane, leaf));
    }
    for (index, tree) in rest.iter().enumerate() {
        each(chunks.len() * LANES + index, tree.leaf(row));
    }
}

/// Calls `each` with the number of every row and the values of its leaf. `rows` holds rows of `width` values.
pub(crate) fn for_each_row(tree: &Tree, rows: &[f64], width: usize, mut each: impl FnMut(usize, &[f64])) {
    let count = rows.len() / width;
    let row = |index: usize| &rows[index * width..][..width];
    let mut done = 0;
    while done + LANES <= count {
        let leaves: [_; LANES] = walk(std::array::from_fn(|lane| (tree, row(done + lane))));
        leaves.into_iter().enumerate().for_each(|(lane, leaf)| each(done + lane, leaf));
        done += LANES;
    }
    for index in done..count {
        each(index, tree.leaf(row(index)));
    }
}

fn walk<'a>(lanes: [(&'a Tree, &[f64]); LANES]) -> [&'a [f64]; LANES] {
    let mut links = lanes.map(|(tree, _)| tree.root);
    loop {
        let mut walking = false;
        for (link, (tree, row)) in links.iter_mut().zip(lanes) {
            if *link & LEAF == 0 {
                *link = tree.step(*link, row);
                walking = true;
            }
        }
        if !walking {
            return std::array::from_fn(|lane| lanes[lane].0.values(links[lane]));
        }
    }
}

/// Where a node about to be added hangs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Link {
    Root,
    Left(u32),
    Right(u32),
}

/// Builds a [`Tree`] from the root down; a child can only be added after its parent.
pub(crate) struct TreeBuilder(Tree);

impl TreeBuilder {
    pub(crate) fn new(width: usize) -> Self {
        Self(Tree { root: LEAF, nodes: Vec::new(), leaves: Vec::new(), width: width as u32 })
    }

    /// Adds an inner node and returns the links of its two children.
    pub(crate) fn push_split(&mut self, at: Link, feature: usize, threshold: f64, missing_left: bool) -> (Link, Link) {
        let index = self.0.nodes.len() as u32;
        self.connect(at, index);
        self.0.nodes.push(Node { threshold, feature: feature as u32, children: [LEAF; 2], missing_left });
        (Link::Left(index), Link::Right(index))
    }

    /// Adds a leaf with its values.
    pub(crate) fn push_leaf(&mut self, at: Link, values: impl IntoIterator<Item = f64>) {
        let index = (self.0.leaves.len() / self.0.width as usize) as u32;
        self.connect(at, index | LEAF);
        self.0.leaves.extend(values);
    }

    pub(crate) fn finish(self) -> Tree {
        self.0
    }

    fn connect(&mut self, at: Link, target: u32) {
        match at {
            Link::Root => self.0.root = target,
            Link::Left(parent) => self.0.nodes[parent as usize].children[0] = target,
            Link::Right(parent) => self.0.nodes[parent as usize].children[1] = target,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x0 <= 1.5 ? (x1 <= 0 ? 10 : 20) : 30, missing x0 to the right, missing x1 to the left.
    fn tree() -> Tree {
        let mut builder = TreeBuilder::new(1);
        let (left, right) = builder.push_split(Link::Root, 0, 1.5, false);
        let (inner_left, inner_right) = builder.push_split(left, 1, 0.0, true);
        builder.push_leaf(inner_left, [10.0]);
        builder.push_leaf(inner_right, [20.0]);
        builder.push_leaf(right, [30.0]);
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
        builder.push_leaf(Link::Root, [0.25, 0.75]);
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
    }
}
