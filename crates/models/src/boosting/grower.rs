//! Grows one boosting tree, the leaf with the best gain first, on histograms of gradients. Of two siblings only the
//! smaller one's rows are counted: the other's histogram is the parent's minus that.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::thread;

use super::loss::Gradient;
use super::params::GradientBoostingValidParams;
use crate::binning::BinnedMatrix;
use crate::tree::{Link, Tree, TreeBuilder};

/// Below this many cells (rows × features) a histogram is built faster by one thread than threads are started.
const CELLS_PER_THREAD: usize = 1 << 19;

/// Sums over the rows of one bin.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    first: f64,
    second: f64,
    count: u32,
}

impl Bin {
    fn add(&mut self, other: &Bin) {
        self.first += other.first;
        self.second += other.second;
        self.count += other.count;
    }

    fn minus(&self, other: &Bin) -> Bin {
        Bin { first: self.first - other.first, second: self.second - other.second, count: self.count - other.count }
    }
}

#[derive(Clone, Copy)]
struct Split {
    gain: f64,
    feature: usize,
    /// Bins up to this one go left.
    bin: usize,
    threshold: f64,
    missing_left: bool,
    left: Bin,
}

/// A leaf of the tree so far.
struct Leaf {
    start: usize,
    end: usize,
    depth: usize,
    at: Link,
    sums: Bin,
    histogram: Vec<Bin>,
    split: Option<Split>,
}

/// Grows trees over the same rows; keeps buffers, and after each tree the rows of every leaf.
pub(super) struct Grower<'a> {
    params: &'a GradientBoostingValidParams,
    binned: &'a BinnedMatrix,
    threads: usize,
    /// Where each feature's bins start in a histogram (value bins, then the missing one), and the total.
    offsets: Vec<usize>,
    rows: Vec<u32>,
    right: Vec<u32>,
    ordered: Vec<Gradient>,
    spare: Vec<Vec<Bin>>,
    leaf_rows: Vec<(usize, usize, f64)>,
}

impl<'a> Grower<'a> {
    pub fn new(params: &'a GradientBoostingValidParams, binned: &'a BinnedMatrix, threads: usize) -> Self {
        let mut offsets = vec![0];
        for feature in binned.features() {
            offsets.push(offsets[offsets.len() - 1] + feature.len() + 1);
        }
        Self {
            params,
            binned,
            threads,
            offsets,
            rows: Vec::new(),
            right: Vec::new(),
            ordered: Vec::new(),
            spare: Vec::new(),
            leaf_rows: Vec::new(),
        }
    }

