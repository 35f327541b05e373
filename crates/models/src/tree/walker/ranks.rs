//! A row's values as their ranks among the thresholds of each feature.

use std::sync::{Mutex, PoisonError};

use super::super::{self as tree, CATEGORICAL, Tree};
use crate::{category, parallel};

/// The rank of a missing value at splits that send it right: above all others.
const LAST: u16 = u16::MAX;
/// The code of a missing category, after all others.
const MISSING: u16 = 256;
/// The rank that is 0 in every row, so that leaves, whose test it is, send every walk to the left.
pub(super) const ZERO: u16 = 0;

/// How a row's values become ranks.
#[derive(Debug)]
pub(super) struct Ranks {
    /// Features that are split by thresholds, ascending, and their thresholds. The ranks of the first one are at 1 and 2.
    numbers: Vec<(usize, Vec<f64>)>,
    /// Features that are split by categories, ascending. Their codes follow the ranks.
    categories: Vec<usize>,
    len: usize,
}

impl Ranks {
    /// `None` where there are more features or thresholds than two bytes can number.
    pub fn new(trees: &[Tree], threads: usize) -> Option<Self> {
        let n_features = trees.iter().flat_map(|tree| &tree.nodes).map(|node| node.feature() + 1).max().unwrap_or(0);
        let mut thresholds = vec![Vec::new(); n_features];
        let mut categorical = vec![false; n_features];
        for node in trees.iter().flat_map(|tree| &tree.nodes) {
            match node.feature & CATEGORICAL {
                0 => thresholds[node.feature()].push(node.threshold),
                _ => categorical[node.feature()] = true,
            }
        }
        let thresholds: Vec<_> = thresholds.into_iter().map(Mutex::new).collect();
        let sorted = parallel::map(
            thresholds.len(),
            threads,
            || (),
            |(), feature| {
                let mut list = std::mem::take(&mut *thresholds[feature].lock().unwrap_or_else(PoisonError::into_inner));
                list.sort_unstable_by(f64::total_cmp);
                // By value: the negative zero is no other threshold than the positive one.
                list.dedup();
                list.shrink_to_fit();
                list
            },
        );
        let numbers: Vec<_> = sorted.into_iter().enumerate().filter(|(_, list)| !list.is_empty()).collect();
        let categories: Vec<_> = (0..n_features).filter(|&feature| categorical[feature]).collect();
        let len = 1 + 2 * numbers.len() + categories.len();
        let fits = numbers.iter().all(|(_, list)| list.len() <= usize::from(LAST)) && len <= 1 << 15;
        fits.then_some(Self { numbers, categories, len })
    }

    /// How many ranks a row has.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Comparisons that a row's ranks take, about.
    pub fn cost(&self) -> f64 {
        self.numbers.iter().map(|(_, list)| f64::from(list.len().ilog2() + 2)).sum::<f64>()
            + self.categories.len() as f64
    }

    /// The column of each of a tree's splits, and the rank of its threshold.
    pub fn tests(&self, tree: &Tree) -> Vec<(u16, u16)> {
        let test = |node: &tree::Node| {
            if node.feature & CATEGORICAL != 0 {
                let at = self.categories.partition_point(|feature| *feature < node.feature());
                return (self.first_category() + at as u16, 0);
            }
            let at = self.numbers.partition_point(|(feature, _)| *feature < node.feature());
            let rank = self.numbers[at].1.partition_point(|limit| *limit < node.threshold);
            ((1 + 2 * at + usize::from(node.missing_left)) as u16, rank as u16)
        };
        tree.nodes.iter().map(test).collect()
    }

    /// The first column that is a category's code.
    pub fn first_category(&self) -> u16 {
        (self.len - self.categories.len()) as u16
    }

    /// Writes a row's ranks.
    pub fn write(&self, row: &[f64], ranks: &mut [u16]) {
        let (numbers, categories) = ranks[1..].split_at_mut(2 * self.numbers.len());
        for ((feature, thresholds), ranks) in self.numbers.iter().zip(numbers.as_chunks_mut().0) {
            *ranks = rank(thresholds, row[*feature]);
        }
        for (feature, code) in self.categories.iter().zip(categories) {
            *code = category::code(row[*feature]).map_or(MISSING, u16::from);
        }
    }

    /// The ranks of rows of `width` values, row after row.
    pub fn of_rows(&self, rows: &[f64], width: usize) -> Vec<u16> {
        let mut all = vec![ZERO; rows.len() / width * self.len()];
        // A feature at a time, for its thresholds to stay in the cache.
        for (at, (feature, thresholds)) in self.numbers.iter().enumerate() {
            for (row, ranks) in rows.chunks_exact(width).zip(all.chunks_exact_mut(self.len())) {
                ranks[1 + 2 * at..][..2].copy_from_slice(&rank(thresholds, row[*feature]));
            }
        }
        let first = 1 + 2 * self.numbers.len();
        for (at, feature) in self.categories.iter().enumerate() {
            for (row, ranks) in rows.chunks_exact(width).zip(all.chunks_exact_mut(self.len())) {
                ranks[first + at] = category::code(row[*feature]).map_or(MISSING, u16::from);
            }
        }
        all
    }
}

/// At splits that send missing values right, and at those that send them left.
#[inline]
fn rank(thresholds: &[f64], value: f64) -> [u16; 2] {
    // No threshold is below a missing value.
    let rank = thresholds.partition_point(|limit| *limit < value) as u16;
    [if value.is_nan() { LAST } else { rank }, rank]
}
