//! Random forest: many deep trees, each grown on a bootstrap of the rows with a few features tried per split
//! (Breiman, "Random Forests", Machine Learning 45, 2001). Probabilities are the mean of the leaves' class frequencies,
//! values the mean of the leaves' means, as in scikit-learn. Splits lower the Gini impurity, or the variance.
//!
//! A row that was drawn `n` times weighs `n` times its weight.
//!
//! Splits are searched on the bins of [`crate::binning`]. `linfa-trees` is not used for this: it compares neighbours of the whole data
//! set instead of the node's rows, so features with repeated values hardly split, and it draws features per tree.

mod grower;
mod params;
mod statistic;
#[cfg(test)]
mod tests;

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use self::grower::{Grower, Growth};
pub use self::params::{MaxFeatures, RandomForestParams, RandomForestValidParams};
use self::statistic::{Counts, Moments, Statistic};
use crate::binning::{BinnedMatrix, MAX_BINS};
use crate::derived::Derived;
use crate::predictor::{MAX_FEATURES, Predictor, predict_inplace};
use crate::shap::Ensemble;
use crate::training::Training;
use crate::tree::{self, Tree, Walker};
use crate::{Error, Targets, Task, parallel};

/// Most rows a tree's links can number.
pub(crate) const ROW_LIMIT: usize = (1 << 31) - 1;

impl<T: Targets> Fit<Array2<f64>, T, Error> for RandomForestValidParams {
    type Object = RandomForest;

    fn fit(&self, dataset: &DatasetBase<Array2<f64>, T>) -> Result<RandomForest, Error> {
        let training = Training::new(dataset, self.n_classes, self.class_weight.as_ref(), ROW_LIMIT)?;
        let (n_features, task) = (training.records.ncols(), training.task);
        if n_features == 0 {
            return Err(Error::NoFeatures);
        }
        training.check_categories(&self.categorical_features)?;
        let threads = parallel::threads(self.n_jobs);
        let categorical = &self.categorical_features;
        let binned = BinnedMatrix::with_categories(training.records.view(), categorical, MAX_BINS, threads);
        let growth = Growth::new(self, &binned, &training);
        // Whole numbers where they do: they are faster, and exact.
        let trees = match task {
            Task::Classification { .. } if training.weights.is_empty() => self.grow::<Counts<'_>>(&growth, threads),
            _ => self.grow::<Moments<'_>>(&growth, threads),
        };
        Ok(RandomForest::from_parts(n_features, task, trees))
    }
}

impl RandomForestValidParams {
    fn grow<'a, S: Statistic<'a>>(&self, growth: &'a Growth<'a>, threads: usize) -> Vec<Tree> {
        let scratch = || Grower::<'a, S>::new(growth);
        parallel::map(self.n_estimators, threads, scratch, |grower, index| grower.grow(self.seed, index as u64))
    }
}

/// A fitted random forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomForest {
    n_features: usize,
    task: Task,
    /// Leaves hold class frequencies, or the mean.
    trees: Vec<Tree>,
    #[serde(skip)]
    walker: Derived<Walker>,
}

impl RandomForest {
    /// Default parameters: 100 trees without a depth limit.
    pub fn params() -> RandomForestParams {
        RandomForestParams::default()
    }

    /// Not checked.
    pub(crate) fn from_parts(n_features: usize, task: Task, trees: Vec<Tree>) -> Self {
        Self { n_features, task, trees, walker: Derived::default() }
    }

    /// The trees, whose leaves hold class frequencies, or the mean.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    fn walker(&self) -> Option<&Walker> {
        self.walker.get(|| Walker::new(&self.trees))
    }

    fn average(&self, sums: &mut [f64]) {
        let n_trees = self.trees.len() as f64;
        sums.iter_mut().for_each(|sum| *sum /= n_trees);
    }
}

#[inline]
fn add(sums: &mut [f64], leaf: &[f64]) {
    let leaf = &leaf[..sums.len()];
    for output in 0..sums.len() {
        sums[output] += leaf[output];
    }
}

impl Predictor for RandomForest {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn task(&self) -> Task {
        self.task
    }

    fn write_outputs(&self, row: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        tree::for_each_tree(&self.trees, self.walker(), row, |_, leaf| add(out, leaf));
        self.average(out);
    }

    fn write_outputs_block(&self, rows: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let width = self.task.n_outputs();
        let rows = &rows[..out.len() / width * self.n_features];
        tree::for_each_row(&self.trees, self.walker(), rows, self.n_features, |_, row, leaf| {
            add(&mut out[row * width..][..width], leaf);
        });
        self.average(out);
    }

    /// Trees are large: the more rows pass through one before the next one comes, the less often each is read from memory.
    fn block(&self) -> usize {
        8192
    }

    fn split_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.n_features];
        self.trees.iter().for_each(|tree| tree.count_splits(&mut counts));
        counts
    }

    fn ensemble(&self) -> Option<Ensemble<'_>> {
        let baseline = vec![0.0; self.task.n_outputs()];
        Some(Ensemble { trees: &self.trees, baseline, scale: 1.0 / self.trees.len() as f64 })
    }

    fn validate(&self) -> Result<(), String> {
        self.task.validate()?;
        if !(1..=MAX_FEATURES).contains(&self.n_features) {
            return Err("the number of features is out of range".to_owned());
        }
        if self.trees.is_empty() {
            return Err("a forest has no trees".to_owned());
        }
        self.trees.iter().try_for_each(|tree| tree.validate(self.n_features, self.task.n_outputs()))?;
        // Made here, no request waits for it.
        self.walker();
        Ok(())
    }
}

predict_inplace!(RandomForest);
