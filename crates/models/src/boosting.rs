//! Gradient boosting: small trees added one after another, each a Newton step on the log loss of those before it
//! (Friedman, "Greedy function approximation", Annals of Statistics 29, 2001; the second-order gain and leaf values as in Chen and Guestrin,
//! "XGBoost", KDD 2016). Two classes share one score (logistic), more have one each (softmax).
//!
//! Trees grow leaf by leaf, the best gain first, on histograms of gradients.

mod grower;
mod loss;
mod params;
#[cfg(test)]
mod tests;

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::{Array1, Array2, Axis};
use serde::{Deserialize, Serialize};

pub use self::params::{GradientBoostingParams, GradientBoostingValidParams};
use crate::binning::{BinnedMatrix, MAX_BINS};
use crate::classifier::{Classifier, MAX_CLASSES, MAX_FEATURES, check_training, predict_inplace};
use crate::forest::ROW_LIMIT;
use crate::tree::{self, Tree};
use crate::{Error, parallel, random, split};

impl Fit<Array2<f64>, Array1<usize>, Error> for GradientBoostingValidParams {
    type Object = GradientBoosting;

    fn fit(&self, dataset: &DatasetBase<Array2<f64>, Array1<usize>>) -> Result<GradientBoosting, Error> {
        let n_classes = check_training("gradient_boosting", dataset, self.n_classes, ROW_LIMIT)?;
        let n_features = dataset.records.ncols();
        if n_features == 0 {
            return Err(Error::NoFeatures);
        }
        let rows: Vec<usize> = (0..dataset.targets.len()).collect();
        let (train, held_out) = if self.early_stopping {
            let labels: Vec<usize> = dataset.targets.to_vec();
            let parts = split::stratified_train_test(&labels, self.validation_fraction, !self.seed)?;
            // Too few rows to hold any out: all are trained on and no round is judged.
            if parts.train.is_empty() || parts.test.is_empty() { (rows, Vec::new()) } else { (parts.train, parts.test) }
        } else {
            (rows, Vec::new())
        };
        let mut boost = Boost::new(self, dataset, n_classes, &train, &held_out);
        boost.run();
        Ok(GradientBoosting { n_features, n_classes, baseline: boost.baseline, trees: boost.trees })
    }
}

/// Some rows, with their scores so far.
struct Part {
    records: Array2<f64>,
    targets: Vec<u32>,
    /// One column of scores per output: output × rows.
    scores: Vec<Vec<f64>>,
}

impl Part {
    fn new(dataset: &DatasetBase<Array2<f64>, Array1<usize>>, rows: &[usize], baseline: &[f64]) -> Self {
        let records = if rows.len() == dataset.targets.len() {
            dataset.records.as_standard_layout().into_owned()
        } else {
            dataset.records.select(Axis(0), rows)
        };
        let targets = rows.iter().map(|&row| dataset.targets[row] as u32).collect();
        let scores = baseline.iter().map(|&score| vec![score; rows.len()]).collect();
        Self { records, targets, scores }
    }

    fn row(&self, row: usize) -> &[f64] {
        let width = self.records.ncols();
        // Standard layout, by construction.
        &self.records.as_slice().unwrap_or_default()[row * width..][..width]
    }
}

/// A fit in progress.
struct Boost<'a> {
    params: &'a GradientBoostingValidParams,
    train: Part,
    held_out: Part,
    baseline: Vec<f64>,
    trees: Vec<Tree>,
}

impl<'a> Boost<'a> {
    fn new(
        params: &'a GradientBoostingValidParams,
        dataset: &DatasetBase<Array2<f64>, Array1<usize>>,
        n_classes: usize,
        train: &[usize],
        held_out: &[usize],
    ) -> Self {
        let baseline = loss::baseline(train.iter().map(|&row| dataset.targets[row]), n_classes);
        Self {
            params,
            train: Part::new(dataset, train, &baseline),
            held_out: Part::new(dataset, held_out, &baseline),
            baseline,
            trees: Vec::new(),
        }
    }

