//! Parameters of logistic regression, with the names and, besides `max_iter`, the defaults of scikit-learn's
//! `LogisticRegression` (whose `C` is called `c`). The intercept is always fitted and never penalised.

use linfa::ParamGuard;

use crate::{ClassWeight, Error, Imputation};

/// Checked parameters of [`super::LogisticRegression`].
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegressionValidParams {
    pub(super) c: f64,
    pub(super) class_weight: Option<ClassWeight>,
    pub(super) imputation: Imputation,
    pub(super) standardize: bool,
    pub(super) tol: f64,
    pub(super) max_iter: usize,
    pub(super) n_classes: Option<usize>,
    pub(super) n_jobs: Option<usize>,
}

/// Parameters of [`super::LogisticRegression`].
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegressionParams(LogisticRegressionValidParams);

impl Default for LogisticRegressionParams {
    fn default() -> Self {
        Self(LogisticRegressionValidParams {
            c: 1.0,
            class_weight: None,
            imputation: Imputation::Mean,
            standardize: false,
            tol: 1e-4,
            max_iter: 1_000,
            n_classes: None,
            n_jobs: None,
        })
    }
}

impl LogisticRegressionParams {
    /// What the losses are multiplied by against the penalty, above 0: more fits the rows more closely.
    pub fn c(mut self, c: f64) -> Self {
        self.0.c = c;
        self
    }

    /// How much each class counts.
    pub fn class_weight(mut self, class_weight: Option<ClassWeight>) -> Self {
        self.0.class_weight = class_weight;
        self
    }

    /// What takes the place of a missing value. Sparse rows have none.
    pub fn imputation(mut self, imputation: Imputation) -> Self {
        self.0.imputation = imputation;
        self
    }

    /// Whether columns are brought to unit variance first, so that the penalty falls on all alike. Not for sparse rows,
    /// whose zeros it would fill.
    pub fn standardize(mut self, standardize: bool) -> Self {
        self.0.standardize = standardize;
        self
    }

    /// The fit stops when no derivative of the mean loss is larger.
    pub fn tol(mut self, tol: f64) -> Self {
        self.0.tol = tol;
        self
    }

    /// Most steps, 1 to 1,000,000.
    pub fn max_iter(mut self, max_iter: usize) -> Self {
        self.0.max_iter = max_iter;
        self
    }

    /// The number of classes; the largest label + 1 when not given.
    pub fn n_classes(mut self, n_classes: usize) -> Self {
        self.0.n_classes = Some(n_classes);
        self
    }

    /// Threads; one per core when not given. The model does not depend on it.
    pub fn n_jobs(mut self, n_jobs: Option<usize>) -> Self {
        self.0.n_jobs = n_jobs;
        self
    }
}

impl ParamGuard for LogisticRegressionParams {
    type Checked = LogisticRegressionValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&LogisticRegressionValidParams, Error> {
        let p = &self.0;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let checks = [
            ("C", "above 0", p.c.to_string(), positive(p.c)),
            (
                "class_weight",
                "0 or more",
                format!("{:?}", p.class_weight),
                p.class_weight.as_ref().is_none_or(ClassWeight::is_valid),
            ),
            ("tol", "above 0", p.tol.to_string(), positive(p.tol)),
            ("max_iter", "between 1 and 1000000", p.max_iter.to_string(), (1..=1_000_000).contains(&p.max_iter)),
        ];
        match checks.into_iter().find(|(.., valid)| !valid) {
            Some((name, expected, got, _)) => Err(Error::Parameter { name, expected, got }),
            None => Ok(p),
        }
    }

    fn check(self) -> Result<LogisticRegressionValidParams, Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}
