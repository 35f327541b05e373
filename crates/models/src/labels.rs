//! Class labels: how many classes they are of, and the checks that classifiers of weighted sums make of their training data.

use crate::Error;
use crate::predictor::{MAX_CLASSES, MAX_FEATURES};

/// The number of classes: the declared one, else the largest label + 1.
///
/// # Errors
/// [`Error::TooMany`] and [`Error::LabelOutOfRange`].
pub(crate) fn n_classes(labels: &[usize], declared: Option<usize>) -> Result<usize, Error> {
    let n_classes = declared.unwrap_or_else(|| labels.iter().max().map_or(0, |label| label.saturating_add(1)));
    if n_classes > MAX_CLASSES {
        return Err(Error::TooMany { what: "classes", got: n_classes, limit: MAX_CLASSES });
    }
    match labels.iter().enumerate().find(|(_, label)| **label >= n_classes) {
        Some((row, &label)) => Err(Error::LabelOutOfRange { row, label, n_classes }),
        None => Ok(n_classes),
    }
}

/// The same, once rows and columns are such that weights can be fitted to them.
pub(crate) fn of_rows(
    (rows, features): (usize, usize),
    labels: &[usize],
    declared: Option<usize>,
) -> Result<usize, Error> {
    if rows == 0 {
        return Err(Error::NoRows);
    }
    if features == 0 {
        return Err(Error::NoFeatures);
    }
    if features > MAX_FEATURES {
        return Err(Error::TooMany { what: "features", got: features, limit: MAX_FEATURES });
    }
    // Row numbers are drawn as `u32`.
    if rows > u32::MAX as usize {
        return Err(Error::TooManyRows { rows, limit: u32::MAX as usize });
    }
    if rows != labels.len() {
        return Err(Error::LengthMismatch { rows, targets: labels.len() });
    }
    n_classes(labels, declared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_training_data_is_named() {
        assert!(matches!(of_rows((0, 1), &[], None), Err(Error::NoRows)));
        assert!(matches!(of_rows((1, 0), &[0], None), Err(Error::NoFeatures)));
        assert!(matches!(of_rows((1, MAX_FEATURES + 1), &[0], None), Err(Error::TooMany { what: "features", .. })));
        assert!(matches!(of_rows((2, 1), &[0], None), Err(Error::LengthMismatch { rows: 2, targets: 1 })));
        assert!(matches!(of_rows((1, 1), &[usize::MAX], None), Err(Error::TooMany { what: "classes", .. })));
        assert!(matches!(of_rows((2, 1), &[0, 2], Some(2)), Err(Error::LabelOutOfRange { row: 1, .. })));
        assert_eq!(of_rows((2, 1), &[0, 2], None).unwrap(), 3);
        assert_eq!(of_rows((2, 1), &[0, 2], Some(7)).unwrap(), 7);
    }
}
