//! Grows one boosting tree, the leaf with the best gain first, on histograms of gradients. Of two siblings only the
//! smaller one's rows are counted: the other's histogram is the parent's minus that.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::histogram::{Bin, Histograms};
use super::loss::Gradient;
use super::params::GradientBoostingValidParams;
use super::splitter::{Bounds, Split, Splitter};
use crate::binning::BinnedMatrix;
use crate::tree::{Link, Rule, Tree, TreeBuilder};

/// What a leaf of these rows adds to the score, before the learning rate.
pub(super) type Step<'a> = &'a dyn Fn(&[u32]) -> f64;

/// A leaf of the tree so far.
struct Leaf {
    start: usize,
    end: usize,
    depth: usize,
    at: Link,
    sums: Bin,
    bounds: Bounds,
    histogram: Vec<Bin>,
    split: Option<Split>,
}

/// Grows trees over the same rows; keeps buffers, and after each tree the rows of every leaf.
pub(super) struct Grower<'a> {
    params: &'a GradientBoostingValidParams,
    binned: &'a BinnedMatrix,
    /// A weight per row, or none.
    weights: Vec<f64>,
    splitter: Splitter<'a>,
    histograms: Histograms<'a>,
    rows: Vec<u32>,
    right: Vec<u32>,
    leaf_rows: Vec<(usize, usize, f64)>,
}

impl<'a> Grower<'a> {
    pub fn new(
        params: &'a GradientBoostingValidParams,
        binned: &'a BinnedMatrix,
        weights: &[f64],
        threads: usize,
    ) -> Self {
        Self {
            params,
            binned,
            weights: weights.to_vec(),
            splitter: Splitter::new(params, binned),
            histograms: Histograms::new(binned, threads),
            rows: Vec::new(),
            right: Vec::new(),
            leaf_rows: Vec::new(),
        }
    }

    /// Grows a tree on the gradients of the sampled rows, or of all. A leaf adds its Newton step, or what `step` says of its
    /// rows, times the learning rate.
    pub fn grow(&mut self, gradients: &[Gradient], sample: Option<&[u32]>, step: Option<Step<'_>>) -> Tree {
        self.rows.clear();
        match sample {
            Some(sample) => self.rows.extend_from_slice(sample),
            None => self.rows.extend(0..gradients.len() as u32),
        }
        let mut tree = TreeBuilder::new(1);
        let mut leaves = vec![self.root(gradients)];
        let mut queue = BinaryHeap::new();
        self.enqueue(&mut queue, &leaves, 0);
        let max_leaves = self.params.max_leaf_nodes.unwrap_or(usize::MAX);
        while leaves.len() < max_leaves
            && let Some(Candidate { index, split, .. }) = queue.pop()
        {
            let parent = std::mem::take(&mut leaves[index].histogram);
            let last = leaves.len() + 1 == max_leaves;
            let (left, right) = self.split(&leaves[index], &split, parent, gradients, &mut tree, last);
            leaves[index] = left;
            leaves.push(right);
            self.enqueue(&mut queue, &leaves, index);
            self.enqueue(&mut queue, &leaves, leaves.len() - 1);
        }
        self.leaf_rows.clear();
        for leaf in leaves {
            let rows = &self.rows[leaf.start..leaf.end];
            let step = step.map_or_else(|| self.splitter.step(&leaf.sums, leaf.bounds), |step| step(rows));
            let value = self.params.learning_rate * step;
            tree.push_leaf(leaf.at, self.cover(rows), [value]);
            self.leaf_rows.push((leaf.start, leaf.end, value));
            self.histograms.recycle(leaf.histogram);
        }
        tree.finish()
    }

    /// The weight of some rows.
    fn cover(&self, rows: &[u32]) -> f64 {
        if self.weights.is_empty() {
            return rows.len() as f64;
        }
        rows.iter().map(|&row| self.weights[row as usize]).sum()
    }

    /// Queues a leaf by its gain. With no limit of leaves every one is split anyway: the deepest first then, so that few
    /// histograms are alive at a time.
    fn enqueue(&self, queue: &mut BinaryHeap<Candidate>, leaves: &[Leaf], index: usize) {
        let leaf = &leaves[index];
        if let Some(split) = leaf.split {
            let priority = if self.params.max_leaf_nodes.is_some() { split.gain } else { leaf.depth as f64 };
            queue.push(Candidate { priority, index, split });
        }
    }

