//! Linear regression: ordinary least squares, ridge, lasso and elastic net.
//!
//! Own solvers, small as they are: linfa's least squares (`linfa-linear`) refuses columns that depend on each other and
//! has no ridge, its elastic net (`linfa-elasticnet`) is only right for columns already centred, neither takes weights,
//! and together they would bring an optimisation framework along.

mod coordinate_descent;
mod least_squares;
mod params;
#[cfg(test)]
mod tests;

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use self::coordinate_descent::ElasticNet;
use self::least_squares::Triangle;
use self::params::Penalty;
pub use self::params::{LinearRegressionParams, LinearRegressionValidParams};
use crate::predictor::{MAX_FEATURES, Predictor, Task, predict_inplace};
use crate::preparation::Preparation;
use crate::sums::mean;
use crate::{Error, weights};

/// The most columns of least squares and ridge: the triangle of their products takes 8 × this² / 2 bytes, twice.
const MAX_DENSE: usize = 4_096;

/// A fitted linear model: a target is `mean` + Σ coefficient × prepared value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearRegression {
    preparation: Preparation,
    /// Of the prepared values.
    coefficients: Vec<f64>,
    /// The target of a row whose prepared values are all 0.
    mean: f64,
    residual_std: Option<f64>,
    degrees_of_freedom: f64,
    converged: bool,
}

impl LinearRegression {
    /// Ordinary least squares. Of columns that depend on each other, the shortest solution is taken.
    pub fn params() -> LinearRegressionParams {
        LinearRegressionParams::new(Penalty::None)
    }

    /// Least squares with a penalty on squared coefficients, `alpha` 1.
    pub fn ridge() -> LinearRegressionParams {
        LinearRegressionParams::new(Penalty::Ridge { alpha: 1.0 })
    }

    /// Least squares with a penalty on absolute coefficients, `alpha` 1. Some coefficients become 0.
    pub fn lasso() -> LinearRegressionParams {
        LinearRegressionParams::new(Penalty::ElasticNet { alpha: 1.0, l1_ratio: 1.0 })
    }

    /// Least squares with both penalties, `alpha` 1 and `l1_ratio` 0.5.
    pub fn elastic_net() -> LinearRegressionParams {
        LinearRegressionParams::new(Penalty::ElasticNet { alpha: 1.0, l1_ratio: 0.5 })
    }

    /// Not checked. Of its degrees of freedom is known how many coefficients are not 0.
    pub(crate) fn from_parts(preparation: Preparation, coefficients: Vec<f64>, mean: f64) -> Self {
        let degrees_of_freedom = coefficients.iter().filter(|b| **b != 0.0).count() as f64;
        Self { preparation, coefficients, mean, residual_std: None, degrees_of_freedom, converged: true }
    }

    /// The preparation, the coefficients of what it makes, and the target where all of that is 0.
    pub(crate) fn parts(&self) -> (&Preparation, &[f64], f64) {
        (&self.preparation, &self.coefficients, self.mean)
    }

    /// Number of features a row must have.
    pub fn n_features(&self) -> usize {
        self.coefficients.len()
    }

    /// The target of a row; `NaN` is a missing value.
    ///
    /// # Errors
    /// [`Error::FeatureCount`].
    pub fn predict(&self, row: &[f64]) -> Result<f64, Error> {
        self.check_width(row.len())?;
        Ok(self.answer(row.iter()))
    }

    /// The target of each row, the same bits as row by row.
    ///
    /// # Errors
    /// [`Error::FeatureCount`].
    pub fn predict_batch(&self, records: ArrayView2<'_, f64>) -> Result<Array1<f64>, Error> {
        self.check_width(records.ncols())?;
        Ok(records.rows().into_iter().map(|row| self.answer(row)).collect())
    }

    /// Change of the target with each feature, in the feature's own units; 0 for a constant one.
    pub fn coefficients(&self) -> Vec<f64> {
        self.coefficients.iter().zip(self.preparation.scale()).map(|(b, scale)| b * scale).collect()
    }

    /// The target where all features are 0.
    pub fn intercept(&self) -> f64 {
        let shifted: f64 = self.coefficients().iter().zip(self.preparation.shift()).map(|(b, shift)| b * shift).sum();
        self.mean - shifted
    }

