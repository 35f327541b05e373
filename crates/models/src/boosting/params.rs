//! Parameters of gradient boosting, with the names and defaults of scikit-learn's `HistGradientBoostingClassifier` and
//! `HistGradientBoostingRegressor` (their `max_iter` is called `n_estimators` here, as in the other ensembles, and their
//! `quantile` is `alpha`, as in `GradientBoostingRegressor`). `cat_smooth` is LightGBM's.

use std::sync::Arc;

use linfa::ParamGuard;

use super::{GradientBoosting, Loss};
use crate::{ClassWeight, Error};

/// Checked parameters of [`super::GradientBoosting`].
#[derive(Clone, Debug, PartialEq)]
pub struct GradientBoostingValidParams {
    pub(super) loss: Option<Loss>,
    pub(super) alpha: f64,
    pub(super) n_estimators: usize,
    pub(super) learning_rate: f64,
    pub(super) max_leaf_nodes: Option<usize>,
    pub(super) max_depth: Option<usize>,
    pub(super) min_samples_leaf: usize,
    pub(super) min_child_weight: f64,
    pub(super) l2_regularization: f64,
    pub(super) subsample: f64,
    pub(super) early_stopping: bool,
    pub(super) validation_fraction: f64,
    pub(super) n_iter_no_change: usize,
    pub(super) tol: f64,
    pub(super) class_weight: Option<ClassWeight>,
    pub(super) categorical_features: Vec<usize>,
    pub(super) cat_smooth: f64,
    pub(super) monotonic_cst: Vec<i8>,
    pub(super) continue_from: Option<Arc<GradientBoosting>>,
    pub(super) groups: Option<Arc<[usize]>>,
    pub(super) n_classes: Option<usize>,
    pub(super) seed: u64,
    pub(super) n_jobs: Option<usize>,
}

/// Parameters of [`super::GradientBoosting`].
#[derive(Clone, Debug, PartialEq)]
pub struct GradientBoostingParams(GradientBoostingValidParams);

impl Default for GradientBoostingParams {
    fn default() -> Self {
        Self(GradientBoostingValidParams {
            loss: None,
            alpha: 0.9,
            n_estimators: 100,
            learning_rate: 0.1,
            max_leaf_nodes: Some(31),
            max_depth: None,
            min_samples_leaf: 20,
            min_child_weight: 1e-3,
            l2_regularization: 0.0,
            subsample: 1.0,
            early_stopping: false,
            validation_fraction: 0.1,
            n_iter_no_change: 10,
            tol: 1e-7,
            class_weight: None,
            categorical_features: Vec::new(),
            cat_smooth: 10.0,
            monotonic_cst: Vec::new(),
            continue_from: None,
            groups: None,
            n_classes: None,
            seed: 0,
            n_jobs: None,
        })
    }
}

impl GradientBoostingParams {
    /// What is minimised; when not given, the log loss in a classification and the squared error in a regression.
    pub fn loss(mut self, loss: Option<Loss>) -> Self {
        self.0.loss = loss;
        self
    }