    /// Whether the last tree saw every row.
    pub fn covers_all_rows(&self) -> bool {
        self.rows.len() == self.binned.rows()
    }

    /// Every row the last tree saw, with the value of its leaf.
    pub fn for_each_row(&self, mut each: impl FnMut(usize, f64)) {
        for &(start, end, value) in &self.leaf_rows {
            self.rows[start..end].iter().for_each(|&row| each(row as usize, value));
        }
    }

    fn root(&mut self, gradients: &[Gradient]) -> Leaf {
        let mut sums = Bin::default();
        for &row in &self.rows {
            let Gradient { first, second } = gradients[row as usize];
            sums.add(&Bin { first, second, count: 1 });
        }
        let end = self.rows.len();
        let (bounds, histogram) = (Bounds::NONE, Vec::new());
        let mut leaf = Leaf { start: 0, end, depth: 0, at: Link::Root, sums, bounds, histogram, split: None };
        if self.may_split(&leaf) {
            leaf.histogram = self.histograms.build(&self.rows, gradients);
            leaf.split = self.best_split(&leaf);
        }
        leaf
    }

    fn may_split(&self, leaf: &Leaf) -> bool {
        self.params.max_depth.is_none_or(|limit| leaf.depth < limit)
            && leaf.end - leaf.start >= 2 * self.params.min_samples_leaf
    }

    fn best_split(&self, leaf: &Leaf) -> Option<Split> {
        self.splitter.best(&self.histograms, &leaf.histogram, &leaf.sums, leaf.bounds)
    }

    /// Turns a leaf into an inner node with two leaves. The last two leaves of a tree need no histograms.
    fn split(
        &mut self,
        leaf: &Leaf,
        split: &Split,
        mut parent: Vec<Bin>,
        gradients: &[Gradient],
        tree: &mut TreeBuilder,
        last: bool,
    ) -> (Leaf, Leaf) {
        let middle = self.partition(leaf.start, leaf.end, split);
        let (at_left, at_right) = tree.push_split(leaf.at, split.feature, self.rule(split), split.missing_left);
        let child = |start, end, at, sums, bounds| Leaf {
            start,
            end,
            depth: leaf.depth + 1,
            at,
            sums,
            bounds,
            histogram: Vec::new(),
            split: None,
        };
        let right_sums = leaf.sums.minus(&split.left);
        let (left_bounds, right_bounds) = self.splitter.child_bounds(split, &right_sums, leaf.bounds);
        let mut left = child(leaf.start, middle, at_left, split.left, left_bounds);
        let mut right = child(middle, leaf.end, at_right, right_sums, right_bounds);
        if last || !(self.may_split(&left) || self.may_split(&right)) {
            self.histograms.recycle(parent);
            return (left, right);
        }
        let left_is_smaller = left.end - left.start <= right.end - right.start;
        let (small, large) = if left_is_smaller { (&mut left, &mut right) } else { (&mut right, &mut left) };
        small.histogram = self.histograms.build(&self.rows[small.start..small.end], gradients);
        for (parent, small) in parent.iter_mut().zip(&small.histogram) {
            *parent = parent.minus(small);
        }
        large.histogram = parent;
        for child in [&mut left, &mut right] {
            if self.may_split(child) {
                child.split = self.best_split(child);
            }
            if child.split.is_none() {
                self.histograms.recycle(std::mem::take(&mut child.histogram));
            }
        }
        (left, right)
    }

    fn rule(&self, split: &Split) -> Rule {
        split.cut.rule(&self.binned.features()[split.feature])
    }

    /// Moves the rows that go left to the front and returns where the right side starts.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let (column, feature) = (self.binned.column(split.feature), &self.binned.features()[split.feature]);
        let bin = |row: &u32| column[*row as usize];
        start + split.cut.partition(&mut self.rows[start..end], feature, split.missing_left, bin, &mut self.right)
    }
}

/// A leaf that can be split. The highest priority comes first, then the oldest leaf.
struct Candidate {
    priority: f64,
    index: usize,
    split: Split,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.priority.total_cmp(&other.priority).then(Reverse(self.index).cmp(&Reverse(other.index)))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}
