//! What can be wrong with parameters, training data or a row to predict.

/// An error of fitting or predicting. Each one is the caller's to mend, and retrying without a change fails again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to learn from.
    #[error("the training data has no rows; check the snapshot's filter and the split")]
    NoRows,
    /// There are rows but no columns.
    #[error("the training data has no features; declare at least one")]
    NoFeatures,
    /// More rows than the algorithm can index.
    #[error("{rows} rows are more than the {limit} this algorithm can take; sample the snapshot")]
    TooManyRows {
        /// Rows given.
        rows: usize,
        /// The most it takes.
        limit: usize,
    },
    /// More classes or features than a model may have.
    #[error("{got} {what} are more than the {limit} a model may have")]
    TooMany {
        /// `classes` or `features`.
        what: &'static str,
        /// How many were given.
        got: usize,
        /// The most it takes.
        limit: usize,
    },
    /// Parts that do not make a model.
    #[error("the model's parts do not fit: {0}")]
    Parts(String),
    /// Records and targets differ in length.
    #[error("{rows} rows but {targets} labels; every row needs one label")]
    LengthMismatch {
        /// Rows of the records.
        rows: usize,
        /// Labels given.
        targets: usize,
    },
    /// A label that is not one of the declared classes.
    #[error("row {row} has class {label}, but the classes are 0 to {}", n_classes.saturating_sub(1))]
    LabelOutOfRange {
        /// The first such row.
        row: usize,
        /// Its label.
        label: usize,
        /// Number of declared classes.
        n_classes: usize,
    },
    /// A target of a regression that is not a number, or so large that sums of squares overflow.
    #[error("row {row} has the target {target}; every target must be a number between -1e60 and 1e60")]
    TargetOutOfRange {
        /// The first such row.
        row: usize,
        /// Its target.
        target: f64,
    },
    /// A sample weight that cannot weigh.
    #[error("row {row} has weight {weight}; a weight must be a number between 0 and 1e30")]
    Weight {
        /// The first such row.
        row: usize,
        /// Its weight.
        weight: f64,
    },
    /// Records and weights differ in length.
    #[error("{rows} rows but {weights} weights; give every row a weight, or none")]
    WeightCount {
        /// Rows of the records.
        rows: usize,
        /// Weights given.
        weights: usize,
    },
    /// Rows that all weigh nothing.
    #[error("every row has weight 0, so there is nothing to learn from")]
    NoWeight,
    /// The algorithm cannot learn this task.
    #[error("`{algorithm}` has no {task}; choose another algorithm")]
    TaskUnsupported {
        /// Name of the algorithm.
        algorithm: &'static str,
        /// `classification` or `regression`.
        task: &'static str,
    },
    /// A model of one task was asked for what only the other has.
    #[error("the model is a {task}, which has no {asked}")]
    WrongTask {
        /// What was asked for, in the plural.
        asked: &'static str,
        /// The model's task.
        task: &'static str,
    },
    /// Contributions of features are known for trees only.
    #[error("contributions of features are not known for `{algorithm}`; they are for tree models")]
    Unexplained {
        /// Name of the algorithm.
        algorithm: &'static str,
    },
    /// A parameter that does not go with another, or with the data.
    #[error("parameter `{parameter}` cannot be used with {with}")]
    Conflict {
        /// The parameter.
        parameter: &'static str,
        /// What it does not go with.
        with: &'static str,
    },
    /// A parameter names a feature that the rows do not have.
    #[error("parameter `{parameter}` names feature {feature}, but the rows have {n_features}")]
    FeatureIndex {
        /// The parameter.
        parameter: &'static str,
        /// The feature it names, from 0.
        feature: usize,
        /// Features of the rows.
        n_features: usize,
    },
    /// A category that is not a code.
    #[error("row {row} has {value} in the categorical feature {feature}; a category is a whole number up to 255")]
    Category {
        /// The first such row.
        row: usize,
        /// The feature.
        feature: usize,
        /// Its value.
        value: f64,
    },
    /// A model that the rows cannot continue.
    #[error("the model cannot be continued, for it has {what}; start anew or give it the same")]
    Continuation {
        /// What differs.
        what: &'static str,
    },
    /// The dataset carries weights.
    #[error("sample weights are not supported by `{algorithm}`; remove them from the dataset")]
    WeightsUnsupported {
        /// Name of the algorithm.
        algorithm: &'static str,
    },
    /// Weights of rows that cannot be used.
    #[error("{rows} rows need as many weights of 0 or more, not all of them 0; mend the dataset's weights")]
    Weights {
        /// Rows of the records.
        rows: usize,
    },
    /// A target of regression that is not a number.
    #[error("the target of row {row} is not a finite number; filter such rows out")]
    TargetNotFinite {
        /// The first such row.
        row: usize,
    },
    /// A sparse row that cannot be.
    #[error("row {row}: column {column} does not exist, does not follow the one before it, or has no finite value")]
    SparseRow {
        /// Number of the row.
        row: usize,
        /// The column.
        column: u32,
    },
    /// Matrices that cannot stand side by side.
    #[error("{left} rows cannot stand beside {right}; make both of the same records")]
    RowCount {
        /// Rows of the left one.
        left: usize,
        /// Rows of the right one.
        right: usize,
    },
    /// Texts without terms to learn.
    #[error("no term is left to learn: the texts are empty, or `min_df` and `max_df` exclude every term")]
    NoTerms,
    /// Sums that leave the range of numbers.
    #[error("the features' values are too large to compute with; scale them down or set `standardize`")]
    Overflow,
    /// A parameter out of its range.
    #[error("parameter `{name}` must be {expected}, got {got}")]
    Parameter {
        /// Its name, scikit-learn's where there is one.
        name: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// A row of another width than the training data's.
    #[error("the model was trained on {expected} features, got {got}")]
    FeatureCount {
        /// Features of the model.
        expected: usize,
        /// Features given.
        got: usize,
    },
    /// A column of a table that is longer or shorter than the table.
    #[error(
        "column {column} has {got} rows, and the table has {expected}; every column needs a value or a gap for each row"
    )]
    ColumnRows {
        /// The column, from 0.
        column: usize,
        /// Rows of the table.
        expected: usize,
        /// Rows of the column.
        got: usize,
    },
    /// An image of another size than its column's.
    #[error(
        "the image in row {row} of column {column} has {got} bytes; {side} × {side} pixels of red, green and blue are \
         {expected}"
    )]
    Pixels {
        /// The column, from 0.
        column: usize,
        /// The first such row.
        row: usize,
        /// Pixels of a side.
        side: usize,
        /// Bytes of such an image.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// A column of another kind than the feature's.
    #[error("feature {feature} must be a column of {expected}, got one of {got}")]
    ColumnKind {
        /// The feature, from 0.
        feature: usize,
        /// What it was declared as.
        expected: crate::FeatureKind,
        /// What the column holds.
        got: String,
    },
    /// A member of a fusion that cannot be fitted.
    #[error("member {number} (`{algorithm}`) of the fusion: {source}")]
    Member {
        /// Its place, from 1.
        number: usize,
        /// Its algorithm.
        algorithm: &'static str,
        /// Why.
        source: Box<Error>,
    },
    /// A buffer that does not fit the outputs.
    #[error("the model has {expected} outputs, the output buffer has {got} places")]
    OutputLength {
        /// Outputs of the model: its classes, or one.
        expected: usize,
        /// Length of the buffer.
        got: usize,
    },
    /// Rows that cannot be held out for early stopping.
    #[error(transparent)]
    Split(#[from] crate::split::Error),
    /// An image, or a network of images.
    #[error("{0}")]
    Image(String),
    /// A series that cannot be forecast.
    #[error("{0}")]
    Forecast(String),
    /// An error of linfa itself.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}
