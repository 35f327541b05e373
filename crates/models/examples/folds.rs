//! The models of the pipelines `iris` and `loan` measured by ten stratified folds, beside the constant baseline.
//!
//! ```text
//! DRIFTMILL_DATA=<folder with iris/ and loan/> cargo run --release -p driftmill-models --example folds
//! ```
//! Reads `iris/iris.csv` and `loan/dataset.csv`. Scores are of all held-out predictions together, with 95 % intervals of
//! a bootstrap over rows; a difference from the baseline is of the same draws. As the folds of one seed are one way of many,
//! mean, least and greatest score of twenty are told as well.

use std::error::Error;
use std::path::Path;

use driftmill_models::bootstrap::{Bootstrap, Interval};
use driftmill_models::metrics::{self, Average};
use driftmill_models::validation::{cross_validate, folds};
use driftmill_models::{Column, FeatureKind, Learner, Table, Target};
use ndarray::{Array1, Array2, ArrayView1};
use serde_json::{Value, json};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// What a metric makes of labels and held-out probabilities.
type Metric = fn(&[usize], &Array2<f64>) -> Result<f64, metrics::Error>;

const FOLDS: usize = 10;
const SEEDS: std::ops::Range<u64> = 0..20;

struct Data {
    /// Names of the numbers.
    names: Vec<String>,
    table: Table,
    labels: Vec<usize>,
    target: Target,
}

fn main() -> Result<()> {
    let folder =
        std::env::var("DRIFTMILL_DATA").map_err(|_| "DRIFTMILL_DATA must name the folder with iris/ and loan/")?;
    let iris = Data::read(&Path::new(&folder).join("iris/iris.csv"), false)?;
    let of_iris: [(&str, Metric); 2] = [("accuracy", accuracy), ("weighted F1", weighted_f1)];
    println!("iris: {} rows", iris.labels.len());
    iris.measure("forest, as in the pipeline", "random_forest", json!({"n_estimators": 100}), &of_iris)?;
    iris.measure("constant", "constant", json!({}), &of_iris)?;

    let loan = Data::read(&Path::new(&folder).join("loan/dataset.csv"), true)?;
    let of_loan: [(&str, Metric); 3] = [("ROC AUC", roc_auc), ("F1", f1), ("accuracy", accuracy)];
    println!("\nloan: {} rows", loan.labels.len());
    let boosting = json!({"n_estimators": 100, "learning_rate": 0.1, "max_depth": 3});
    loan.measure("boosting, as in the pipeline", "gradient_boosting", boosting, &of_loan)?;
    loan.measure("forest", "random_forest", json!({"n_estimators": 300, "min_samples_leaf": 5}), &of_loan)?;
    loan.measure("logistic regression", "logistic_regression", json!({"standardize": true}), &of_loan)?;
    loan.measure("constant", "constant", json!({}), &of_loan)
}

impl Data {
    /// Numbers, and the class in the last column. Of loans the first column is a counter, and the pipeline has one feature
    /// more than there are columns.
    fn read(path: &Path, loan: bool) -> Result<Self> {
        let mut reader = csv::Reader::from_path(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let header = reader.headers()?.clone();
        let (first, label) = (usize::from(loan), header.len() - 1);
        let mut names: Vec<String> = header.iter().take(label).skip(first).map(str::to_owned).collect();
        let mut columns = vec![Vec::new(); names.len()];
        let mut labels = Vec::new();
        for record in reader.records() {
            let record = record?;
            for (column, value) in columns.iter_mut().zip(record.iter().skip(first)) {
                // What is no number is missing.
                column.push(value.parse().unwrap_or(f64::NAN));
            }
            labels.push(record[label].parse::<f64>()? as usize);
        }
        if loan {
            let column = |name| names.iter().position(|known| known == name).ok_or(format!("there is no {name}"));
            let (amount, income) = (column("Loan_Amount")?, column("Annual_Income")?);
            let shares = columns[amount].iter().zip(&columns[income]).map(|(amount, income)| amount / income).collect();
            names.push("amount_to_income".to_owned());
            columns.push(shares);
        }
        let n_classes = labels.iter().max().map_or(0, |last| last + 1);
        Ok(Self {
            names,
            table: Table::new(labels.len(), columns.into_iter().map(Column::Number).collect())?,
            target: Target::Classes { labels: Array1::from(labels.clone()), n_classes },
            labels,
        })
    }

    fn held_out(&self, algorithm: &str, params: &Value, seed: u64) -> Result<Array2<f64>> {
        let features: Vec<_> = self.names.iter().map(|name| (name.clone(), FeatureKind::Number)).collect();
        let learner = Learner::from_spec(algorithm, params.as_object().ok_or("parameters are an object")?, &features)?;
        let splits = folds(&self.target, None, FOLDS, seed)?;
        Ok(cross_validate(&learner, &self.table, &self.target, None, &splits, seed)?)
    }

    fn measure(&self, name: &str, algorithm: &str, params: Value, metrics: &[(&str, Metric)]) -> Result<()> {
        println!("{name}");
        let constant = self.held_out("constant", &json!({}), SEEDS.start)?;
        let all = SEEDS.map(|seed| self.held_out(algorithm, &params, seed)).collect::<Result<Vec<_>>>()?;
        for (metric_name, metric) in metrics {
            let of = |proba: &Array2<f64>, rows: &[usize]| {
                let labels: Vec<usize> = rows.iter().map(|&row| self.labels[row]).collect();
                metric(&labels, &proba.select(ndarray::Axis(0), rows))
            };
            let rows = self.labels.len();
            let alone = Bootstrap::default().interval(rows, |rows| of(&all[0], rows))?;
            let against = Bootstrap::default()
                .interval(rows, |rows| Ok::<_, metrics::Error>(of(&all[0], rows)? - of(&constant, rows)?))?;
            let seeds = all.iter().map(|proba| metric(&self.labels, proba)).collect::<Result<Vec<_>, _>>()?;
            println!(
                "  {metric_name:12} {}   against the constant {}   {} seeds: mean {:.4}, {:.4} to {:.4}",
                told(alone),
                told(against),
                seeds.len(),
                seeds.iter().sum::<f64>() / seeds.len() as f64,
                seeds.iter().copied().fold(f64::INFINITY, f64::min),
                seeds.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            );
        }
        Ok(())
    }
}

fn told(interval: Interval) -> String {
    format!("{:.4} [{:.4}, {:.4}]", interval.estimate, interval.lower, interval.upper)
}

fn best(proba: &Array2<f64>) -> Vec<usize> {
    let best = |row: ArrayView1<'_, f64>| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    proba.rows().into_iter().map(best).collect()
}

fn accuracy(labels: &[usize], proba: &Array2<f64>) -> Result<f64, metrics::Error> {
    metrics::accuracy(labels, &best(proba))
}

fn weighted_f1(labels: &[usize], proba: &Array2<f64>) -> Result<f64, metrics::Error> {
    Ok(metrics::averaged(labels, &best(proba), Average::Weighted)?.f1)
}

fn f1(labels: &[usize], proba: &Array2<f64>) -> Result<f64, metrics::Error> {
    metrics::binary_f1(labels, &best(proba), 1)
}

fn roc_auc(labels: &[usize], proba: &Array2<f64>) -> Result<f64, metrics::Error> {
    metrics::roc_auc(labels, 1, &proba.column(1).to_vec())
}
