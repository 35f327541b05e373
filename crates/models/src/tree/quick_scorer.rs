//! Small trees as masks of the leaves that a row can still reach (Lucchese et al., "QuickScorer: a fast algorithm to rank
//! documents with additive ensembles of regression trees", SIGIR 2015).
//!
//! A split that sends a row to the right takes the leaves on its left from the row; of those that no split takes, the
//! leftmost one is the row's. All splits of a feature are ordered by threshold, so that what a value takes from every tree
//! depends only on its place among them: that is computed beforehand. A row then costs a search and a line of masks for each
//! feature, whatever the depth of the trees.

use super::{CATEGORICAL, LEAF, Tree};

/// Most leaves of a tree: the bits of a mask.
const LEAVES: usize = 32;
/// Trees whose masks are kept together: few enough that they stay in the second cache.
const TREES: usize = 128;
/// The most masks: 32 MiB.
const MASKS: usize = 8 << 20;
/// The most features of a block: each costs a row a search and a line, and with about so many the trees are walked as fast.
const FEATURES: usize = 64;

/// Trees whose masks are met at a time.
const CHUNK: usize = 32;
/// Rows of a batch whose leaves are added up at a time.
const ROWS: usize = 4;

/// Finds the leaves of rows in trees of up to 32 leaves, each a single value.
#[derive(Debug)]
pub(crate) struct QuickScorer {
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    features: Vec<Feature>,
    /// Line by line, a mask for each tree.
    masks: Vec<u32>,
    /// Of each tree, from left to right.
    leaves: Vec<[f64; LEAVES]>,
}

/// The lines of a feature: one for each place of a value among the thresholds, and one for a missing value.
#[derive(Debug)]
struct Feature {
    number: usize,
    thresholds: Vec<f64>,
    /// Its first line.
    first: usize,
}

/// A split, and what it leaves to a row that goes to the right.
struct Split {
    feature: usize,
    threshold: f64,
    tree: usize,
    mask: u32,
    missing_left: bool,
}

impl QuickScorer {
    /// `None` where the trees are too large, have several values a leaf or splits on categories, or are so many that the
    /// masks would be.
    pub fn new(trees: &[Tree]) -> Option<Self> {
        let fits = |tree: &Tree| tree.width == 1 && tree.leaves.len() <= LEAVES && tree.sets.is_empty();
        // A line for each split and two more for each of the features, which are not more than the splits.
        let masks: usize =
            trees.chunks(TREES).map(|trees| 3 * trees.iter().map(Tree::n_splits).sum::<usize>() * trees.len()).sum();
        if !trees.iter().all(fits) || masks > MASKS {
            return None;
        }
        let blocks: Vec<Block> = trees.chunks(TREES).map(Block::new).collect();
        blocks.iter().all(|block| block.features.len() <= FEATURES).then_some(Self { blocks })
    }

    /// Adds the values of a row's leaves to its outputs, tree after tree: the first tree's to the first output, the next
    /// tree's to the next one, and so around.
    pub fn add(&self, row: &[f64], outputs: &mut [f64]) {
        for (index, block) in self.blocks.iter().enumerate() {
            block.add(row, index * TREES % outputs.len(), outputs);
        }
    }

    /// The same for rows of `width` values, each with outputs of its own from `first` on of every `n_outputs` places.
    pub fn add_rows(&self, rows: &[f64], width: usize, outputs: &mut [f64], n_outputs: usize, first: usize) {
        for (index, block) in self.blocks.iter().enumerate() {
            if n_outputs == first + 1 {
                block.add_to_single(rows, width, outputs, n_outputs);
                continue;
            }
            let place = index * TREES % (n_outputs - first);
            for (row, outputs) in rows.chunks_exact(width).zip(outputs.chunks_exact_mut(n_outputs)) {
                block.add(row, place, &mut outputs[first..]);
            }
        }
    }
}

