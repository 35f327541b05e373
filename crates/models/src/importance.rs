//! Which features a model relies on: how much worse it gets when one of them is shuffled (Breiman, "Random Forests", 2001;
//! Fisher, Rudin and Dominici, "All models are wrong, but many are useful", 2019).
//!
//! It is about the model, not the world: of two features that say the same, each may look useless while the other is there.

use std::fmt::Display;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::{Table, parallel, random};

/// Why there are no importances.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Error {
    /// The metric has no value for the model's predictions.
    #[error("{0}")]
    Metric(String),
    /// Nothing to shuffle, or more than can be.
    #[error("{rows} rows are not between 1 and 4294967295")]
    Rows {
        /// Rows given.
        rows: usize,
    },
    /// No repeats.
    #[error("there must be at least one repeat")]
    NoRepeats,
}

/// How features are shuffled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation {
    /// How often each feature is, at least 1.
    pub repeats: usize,
    /// Seed of the shuffles.
    pub seed: u64,
    /// Threads; one per core when not given. No importance depends on it.
    pub n_jobs: Option<usize>,
}

impl Default for Permutation {
    /// Ten times.
    fn default() -> Self {
        Self { repeats: 10, seed: 0, n_jobs: None }
    }
}

/// What shuffling a feature takes from the metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// Mean over the repeats of the metric as it is less the metric with the feature shuffled: above zero, the model needs
    /// the feature (for a metric where more is better; give an error's negative).
    pub mean: f64,
    /// Standard deviation over the repeats (of all, not of a sample, as in scikit-learn).
    pub deviation: f64,
    /// The losses themselves.
    pub losses: Vec<f64>,
}

/// The metric as it is, and each feature's importance in order of the columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importances {
    /// The metric on the records as they are.
    pub baseline: f64,
    /// One for each column.
    pub features: Vec<Importance>,
}

