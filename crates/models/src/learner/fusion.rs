//! Late fusion: several learners over the same table, and how much each counts.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Learner, Member, Method, Observer, Progress, Rows};
use crate::algorithm::Error as SpecError;
use crate::algorithm::params::{Params, whole};
use crate::estimator::Answer;
use crate::estimator::fusion::{self as fitted, MAX_MEMBERS, Mean, combined};
use crate::{Error, FeatureKind, Target, metrics, validation};

const NAME: &str = "late_fusion";

/// What a member's weight may be a multiple of.
const STEPS: [usize; MAX_MEMBERS + 1] = [1, 1, 20, 10, 5, 5, 4, 4, 4];

/// Members, and how their probabilities are averaged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LateFusion {
    members: Vec<Member>,
    /// Add up to 1; `None` when they are fitted.
    weights: Option<Vec<f64>>,
    /// `None` when it is fitted with the weights.
    mean: Option<Mean>,
    folds: usize,
}

impl LateFusion {
    pub fn from_spec(params: &Map<String, Value>, features: &[(String, FeatureKind)]) -> Result<Self, SpecError> {
        let given = Params::new(NAME, &["folds", "mean", "members", "weights"], params)?;
        let members = match params.get("members") {
            Some(Value::Array(members)) if (1..=MAX_MEMBERS).contains(&members.len()) => members.as_slice(),
            other => {
                let got = other.unwrap_or(&Value::Null);
                return Err(given.wrong_type("members", "a list of 1 to 8 entries of `algorithm` and `params`", got));
            }
        };
        let members = members.iter().enumerate().map(|(index, member)| {
            let failed = |source| SpecError::Member { number: index + 1, source: Box::new(source) };
            self::member(member, features, &given).map_err(failed)
        });
        let members = members.collect::<Result<Vec<Member>, SpecError>>()?;
        let weights = match params.get("weights") {
            None => None,
            Some(Value::String(fitted)) if fitted == "fitted" => None,
            Some(value) => Some(weights(value, members.len()).ok_or_else(|| {
                given.wrong_type("weights", "\"fitted\", or a number for each member, 0 or more, not all 0", value)
            })?),
        };
        let mean = given.choice("mean", ["arithmetic", "geometric"], "\"arithmetic\" or \"geometric\"")?;
        let mean = mean.map(|index| [Mean::Arithmetic, Mean::Geometric][index]);
        let folds = params.get("folds").map_or(Ok(5), |value| {
            let folds = whole(value).filter(|folds| (2..=20).contains(folds));
            folds.ok_or_else(|| given.wrong_type("folds", "a whole number of 2 to 20", value))
        })?;
        Ok(Self { members, weights, mean, folds })
    }

    /// Whether every member has classes.
    pub fn classifies(&self) -> bool {
        self.members.iter().all(Member::classifies)
    }

    pub fn fit(
        &self,
        learner: &Learner,
        kinds: &[FeatureKind],
        rows: Rows<'_>,
        seed: u64,
        mut observe: Option<Observer<'_>>,
    ) -> Result<fitted::LateFusion, Error> {
        let (weights, mean) = match &self.weights {
            Some(weights) => (weights.clone(), self.mean.unwrap_or(Mean::Arithmetic)),
            None => self.weigh(learner, rows, seed, &mut observe)?,
        };
        let mut members = Vec::with_capacity(self.members.len());
        for (index, member) in self.members.iter().enumerate() {
            // A member's own steps are told as its own, and a break ends them, not the fusion.
            let told = observe.as_mut().map(|observe| &mut **observe as Observer<'_>);
            members.push(member.fit(kinds, rows, seed, told).map_err(|source| self.failed(index, source))?);
            let metrics = BTreeMap::from([("weight", weights[index])]);
            let _ = tell(&mut observe, "member", index + 1, self.members.len(), metrics);
        }
        Ok(fitted::LateFusion::new(members, weights, mean))
    }

    fn failed(&self, index: usize, source: Error) -> Error {
        Error::Member { number: index + 1, algorithm: self.members[index].algorithm(), source: Box::new(source) }
    }

    /// Weights, and the mean unless it is given, of the least log loss on rows that the members have not seen. All weigh the
    /// same when there are too few rows to hold any out, or when the fit is broken off.
    fn weigh(
        &self,
        learner: &Learner,
        rows: Rows<'_>,
        seed: u64,
        observe: &mut Option<Observer<'_>>,
    ) -> Result<(Vec<f64>, Mean), Error> {
        let count = self.members.len();
        let equal = (vec![1.0 / count as f64; count], self.mean.unwrap_or(Mean::Arithmetic));
        let splits = validation::folds(rows.target, rows.groups, self.folds, seed)?;
        if count < 2 || splits.is_empty() {
            return Ok(equal);
        }
        let Target::Classes { labels, n_classes } = rows.target else { return Ok(equal) };
        let empty = || Answer {
            outputs: ndarray::Array2::zeros((labels.len(), *n_classes)),
            informed: vec![false; labels.len()],
        };
        let mut answers: Vec<Answer> = (0..count).map(|_| empty()).collect();
        for (number, split) in splits.iter().enumerate() {
            for (index, member) in self.members.iter().enumerate() {
                let alone = Learner { features: learner.features.clone(), method: Method::one(member.clone()) };
                let part = rows.fit_and_answer(&alone, split, seed).map_err(|source| self.failed(index, source))?;
                for (at, &row) in split.test.iter().enumerate() {
                    answers[index].outputs.row_mut(row).assign(&part.outputs.row(at));
                    answers[index].informed[row] = part.informed[at];
                }
            }
            if tell(observe, "fold", number + 1, splits.len(), BTreeMap::new()).is_break() {
                return Ok(equal);
            }
        }
        let labels = labels.to_vec();
        let means = self.mean.map_or_else(|| vec![Mean::Arithmetic, Mean::Geometric], |mean| vec![mean]);
        let mut best: Option<(f64, Vec<f64>, Mean)> = None;
        for weights in grid(count) {
            for &mean in &means {
                let loss = metrics::log_loss(&labels, combined(&answers, &weights, mean).view());
                let loss = loss.unwrap_or(f64::INFINITY);
                if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
                    best = Some((loss, weights.clone(), mean));
                }
            }
        }
        Ok(best.map_or(equal, |(_, weights, mean)| (weights, mean)))
    }
}

