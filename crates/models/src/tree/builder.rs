//! Builds a tree from the root down.

use super::{CATEGORICAL, LEAF, Node, Tree};
use crate::category::Set;

/// Which rows go left at a split.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Those at or below it.
    Threshold(f64),
    /// Those whose category is in the set; when missing values go left, those whose category is not.
    Categories(Set),
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
        Self(Tree {
            root: LEAF,
            nodes: Vec::new(),
            sets: Vec::new(),
            leaves: Vec::new(),
            covers: Vec::new(),
            width: width as u32,
        })
    }

    /// Adds an inner node and returns the links of its two children.
    pub(crate) fn push_split(&mut self, at: Link, feature: usize, rule: Rule, missing_left: bool) -> (Link, Link) {
        let index = self.0.nodes.len() as u32;
        self.connect(at, index);
        let (threshold, kind) = match rule {
            Rule::Threshold(threshold) => (threshold, 0),
            Rule::Categories(set) => {
                self.0.sets.push(set);
                ((self.0.sets.len() - 1) as f64, CATEGORICAL)
            }
        };
        self.0.nodes.push(Node { threshold, feature: feature as u32 | kind, children: [LEAF; 2], missing_left });
        (Link::Left(index), Link::Right(index))
    }

    /// Adds a leaf with the weight of its training rows and its values.
    pub(crate) fn push_leaf(&mut self, at: Link, cover: f64, values: impl IntoIterator<Item = f64>) {
        let index = (self.0.leaves.len() / self.0.width as usize) as u32;
        self.connect(at, index | LEAF);
        self.0.covers.push(cover);
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
