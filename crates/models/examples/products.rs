//! Classification of products measured, by text, by image and by both: five folds grouped by product.
//!
//! ```text
//! cargo run --release -p driftmill-models --example products -- <folder with X_train.csv, Y_train.csv and images> [FOLDS]
//! ```
//! `X_train.csv` has columns `designation`, `description`, `productid` and `imageid`, `Y_train.csv` has `prdtypecode`; an image
//! is `images/image_train/image_<imageid>_product_<productid>.jpg`. Products are
//! dealt to the folds in turn, in the order in which they first appear; as that is one way of many, the mean over three
//! random ones is told as well. Scores are of all held-out predictions together; intervals (95 %) draw whole products.
//! FOLDS is a file to write the folds and what was predicted on them to, for `products_peer.py` beside this example.

#![allow(clippy::disallowed_methods, reason = "an example has no clock injected")]

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use driftmill_models::bootstrap::{Bootstrap, Interval, Resampling};
use driftmill_models::metrics::{self, Average};
use driftmill_models::split::TrainTest;
use driftmill_models::validation::{cross_validate, folds};
use driftmill_models::{Column, FeatureKind, Learner, Table, Target};
use ndarray::Array1;
use serde_json::{Value, json};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const FOLDS: usize = 5;
/// That of the pipeline.
const SEED: u64 = 42;
/// What deals the other folds.
const OTHERS: std::ops::RangeInclusive<u64> = 1..=3;
const SIDE: u16 = 64;

struct Products {
    table: Table,
    labels: Vec<usize>,
    target: Target,
    /// The product of each row.
    groups: Vec<usize>,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder holds X_train.csv and Y_train.csv?")?;
    let products = read(Path::new(&folder))?;
    let groups = products.groups.iter().max().map_or(0, |last| last + 1);
    println!("{} rows of {groups} products, {} classes", products.labels.len(), products.target.task().n_outputs());
    let text = json!({ "algorithm": "text_classifier", "params": { "strip_html": true } });
    let boosted = json!({ "estimator": "gradient_boosting", "params": { "n_estimators": 60, "max_leaf_nodes": 8, "min_samples_leaf": 5 } });
    let fusion = |image: Value, weights: Value| json!({ "members": [text, image], "weights": weights });
    let image = |params: Value| json!({ "algorithm": "image_classifier", "params": params });
    let measure = |(name, algorithm, params): (&'static str, &str, Value)| {
        measure(name, &products, algorithm, &params).map(|predicted| (name, predicted))
    };
    let pipeline = [
        ("text", "text_classifier", text["params"].clone()),
        ("image", "image_classifier", json!({})),
        ("fusion", "late_fusion", fusion(image(json!({})), json!("fitted"))),
        ("text, HTML kept", "text_classifier", json!({})),
    ];
    println!("\nas in the pipeline, and with the HTML kept");
    let predicted = pipeline.into_iter().map(measure).collect::<Result<Vec<_>>>()?;
    let difference =
        products.interval(|rows| Ok(products.f1(&predicted[2].1, rows)? - products.f1(&predicted[0].1, rows)?))?;
    println!("fusion - text: {}", signed(difference));
    if let Some(path) = arguments.next() {
        std::fs::write(path, serde_json::to_string(&told(&products, predicted)?)?)?;
    }
    println!("\nin other ways");
    let variants = [
        ("fusion, HTML kept", "late_fusion", json!({"members": [{"algorithm": "text_classifier"}, image(json!({}))]})),
        ("image, boosted", "image_classifier", boosted.clone()),
        ("fusion, equal weights", "late_fusion", fusion(image(json!({})), json!([1, 1]))),
        ("fusion, image boosted", "late_fusion", fusion(image(boosted), json!("fitted"))),
        ("text, HTML kept, C = 0.3", "text_classifier", json!({"C": 0.3})),
        ("text, HTML kept, temperature", "text_classifier", json!({"calibration": "temperature"})),
        ("text, HTML kept, without class weights", "text_classifier", json!({"class_weight": null})),
        ("text, HTML kept, characters within words", "text_classifier", json!({"analyzer": "char_wb"})),
        ("text, HTML kept, words and characters within them", "text_classifier", json!({"analyzer": "both"})),
        ("text, HTML kept, words and pairs of them", "text_classifier", json!({"analyzer": "word"})),
        ("text, words and pairs of them", "text_classifier", json!({"analyzer": "word", "strip_html": true})),
    ];
    variants.into_iter().try_for_each(|variant| measure(variant).map(drop))
}