    /// Which quantile [`Loss::Quantile`] estimates, between 0 and 1.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.0.alpha = alpha;
        self
    }

    /// Number of rounds, 1 to 10,000.
    pub fn n_estimators(mut self, n_estimators: usize) -> Self {
        self.0.n_estimators = n_estimators;
        self
    }

    /// What each leaf value is multiplied by, above 0 and up to 1.
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.0.learning_rate = learning_rate;
        self
    }

    /// Most leaves of a tree, 2 to 131,072; `None` for no limit.
    pub fn max_leaf_nodes(mut self, max_leaf_nodes: Option<usize>) -> Self {
        self.0.max_leaf_nodes = max_leaf_nodes;
        self
    }

    /// Most splits from the root to a leaf, at least 1; `None` for no limit.
    pub fn max_depth(mut self, max_depth: Option<usize>) -> Self {
        self.0.max_depth = max_depth;
        self
    }

    /// Rows each side of a split must keep, at least 1.
    pub fn min_samples_leaf(mut self, min_samples_leaf: usize) -> Self {
        self.0.min_samples_leaf = min_samples_leaf;
        self
    }

    /// Sum of second derivatives each side of a split must keep.
    pub fn min_child_weight(mut self, min_child_weight: f64) -> Self {
        self.0.min_child_weight = min_child_weight;
        self
    }

    /// Added to the second derivatives' sum: pulls leaf values towards zero.
    pub fn l2_regularization(mut self, l2_regularization: f64) -> Self {
        self.0.l2_regularization = l2_regularization;
        self
    }

    /// Share of the rows each round is grown on, above 0 and up to 1, drawn without replacement.
    pub fn subsample(mut self, subsample: f64) -> Self {
        self.0.subsample = subsample;
        self
    }

    /// Whether to hold out some rows and keep the rounds up to the lowest loss on them.
    pub fn early_stopping(mut self, early_stopping: bool) -> Self {
        self.0.early_stopping = early_stopping;
        self
    }

    /// Share of the rows held out for early stopping, above 0 and below 1.
    pub fn validation_fraction(mut self, validation_fraction: f64) -> Self {
        self.0.validation_fraction = validation_fraction;
        self
    }

    /// Rounds without improvement after which early stopping stops, at least 1.
    pub fn n_iter_no_change(mut self, n_iter_no_change: usize) -> Self {
        self.0.n_iter_no_change = n_iter_no_change;
        self
    }

    /// Decrease of the loss that counts as an improvement.
    pub fn tol(mut self, tol: f64) -> Self {
        self.0.tol = tol;
        self
    }

    /// What the rows of each class weigh besides their sample weights; only for a classification.
    pub fn class_weight(mut self, class_weight: Option<ClassWeight>) -> Self {
        self.0.class_weight = class_weight;
        self
    }

    /// Which features hold codes of categories (0 to 255; negative numbers and `NaN` are missing) instead of amounts.
    pub fn categorical_features(mut self, features: Vec<usize>) -> Self {
        self.0.categorical_features = features;
        self
    }

    /// Added to a category's second derivatives when categories are put in order: pulls rare ones to the middle. With 0 and
    /// no regularisation, the best subset is found.
    pub fn cat_smooth(mut self, cat_smooth: f64) -> Self {
        self.0.cat_smooth = cat_smooth;
        self
    }

    /// By feature: 1 when the value (or the probability of the second of two classes) must not fall as the feature grows, -1
    /// when it must not rise, else 0. Features beyond the list have 0. Missing values are free to go to either side.
    pub fn monotonic_cst(mut self, constraints: Vec<i8>) -> Self {
        self.0.monotonic_cst = constraints;
        self
    }

    /// Adds [`Self::n_estimators`] rounds to a fitted model instead of beginning anew. With the same rows, parameters and
    /// seed, and without early stopping, the result is the model that one fit of all rounds would give.
    pub fn continue_from(mut self, model: GradientBoosting) -> Self {
        self.0.continue_from = Some(Arc::new(model));
        self
    }

    /// Each row's group, such as the product it is of: early stopping holds out whole groups then. Where rows of a group
    /// resemble each other, a hold-out of single rows would stop later than it should.
    pub fn groups(mut self, groups: Option<&[usize]>) -> Self {
        self.0.groups = groups.map(Arc::from);
        self
    }

    /// Rounds that a fit ends with at most, with those of the model that is continued.
    pub(crate) fn rounds(&self) -> usize {
        self.0.n_estimators + self.0.continue_from.as_ref().map_or(0, |model| model.n_rounds())
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

impl ParamGuard for GradientBoostingParams {
    type Checked = GradientBoostingValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&GradientBoostingValidParams, Error> {
        let p = &self.0;
        let share = |value: f64| value > 0.0 && value <= 1.0;
        let amount = |value: f64| value >= 0.0 && value.is_finite();
        let checks = [
            ("n_estimators", "between 1 and 10000", p.n_estimators.to_string(), (1..=10_000).contains(&p.n_estimators)),
            ("learning_rate", "above 0 and up to 1", p.learning_rate.to_string(), share(p.learning_rate)),
            (
                "max_leaf_nodes",
                "between 2 and 131072, or null for no limit",
                shown(p.max_leaf_nodes),
                p.max_leaf_nodes.is_none_or(|n| (2..=131_072).contains(&n)),
            ),
            ("max_depth", "at least 1, or null for no limit", shown(p.max_depth), p.max_depth.is_none_or(|n| n >= 1)),
            ("min_samples_leaf", "at least 1", p.min_samples_leaf.to_string(), p.min_samples_leaf >= 1),
            ("min_child_weight", "0 or more", p.min_child_weight.to_string(), amount(p.min_child_weight)),
            ("l2_regularization", "0 or more", p.l2_regularization.to_string(), amount(p.l2_regularization)),
            ("subsample", "above 0 and up to 1", p.subsample.to_string(), share(p.subsample)),
            (
                "validation_fraction",
                "above 0 and below 1",
                p.validation_fraction.to_string(),
                share(p.validation_fraction) && p.validation_fraction < 1.0,
            ),
            ("n_iter_no_change", "at least 1", p.n_iter_no_change.to_string(), p.n_iter_no_change >= 1),
            ("tol", "0 or more", p.tol.to_string(), amount(p.tol)),
            ("alpha", "between 0 and 1", p.alpha.to_string(), p.alpha > 0.0 && p.alpha < 1.0),
            ("cat_smooth", "0 or more", p.cat_smooth.to_string(), amount(p.cat_smooth)),
            (
                "monotonic_cst",
                "-1, 0 or 1 for each feature",
                format!("{:?}", p.monotonic_cst),
                p.monotonic_cst.iter().all(|constraint| (-1..=1).contains(constraint)),
            ),
            (
                "class_weight",
                "weights between 0 and 1e30",
                format!("{:?}", p.class_weight),
                p.class_weight.as_ref().is_none_or(ClassWeight::is_valid),
            ),
        ];
        match checks.into_iter().find(|(.., valid)| !valid) {
            Some((name, expected, got, _)) => Err(Error::Parameter { name, expected, got }),
            None => Ok(p),
        }
    }

    fn check(self) -> Result<GradientBoostingValidParams, Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}

fn shown(limit: Option<usize>) -> String {
    limit.map_or_else(|| "null".to_owned(), |limit| limit.to_string())
}
