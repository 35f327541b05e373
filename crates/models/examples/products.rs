//! Text classification measured: five folds grouped by product, TF-IDF of words and pairs of words, linear models.
//!
//! ```text
//! cargo run --release -p driftmill-models --example products -- <folder with X_train.csv and Y_train.csv>
//! ```
//! `X_train.csv` has columns `designation`, `description` and `productid`, `Y_train.csv` has `prdtypecode`. Products are
//! dealt to the folds in turn, in the order in which they first appear. Scores are of all held-out predictions together,
//! times are sums over the folds on one thread.

#![allow(clippy::disallowed_methods, reason = "an example has no clock injected")]

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use driftmill_models::logistic::LogisticRegression;
use driftmill_models::metrics::{self, Average};
use driftmill_models::sparse::SparseRow;
use driftmill_models::split::TrainTest;
use driftmill_models::svm::{Calibration, LinearSvm};
use driftmill_models::text::{TfidfParams, TfidfVectorizer};
use driftmill_models::{ClassWeight, sparse::CsrMatrix};
use linfa::traits::Fit;
use linfa::{DatasetBase, ParamGuard};
use ndarray::{Array1, Array2};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Data = DatasetBase<CsrMatrix, Array1<usize>>;
/// Writes the probabilities of a row.
type Predict = Box<dyn Fn(SparseRow<'_>, &mut [f64])>;

const FOLDS: usize = 5;

struct Products {
    texts: Vec<String>,
    labels: Vec<usize>,
    n_classes: usize,
    /// The fold that tests each row.
    folds: Vec<usize>,
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).ok_or("which folder holds X_train.csv and Y_train.csv?")?;
    let products = read(Path::new(&folder))?;
    let n_classes = products.n_classes;
    println!("{} rows, {} classes", products.texts.len(), n_classes);
    for (html, strip_html) in [("HTML as it is", false), ("HTML stripped", true)] {
        let terms = TfidfVectorizer::params().strip_html(strip_html).ngram_range(1, 2).sublinear_tf(true).min_df(2);
        let svm = |weights: Option<ClassWeight>, calibration: Option<Calibration>| {
            move |data: &Data, inner: &[TrainTest]| -> Result<Predict> {
                let params = LinearSvm::params().class_weight(weights.clone()).n_jobs(Some(1)).n_classes(n_classes);
                let params = params.calibration(calibration.unwrap_or_default()).check()?;
                let model = params.fit_with_folds(data, if calibration.is_some() { inner } else { &[] })?;
                Ok(Box::new(move |row, out| model.predict_proba_into(row, out).expect("the model's own columns")))
            }
        };
        let logistic = |data: &Data, _: &[TrainTest]| -> Result<Predict> {
            let model = LogisticRegression::params().c(10.0).n_jobs(Some(1)).n_classes(n_classes).fit(data)?;
            Ok(Box::new(move |row, out| model.predict_proba_sparse_into(row, out).expect("the model's own columns")))
        };
        let variants = [
            ("linear SVM", None, None),
            ("linear SVM, temperature", None, Some(Calibration::Temperature)),
            ("linear SVM, sigmoids", None, Some(Calibration::Sigmoid)),
            ("linear SVM, balanced, temperature", Some(ClassWeight::Balanced), Some(Calibration::Temperature)),
            ("linear SVM, balanced, sigmoids", Some(ClassWeight::Balanced), Some(Calibration::Sigmoid)),
        ];
        for (name, weights, calibration) in variants {
            measure(&format!("{html}, {name}"), &products, &terms, svm(weights, calibration))?;
        }
        measure(&format!("{html}, logistic regression, C = 10"), &products, &terms, logistic)?;
    }
    Ok(())
}

/// Fits to all folds but one and predicts that one, for each.
fn measure(
    name: &str,
    products: &Products,
    terms: &TfidfParams,
    fit: impl Fn(&Data, &[TrainTest]) -> Result<Predict>,
) -> Result<()> {
    let mut proba = Array2::zeros((products.texts.len(), products.n_classes));
    let (mut vectorising, mut fitting) = (Duration::ZERO, Duration::ZERO);
    for fold in 0..FOLDS {
        let (test, train): (Vec<usize>, Vec<usize>) =
            (0..products.texts.len()).partition(|&row| products.folds[row] == fold);
        let texts = |rows: &[usize]| rows.iter().map(|&row| products.texts[row].as_str()).collect::<Vec<_>>();
        let started = Instant::now();
        let vectorizer = terms.clone().n_jobs(Some(1)).check()?.fit(&texts(&train))?;
        let matrix = vectorizer.transform(&texts(&train), Some(1))?;
        vectorising += started.elapsed();
        let labels = train.iter().map(|&row| products.labels[row]).collect();
        // Probabilities are calibrated on the remaining folds, which keep products together as well.
        let inner: Vec<TrainTest> = (0..FOLDS)
            .filter(|&held_out| held_out != fold)
            .map(|held_out| {
                let (test, train) = (0..train.len()).partition(|&row| products.folds[train[row]] == held_out);
                TrainTest { train, test }
            })
            .collect();
        let started = Instant::now();
        let predict = fit(&DatasetBase::new(matrix, labels), &inner)?;
        fitting += started.elapsed();
        let rows = vectorizer.transform(&texts(&test), Some(1))?;
        for (row, &index) in rows.rows().zip(&test) {
            predict(row, proba.row_mut(index).as_slice_mut().ok_or("rows are contiguous")?);
        }
    }
    let best = |row: ndarray::ArrayView1<'_, f64>| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let predicted: Vec<usize> = proba.rows().into_iter().map(|row| best(row).unwrap_or(0)).collect();
    println!(
        "{name}: weighted F1 {:.4}, accuracy {:.4}, log loss {:.4}, vectorising {:.0} ms, fitting {:.0} ms",
        metrics::averaged(&products.labels, &predicted, Average::Weighted)?.f1,
        metrics::accuracy(&products.labels, &predicted)?,
        metrics::log_loss(&products.labels, proba.view())?,
        vectorising.as_secs_f64() * 1e3,
        fitting.as_secs_f64() * 1e3,
    );
    Ok(())
}

fn read(folder: &Path) -> Result<Products> {
    #[derive(serde::Deserialize)]
    struct Row {
        designation: String,
        description: String,
        productid: String,
    }
    #[derive(serde::Deserialize)]
    struct Target {
        prdtypecode: u32,
    }
    let rows: Vec<Row> =
        csv::Reader::from_path(folder.join("X_train.csv"))?.deserialize().collect::<std::result::Result<_, _>>()?;
    let targets: Vec<Target> =
        csv::Reader::from_path(folder.join("Y_train.csv"))?.deserialize().collect::<std::result::Result<_, _>>()?;
    let classes: BTreeSet<u32> = targets.iter().map(|target| target.prdtypecode).collect();
    let classes: Vec<u32> = classes.into_iter().collect();
    let mut seen = HashMap::new();
    let mut fold = |row: &Row| {
        let next = seen.len();
        *seen.entry(row.productid.clone()).or_insert(next) % FOLDS
    };
    Ok(Products {
        folds: rows.iter().map(&mut fold).collect(),
        texts: rows.iter().map(|row| format!("{}. {}", row.designation, row.description)).collect(),
        labels: targets.iter().map(|target| classes.partition_point(|class| *class < target.prdtypecode)).collect(),
        n_classes: classes.len(),
    })
}
