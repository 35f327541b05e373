//! The algorithms a pipeline file may name, with their parameters under scikit-learn's names.

pub(crate) mod params;
mod spec;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::Ix1;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::params::Params;
use crate::boosting::{GradientBoostingParams, Round};
use crate::constant::Constant;
use crate::forest::RandomForestParams;
use crate::linear::LinearRegressionParams;
use crate::linfa_tree::DecisionTreeParams;
use crate::logistic::LogisticRegressionParams;
use crate::{Model, Task};

/// Names of all algorithms of numbers and codes; [`crate::learner::NAMES`] adds the others.
pub const NAMES: [&str; 9] = [
    "constant",
    "decision_tree",
    "random_forest",
    "gradient_boosting",
    "logistic_regression",
    "linear_regression",
    "ridge",
    "lasso",
    "elastic_net",
];

/// What is wrong with an algorithm's name or parameters.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such algorithm.
    #[error("there is no algorithm `{name}`{}; known are {}", suggestion(nearest), known.join(", "))]
    UnknownAlgorithm {
        /// What was asked for.
        name: String,
        /// The known one that is spelt most like it.
        nearest: Option<&'static str>,
        /// All there are.
        known: &'static [&'static str],
    },
    /// An algorithm without a feature that it can learn from.
    #[error(
        "`{algorithm}` learns from {needs}, and none of the features is one; declare one or choose another algorithm"
    )]
    Features {
        /// The algorithm.
        algorithm: &'static str,
        /// What it learns from.
        needs: &'static str,
    },
    /// A fusion that is a member of one.
    #[error("`{algorithm}` cannot be a member of another; list its members here instead")]
    Nested {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// What is wrong with a member of a fusion.
    #[error("member {number}: {source}")]
    Member {
        /// Its place, from 1.
        number: usize,
        /// What is wrong.
        source: Box<Error>,
    },
    /// No such parameter.
    #[error("`{algorithm}` has no parameter `{name}`{}; {}", suggestion(nearest), listed(known))]
    UnknownParameter {
        /// The algorithm.
        algorithm: &'static str,
        /// What was given.
        name: String,
        /// The known one that is spelt most like it.
        nearest: Option<&'static str>,
        /// All it has.
        known: &'static [&'static str],
    },
    /// A value of the wrong type.
    #[error("parameter `{name}` of `{algorithm}` must be {expected}, got {got}")]
    Type {
        /// The algorithm.
        algorithm: &'static str,
        /// The parameter.
        name: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given, as JSON.
        got: String,
    },
    /// A value out of its range.
    #[error("`{algorithm}`: {source}")]
    Range {
        /// The algorithm.
        algorithm: &'static str,
        /// Which parameter, and its range.
        source: crate::Error,
    },
}

/// An algorithm with its parameters, ready to be fitted. Deserialises from `{name, params}`; parameters have been checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Spec")]
pub enum Algorithm {
    /// The class frequencies.
    Constant,
    /// A single tree of `linfa-trees`, whose limits [`crate::linfa_tree`] states.
    DecisionTree(DecisionTreeParams),
    /// A random forest.
    RandomForest(RandomForestParams),
    /// Gradient boosting.
    GradientBoosting(GradientBoostingParams),
    /// Multinomial logistic regression.
    LogisticRegression(LogisticRegressionParams),
    /// Ordinary least squares.
    LinearRegression(LinearRegressionParams),
    /// Least squares with a penalty on squared coefficients.
    Ridge(LinearRegressionParams),
    /// Least squares with a penalty on absolute coefficients.
    Lasso(LinearRegressionParams),
    /// Least squares with both penalties.
    ElasticNet(LinearRegressionParams),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    name: String,
    #[serde(default)]
    params: Map<String, Value>,
}

impl TryFrom<Spec> for Algorithm {
    type Error = Error;

    fn try_from(spec: Spec) -> Result<Self, Error> {
        Self::from_spec(&spec.name, &spec.params)
    }
}

impl Algorithm {
    /// The algorithm of this name with these parameters; those not given have scikit-learn's defaults.
    ///
    /// # Errors
    /// For an unknown name or parameter, with the nearest known one, and for a value of the wrong type or range.
    pub fn from_spec(name: &str, params: &Map<String, Value>) -> Result<Self, Error> {
        match name {
            "constant" => {
                Params::new("constant", &[], params)?;
                Ok(Self::Constant)
            }
            "decision_tree" => spec::decision_tree(params).map(Self::DecisionTree),
            "random_forest" => spec::random_forest(params).map(Self::RandomForest),
            "gradient_boosting" => spec::gradient_boosting(params).map(Self::GradientBoosting),
            "logistic_regression" => spec::logistic_regression(params).map(Self::LogisticRegression),
            "linear_regression" => spec::linear_regression(params).map(Self::LinearRegression),
            "ridge" => spec::ridge(params).map(Self::Ridge),
            "lasso" => spec::lasso(params).map(Self::Lasso),
            "elastic_net" => spec::elastic_net(params).map(Self::ElasticNet),
            _ => Err(unknown(name, &NAMES)),
        }
    }