fn tell(
    observe: &mut Option<Observer<'_>>,
    step: &str,
    number: usize,
    of: usize,
    metrics: BTreeMap<&'static str, f64>,
) -> std::ops::ControlFlow<()> {
    observe.as_mut().map_or(std::ops::ControlFlow::Continue(()), |observe| {
        observe(&Progress { step: step.to_owned(), number, of: Some(of), metrics, device: None })
    })
}

/// Every way to share 1 among the members in equal steps, the most even ones first: they win when all are equally good.
fn grid(members: usize) -> Vec<Vec<f64>> {
    fn share(steps: usize, places: usize) -> Vec<Vec<usize>> {
        match places {
            0 => Vec::new(),
            1 => vec![vec![steps]],
            _ => (0..=steps)
                .flat_map(|own| share(steps - own, places - 1).into_iter().map(move |rest| [vec![own], rest].concat()))
                .collect(),
        }
    }
    let steps = STEPS[members.min(MAX_MEMBERS)];
    let mut shares = share(steps, members);
    shares.sort_by_key(|parts| parts.iter().map(|part| part * part).sum::<usize>());
    shares.into_iter().map(|parts| parts.into_iter().map(|part| part as f64 / steps as f64).collect()).collect()
}

fn member(value: &Value, features: &[(String, FeatureKind)], given: &Params<'_>) -> Result<Member, SpecError> {
    let expected = "an object of `algorithm` and, if it needs any, `params`";
    let wrong = || given.wrong_type("members", expected, value);
    let entry = value.as_object().ok_or_else(wrong)?;
    if entry.keys().any(|key| key != "algorithm" && key != "params") {
        return Err(wrong());
    }
    let name = entry.get("algorithm").and_then(Value::as_str).ok_or_else(wrong)?;
    if name == NAME {
        return Err(SpecError::Nested { algorithm: NAME });
    }
    let none = Map::new();
    let params = entry.get("params").map_or(Some(&none), Value::as_object).ok_or_else(wrong)?;
    Member::from_spec(name, params, features)
}

/// Numbers that add up to 1 once they are divided by their sum.
fn weights(value: &Value, members: usize) -> Option<Vec<f64>> {
    let weights = value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()?;
    let all: f64 = weights.iter().sum();
    let fit = weights.len() == members && weights.iter().all(|weight| *weight >= 0.0) && all > 0.0 && all.is_finite();
    fit.then(|| weights.into_iter().map(|weight| weight / all).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_shares_one_among_the_members_most_evenly_first() {
        let two = grid(2);
        assert_eq!((two.len(), &two[0][..]), (21, &[0.5, 0.5][..]));
        assert!(two.contains(&vec![1.0, 0.0]) && two.contains(&vec![0.0, 1.0]));
        for members in 1..=MAX_MEMBERS {
            let grid = grid(members);
            assert!((1..=400).contains(&grid.len()), "{} of {members}", grid.len());
            assert!(grid.iter().all(|weights| (weights.iter().sum::<f64>() - 1.0).abs() < 1e-12));
        }
    }
}
