//! A checked table of probabilities.

use super::error::{Error, check_class, check_lengths};

/// The probabilities of a classifier, a row for each answer and a column for each class, each row summing to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Probabilities {
    classes: usize,
    values: Vec<f64>,
}

impl Probabilities {
    /// Checks `values`, row after row of `classes` numbers from 0 to 1, and scales each row to sum to 1.
    ///
    /// # Errors
    /// The first number that is no probability, with its row and class.
    pub fn new(classes: usize, values: &[f64]) -> Result<Self, Error> {
        if classes < 2 {
            return Err(Error::Classes(classes));
        }
        if !values.len().is_multiple_of(classes) {
            return Err(Error::Shape { values: values.len(), classes });
        }
        let mut checked = Vec::with_capacity(values.len());
        for (row, values) in values.chunks_exact(classes).enumerate() {
            for (class, &value) in values.iter().enumerate() {
                // A little beyond comes from rounding to single precision.
                if !(-1e-6..=1.0 + 1e-6).contains(&value) {
                    return Err(Error::Probability { row, class, value });
                }
                checked.push(value.clamp(0.0, 1.0));
            }
            let scaled = &mut checked[row * classes..];
            let sum: f64 = scaled.iter().sum();
            if sum <= 0.0 {
                return Err(Error::NoProbability(row));
            }
            scaled.iter_mut().for_each(|value| *value /= sum);
        }
        Ok(Self { classes, values: checked })
    }

    /// Two classes from the probabilities of class 1.
    ///
    /// # Errors
    /// The first number that is no probability.
    pub fn of_positive(values: &[f64]) -> Result<Self, Error> {
        if let Some(row) = values.iter().position(|value| !(0.0..=1.0).contains(value)) {
            return Err(Error::Probability { row, class: 1, value: values[row] });
        }
        Self::new(2, &values.iter().flat_map(|&value| [1.0 - value, value]).collect::<Vec<f64>>())
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.values.len() / self.classes
    }

    /// The probabilities of a row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.classes..(row + 1) * self.classes]
    }

    /// All rows, one after the other.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// The most probable class of each row, the first of equal ones. A model with a threshold of its own answers otherwise.
    pub fn most_probable(&self) -> Vec<usize> {
        let best =
            |row: &[f64]| (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        self.values.chunks_exact(self.classes).map(best).collect()
    }

    /// Checks a column of classes that belongs to the rows.
    pub(crate) fn check(&self, classes: &[usize], what: &'static str) -> Result<(), Error> {
        check_lengths(self.rows(), classes.len(), what)?;
        classes.iter().enumerate().try_for_each(|(row, &class)| check_class(row, class, self.classes))
    }
}
