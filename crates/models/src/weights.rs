//! How much each row counts: weights of rows and of classes.

use std::collections::BTreeMap;

use crate::Error;

/// Largest weight: squares of sums of its products with targets stay finite.
pub(crate) const WEIGHT_LIMIT: f64 = 1e30;

/// How much the rows of each class weigh, on top of their own weights: scikit-learn's `class_weight`.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeight {
    /// Every class that occurs weighs the same in sum: a row of class `c` weighs n / (classes that occur × rows of `c`).
    Balanced,
    /// A weight by class index; classes not named weigh 1.
    Given(BTreeMap<usize, f64>),
}

impl ClassWeight {
    /// Whether every given weight is between 0 and 1e30.
    pub(crate) fn is_valid(&self) -> bool {
        match self {
            Self::Balanced => true,
            Self::Given(weights) => weights.values().all(|weight| (0.0..=WEIGHT_LIMIT).contains(weight)),
        }
    }

    /// The factor of each class. Labels are below `n_classes`, and as many as weights.
    pub(crate) fn factors(&self, labels: &[usize], weights: &[f64], n_classes: usize) -> Result<Vec<f64>, Error> {
        match self {
            Self::Balanced => {
                let mut totals = vec![0.0; n_classes];
                labels.iter().zip(weights).for_each(|(&label, weight)| totals[label] += weight);
                let occurring = totals.iter().filter(|total| **total > 0.0).count() as f64;
                let all: f64 = totals.iter().sum();
                let factor = |total: f64| if total > 0.0 { all / (occurring * total) } else { 0.0 };
                Ok(totals.into_iter().map(factor).collect())
            }
            Self::Given(weights) => match weights.keys().find(|class| **class >= n_classes) {
                None => Ok((0..n_classes).map(|class| weights.get(&class).copied().unwrap_or(1.0)).collect()),
                Some(class) => Err(Error::Parameter {
                    name: "class_weight",
                    expected: "weights of classes that there are",
                    got: format!("one of class {class}, and {n_classes} classes"),
                }),
            },
        }
    }
}

/// The factor of each class, 1 without class weights.
pub(crate) fn of_classes(
    class_weight: Option<&ClassWeight>,
    labels: &[usize],
    weights: &[f64],
    n_classes: usize,
) -> Result<Vec<f64>, Error> {
    class_weight.map_or_else(|| Ok(vec![1.0; n_classes]), |given| given.factors(labels, weights, n_classes))
}

/// The weight of each row, 1 when the dataset has none.
///
/// # Errors
/// [`Error::Weights`] for another number of weights than rows, a weight that is negative or not a number, or all zero.
pub(crate) fn of_rows(weights: &[f32], rows: usize) -> Result<Vec<f64>, Error> {
    if weights.is_empty() {
        return Ok(vec![1.0; rows]);
    }
    let valid = weights.len() == rows
        && weights.iter().all(|weight| *weight >= 0.0 && weight.is_finite())
        && weights.iter().any(|weight| *weight > 0.0);
    if valid { Ok(weights.iter().map(|&weight| f64::from(weight)).collect()) } else { Err(Error::Weights { rows }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_classes_have_the_same_total() {
        let factors = |weights: &[f64]| ClassWeight::Balanced.factors(&[0, 0, 0, 0, 2, 2], weights, 3).unwrap();
        assert_eq!(factors(&[1.0; 6]), [0.75, 0.0, 1.5]);
        assert_eq!(factors(&[1.0, 1.0, 1.0, 1.0, 2.0, 2.0]), [1.0, 0.0, 1.0]);
    }

    #[test]
    fn given_factors_are_of_classes_that_there_are_and_the_others_count_once() {
        let given = |class: usize, factor: f64| ClassWeight::Given(BTreeMap::from([(class, factor)]));
        assert_eq!(given(1, 0.5).factors(&[0, 1], &[1.0; 2], 2).unwrap(), [1.0, 0.5]);
        assert!(given(2, 0.5).factors(&[0, 1], &[1.0; 2], 2).is_err());
        assert!(!given(0, -1.0).is_valid());
    }

    #[test]
    fn weights_that_cannot_be_used_are_refused() {
        assert_eq!(of_rows(&[], 2).unwrap(), [1.0, 1.0]);
        assert_eq!(of_rows(&[0.0, 2.5], 2).unwrap(), [0.0, 2.5]);
        for weights in [&[1.0_f32][..], &[-1.0, 1.0], &[f32::NAN, 1.0], &[0.0, 0.0]] {
            assert!(matches!(of_rows(weights, 2), Err(Error::Weights { rows: 2 })));
        }
    }
}