impl Block {
    fn new(trees: &[Tree]) -> Self {
        let mut splits = Vec::new();
        let mut leaves = vec![[0.0; LEAVES]; trees.len()];
        for (index, (tree, leaves)) in trees.iter().zip(&mut leaves).enumerate() {
            number(tree, tree.root, index, &mut 0, leaves, &mut splits);
        }
        splits.sort_by(|a, b| a.feature.cmp(&b.feature).then(a.threshold.total_cmp(&b.threshold)));
        let (mut features, mut masks) = (Vec::new(), Vec::new());
        for splits in splits.chunk_by(|a, b| a.feature == b.feature) {
            let first = masks.len() / trees.len();
            let mut thresholds = Vec::new();
            let mut line = vec![u32::MAX; trees.len()];
            masks.extend_from_slice(&line);
            for splits in splits.chunk_by(|a, b| a.threshold == b.threshold) {
                thresholds.push(splits[0].threshold);
                splits.iter().for_each(|split| line[split.tree] &= split.mask);
                masks.extend_from_slice(&line);
            }
            line.fill(u32::MAX);
            splits.iter().filter(|split| !split.missing_left).for_each(|split| line[split.tree] &= split.mask);
            masks.extend_from_slice(&line);
            features.push(Feature { number: splits[0].feature, thresholds, first });
        }
        Self { features, masks, leaves }
    }

    /// Adds to the last of the outputs of each row. Some rows at a time: the sum of one waits for each addition.
    fn add_to_single(&self, rows: &[f64], width: usize, outputs: &mut [f64], n_outputs: usize) {
        for (rows, outputs) in rows.chunks(ROWS * width).zip(outputs.chunks_mut(ROWS * n_outputs)) {
            if rows.len() < ROWS * width {
                for (row, outputs) in rows.chunks_exact(width).zip(outputs.chunks_exact_mut(n_outputs)) {
                    self.add(row, 0, &mut outputs[n_outputs - 1..]);
                }
                continue;
            }
            let mut reached = [[u32::MAX; TREES]; ROWS];
            for (row, reached) in rows.chunks_exact(width).zip(&mut reached) {
                self.reach(row, &mut reached[..self.leaves.len()]);
            }
            let mut sums: [f64; ROWS] = std::array::from_fn(|row| outputs[(row + 1) * n_outputs - 1]);
            for (tree, leaves) in self.leaves.iter().enumerate() {
                for row in 0..ROWS {
                    sums[row] += leaves[reached[row][tree].trailing_zeros() as usize % LEAVES];
                }
            }
            outputs.chunks_exact_mut(n_outputs).zip(sums).for_each(|(outputs, sum)| outputs[n_outputs - 1] = sum);
        }
    }

    #[inline]
    fn add(&self, row: &[f64], first: usize, outputs: &mut [f64]) {
        let mut reached = [u32::MAX; TREES];
        let reached = &mut reached[..self.leaves.len()];
        self.reach(row, reached);
        let values =
            self.leaves.iter().zip(reached).map(|(leaves, reached)| leaves[reached.trailing_zeros() as usize % LEAVES]);
        if let [output] = outputs {
            values.for_each(|value| *output += value);
            return;
        }
        let mut place = first;
        for value in values {
            outputs[place] += value;
            place = if place + 1 == outputs.len() { 0 } else { place + 1 };
        }
    }

    /// The leaves of each tree that the row can reach.
    #[inline]
    fn reach(&self, row: &[f64], reached: &mut [u32]) {
        let mut lines = [&[][..]; FEATURES];
        let trees = self.leaves.len();
        for (Feature { number, thresholds, first }, line) in self.features.iter().zip(&mut lines) {
            let value = row[*number];
            let place =
                if value.is_nan() { thresholds.len() + 1 } else { thresholds.partition_point(|limit| *limit < value) };
            *line = &self.masks[(first + place) * trees..][..trees];
        }
        let lines = &lines[..self.features.len()];
        let (chunks, rest) = reached.as_chunks_mut::<CHUNK>();
        for (chunk, reached) in chunks.iter_mut().enumerate() {
            // Of its own, so that it stays in the processor's registers.
            let mut left = [u32::MAX; CHUNK];
            for line in lines {
                let Some(masks) = line[chunk * CHUNK..].first_chunk::<CHUNK>() else { return };
                for tree in 0..CHUNK {
                    left[tree] &= masks[tree];
                }
            }
            *reached = left;
        }
        let start = trees - rest.len();
        rest.fill(u32::MAX);
        for line in lines {
            rest.iter_mut().zip(&line[start..]).for_each(|(reached, mask)| *reached &= mask);
        }
    }
}

