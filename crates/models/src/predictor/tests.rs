use linfa::Dataset;
use linfa::traits::Fit as _;
use ndarray::{Array1, Array2, s};

use super::*;
use crate::boosting::GradientBoosting;
use crate::forest::RandomForest;
use crate::test_data::Uniform;
use crate::tree::Tree;

/// Three features of numbers and two of categories, a tenth missing; values served have categories not seen before.
fn rows(count: usize, seed: u64, categories: f64) -> Array2<f64> {
    let mut uniform = Uniform(seed);
    let mut next = move || uniform.next().unwrap_or_default();
    Array2::from_shape_fn((count, 5), |(_, feature)| match next() {
        missing if missing < 0.1 => f64::NAN,
        _ if feature < 2 => next(),
        _ if feature == 2 => (next() * 5.0).floor(),
        _ => (next() * categories).floor(),
    })
}

fn target(row: &[f64]) -> f64 {
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|feature| if row[feature].is_nan() { 0.3 } else { row[feature] });
    (9.0 * a).sin() + b * c + f64::from(u8::from(d as usize % 3 == 1)) - f64::from(u8::from(e as usize * 7 % 5 < 2))
}

/// The sums of the leaves that single walks find, tree after tree.
fn walked(trees: &[Tree], baseline: &[f64], row: &[f64]) -> Vec<f64> {
    let mut sums = baseline.to_vec();
    for (index, tree) in trees.iter().enumerate() {
        let leaf = tree.leaf(row);
        let first = index * leaf.len() % sums.len();
        sums[first..].iter_mut().zip(leaf).for_each(|(sum, value)| *sum += value);
    }
    sums
}

fn agrees(model: &dyn Predictor, expected: impl Fn(&[f64]) -> Vec<f64>) {
    let served = rows(1_000, 9, 12.0);
    let expected: Vec<Vec<u64>> =
        served.rows().into_iter().map(|row| expected(&row.to_vec()).into_iter().map(f64::to_bits).collect()).collect();
    let bits = |values: &mut dyn Iterator<Item = &f64>| values.map(|value| value.to_bits()).collect::<Vec<_>>();
    for count in [0, 1, 2, 15, 16, 17, 1_000] {
        for threads in [1, 2, 7] {
            let answers = outputs_on(threads, model, served.slice(s![..count, ..])).unwrap();
            for (row, expected) in answers.rows().into_iter().zip(&expected) {
                assert_eq!(&bits(&mut row.iter()), expected);
            }
            assert_eq!(answers.nrows(), count);
        }
    }
    let mut out = vec![0.0; model.task().n_outputs()];
    for (row, expected) in served.rows().into_iter().zip(&expected) {
        outputs_into(model, &row.to_vec(), &mut out).unwrap();
        assert_eq!(&bits(&mut out.iter()), expected);
    }
}

fn values() -> Dataset<f64, f64, ndarray::Ix1> {
    let records = rows(2_000, 1, 9.0);
    let targets: Array1<f64> = records.rows().into_iter().map(|row| target(&row.to_vec())).collect();
    Dataset::new(records, targets)
}

fn classes(count: usize) -> Dataset<f64, usize, ndarray::Ix1> {
    let values = values();
    let labels = values.targets.mapv(|value| (value.abs() * 1e4) as usize / 3_000 % count);
    Dataset::new(values.records, labels)
}

#[test]
fn forests_with_gaps_and_categories_answer_what_single_walks_find() {
    for categorical in [vec![], vec![3, 4]] {
        let params = || RandomForest::params().n_estimators(30).categorical_features(categorical.clone());
        for n_classes in [2, 3] {
            let model = params().n_classes(n_classes).fit(&classes(n_classes)).unwrap();
            let sums = |row: &[f64]| walked(model.trees(), &vec![0.0; n_classes], row);
            agrees(&model, |row| sums(row).into_iter().map(|sum| sum / 30.0).collect());
        }
        let model = params().fit(&values()).unwrap();
        agrees(&model, |row| walked(model.trees(), &[0.0], row).into_iter().map(|sum| sum / 30.0).collect());
    }
}

#[test]
fn boosting_with_gaps_and_categories_answers_what_single_walks_find() {
    for categorical in [vec![], vec![3, 4]] {
        // The masks take up to 32 leaves.
        for leaves in [31, 100] {
            let params = || {
                let params = GradientBoosting::params().n_estimators(20).max_leaf_nodes(Some(leaves));
                params.min_samples_leaf(2).categorical_features(categorical.clone())
            };
            let model = params().fit(&values()).unwrap();
            agrees(&model, |row| walked(model.trees(), model.baseline(), row));
        }
    }
}
