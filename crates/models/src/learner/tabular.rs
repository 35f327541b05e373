//! The algorithms of numbers and categories over a table. Texts and images are left out.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use linfa::Dataset;
use serde_json::{Map, Value, json};

use super::{Observer, Progress, Rows};
use crate::algorithm::{Error as SpecError, params};
use crate::boosting::Round;
use crate::estimator::tabular::{self as fitted, Encoding};
use crate::{Algorithm, Error, FeatureKind, Target};

/// An algorithm of rows of numbers, and where a fit begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tabular {
    algorithm: Algorithm,
    /// Those of the estimator that is continued.
    encodings: Option<Vec<Encoding>>,
}

impl Tabular {
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, encodings: None }
    }

    /// `name` is one of [`crate::algorithm::NAMES`].
    pub fn from_spec(
        name: &str,
        params: &Map<String, Value>,
        features: &[(String, FeatureKind)],
    ) -> Result<Self, SpecError> {
        // The name as the errors want it, and the parameters' own mistakes before those of features.
        let algorithm = Algorithm::from_spec(name, &without_features(params))?.name();
        let usable = |kind: FeatureKind| matches!(kind, FeatureKind::Number | FeatureKind::Category);
        if algorithm != "constant" && !features.iter().any(|(_, kind)| usable(*kind)) {
            return Err(SpecError::Features { algorithm, needs: "numbers and categories" });
        }
        let params = of_columns(algorithm, params, features)?;
        Algorithm::from_spec(name, &params).map(Self::new)
    }

    pub fn algorithm(&self) -> &'static str {
        self.algorithm.name()
    }

    pub fn classifies(&self) -> bool {
        self.algorithm.classifies()
    }

    pub fn regresses(&self) -> bool {
        self.algorithm.regresses()
    }

    pub fn continue_from(self, earlier: &fitted::Tabular) -> Result<Self, Error> {
        let algorithm = self.algorithm.continue_from(earlier.model())?;
        Ok(Self { algorithm, encodings: Some(earlier.encodings().to_vec()) })
    }

    pub fn fit(
        &self,
        kinds: &[FeatureKind],
        Rows { table, target, groups }: Rows<'_>,
        seed: u64,
        observe: Option<Observer<'_>>,
    ) -> Result<fitted::Tabular, Error> {
        let encodings = self.encodings.clone().unwrap_or_else(|| {
            let columns = kinds.iter().zip(table.columns());
            columns.map(|(kind, column)| Encoding::fit(*kind, column, !self.takes_codes())).collect()
        });
        let records = fitted::records(&encodings, table);
        let algorithm = self.algorithm.clone().grouped(groups);
        let of = algorithm.rounds();
        let model = match (target, observe) {
            (Target::Classes { labels, n_classes }, observe) => {
                let dataset = Dataset::new(records, labels.clone());
                match observe {
                    Some(observe) => algorithm.fit_observed(&dataset, *n_classes, seed, &mut told(observe, of))?,
                    None => algorithm.fit(&dataset, *n_classes, seed)?,
                }
            }
            (Target::Values(values), observe) => {
                let dataset = Dataset::new(records, values.clone());
                match observe {
                    Some(observe) => algorithm.fit_regression_observed(&dataset, seed, &mut told(observe, of))?,
                    None => algorithm.fit_regression(&dataset, seed)?,
                }
            }
        };
        Ok(fitted::Tabular::new(encodings, model))
    }

    /// Whether a category's code is a feature: trees put any set of codes on one side, lines would count with them.
    fn takes_codes(&self) -> bool {
        matches!(self.algorithm, Algorithm::Constant | Algorithm::RandomForest(_) | Algorithm::GradientBoosting(_))
    }
}

/// Tells of rounds as progress.
fn told<'a>(observe: Observer<'a>, of: Option<usize>) -> impl FnMut(&Round) -> ControlFlow<()> + use<'a> {
    move |round| {
        let mut metrics = BTreeMap::from([("train_loss", round.train_loss)]);
        metrics.extend(round.validation_loss.map(|loss| ("validation_loss", loss)));
        observe(&Progress { step: "round".to_owned(), number: round.round, of, metrics, device: None })
    }
}

/// Parameters that speak of features.
const OF_FEATURES: [&str; 2] = ["categorical_features", "monotonic_cst"];

/// The parameters with nothing said about features, so that all else about them can be checked first.
fn without_features(params: &Map<String, Value>) -> Map<String, Value> {
    let cleared = |(name, value): (&String, &Value)| {
        let of_features = OF_FEATURES.contains(&name.as_str());
        (name.clone(), if of_features { json!([]) } else { value.clone() })
    };
    params.iter().map(cleared).collect()
}

/// The parameters as the algorithm reads them, for which texts and images are not there: features by the numbers of its
/// columns, and every category among the categorical ones.
fn of_columns(
    algorithm: &'static str,
    params: &Map<String, Value>,
    features: &[(String, FeatureKind)],
) -> Result<Map<String, Value>, SpecError> {
    let mut params = params.clone();
    let columns: Vec<usize> = (0..features.len())
        .filter(|feature| matches!(features[*feature].1, FeatureKind::Number | FeatureKind::Category))
        .collect();
    // The column of a feature that is given by name or number.
    let column = |given: &Value| {
        let named = |name: &str| features.iter().position(|(known, _)| known == name);
        let feature = given.as_str().map_or_else(|| params::whole(given), named)?;
        columns.iter().position(|column| *column == feature)
    };
    if ["random_forest", "gradient_boosting"].contains(&algorithm) {
        let mut categorical: Vec<usize> =
            (0..columns.len()).filter(|column| matches!(features[columns[*column]].1, FeatureKind::Category)).collect();
        if let Some(given) = params.get("categorical_features") {
            let given_columns = given.as_array().and_then(|all| all.iter().map(column).collect::<Option<Vec<_>>>());
            categorical.extend(given_columns.ok_or_else(|| SpecError::Type {
                algorithm,
                name: "categorical_features",
                expected: "a list of numbers or categories among the features, each by its name or number from 0",
                got: given.to_string(),
            })?);
            categorical.sort_unstable();
            categorical.dedup();
        }
        if !categorical.is_empty() {
            params.insert("categorical_features".to_owned(), json!(categorical));
        }
    }
    if let Some(given) = params.get("monotonic_cst") {
        let signs = match given {
            Value::Object(by_name) => {
                by_name.iter().try_fold(vec![json!(0); columns.len()], |mut signs, (name, sign)| {
                    signs[column(&json!(name))?] = sign.clone();
                    Some(signs)
                })
            }
            Value::Array(signs) => {
                let zero = json!(0);
                Some(columns.iter().map(|feature| signs.get(*feature).unwrap_or(&zero).clone()).collect())
            }
            _ => None,
        };
        let signs = signs.ok_or_else(|| SpecError::Type {
            algorithm,
            name: "monotonic_cst",
            expected: "-1, 0 or 1 by the name of a feature that is a number, or a list with one for each feature",
            got: given.to_string(),
        })?;
        params.insert("monotonic_cst".to_owned(), Value::Array(signs));
    }
    Ok(params)
}
