//! A fit: round after round of trees, watched by early stopping and by whoever wants to know.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use linfa::ParamGuard;
use linfa::dataset::DatasetBase;
use ndarray::{Array2, ArrayView2};

use super::GradientBoosting;
use super::grower::Grower;
use super::histogram::Grid;
use super::loss::{self, Gradient, Objective, Rows};
use super::params::{GradientBoostingParams, GradientBoostingValidParams};
use crate::binning::{BinnedMatrix, MAX_BINS};
use crate::forest::ROW_LIMIT;
use crate::parallel::Team;
use crate::training::{Targets, Training};
use crate::tree::Tree;
use crate::{Error, Task, parallel, random, split};

/// Rows that a thread takes at a time.
const SHARE: usize = 1 << 11;

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
    let mut training = Training::new(dataset, params.n_classes, params.class_weight.as_ref(), ROW_LIMIT)?;
    let objective = check(params, &training)?;
    let held_out = hold_out(params, &training)?;
    let (n_features, task) = (training.records.ncols(), training.task);
    let Training { records, targets, weights, .. } = &mut training;
    let records = records.view();
    let (train, held_out) = match held_out {
        Some(split::TrainTest { train, test }) => {
            (Part::of(&records, train, targets, weights), Part::of(&records, test, targets, weights))
        }
        None => {
            let (targets, weights) = (std::mem::take(targets), std::mem::take(weights));
            let all = Part { records: &records, rows: None, targets, weights, scores: Vec::new() };
            (all, Part::of(&records, Vec::new(), &[], &[]))
        }
    };
    let team = Team::new(parallel::threads(params.n_jobs));
    let mut boost = Boost::new(params, objective, &team, train, held_out);
    boost.run(observer);
    Ok(GradientBoosting::from_parts(n_features, task, boost.baseline, boost.trees))
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

/// The rows to train on and those by which rounds are judged, if any are held out for early stopping: without parting a
/// group.
fn hold_out(params: &GradientBoostingValidParams, training: &Training<'_>) -> Result<Option<split::TrainTest>, Error> {
    if !params.early_stopping {
        return Ok(None);
    }
    let rows = training.targets.len();
    let (share, seed) = (params.validation_fraction, !params.seed);
    let labels = || -> Vec<usize> { training.targets.iter().map(|&label| label as usize).collect() };
    let groups = match &params.groups {
        Some(groups) if groups.len() != training.rows_given => {
            let (rows, groups) = (training.rows_given, groups.len());
            return Err(Error::Split(split::Error::LengthMismatch { rows, groups }));
        }
        Some(groups) => Some((0..rows).map(|row| groups[training.row_given(row)]).collect::<Vec<_>>()),
        None => None,
    };
    let parts = match (training.task, groups) {
        (Task::Classification { .. }, None) => split::stratified_train_test(&labels(), share, seed)?,
        (Task::Regression, None) => split::train_test(rows, share, seed)?,
        (task, Some(groups)) => {
            let labels = if task == Task::Regression { vec![0; rows] } else { labels() };
            let parts = split::stratified_group_train_test(&labels, &groups, share, seed)?;
            // Rounds that do not know a class can only unlearn the others.
            let unknown = |class: &usize| parts.train.iter().all(|&row| labels[row] != *class);
            if labels.iter().collect::<BTreeSet<_>>().into_iter().any(unknown) {
                return Ok(None);
            }
            parts
        }
    };
    // Too few rows to hold any out: all are trained on and no round is judged.
    Ok((!parts.train.is_empty() && !parts.test.is_empty()).then_some(parts))
}

/// Some rows, with their scores so far.
struct Part<'a> {
    records: &'a ArrayView2<'a, f64>,
    /// Which rows of the records, or all.
    rows: Option<Vec<u32>>,
    targets: Vec<f64>,
    weights: Vec<f64>,
    /// One column of scores per output: output × rows.
    scores: Vec<Vec<f64>>,
}

impl<'a> Part<'a> {
    fn of(records: &'a ArrayView2<'a, f64>, rows: Vec<usize>, targets: &[f64], weights: &[f64]) -> Self {
        let of_rows =
            |all: &[f64]| if all.is_empty() { Vec::new() } else { rows.iter().map(|&row| all[row]).collect() };
        let (targets, weights) = (of_rows(targets), of_rows(weights));
        let rows = Some(rows.into_iter().map(|row| row as u32).collect());
        Self { records, rows, targets, weights, scores: Vec::new() }
    }

