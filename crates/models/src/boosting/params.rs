//! Parameters of gradient boosting, with the names and defaults of scikit-learn's `HistGradientBoostingClassifier`
//! (its `max_iter` is called `n_estimators` here, as in the other ensembles).

use linfa::ParamGuard;

use crate::Error;

/// Checked parameters of [`super::GradientBoosting`].
#[derive(Clone, Debug, PartialEq)]
pub struct GradientBoostingValidParams {
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
            n_classes: None,
            seed: 0,
            n_jobs: None,
        })
    }
}

impl GradientBoostingParams {
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

    /// Whether to hold out some rows and keep the rounds up to the lowest log loss on them.
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

    /// Decrease of the log loss that counts as an improvement.
    pub fn tol(mut self, tol: f64) -> Self {
        self.0.tol = tol;
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
