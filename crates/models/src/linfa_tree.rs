//! A single, explainable decision tree, grown by `linfa-trees` and converted into our [`Tree`].
//!
//! linfa sees ranks instead of values: equal order, so equal splits, but its absolute tolerance of 1e-5 between values
//! cannot hide a split, huge values cannot overflow its midpoints, and a missing value is simply the highest rank.
//!
//! Two limits of `linfa-trees` 0.8.1 remain. It compares neighbours of the whole data set instead of the node's rows,
//! so features with repeated values hardly split; and it keeps class counts in hash maps, so that with more than two
//! classes (or equally frequent ones) two fits of the same rows may break a tie differently.
//! [`crate::forest`] has neither.

use linfa::ParamGuard;
use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use linfa_trees::{SplitQuality, TreeNode};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::binning::midpoint;
use crate::predictor::{MAX_FEATURES, Predictor, Task, predict_inplace};
use crate::shap::Ensemble;
use crate::training::Training;
use crate::tree::{Link, Rule, Tree, TreeBuilder};

/// linfa recurses, so its depth is bounded here; also what `max_depth: null` means.
const MAX_DEPTH: usize = 64;
/// linfa counts rows in `f32`, which is exact up to here.
const ROW_LIMIT: usize = 1 << 24;

/// Checked parameters of [`DecisionTree`].
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionTreeValidParams {
    criterion: SplitQuality,
    max_depth: Option<usize>,
    min_samples_split: usize,
    min_samples_leaf: usize,
    n_classes: Option<usize>,
}

/// Parameters of [`DecisionTree`], with scikit-learn's names and defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionTreeParams(DecisionTreeValidParams);

impl Default for DecisionTreeParams {
    fn default() -> Self {
        Self(DecisionTreeValidParams {
            criterion: SplitQuality::Gini,
            max_depth: None,
            min_samples_split: 2,
            min_samples_leaf: 1,
            n_classes: None,
        })
    }
}

impl DecisionTreeParams {
    /// What a split lowers: Gini impurity or entropy.
    pub fn criterion(mut self, criterion: SplitQuality) -> Self {
        self.0.criterion = criterion;
        self
    }

    /// Most splits from the root to a leaf, 1 to 64; `None` is 64.
    pub fn max_depth(mut self, max_depth: Option<usize>) -> Self {
        self.0.max_depth = max_depth;
        self
    }

    /// Rows a node needs to be split, at least 2.
    pub fn min_samples_split(mut self, min_samples_split: usize) -> Self {
        self.0.min_samples_split = min_samples_split;
        self
    }

    /// Rows each side of a split must keep, at least 1.
    pub fn min_samples_leaf(mut self, min_samples_leaf: usize) -> Self {
        self.0.min_samples_leaf = min_samples_leaf;
        self
    }

    /// The number of classes; the largest label + 1 when not given.
    pub fn n_classes(mut self, n_classes: usize) -> Self {
        self.0.n_classes = Some(n_classes);
        self
    }
}

impl ParamGuard for DecisionTreeParams {
    type Checked = DecisionTreeValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&DecisionTreeValidParams, Error> {
        let p = &self.0;
        let wrong = |name, expected, got: usize| Err(Error::Parameter { name, expected, got: got.to_string() });
        match p.max_depth {
            Some(depth) if !(1..=MAX_DEPTH).contains(&depth) => wrong("max_depth", "between 1 and 64, or null", depth),
            _ if p.min_samples_split < 2 => wrong("min_samples_split", "at least 2", p.min_samples_split),
            _ if p.min_samples_leaf < 1 => wrong("min_samples_leaf", "at least 1", p.min_samples_leaf),
            _ => Ok(p),
        }
    }

    fn check(self) -> Result<DecisionTreeValidParams, Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}

impl Fit<Array2<f64>, Array1<usize>, Error> for DecisionTreeValidParams {
    type Object = DecisionTree;

