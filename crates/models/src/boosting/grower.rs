//! Grows one boosting tree, the leaf with the best gain first, on histograms of gradients. Of two siblings only the
//! smaller one's rows are counted: the other's histogram is the parent's minus that. The threads share the rows of large leaves
//! and the features of small ones, from counting to the best split.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Range;

use super::histogram::{Histograms, Sums};
use super::loss::Gradient;
use super::params::GradientBoostingValidParams;
use super::splitter::{Bounds, Split, Splitter};
use crate::binning::BinnedMatrix;
use crate::parallel::Team;
use crate::tree::{Link, Rule, Tree, TreeBuilder};

/// Rows from which the threads share them.
const SHARED: usize = 1 << 12;

/// What a leaf of these rows adds to the score, before the learning rate.
pub(super) type Step<'a> = &'a (dyn Fn(&[u32]) -> f64 + Sync);

/// A leaf of the tree so far.
struct Leaf {
    start: usize,
    end: usize,
    depth: usize,
    at: Link,
    sums: Sums,
    bounds: Bounds,
    histogram: Vec<Sums>,
    split: Option<Split>,
}

/// Grows trees over the same rows; keeps buffers, and after each tree the rows of every leaf.
pub(super) struct Grower<'a> {
    params: &'a GradientBoostingValidParams,
    binned: &'a BinnedMatrix,
    team: &'a Team,
    /// A weight per row, or none.
    weights: &'a [f64],
    splitter: Splitter<'a>,
    histograms: Histograms<'a>,
    /// Leaf after leaf, ascending in each.
    rows: Vec<u32>,
    /// As many places.
    buffer: Vec<u32>,
    leaf_rows: Vec<(Range<usize>, f64)>,
}

impl<'a> Grower<'a> {
    pub fn new(
        params: &'a GradientBoostingValidParams,
        binned: &'a BinnedMatrix,
        weights: &'a [f64],
        team: &'a Team,
    ) -> Self {
        Self {
            params,
            binned,
            team,
            weights,
            splitter: Splitter::new(params, binned),
            histograms: Histograms::new(binned, team),
            rows: Vec::new(),
            buffer: Vec::new(),
            leaf_rows: Vec::new(),
        }
    }