/// Numbers the leaves below a link from left to right. Not deeper than the few splits of a small tree.
fn number(tree: &Tree, link: u32, index: usize, next: &mut usize, leaves: &mut [f64; LEAVES], splits: &mut Vec<Split>) {
    if link & LEAF != 0 {
        leaves[*next] = tree.values(link)[0];
        *next += 1;
        return;
    }
    let node = &tree.nodes[link as usize];
    let start = *next;
    number(tree, node.children[0], index, next, leaves, splits);
    let below = |end: usize| (1_u64 << end) - 1;
    let mask = !(below(*next) ^ below(start)) as u32;
    let feature = (node.feature & !CATEGORICAL) as usize;
    splits.push(Split { feature, threshold: node.threshold, tree: index, mask, missing_left: node.missing_left });
    number(tree, node.children[1], index, next, leaves, splits);
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::RngCore as _;

    use super::super::{Link, Rule, TreeBuilder};
    use super::*;
    use crate::random;

    /// A value out of few, so that rows meet thresholds.
    fn value(random: u32) -> f64 {
        match random % 9 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            number => f64::from(number) - 4.0,
        }
    }

    fn grown(rng: &mut impl rand_chacha::rand_core::RngCore, leaves: usize) -> Tree {
        let mut tree = TreeBuilder::new(1);
        let mut open = vec![Link::Root];
        while open.len() < leaves {
            let at = open.swap_remove(rng.next_u32() as usize % open.len());
            let threshold = Some(value(rng.next_u32())).filter(|value| !value.is_nan()).unwrap_or(0.0);
            let feature = rng.next_u32() as usize % 3;
            let (left, right) =
                tree.push_split(at, feature, Rule::Threshold(threshold), rng.next_u32().is_multiple_of(2));
            open.extend([left, right]);
        }
        for (number, at) in open.into_iter().enumerate() {
            tree.push_leaf(at, 1.0, [1.0 / (number + 3) as f64]);
        }
        tree.finish()
    }

    #[test]
    fn masks_find_the_leaves_that_walks_find() {
        let rng = &mut random::stream(1, 0);
        let trees: Vec<Tree> = (0..300).map(|index| grown(rng, 1 + index % LEAVES)).collect();
        let scorer = QuickScorer::new(&trees).unwrap();
        for n_outputs in [1, 3] {
            let rows: Vec<f64> = (0..3 * 200).map(|_| value(rng.next_u32())).collect();
            let mut batch = vec![0.5; 200 * (n_outputs + 1)];
            scorer.add_rows(&rows, 3, &mut batch, n_outputs + 1, 1);
            for (row, batch) in rows.chunks(3).zip(batch.chunks(n_outputs + 1)) {
                let (mut walked, mut scored) = (vec![0.5; n_outputs], vec![0.5; n_outputs]);
                trees.iter().enumerate().for_each(|(index, tree)| walked[index % n_outputs] += tree.leaf(row)[0]);
                scorer.add(row, &mut scored);
                assert_eq!((&walked[..], &walked[..]), (&scored[..], &batch[1..]));
            }
        }
    }

    #[test]
    fn trees_that_do_not_fit_are_left_to_walks() {
        let rng = &mut random::stream(2, 0);
        assert!(QuickScorer::new(&[grown(rng, LEAVES + 1)]).is_none());
        let many: Vec<Tree> = (0..1_000).map(|_| grown(rng, LEAVES)).collect();
        assert!(QuickScorer::new(&many).is_none());
        assert!(QuickScorer::new(&[]).is_some());
    }
}
