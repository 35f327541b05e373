//! How much each row counts: weights of rows and of classes.

use crate::Error;

/// How much each class counts, scikit-learn's `class_weight`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ClassWeight {
    /// Every row counts the same.
    #[default]
    Uniform,
    /// Every class that occurs counts the same: a row of class `c` counts n / (classes that occur × rows of `c`).
    Balanced,
    /// A factor for each class, 0 or more.
    Given(Vec<f64>),
}

impl ClassWeight {
    /// Whether the factors are finite and none is negative.
    pub(crate) fn is_valid(&self) -> bool {
        match self {
            Self::Uniform | Self::Balanced => true,
            Self::Given(factors) => factors.iter().all(|factor| *factor >= 0.0 && factor.is_finite()),
        }
    }

    /// The factor of each class. Labels are below `n_classes`, and as many as weights.
    pub(crate) fn factors(&self, labels: &[usize], weights: &[f64], n_classes: usize) -> Result<Vec<f64>, Error> {
        match self {
            Self::Uniform => Ok(vec![1.0; n_classes]),
            Self::Balanced => {
                let mut totals = vec![0.0; n_classes];
                labels.iter().zip(weights).for_each(|(&label, weight)| totals[label] += weight);
                let occurring = totals.iter().filter(|total| **total > 0.0).count() as f64;
                let all: f64 = totals.iter().sum();
                let factor = |total: f64| if total > 0.0 { all / (occurring * total) } else { 0.0 };
                Ok(totals.into_iter().map(factor).collect())
            }
            Self::Given(factors) if factors.len() == n_classes => Ok(factors.clone()),
            Self::Given(factors) => Err(Error::Parameter {
                name: "class_weight",
                expected: "one factor for each class",
                got: format!("{} factors for {n_classes} classes", factors.len()),
            }),
        }
    }
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
    fn given_factors_must_match_the_classes() {
        let given = |factors: &[f64]| ClassWeight::Given(factors.to_vec());
        assert_eq!(given(&[3.0, 0.5]).factors(&[0, 1], &[1.0; 2], 2).unwrap(), [3.0, 0.5]);
        assert!(given(&[1.0]).factors(&[0, 1], &[1.0; 2], 2).is_err());
        assert!(!given(&[-1.0]).is_valid());
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