    /// Grows a tree on the gradients of the sampled rows, or of all.
    pub fn grow(&mut self, gradients: &[Gradient], sample: Option<&[u32]>) -> Tree {
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
            let denominator = leaf.sums.second + self.params.l2_regularization;
            let step = if denominator > 0.0 { -leaf.sums.first / denominator } else { 0.0 };
            let value = self.params.learning_rate * step;
            tree.push_leaf(leaf.at, [value]);
            self.leaf_rows.push((leaf.start, leaf.end, value));
            if !leaf.histogram.is_empty() {
                self.spare.push(leaf.histogram);
            }
        }
        tree.finish()
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
        let mut leaf =
            Leaf { start: 0, end: self.rows.len(), depth: 0, at: Link::Root, sums, histogram: Vec::new(), split: None };
        if self.may_split(&leaf) {
            leaf.histogram = self.histogram(0, leaf.end, gradients);
            leaf.split = self.best_split(&leaf);
        }
        leaf
    }

    fn may_split(&self, leaf: &Leaf) -> bool {
        self.params.max_depth.is_none_or(|limit| leaf.depth < limit)
            && leaf.end - leaf.start >= 2 * self.params.min_samples_leaf
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
        let (at_left, at_right) = tree.push_split(leaf.at, split.feature, split.threshold, split.missing_left);
        let child = |start, end, at, sums| Leaf {
            start,
            end,
            depth: leaf.depth + 1,
            at,
            sums,
            histogram: Vec::new(),
            split: None,
        };
        let mut left = child(leaf.start, middle, at_left, split.left);
        let mut right = child(middle, leaf.end, at_right, leaf.sums.minus(&split.left));
        if last || !(self.may_split(&left) || self.may_split(&right)) {
            self.spare.push(parent);
            return (left, right);
        }
        let left_is_smaller = left.end - left.start <= right.end - right.start;
        let (small, large) = if left_is_smaller { (&mut left, &mut right) } else { (&mut right, &mut left) };
        small.histogram = self.histogram(small.start, small.end, gradients);
        for (parent, small) in parent.iter_mut().zip(&small.histogram) {
            *parent = parent.minus(small);
        }
        large.histogram = parent;
        for child in [&mut left, &mut right] {
            if self.may_split(child) {
                child.split = self.best_split(child);
            }
            if child.split.is_none() {
                self.spare.push(std::mem::take(&mut child.histogram));
            }
        }
        (left, right)
    }

    /// Moves the rows that go left to the front, keeping the order, and returns where the right side starts.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let column = self.binned.column(split.feature);
        let missing = self.binned.features()[split.feature].missing();
        self.right.clear();
        let mut middle = start;
        for i in start..end {
            let row = self.rows[i];
            let bin = column[row as usize] as usize;
            if if bin == missing { split.missing_left } else { bin <= split.bin } {
                self.rows[middle] = row;
                middle += 1;
            } else {
                self.right.push(row);
            }
        }
        self.rows[middle..end].copy_from_slice(&self.right);
        middle
    }

    fn histogram(&mut self, start: usize, end: usize, gradients: &[Gradient]) -> Vec<Bin> {
        let n_bins = self.offsets[self.offsets.len() - 1];
        let mut histogram = self.spare.pop().unwrap_or_default();
        histogram.clear();
        histogram.resize(n_bins, Bin::default());
        let rows = &self.rows[start..end];
        self.ordered.clear();
        self.ordered.extend(rows.iter().map(|&row| gradients[row as usize]));
        let n_features = self.binned.features().len();
        let threads = self.threads.min(rows.len() * n_features / CELLS_PER_THREAD).max(1);
        if threads == 1 {
            fill(self.binned, &self.offsets, 0..n_features, rows, &self.ordered, &mut histogram);
            return histogram;
        }
        // Each thread fills the bins of its own features, so the sums are the same for any number of threads.
        thread::scope(|scope| {
            let mut rest = histogram.as_mut_slice();
            let mut first = 0;
            for thread in 0..threads {
                let end = n_features * (thread + 1) / threads;
                let (part, others) = rest.split_at_mut(self.offsets[end] - self.offsets[first]);
                let (binned, offsets, ordered, features) = (self.binned, &self.offsets, &self.ordered, first..end);
                let work = move || fill(binned, offsets, features, rows, ordered, part);
                if thread + 1 == threads {
                    work();
                } else {
                    scope.spawn(work);
                }
                (rest, first) = (others, end);
            }
        });
        histogram
    }

    fn best_split(&self, leaf: &Leaf) -> Option<Split> {
        let mut best = None;
        for feature in 0..self.binned.features().len() {
            let bins = &leaf.histogram[self.offsets[feature]..self.offsets[feature + 1]];
            let missing = &bins[bins.len() - 1];
            self.scan(feature, bins, leaf, missing, false, &mut best);
            if missing.count > 0 {
                self.scan(feature, bins, leaf, missing, true, &mut best);
            }
        }
        best
    }

    /// Moves bin after bin to the left side and scores each border between two that occur in the leaf.
    fn scan(
        &self,
        feature: usize,
        bins: &[Bin],
        leaf: &Leaf,
        missing: &Bin,
        missing_left: bool,
        best: &mut Option<Split>,
    ) {
        let edges = &self.binned.features()[feature];
        let unsplit = self.score(&leaf.sums);
        // A gain within rounding of nothing is none.
        let least = 1e-12 * unsplit.max(1e-12);
        let min_samples = self.params.min_samples_leaf as u64;
        let min_weight = self.params.min_child_weight;
        let mut left = if missing_left { *missing } else { Bin::default() };
        let mut offer = |left: &Bin, bin: usize, threshold: f64, missing_left: bool| {
            let right = leaf.sums.minus(left);
            if u64::from(left.count.min(right.count)) < min_samples || left.second.min(right.second) < min_weight {
                return;
            }
            let gain = self.score(left) + self.score(&right) - unsplit;
            if gain > best.map_or(least, |best| best.gain) {
                *best = Some(Split { gain, feature, bin, threshold, missing_left, left: *left });
            }
        };
        let mut previous = None;
        for (bin, sums) in bins[..bins.len() - 1].iter().enumerate().filter(|(_, sums)| sums.count > 0) {
            if let Some(previous) = previous {
                // Without missing values here, those of later rows follow the larger side.
                let side = if missing.count > 0 { missing_left } else { 2 * left.count >= leaf.sums.count };
                offer(&left, previous, edges.threshold(previous, bin), side);
            }
            left.add(sums);
            previous = Some(bin);
        }
        if let (Some(last), true, false) = (previous, missing.count > 0, missing_left) {
            // Every value to the left, the missing ones alone to the right.
            offer(&left, last, f64::INFINITY, false);
        }
    }

    /// Twice the loss a leaf with these sums takes away.
    fn score(&self, sums: &Bin) -> f64 {
        let denominator = sums.second + self.params.l2_regularization;
        if denominator > 0.0 { sums.first * sums.first / denominator } else { 0.0 }
    }
}

/// Adds rows to the bins of some features; `histogram` starts with the first of them.
fn fill(
    binned: &BinnedMatrix,
    offsets: &[usize],
    features: std::ops::Range<usize>,
    rows: &[u32],
    gradients: &[Gradient],
    histogram: &mut [Bin],
) {
    let first = offsets[features.start];
    for feature in features {
        let column = binned.column(feature);
        let bins = &mut histogram[offsets[feature] - first..offsets[feature + 1] - first];
        for (&row, gradient) in rows.iter().zip(gradients) {
            let bin = &mut bins[column[row as usize] as usize];
            bin.first += gradient.first;
            bin.second += gradient.second;
            bin.count += 1;
        }
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
