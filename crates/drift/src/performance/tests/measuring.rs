//! What counts say, in whatever order they came together.

use super::{super::*, *};

#[test]
fn counts_merge_to_the_same_bytes_in_any_order() {
    let mut random = Lcg::new(21);
    let parts: Vec<ClassCounts> = (0..5).map(|part| rows(&mut random, 50 + part, 2, 1.5, 1.0).counts()).collect();
    let merged = |order: [usize; 5]| {
        let mut counts = ClassCounts::new(2).unwrap();
        order.iter().for_each(|&part| counts.merge(&parts[part]).unwrap());
        serde_json::to_string(&counts).unwrap()
    };
    assert_eq!(merged([0, 1, 2, 3, 4]), merged([3, 1, 4, 0, 2]));

    let errors: Vec<f64> = random.normals(200, 0.0, 1e3);
    let count = |errors: &[f64]| {
        let mut counts = ValueCounts::default();
        counts.count(errors, &vec![0.0; errors.len()]).unwrap();
        counts
    };
    let mut backwards = count(&errors[70..]);
    backwards.merge(&count(&errors[..70]));
    assert_eq!(serde_json::to_string(&backwards).unwrap(), serde_json::to_string(&count(&errors)).unwrap());
    let back: ValueCounts = serde_json::from_str(&serde_json::to_string(&backwards).unwrap()).unwrap();
    assert_eq!(back, backwards);
}

#[test]
fn a_report_worked_out_by_hand() {
    // Truths 0 0 0 1 1 2, answers 0 0 1 1 0 2.
    let mut counts = ClassCounts::new(3).unwrap();
    counts.count_answers(&[0, 0, 1, 1, 0, 2], &[0, 0, 0, 1, 1, 2]).unwrap();
    let measured = counts.performance(ALPHA).unwrap();
    let (a, b, c) = (4.0 / 6.0, 2.0 / 4.0, 1.0);
    assert!((value(&measured, Metric::Accuracy) - 4.0 / 6.0).abs() < 1e-12);
    assert!((value(&measured, Metric::MacroF1) - (a + b + c) / 3.0).abs() < 1e-12);
    assert!((value(&measured, Metric::WeightedF1) - (3.0 * a + 2.0 * b + c) / 6.0).abs() < 1e-12);
    // Neither F1 of one class nor anything of probabilities.
    assert_eq!(measured.figures.len(), 3);
    let (low, high) = crate::proportion::wilson(4, 6, ALPHA);
    let figure = measured.figures[&Metric::Accuracy];
    assert!((figure.low - low).abs() < 1e-9 && (figure.high - high).abs() < 1e-9, "{figure:?}");
}

#[test]
fn area_and_loss_are_those_of_the_rows() {
    let said = [0.1, 0.4, 0.35, 0.8];
    let truths = [0, 0, 1, 1];
    let probabilities = Probabilities::of_positive(&said).unwrap();
    let mut counts = ClassCounts::new(2).unwrap();
    counts.count(&probabilities, &probabilities.most_probable(), &truths).unwrap();
    let measured = counts.performance(ALPHA).unwrap();
    assert!((value(&measured, Metric::RocAuc) - 0.75).abs() < 1e-12);
    let loss = -(0.9f64.ln() + 0.6f64.ln() + 0.35f64.ln() + 0.8f64.ln()) / 4.0;
    assert!((value(&measured, Metric::LogLoss) - loss).abs() < 1e-12);
}

#[test]
fn intervals_of_measured_metrics_hold_the_long_run_value() {
    let long = rows(&mut Lcg::new(5_000), 200_000, 2, 1.5, 1.0).measured();
    for metric in [Metric::Accuracy, Metric::F1, Metric::WeightedF1, Metric::MacroF1, Metric::LogLoss, Metric::RocAuc] {
        let held = |seed| {
            let measured = rows(&mut Lcg::new(seed), 200, 2, 1.5, 1.0).measured();
            u32::from(measured.figures[&metric].contains(value(&long, metric)))
        };
        let share = f64::from((0..300).map(held).sum::<u32>()) / 300.0;
        assert!((0.90..=0.99).contains(&share), "{metric:?}: {share}");
    }
}

#[test]
fn errors_of_numbers_have_their_mean_and_root_mean_square() {
    let mut counts = ValueCounts::default();
    counts.count(&[1.0, 2.0, 3.0], &[2.0, 2.0, 1.0]).unwrap();
    let measured = counts.performance(ALPHA).unwrap();
    assert!((value(&measured, Metric::Mae) - 1.0).abs() < 1e-12);
    assert!((value(&measured, Metric::Rmse) - (5.0f64 / 3.0).sqrt()).abs() < 1e-12);
    let held = |seed| {
        let mut random = Lcg::new(seed);
        let mut counts = ValueCounts::default();
        counts.count(&random.normals(200, 0.0, 2.0), &[0.0; 200]).unwrap();
        let figures = counts.performance(ALPHA).unwrap().figures;
        let mae = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
        [u32::from(figures[&Metric::Mae].contains(mae)), u32::from(figures[&Metric::Rmse].contains(2.0))]
    };
    let held: Vec<[u32; 2]> = (0..300).map(held).collect();
    for metric in 0..2 {
        let share = f64::from(held.iter().map(|held| held[metric]).sum::<u32>()) / 300.0;
        assert!((0.90..=0.99).contains(&share), "{share}");
    }
}

