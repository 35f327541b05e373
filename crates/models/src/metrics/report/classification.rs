//! The report of a classifier's answers and probabilities.

use std::collections::BTreeMap;

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Measured, MetricSet, Report, ReportError, Slice, csv, pick, scores, slice_scores};
use crate::bootstrap::Bootstrap;
use crate::metrics::{self, Average, Binning, ReliabilityBin};

/// Bins of the reliability diagram and of the calibration error, as in Guo et al.
const BINS: usize = 15;

/// What a classifier said of some rows, and what is true.
#[derive(Clone, Copy, Debug)]
pub struct ClassificationData<'a> {
    /// Names of the classes.
    pub classes: &'a [String],
    /// The true class of each row.
    pub truth: &'a [usize],
    /// The class answered for each row; not always the most probable one, as thresholds may be moved.
    pub predicted: &'a [usize],
    /// Probabilities, rows × classes, where the model has any.
    pub proba: Option<ArrayView2<'a, f64>>,
    /// With two classes, the one that precision, recall, F1 and the curves' areas are of.
    pub positive: usize,
}

/// Precision, recall and F1 of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Its name.
    pub class: String,
    /// Share of the predictions of the class that are right.
    pub precision: f64,
    /// Share of the class' rows that are found.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Rows that are of this class.
    pub support: u64,
}

/// Bins of the most probable class' probability (with two classes: of the positive one's).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Of equal width.
    pub equal_width: Vec<ReliabilityBin>,
    /// Of about equally many rows.
    pub equal_mass: Vec<ReliabilityBin>,
}

/// Everything known about a classifier's answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationReport {
    /// Metrics of all rows.
    #[serde(flatten)]
    pub scores: MetricSet,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Rows by true class (outer) and predicted class (inner).
    pub confusion_matrix: Vec<Vec<u64>>,
    /// The classes that occur, as truth or prediction.
    pub per_class: Vec<ClassRow>,
    /// Mean over the classes that occur.
    pub macro_average: ClassRow,
    /// Mean over the classes, each counted by its rows.
    pub weighted_average: ClassRow,
    /// Whether probabilities mean what they say; none without probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reliability: Option<Reliability>,
    /// Metrics of each slice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slices: BTreeMap<String, MetricSet>,
}

impl ClassificationReport {
    /// Measures everything that is defined.
    ///
    /// # Errors
    /// For no rows, lengths, labels or names that do not fit each other, and the bootstrap's arguments.
    pub fn new(
        data: &ClassificationData<'_>,
        slices: &[Slice],
        bootstrap: &Bootstrap<'_>,
    ) -> Result<Self, ReportError> {
        let ClassificationData { truth, predicted, .. } = *data;
        let (rows, n_classes) = (truth.len(), data.classes.len());
        if let Some(proba) = data.proba {
            if proba.ncols() != n_classes {
                return Err(ReportError::ClassNames { names: n_classes, classes: proba.ncols() });
            }
            metrics::check_lengths(rows, proba.nrows())?;
        }
        metrics::check_labels([data.positive].iter(), n_classes)?;
        let confusion = metrics::confusion_matrix(truth, predicted, n_classes)?;
        let per_class = metrics::per_class(truth, predicted, n_classes)?;
        let row = |class: &str, scores: metrics::Scores, support| ClassRow {
            class: class.to_owned(),
            precision: scores.precision,
            recall: scores.recall,
            f1: scores.f1,
            support,
        };
        let occurring = data.classes.iter().zip(&per_class).filter(|(_, class)| class.support + class.predicted > 0);
        let average = |name, average| -> Result<ClassRow, ReportError> {
            Ok(row(name, metrics::averaged(truth, predicted, average)?, rows as u64))
        };
        let measure = |rows: &[usize]| data.measure(rows);
        Ok(Self {
            scores: scores(rows, None, bootstrap, measure)?,
            classes: data.classes.to_vec(),
            confusion_matrix: confusion.rows().into_iter().map(|row| row.to_vec()).collect(),
            per_class: occurring.map(|(name, class)| row(name, class.scores, class.support)).collect(),
            macro_average: average("macro avg", Average::Macro)?,
            weighted_average: average("weighted avg", Average::Weighted)?,
            reliability: data.reliability(),
            slices: slice_scores(rows, slices, bootstrap, measure)?,
        })
    }

    /// The share of rows answered right.
    fn accuracy(&self) -> f64 {
        self.scores.metrics.get("accuracy").map_or(0.0, |accuracy| accuracy.value)
    }

