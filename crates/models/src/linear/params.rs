//! Parameters of linear regression, with the names and defaults of scikit-learn's `LinearRegression`, `Ridge`, `Lasso`
//! and `ElasticNet`. The intercept is always fitted and never penalised.

use linfa::ParamGuard;

use crate::Error;
use crate::preparation::Imputation;

/// What is added to the squares to keep the coefficients small. n is the number of rows, or the sum of their weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Penalty {
    /// |y - Xb|².
    None,
    /// |y - Xb|² + alpha |b|².
    Ridge { alpha: f64 },
    /// |y - Xb|² / 2n + alpha (l1_ratio |b|₁ + (1 - l1_ratio) |b|² / 2).
    ElasticNet { alpha: f64, l1_ratio: f64 },
}

/// Checked parameters of [`super::LinearRegression`].
#[derive(Clone, Debug, PartialEq)]
pub struct LinearRegressionValidParams {
    pub(super) penalty: Penalty,
    pub(super) imputation: Imputation,
    pub(super) standardize: bool,
    pub(super) max_iter: usize,
    pub(super) tol: f64,
}

/// Parameters of [`super::LinearRegression`].
#[derive(Clone, Debug, PartialEq)]
pub struct LinearRegressionParams(LinearRegressionValidParams);

impl LinearRegressionParams {
    pub(super) fn new(penalty: Penalty) -> Self {
        let (imputation, standardize) = (Imputation::Mean, false);
        Self(LinearRegressionValidParams { penalty, imputation, standardize, max_iter: 1_000, tol: 1e-4 })
    }

    /// Strength of the penalty, 0 or more. Ordinary least squares has none, and ignores it.
    pub fn alpha(mut self, strength: f64) -> Self {
        match &mut self.0.penalty {
            Penalty::None => {}
            Penalty::Ridge { alpha } | Penalty::ElasticNet { alpha, .. } => *alpha = strength,
        }
        self
    }

    /// The share of the elastic net's penalty that is on absolute values, 0 to 1. The others ignore it.
    pub fn l1_ratio(mut self, share: f64) -> Self {
        if let Penalty::ElasticNet { l1_ratio, .. } = &mut self.0.penalty {
            *l1_ratio = share;
        }
        self
    }

    /// What takes the place of a missing value.
    pub fn imputation(mut self, imputation: Imputation) -> Self {
        self.0.imputation = imputation;
        self
    }

    /// Whether columns are brought to unit variance first, so that a penalty falls on all alike.
    pub fn standardize(mut self, standardize: bool) -> Self {
        self.0.standardize = standardize;
        self
    }

    /// Most rounds of the elastic net, 1 to 1,000,000.
    pub fn max_iter(mut self, max_iter: usize) -> Self {
        self.0.max_iter = max_iter;
        self
    }

    /// The elastic net stops when its duality gap is below `tol` × |y|².
    pub fn tol(mut self, tol: f64) -> Self {
        self.0.tol = tol;
        self
    }
}

impl ParamGuard for LinearRegressionParams {
    type Checked = LinearRegressionValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&LinearRegressionValidParams, Error> {
        let p = &self.0;
        let (alpha, l1_ratio) = match p.penalty {
            Penalty::None => (0.0, 0.0),
            Penalty::Ridge { alpha } => (alpha, 0.0),
            Penalty::ElasticNet { alpha, l1_ratio } => (alpha, l1_ratio),
        };
        let amount = |value: f64| value >= 0.0 && value.is_finite();
        let checks = [
            ("alpha", "0 or more", alpha.to_string(), amount(alpha)),
            ("l1_ratio", "between 0 and 1", l1_ratio.to_string(), (0.0..=1.0).contains(&l1_ratio)),
            ("max_iter", "between 1 and 1000000", p.max_iter.to_string(), (1..=1_000_000).contains(&p.max_iter)),
            ("tol", "0 or more", p.tol.to_string(), amount(p.tol)),
        ];
        match checks.into_iter().find(|(.., valid)| !valid) {
            Some((name, expected, got, _)) => Err(Error::Parameter { name, expected, got }),
            None => Ok(p),
        }
    }

    fn check(self) -> Result<LinearRegressionValidParams, Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}
