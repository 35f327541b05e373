//! What a model goes by.

use driftmill_models::Estimator;
use driftmill_models::importance::{Permutation, table_importance};
use driftmill_models::split::nested_sample;
use driftmill_schemas::pipeline::Pipeline;
use serde::Serialize;

use crate::fit::{Fault, answers_of, metric};
use crate::{Error, Rows};

/// Rows whose contributions are averaged at most: more cost time and say the same.
const MOST_EXPLAINED: usize = 1_000;

/// What a feature is to a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureImportance {
    /// Its name.
    pub feature: String,
    /// What the pipeline's metric loses when the feature is shuffled: the mean over ten shuffles (of errors: what they grow by).
    pub permutation: f64,
    /// Standard deviation over the shuffles.
    pub deviation: f64,
    /// Mean of the absolute Shapley values over rows and outputs, in the unit of the model's scores (TreeSHAP); of trees alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shap: Option<f64>,
}

/// What `model` goes by on these rows, which it should not have learned from; the most important feature first.
///
/// # Errors
/// When there are no rows, or the metric has no value for them.
pub fn importances(model: &Estimator, rows: &Rows, pipeline: &Pipeline) -> Result<Vec<FeatureImportance>, Error> {
    let failed = |error: Fault| Error::Fit { pipeline: pipeline.name.clone(), error };
    let sign = if pipeline.promotion.metric.is_of_values() { -1.0 } else { 1.0 };
    let score = |table: &driftmill_models::Table| -> Result<f64, Fault> {
        Ok(sign * metric(pipeline, &rows.target, &answers_of(model, table)?)?)
    };
    let permutation = Permutation { seed: pipeline.training.seed, ..Permutation::default() };
    let permuted = table_importance(&rows.table, score, &permutation);
    let permuted = permuted.map_err(|error| failed(Fault::Unfit(format!("no importances: {error}"))))?;
    let explained = nested_sample(rows.len(), rows.len().min(MOST_EXPLAINED), pipeline.training.seed);
    let explained = explained.map_err(|error| failed(Fault::Unfit(error.to_string())))?;
    let shap = model.mean_contributions(&rows.table.select(&explained)).map_err(|error| failed(error.into()))?;
    let of = |(index, importance): (usize, driftmill_models::importance::Importance)| FeatureImportance {
        feature: pipeline.features[index].name.clone(),
        permutation: importance.mean,
        deviation: importance.deviation,
        shap: shap.as_ref().map(|shap| shap[index]),
    };
    let mut found: Vec<FeatureImportance> = permuted.features.into_iter().enumerate().map(of).collect();
    found.sort_by(|a, b| b.permutation.total_cmp(&a.permutation));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use driftmill_models::{Column, Learner, Table};

    use super::*;
    use crate::gates::testing;
    use crate::rows::kinds;

    #[test]
    fn what_tells_the_class_is_what_a_forest_goes_by() {
        let mut pipeline = testing::pipeline();
        let noise = driftmill_schemas::pipeline::Feature { name: "noise".to_owned(), ..Default::default() };
        pipeline.features.insert(0, noise);
        let mut rows = testing::rows((0..200).map(|i| f64::from(i * 37 % 101)).collect(), |x| usize::from(x > 50.0));
        let noise = Column::Number((0..200).map(|i| f64::from(i * 7919 % 83)).collect());
        rows.table = Table::new(200, vec![noise, rows.table.columns()[0].clone()]).unwrap();
        let params = serde_json::from_str(r#"{"n_estimators": 10}"#).unwrap();
        let forest = Learner::from_spec("random_forest", &params, &kinds(&pipeline)).unwrap();
        let model = forest.fit(&rows.table, &rows.target, 1, &mut |_| ControlFlow::Continue(())).unwrap();
        let found = importances(&model, &rows, &pipeline).unwrap();
        assert_eq!(found[0].feature, "x");
        assert!(found[0].permutation > 0.2 && found[1].permutation < 0.05, "{found:?}");
        assert!(found[0].shap > found[1].shap, "{found:?}");
        let line = Learner::from_spec("logistic_regression", &Default::default(), &kinds(&pipeline)).unwrap();
        let model = line.fit(&rows.table, &rows.target, 1, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(importances(&model, &rows, &pipeline).unwrap()[0].shap, None);
    }
}