    /// Residual standard error: how far targets are from the line, in their units, as estimated from the training rows:
    /// √(RSS / (n - 1 - [`Self::degrees_of_freedom`])). Weights are taken relative to their mean. `None` when there are
    /// no more rows than parameters.
    pub fn residual_std(&self) -> Option<f64> {
        self.residual_std
    }

    /// Parameters the fit had at its disposal besides the intercept: the rank of least squares, the trace of ridge's hat
    /// matrix, the number of the elastic net's coefficients that are not 0 (Zou, Hastie and Tibshirani, "On the degrees of
    /// freedom of the lasso", Annals of Statistics 35, 2007; exact for the lasso, an upper bound with a squared part).
    pub fn degrees_of_freedom(&self) -> f64 {
        self.degrees_of_freedom
    }

    /// Whether the elastic net reached its tolerance; always so for the others. More `max_iter`, or `standardize`, helps.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// Whether a decoded model is safe to predict with.
    ///
    /// # Errors
    /// The text says what is not.
    pub fn validate(&self) -> Result<(), String> {
        if self.coefficients.len() > MAX_FEATURES {
            return Err("the number of features is out of range".to_owned());
        }
        self.preparation.validate(self.coefficients.len())?;
        let numbers = self.coefficients.iter().chain([&self.mean, &self.degrees_of_freedom]).chain(&self.residual_std);
        if numbers.into_iter().any(|number| !number.is_finite()) {
            return Err("a coefficient is not finite".to_owned());
        }
        if self.degrees_of_freedom < 0.0 || self.residual_std.is_some_and(|std| std < 0.0) {
            return Err("the residuals' spread is negative".to_owned());
        }
        Ok(())
    }

    fn answer<'a>(&'a self, row: impl IntoIterator<Item = &'a f64>) -> f64 {
        self.mean + self.preparation.row(row).zip(&self.coefficients).fold(0.0, |sum, (value, b)| sum + value * b)
    }

    fn check_width(&self, got: usize) -> Result<(), Error> {
        let expected = self.n_features();
        if got == expected { Ok(()) } else { Err(Error::FeatureCount { expected, got }) }
    }
}

impl Predictor for LinearRegression {
    fn n_features(&self) -> usize {
        self.coefficients.len()
    }

    fn task(&self) -> Task {
        Task::Regression
    }

    fn write_outputs(&self, row: &[f64], out: &mut [f64]) {
        out[0] = self.answer(row);
    }

    fn write_outputs_block(&self, rows: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        self.preparation.add_products(rows, &self.coefficients, out);
        out.iter_mut().for_each(|sum| *sum += self.mean);
    }

    fn split_counts(&self) -> Vec<u64> {
        vec![0; self.coefficients.len()]
    }

    fn validate(&self) -> Result<(), String> {
        LinearRegression::validate(self)
    }
}

predict_inplace!(LinearRegression);

/// Weights of the dataset count; a row of weight 2 is as good as two rows, except for the residual standard error.
impl Fit<Array2<f64>, Array1<f64>, Error> for LinearRegressionValidParams {
    type Object = LinearRegression;

    fn fit(&self, dataset: &DatasetBase<Array2<f64>, Array1<f64>>) -> Result<LinearRegression, Error> {
        let weights = check_training(dataset)?;
        let records = dataset.records.view();
        let targets = dataset.targets.to_vec();
        let mean = mean(&targets, &weights);
        let preparation = Preparation::fit(records, &weights, self.imputation, self.standardize);
        let total: f64 = weights.iter().sum();
        let least_squares = |alpha| least_squares(&preparation, records, &targets, mean, &weights, alpha);
        let Solved { coefficients, degrees_of_freedom, converged } = match self.penalty {
            Penalty::None => least_squares(0.0)?,
            Penalty::Ridge { alpha } => least_squares(alpha)?,
            // Without a part on absolute values the gap never closes, and there is a solution without iterations.
            Penalty::ElasticNet { alpha, l1_ratio } if alpha * l1_ratio == 0.0 => least_squares(alpha * total)?,
            Penalty::ElasticNet { alpha, l1_ratio } => {
                let (l1, l2) = (alpha * l1_ratio * total, alpha * (1.0 - l1_ratio) * total);
                let (columns, target) = weighted_columns(&preparation, records, &targets, mean, &weights);
                let net = ElasticNet { columns: &columns, target: &target, l1, l2 };
                let (coefficients, converged) = net.solve(self.max_iter, self.tol);
                let degrees_of_freedom = coefficients.iter().filter(|b| **b != 0.0).count() as f64;
                Solved { coefficients, degrees_of_freedom, converged }
            }
        };
        let mut model =
            LinearRegression { preparation, coefficients, mean, residual_std: None, degrees_of_freedom, converged };
        model.residual_std = residual_std(&model, records, &targets, &weights);
        if model.coefficients.iter().chain(&model.residual_std).any(|number| !number.is_finite()) {
            return Err(Error::Overflow);
        }
        Ok(model)
    }
}

