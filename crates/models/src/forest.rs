//! Random forest: many deep trees, each grown on a bootstrap of the rows with a few features tried per split
//! (Breiman, "Random Forests", Machine Learning 45, 2001). Probabilities are the mean of the leaves' class frequencies,
//! as in scikit-learn.
//!
//! Splits are searched on the bins of [`crate::binning`]. `linfa-trees` is not used for this: it compares neighbours of the whole data
//! set instead of the node's rows, so features with repeated values hardly split, and it draws features per tree.

mod grower;
#[cfg(test)]
mod tests;

use linfa::ParamGuard;
use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::binning::{BinnedMatrix, MAX_BINS};
use crate::classifier::{Classifier, MAX_CLASSES, MAX_FEATURES, check_training, predict_inplace};
use crate::tree::{self, Tree};
use crate::{Error, parallel};

/// Most rows a tree's links can number.
pub(crate) const ROW_LIMIT: usize = (1 << 31) - 1;

/// How many features are tried per split; at least one always is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxFeatures {
    /// The square root of their number, rounded down.
    Sqrt,
    /// The binary logarithm of their number, rounded down.
    Log2,
    /// All of them.
    All,
    /// A share of them, in (0, 1].
    Fraction(f64),
    /// So many.
    Count(usize),
}

impl MaxFeatures {
    fn of(self, n_features: usize) -> usize {
        let count = match self {
            Self::Sqrt => n_features.isqrt(),
            Self::Log2 => n_features.checked_ilog2().unwrap_or(0) as usize,
            Self::All => n_features,
            Self::Fraction(share) => (share * n_features as f64) as usize,
            Self::Count(count) => count,
        };
        count.clamp(1, n_features.max(1))
    }
}

/// Checked parameters of [`RandomForest`].
#[derive(Clone, Debug, PartialEq)]
pub struct RandomForestValidParams {
    n_estimators: usize,
    max_depth: Option<usize>,
    min_samples_split: usize,
    min_samples_leaf: usize,
    max_features: MaxFeatures,
    bootstrap: bool,
    n_classes: Option<usize>,
    seed: u64,
    n_jobs: Option<usize>,
}

/// Parameters of [`RandomForest`], with scikit-learn's names and defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomForestParams(RandomForestValidParams);

impl Default for RandomForestParams {
    fn default() -> Self {
        Self(RandomForestValidParams {
            n_estimators: 100,
            max_depth: None,
            min_samples_split: 2,
            min_samples_leaf: 1,
            max_features: MaxFeatures::Sqrt,
            bootstrap: true,
            n_classes: None,
            seed: 0,
            n_jobs: None,
        })
    }
}

impl RandomForestParams {
    /// Number of trees, 1 to 10,000.
    pub fn n_estimators(mut self, n_estimators: usize) -> Self {
        self.0.n_estimators = n_estimators;
        self
    }

    /// Most splits from the root to a leaf; `None` grows until the leaves are pure.
    pub fn max_depth(mut self, max_depth: Option<usize>) -> Self {
        self.0.max_depth = max_depth;
        self
    }

    /// Rows (bootstrap draws) a node needs to be split, at least 2.
    pub fn min_samples_split(mut self, min_samples_split: usize) -> Self {
        self.0.min_samples_split = min_samples_split;
        self
    }

    /// Rows (bootstrap draws) each side of a split must keep, at least 1.
    pub fn min_samples_leaf(mut self, min_samples_leaf: usize) -> Self {
        self.0.min_samples_leaf = min_samples_leaf;
        self
    }

    /// Features tried per split; those that are constant in the node do not count.
    pub fn max_features(mut self, max_features: MaxFeatures) -> Self {
        self.0.max_features = max_features;
        self
    }

    /// Whether each tree draws its rows with replacement, instead of taking all.
    pub fn bootstrap(mut self, bootstrap: bool) -> Self {
        self.0.bootstrap = bootstrap;
        self
    }

    /// The number of classes; the largest label + 1 when not given.
    pub fn n_classes(mut self, n_classes: usize) -> Self {
        self.0.n_classes = Some(n_classes);
        self
    }

    /// Seed of every random draw.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Threads; one per core when not given. The model does not depend on it.
    pub fn n_jobs(mut self, n_jobs: Option<usize>) -> Self {
        self.0.n_jobs = n_jobs;
        self
    }
}

