//! Classification of products measured, by text, by image and by both: five folds grouped by product.
//!
//! ```text
//! cargo run --release -p driftmill-models --example products -- <folder with X_train.csv, Y_train.csv and images>
//! ```
//! `X_train.csv` has columns `designation`, `description`, `productid` and `imageid`, `Y_train.csv` has `prdtypecode`; an image
//! is `images/image_train/image_<imageid>_product_<productid>.jpg`. Products are
//! dealt to the folds in turn, in the order in which they first appear; as that is one way of many, the mean over three
//! random ones is told as well. Scores are of all held-out predictions together.

#![allow(clippy::disallowed_methods, reason = "an example has no clock injected")]

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use driftmill_models::metrics::{self, Average};
use driftmill_models::split::TrainTest;
use driftmill_models::validation::{cross_validate, folds};
use driftmill_models::{Column, FeatureKind, Learner, Table, Target};
use ndarray::Array1;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const FOLDS: usize = 5;
const SEED: u64 = 1;
const SIDE: u16 = 64;

struct Products {
    table: Table,
    labels: Vec<usize>,
    target: Target,
    /// The product of each row.
    groups: Vec<usize>,
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).ok_or("which folder holds X_train.csv and Y_train.csv?")?;
    let products = read(Path::new(&folder))?;
    println!("{} rows, {} classes", products.labels.len(), products.target.task().n_outputs());
    let text = json!({ "algorithm": "text_classifier", "params": { "strip_html": true } });
    let boosted = json!({ "estimator": "gradient_boosting", "params": { "n_estimators": 60, "max_leaf_nodes": 8, "min_samples_leaf": 5 } });
    let fusion = |image: Value, weights: Value| json!({ "members": [text, image], "weights": weights });
    let image = |params: Value| json!({ "algorithm": "image_classifier", "params": params });
    let modalities = [
        ("text, as in the pipeline", "text_classifier", text["params"].clone()),
        ("image", "image_classifier", json!({})),
        ("image, boosted", "image_classifier", boosted.clone()),
        ("fusion, as in the pipeline", "late_fusion", fusion(image(json!({})), json!("fitted"))),
        ("fusion, equal weights", "late_fusion", fusion(image(json!({})), json!([1, 1]))),
        ("fusion, image boosted", "late_fusion", fusion(image(boosted), json!("fitted"))),
    ];
    for (name, algorithm, params) in modalities {
        measure(name, &products, algorithm, &params)?;
    }
    println!("\nthe text classifier in other ways");
    let variants = [
        ("defaults", json!({})),
        ("HTML stripped", json!({"strip_html": true})),
        ("C = 0.3", json!({"C": 0.3})),
        ("temperature", json!({"calibration": "temperature"})),
        ("without class weights", json!({"class_weight": null})),
        ("characters within words", json!({"analyzer": "char_wb"})),
        ("words and characters within them", json!({"analyzer": "both"})),
        ("words and pairs of them", json!({"analyzer": "word"})),
        ("words and pairs of them, temperature", json!({"analyzer": "word", "calibration": "temperature"})),
    ];
    for (name, params) in variants {
        measure(name, &products, "text_classifier", &params)?;
    }
    Ok(())
}

/// Weighted F1, accuracy and log loss of held-out rows.
type Scores = [f64; 3];

fn measure(name: &str, products: &Products, algorithm: &str, params: &Value) -> Result<()> {
    let mut features = ["designation", "description"].map(|name| (name.to_owned(), FeatureKind::Text)).to_vec();
    features.push(("image".to_owned(), FeatureKind::Image { side: SIDE }));
    let params = params.as_object().ok_or("parameters are an object")?;
    let learner = Learner::from_spec(algorithm, params, &features)?;
    let score = |splits: &[TrainTest]| -> Result<Scores> {
        let Products { table, labels, target, groups } = products;
        let proba = cross_validate(&learner, table, target, Some(groups), splits, SEED)?;
        let best = |row: ndarray::ArrayView1<'_, f64>| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
        let predicted: Vec<usize> = proba.rows().into_iter().map(|row| best(row).unwrap_or(0)).collect();
        let f1 = metrics::averaged(labels, &predicted, Average::Weighted)?.f1;
        Ok([f1, metrics::accuracy(labels, &predicted)?, metrics::log_loss(labels, proba.view())?])
    };
    let started = Instant::now();
    let [f1, accuracy, loss] = score(&in_turn(&products.groups))?;
    let seconds = started.elapsed().as_secs_f64();
    let mut others = Vec::new();
    for seed in 1..=3 {
        others.push(score(&folds(&products.target, Some(&products.groups), FOLDS, seed)?)?);
    }
    let mean = |index: usize| others.iter().map(|scores| scores[index]).sum::<f64>() / others.len() as f64;
    println!(
        "{name}: weighted F1 {f1:.4}, accuracy {accuracy:.4}, log loss {loss:.4}, {seconds:.1} s; other folds: weighted F1 \
         {:.4}, log loss {:.4}",
        mean(0),
        mean(2)
    );
    Ok(())
}

/// Each product's rows are tested in the fold of its number.
fn in_turn(groups: &[usize]) -> Vec<TrainTest> {
    let split = |fold: usize| {
        let (test, train) = (0..groups.len()).partition(|&row| groups[row] % FOLDS == fold);
        TrainTest { train, test }
    };
    (0..FOLDS).map(split).collect()
}

fn read(folder: &Path) -> Result<Products> {
    #[derive(serde::Deserialize)]
    struct Row {
        designation: String,
        description: String,
        productid: String,
        imageid: String,
    }
    #[derive(serde::Deserialize)]
    struct Label {
        prdtypecode: u32,
    }
    let rows: Vec<Row> =
        csv::Reader::from_path(folder.join("X_train.csv"))?.deserialize().collect::<std::result::Result<_, _>>()?;
    let codes: Vec<Label> =
        csv::Reader::from_path(folder.join("Y_train.csv"))?.deserialize().collect::<std::result::Result<_, _>>()?;
    let classes: BTreeSet<u32> = codes.iter().map(|label| label.prdtypecode).collect();
    let classes: Vec<u32> = classes.into_iter().collect();
    let labels: Vec<usize> =
        codes.iter().map(|label| classes.partition_point(|class| *class < label.prdtypecode)).collect();
    let mut seen = HashMap::new();
    let mut group = |row: &Row| {
        let next = seen.len();
        *seen.entry(row.productid.clone()).or_insert(next)
    };
    let groups = rows.iter().map(&mut group).collect();
    let column = |text: fn(&Row) -> &str| {
        let present = |row: &Row| Some(text(row)).filter(|text| !text.is_empty()).map(Arc::from);
        Column::Text(rows.iter().map(present).collect())
    };
    let pixels = |row: &Row| {
        let name = format!("images/image_train/image_{}_product_{}.jpg", row.imageid, row.productid);
        let encoded = std::fs::read(folder.join(name)).ok()?;
        driftmill_vision::pixels(&encoded, SIDE).ok().map(Arc::from)
    };
    let images = Column::Image { side: usize::from(SIDE), pixels: rows.iter().map(pixels).collect() };
    let columns = vec![column(|row| &row.designation), column(|row| &row.description), images];
    Ok(Products {
        table: Table::new(rows.len(), columns)?,
        target: Target::Classes { labels: Array1::from(labels.clone()), n_classes: classes.len() },
        labels,
        groups,
    })
}