    fn fit(&self, dataset: &DatasetBase<Array2<f64>, Array1<usize>>) -> Result<DecisionTree, Error> {
        if !dataset.weights.is_empty() {
            return Err(Error::WeightsUnsupported { algorithm: "decision_tree" });
        }
        let n_classes = Training::new(dataset, self.n_classes, None, ROW_LIMIT)?.task.n_outputs();
        let n_features = dataset.records.ncols();
        if n_features == 0 {
            return Err(Error::NoFeatures);
        }
        let ranks = Ranks::new(&dataset.records);
        let ranked = DatasetBase::new(ranks.matrix.clone(), dataset.targets.clone());
        let fitted = linfa_trees::DecisionTree::<f64, usize>::params()
            .split_quality(self.criterion)
            .max_depth(Some(self.max_depth.unwrap_or(MAX_DEPTH)))
            .min_weight_split(self.min_samples_split as f32)
            .min_weight_leaf(self.min_samples_leaf as f32)
            .fit(&ranked)?;
        let tree = convert(fitted.root_node(), &ranks, &dataset.targets, n_classes);
        Ok(DecisionTree { n_features, n_classes, tree })
    }
}

/// Every value's place among its feature's distinct values.
struct Ranks {
    matrix: Array2<f64>,
    /// Distinct values per feature, ascending. A missing value's rank is their number.
    distinct: Vec<Vec<f64>>,
    has_missing: Vec<bool>,
}

impl Ranks {
    fn new(records: &Array2<f64>) -> Self {
        let mut matrix = Array2::zeros(records.dim());
        let mut distinct = Vec::new();
        let mut has_missing = Vec::new();
        for (column, mut ranks) in records.columns().into_iter().zip(matrix.columns_mut()) {
            let mut values: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
            has_missing.push(values.len() < column.len());
            values.sort_unstable_by(f64::total_cmp);
            values.dedup();
            for (rank, value) in ranks.iter_mut().zip(column) {
                *rank = match value.is_nan() {
                    true => values.len() as f64,
                    false => values.partition_point(|distinct| distinct < value) as f64,
                };
            }
            distinct.push(values);
        }
        Self { matrix, distinct, has_missing }
    }
}

/// Walks linfa's nodes together with the training rows that reach them: thresholds become values again, leaves class
/// frequencies.
fn convert(root: &TreeNode<f64, usize>, ranks: &Ranks, targets: &Array1<usize>, n_classes: usize) -> Tree {
    let mut tree = TreeBuilder::new(n_classes);
    let mut pending = vec![(root, Link::Root, (0..targets.len()).collect::<Vec<usize>>())];
    while let Some((node, at, rows)) = pending.pop() {
        let children = node.children();
        if let (false, [Some(left), Some(right)]) = (node.is_leaf(), children.as_slice()) {
            let (feature, split, _) = node.split();
            let goes_left = |row: &usize| ranks.matrix[(*row, feature)] <= split;
            let (left_rows, right_rows): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(goes_left);
            // Ranks are whole numbers, so the split lies between this one and the next.
            let rank = split as usize;
            let values = &ranks.distinct[feature];
            let threshold = match values.get(rank + 1) {
                Some(next) => midpoint(values[rank], *next),
                None => f64::INFINITY,
            };
            let missing_left = !ranks.has_missing[feature] && left_rows.len() >= right_rows.len();
            let (at_left, at_right) = tree.push_split(at, feature, Rule::Threshold(threshold), missing_left);
            pending.push((right.as_ref(), at_right, right_rows));
            pending.push((left.as_ref(), at_left, left_rows));
        } else {
            let mut counts = vec![0_u64; n_classes];
            rows.iter().for_each(|&row| counts[targets[row]] += 1);
            let all = rows.len() as f64;
            tree.push_leaf(at, all, counts.into_iter().map(|count| count as f64 / all));
        }
    }
    tree.finish()
}

/// A fitted decision tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionTree {
    n_features: usize,
    n_classes: usize,
    tree: Tree,
}

impl DecisionTree {
    /// Default parameters: Gini impurity, grown until the leaves are pure.
    pub fn params() -> DecisionTreeParams {
        DecisionTreeParams::default()
    }

    /// Not checked.
    pub(crate) fn from_parts(n_features: usize, n_classes: usize, tree: Tree) -> Self {
        Self { n_features, n_classes, tree }
    }

