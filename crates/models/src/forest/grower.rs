//! Grows one tree of a forest, depth first, on histograms.
//!
//! A node's histogram touches only the bins that occur in it: a set remembers which, and small nodes stay cheap.

use rand_chacha::ChaCha8Rng;

use super::params::RandomForestValidParams;
use super::statistic::Statistic;
use crate::binning::BinnedMatrix;
use crate::category::Set;
use crate::cut::Cut;
use crate::training::Training;
use crate::tree::{Link, Rule, Tree, TreeBuilder};
use crate::{Task, random};

/// What all trees of a forest share.
pub(super) struct Growth<'a> {
    binned: &'a BinnedMatrix,
    training: &'a Training<'a>,
    max_depth: usize,
    min_samples_split: u64,
    min_samples_leaf: u64,
    max_features: usize,
    bootstrap: bool,
}

impl<'a> Growth<'a> {
    pub fn new(params: &RandomForestValidParams, binned: &'a BinnedMatrix, training: &'a Training<'a>) -> Self {
        let by_task = match training.task {
            Task::Classification { .. } => super::MaxFeatures::Sqrt,
            Task::Regression => super::MaxFeatures::All,
        };
        Self {
            binned,
            training,
            max_depth: params.max_depth.unwrap_or(usize::MAX),
            min_samples_split: params.min_samples_split as u64,
            min_samples_leaf: params.min_samples_leaf as u64,
            max_features: params.max_features.unwrap_or(by_task).of(binned.features().len()),
            bootstrap: params.bootstrap,
        }
    }
}

#[derive(Clone, Copy)]
struct Split {
    score: f64,
    feature: usize,
    cut: Cut,
    missing_left: bool,
}

struct Pending {
    start: usize,
    end: usize,
    depth: usize,
    at: Link,
}

/// One thread's buffers.
pub(super) struct Grower<'a, S: Statistic<'a>> {
    growth: &'a Growth<'a>,
    statistic: S,
    draws: Vec<u32>,
    samples: Vec<S::Sample>,
    right: Vec<S::Sample>,
    features: Vec<usize>,
    /// Bins of categories in the order in which they are split.
    order: Vec<u8>,
}