    /// Grows a tree on the gradients of the sampled rows, which ascend, or of all. A leaf adds its Newton step, or what `step`
    /// says of its rows, times the learning rate.
    pub fn grow(&mut self, gradients: &[Gradient], sample: Option<&[u32]>, step: Option<Step<'_>>) -> Tree {
        self.rows.clear();
        match sample {
            Some(sample) => self.rows.extend_from_slice(sample),
            None => self.rows.extend(0..gradients.len() as u32),
        }
        self.buffer.resize(self.rows.len(), 0);
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
            self.leaf_rows.push((leaf.start..leaf.end, value));
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

    /// Adds to each row's score the value of the leaf that the last tree put it into, whose rows it must have seen.
    pub fn add_to(&self, scores: &mut [f64]) {
        let shares = scores.chunks_mut(SHARED).enumerate().collect();
        self.team.each(shares, |(share, scores)| {
            let first = (share * SHARED) as u32;
            let end = first + scores.len() as u32;
            for (range, value) in &self.leaf_rows {
                let rows = &self.rows[range.clone()];
                let rows = &rows[rows.partition_point(|row| *row < first)..];
                let rows = &rows[..rows.partition_point(|row| *row < end)];
                rows.iter().for_each(|&row| scores[(row - first) as usize] += value);
            }
        });
    }

    fn root(&mut self, gradients: &[Gradient]) -> Leaf {
        let end = self.rows.len();
        let (sums, bounds, histogram) = (Sums::default(), Bounds::NONE, Vec::new());
        let mut leaf = Leaf { start: 0, end, depth: 0, at: Link::Root, sums, bounds, histogram, split: None };
        let may_split = self.may_split(&leaf);
        if may_split && self.histograms.shares(end) {
            leaf.histogram = self.histograms.build(&self.rows, gradients);
            leaf.sums = self.histograms.sums(&leaf.histogram);
            self.find_splits(None, &mut leaf, None);
        } else {
            self.rows.iter().for_each(|&row| leaf.sums.add(&Sums::from(&gradients[row as usize])));
            if may_split {
                leaf.histogram = self.histograms.any();
                self.find_splits(Some((&self.rows, gradients)), &mut leaf, None);
            }
        }
        leaf
    }

    fn may_split(&self, leaf: &Leaf) -> bool {
        self.params.max_depth.is_none_or(|limit| leaf.depth < limit)
            && leaf.end - leaf.start >= 2 * self.params.min_samples_leaf
    }

    /// Finds the best split of a leaf, whose rows are counted first where they are told with their gradients, and that of its
    /// larger sibling, whose histogram is still their parent's. Threads share the features.
    fn find_splits(&self, to_count: Option<(&[u32], &[Gradient])>, small: &mut Leaf, mut large: Option<&mut Leaf>) {
        let take = |leaf: &mut Leaf| std::mem::take(&mut leaf.histogram);
        let (mut of_small, mut of_large) = (take(small), large.as_deref_mut().map(take).unwrap_or_default());
        let parts = self.histograms.parts(to_count.map_or(0, |(rows, _)| rows.len()));
        let shares = self.histograms.cut(&mut of_small, &parts).zip(self.histograms.cut(&mut of_large, &parts));
        let mut tasks: Vec<_> = shares.zip(&parts).map(|(bins, features)| (features, bins, [None; 2])).collect();
        self.team.each(tasks.iter_mut().collect(), |(features, (of_small, of_large), found)| {
            if let Some((rows, gradients)) = to_count {
                self.histograms.count(features, rows, gradients, of_small);
            }
            of_large.iter_mut().zip(&**of_small).for_each(|(parent, small)| *parent = parent.minus(small));
            *found = [(Some(&*small), &**of_small), (large.as_deref(), &**of_large)].map(|(leaf, bins)| {
                let leaf = leaf.filter(|leaf| self.may_split(leaf))?;
                self.splitter.best(&self.histograms, features, bins, &leaf.sums, leaf.bounds)
            });
        });
        for (_, _, found) in tasks {
            for (leaf, found) in [Some(&mut *small), large.as_deref_mut()].into_iter().flatten().zip(found) {
                // Among equal ones the first feature's.
                if found.is_some_and(|found| leaf.split.is_none_or(|split| found.gain > split.gain)) {
                    leaf.split = found;
                }
            }
        }
        small.histogram = of_small;
        if let Some(large) = large {
            large.histogram = of_large;
        }
    }

    /// Turns a leaf into an inner node with two leaves. The last two leaves of a tree need no histograms.
    fn split(
        &mut self,
        leaf: &Leaf,
        split: &Split,
        parent: Vec<Sums>,
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
        let rows = &self.rows[small.start..small.end];
        let counted = self.histograms.shares(rows.len());
        small.histogram = if counted { self.histograms.build(rows, gradients) } else { self.histograms.any() };
        large.histogram = parent;
        self.find_splits((!counted).then_some((rows, gradients)), small, Some(large));
        for child in [&mut left, &mut right] {
            if child.split.is_none() {
                self.histograms.recycle(std::mem::take(&mut child.histogram));
            }
        }
        (left, right)
    }

    fn rule(&self, split: &Split) -> Rule {
        split.cut.rule(&self.binned.features()[split.feature])
    }

    /// Moves the rows that go left to the front, keeping the order of both sides, and returns where the right side starts.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let (column, feature) = (self.binned.column(split.feature), &self.binned.features()[split.feature]);
        let sides = split.cut.sides(feature, split.missing_left);
        let goes_left = |row: u32| sides[usize::from(column[row as usize])];
        let (rows, buffer) = (&mut self.rows[start..end], &mut self.buffer[start..end]);
        let size = if rows.len() < SHARED { rows.len() } else { rows.len().div_ceil(self.team.threads()) };
        // Each share puts its left side to the front of its part of the buffer, and its right side backwards to the end.
        let mut shares: Vec<Share<'_, '_>> = rows
            .chunks(size)
            .zip(buffer.chunks_mut(size))
            .map(|(rows, sides)| Share { rows, sides, left: 0 })
            .collect();
        self.team.each(shares.iter_mut().collect(), |share| {
            let (mut left, mut right) = (0, share.rows.len());
            for &row in share.rows {
                let to_left = goes_left(row);
                // Both places are free: to guess the side is to be wrong half of the time.
                share.sides[left] = row;
                share.sides[right - 1] = row;
                left += usize::from(to_left);
                right -= usize::from(!to_left);
            }
            share.left = left;
        });
        let sides: Vec<(&[u32], usize)> = shares.into_iter().map(|share| (&*share.sides, share.left)).collect();
        let middle = sides.iter().map(|(_, left)| left).sum();
        let (mut lefts, mut rights) = rows.split_at_mut(middle);
        let mut copies = Vec::with_capacity(2 * sides.len());
        for &(sides, left) in &sides {
            let (to_left, to_right) = sides.split_at(left);
            let (into, rest) = std::mem::take(&mut lefts).split_at_mut(left);
            copies.push((into, to_left, false));
            lefts = rest;
            let (into, rest) = std::mem::take(&mut rights).split_at_mut(to_right.len());
            copies.push((into, to_right, true));
            rights = rest;
        }
        let copy = |(into, from, backwards): (&mut [u32], &[u32], bool)| {
            if backwards {
                into.iter_mut().zip(from.iter().rev()).for_each(|(into, from)| *into = *from);
            } else {
                into.copy_from_slice(from);
            }
        };
        if size < end - start {
            self.team.each(copies, copy)
        } else {
            copies.into_iter().for_each(copy)
        }
        start + middle
    }
}

/// A share of a node's rows, and where its sides are gathered.
struct Share<'a, 'b> {
    rows: &'a [u32],
    sides: &'b mut [u32],
    left: usize,
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
