//! Weighted sums of columns as weighted sums of features.

use driftmill_models::parts::WeightedSums;

use super::columns::Column;
use super::scores::Output;
use crate::Error;

/// Each output as one sum, what was done to the columns folded into its coefficients.
pub(super) fn sums(
    columns: &[Column],
    weights: &[Vec<f64>],
    outputs: &[Output],
    n_features: usize,
) -> Result<WeightedSums, Error> {
    let mut sums = WeightedSums {
        fill: vec![0.0; n_features],
        shift: vec![0.0; n_features],
        scale: vec![0.0; n_features],
        coefficients: vec![vec![0.0; n_features]; outputs.len()],
        intercepts: outputs.iter().map(|output| output.summand).collect(),
    };
    for (place, column) in columns.iter().enumerate() {
        let (factor, summand, fill) = column.affine();
        let feature = column.feature;
        // What is 0 after all steps says least, where the graph itself has no answer.
        let nothing = if factor == 0.0 { 0.0 } else { -summand / factor };
        let fill = fill.unwrap_or(nothing);
        if sums.scale[feature] != 0.0 && sums.fill[feature] != fill {
            let text = "a feature is used twice and its missing values are filled in differently";
            return Err(Error::Unsupported(text.to_owned()));
        }
        (sums.fill[feature], sums.scale[feature]) = (fill, 1.0);
        let (coefficients, intercepts) = (&mut sums.coefficients, &mut sums.intercepts);
        for ((output, coefficients), intercept) in outputs.iter().zip(coefficients).zip(intercepts) {
            let weight: f64 = output.terms.iter().map(|(sum, weight)| weight * weights[*sum][place]).sum();
            coefficients[feature] += weight * factor;
            *intercept += weight * summand;
        }
    }
    Ok(sums)
}
