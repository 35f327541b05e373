//! Parameters of the random forest, with scikit-learn's names and defaults.

use linfa::ParamGuard;

use crate::{ClassWeight, Error};

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
    pub(super) fn of(self, n_features: usize) -> usize {
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

/// Checked parameters of [`super::RandomForest`].
#[derive(Clone, Debug, PartialEq)]
pub struct RandomForestValidParams {
    pub(super) n_estimators: usize,
    pub(super) max_depth: Option<usize>,
    pub(super) min_samples_split: usize,
    pub(super) min_samples_leaf: usize,
    pub(super) max_features: Option<MaxFeatures>,
    pub(super) bootstrap: bool,
    pub(super) class_weight: Option<ClassWeight>,
    pub(super) categorical_features: Vec<usize>,
    pub(super) n_classes: Option<usize>,
    pub(super) seed: u64,
    pub(super) n_jobs: Option<usize>,
}

/// Parameters of [`super::RandomForest`], with scikit-learn's names and defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomForestParams(RandomForestValidParams);

impl Default for RandomForestParams {
    fn default() -> Self {
        Self(RandomForestValidParams {
            n_estimators: 100,
            max_depth: None,
            min_samples_split: 2,
            min_samples_leaf: 1,
            max_features: None,
            bootstrap: true,
            class_weight: None,
            categorical_features: Vec::new(),
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

    /// Features tried per split; those that are constant in the node do not count. When not given, the square root of
    /// their number in a classification and all in a regression.
    pub fn max_features(mut self, max_features: MaxFeatures) -> Self {
        self.0.max_features = Some(max_features);
        self
    }

    /// Whether each tree draws its rows with replacement, instead of taking all.
    pub fn bootstrap(mut self, bootstrap: bool) -> Self {
        self.0.bootstrap = bootstrap;
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
        if !p.class_weight.as_ref().is_none_or(ClassWeight::is_valid) {
            return wrong("class_weight", "weights between 0 and 1e30", format!("{:?}", p.class_weight));
        }
        match p.max_features {
            Some(MaxFeatures::Fraction(share)) if !(share > 0.0 && share <= 1.0) => {
                wrong("max_features", "a share above 0 and up to 1", share.to_string())
            }
            Some(MaxFeatures::Count(0)) => wrong("max_features", "at least 1", "0".to_owned()),
            _ => Ok(p),
        }
    }

    fn check(self) -> Result<RandomForestValidParams, Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}
