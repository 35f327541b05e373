//! What a report holds, leaves out, and looks like when written.

use ndarray::{Array2, array};
use serde_json::json;

use super::*;

/// The labels of which scikit-learn's report is known.
const TRUTH: [usize; 10] = [0, 0, 1, 1, 1, 2, 2, 2, 2, 4];
const PREDICTED: [usize; 10] = [0, 1, 1, 1, 1, 2, 2, 0, 1, 3];

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn quick() -> Bootstrap<'static> {
    Bootstrap { rounds: 100, seed: 7, ..Bootstrap::default() }
}

fn two_classes(truth: &[usize], proba: &Array2<f64>, slices: &[Slice]) -> ClassificationReport {
    let classes = names(&["no", "yes"]);
    let predicted: Vec<usize> = proba.column(1).iter().map(|p| usize::from(*p > 0.5)).collect();
    let data =
        ClassificationData { classes: &classes, truth, predicted: &predicted, proba: Some(proba.view()), positive: 1 };
    ClassificationReport::new(&data, slices, &quick()).unwrap()
}

/// 40 rows whose class is as probable as it says.
fn calibrated() -> (Vec<usize>, Array2<f64>) {
    let truth = (0..40).map(|row| usize::from(row % 4 != 0 && row >= 20 || row % 4 == 0 && row < 20)).collect();
    let proba = Array2::from_shape_fn((40, 2), |(row, class)| if (row < 20) == (class == 0) { 0.75 } else { 0.25 });
    (truth, proba)
}

#[test]
fn classes_are_written_as_scikit_learn_writes_them() {
    let classes = names(&["a", "b, or not", "c", "d", "e"]);
    let data = ClassificationData { classes: &classes, truth: &TRUTH, predicted: &PREDICTED, proba: None, positive: 0 };
    let report = ClassificationReport::new(&data, &[], &quick()).unwrap();
    let dict = report.to_output_dict();
    assert_eq!(dict["b, or not"], json!({"precision": 0.6, "recall": 1.0, "f1-score": 0.75, "support": 3}));
    assert_eq!(dict["accuracy"], json!(0.6));
    assert_eq!(dict["macro avg"]["recall"], json!(0.4));
    let csv = report.per_class_csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "class,precision,recall,f1-score,support");
    assert_eq!(lines[2], "\"b, or not\",0.6,1,0.75,3");
    assert_eq!(lines[6], "accuracy,,,0.6,10");
    assert!(lines[8].starts_with("weighted avg,0.6"));
    assert!(report.reliability.is_none());
    assert_eq!(report.confusion_matrix[2], [1, 1, 2, 0, 0]);
}

#[test]
fn every_metric_has_an_interval_around_it() {
    let (truth, proba) = calibrated();
    let report = two_classes(&truth, &proba, &[]);
    assert!(report.scores.undefined.is_empty(), "{:?}", report.scores.undefined);
    for name in ["accuracy", "roc_auc", "average_precision", "brier_score", "f1", "matthews_corrcoef"] {
        let estimate = report.scores.metrics[name];
        let bounds = estimate.interval.unwrap();
        assert!(bounds.lower <= estimate.value && estimate.value <= bounds.upper, "{name} {estimate:?}");
        assert_eq!(bounds.confidence, 0.95);
    }
    assert_eq!(report.scores.metrics["accuracy"].value, 0.75);
    assert_eq!(report.scores.metrics["expected_calibration_error"].value, 0.0);
    assert_eq!(report.reliability.unwrap().equal_width.len(), 2);
}

#[test]
fn what_one_class_does_not_define_is_left_out_with_the_reason() {
    let report = two_classes(&[1, 1, 1], &array![[0.2, 0.8], [0.4, 0.6], [0.3, 0.7]], &[]);
    assert!(!report.scores.metrics.contains_key("roc_auc"));
    assert_eq!(report.scores.undefined["roc_auc"], "ROC AUC needs rows of both classes, all 3 rows are of one");
    assert!(report.scores.undefined.contains_key("cohen_kappa"));
    assert_eq!(report.scores.metrics["accuracy"].value, 1.0);
    let csv = Report::from(report).metrics_csv();
    assert!(csv.contains(",roc_auc,,,,,3,\"ROC AUC needs"), "{csv}");
    assert!(csv.contains(",accuracy,1,1,1,0.95,3,\n"), "{csv}");
}

