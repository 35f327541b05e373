//! The compact binary tree that every tree algorithm predicts with.

mod builder;
mod nodes;
mod quick_scorer;
#[cfg(test)]
mod tests;
mod walker;

use serde::{Deserialize, Serialize};

pub(crate) use self::builder::{Link, Rule, TreeBuilder};
pub(crate) use self::quick_scorer::QuickScorer;
pub(crate) use self::walker::Walker;
use crate::category::{self, Set};

/// Marks a link as the number of a leaf instead of an inner node's.
const LEAF: u32 = 1 << 31;
/// Marks a split on categories instead of a threshold. Features are far fewer than that.
const CATEGORICAL: u32 = 1 << 31;

/// A binary decision tree in flat arrays. A row goes left where its feature is at or below the threshold; a missing
/// value goes where the training rows with missing values (else most rows) went. A split on categories has a set of
/// those that go the other way than missing values, so a category the training rows of the node did not have goes with
/// these.
///
/// Inner nodes point to later ones only, so a walk always ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    root: u32,
    nodes: Vec<Node>,
    /// The sets of the splits on categories, in order of the nodes.
    sets: Vec<Set>,
    /// `width` values per leaf.
    leaves: Vec<f64>,
    /// The weight of each leaf's training rows. An inner node's is its children's sum.
    covers: Vec<f64>,
    width: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    /// Or the number of the set.
    threshold: f64,
    /// With [`CATEGORICAL`] for a split on categories.
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
        if self.sets.is_empty() {
            while link & LEAF == 0 {
                link = self.step::<false>(link, row);
            }
        } else {
            while link & LEAF == 0 {
                link = self.step::<true>(link, row);
            }
        }
        self.values(link)
    }

    /// The child a row goes to. Trees without splits on categories take the step that does not know of them.
    #[inline]
    fn step<const CATEGORIES: bool>(&self, node: u32, row: &[f64]) -> u32 {
        let node = &self.nodes[node as usize];
        let left = if CATEGORIES && node.feature & CATEGORICAL != 0 {
            let set = &self.sets[node.threshold as usize];
            category::code(row[node.feature()]).is_some_and(|code| set.contains(code)) != node.missing_left
        } else {
            let value = row[node.feature as usize];
            (value <= node.threshold) | (value.is_nan() & node.missing_left)
        };
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
            counts[node.feature()] += 1;
        }
    }

    /// The link of the root.
    pub(crate) fn root(&self) -> u32 {
        self.root
    }

    /// What a link leads to, and which of its children a row takes.
    pub(crate) fn place(&self, link: u32, row: &[f64]) -> Place<'_> {
        if link & LEAF != 0 {
            return Place::Leaf(self.values(link));
        }
        let Node { children: [left, right], .. } = self.nodes[link as usize];
        let taken = self.step::<true>(link, row);
        let other = if taken == left { right } else { left };
        Place::Split { node: link as usize, feature: self.nodes[link as usize].feature(), taken, other }
    }

    /// Every leaf's cover and values.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (f64, &[f64])> {
        self.covers.iter().copied().zip(self.leaves.chunks_exact(self.width as usize))
    }

    /// The cover of every inner node: the weight of the training rows that came by.
    pub(crate) fn inner_covers(&self) -> Vec<f64> {
        let mut covers = vec![0.0; self.nodes.len()];
        // Children come after their parent.
        for (index, node) in self.nodes.iter().enumerate().rev() {
            covers[index] = node.children.iter().map(|&child| self.cover(child, &covers)).sum();
        }
        covers
    }

    /// The cover at a link, given those of the inner nodes.
    pub(crate) fn cover(&self, link: u32, inner: &[f64]) -> f64 {
        if link & LEAF != 0 { self.covers[(link & !LEAF) as usize] } else { inner[link as usize] }
    }

    /// Whether a tree that was read from outside can be walked with rows of `n_features` values and has `width` values
    /// per leaf: children exist and come after their parent, each once; thresholds are ordered, values finite, sets in order
    /// of their splits and covers above 0.
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
        let mut sets = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            sound &= node.children.iter().all(|&child| reach(child, Some(index)));
            sound &= node.feature() < n_features && !node.threshold.is_nan();
            if node.feature & CATEGORICAL != 0 {
                sound &= node.threshold == sets as f64;
                sets += 1;
            }
        }
        if sets != self.sets.len() {
            return Err("a tree's sets of categories do not match its splits".to_owned());
        }
        if !sound {
            return Err("a tree has a split that points nowhere, backwards or twice".to_owned());
        }
        if self.leaves.iter().any(|value| !value.is_finite()) {
            return Err("a tree has a leaf value that is not a number".to_owned());
        }
        if self.covers.len() != self.n_leaves() || self.covers.iter().any(|cover| !(*cover > 0.0 && cover.is_finite()))
        {
            return Err("a tree has a leaf without training rows".to_owned());
        }
        Ok(())
    }
}

