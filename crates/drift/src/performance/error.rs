//! What cannot be counted, estimated or compared.

/// Why performance cannot be estimated, measured or judged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A probability that is none.
    #[error(
        "row {row}: the probability of class {class} is {value}, it must be a number from 0 to 1: leave the row out"
    )]
    Probability {
        /// The row, from 0.
        row: usize,
        /// The class, from 0.
        class: usize,
        /// What stands there.
        value: f64,
    },
    /// A row whose probabilities are all 0.
    #[error("row {0}: the probabilities of all classes are 0: leave the row out")]
    NoProbability(usize),
    /// Too few classes to tell apart.
    #[error("{0} classes: a classifier tells at least 2 apart; give one probability for each class and row")]
    Classes(usize),
    /// A table of probabilities that is not rectangular.
    #[error("{values} probabilities do not make rows of {classes} classes: give one for each class and row")]
    Shape {
        /// Numbers given.
        values: usize,
        /// Classes of each row.
        classes: usize,
    },
    /// Two columns of different lengths.
    #[error("{rows} rows, but {others} {what}: give one for each row")]
    Lengths {
        /// Rows.
        rows: usize,
        /// Values of the other column.
        others: usize,
        /// What the other column is.
        what: &'static str,
    },
    /// A class that the model does not know.
    #[error("row {row}: class {class} is not one of the {classes} classes of the model, 0 to {}: leave the row out", classes - 1)]
    UnknownClass {
        /// The row, from 0.
        row: usize,
        /// The class given.
        class: usize,
        /// Classes of the model.
        classes: usize,
    },
    /// A number that errors cannot be taken from.
    #[error("row {row}: {what} is {value}, it must be a finite number whose error is below 1e75: leave the row out")]
    Value {
        /// The row, from 0.
        row: usize,
        /// What it is.
        what: &'static str,
        /// The number.
        value: f64,
    },
    /// Two models, or a model and a calibrator, of different classes.
    #[error("{ours} classes against {others}: only what belongs to the same model version can be put together")]
    OtherClasses {
        /// Classes of the one.
        ours: usize,
        /// Classes of the other.
        others: usize,
    },
    /// A stored calibrator or table that does not add up.
    #[error(
        "the stored {what} is damaged: {fault}; train the model again or learn it again from the rows that judged it"
    )]
    Damaged {
        /// What it is.
        what: &'static str,
        /// What is wrong.
        fault: &'static str,
    },
    /// A level of significance that is none.
    #[error("alpha is {0}: it must be above 0 and below 1")]
    Alpha(f64),
    /// A judgement's number that makes no sense.
    #[error("the rule's `{field}` is {value}: it must be {must}")]
    Rule {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// Intervals of different confidence.
    #[error("the reference has intervals at alpha {reference}, the window at {window}: compute both at the same alpha")]
    Alphas {
        /// Of the reference.
        reference: f64,
        /// Of the window.
        window: f64,
    },
    /// A metric that the reference does not have.
    #[error("the rows that judged the model give no {0}: choose a metric that the reference performance lists")]
    NoReference(&'static str),
}

pub(crate) fn check_alpha(alpha: f64) -> Result<(), Error> {
    if alpha > 0.0 && alpha < 1.0 { Ok(()) } else { Err(Error::Alpha(alpha)) }
}

pub(crate) fn check_lengths(rows: usize, others: usize, what: &'static str) -> Result<(), Error> {
    if rows == others { Ok(()) } else { Err(Error::Lengths { rows, others, what }) }
}

pub(crate) fn check_class(row: usize, class: usize, classes: usize) -> Result<(), Error> {
    if class < classes { Ok(()) } else { Err(Error::UnknownClass { row, class, classes }) }
}
