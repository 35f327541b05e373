//! Grows one tree of a forest, depth first, on histograms of class counts.
//!
//! Counts are integers, so a split's score does not depend on the order in which rows were added. A node's histogram
//! touches only the bins that occur in it: a bit set remembers which, and small nodes stay cheap.

use rand_chacha::ChaCha8Rng;

use crate::binning::BinnedMatrix;
use crate::random;
use crate::tree::{Link, Tree, TreeBuilder};

/// What all trees of a forest share.
pub(super) struct Growth<'a> {
    pub binned: &'a BinnedMatrix,
    pub targets: &'a [u32],
    pub n_classes: usize,
    pub max_depth: usize,
    pub min_samples_split: u64,
    pub min_samples_leaf: u64,
    pub max_features: usize,
    pub bootstrap: bool,
}

/// A row of the bootstrap, drawn `weight` times.
#[derive(Clone, Copy)]
struct Sample {
    row: u32,
    class: u32,
    weight: u32,
}

#[derive(Clone, Copy)]
struct Split {
    /// Σ squared class counts / rows of both sides: the higher, the lower the weighted Gini impurity.
    score: f64,
    feature: usize,
    /// Bins up to this one go left.
    bin: usize,
    threshold: f64,
    missing_left: bool,
}

struct Pending {
    start: usize,
    end: usize,
    depth: usize,
    at: Link,
}

/// One thread's buffers.
pub(super) struct Grower<'a> {
    growth: &'a Growth<'a>,
    weights: Vec<u32>,
    samples: Vec<Sample>,
    right: Vec<Sample>,
    features: Vec<usize>,
    /// Class counts of the node.
    totals: Vec<u64>,
    /// Class counts left of the split being looked at.
    left: Vec<u64>,
    /// 256 bins × classes, all zero between features.
    histogram: Vec<u32>,
}

impl<'a> Grower<'a> {
    pub fn new(growth: &'a Growth<'a>) -> Self {
        Self {
            growth,
            weights: vec![0; growth.binned.rows()],
            samples: Vec::with_capacity(growth.binned.rows()),
            right: Vec::new(),
            features: Vec::new(),
            totals: vec![0; growth.n_classes],
            left: vec![0; growth.n_classes],
            histogram: vec![0; 256 * growth.n_classes],
        }
    }

    /// Grows the tree of this index; it depends on the seed and the index only.
    pub fn grow(&mut self, seed: u64, index: u64) -> Tree {
        let mut rng = random::stream(seed, index);
        self.draw(&mut rng);
        self.features.clear();
        self.features.extend(0..self.growth.binned.features().len());
        let mut tree = TreeBuilder::new(self.growth.n_classes);
        let mut pending = vec![Pending { start: 0, end: self.samples.len(), depth: 0, at: Link::Root }];
        while let Some(node) = pending.pop() {
            match self.best_split(&node, &mut rng) {
                Some(split) => {
                    let middle = self.partition(node.start, node.end, &split);
                    let (left, right) = tree.push_split(node.at, split.feature, split.threshold, split.missing_left);
                    let depth = node.depth + 1;
                    pending.push(Pending { start: middle, end: node.end, depth, at: right });
                    pending.push(Pending { start: node.start, end: middle, depth, at: left });
                }
                None => {
                    let rows = self.totals.iter().sum::<u64>() as f64;
                    tree.push_leaf(node.at, self.totals.iter().map(|&count| count as f64 / rows));
                }
            }
        }
        tree.finish()
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng) {
        let rows = self.growth.binned.rows();
        if self.growth.bootstrap {
            self.weights.fill(0);
            for _ in 0..rows {
                self.weights[random::below(rng, rows as u32) as usize] += 1;
            }
        } else {
            self.weights.fill(1);
        }
        self.samples.clear();
        let drawn = self.weights.iter().zip(self.growth.targets).enumerate();
        self.samples.extend(drawn.filter(|(_, (weight, _))| **weight > 0).map(|(row, (&weight, &class))| Sample {
            row: row as u32,
            class,
            weight,
        }));
    }