impl Products {
    /// Weighted F1 of some rows.
    fn f1(&self, predicted: &[usize], rows: &[usize]) -> Result<f64, metrics::Error> {
        let of = |all: &[usize]| rows.iter().map(|&row| all[row]).collect::<Vec<_>>();
        Ok(metrics::averaged(&of(&self.labels), &of(predicted), Average::Weighted)?.f1)
    }

    /// Variants of a product are right or wrong together, so products are drawn and not rows.
    fn interval(&self, metric: impl Fn(&[usize]) -> Result<f64, metrics::Error> + Sync) -> Result<Interval> {
        let bootstrap = Bootstrap { resampling: Resampling::Groups(&self.groups), seed: SEED, ..Bootstrap::default() };
        Ok(bootstrap.interval(self.labels.len(), metric)?)
    }

    fn folds(&self, seed: u64) -> Result<Vec<TrainTest>> {
        Ok(folds(&self.target, Some(&self.groups), FOLDS, seed)?)
    }
}

/// Labels, products, folds (the rows that each tests) and what was predicted when they were dealt in turn.
fn told(products: &Products, predicted: Vec<(&str, Vec<usize>)>) -> Result<Value> {
    let tested = |splits: Vec<TrainTest>| splits.into_iter().map(|split| split.test).collect::<Vec<_>>();
    let others = OTHERS.map(|seed| Ok(tested(products.folds(seed)?))).collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "labels": products.labels,
        "groups": products.groups,
        "in_turn": tested(in_turn(&products.groups)),
        "others": others,
        "predicted": predicted.into_iter().collect::<HashMap<_, _>>(),
    }))
}

/// Prints how good an algorithm is, and answers what it predicted when the products were dealt in turn.
fn measure(name: &str, products: &Products, algorithm: &str, params: &Value) -> Result<Vec<usize>> {
    let features = [("text".to_owned(), FeatureKind::Text), ("image".to_owned(), FeatureKind::Image { side: SIDE })];
    let params = params.as_object().ok_or("parameters are an object")?;
    let learner = Learner::from_spec(algorithm, params, &features)?;
    let all: Vec<usize> = (0..products.labels.len()).collect();
    let predict = |splits: &[TrainTest]| -> Result<(Vec<usize>, f64)> {
        let Products { table, labels, target, groups } = products;
        let proba = cross_validate(&learner, table, target, Some(groups), splits, SEED)?;
        let best = |row: ndarray::ArrayView1<'_, f64>| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
        let predicted = proba.rows().into_iter().map(|row| best(row).unwrap_or(0)).collect();
        Ok((predicted, metrics::log_loss(labels, proba.view())?))
    };
    let started = Instant::now();
    let (predicted, loss) = predict(&in_turn(&products.groups))?;
    let seconds = started.elapsed().as_secs_f64();
    let mut others = 0.0;
    for seed in OTHERS {
        others += products.f1(&predict(&products.folds(seed)?)?.0, &all)? / OTHERS.count() as f64;
    }
    let Interval { estimate, lower, upper } = products.interval(|rows| products.f1(&predicted, rows))?;
    println!(
        "{name}: weighted F1 {estimate:.4} [{lower:.4}, {upper:.4}], accuracy {:.4}, log loss {loss:.4}, {seconds:.1} s; \
         other folds: weighted F1 {others:.4}",
        metrics::accuracy(&products.labels, &predicted)?,
    );
    Ok(predicted)
}

fn signed(difference: Interval) -> String {
    format!("{:+.4} [{:+.4}, {:+.4}]", difference.estimate, difference.lower, difference.upper)
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
    // As the pipeline's SQL joins them.
    let text = |row: &Row| Some(Arc::from(format!("{}. {}", row.designation, row.description)));
    let pixels = |row: &Row| {
        let name = format!("images/image_train/image_{}_product_{}.jpg", row.imageid, row.productid);
        let encoded = std::fs::read(folder.join(name)).ok()?;
        driftmill_vision::pixels(&encoded, SIDE).ok().map(Arc::from)
    };
    let images = Column::Image { side: usize::from(SIDE), pixels: rows.iter().map(pixels).collect() };
    let columns = vec![Column::Text(rows.iter().map(text).collect()), images];
    Ok(Products {
        table: Table::new(rows.len(), columns)?,
        target: Target::Classes { labels: Array1::from(labels.clone()), n_classes: classes.len() },
        labels,
        groups,
    })
}
