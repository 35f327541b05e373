//! Datasets for the tests.

use std::ops::ControlFlow;
use std::sync::Arc;

use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::{Array1, Array2, Ix1};
use serde_json::{Value, json};

use crate::boosting::GradientBoosting;
use crate::constant::Constant;
use crate::forest::RandomForest;
use crate::linear::LinearRegression;
use crate::linfa_tree::DecisionTree;
use crate::logistic::LogisticRegression;
use crate::{Column, Estimator, FeatureKind, Learner, Model, Table, Target, random};

/// Uniform numbers in [0, 1), from a generator small enough to be written in any language for comparison
/// (Knuth's MMIX linear congruence, upper 53 bits).
pub(crate) struct Uniform(pub u64);

impl Iterator for Uniform {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Ten uniform features; the class depends on products and thresholds of some, blurred by noise. Row after row, each
/// row's noise last.
pub(crate) fn interactions(rows: usize, seed: u64) -> Dataset<f64, usize, Ix1> {
    let mut uniform = Uniform(seed);
    let mut records = Array2::zeros((rows, 10));
    let mut targets = Array1::zeros(rows);
    for (mut row, target) in records.rows_mut().into_iter().zip(targets.iter_mut()) {
        row.iter_mut().zip(&mut uniform).for_each(|(cell, value)| *cell = 2.0 * value - 1.0);
        let noise = uniform.next().unwrap() - 0.5;
        let step = if row[4] > 0.3 { 0.5 } else { -0.5 };
        let signal = 2.0 * row[0] * row[1] + row[2] * row[2] - 0.33 + step * row[3] + 0.5 * row[5];
        *target = usize::from(signal + noise > 0.0);
    }
    Dataset::new(records, targets)
}

/// Four features: two with signal, gaps and repeated values, one of noise, one constant.
pub(crate) fn gappy(rows: usize, n_classes: usize) -> Dataset<f64, usize, Ix1> {
    let mut rng = random::stream(11, 0);
    let mut draw = |bound: u32| random::below(&mut rng, bound);
    let mut records = Array2::zeros((rows, 4));
    let targets = Array1::from_shape_fn(rows, |row| row % n_classes);
    for (mut row, &label) in records.rows_mut().into_iter().zip(&targets) {
        row[0] = if draw(5) == 0 { f64::NAN } else { f64::from(draw(6)) + label as f64 };
        row[1] = if draw(9) == 0 && label == 0 { f64::NAN } else { f64::from(draw(1_000)) * (1.0 + label as f64) };
        row[2] = f64::from(draw(50));
        row[3] = 7.0;
    }
    Dataset::new(records, targets)
}

/// Six features, the third a category of twelve without an order, the fourth with gaps; the value is a curve of some of
/// them and a level per category, blurred by noise. Row after row, each row's noise last.
pub(crate) fn curve(rows: usize, seed: u64) -> Dataset<f64, f64, Ix1> {
    let mut uniform = Uniform(seed);
    let mut records = Array2::zeros((rows, 6));
    let mut targets = Array1::zeros(rows);
    for (mut row, target) in records.rows_mut().into_iter().zip(targets.iter_mut()) {
        row.iter_mut().zip(&mut uniform).for_each(|(cell, value)| *cell = 2.0 * value - 1.0);
        let noise = uniform.next().unwrap() - 0.5;
        row[2] = ((row[2] + 1.0) * 6.0).floor();
        let level = (row[2] * 7.0) % 12.0 / 6.0;
        *target =
            10.0 * row[0] + 5.0 * row[1] * row[1] + 4.0 * level + if row[3] > 0.5 { 3.0 } else { 0.0 } + 2.0 * noise;
        if row[3].abs() < 0.1 {
            row[3] = f64::NAN;
        }
    }
    Dataset::new(records, targets)
}

/// A regression of each algorithm that has one, with the category of [`curve`].
pub(crate) fn one_of_each_regression(dataset: &Dataset<f64, f64, Ix1>) -> Vec<Model> {
    let forest = RandomForest::params().n_estimators(12).categorical_features(vec![2]);
    let boosting = GradientBoosting::params().n_estimators(12).min_samples_leaf(5).categorical_features(vec![2]);
    vec![
        Model::Constant(Constant::params().fit(dataset).unwrap()),
        Model::RandomForest(forest.fit(dataset).unwrap()),
        Model::GradientBoosting(boosting.fit(dataset).unwrap()),
        Model::LinearRegression(LinearRegression::ridge().fit(dataset).unwrap()),
    ]
}

/// A model of each algorithm.
pub(crate) fn one_of_each(dataset: &Dataset<f64, usize, Ix1>) -> Vec<Model> {
    vec![
        Model::Constant(Constant::params().fit(dataset).unwrap()),
        Model::DecisionTree(DecisionTree::params().fit(dataset).unwrap()),
        Model::RandomForest(RandomForest::params().n_estimators(12).fit(dataset).unwrap()),
        Model::GradientBoosting(GradientBoosting::params().n_estimators(12).fit(dataset).unwrap()),
        Model::LogisticRegression(LogisticRegression::params().fit(dataset).unwrap()),
    ]
}

/// Those that are made of trees, or of nothing: what Shapley values are computed of.
pub(crate) fn without_lines(models: Vec<Model>) -> Vec<Model> {
    let is_line = |model: &Model| matches!(model, Model::LogisticRegression(_) | Model::LinearRegression(_));
    models.into_iter().filter(|model| !is_line(model)).collect()
}

/// Names and kinds of the features of [`mixed`].
pub(crate) fn mixed_features() -> Vec<(String, FeatureKind)> {
    let features = [("size", FeatureKind::Number), ("colour", FeatureKind::Category), ("title", FeatureKind::Text)];
    features.map(|(name, kind)| (name.to_owned(), kind)).to_vec()
}

/// A number of noise with gaps, a category and a text, of three classes: each of the latter two mostly tells the class, and
/// is missing now and then.
pub(crate) fn mixed(rows: usize, seed: u64) -> (Table, Target) {
    const WORDS: [[&str; 3]; 3] =
        [["novel", "reader", "chapter"], ["engine", "wheel", "brake"], ["garden", "flower", "soil"]];
    const COLOURS: [&str; 6] = ["red", "blue", "green", "amber", "white", "black"];
    let mut rng = random::stream(seed, 0);
    let mut draw = |bound: u32| random::below(&mut rng, bound) as usize;
    let (mut numbers, mut colours, mut titles) = (Vec::new(), Vec::new(), Vec::new());
    let mut labels = Vec::new();
    for row in 0..rows {
        let label = row % 3;
        let seems = |draw: &mut dyn FnMut(u32) -> usize| if draw(10) == 0 { draw(3) } else { label };
        numbers.push(if draw(8) == 0 { f64::NAN } else { draw(100) as f64 });
        let colour = COLOURS[(2 * seems(&mut draw) + draw(2)) % 6];
        colours.push((draw(9) > 0).then(|| Arc::from(colour)));
        let of = seems(&mut draw);
        let words: Vec<&str> = (0..3).map(|_| WORDS[of][draw(3)]).collect();
        titles.push((draw(9) > 0).then(|| Arc::from(format!("A {} thing", words.join(" ")))));
        labels.push(label);
    }
    let columns = vec![Column::Number(numbers), Column::Text(colours), Column::Text(titles)];
    let target = Target::Classes { labels: Array1::from(labels), n_classes: 3 };
    (Table::new(rows, columns).unwrap(), target)
}

/// A learner of [`mixed_features`].
pub(crate) fn learner(name: &str, params: &Value) -> Learner {
    Learner::from_spec(name, params.as_object().unwrap(), &mixed_features()).unwrap()
}

/// Fits without looking on.
pub(crate) fn fitted(learner: &Learner, table: &Table, target: &Target) -> Estimator {
    learner.fit(table, target, 7, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// A learner of each kind that has classes.
pub(crate) fn one_of_each_learner() -> Vec<Learner> {
    let fusion = json!({
        "members": [
            {"algorithm": "random_forest", "params": {"n_estimators": 5, "min_samples_leaf": 5}},
            {"algorithm": "text_classifier", "params": {"analyzer": "word"}},
        ],
        "folds": 2,
    });
    vec![
        learner("constant", &json!({})),
        learner("decision_tree", &json!({"max_depth": 4})),
        learner("random_forest", &json!({"n_estimators": 9, "min_samples_leaf": 5})),
        learner("gradient_boosting", &json!({"n_estimators": 4, "min_samples_leaf": 3})),
        learner("logistic_regression", &json!({})),
        learner("text_classifier", &json!({"analyzer": "both", "ngram_range": [1, 2], "char_ngram_range": [2, 3]})),
        learner("text_classifier", &json!({"analyzer": "word", "calibration": "temperature"})),
        learner("late_fusion", &fusion),
    ]
}