    fn rows(&self) -> Rows<'_> {
        Rows { targets: &self.targets, weights: &self.weights }
    }

    fn start(&mut self, baseline: &[f64]) {
        self.scores = baseline.iter().map(|&score| vec![score; self.targets.len()]).collect();
    }

    fn add(&mut self, output: usize, tree: &Tree, team: &Team) {
        let (records, rows) = (self.records, &self.rows);
        let shares = self.scores[output].chunks_mut(SHARE).enumerate().collect();
        team.each(shares, |(share, scores): (usize, &mut [f64])| {
            let mut copy = Vec::new();
            for (place, score) in scores.iter_mut().enumerate() {
                let place = share * SHARE + place;
                let row = records.row(rows.as_ref().map_or(place, |rows| rows[place] as usize));
                let leaf = match row.to_slice() {
                    Some(row) => tree.leaf(row),
                    None => {
                        copy.clear();
                        copy.extend(row.iter());
                        tree.leaf(&copy)
                    }
                };
                *score += leaf[0];
            }
        });
    }
}

/// A fit in progress.
struct Boost<'a> {
    params: &'a GradientBoostingValidParams,
    objective: Objective,
    team: &'a Team,
    train: Part<'a>,
    held_out: Part<'a>,
    baseline: Vec<f64>,
    trees: Vec<Tree>,
}

impl<'a> Boost<'a> {
    fn new(
        params: &'a GradientBoostingValidParams,
        objective: Objective,
        team: &'a Team,
        mut train: Part<'a>,
        mut held_out: Part<'a>,
    ) -> Self {
        let (baseline, trees) = match &params.continue_from {
            Some(model) => (model.baseline.clone(), model.trees.clone()),
            None => (objective.baseline(train.rows()), Vec::new()),
        };
        for part in [&mut train, &mut held_out] {
            part.start(&baseline);
            // Tree by tree, as the fit of these trees did: the same sums to the bit.
            trees.iter().enumerate().for_each(|(index, tree)| part.add(index % baseline.len(), tree, team));
        }
        Self { params, objective, team, train, held_out, baseline, trees }
    }

    fn run(&mut self, mut observer: Option<Observer<'_>>) {
        let (params, team) = (self.params, self.team);
        let categorical = &params.categorical_features;
        let rows = self.train.rows.as_deref();
        let binned = BinnedMatrix::of_rows(*self.train.records, rows, categorical, MAX_BINS, team.threads());
        // The grower goes on while scores change, and needs no more of the rows than this.
        let weights = self.train.weights.clone();
        let mut grower = Grower::new(params, &binned, &weights, team);
        let mut gradients = vec![vec![Gradient::default(); self.train.targets.len()]; self.baseline.len()];
        let n_outputs = self.baseline.len();
        let first = self.trees.len() / n_outputs;
        let judged = !self.held_out.targets.is_empty();
        let mut best = (self.objective.mean(&self.held_out.scores, self.held_out.rows()), first);
        for round in first..first + params.n_estimators {
            if !team.run(|| self.round(round, &mut gradients, &mut grower)) {
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
    fn round(&mut self, round: usize, gradients: &mut [Vec<Gradient>], grower: &mut Grower<'_>) -> bool {
        self.derive(gradients);
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

    /// Writes every row's derivatives by each score, on the grid of each.
    fn derive(&self, gradients: &mut [Vec<Gradient>]) {
        let (objective, scores, rows) = (self.objective, &self.train.scores, self.train.rows());
        let n_outputs = gradients.len();
        let mut columns: Vec<_> = gradients.iter_mut().map(|of_output| of_output.chunks_mut(SHARE)).collect();
        // The sums of a share are always those of the same rows: their grid does not depend on the threads.
        let mut shares = Vec::new();
        for first in (0..rows.targets.len()).step_by(SHARE) {
            let parts: Vec<&mut [Gradient]> = columns.iter_mut().filter_map(Iterator::next).collect();
            shares.push((first, parts, vec![Gradient::default(); n_outputs]));
        }
        self.team.each(shares.iter_mut().collect(), |(first, parts, sums)| {
            let first = *first;
            let range = first..first + parts.first().map_or(0, |part| part.len());
            objective.gradients(scores, rows, range, |output, row, gradient| {
                parts[output][row - first] = gradient;
                sums[output] = sums[output].plus(gradient);
            });
        });
        let sum = |output: usize| shares.iter().fold(Gradient::default(), |sum, (.., sums)| sum.plus(sums[output]));
        let grids: Vec<Grid> = (0..n_outputs).map(|output| Grid::new(sum(output))).collect();
        self.team.each(shares, |(_, parts, _)| {
            for (part, grid) in parts.into_iter().zip(&grids) {
                part.iter_mut().for_each(|gradient| *gradient = grid.round(*gradient));
            }
        });
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
            grower.add_to(&mut self.train.scores[output]);
        } else {
            self.train.add(output, &tree, self.team);
        }
        self.held_out.add(output, &tree, self.team);
        self.trees.push(tree);
    }
}