impl ParamGuard for RandomForestParams {
    type Checked = RandomForestValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&RandomForestValidParams, Error> {
        let p = &self.0;
        let wrong = |name, expected, got: String| Err(Error::Parameter { name, expected, got });
        if !(1..=10_000).contains(&p.n_estimators) {
            return wrong("n_estimators", "between 1 and 10000", p.n_estimators.to_string());
        }
        if p.max_depth == Some(0) {
            return wrong("max_depth", "at least 1, or null for no limit", "0".to_owned());
        }
        if p.min_samples_split < 2 {
            return wrong("min_samples_split", "at least 2", p.min_samples_split.to_string());
        }
        if p.min_samples_leaf < 1 {
            return wrong("min_samples_leaf", "at least 1", p.min_samples_leaf.to_string());
        }
        match p.max_features {
            MaxFeatures::Fraction(share) if !(share > 0.0 && share <= 1.0) => {
                wrong("max_features", "a share above 0 and up to 1", share.to_string())
            }
            MaxFeatures::Count(0) => wrong("max_features", "at least 1", "0".to_owned()),
            _ => Ok(p),
        }
    }

    fn check(self) -> Result<RandomForestValidParams, Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}

impl Fit<Array2<f64>, Array1<usize>, Error> for RandomForestValidParams {
    type Object = RandomForest;

    fn fit(&self, dataset: &DatasetBase<Array2<f64>, Array1<usize>>) -> Result<RandomForest, Error> {
        let n_classes = check_training("random_forest", dataset, self.n_classes, ROW_LIMIT)?;
        let n_features = dataset.records.ncols();
        if n_features == 0 {
            return Err(Error::NoFeatures);
        }
        let threads = parallel::threads(self.n_jobs);
        let binned = BinnedMatrix::new(dataset.records.view(), MAX_BINS, threads);
        let targets: Vec<u32> = dataset.targets.iter().map(|&label| label as u32).collect();
        let growth = grower::Growth {
            binned: &binned,
            targets: &targets,
            n_classes,
            max_depth: self.max_depth.unwrap_or(usize::MAX),
            min_samples_split: self.min_samples_split as u64,
            min_samples_leaf: self.min_samples_leaf as u64,
            max_features: self.max_features.of(n_features),
            bootstrap: self.bootstrap,
        };
        let trees = parallel::map(
            self.n_estimators,
            threads,
            || grower::Grower::new(&growth),
            |grower, index| grower.grow(self.seed, index as u64),
        );
        Ok(RandomForest { n_features, n_classes, trees })
    }
}

/// A fitted random forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomForest {
    n_features: usize,
    n_classes: usize,
    /// Leaves hold class frequencies.
    trees: Vec<Tree>,
}

impl RandomForest {
    /// Default parameters: 100 trees without a depth limit.
    pub fn params() -> RandomForestParams {
        RandomForestParams::default()
    }

    /// The trees, whose leaves hold class frequencies.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    fn average(&self, sums: &mut [f64]) {
        let n_trees = self.trees.len() as f64;
        sums.iter_mut().for_each(|sum| *sum /= n_trees);
    }
}

fn add(sums: &mut [f64], frequencies: &[f64]) {
    sums.iter_mut().zip(frequencies).for_each(|(sum, frequency)| *sum += frequency);
}

impl Classifier for RandomForest {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn write_proba(&self, row: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        tree::for_each_tree(&self.trees, row, |_, frequencies| add(out, frequencies));
        self.average(out);
    }

    fn write_proba_block(&self, rows: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for tree in &self.trees {
            let rows = &rows[..out.len() / self.n_classes * self.n_features];
            tree::for_each_row(tree, rows, self.n_features, |row, frequencies| {
                add(&mut out[row * self.n_classes..][..self.n_classes], frequencies);
            });
        }
        self.average(out);
    }

    fn split_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.n_features];
        self.trees.iter().for_each(|tree| tree.count_splits(&mut counts));
        counts
    }

    fn validate(&self) -> Result<(), String> {
        if !(1..=MAX_FEATURES).contains(&self.n_features) || !(1..=MAX_CLASSES).contains(&self.n_classes) {
            return Err("the number of features or classes is out of range".to_owned());
        }
        if self.trees.is_empty() {
            return Err("a forest has no trees".to_owned());
        }
        self.trees.iter().try_for_each(|tree| tree.validate(self.n_features, self.n_classes))
    }
}

predict_inplace!(RandomForest);