    /// The tree, whose leaves hold class frequencies.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
}

impl Predictor for DecisionTree {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn task(&self) -> Task {
        Task::Classification { n_classes: self.n_classes }
    }

    fn write_outputs(&self, row: &[f64], out: &mut [f64]) {
        out.copy_from_slice(self.tree.leaf(row));
    }

    fn split_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.n_features];
        self.tree.count_splits(&mut counts);
        counts
    }

    fn ensemble(&self) -> Option<Ensemble<'_>> {
        Some(Ensemble { trees: std::slice::from_ref(&self.tree), baseline: vec![0.0; self.n_classes], scale: 1.0 })
    }

    fn validate(&self) -> Result<(), String> {
        self.task().validate()?;
        if !(1..=MAX_FEATURES).contains(&self.n_features) {
            return Err("the number of features is out of range".to_owned());
        }
        self.tree.validate(self.n_features, self.n_classes)
    }
}

predict_inplace!(DecisionTree);

#[cfg(test)]
mod tests {
    use linfa::Dataset;
    use linfa::traits::Predict;
    use ndarray::array;

    use super::*;
    use crate::test_data;

    #[test]
    fn our_tree_answers_as_linfas_own() {
        let dataset = test_data::interactions(500, 4);
        let theirs = linfa_trees::DecisionTree::<f64, usize>::params().max_depth(Some(6)).fit(&dataset).unwrap();
        let ours = DecisionTree::params().max_depth(Some(6)).fit(&dataset).unwrap();
        let theirs: Array1<usize> = theirs.predict(&dataset.records);
        let differing = ours.predict(&dataset.records).iter().zip(&theirs).filter(|(a, b)| a != b).count();
        // Ties among equally frequent classes may fall either way.
        assert!(differing <= 10, "{differing}");
        assert!(ours.tree().depth() <= 6);
    }

    #[test]
    fn missing_values_tiny_steps_and_huge_values_are_split() {
        let fit = |records, targets| DecisionTree::params().fit(&Dataset::new(records, targets)).unwrap();
        let missing = fit(array![[1.0], [2.0], [f64::NAN], [f64::NAN]], array![0, 0, 1, 1]);
        assert_eq!(missing.predict(&array![[f64::NAN], [1e9]]), array![1, 0]);
        let tiny = fit(array![[1e-9], [2e-9], [3e-9]], array![0, 1, 1]);
        assert_eq!(tiny.predict(&array![[1e-9], [2e-9]]), array![0, 1]);
        let huge = fit(array![[1.5e308], [1.6e308], [f64::INFINITY]], array![0, 0, 1]);
        assert_eq!(huge.predict(&array![[1.6e308], [f64::INFINITY]]), array![0, 1]);
    }

    #[test]
    fn constant_columns_one_class_and_one_row_give_a_leaf() {
        let fit = |records, targets| DecisionTree::params().fit(&Dataset::new(records, targets)).unwrap();
        assert_eq!(fit(array![[1.0], [1.0]], array![0, 1]).tree().n_leaves(), 1);
        assert_eq!(fit(array![[1.0], [2.0]], array![1, 1]).predict(&array![[1.0]]), array![1]);
        assert_eq!(fit(array![[1.0]], array![0]).tree().depth(), 0);
    }

    #[test]
    fn an_unbalanced_chain_does_not_exhaust_the_stack() {
        let records = Array2::from_shape_fn((3_000, 1), |(row, _)| row as f64);
        let targets = Array1::from_shape_fn(3_000, |row| row % 2);
        let tree = DecisionTree::params().fit(&Dataset::new(records, targets)).unwrap();
        assert!(tree.tree().depth() <= MAX_DEPTH);
    }

    #[test]
    fn out_of_range_parameters_are_refused() {
        for params in [
            DecisionTree::params().max_depth(Some(0)),
            DecisionTree::params().max_depth(Some(65)),
            DecisionTree::params().min_samples_leaf(0),
            DecisionTree::params().min_samples_split(1),
        ] {
            assert!(matches!(params.check(), Err(Error::Parameter { .. })));
        }
    }
}
