//! What the rows of a table are to be predicted as.

use ndarray::{Array1, Axis};

use crate::{Error, Task, labels};

/// A class or a value for each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Classes, which make it a classification.
    Classes {
        /// The class of each row, below `n_classes`.
        labels: Array1<usize>,
        /// Number of classes, also of those without a row.
        n_classes: usize,
    },
    /// Values, which make it a regression.
    Values(Array1<f64>),
}

impl Target {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Values(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a model of these targets answers.
    pub fn task(&self) -> Task {
        match self {
            Self::Classes { n_classes, .. } => Task::Classification { n_classes: *n_classes },
            Self::Values(_) => Task::Regression,
        }
    }

    /// The rows of these numbers, in their order. Panics when there is none of a number, as a slice does.
    pub fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes { labels, n_classes } => {
                Self::Classes { labels: labels.select(Axis(0), rows), n_classes: *n_classes }
            }
            Self::Values(values) => Self::Values(values.select(Axis(0), rows)),
        }
    }

    /// Whether there is a target for each of `rows` rows, and every label is one of the classes.
    pub(crate) fn check(&self, rows: usize) -> Result<(), Error> {
        if rows == 0 {
            return Err(Error::NoRows);
        }
        if rows != self.len() {
            return Err(Error::LengthMismatch { rows, targets: self.len() });
        }
        match self {
            Self::Classes { labels, n_classes } => labels::n_classes(&labels.to_vec(), Some(*n_classes)).map(|_| ()),
            Self::Values(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_are_selected_and_the_classes_stay() {
        let target = Target::Classes { labels: array![0, 2, 1], n_classes: 5 };
        let selected = target.select(&[1, 1]);
        assert_eq!(selected, Target::Classes { labels: array![2, 2], n_classes: 5 });
        assert_eq!((selected.len(), selected.task()), (2, Task::Classification { n_classes: 5 }));
        let values = Target::Values(array![1.0, 2.0]);
        assert_eq!((values.select(&[1]), values.task()), (Target::Values(array![2.0]), Task::Regression));
        assert!(values.select(&[]).is_empty());
    }

    #[test]
    fn targets_that_do_not_fit_the_rows_are_named() {
        let target = Target::Classes { labels: array![0, 2], n_classes: 2 };
        assert!(matches!(target.check(2), Err(Error::LabelOutOfRange { row: 1, label: 2, n_classes: 2 })));
        assert!(matches!(target.check(3), Err(Error::LengthMismatch { rows: 3, targets: 2 })));
        assert!(matches!(Target::Values(array![]).check(0), Err(Error::NoRows)));
    }
}
