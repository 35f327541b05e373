//! A fit: round after round of trees, watched by early stopping and by whoever wants to know.

use std::ops::ControlFlow;

use linfa::ParamGuard;
use linfa::dataset::DatasetBase;
use ndarray::{Array2, Axis};

use super::GradientBoosting;
use super::grower::Grower;
use super::loss::{self, Objective, Rows};
use super::params::{GradientBoostingParams, GradientBoostingValidParams};
use crate::binning::{BinnedMatrix, MAX_BINS};
use crate::forest::ROW_LIMIT;
use crate::training::{Targets, Training};
use crate::tree::Tree;
use crate::{Error, Task, parallel, random, split};

/// What a round of boosting came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// Rounds so far, with this one and those of a model that is continued.
    pub round: usize,
    /// Mean loss on the rows trained on.
    pub train_loss: f64,
    /// Mean loss on the rows held out for early stopping, if there are any.
    pub validation_loss: Option<f64>,
}

/// Is told of every round. On a break no further round follows, and the model has those that there are.
pub(super) type Observer<'a> = &'a mut dyn FnMut(&Round) -> ControlFlow<()>;

impl GradientBoostingParams {
    /// Fits as `fit` does and tells of every round, also of those that early stopping drops in the end. On a break no further
    /// round follows. Costs a look at every row's loss per round.
    ///
    /// # Errors
    /// As `fit`.
    pub fn fit_observed<T: Targets>(
        &self,
        dataset: &DatasetBase<Array2<f64>, T>,
        observe: &mut dyn FnMut(&Round) -> ControlFlow<()>,
    ) -> Result<GradientBoosting, Error> {
        fit(self.check_ref()?, dataset, Some(observe))
    }

    /// Fits as `fit` does and returns every round's losses, also of those that early stopping drops in the end.
    ///
    /// # Errors
    /// As `fit`.
    pub fn fit_traced<T: Targets>(
        &self,
        dataset: &DatasetBase<Array2<f64>, T>,
    ) -> Result<(GradientBoosting, Vec<Round>), Error> {
        let mut trace = Vec::new();
        let model = self.fit_observed(dataset, &mut |round| {
            trace.push(*round);
            ControlFlow::Continue(())
        })?;
        Ok((model, trace))
    }
}

pub(super) fn fit<T: Targets>(
    params: &GradientBoostingValidParams,
    dataset: &DatasetBase<Array2<f64>, T>,
    observer: Option<Observer<'_>>,
) -> Result<GradientBoosting, Error> {
    let training = Training::new(dataset, params.n_classes, params.class_weight.as_ref(), ROW_LIMIT)?;
    let objective = check(params, &training)?;
    let (train, held_out) = hold_out(params, &training)?;
    let (n_features, task) = (training.records.ncols(), training.task);
    let mut boost = Boost::new(params, objective, &training, &train, &held_out);
    boost.run(observer);
    Ok(GradientBoosting { n_features, task, baseline: boost.baseline, trees: boost.trees })
}

/// Whether the parameters go with the data, and what is minimised.
fn check(params: &GradientBoostingValidParams, training: &Training<'_>) -> Result<Objective, Error> {
    let n_features = training.records.ncols();
    if n_features == 0 {
        return Err(Error::NoFeatures);
    }
    training.check_categories(&params.categorical_features)?;
    let objective = Objective::new(params.loss, params.alpha, training.task)?;
    let conflict = |with| Err(Error::Conflict { parameter: "monotonic_cst", with });
    for (feature, _) in params.monotonic_cst.iter().enumerate().filter(|(_, constraint)| **constraint != 0) {
        if feature >= n_features {
            return Err(Error::FeatureIndex { parameter: "monotonic_cst", feature, n_features });
        }
        if params.categorical_features.contains(&feature) {
            return conflict("a categorical feature");
        }
        if loss::n_scores(training.task) != 1 {
            return conflict("any number of classes but two");
        }
        if objective.quantile().is_some() {
            return conflict("the losses `absolute_error` and `quantile`, whose leaves are no Newton steps");
        }
    }
    match &params.continue_from {
        Some(model) if model.n_features != n_features => {
            Err(Error::Continuation { what: "another number of features" })
        }
        Some(model) if model.task != training.task => {
            Err(Error::Continuation { what: "another task or other classes" })
        }
        _ => Ok(objective),
    }
}

/// The rows to train on and those by which rounds are judged, which are none without early stopping.
fn hold_out(params: &GradientBoostingValidParams, training: &Training<'_>) -> Result<(Vec<usize>, Vec<usize>), Error> {
    let rows = training.targets.len();
    if params.early_stopping {
        let (share, seed) = (params.validation_fraction, !params.seed);
        let parts = match training.task {
            Task::Classification { .. } => {
                let labels: Vec<usize> = training.targets.iter().map(|&label| label as usize).collect();
                split::stratified_train_test(&labels, share, seed)?
            }
            Task::Regression => split::train_test(rows, share, seed)?,
        };
        // Too few rows to hold any out: all are trained on and no round is judged.
        if !parts.train.is_empty() && !parts.test.is_empty() {
            return Ok((parts.train, parts.test));
        }
    }
    Ok(((0..rows).collect(), Vec::new()))
}

/// Some rows, with their scores so far.
struct Part {
    records: Array2<f64>,
    targets: Vec<f64>,
    weights: Vec<f64>,
    /// One column of scores per output: output × rows.
    scores: Vec<Vec<f64>>,
}

