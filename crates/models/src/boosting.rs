//! Gradient boosting: small trees added one after another, each a Newton step on the loss of those before it
//! (Friedman, "Greedy function approximation", Annals of Statistics 29, 2001; the second-order gain and leaf values as in
//! Chen and Guestrin, "XGBoost", KDD 2016). Two classes share one score (logistic), more have one each (softmax); the score
//! of a regression is its value. Losses without a second derivative take the quantile of a leaf's residuals as its step.
//!
//! Trees grow leaf by leaf, the best gain first, on histograms of gradients.

mod grower;
mod histogram;
mod loss;
mod params;
mod rounds;
mod splitter;
#[cfg(test)]
mod tests;

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

pub use self::loss::Loss;
pub use self::params::{GradientBoostingParams, GradientBoostingValidParams};
pub use self::rounds::Round;
use crate::derived::Derived;
use crate::predictor::{MAX_FEATURES, Predictor, predict_inplace};
use crate::shap::Ensemble;
use crate::tree::{self, QuickScorer, Tree, Walker};
use crate::{Error, Targets, Task};

impl<T: Targets> Fit<Array2<f64>, T, Error> for GradientBoostingValidParams {
    type Object = GradientBoosting;

    fn fit(&self, dataset: &DatasetBase<Array2<f64>, T>) -> Result<GradientBoosting, Error> {
        rounds::fit(self, dataset, None)
    }
}

/// A fitted gradient boosting model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientBoosting {
    n_features: usize,
    task: Task,
    /// The score of each output before the first tree: log odds for two classes, log frequencies for more, the value that
    /// minimises the loss in a regression.
    baseline: Vec<f64>,
    /// Round after round, one tree per output; leaves hold a score, the learning rate applied.
    trees: Vec<Tree>,
    #[serde(skip)]
    scorer: Derived<QuickScorer>,
    /// Of trees that are too large for that.
    #[serde(skip)]
    walker: Derived<Walker>,
}

impl GradientBoosting {
    /// Default parameters: 100 rounds of trees with 31 leaves at a learning rate of 0.1.
    pub fn params() -> GradientBoostingParams {
        GradientBoostingParams::default()
    }

    /// Not checked.
    pub(crate) fn from_parts(n_features: usize, task: Task, baseline: Vec<f64>, trees: Vec<Tree>) -> Self {
        Self { n_features, task, baseline, trees, scorer: Derived::default(), walker: Derived::default() }
    }

    /// The trees: round after round, one per score.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Each score before the first tree.
    pub fn baseline(&self) -> &[f64] {
        &self.baseline
    }

    /// Number of rounds, which early stopping may have cut short.
    pub fn n_rounds(&self) -> usize {
        self.trees.len() / self.baseline.len().max(1)
    }

    /// Where in a row's output its scores are gathered: in the last place when one score stands for two classes.
    fn first_score(&self) -> usize {
        self.task.n_outputs() - self.baseline.len()
    }

    fn scorer(&self) -> Option<&QuickScorer> {
        self.scorer.get(|| QuickScorer::new(&self.trees))
    }

    fn walker(&self) -> Option<&Walker> {
        self.walker.get(|| Walker::new(&self.trees))
    }

    fn start(&self, out: &mut [f64]) {
        out[self.first_score()..].copy_from_slice(&self.baseline);
    }

    /// Turns a row's scores into probabilities; those of a regression are its values.
    fn finish(&self, out: &mut [f64]) {
        match out {
            _ if self.task == Task::Regression => {}
            [negative, score] => {
                *negative = loss::sigmoid(-*score);
                *score = loss::sigmoid(*score);
            }
            scores => loss::softmax(scores),
        }
    }
}

impl Predictor for GradientBoosting {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn task(&self) -> Task {
        self.task
    }

    fn write_outputs(&self, row: &[f64], out: &mut [f64]) {
        self.start(out);
        let first = self.first_score();
        match self.scorer() {
            Some(scorer) => scorer.add(row, &mut out[first..]),
            None => tree::for_each_tree(&self.trees, self.walker(), row, |index, score| {
                out[first + index % self.baseline.len()] += score[0];
            }),
        }
        self.finish(out);
    }

    fn write_outputs_block(&self, rows: &[f64], out: &mut [f64]) {
        let width = self.task.n_outputs();
        out.chunks_exact_mut(width).for_each(|out| self.start(out));
        let rows = &rows[..out.len() / width * self.n_features];
        let first = self.first_score();
        if let Some(scorer) = self.scorer() {
            scorer.add_rows(rows, self.n_features, out, width, first);
        } else {
            tree::for_each_row(&self.trees, self.walker(), rows, self.n_features, |tree, row, score| {
                out[row * width + first + tree % self.baseline.len()] += score[0];
            });
        }
        out.chunks_exact_mut(width).for_each(|out| self.finish(out));
    }

    fn split_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.n_features];
        self.trees.iter().for_each(|tree| tree.count_splits(&mut counts));
        counts
    }

    fn ensemble(&self) -> Option<Ensemble<'_>> {
        Some(Ensemble { trees: &self.trees, baseline: self.baseline.clone(), scale: 1.0 })
    }

    fn validate(&self) -> Result<(), String> {
        self.task.validate()?;
        if !(1..=MAX_FEATURES).contains(&self.n_features) {
            return Err("the number of features is out of range".to_owned());
        }
        if self.baseline.len() != loss::n_scores(self.task) || self.baseline.iter().any(|b| !b.is_finite()) {
            return Err("the baseline does not fit the outputs".to_owned());
        }
        if !self.trees.len().is_multiple_of(self.baseline.len()) {
            return Err("the last round is incomplete".to_owned());
        }
        self.trees.iter().try_for_each(|tree| tree.validate(self.n_features, 1))?;
        // Made here, no request waits for it.
        if self.scorer().is_none() {
            self.walker();
        }
        Ok(())
    }
}

predict_inplace!(GradientBoosting);
