//! What each feature contributes to a prediction: Shapley values of tree ensembles (Lundberg, Erion and Lee, "Consistent
//! Individualized Feature Attribution for Tree Ensembles", 2018, algorithm 2).
//!
//! A feature that is not known is averaged over both sides of a split by the weight of the training rows there (the
//! path-dependent expectation). So the contributions of all features and the expected value sum up to the output.

#[cfg(test)]
mod tests;

use ndarray::Array2;

use crate::Error;
use crate::tree::{Place, Tree};

/// What a row's outputs are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// Each output's value when no feature is known.
    pub expected: Vec<f64>,
    /// What each feature adds to it: outputs × features.
    pub values: Array2<f64>,
}

/// Trees whose leaves are added up.
pub(crate) struct Ensemble<'a> {
    /// Leaves hold a value per output, or one value, tree after tree for the next output.
    pub trees: &'a [Tree],
    /// Each output without the trees.
    pub baseline: Vec<f64>,
    /// What each leaf is multiplied by.
    pub scale: f64,
}

/// Explains the predictions of one model; what all rows share is computed once.
pub struct Explainer<'a> {
    n_features: usize,
    ensemble: Ensemble<'a>,
    /// Of each tree, the cover of every inner node.
    covers: Vec<Vec<f64>>,
    expected: Vec<f64>,
}

impl<'a> Explainer<'a> {
    pub(crate) fn new(n_features: usize, ensemble: Ensemble<'a>) -> Self {
        let covers: Vec<Vec<f64>> = ensemble.trees.iter().map(Tree::inner_covers).collect();
        let mut expected = ensemble.baseline.clone();
        for (index, tree) in ensemble.trees.iter().enumerate() {
            let all: f64 = tree.leaves().map(|(cover, _)| cover).sum();
            for (cover, values) in tree.leaves() {
                let first = index * values.len() % expected.len();
                let into = expected[first..].iter_mut().zip(values);
                into.for_each(|(expected, value)| *expected += ensemble.scale * value * cover / all);
            }
        }
        Self { n_features, ensemble, covers, expected }
    }

    /// What each feature contributes to a row's outputs: to the probabilities or the value of a forest, to the scores of
    /// boosting (log odds of the second of two classes, of more classes each one's exponent in the softmax, of a regression
    /// the value).
    ///
    /// # Errors
    /// [`Error::FeatureCount`].
    pub fn contributions(&self, row: &[f64]) -> Result<Contributions, Error> {
        if row.len() != self.n_features {
            return Err(Error::FeatureCount { expected: self.n_features, got: row.len() });
        }
        let mut values = Array2::zeros((self.expected.len(), self.n_features));
        for (index, (tree, covers)) in self.ensemble.trees.iter().zip(&self.covers).enumerate() {
            for_each_leaf(tree, covers, row, |path, leaf| {
                let first = index * leaf.len() % self.expected.len();
                for place in 1..path.len() {
                    let Known { feature, one, zero, .. } = path[place];
                    let share = self.ensemble.scale * unwound(path, place).sum::<f64>() * (one - zero);
                    for (output, value) in leaf.iter().enumerate() {
                        values[(first + output, feature)] += share * value;
                    }
                }
            });
        }
        Ok(Contributions { expected: self.expected.clone(), values })
    }
}

/// A feature met on the way down; the first of a path is none, but the empty set.
#[derive(Clone, Copy)]
struct Known {
    feature: usize,
    /// Share of the training rows that pass its splits on this way: what flows when it is not known.
    zero: f64,
    /// Whether the row itself passes them: what flows when it is known.
    one: f64,
    /// Of the sets of features with as many members as this one's place: their summed weights in the Shapley value.
    weight: f64,
}

/// Calls `each` with the path to every leaf and its values.
fn for_each_leaf(tree: &Tree, covers: &[f64], row: &[f64], mut each: impl FnMut(&[Known], &[f64])) {
    let mut root = Vec::new();
    extend(&mut root, usize::MAX, 1.0, 1.0);
    // Not recursive: a tree may be deeper than the stack.
    let mut pending = vec![(tree.root(), root)];
    while let Some((link, mut path)) = pending.pop() {
        match tree.place(link, row) {
            Place::Leaf(values) => each(&path, values),
            Place::Split { node, feature, taken, other } => {
                // A feature met again has one entry, with the shares of both splits.
                let (mut zero, mut one) = (1.0, 1.0);
                if let Some(again) = path.iter().position(|known| known.feature == feature) {
                    (zero, one) = (path[again].zero, path[again].one);
                    unwind(&mut path, again);
                }
                let share = |link| zero * tree.cover(link, covers) / covers[node];
                let mut other_path = path.clone();
                extend(&mut other_path, feature, share(other), 0.0);
                extend(&mut path, feature, share(taken), one);
                pending.push((other, other_path));
                pending.push((taken, path));
            }
        }
    }
}

/// Adds a feature to the path: every set there was is met without it and with it.
fn extend(path: &mut Vec<Known>, feature: usize, zero: f64, one: f64) {
    let length = path.len();
    let size = (length + 1) as f64;
    path.push(Known { feature, zero, one, weight: if length == 0 { 1.0 } else { 0.0 } });
    for i in (0..length).rev() {
        path[i + 1].weight += one * path[i].weight * (i + 1) as f64 / size;
        path[i].weight *= zero * (length - i) as f64 / size;
    }
}

/// Takes a feature out of the path: undoes [`extend`], which does not depend on the order.
fn unwind(path: &mut Vec<Known>, index: usize) {
    let weights: Vec<f64> = unwound(path, index).collect();
    path.remove(index);
    // They come last to first.
    path.iter_mut().rev().zip(weights).for_each(|(known, weight)| known.weight = weight);
}

/// The weights of a path without one of its features, last to first.
fn unwound(path: &[Known], index: usize) -> impl Iterator<Item = f64> {
    let last = path.len() - 1;
    let size = path.len() as f64;
    let Known { zero, one, .. } = path[index];
    let mut next = path[last].weight;
    (0..last).rev().map(move |i| {
        let without = zero * (last - i) as f64 / size;
        if one == 0.0 {
            // Covers are above 0, and so are their shares.
            return path[i].weight / without;
        }
        let weight = next * size / ((i + 1) as f64 * one);
        next = path[i].weight - weight * without;
        weight
    })
}