    /// The classes as scikit-learn's `classification_report(output_dict=True)` has them. A class named like an average is
    /// replaced by it, as there.
    pub fn to_output_dict(&self) -> Value {
        let entry = |row: &ClassRow| {
            let scores = json!({
                "precision": row.precision, "recall": row.recall, "f1-score": row.f1, "support": row.support,
            });
            (row.class.clone(), scores)
        };
        let mut dict: Map<String, Value> = self.per_class.iter().map(entry).collect();
        dict.insert("accuracy".to_owned(), json!(self.accuracy()));
        dict.extend([&self.macro_average, &self.weighted_average].map(entry));
        Value::Object(dict)
    }

    /// The same as CSV, in the order and with the blanks of scikit-learn's printed report.
    pub fn per_class_csv(&self) -> String {
        let mut lines = vec!["class,precision,recall,f1-score,support".to_owned()];
        let line = |row: &ClassRow| {
            format!("{},{},{},{},{}", csv::field(&row.class), row.precision, row.recall, row.f1, row.support)
        };
        lines.extend(self.per_class.iter().map(line));
        lines.push(format!("accuracy,,,{},{}", self.accuracy(), self.scores.rows));
        lines.extend([&self.macro_average, &self.weighted_average].map(line));
        lines.join("\n") + "\n"
    }
}

impl From<ClassificationReport> for Report {
    fn from(report: ClassificationReport) -> Self {
        Self::Classification(Box::new(report))
    }
}

impl ClassificationData<'_> {
    fn measure(&self, rows: &[usize]) -> Measured {
        let (truth, predicted) = (&pick(self.truth, rows), &pick(self.predicted, rows));
        let weighted = metrics::averaged(truth, predicted, Average::Weighted);
        let mut measured = vec![
            ("accuracy", metrics::accuracy(truth, predicted)),
            ("balanced_accuracy", metrics::balanced_accuracy(truth, predicted)),
            ("macro_f1", metrics::averaged(truth, predicted, Average::Macro).map(|scores| scores.f1)),
            ("weighted_f1", weighted.map(|scores| scores.f1)),
            ("cohen_kappa", metrics::cohen_kappa(truth, predicted)),
            ("matthews_corrcoef", metrics::matthews_corrcoef(truth, predicted)),
        ];
        let two = self.classes.len() == 2;
        if two {
            let binary = metrics::binary(truth, predicted, self.positive);
            measured.push(("precision", binary.clone().map(|scores| scores.precision)));
            measured.push(("recall", binary.clone().map(|scores| scores.recall)));
            measured.push(("f1", binary.map(|scores| scores.f1)));
        }
        let Some(proba) = self.proba else { return measured };
        let proba = proba.select(Axis(0), rows);
        measured.push(("log_loss", metrics::log_loss(truth, proba.view())));
        measured.push(("brier_score", metrics::brier_score(truth, proba.view())));
        let calibration = |binning| {
            let (came_true, confidence) = self.events(truth, proba.view())?;
            let bins = metrics::reliability_bins(&came_true, &confidence, BINS, binning)?;
            metrics::expected_calibration_error(&bins)
        };
        measured.push(("expected_calibration_error", calibration(Binning::EqualWidth)));
        measured.push(("expected_calibration_error_equal_mass", calibration(Binning::EqualMass)));
        if two {
            let scores = proba.column(self.positive).to_vec();
            measured.push(("roc_auc", metrics::roc_auc(truth, self.positive, &scores)));
            measured.push(("average_precision", metrics::average_precision(truth, self.positive, &scores)));
        } else {
            measured.push(("roc_auc_ovr", metrics::roc_auc_ovr(truth, proba.view())));
            measured.push(("average_precision_ovr", metrics::average_precision_ovr(truth, proba.view())));
        }
        for (k, name) in [(2, "top_2_accuracy"), (3, "top_3_accuracy"), (5, "top_5_accuracy")] {
            if k < self.classes.len() {
                measured.push((name, metrics::top_k_accuracy(truth, proba.view(), k)));
            }
        }
        measured
    }

    /// What the probabilities judged for calibration are of, and whether it came true.
    fn events(&self, truth: &[usize], proba: ArrayView2<'_, f64>) -> Result<(Vec<bool>, Vec<f64>), metrics::Error> {
        if self.classes.len() == 2 {
            let came_true = truth.iter().map(|&truth| truth == self.positive).collect();
            return Ok((came_true, proba.column(self.positive).to_vec()));
        }
        metrics::top_label(truth, proba)
    }

    fn reliability(&self) -> Option<Reliability> {
        let (came_true, confidence) = self.events(self.truth, self.proba?).ok()?;
        let bins = |binning| metrics::reliability_bins(&came_true, &confidence, BINS, binning).ok();
        Some(Reliability { equal_width: bins(Binning::EqualWidth)?, equal_mass: bins(Binning::EqualMass)? })
    }
}
