//! Parameters of the linear SVM, with the names and defaults of scikit-learn's `LinearSVC` (whose `C` is called `c`).

use linfa::ParamGuard;

use super::calibration::Calibration;
use crate::{ClassWeight, Error};

/// What a row costs whose margin m (its score, with the sign of its side) is below 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// 1 - m.
    Hinge,
    /// (1 - m)².
    #[default]
    SquaredHinge,
}

/// Checked parameters of [`super::LinearSvm`].
#[derive(Clone, Debug, PartialEq)]
pub struct LinearSvmValidParams {
    pub(super) c: f64,
    pub(super) loss: Loss,
    pub(super) class_weight: Option<ClassWeight>,
    pub(super) fit_intercept: bool,
    pub(super) intercept_scaling: f64,
    pub(super) tol: f64,
    pub(super) max_iter: usize,
    pub(super) calibration: Calibration,
    pub(super) calibration_folds: usize,
    pub(super) n_classes: Option<usize>,
    pub(super) seed: u64,
    pub(super) n_jobs: Option<usize>,
}

/// Parameters of [`super::LinearSvm`].
#[derive(Clone, Debug, PartialEq)]
pub struct LinearSvmParams(LinearSvmValidParams);

impl Default for LinearSvmParams {
    fn default() -> Self {
        Self(LinearSvmValidParams {
            c: 1.0,
            loss: Loss::SquaredHinge,
            class_weight: None,
            fit_intercept: true,
            intercept_scaling: 1.0,
            tol: 1e-4,
            max_iter: 1_000,
            calibration: Calibration::Temperature,
            calibration_folds: 3,
            n_classes: None,
            seed: 0,
            n_jobs: None,
        })
    }
}

impl LinearSvmParams {
    /// What the losses are multiplied by, above 0: more fits the rows more closely.
    pub fn c(mut self, c: f64) -> Self {
        self.0.c = c;
        self
    }

    /// The cost of a row on the wrong side of its margin.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.0.loss = loss;
        self
    }

    /// How much each class counts.
    pub fn class_weight(mut self, class_weight: Option<ClassWeight>) -> Self {
        self.0.class_weight = class_weight;
        self
    }

    /// Whether scores have an intercept. It is the coefficient of a column of `intercept_scaling`, penalised as any other.
    pub fn fit_intercept(mut self, fit_intercept: bool) -> Self {
        self.0.fit_intercept = fit_intercept;
        self
    }

    /// The value of the intercept's column, above 0: the larger, the less the penalty holds the intercept back.
    pub fn intercept_scaling(mut self, intercept_scaling: f64) -> Self {
        self.0.intercept_scaling = intercept_scaling;
        self
    }

    /// The fit of a class stops when no dual variable's gradient points further than this past its bounds.
    pub fn tol(mut self, tol: f64) -> Self {
        self.0.tol = tol;
        self
    }

    /// Most passes over the rows, 1 to 1,000,000.
    pub fn max_iter(mut self, max_iter: usize) -> Self {
        self.0.max_iter = max_iter;
        self
    }

    /// How scores become probabilities.
    pub fn calibration(mut self, calibration: Calibration) -> Self {
        self.0.calibration = calibration;
        self
    }

    /// Folds whose held-out scores calibrate the probabilities, 2 to 20; 0 for no calibration. Each costs another fit.
    pub fn calibration_folds(mut self, calibration_folds: usize) -> Self {
        self.0.calibration_folds = calibration_folds;
        self
    }

    /// The number of classes; the largest label + 1 when not given.
    pub fn n_classes(mut self, n_classes: usize) -> Self {
        self.0.n_classes = Some(n_classes);
        self
    }

    /// Seed of the order in which rows are visited, and of the folds.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Threads; one per core when not given. The model does not depend on it.
    pub fn n_jobs(mut self, n_jobs: Option<usize>) -> Self {
        self.0.n_jobs = n_jobs;
        self
    }
}

impl ParamGuard for LinearSvmParams {
    type Checked = LinearSvmValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&LinearSvmValidParams, Error> {
        let p = &self.0;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let folds = p.calibration_folds;
        let checks = [
            ("C", "above 0", p.c.to_string(), positive(p.c)),
            (
                "class_weight",
                "0 or more",
                format!("{:?}", p.class_weight),
                p.class_weight.as_ref().is_none_or(ClassWeight::is_valid),
            ),
            ("intercept_scaling", "above 0", p.intercept_scaling.to_string(), positive(p.intercept_scaling)),
            ("tol", "above 0", p.tol.to_string(), positive(p.tol)),
            ("max_iter", "between 1 and 1000000", p.max_iter.to_string(), (1..=1_000_000).contains(&p.max_iter)),
            ("calibration_folds", "0 or between 2 and 20", folds.to_string(), folds == 0 || (2..=20).contains(&folds)),
        ];
        match checks.into_iter().find(|(.., valid)| !valid) {
            Some((name, expected, got, _)) => Err(Error::Parameter { name, expected, got }),
            None => Ok(p),
        }
    }

    fn check(self) -> Result<LinearSvmValidParams, Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}
