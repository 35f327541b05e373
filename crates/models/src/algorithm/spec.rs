//! How each algorithm's parameters are named and read.

use serde_json::{Map, Value};

use super::Error;
use super::params::Params;
use crate::Imputation;
use crate::boosting::{GradientBoosting, GradientBoostingParams, Loss};
use crate::forest::{MaxFeatures, RandomForest, RandomForestParams};
use crate::linear::{LinearRegression, LinearRegressionParams};
use crate::linfa_tree::{DecisionTree, DecisionTreeParams};
use crate::logistic::{LogisticRegression, LogisticRegressionParams};

pub(super) fn decision_tree(map: &Map<String, Value>) -> Result<DecisionTreeParams, Error> {
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

pub(super) fn random_forest(map: &Map<String, Value>) -> Result<RandomForestParams, Error> {
    const KNOWN: &[&str] = &[
        "bootstrap",
        "categorical_features",
        "class_weight",
        "max_depth",
        "max_features",
        "min_samples_leaf",
        "min_samples_split",
        "n_estimators",
    ];
    let given = Params::new("random_forest", KNOWN, map)?;
    let mut params = RandomForest::params();
    given.set_count("n_estimators", &mut params, RandomForestParams::n_estimators)?;
    given.set_limit("max_depth", &mut params, RandomForestParams::max_depth)?;
    given.set_count("min_samples_leaf", &mut params, RandomForestParams::min_samples_leaf)?;
    given.set_count("min_samples_split", &mut params, RandomForestParams::min_samples_split)?;
    given.set_flag("bootstrap", &mut params, RandomForestParams::bootstrap)?;
    given.set_features("categorical_features", &mut params, RandomForestParams::categorical_features)?;
    given.set_class_weight(&mut params, RandomForestParams::class_weight)?;
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

pub(super) fn gradient_boosting(map: &Map<String, Value>) -> Result<GradientBoostingParams, Error> {
    const KNOWN: &[&str] = &[
        "alpha",
        "cat_smooth",
        "categorical_features",
        "class_weight",
        "early_stopping",
        "l2_regularization",
        "learning_rate",
        "loss",
        "max_depth",
        "max_leaf_nodes",
        "min_child_weight",
        "min_samples_leaf",
        "monotonic_cst",
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
    let losses = ["log_loss", "squared_error", "absolute_error", "quantile"];
    let expected = "\"log_loss\", \"squared_error\", \"absolute_error\" or \"quantile\"";
    if let Some(loss) = given.choice("loss", losses, expected)? {
        let losses = [Loss::LogLoss, Loss::SquaredError, Loss::AbsoluteError, Loss::Quantile];
        params = params.loss(Some(losses[loss]));
    }
    given.set_number("alpha", &mut params, GradientBoostingParams::alpha)?;
    given.set_number("cat_smooth", &mut params, GradientBoostingParams::cat_smooth)?;
    given.set_features("categorical_features", &mut params, GradientBoostingParams::categorical_features)?;
    given.set_class_weight(&mut params, GradientBoostingParams::class_weight)?;
    given.set_signs("monotonic_cst", &mut params, GradientBoostingParams::monotonic_cst)?;
    given.checked(params)
}

pub(super) fn logistic_regression(map: &Map<String, Value>) -> Result<LogisticRegressionParams, Error> {
    const KNOWN: &[&str] = &["C", "class_weight", "imputation", "max_iter", "standardize", "tol"];
    let given = Params::new("logistic_regression", KNOWN, map)?;
    let mut params = LogisticRegression::params();
    given.set_number("C", &mut params, LogisticRegressionParams::c)?;
    given.set_class_weight(&mut params, LogisticRegressionParams::class_weight)?;
    given.set_flag("standardize", &mut params, LogisticRegressionParams::standardize)?;
    given.set_number("tol", &mut params, LogisticRegressionParams::tol)?;
    given.set_count("max_iter", &mut params, LogisticRegressionParams::max_iter)?;
    if let Some(imputation) = imputation(&given)? {
        params = params.imputation(imputation);
    }
    given.checked(params)
}

pub(super) fn linear_regression(map: &Map<String, Value>) -> Result<LinearRegressionParams, Error> {
    line("linear_regression", &["imputation", "standardize"], LinearRegression::params(), map)
}

pub(super) fn ridge(map: &Map<String, Value>) -> Result<LinearRegressionParams, Error> {
    line("ridge", &["alpha", "imputation", "standardize"], LinearRegression::ridge(), map)
}

pub(super) fn lasso(map: &Map<String, Value>) -> Result<LinearRegressionParams, Error> {
    const KNOWN: &[&str] = &["alpha", "imputation", "max_iter", "standardize", "tol"];
    line("lasso", KNOWN, LinearRegression::lasso(), map)
}

pub(super) fn elastic_net(map: &Map<String, Value>) -> Result<LinearRegressionParams, Error> {
    const KNOWN: &[&str] = &["alpha", "imputation", "l1_ratio", "max_iter", "standardize", "tol"];
    line("elastic_net", KNOWN, LinearRegression::elastic_net(), map)
}

/// Those of the parameters that are `known`.
fn line(
    name: &'static str,
    known: &'static [&'static str],
    mut params: LinearRegressionParams,
    map: &Map<String, Value>,
) -> Result<LinearRegressionParams, Error> {
    let given = Params::new(name, known, map)?;
    given.set_number("alpha", &mut params, LinearRegressionParams::alpha)?;
    given.set_number("l1_ratio", &mut params, LinearRegressionParams::l1_ratio)?;
    given.set_flag("standardize", &mut params, LinearRegressionParams::standardize)?;
    given.set_number("tol", &mut params, LinearRegressionParams::tol)?;
    given.set_count("max_iter", &mut params, LinearRegressionParams::max_iter)?;
    if let Some(imputation) = imputation(&given)? {
        params = params.imputation(imputation);
    }
    given.checked(params)
}

/// What missing values are replaced by.
fn imputation(given: &Params<'_>) -> Result<Option<Imputation>, Error> {
    let chosen = given.choice("imputation", ["mean", "median"], "\"mean\" or \"median\"")?;
    Ok(chosen.map(|index| [Imputation::Mean, Imputation::Median][index]))
}