/// Importances for a model that gives `predict(records)`, judged by `metric(predictions)`; `records` is rows × features. Use
/// rows that were not trained on: on others, what was learnt by heart looks important.
///
/// # Errors
/// When there are no rows or repeats, or the metric has no value.
pub fn permutation_importance<E: Display>(
    records: ArrayView2<'_, f64>,
    predict: impl Fn(ArrayView2<'_, f64>) -> Vec<f64> + Sync,
    metric: impl Fn(&[f64]) -> Result<f64, E> + Sync,
    permutation: &Permutation,
) -> Result<Importances, Error> {
    let score =
        |records: ArrayView2<'_, f64>| metric(&predict(records)).map_err(|error| Error::Metric(error.to_string()));
    // Each thread keeps a copy of the records, of which one column is not itself.
    let scratch = || records.to_owned();
    let shuffled_score = |shuffled: &mut Array2<f64>, feature: usize, order: &[usize]| {
        let column = records.column(feature);
        shuffled.column_mut(feature).iter_mut().zip(order).for_each(|(cell, &row)| *cell = column[row]);
        let score = score(shuffled.view());
        shuffled.column_mut(feature).assign(&column);
        score
    };
    importances(records.dim(), permutation, || score(records), scratch, shuffled_score)
}

/// The same for typed features: `score(table)` is the metric for a table's rows, of which one column is shuffled.
///
/// # Errors
/// When there are no rows or repeats, or the metric has no value.
pub fn table_importance<E: Display>(
    table: &Table,
    score: impl Fn(&Table) -> Result<f64, E> + Sync,
    permutation: &Permutation,
) -> Result<Importances, Error> {
    let score = |table: &Table| score(table).map_err(|error| Error::Metric(error.to_string()));
    let shuffled_score = |(): &mut (), feature: usize, order: &[usize]| score(&table.permuted(feature, order));
    importances((table.rows(), table.columns().len()), permutation, || score(table), || (), shuffled_score)
}

/// `shuffled_score(scratch, feature, order)` is the metric with a feature's values in another order. A piece of work is a
/// feature and a repeat.
fn importances<S>(
    (rows, features): (usize, usize),
    permutation: &Permutation,
    score: impl Fn() -> Result<f64, Error>,
    scratch: impl Fn() -> S + Sync,
    shuffled_score: impl Fn(&mut S, usize, &[usize]) -> Result<f64, Error> + Sync,
) -> Result<Importances, Error> {
    let Permutation { repeats, seed, n_jobs } = *permutation;
    if rows == 0 || u32::try_from(rows).is_err() {
        return Err(Error::Rows { rows });
    }
    if repeats == 0 {
        return Err(Error::NoRepeats);
    }
    let baseline = score()?;
    let work = |scratch: &mut S, index: usize| {
        let mut order: Vec<usize> = (0..rows).collect();
        random::shuffle(&mut random::stream(seed, index as u64), &mut order);
        shuffled_score(scratch, index / repeats, &order).map(|score| baseline - score)
    };
    let losses = parallel::map(features * repeats, parallel::threads(n_jobs), scratch, work);
    let losses = losses.into_iter().collect::<Result<Vec<f64>, Error>>()?;
    Ok(Importances { baseline, features: losses.chunks(repeats).map(importance).collect() })
}

fn importance(losses: &[f64]) -> Importance {
    let count = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / count;
    let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / count;
    Importance { mean, deviation: variance.sqrt(), losses: losses.to_vec() }
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;
    use serde_json::json;

    use super::*;
    use crate::test_data::Uniform;
    use crate::{Algorithm, Column, Target, metrics, test_data};

    fn records() -> Array2<f64> {
        let mut uniform = Uniform(4);
        Array2::from_shape_simple_fn((500, 3), || uniform.next().unwrap())
    }

    /// 3 x0 - x1, whatever x2.
    fn linear(records: ArrayView2<'_, f64>) -> Vec<f64> {
        records.rows().into_iter().map(|row| 3.0 * row[0] - row[1]).collect()
    }

    fn importances(permutation: &Permutation) -> Importances {
        let records = records();
        let truth = linear(records.view());
        let metric = |predicted: &[f64]| metrics::mean_squared_error(&truth, predicted).map(|error| -error);
        permutation_importance(records.view(), linear, metric, permutation).unwrap()
    }

    #[test]
    fn a_linear_model_loses_twice_the_variance_of_its_term() {
        let importances = importances(&Permutation { repeats: 40, ..Permutation::default() });
        assert_eq!(importances.baseline, 0.0);
        let mean = |feature: usize| importances.features[feature].mean;
        // Shuffled, a term differs from itself by two independent draws: 2 w² / 12 for uniform numbers.
        assert!((mean(0) - 2.0 * 9.0 / 12.0).abs() < 0.1, "{}", mean(0));
        assert!((mean(1) - 2.0 / 12.0).abs() < 0.02, "{}", mean(1));
        assert_eq!((mean(2), importances.features[2].deviation), (0.0, 0.0));
        assert!(importances.features[0].deviation > 0.0);
    }

    #[test]
    fn the_number_of_threads_changes_nothing_and_the_seed_does() {
        let run = |n_jobs, seed| importances(&Permutation { repeats: 3, seed, n_jobs: Some(n_jobs) });
        assert_eq!(run(1, 5), run(7, 5));
        assert_ne!(run(1, 5), run(1, 6));
    }

    #[test]
    fn a_forest_needs_the_features_its_data_has_signal_in() {
        let dataset = test_data::interactions(1_500, 3);
        let (train, test) = dataset.split_with_ratio(0.6);
        let model = Algorithm::from_spec("random_forest", &serde_json::Map::new()).unwrap().fit(&train, 2, 1).unwrap();
        let truth = test.targets.to_vec();
        let predict =
            |records: ArrayView2<'_, f64>| model.predict_proba(records).unwrap().index_axis(Axis(1), 1).to_vec();
        let metric = |scores: &[f64]| metrics::roc_auc(&truth, 1, scores);
        let records = test.records.view();
        let importances = permutation_importance(records, predict, metric, &Permutation::default()).unwrap();
        assert!(importances.baseline > 0.75);
        let noise = importances.features[6..].iter().map(|feature| feature.mean).fold(0.0, f64::max);
        for signal in [0, 1, 5] {
            assert!(importances.features[signal].mean > 3.0 * noise.max(0.005), "{importances:?}");
        }
    }

    #[test]
    fn a_table_of_numbers_has_the_importances_of_its_records() {
        let (records, permutation) = (records(), Permutation { repeats: 3, ..Permutation::default() });
        let truth = linear(records.view());
        let metric = |predicted: &[f64]| metrics::mean_squared_error(&truth, predicted).map(|error| -error);
        let score = |table: &Table| {
            let columns = table.columns().iter().map(|column| match column {
                Column::Number(values) => values.clone(),
                _ => panic!("these are numbers"),
            });
            let columns: Vec<f64> = columns.flatten().collect();
            metric(&linear(ArrayView2::from_shape((3, 500), &columns).unwrap().t()))
        };
        let of_table = table_importance(&Table::of_numbers(records.view()), score, &permutation).unwrap();
        assert_eq!(of_table, importances(&permutation));
    }

    #[test]
    fn categories_and_texts_that_a_fusion_needs_are_important() {
        let (table, target) = test_data::mixed(240, 1);
        let (unseen, truth) = test_data::mixed(200, 2);
        let params = json!({"weights": [1, 1], "members": [
            {"algorithm": "random_forest", "params": {"n_estimators": 10, "min_samples_leaf": 5}},
            {"algorithm": "text_classifier", "params": {"analyzer": "word"}},
        ]});
        let estimator = test_data::fitted(&test_data::learner("late_fusion", &params), &table, &target);
        let Target::Classes { labels, .. } = truth else { panic!("these are classes") };
        let score = |table: &Table| -> Result<f64, String> {
            let outputs = estimator.outputs(table).map_err(|error| error.to_string())?;
            metrics::log_loss(&labels.to_vec(), outputs.view()).map(|loss| -loss).map_err(|error| error.to_string())
        };
        let importances = table_importance(&unseen, score, &Permutation::default()).unwrap();
        let [number, colour, title] = [0, 1, 2].map(|feature| importances.features[feature].mean);
        assert!(colour > 4.0 * number.abs() && title > 4.0 * number.abs(), "{number} {colour} {title}");
        assert_eq!(table_importance(&Table::default(), score, &Permutation::default()), Err(Error::Rows { rows: 0 }));
    }

    #[test]
    fn unusable_arguments_are_errors() {
        let run = |records: Array2<f64>, repeats| {
            let metric = |predicted: &[f64]| metrics::r2_score(&[1.0, 1.0], predicted);
            permutation_importance(records.view(), linear, metric, &Permutation { repeats, ..Permutation::default() })
        };
        assert_eq!(run(Array2::zeros((0, 3)), 1), Err(Error::Rows { rows: 0 }));
        assert_eq!(run(Array2::zeros((2, 3)), 0), Err(Error::NoRepeats));
        assert!(matches!(run(Array2::zeros((2, 3)), 1), Err(Error::Metric(_))));
    }
}