/// What a link leads to.
pub(crate) enum Place<'a> {
    Leaf(&'a [f64]),
    /// An inner node, with the links of the child that a row takes and of the other one.
    Split {
        node: usize,
        feature: usize,
        taken: u32,
        other: u32,
    },
}

impl Node {
    fn feature(&self) -> usize {
        (self.feature & !CATEGORICAL) as usize
    }
}

/// How many walks go on at a time in [`for_each_tree`] and [`for_each_row`]: each step waits for memory, several wait together.
const LANES: usize = 8;

/// Calls `each` with the number of every tree and the values of the leaf the row falls into there, in order of the trees.
pub(crate) fn for_each_tree(trees: &[Tree], walker: Option<&Walker>, row: &[f64], mut each: impl FnMut(usize, &[f64])) {
    if let Some(walker) = walker.filter(|walker| walker.takes_one_row()) {
        return walker.for_each_tree(trees, row, each);
    }
    let (chunks, rest) = trees.as_chunks::<LANES>();
    for (chunk, trees) in chunks.iter().enumerate() {
        let leaves = walk(std::array::from_fn(|lane| (&trees[lane], row)));
        leaves.into_iter().enumerate().for_each(|(lane, leaf)| each(chunk * LANES + lane, leaf));
    }
    for (index, tree) in rest.iter().enumerate() {
        each(chunks.len() * LANES + index, tree.leaf(row));
    }
}

/// Calls `each` with the numbers of every tree and every row and the values of the leaf, for each row in order of the trees.
/// `rows` holds rows of `width` values.
pub(crate) fn for_each_row(
    trees: &[Tree],
    walker: Option<&Walker>,
    rows: &[f64],
    width: usize,
    mut each: impl FnMut(usize, usize, &[f64]),
) {
    if let Some(walker) = walker {
        return walker.for_each_row(trees, rows, width, each);
    }
    let count = rows.len() / width;
    let row = |index: usize| &rows[index * width..][..width];
    for (number, tree) in trees.iter().enumerate() {
        let mut done = 0;
        while done + LANES <= count {
            let leaves: [_; LANES] = walk(std::array::from_fn(|lane| (tree, row(done + lane))));
            leaves.into_iter().enumerate().for_each(|(lane, leaf)| each(number, done + lane, leaf));
            done += LANES;
        }
        for index in done..count {
            each(number, index, tree.leaf(row(index)));
        }
    }
}

/// The leaves of several walks at a time.
fn walk<'a>(lanes: [(&'a Tree, &[f64]); LANES]) -> [&'a [f64]; LANES] {
    if lanes.iter().all(|(tree, _)| tree.sets.is_empty()) { walk_by::<false>(lanes) } else { walk_by::<true>(lanes) }
}

fn walk_by<'a, const CATEGORIES: bool>(lanes: [(&'a Tree, &[f64]); LANES]) -> [&'a [f64]; LANES] {
    let mut links = lanes.map(|(tree, _)| tree.root);
    loop {
        let mut walking = false;
        for (link, (tree, row)) in links.iter_mut().zip(lanes) {
            if *link & LEAF == 0 {
                *link = tree.step::<CATEGORIES>(*link, row);
                walking = true;
            }
        }
        if !walking {
            return std::array::from_fn(|lane| lanes[lane].0.values(links[lane]));
        }
    }
}