impl Part {
    fn new(training: &Training<'_>, rows: &[usize]) -> Self {
        let records = if rows.len() == training.targets.len() {
            training.records.as_standard_layout().into_owned()
        } else {
            training.records.select(Axis(0), rows)
        };
        let targets = rows.iter().map(|&row| training.targets[row]).collect();
        let weighted = !training.weights.is_empty();
        let weights = if weighted { rows.iter().map(|&row| training.weights[row]).collect() } else { Vec::new() };
        Self { records, targets, weights, scores: Vec::new() }
    }

    fn row(&self, row: usize) -> &[f64] {
        let width = self.records.ncols();
        // Standard layout, by construction.
        &self.records.as_slice().unwrap_or_default()[row * width..][..width]
    }

    fn rows(&self) -> Rows<'_> {
        Rows { targets: &self.targets, weights: &self.weights }
    }

    fn start(&mut self, baseline: &[f64]) {
        self.scores = baseline.iter().map(|&score| vec![score; self.targets.len()]).collect();
    }

    fn add(&mut self, output: usize, tree: &Tree) {
        for row in 0..self.targets.len() {
            self.scores[output][row] += tree.leaf(self.row(row))[0];
        }
    }
}

/// A fit in progress.
struct Boost<'a> {
    params: &'a GradientBoostingValidParams,
    objective: Objective,
    train: Part,
    held_out: Part,
    baseline: Vec<f64>,
    trees: Vec<Tree>,
}

impl<'a> Boost<'a> {
    fn new(
        params: &'a GradientBoostingValidParams,
        objective: Objective,
        training: &Training<'_>,
        train: &[usize],
        held_out: &[usize],
    ) -> Self {
        let (mut train, mut held_out) = (Part::new(training, train), Part::new(training, held_out));
        let (baseline, trees) = match &params.continue_from {
            Some(model) => (model.baseline.clone(), model.trees.clone()),
            None => (objective.baseline(train.rows()), Vec::new()),
        };
        for part in [&mut train, &mut held_out] {
            part.start(&baseline);
            // Tree by tree, as the fit of these trees did: the same sums to the bit.
            trees.iter().enumerate().for_each(|(index, tree)| part.add(index % baseline.len(), tree));
        }
        Self { params, objective, train, held_out, baseline, trees }
    }

    fn run(&mut self, mut observer: Option<Observer<'_>>) {
        let params = self.params;
        let threads = parallel::threads(params.n_jobs);
        let categorical = &params.categorical_features;
        let binned = BinnedMatrix::with_categories(self.train.records.view(), categorical, MAX_BINS, threads);
        let mut grower = Grower::new(params, &binned, &self.train.weights, threads);
        let n_outputs = self.baseline.len();
        let first = self.trees.len() / n_outputs;
        let judged = !self.held_out.targets.is_empty();
        let mut best = (self.objective.mean(&self.held_out.scores, self.held_out.rows()), first);
        for round in first..first + params.n_estimators {
            if !self.round(round, &mut grower) {
                break;
            }
            let loss = judged.then(|| self.objective.mean(&self.held_out.scores, self.held_out.rows()));
            let mut go_on = true;
            if let Some(loss) = loss {
                if loss < best.0 - params.tol {
                    best = (loss, round + 1);
                } else {
                    go_on = round + 1 < best.1 + params.n_iter_no_change;
                }
            }
            if let Some(observe) = &mut observer {
                let train_loss = self.objective.mean(&self.train.scores, self.train.rows());
                go_on &= observe(&Round { round: round + 1, train_loss, validation_loss: loss }).is_continue();
            }
            if !go_on {
                break;
            }
        }
        if judged {
            self.trees.truncate(best.1 * n_outputs);
        }
    }

    /// Adds a tree per output; `false` when there is nothing left to split and none was added.
    fn round(&mut self, round: usize, grower: &mut Grower<'_>) -> bool {
        let gradients = self.objective.gradients(&self.train.scores, self.train.rows());
        let sample = self.sample(round);
        let mut split_found = false;
        for (output, gradients) in gradients.iter().enumerate() {
            let train = &self.train;
            let tree = match self.objective.quantile() {
                None => grower.grow(gradients, sample.as_deref(), None),
                Some(share) => {
                    let step = |rows: &[u32]| {
                        let residual = |row: usize| train.targets[row] - train.scores[output][row];
                        let weight = |row: usize| train.weights.get(row).copied().unwrap_or(1.0);
                        let items = rows.iter().map(|&row| (residual(row as usize), weight(row as usize)));
                        loss::quantile(&mut items.collect::<Vec<_>>(), share)
                    };
                    grower.grow(gradients, sample.as_deref(), Some(&step))
                }
            };
            split_found |= tree.n_splits() > 0;
            self.add(output, tree, grower);
        }
        if !split_found && sample.is_none() {
            // The next round would see the same rows and find nothing either.
            self.trees.truncate(round * self.baseline.len());
            return false;
        }
        true
    }

    /// The rows of this round, or `None` for all.
    fn sample(&self, round: usize) -> Option<Vec<u32>> {
        let rows = self.train.targets.len();
        let count = ((rows as f64 * self.params.subsample).round() as usize).max(1);
        let mut rng = random::stream(self.params.seed, round as u64);
        (count < rows).then(|| random::sample_sorted(&mut rng, rows as u32, count))
    }

    /// Adds a tree to an output's scores.
    fn add(&mut self, output: usize, tree: Tree, grower: &Grower<'_>) {
        if grower.covers_all_rows() {
            let scores = &mut self.train.scores[output];
            grower.for_each_row(|row, value| scores[row] += value);
        } else {
            self.train.add(output, &tree);
        }
        self.held_out.add(output, &tree);
        self.trees.push(tree);
    }
}
