//! What may be tried: each parameter's domain, and seeded draws from all of them.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::random;

/// Parameters of a candidate, as [`crate::Algorithm::from_spec`] takes them.
pub type Params = Map<String, Value>;

/// Integers beyond this are not told apart by the numbers drawn.
const INTEGER_LIMIT: i64 = 1 << 53;

/// A domain that nothing can be drawn from.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Error {
    /// Nothing to search.
    #[error("the space has no parameters")]
    Empty,
    /// Bounds that are none.
    #[error("`{name}`: {expected}, got {low} to {high}")]
    Bounds {
        /// The parameter.
        name: String,
        /// What is allowed.
        expected: &'static str,
        /// Lower bound given.
        low: String,
        /// Upper bound given.
        high: String,
    },
    /// A choice among nothing.
    #[error("`{name}`: a choice needs at least one value")]
    NoChoice {
        /// The parameter.
        name: String,
    },
}

/// The values a parameter may take. Bounds are inclusive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Domain {
    /// A number, every one as likely.
    Uniform {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// A number above zero, every order of magnitude as likely: for rates and penalties.
    LogUniform {
        /// Lower bound, above 0.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// A whole number.
    Int {
        /// Lower bound.
        low: i64,
        /// Upper bound.
        high: i64,
        /// Whether every order of magnitude is as likely, instead of every number; needs `low` above 0.
        #[serde(default)]
        log: bool,
    },
    /// One of the values, of any type.
    Choice {
        /// The values.
        values: Vec<Value>,
    },
}

/// The domains of all parameters by name; they have been checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Domain>", into = "BTreeMap<String, Domain>")]
pub struct Space(BTreeMap<String, Domain>);

impl TryFrom<BTreeMap<String, Domain>> for Space {
    type Error = Error;

    fn try_from(domains: BTreeMap<String, Domain>) -> Result<Self, Error> {
        if domains.is_empty() {
            return Err(Error::Empty);
        }
        domains.iter().try_for_each(|(name, domain)| domain.check(name))?;
        Ok(Self(domains))
    }
}

impl From<Space> for BTreeMap<String, Domain> {
    fn from(space: Space) -> Self {
        space.0
    }
}

impl Space {
    /// The domains by name.
    pub fn domains(&self) -> &BTreeMap<String, Domain> {
        &self.0
    }

    /// The draw of this number: the same whichever others are made.
    pub fn draw(&self, seed: u64, index: u64) -> Params {
        let mut rng = random::stream(seed, index);
        self.0.iter().map(|(name, domain)| (name.clone(), domain.draw(&mut rng))).collect()
    }

    /// The first `count` draws that differ; fewer when the space seems to have no more.
    pub fn draw_distinct(&self, seed: u64, count: usize) -> Vec<Params> {
        let mut seen = std::collections::BTreeSet::new();
        let draws = (0..count as u64 * 64).map(|index| self.draw(seed, index));
        draws.filter(|params| seen.insert(Value::Object(params.clone()).to_string())).take(count).collect()
    }
}

impl Domain {
    fn check(&self, name: &str) -> Result<(), Error> {
        let (fits, expected, low, high) = match self {
            Self::Uniform { low, high } => {
                let fits = low < high && (high - low).is_finite();
                (fits, "bounds must be finite and the lower one less than the upper", low.to_string(), high.to_string())
            }
            Self::LogUniform { low, high } => {
                let fits = 0.0 < *low && low < high && high.is_finite();
                (
                    fits,
                    "bounds must be above 0 and the lower one less than the upper",
                    low.to_string(),
                    high.to_string(),
                )
            }
            Self::Int { low, high, log } => {
                let exact = |bound: i64| bound.unsigned_abs() <= INTEGER_LIMIT.unsigned_abs() / 2;
                let fits = low <= high && exact(*low) && exact(*high) && !(*log && *low < 1);
                let expected = "bounds must be within ±2^52, the lower one not above the upper, and above 0 for `log`";
                (fits, expected, low.to_string(), high.to_string())
            }
            Self::Choice { values } if values.is_empty() => return Err(Error::NoChoice { name: name.to_owned() }),
            Self::Choice { .. } => return Ok(()),
        };
        if fits { Ok(()) } else { Err(Error::Bounds { name: name.to_owned(), expected, low, high }) }
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Value {
        match self {
            Self::Uniform { low, high } => Value::from((low + unit(rng) * (high - low)).clamp(*low, *high)),
            Self::LogUniform { low, high } => Value::from(between_logs(rng, *low, *high).clamp(*low, *high)),
            // Half a number more on either side, so that the bounds are as likely as the rest.
            Self::Int { low, high, log: true } => {
                let drawn = between_logs(rng, *low as f64 - 0.5, *high as f64 + 0.5).round() as i64;
                Value::from(drawn.clamp(*low, *high))
            }
            Self::Int { low, high, log: false } => {
                let drawn = (unit(rng) * (high - low + 1) as f64) as i64;
                Value::from((low + drawn).min(*high))
            }
            Self::Choice { values } => {
                let drawn = (unit(rng) * values.len() as f64) as usize;
                values.get(drawn).cloned().unwrap_or_default()
            }
        }
    }
}

fn between_logs(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    (low.ln() + unit(rng) * (high.ln() - low.ln())).exp()
}

/// A uniform number in [0, 1), of 53 random bits.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn space(json: Value) -> Result<Space, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn draws_stay_in_their_domains_and_reach_all_of_them() {
        let space = space(json!({
            "subsample": {"type": "uniform", "low": 0.5, "high": 1.0},
            "learning_rate": {"type": "log_uniform", "low": 0.001, "high": 1.0},
            "max_depth": {"type": "int", "low": 2, "high": 4},
            "n_estimators": {"type": "int", "low": 1, "high": 1000, "log": true},
            "criterion": {"type": "choice", "values": ["gini", "entropy", null]},
        }))
        .unwrap();
        let draws: Vec<Params> = (0..3_000).map(|index| space.draw(5, index)).collect();
        let share = |is: &dyn Fn(&Params) -> bool| draws.iter().filter(|params| is(params)).count() as f64 / 3_000.0;
        let number = |params: &Params, name: &str| params[name].as_f64().unwrap();
        assert!(draws.iter().all(|params| (0.5..=1.0).contains(&number(params, "subsample"))));
        assert!((share(&|params| number(params, "learning_rate") < 0.01) - 1.0 / 3.0).abs() < 0.03);
        for depth in 2..=4 {
            assert!((share(&|params| params["max_depth"] == depth) - 1.0 / 3.0).abs() < 0.03);
        }
        assert!(draws.iter().all(|params| (1..=1_000).contains(&params["n_estimators"].as_i64().unwrap())));
        assert!((share(&|params| number(params, "n_estimators") < 31.0) - 0.54).abs() < 0.04);
        assert!((share(&|params| params["criterion"].is_null()) - 1.0 / 3.0).abs() < 0.03);
    }

    #[test]
    fn a_seed_repeats_and_each_draw_stands_alone() {
        let space = space(json!({"x": {"type": "uniform", "low": 0.0, "high": 1.0}})).unwrap();
        assert_eq!(space.draw(1, 9), space.draw(1, 9));
        assert_ne!(space.draw(1, 9), space.draw(2, 9));
        assert_ne!(space.draw(1, 9), space.draw(1, 8));
    }

    #[test]
    fn a_small_space_is_drawn_out_without_repeats() {
        let space =
            space(json!({"a": {"type": "int", "low": 0, "high": 7}, "b": {"type": "choice", "values": [true, false]}}));
        let space = space.unwrap();
        assert_eq!(space.draw_distinct(3, 100).len(), 16);
        assert_eq!(space.draw_distinct(3, 5), space.draw_distinct(3, 100)[..5]);
    }

    #[test]
    fn errors_name_the_parameter() {
        let error =
            |domain: Value| space(json!({"fine": {"type": "int", "low": 1, "high": 1}, "rate": domain})).unwrap_err();
        for domain in [
            json!({"type": "uniform", "low": 1.0, "high": 1.0}),
            json!({"type": "uniform", "low": -1e308, "high": 1e308}),
            json!({"type": "log_uniform", "low": 0.0, "high": 1.0}),
            json!({"type": "int", "low": 3, "high": 2}),
            json!({"type": "int", "low": 0, "high": 2, "log": true}),
            json!({"type": "int", "low": 0, "high": i64::MAX}),
            json!({"type": "choice", "values": []}),
        ] {
            assert!(error(domain.clone()).starts_with("`rate`: "), "{domain}");
        }
        assert!(error(json!({"type": "normal"})).contains("unknown variant"));
        assert!(error(json!({"type": "int", "low": 1, "high": 2, "step": 2})).contains("unknown field"));
        assert_eq!(space(json!({})).unwrap_err(), "the space has no parameters");
    }

    #[test]
    fn a_space_is_written_as_it_is_read() {
        let json = json!({"x": {"type": "log_uniform", "low": 0.1, "high": 1.0}});
        assert_eq!(serde_json::to_value(space(json.clone()).unwrap()).unwrap(), json);
    }
}