    /// The best split of a node, or `None` for a leaf. Leaves the node's class counts in `totals`.
    fn best_split(&mut self, node: &Pending, rng: &mut ChaCha8Rng) -> Option<Split> {
        let growth = self.growth;
        self.totals.fill(0);
        for sample in &self.samples[node.start..node.end] {
            self.totals[sample.class as usize] += u64::from(sample.weight);
        }
        let rows: u64 = self.totals.iter().sum();
        let pure = self.totals.contains(&rows);
        if pure
            || node.depth >= growth.max_depth
            || rows < growth.min_samples_split
            || rows < 2 * growth.min_samples_leaf
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
        let n_classes = self.growth.n_classes;
        let column = self.growth.binned.column(feature);
        let mut occurring = [0_u64; 4];
        for sample in &self.samples[node.start..node.end] {
            let bin = column[sample.row as usize] as usize;
            occurring[bin >> 6] |= 1 << (bin & 63);
            self.histogram[bin * n_classes + sample.class as usize] += sample.weight;
        }
        let varies = occurring.iter().map(|word| word.count_ones()).sum::<u32>() > 1;
        if varies {
            let missing = self.growth.binned.features()[feature].missing();
            let has_missing = occurring[missing >> 6] & (1 << (missing & 63)) != 0;
            self.scan(feature, &occurring, has_missing, false, best);
            if has_missing {
                self.scan(feature, &occurring, has_missing, true, best);
            }
        }
        for bin in bits(&occurring) {
            self.histogram[bin * n_classes..][..n_classes].fill(0);
        }
        varies
    }

    /// Moves bin after bin from the right to the left side and scores each border between two.
    fn scan(
        &mut self,
        feature: usize,
        occurring: &[u64; 4],
        has_missing: bool,
        missing_left: bool,
        best: &mut Option<Split>,
    ) {
        let bins = &self.growth.binned.features()[feature];
        let n_classes = self.growth.n_classes;
        let min_leaf = self.growth.min_samples_leaf;
        let rows: u64 = self.totals.iter().sum();
        self.left.fill(0);
        let mut side =
            Sides { rows_left: 0, squares_left: 0, squares_right: self.totals.iter().map(|count| count * count).sum() };
        if missing_left {
            let counts = &self.histogram[bins.missing() * n_classes..][..n_classes];
            side.shift(&mut self.left, &self.totals, counts);
        }
        let mut offer = |side: &Sides, bin: usize, threshold: f64, missing_left: bool| {
            let rows_right = rows - side.rows_left;
            if side.rows_left < min_leaf || rows_right < min_leaf {
                return;
            }
            let score =
                side.squares_left as f64 / side.rows_left as f64 + side.squares_right as f64 / rows_right as f64;
            if best.is_none_or(|best| score > best.score) {
                *best = Some(Split { score, feature, bin, threshold, missing_left });
            }
        };
        let mut previous = None;
        for bin in bits(occurring).filter(|&bin| bin != bins.missing()) {
            if let Some(previous) = previous {
                // Without missing values here, those of later rows follow the larger side.
                let missing_left = if has_missing { missing_left } else { 2 * side.rows_left >= rows };
                offer(&side, previous, bins.threshold(previous, bin), missing_left);
            }
            side.shift(&mut self.left, &self.totals, &self.histogram[bin * n_classes..][..n_classes]);
            previous = Some(bin);
        }
        if let (Some(last), true, false) = (previous, has_missing, missing_left) {
            // Every value to the left, the missing ones alone to the right.
            offer(&side, last, f64::INFINITY, false);
        }
    }

    /// Moves the samples that go left to the front, keeping the order, and returns where the right side starts.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let column = self.growth.binned.column(split.feature);
        let missing = self.growth.binned.features()[split.feature].missing();
        self.right.clear();
        let mut middle = start;
        for i in start..end {
            let sample = self.samples[i];
            let bin = column[sample.row as usize] as usize;
            if if bin == missing { split.missing_left } else { bin <= split.bin } {
                self.samples[middle] = sample;
                middle += 1;
            } else {
                self.right.push(sample);
            }
        }
        self.samples[middle..end].copy_from_slice(&self.right);
        middle
    }
}

/// Running sums of both sides of a border. At most 2³¹ rows, so squares fit.
struct Sides {
    rows_left: u64,
    squares_left: u64,
    squares_right: u64,
}

impl Sides {
    /// Moves one bin's class counts to the left: (l + c)² = l² + c (2 l + c), (r - c)² = r² - c (2 r - c).
    fn shift(&mut self, left: &mut [u64], totals: &[u64], counts: &[u32]) {
        for ((left, total), &count) in left.iter_mut().zip(totals).zip(counts) {
            if count == 0 {
                continue;
            }
            let count = u64::from(count);
            self.squares_left += count * (2 * *left + count);
            self.squares_right -= count * (2 * (total - *left) - count);
            *left += count;
            self.rows_left += count;
        }
    }
}

/// The numbers of the set bits, ascending.
fn bits(words: &[u64; 4]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(word, &bits)| {
        std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)))
            .take_while(|bits| *bits != 0)
            .map(move |bits| word * 64 + bits.trailing_zeros() as usize)
    })
}