    /// Its name, one of [`NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::DecisionTree(_) => "decision_tree",
            Self::RandomForest(_) => "random_forest",
            Self::GradientBoosting(_) => "gradient_boosting",
            Self::LogisticRegression(_) => "logistic_regression",
            Self::LinearRegression(_) => "linear_regression",
            Self::Ridge(_) => "ridge",
            Self::Lasso(_) => "lasso",
            Self::ElasticNet(_) => "elastic_net",
        }
    }

    /// The same, adding its rounds to a fitted model instead of beginning anew.
    ///
    /// # Errors
    /// [`crate::Error::Continuation`] unless both are gradient boosting.
    pub fn continue_from(self, model: &Model) -> Result<Self, crate::Error> {
        match (self, model) {
            (Self::GradientBoosting(params), Model::GradientBoosting(model)) => {
                Ok(Self::GradientBoosting(params.continue_from(model.clone())))
            }
            _ => Err(crate::Error::Continuation { what: "another algorithm, or one without rounds" }),
        }
    }

    /// The same for rows of these groups, which a hold-out for early stopping then never parts.
    pub(crate) fn grouped(self, groups: Option<&[usize]>) -> Self {
        match self {
            Self::GradientBoosting(params) => Self::GradientBoosting(params.groups(groups)),
            other => other,
        }
    }

    /// Fits a model of classes `0..n_classes` to a dataset (records: rows × features, `NaN` is missing; weights count). The
    /// same dataset and seed give the same model, except for the ties that [`crate::linfa_tree`] tells of.
    ///
    /// # Errors
    /// When there are no rows or no features, or a label is not one of the classes.
    pub fn fit(&self, dataset: &Dataset<f64, usize, Ix1>, n_classes: usize, seed: u64) -> Result<Model, crate::Error> {
        Ok(match self {
            Self::Constant => Model::Constant(Constant::params().n_classes(n_classes).fit(dataset)?),
            Self::DecisionTree(params) => Model::DecisionTree(params.clone().n_classes(n_classes).fit(dataset)?),
            Self::RandomForest(params) => {
                Model::RandomForest(params.clone().n_classes(n_classes).seed(seed).fit(dataset)?)
            }
            Self::GradientBoosting(params) => {
                Model::GradientBoosting(params.clone().n_classes(n_classes).seed(seed).fit(dataset)?)
            }
            Self::LogisticRegression(params) => {
                Model::LogisticRegression(params.clone().n_classes(n_classes).fit(dataset)?)
            }
            Self::LinearRegression(_) | Self::Ridge(_) | Self::Lasso(_) | Self::ElasticNet(_) => {
                return Err(self.unsupported(Task::Classification { n_classes }));
            }
        })
    }

    /// Fits a model of the targets' values; otherwise as [`Self::fit`].
    ///
    /// # Errors
    /// When there are no rows or no features, a target is no number in range, or the algorithm has no regression.
    pub fn fit_regression(&self, dataset: &Dataset<f64, f64, Ix1>, seed: u64) -> Result<Model, crate::Error> {
        Ok(match self {
            Self::Constant => Model::Constant(Constant::params().fit(dataset)?),
            Self::DecisionTree(_) | Self::LogisticRegression(_) => return Err(self.unsupported(Task::Regression)),
            Self::RandomForest(params) => Model::RandomForest(params.clone().seed(seed).fit(dataset)?),
            Self::GradientBoosting(params) => Model::GradientBoosting(params.clone().seed(seed).fit(dataset)?),
            Self::LinearRegression(params) | Self::Ridge(params) | Self::Lasso(params) | Self::ElasticNet(params) => {
                Model::LinearRegression(params.fit(dataset)?)
            }
        })
    }

    /// Whether it can be fitted to classes; lines are fitted to values only.
    pub fn classifies(&self) -> bool {
        !matches!(self, Self::LinearRegression(_) | Self::Ridge(_) | Self::Lasso(_) | Self::ElasticNet(_))
    }

    /// Whether it can be fitted to values.
    pub fn regresses(&self) -> bool {
        !matches!(self, Self::DecisionTree(_) | Self::LogisticRegression(_))
    }

    /// How many rounds a fit ends with at most, if it has rounds.
    pub(crate) fn rounds(&self) -> Option<usize> {
        match self {
            Self::GradientBoosting(params) => Some(params.rounds()),
            _ => None,
        }
    }

    fn unsupported(&self, task: Task) -> crate::Error {
        crate::Error::TaskUnsupported { algorithm: self.name(), task: task.name() }
    }

    /// As [`Self::fit`], telling of every round; algorithms without rounds tell nothing. On a break no further round
    /// follows, and the model has those that there are.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn fit_observed(
        &self,
        dataset: &Dataset<f64, usize, Ix1>,
        n_classes: usize,
        seed: u64,
        observe: &mut dyn FnMut(&Round) -> ControlFlow<()>,
    ) -> Result<Model, crate::Error> {
        match self {
            Self::GradientBoosting(params) => {
                let params = params.clone().n_classes(n_classes).seed(seed);
                params.fit_observed(dataset, observe).map(Model::GradientBoosting)
            }
            _ => self.fit(dataset, n_classes, seed),
        }
    }

    /// As [`Self::fit_regression`], telling of every round as [`Self::fit_observed`] does.
    ///
    /// # Errors
    /// As [`Self::fit_regression`].
    pub fn fit_regression_observed(
        &self,
        dataset: &Dataset<f64, f64, Ix1>,
        seed: u64,
        observe: &mut dyn FnMut(&Round) -> ControlFlow<()>,
    ) -> Result<Model, crate::Error> {
        match self {
            Self::GradientBoosting(params) => {
                params.clone().seed(seed).fit_observed(dataset, observe).map(Model::GradientBoosting)
            }
            _ => self.fit_regression(dataset, seed),
        }
    }
}

/// The error for a name that is none of the known ones.
pub(crate) fn unknown(name: &str, known: &'static [&'static str]) -> Error {
    Error::UnknownAlgorithm { name: name.to_owned(), nearest: params::nearest(name, known), known }
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(", did you mean `{nearest}`?"))
}

fn listed(known: &[&str]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) }
}