struct Solved {
    coefficients: Vec<f64>,
    degrees_of_freedom: f64,
    converged: bool,
}

/// Ridge for an `alpha` above 0: as many rows more, of √alpha times a unit vector each.
fn least_squares(
    preparation: &Preparation,
    records: ArrayView2<'_, f64>,
    targets: &[f64],
    mean: f64,
    weights: &[f64],
    alpha: f64,
) -> Result<Solved, Error> {
    let width = preparation.width();
    if width > MAX_DENSE {
        return Err(Error::TooMany { what: "features", got: width, limit: MAX_DENSE });
    }
    let mut triangle = Triangle::new(width);
    for ((row, target), weight) in records.rows().into_iter().zip(targets).zip(weights) {
        let root = weight.sqrt();
        triangle.push(preparation.row(row).map(|value| root * value), root * (target - mean));
    }
    if alpha > 0.0 {
        let root = alpha.sqrt();
        for unit in 0..width {
            triangle.push((0..width).map(|column| if column == unit { root } else { 0.0 }), 0.0);
        }
    }
    let solution = triangle.solve();
    let degrees_of_freedom = (solution.rank as f64 - alpha * solution.inverse_trace).max(0.0);
    let degrees_of_freedom = if alpha > 0.0 { degrees_of_freedom } else { solution.rank as f64 };
    Ok(Solved { coefficients: solution.coefficients, degrees_of_freedom, converged: true })
}

/// Prepared columns, one after another, and the target less its mean, each row times the root of its weight.
fn weighted_columns(
    preparation: &Preparation,
    records: ArrayView2<'_, f64>,
    targets: &[f64],
    mean: f64,
    weights: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let rows = targets.len();
    let mut columns = vec![0.0; rows * preparation.width()];
    for (index, row) in records.rows().into_iter().enumerate() {
        let root = weights[index].sqrt();
        preparation.row(row).enumerate().for_each(|(column, value)| columns[column * rows + index] = root * value);
    }
    (columns, targets.iter().zip(weights).map(|(target, weight)| weight.sqrt() * (target - mean)).collect())
}

fn residual_std(
    model: &LinearRegression,
    records: ArrayView2<'_, f64>,
    targets: &[f64],
    weights: &[f64],
) -> Option<f64> {
    let counting = weights.iter().filter(|weight| **weight > 0.0).count() as f64;
    let left = counting - 1.0 - model.degrees_of_freedom;
    let squares: f64 = (records.rows().into_iter().zip(targets).zip(weights))
        .map(|((row, target), weight)| weight * (target - model.answer(row)).powi(2))
        .sum();
    let mean_weight = weights.iter().sum::<f64>() / counting;
    (left > 1e-9).then(|| (squares / mean_weight / left).sqrt())
}

/// Checks a training set and returns the weights of its rows.
fn check_training(dataset: &DatasetBase<Array2<f64>, Array1<f64>>) -> Result<Vec<f64>, Error> {
    let (rows, features) = dataset.records.dim();
    let targets = &dataset.targets;
    if rows == 0 {
        return Err(Error::NoRows);
    }
    if features == 0 {
        return Err(Error::NoFeatures);
    }
    if features > MAX_FEATURES {
        return Err(Error::TooMany { what: "features", got: features, limit: MAX_FEATURES });
    }
    if rows != targets.len() {
        return Err(Error::LengthMismatch { rows, targets: targets.len() });
    }
    if let Some(row) = targets.iter().position(|target| !target.is_finite()) {
        return Err(Error::TargetNotFinite { row });
    }
    weights::of_rows(&dataset.weights.to_vec(), rows)
}