#[test]
fn slices_are_judged_on_their_own_rows_and_groups() {
    let (truth, proba) = calibrated();
    let right: Vec<usize> = (0..40).filter(|row| truth[*row] == usize::from(*row >= 20)).collect();
    let slices = [
        Slice { name: "right".to_owned(), rows: right.clone() },
        Slice { name: "nobody".to_owned(), rows: Vec::new() },
    ];
    let report = two_classes(&truth, &proba, &slices);
    assert_eq!(report.slices["right"].metrics["accuracy"].value, 1.0);
    assert_eq!(report.slices["right"].rows, 30);
    assert_eq!(report.slices["nobody"], MetricSet::default());
    let classes = names(&["no", "yes"]);
    let data = ClassificationData { classes: &classes, truth: &truth, predicted: &truth, proba: None, positive: 1 };
    let bootstrap = Bootstrap { resampling: Resampling::Stratified(&truth), ..quick() };
    let report = ClassificationReport::new(&data, &slices, &bootstrap).unwrap();
    assert_eq!(report.slices["right"].metrics["accuracy"].interval.unwrap().lower, 1.0);
    let beyond = [Slice { name: "beyond".to_owned(), rows: vec![40] }];
    assert!(matches!(ClassificationReport::new(&data, &beyond, &quick()), Err(ReportError::Slice { row: 40, .. })));
}

#[test]
fn numbers_have_what_their_data_defines() {
    let truth = [3.0, 0.0, 2.0, 7.0];
    let data = RegressionData {
        truth: &truth,
        predicted: &[2.5, 0.1, 2.0, 8.0],
        interval: Some(IntervalForecast { lower: &[2.0; 4], upper: &[4.0; 4], level: 0.8 }),
        training: Some(Training { values: &[1.0, 2.0, 4.0], period: 1 }),
    };
    let report = RegressionReport::new(&data, &[], &quick()).unwrap();
    let value = |name: &str| report.scores.metrics[name].value;
    assert!((value("mean_absolute_error") - 0.4).abs() < 1e-12);
    assert!((value("mean_absolute_scaled_error") - 0.4 / 1.5).abs() < 1e-12);
    assert_eq!(value("interval_coverage"), 0.5);
    // (0.1 * (1 + 0 + 5) + 0.9 * 2) / 4 and (0.9 * 3 + 0.1 * (1 + 4 + 2)) / 4.
    assert!((value("pinball_loss_lower") - 0.6).abs() < 1e-12);
    assert!((value("pinball_loss_upper") - 0.85).abs() < 1e-12);
    let reason = &report.scores.undefined["mean_absolute_percentage_error"];
    assert_eq!(reason, "row 1 is zero, so no error is relative to it");
    let flat = RegressionData { truth: &[1.0; 4], interval: None, training: None, ..data };
    let report = RegressionReport::new(&flat, &[], &quick()).unwrap();
    assert!(report.scores.undefined.contains_key("r2"));
    assert!(!report.scores.metrics.contains_key("mean_absolute_scaled_error"));
}

#[test]
fn a_report_survives_its_json_and_names_its_task() {
    let (truth, proba) = calibrated();
    let slices = [Slice { name: "first".to_owned(), rows: (0..30).collect() }];
    let report = Report::from(two_classes(&truth, &proba, &slices));
    let text = report.to_json().unwrap();
    assert!(text.contains("\"task\": \"classification\""));
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[test]
fn data_that_does_not_fit_is_an_error() {
    let classes = names(&["no", "yes"]);
    let proba = array![[0.1, 0.2, 0.7]];
    let data =
        ClassificationData { classes: &classes, truth: &[0], predicted: &[0], proba: Some(proba.view()), positive: 1 };
    let report = |data: &ClassificationData<'_>| ClassificationReport::new(data, &[], &quick()).unwrap_err();
    assert_eq!(report(&data), ReportError::ClassNames { names: 2, classes: 3 });
    assert_eq!(report(&ClassificationData { truth: &[], predicted: &[], proba: None, ..data }), Error::Empty.into());
    assert!(matches!(
        report(&ClassificationData { positive: 2, proba: None, ..data }),
        ReportError::Metric(Error::Label { label: 2, .. })
    ));
    let numbers = RegressionData { truth: &[1.0], predicted: &[f64::NAN], interval: None, training: None };
    assert_eq!(RegressionReport::new(&numbers, &[], &quick()), Err(Error::NotANumber(0).into()));
}