#[test]
fn the_table_of_losses_follows_predictions_to_where_the_model_errs_more() {
    // The error's deviation is a tenth of the prediction.
    let made = |random: &mut Lcg, count: usize, from: f64, to: f64| -> (Vec<f64>, Vec<f64>) {
        let pair = |_| {
            let said = from + (to - from) * random.next().unwrap();
            (said, said + 0.1 * said * random.normal())
        };
        (0..count).map(pair).unzip()
    };
    let mut covered = [0u32; 2];
    for seed in 0..300 {
        let mut random = Lcg::new(seed + 90);
        let (said, truths) = made(&mut random, 1_000, 10.0, 100.0);
        let table = LossTable::learn(&said, &truths).unwrap();
        let (said, truths) = made(&mut random, 300, 50.0, 100.0);
        let mut counts = ValueCounts::default();
        counts.count(&said, &truths).unwrap();
        let measured = counts.performance(ALPHA).unwrap();
        let errors = error_of_estimate(&table.estimate(&said, ALPHA).unwrap(), &measured);
        for (sum, metric) in covered.iter_mut().zip([Metric::Mae, Metric::Rmse]) {
            *sum += u32::from(errors[&metric].covered);
        }
    }
    assert!(covered.iter().all(|covered| (270..=297).contains(covered)), "{covered:?}");
}

#[test]
fn by_a_key_that_tells_hard_rows_the_table_sees_what_the_prediction_does_not_show() {
    // All predictions are 0; what is hard is known.
    let made = |random: &mut Lcg, deviation: f64| -> (Vec<f64>, Vec<f64>) {
        let pair = |_| {
            let hardness = deviation * (1.0 + random.next().unwrap());
            (hardness, hardness * random.normal())
        };
        (0..4_000).map(pair).unzip()
    };
    let mut random = Lcg::new(8);
    let (mut keys, mut truths) = made(&mut random, 1.0);
    let (more, harder) = made(&mut random, 3.0);
    keys.extend(&more);
    truths.extend(harder);
    let predictions = vec![0.0; keys.len()];
    let blind = LossTable::learn(&predictions, &truths).unwrap();
    let seeing = LossTable::learn_by(&keys, &predictions, &truths).unwrap();
    let (keys, truths) = made(&mut random, 3.0);
    let mae = truths.iter().map(|truth| truth.abs()).sum::<f64>() / 4_000.0;
    let off =
        |table: &LossTable, keys: &[f64]| (value(&table.estimate(keys, ALPHA).unwrap(), Metric::Mae) / mae - 1.0).abs();
    assert!(off(&blind, &[0.0; 4_000]) > 0.25 && off(&seeing, &keys) < 0.06);
    assert!(LossTable::learn_by(&[f64::NAN], &[0.0], &[0.0]).unwrap_err().to_string().contains("the key is NaN"));
}

#[test]
fn a_table_of_losses_takes_any_rows_and_refuses_what_is_no_number() {
    let none = LossTable::learn(&[], &[]).unwrap();
    assert!(none.estimate(&[1.0], ALPHA).unwrap().figures.is_empty());
    let one = LossTable::learn(&[1.0], &[2.0]).unwrap();
    let constant = LossTable::learn(&[3.0; 100], &[2.0; 100]).unwrap();
    assert_eq!(constant.cells.len(), 1);
    for table in [&one, &constant] {
        let estimated = table.estimate(&[-1e9, 1e9], ALPHA).unwrap();
        assert!((value(&estimated, Metric::Mae) - 1.0).abs() < 1e-12, "{estimated:?}");
        assert!(table.estimate(&[], ALPHA).unwrap().figures.is_empty());
        assert_eq!(serde_json::from_str::<LossTable>(&serde_json::to_string(table).unwrap()).unwrap(), *table);
    }
    let error = LossTable::learn(&[1.0, 2.0], &[1.0, f64::NAN]).unwrap_err().to_string();
    assert!(error.starts_with("row 1: the truth is NaN"), "{error}");
    assert!(one.estimate(&[f64::NAN], ALPHA).is_err());
}

#[test]
fn rows_that_define_no_metric_give_none() {
    let empty = ClassCounts::new(2).unwrap().performance(ALPHA).unwrap();
    assert!(empty.figures.is_empty());
    assert!(ValueCounts::default().performance(ALPHA).unwrap().figures.is_empty());
    let mut single = ClassCounts::new(2).unwrap();
    let probabilities = Probabilities::of_positive(&[0.1; 20]).unwrap();
    single.count(&probabilities, &[0; 20], &[0; 20]).unwrap();
    let measured = single.performance(ALPHA).unwrap();
    assert!(!measured.figures.contains_key(&Metric::F1) && !measured.figures.contains_key(&Metric::RocAuc));
    let accuracy = measured.figures[&Metric::Accuracy];
    // All right, of 20: still not certain.
    assert!(accuracy.value == 1.0 && accuracy.high == 1.0 && accuracy.low < 0.9, "{accuracy:?}");
}

#[test]
fn nothing_is_counted_of_rows_that_do_not_fit() {
    let mut counts = ClassCounts::new(2).unwrap();
    let probabilities = Probabilities::of_positive(&[0.1, 0.9]).unwrap();
    assert!(counts.count(&probabilities, &[0, 1], &[0, 2]).is_err());
    assert!(counts.count(&probabilities, &[0], &[0]).is_err());
    assert!(counts.merge(&ClassCounts::new(3).unwrap()).is_err());
    assert_eq!(counts, ClassCounts::new(2).unwrap());
    let mut values = ValueCounts::default();
    assert!(values.count(&[1.0, f64::INFINITY], &[1.0, 1.0]).is_err());
    assert_eq!(values, ValueCounts::default());
}
