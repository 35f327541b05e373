//! Several estimators of the same classes, whose probabilities are averaged.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{Answer, Member};
use crate::{Error, FeatureKind, Table, Task};

/// The most members.
pub(crate) const MAX_MEMBERS: usize = 8;

/// Below, a probability counts as this in a geometric mean, so that no member alone rules a class out.
const FLOOR: f64 = 1e-9;

/// How probabilities are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mean {
    Arithmetic,
    /// Of the logarithms, divided by the sum over the classes: members count the more the surer they are.
    Geometric,
}

/// Fitted members with their weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LateFusion {
    members: Vec<Member>,
    weights: Vec<f64>,
    mean: Mean,
}

impl LateFusion {
    /// As many weights as members.
    pub fn new(members: Vec<Member>, weights: Vec<f64>, mean: Mean) -> Self {
        Self { members, weights, mean }
    }

    pub fn task(&self) -> Task {
        self.members.first().map_or(Task::Regression, Member::task)
    }

    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn answer(&self, table: &Table) -> Result<Answer, Error> {
        let answers = self.members.iter().map(|member| member.answer(table)).collect::<Result<Vec<_>, Error>>()?;
        let informed = (0..table.rows()).map(|row| answers.iter().any(|answer| answer.informed[row])).collect();
        Ok(Answer { outputs: combined(&answers, &self.weights, self.mean), informed })
    }

    pub fn validate(&self, features: &[FeatureKind]) -> Result<(), String> {
        if !(1..=MAX_MEMBERS).contains(&self.members.len()) || self.weights.len() != self.members.len() {
            return Err("the fusion's number of members or weights is out of range".to_owned());
        }
        if self.weights.iter().any(|weight| !(0.0..=1.0).contains(weight)) {
            return Err("a weight of the fusion is not between 0 and 1".to_owned());
        }
        self.members.iter().try_for_each(|member| member.validate(features))?;
        let task = self.task();
        match task {
            Task::Classification { .. } if self.members.iter().all(|member| member.task() == task) => Ok(()),
            _ => Err("the fusion's members do not have the same classes".to_owned()),
        }
    }
}

/// The weighted mean of the members' probabilities, for each row over those members that have something to go by there,
/// or over all when none has.
pub(crate) fn combined(answers: &[Answer], weights: &[f64], mean: Mean) -> Array2<f64> {
    let mut outputs =
        answers.first().map_or_else(|| Array2::zeros((0, 0)), |answer| Array2::zeros(answer.outputs.dim()));
    let mut of_row = vec![0.0; weights.len()];
    for (row, mut out) in outputs.rows_mut().into_iter().enumerate() {
        weigh(answers, weights, row, &mut of_row);
        for (answer, weight) in answers.iter().zip(&of_row).filter(|(_, weight)| **weight > 0.0) {
            let probabilities = answer.outputs.row(row);
            out.zip_mut_with(&probabilities, |sum, p| {
                *sum += weight
                    * match mean {
                        Mean::Arithmetic => *p,
                        Mean::Geometric => p.max(FLOOR).ln(),
                    };
            });
        }
        if mean == Mean::Geometric {
            out.mapv_inplace(f64::exp);
        }
        // Weights add up to 1 only to within rounding, and geometric means not even nearly.
        let all = out.sum();
        out.mapv_inplace(|p| p / all);
    }
    outputs
}

/// The members' weights for a row, which add up to 1.
fn weigh(answers: &[Answer], weights: &[f64], row: usize, of_row: &mut [f64]) {
    let any = answers.iter().any(|answer| answer.informed[row]);
    let counts = |answer: &Answer| !any || answer.informed[row];
    let shares = |flat: bool| {
        answers.iter().zip(weights).map(move |(answer, weight)| match counts(answer) {
            true if flat => 1.0,
            true => *weight,
            false => 0.0,
        })
    };
    // Where those that weigh something have nothing to say, the others are better than nothing.
    let flat = shares(false).sum::<f64>() <= 0.0;
    let all: f64 = shares(flat).sum();
    of_row.iter_mut().zip(shares(flat)).for_each(|(place, share)| *place = share / all);
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn answer(outputs: Array2<f64>, informed: &[bool]) -> Answer {
        Answer { outputs, informed: informed.to_vec() }
    }

    fn assert_near(got: &Array2<f64>, expected: &Array2<f64>) {
        assert!((got - expected).iter().all(|difference| difference.abs() < 1e-12), "{got} is not {expected}");
    }

    #[test]
    fn probabilities_are_averaged_by_weight() {
        let answers = [answer(array![[0.8, 0.2]], &[true]), answer(array![[0.5, 0.5]], &[true])];
        assert_near(&combined(&answers, &[0.25, 0.75], Mean::Arithmetic), &array![[0.575, 0.425]]);
        // 0.8^½ : 0.2^½ is 2 : 1.
        assert_near(&combined(&answers, &[0.5, 0.5], Mean::Geometric), &array![[2.0 / 3.0, 1.0 / 3.0]]);
    }

    #[test]
    fn members_with_nothing_to_go_by_are_left_out() {
        let sure = answer(array![[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]], &[true, false, false]);
        let other = answer(array![[0.3, 0.7], [0.3, 0.7], [0.3, 0.7]], &[false, true, false]);
        for mean in [Mean::Arithmetic, Mean::Geometric] {
            let got = combined(&[sure_copy(&sure), sure_copy(&other)], &[1.0, 0.0], mean);
            assert_near(&got, &array![[0.9, 0.1], [0.3, 0.7], [0.9, 0.1]]);
        }
    }

    fn sure_copy(answer: &Answer) -> Answer {
        Answer { outputs: answer.outputs.clone(), informed: answer.informed.clone() }
    }

    #[test]
    fn no_member_alone_rules_a_class_out_in_a_geometric_mean() {
        let answers = [answer(array![[1.0, 0.0]], &[true]), answer(array![[0.0, 1.0]], &[true])];
        assert_near(&combined(&answers, &[0.5, 0.5], Mean::Geometric), &array![[0.5, 0.5]]);
    }
}
