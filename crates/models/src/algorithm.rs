//! The algorithms a pipeline file may name, with their parameters under scikit-learn's names.

mod params;
#[cfg(test)]
mod tests;

use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::Ix1;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::params::Params;
use crate::Model;
use crate::boosting::{GradientBoosting, GradientBoostingParams};
use crate::constant::Constant;
use crate::forest::{MaxFeatures, RandomForest, RandomForestParams};
use crate::linfa_tree::{DecisionTree, DecisionTreeParams};

/// Names of all algorithms.
pub const NAMES: [&str; 4] = ["constant", "decision_tree", "random_forest", "gradient_boosting"];

/// What is wrong with an algorithm's name or parameters.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such algorithm.
    #[error("there is no algorithm `{name}`{}; known are {}", suggestion(nearest), NAMES.join(", "))]
    UnknownAlgorithm {
        /// What was asked for.
        name: String,
        /// The known one that is spelt most like it.
        nearest: Option<&'static str>,
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
            "decision_tree" => decision_tree(params).map(Self::DecisionTree),
            "random_forest" => random_forest(params).map(Self::RandomForest),
            "gradient_boosting" => gradient_boosting(params).map(Self::GradientBoosting),
            _ => Err(Error::UnknownAlgorithm { name: name.to_owned(), nearest: params::nearest(name, &NAMES) }),
        }
    }

    /// Its name, one of [`NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::DecisionTree(_) => "decision_tree",
            Self::RandomForest(_) => "random_forest",
            Self::GradientBoosting(_) => "gradient_boosting",
        }
    }

    /// Fits a model of classes `0..n_classes` to a dataset (records: rows × features, `NaN` is missing). The same dataset and seed give the same model, except
    /// for the ties that [`crate::linfa_tree`] tells of.
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
        })
    }
}

fn decision_tree(map: &Map<String, Value>) -> Result<DecisionTreeParams, Error> {
    const KNOWN: &[&str] = &["criterion", "max_depth", "min_samples_leaf", "min_samples_split"];
    let given = Params::new("decision_tree", KNOWN, map)?;
    let mut params = DecisionTree::params();
    if let Some(entropy) = given.choice("criterion", ["gini", "entropy"], "\"gini\" or \"entropy\"")? {
        let criterion = [linfa_trees::SplitQuality::Gini, linfa_trees::SplitQuality::Entropy][entropy];
        params = params.criterion(criterion);
    }
    given.set_limit("max_depth", &mut params, DecisionTreeParams::max_depth)?;
    given.set_count("min_samples_leaf", &mut params, DecisionTreeParams::min_samples_leaf)?;
    given.set_count("min_samples_split", &mut params, DecisionTreeParams::min_samples_split)?;
    given.checked(params)
}

fn random_forest(map: &Map<String, Value>) -> Result<RandomForestParams, Error> {
    const KNOWN: &[&str] =
        &["bootstrap", "max_depth", "max_features", "min_samples_leaf", "min_samples_split", "n_estimators"];
    let given = Params::new("random_forest", KNOWN, map)?;
    let mut params = RandomForest::params();
    given.set_count("n_estimators", &mut params, RandomForestParams::n_estimators)?;
    given.set_limit("max_depth", &mut params, RandomForestParams::max_depth)?;
    given.set_count("min_samples_leaf", &mut params, RandomForestParams::min_samples_leaf)?;
    given.set_count("min_samples_split", &mut params, RandomForestParams::min_samples_split)?;
    given.set_flag("bootstrap", &mut params, RandomForestParams::bootstrap)?;
    if let Some(value) = map.get("max_features") {
        params = params.max_features(max_features(value).ok_or_else(|| Error::Type {
            algorithm: "random_forest",
            name: "max_features",
            expected: "\"sqrt\", \"log2\", null for all, a number of features or a share",
            got: value.to_string(),
        })?);
    }
    given.checked(params)
}

/// As in scikit-learn: a whole number counts features, any other number is a share of them.
fn max_features(value: &Value) -> Option<MaxFeatures> {
    match value {
        Value::Null => Some(MaxFeatures::All),
        Value::String(name) if name == "sqrt" => Some(MaxFeatures::Sqrt),
        Value::String(name) if name == "log2" => Some(MaxFeatures::Log2),
        Value::Number(number) if number.is_f64() => number.as_f64().map(MaxFeatures::Fraction),
        Value::Number(number) => number.as_u64().map(|count| MaxFeatures::Count(count as usize)),
        _ => None,
    }
}

fn gradient_boosting(map: &Map<String, Value>) -> Result<GradientBoostingParams, Error> {
    const KNOWN: &[&str] = &[
        "early_stopping",
        "l2_regularization",
        "learning_rate",
        "max_depth",
        "max_leaf_nodes",
        "min_child_weight",
        "min_samples_leaf",
        "n_estimators",
        "n_iter_no_change",
        "subsample",
        "tol",
        "validation_fraction",
    ];
    let given = Params::new("gradient_boosting", KNOWN, map)?;
    let mut params = GradientBoosting::params();
    given.set_count("n_estimators", &mut params, GradientBoostingParams::n_estimators)?;
    given.set_number("learning_rate", &mut params, GradientBoostingParams::learning_rate)?;
    given.set_limit("max_leaf_nodes", &mut params, GradientBoostingParams::max_leaf_nodes)?;
    given.set_limit("max_depth", &mut params, GradientBoostingParams::max_depth)?;
    given.set_count("min_samples_leaf", &mut params, GradientBoostingParams::min_samples_leaf)?;
    given.set_number("min_child_weight", &mut params, GradientBoostingParams::min_child_weight)?;
    given.set_number("l2_regularization", &mut params, GradientBoostingParams::l2_regularization)?;
    given.set_number("subsample", &mut params, GradientBoostingParams::subsample)?;
    given.set_flag("early_stopping", &mut params, GradientBoostingParams::early_stopping)?;
    given.set_number("validation_fraction", &mut params, GradientBoostingParams::validation_fraction)?;
    given.set_count("n_iter_no_change", &mut params, GradientBoostingParams::n_iter_no_change)?;
    given.set_number("tol", &mut params, GradientBoostingParams::tol)?;
    given.checked(params)
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(", did you mean `{nearest}`?"))
}

fn listed(known: &[&str]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) }
}