    fn run(&mut self) {
        let threads = parallel::threads(self.params.n_jobs);
        let binned = BinnedMatrix::new(self.train.records.view(), MAX_BINS, threads);
        let mut grower = grower::Grower::new(self.params, &binned, threads);
        let n_outputs = self.baseline.len();
        let mut best = (loss::mean(&self.held_out.scores, &self.held_out.targets), 0);
        for round in 0..self.params.n_estimators {
            let gradients = loss::gradients(&self.train.scores, &self.train.targets);
            let sample = self.sample(round);
            let mut split_found = false;
            for (output, gradients) in gradients.iter().enumerate() {
                let tree = grower.grow(gradients, sample.as_deref());
                split_found |= tree.n_splits() > 0;
                self.add(output, tree, &grower);
            }
            if !split_found && sample.is_none() {
                // The next round would see the same rows and find nothing either.
                self.trees.truncate(round * n_outputs);
                break;
            }
            if !self.held_out.targets.is_empty() {
                let loss = loss::mean(&self.held_out.scores, &self.held_out.targets);
                if loss < best.0 - self.params.tol {
                    best = (loss, round + 1);
                } else if round + 1 >= best.1 + self.params.n_iter_no_change {
                    break;
                }
            }
        }
        if !self.held_out.targets.is_empty() {
            self.trees.truncate(best.1 * n_outputs);
        }
    }

    /// The rows of this round, or `None` for all.
    fn sample(&self, round: usize) -> Option<Vec<u32>> {
        let rows = self.train.targets.len();
        let count = ((rows as f64 * self.params.subsample).round() as usize).max(1);
        let mut rng = random::stream(self.params.seed, round as u64);
        (count < rows).then(|| random::sample_sorted(&mut rng, rows as u32, count))
    }

    /// Adds a tree to an output's scores.
    fn add(&mut self, output: usize, tree: Tree, grower: &grower::Grower<'_>) {
        if grower.covers_all_rows() {
            let scores = &mut self.train.scores[output];
            grower.for_each_row(|row, value| scores[row] += value);
        } else {
            for row in 0..self.train.targets.len() {
                self.train.scores[output][row] += tree.leaf(self.train.row(row))[0];
            }
        }
        for row in 0..self.held_out.targets.len() {
            self.held_out.scores[output][row] += tree.leaf(self.held_out.row(row))[0];
        }
        self.trees.push(tree);
    }
}

/// A fitted gradient boosting model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientBoosting {
    n_features: usize,
    n_classes: usize,
    /// The score of each output before the first tree: log odds for two classes, log frequencies for more.
    baseline: Vec<f64>,
    /// Round after round, one tree per output; leaves hold a score, the learning rate applied.
    trees: Vec<Tree>,
}

impl GradientBoosting {
    /// Default parameters: 100 rounds of trees with 31 leaves at a learning rate of 0.1.
    pub fn params() -> GradientBoostingParams {
        GradientBoostingParams::default()
    }

    /// Number of rounds, which early stopping may have cut short.
    pub fn n_rounds(&self) -> usize {
        self.trees.len() / self.baseline.len().max(1)
    }

    /// Where in a row's output its scores are gathered: in the last place when one score stands for two classes.
    fn first_score(&self) -> usize {
        self.n_classes - self.baseline.len()
    }

    fn start(&self, out: &mut [f64]) {
        out[self.first_score()..].copy_from_slice(&self.baseline);
    }

    /// Turns a row's scores into probabilities.
    fn finish(&self, out: &mut [f64]) {
        match out {
            [negative, score] => {
                *negative = loss::sigmoid(-*score);
                *score = loss::sigmoid(*score);
            }
            scores => loss::softmax(scores),
        }
    }
}

impl Classifier for GradientBoosting {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn write_proba(&self, row: &[f64], out: &mut [f64]) {
        self.start(out);
        let first = self.first_score();
        tree::for_each_tree(&self.trees, row, |index, score| out[first + index % self.baseline.len()] += score[0]);
        self.finish(out);
    }

    fn write_proba_block(&self, rows: &[f64], out: &mut [f64]) {
        out.chunks_exact_mut(self.n_classes).for_each(|out| self.start(out));
        let rows = &rows[..out.len() / self.n_classes * self.n_features];
        for (index, tree) in self.trees.iter().enumerate() {
            let place = self.first_score() + index % self.baseline.len();
            tree::for_each_row(tree, rows, self.n_features, |row, score| out[row * self.n_classes + place] += score[0]);
        }
        out.chunks_exact_mut(self.n_classes).for_each(|out| self.finish(out));
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
        if self.baseline.len() != loss::n_outputs(self.n_classes) || self.baseline.iter().any(|b| !b.is_finite()) {
            return Err("the baseline does not fit the classes".to_owned());
        }
        if !self.trees.len().is_multiple_of(self.baseline.len()) {
            return Err("the last round is incomplete".to_owned());
        }
        self.trees.iter().try_for_each(|tree| tree.validate(self.n_features, 1))
    }
}

predict_inplace!(GradientBoosting);
