//! Which hyper-parameters are tried before a model is fitted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most combinations and folds of a search: what a file can make us compute.
const MOST_CANDIDATES: usize = 10_000;
const MOST_FOLDS: usize = 100;
const MOST_EVALUATIONS: usize = 20_000;
/// Whole numbers beyond this are not told apart by the numbers that are drawn.
const MOST_INTEGER: i64 = 1 << 52;

/// A search among hyper-parameters: each combination is cross-validated on the training rows, by `promotion.metric`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// What each parameter may be. Those that are not named here stay as they are in `training.params`.
    pub space: BTreeMap<String, Domain>,
    /// Combinations that are drawn, by the seed of the training. The parameters as they stand in the file are tried beside them.
    #[serde(default = "default_candidates")]
    pub candidates: usize,
    /// Folds of the cross-validation; those of a split by time test what came later.
    #[serde(default = "default_folds")]
    pub folds: usize,
    /// How it goes about.
    #[serde(default)]
    pub method: SearchMethod,
    /// Which trainings search.
    #[serde(default)]
    pub when: SearchWhen,
}

fn default_candidates() -> usize {
    40
}

fn default_folds() -> usize {
    5
}

/// How a search goes about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMethod {
    /// All begin with a share of the rows, and the best third goes on with three times as many (successive halving).
    #[default]
    Halving,
    /// All get all rows.
    Random,
}

/// Which trainings search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchWhen {
    /// Those that are asked to, such as `driftmill train NAME --search`.
    #[default]
    Asked,
    /// Every one, those that drift causes among them.
    Always,
}

/// The values that a parameter may take. Both bounds are included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Domain {
    /// A number, every one as likely.
    Uniform {
        /// Lower bound.
        from: f64,
        /// Upper bound.
        to: f64,
    },
    /// A number above 0, every order of magnitude as likely: for rates and penalties.
    LogUniform {
        /// Lower bound.
        from: f64,
        /// Upper bound.
        to: f64,
    },
    /// A whole number.
    Integer {
        /// Lower bound.
        from: i64,
        /// Upper bound.
        to: i64,
        /// Whether every order of magnitude is as likely, instead of every number.
        #[serde(default)]
        log: bool,
    },
    /// One of these, of any type.
    Choice(Vec<serde_json::Value>),
}

impl Search {
    /// What is wrong with it, for people.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.space.is_empty() {
            faults.push("`search.space` names no parameter: there is nothing to try".to_owned());
        }
        if !(1..=MOST_CANDIDATES).contains(&self.candidates) {
            faults.push(format!("`search.candidates` lies between 1 and {MOST_CANDIDATES}"));
        }
        if !(2..=MOST_FOLDS).contains(&self.folds) {
            faults.push(format!("`search.folds` lies between 2 and {MOST_FOLDS}"));
        }
        if self.candidates.saturating_mul(self.folds) > MOST_EVALUATIONS {
            faults
                .push(format!("`search` has more than {MOST_EVALUATIONS} evaluations: fewer `candidates` or `folds`"));
        }
        let domains = self.space.iter();
        faults.extend(
            domains.filter_map(|(name, domain)| Some(format!("`search.space`, `{name}`: {}", domain.fault()?))),
        );
        faults
    }
}

impl Domain {
    fn fault(&self) -> Option<&'static str> {
        match *self {
            Self::Uniform { from, to } if !(from < to && (to - from).is_finite()) => {
                Some("`from` is less than `to`, and both are finite")
            }
            Self::LogUniform { from, to } if !(from > 0.0 && from < to && to.is_finite()) => {
                Some("`from` is above 0 and less than `to`")
            }
            Self::Integer { from, to, .. } if from > to || from < -MOST_INTEGER || to > MOST_INTEGER => {
                Some("`from` is not above `to`, and both lie within ±2^52")
            }
            Self::Integer { from, log: true, .. } if from < 1 => Some("with `log`, `from` is 1 or more"),
            Self::Choice(ref values) if values.is_empty() => Some("a choice needs at least one value"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(yaml: &str) -> Search {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn a_space_is_enough() {
        let search =
            search("space: { max_depth: { integer: { from: 1, to: 6 } }, criterion: { choice: [gini, entropy] } }");
        assert!(search.faults().is_empty());
        assert_eq!((search.candidates, search.folds, search.when), (40, 5, SearchWhen::Asked));
    }

    #[test]
    fn every_fault_names_the_parameter_and_what_is_allowed() {
        for (domain, told) in [
            ("uniform: { from: 1, to: 1 }", "`rate`: `from` is less than `to`"),
            ("log_uniform: { from: 0, to: 1 }", "above 0"),
            ("integer: { from: 3, to: 2 }", "not above `to`"),
            ("integer: { from: 0, to: 2, log: true }", "1 or more"),
            ("choice: []", "at least one"),
        ] {
            let faults = search(&format!("space: {{ rate: {{ {domain} }} }}")).faults();
            assert!(faults.len() == 1 && faults[0].contains(told), "{faults:?}");
        }
        assert_eq!(search("{ space: {}, candidates: 0, folds: 1 }").faults().len(), 3);
    }
}