impl<'a, S: Statistic<'a>> Grower<'a, S> {
    pub fn new(growth: &'a Growth<'a>) -> Self {
        Self {
            growth,
            statistic: S::new(growth.training),
            draws: vec![0; growth.binned.rows()],
            samples: Vec::with_capacity(growth.binned.rows()),
            right: Vec::new(),
            features: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Grows the tree of this index; it depends on the seed and the index only.
    pub fn grow(&mut self, seed: u64, index: u64) -> Tree {
        let mut rng = random::stream(seed, index);
        self.draw(&mut rng);
        self.features.clear();
        self.features.extend(0..self.growth.binned.features().len());
        let mut tree = TreeBuilder::new(self.growth.training.task.n_outputs());
        let mut pending = vec![Pending { start: 0, end: self.samples.len(), depth: 0, at: Link::Root }];
        while let Some(node) = pending.pop() {
            match self.best_split(&node, &mut rng) {
                Some(split) => {
                    let middle = self.partition(node.start, node.end, &split);
                    let (left, right) = tree.push_split(node.at, split.feature, self.rule(&split), split.missing_left);
                    let depth = node.depth + 1;
                    pending.push(Pending { start: middle, end: node.end, depth, at: right });
                    pending.push(Pending { start: node.start, end: middle, depth, at: left });
                }
                None => tree.push_leaf(node.at, self.statistic.cover(), self.statistic.outputs()),
            }
        }
        tree.finish()
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng) {
        let rows = self.growth.binned.rows();
        if self.growth.bootstrap {
            self.draws.fill(0);
            for _ in 0..rows {
                self.draws[random::below(rng, rows as u32) as usize] += 1;
            }
        } else {
            self.draws.fill(1);
        }
        self.samples.clear();
        let drawn = self.draws.iter().enumerate().filter(|(_, draws)| **draws > 0);
        self.samples.extend(drawn.map(|(row, &draws)| self.statistic.sample(row, draws)));
    }

    /// The best split of a node, or `None` for a leaf. Leaves the node's sums in `statistic`.
    fn best_split(&mut self, node: &Pending, rng: &mut ChaCha8Rng) -> Option<Split> {
        let growth = self.growth;
        self.statistic.start_node(&self.samples[node.start..node.end]);
        let draws = self.statistic.draws();
        if self.statistic.is_pure()
            || node.depth >= growth.max_depth
            || draws < growth.min_samples_split
            || draws < 2 * growth.min_samples_leaf
        {
            return None;
        }
        let mut best = None;
        let mut tried = 0;
        for i in 0..self.features.len() {
            if tried == growth.max_features && best.is_some() {
                break;
            }
            let drawn = i + random::below(rng, (self.features.len() - i) as u32) as usize;
            self.features.swap(i, drawn);
            if self.search(self.features[i], node, &mut best) {
                tried = (tried + 1).min(growth.max_features);
            }
        }
        best
    }

    /// Looks for a better split on one feature; `false` when the feature is constant in the node.
    fn search(&mut self, feature: usize, node: &Pending, best: &mut Option<Split>) -> bool {
        let column = self.growth.binned.column(feature);
        let mut occurring = Set::default();
        for sample in &self.samples[node.start..node.end] {
            let bin = column[S::row(sample)];
            occurring.insert(bin);
            self.statistic.add(usize::from(bin), sample);
        }
        let varies = occurring.len() > 1;
        if varies {
            let bins = &self.growth.binned.features()[feature];
            let has_missing = occurring.contains(bins.missing() as u8);
            let sides = if has_missing { &[false, true][..] } else { &[false] };
            for &missing_left in sides {
                if bins.is_categorical() {
                    self.scan_categories(feature, &occurring, has_missing, missing_left, best);
                } else {
                    self.scan(feature, &occurring, has_missing, missing_left, best);
                }
            }
        }
        for bin in occurring.iter() {
            self.statistic.clear(usize::from(bin));
        }
        varies
    }

    /// Moves bin after bin from the right to the left side and scores each border between two.
    fn scan(
        &mut self,
        feature: usize,
        occurring: &Set,
        has_missing: bool,
        missing_left: bool,
        best: &mut Option<Split>,
    ) {
        let bins = &self.growth.binned.features()[feature];
        self.start_scan(missing_left.then_some(bins.missing()));
        let mut previous = None;
        for bin in occurring.iter().map(usize::from).filter(|&bin| bin != bins.missing()) {
            if let Some(previous) = previous
                && let Some(score) = self.better(best)
            {
                let cut = Cut::After { bin: previous, threshold: bins.threshold(previous, bin) };
                let missing_left = self.missing_side(has_missing, missing_left);
                *best = Some(Split { score, feature, cut, missing_left });
            }
            self.statistic.shift(bin);
            previous = Some(bin);
        }
        if let (Some(bin), true, false) = (previous, has_missing, missing_left)
            && let Some(score) = self.better(best)
        {
            // Every value to the left, the missing ones alone to the right.
            let cut = Cut::After { bin, threshold: f64::INFINITY };
            *best = Some(Split { score, feature, cut, missing_left: false });
        }
    }

    /// The same with the categories in the order of [`Statistic::order`].
    fn scan_categories(
        &mut self,
        feature: usize,
        occurring: &Set,
        has_missing: bool,
        missing_left: bool,
        best: &mut Option<Split>,
    ) {
        let missing = self.growth.binned.features()[feature].missing();
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(occurring.iter().filter(|&bin| usize::from(bin) != missing));
        let key = |bin: &u8| self.statistic.order(usize::from(*bin));
        order.sort_by(|a, b| key(a).total_cmp(&key(b)));
        self.start_scan(missing_left.then_some(missing));
        let mut cut_at = None;
        for (left, &bin) in order.iter().enumerate() {
            self.statistic.shift(usize::from(bin));
            let (left, all_left) = (left + 1, left + 1 == order.len());
            if (!all_left || (has_missing && !missing_left))
                && let Some(score) = self.better(best)
            {
                let missing_left = self.missing_side(has_missing, missing_left);
                *best = Some(Split { score, feature, cut: Cut::Apart(Set::default()), missing_left });
                cut_at = Some(left);
            }
        }
        if let (Some(left), Some(best)) = (cut_at, best) {
            let apart = if best.missing_left { &order[left..] } else { &order[..left] };
            best.cut = Cut::Apart(apart.iter().copied().collect());
        }
        self.order = order;
    }

    /// Everything to the right, but for the bin of missing values when they go left.
    fn start_scan(&mut self, to_the_left: Option<usize>) {
        self.statistic.start_scan();
        if let Some(bin) = to_the_left {
            self.statistic.shift(bin);
        }
    }

    /// The score of the present border, if both sides are large enough and no split so far has a higher one.
    #[inline]
    fn better(&self, best: &Option<Split>) -> Option<f64> {
        let draws_left = self.statistic.draws_left();
        if draws_left.min(self.statistic.draws() - draws_left) < self.growth.min_samples_leaf {
            return None;
        }
        let score = self.statistic.score();
        (score > f64::NEG_INFINITY && best.is_none_or(|best| score > best.score)).then_some(score)
    }

    /// Without missing values here, those of later rows follow the larger side.
    #[inline]
    fn missing_side(&self, has_missing: bool, missing_left: bool) -> bool {
        if has_missing { missing_left } else { 2 * self.statistic.draws_left() >= self.statistic.draws() }
    }

    fn rule(&self, split: &Split) -> Rule {
        split.cut.rule(&self.growth.binned.features()[split.feature])
    }

    /// Moves the samples that go left to the front and returns where the right side starts.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let binned = self.growth.binned;
        let (column, feature) = (binned.column(split.feature), &binned.features()[split.feature]);
        let bin = |sample: &_| column[S::row(sample)];
        start + split.cut.partition(&mut self.samples[start..end], feature, split.missing_left, bin, &mut self.right)
    }
}
