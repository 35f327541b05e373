//! Isotonic regression: the best rising curve through hits and misses, by pooling adjacent violators (Ayer et al. 1955).

use super::error::Error;
use serde::{Deserialize, Serialize};

/// Rows with nearly the same probability are pooled from the start, at least so many.
const LEAST_ROWS: usize = 10;
/// What a row counts for at least when rows are pooled; in the middle it is half a row more. A class among many is improbable
/// in most rows, and without this one group would hold all in which it is not.
const LEAST_WEIGHT: f64 = 0.05;
/// Each halves the distance at least, as a block's mean depends on its own knot first.
const MEAN_STEPS: usize = 8;

/// Rows whose probabilities mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Knot {
    /// The mean of the model's probabilities.
    pub at: f64,
    /// What probabilities of `at` are worth, 0–1.
    pub share: f64,
    /// Rows.
    pub rows: u64,
}

/// A rising curve: a line from knot to knot, level outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Isotonic {
    /// The knots, `at` and `share` rising.
    pub knots: Vec<Knot>,
}

struct Block {
    rows: f64,
    probability: f64,
    hits: f64,
}

impl Block {
    fn share(&self) -> f64 {
        self.hits / self.rows
    }

    fn pool(&mut self, other: &Self) {
        self.rows += other.rows;
        self.probability += other.probability;
        self.hits += other.hits;
    }

    /// By how much pooling two blocks worsens the squared error.
    fn cost(&self, other: &Self) -> f64 {
        let step = self.share() - other.share();
        self.rows * other.rows / (self.rows + other.rows) * step * step
    }
}

impl Isotonic {
    /// Fits (probability, hit) pairs, which are sorted in place, with at most `most` knots.
    pub(crate) fn fit(pairs: &mut [(f64, bool)], most: usize) -> Self {
        // Hits break ties so that the order of rows does not matter.
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut blocks: Vec<Block> = Vec::new();
        for group in groups(pairs) {
            let rows = group.len() as f64;
            let probability = group.iter().map(|(probability, _)| probability).sum();
            let hits = group.iter().filter(|(_, hit)| *hit).count() as f64;
            let mut block = Block { rows, probability, hits };
            while let Some(before) = blocks.pop_if(|before| before.share() >= block.share()) {
                block.pool(&before);
            }
            blocks.push(block);
        }
        // Pooling neighbours of a rising sequence keeps it rising.
        while blocks.len() > most.max(1) {
            let costs = blocks.windows(2).map(|pair| pair[0].cost(&pair[1])).enumerate();
            let Some((cheapest, _)) = costs.min_by(|a, b| a.1.total_cmp(&b.1)) else { break };
            let taken = blocks.remove(cheapest + 1);
            blocks[cheapest].pool(&taken);
        }
        let knot =
            |block: &Block| Knot { at: block.probability / block.rows, share: block.share(), rows: block.rows as u64 };
        let mut curve = Self { knots: blocks.iter().map(knot).collect() };
        curve.keep_means(pairs);
        curve
    }

    /// A line through the means of blocks does not have their means: where the curve bends it runs to one side of them. Moves
    /// the knots until the rows of each block have the mean that the block has, as far as the curve still rises.
    fn keep_means(&mut self, pairs: &[(f64, bool)]) {
        let wanted: Vec<f64> = self.knots.iter().map(|knot| knot.share).collect();
        for _ in 0..MEAN_STEPS {
            let mut rest = pairs;
            let mut lacking = Vec::with_capacity(wanted.len());
            for (knot, wanted) in self.knots.iter().zip(&wanted) {
                let (rows, left) = rest.split_at(knot.rows as usize);
                rest = left;
                let mean = rows.iter().map(|pair| self.value(pair.0)).sum::<f64>() / rows.len() as f64;
                lacking.push(wanted - mean);
            }
            let mut floor = 0.0f64;
            for (knot, lacking) in self.knots.iter_mut().zip(lacking) {
                knot.share = (knot.share + lacking).clamp(floor, 1.0);
                floor = knot.share;
            }
        }
    }

    /// The two knots that decide on a probability, and the weight of each.
    pub(crate) fn weights(&self, probability: f64) -> [(usize, f64); 2] {
        let after = self.knots.partition_point(|knot| knot.at <= probability);
        if after == 0 || after == self.knots.len() {
            return [(after.saturating_sub(1), 1.0), (0, 0.0)];
        }
        let (low, high) = (self.knots[after - 1].at, self.knots[after].at);
        let part = (probability - low) / (high - low);
        [(after - 1, 1.0 - part), (after, part)]
    }

    pub(crate) fn value(&self, probability: f64) -> f64 {
        self.weights(probability).iter().map(|&(knot, weight)| weight * self.knots[knot].share).sum()
    }

    /// The variance of a sum of the knots' shares, each times its influence: knots are of different rows. Shares of 0 and 1 are
    /// no certainty (Jeffreys' half row).
    pub(crate) fn variance(&self, influence: &[f64]) -> f64 {
        let one = |(knot, influence): (&Knot, &f64)| {
            let rows = knot.rows as f64;
            let share = (knot.share * rows + 0.5) / (rows + 1.0);
            influence * influence * share * (1.0 - share) / rows
        };
        self.knots.iter().zip(influence).map(one).sum()
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let damaged = |fault| Err(Error::Damaged { what: "calibrator", fault });
        let share = |value: f64| (0.0..=1.0).contains(&value);
        if self.knots.is_empty() {
            return damaged("a curve has no knots");
        }
        if !self.knots.iter().all(|knot| share(knot.at) && share(knot.share) && knot.rows > 0) {
            return damaged("a knot is not within 0 to 1, or of no rows");
        }
        if !self.knots.windows(2).all(|pair| pair[0].at < pair[1].at && pair[0].share <= pair[1].share) {
            return damaged("the knots do not rise");
        }
        Ok(())
    }
}

/// Sorted pairs in groups of about equal weight; equal probabilities stay together.
///
/// Pooling violators makes the curve too steep for other rows than its own: the sum of its shares above any probability is
/// never less than the hits there, so that models would look too good. There are (2·rows)^⅓ groups, as many as
/// differ from their neighbours by about what chance makes of them: then few violate, and the line between them shows the rest.
fn groups(pairs: &[(f64, bool)]) -> impl Iterator<Item = &[(f64, bool)]> {
    let weight = |pair: &(f64, bool)| (pair.0 * (1.0 - pair.0)).max(0.0).sqrt() + LEAST_WEIGHT;
    let wanted = (2.0 * pairs.len() as f64).cbrt().ceil();
    let size = pairs.iter().map(weight).sum::<f64>() / wanted;
    let mut rest = pairs;
    std::iter::from_fn(move || {
        let mut held = 0.0;
        let rows = rest.iter().position(|pair| {
            held += weight(pair);
            held >= size
        });
        let last =
            rest.get(rows.map_or(rest.len(), |last| last + 1).max(LEAST_ROWS.min(rest.len())).checked_sub(1)?)?.0;
        let mut end = rest.partition_point(|pair| pair.0 <= last);
        // What is left over is too little for a group of its own.
        if rest.len() - end < LEAST_ROWS {
            end = rest.len();
        }
        let (group, left) = rest.split_at(end);
        rest = left;
        Some(group)
    })
}
