//! Dandelion or grass: stratified 5-fold accuracy of classical features, of the network, and of both, with 95 % intervals of a
//! bootstrap over images.
//!
//! ```text
//! DRIFTMILL_DATA=../shared/data cargo run -p driftmill-vision --release --example dandelion [-- SIDE [SEED]]
//! ```

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use driftmill_models::bootstrap::Bootstrap;
use driftmill_models::{Algorithm, split};
use driftmill_vision::{CnnParams, Epoch, descriptors, pixels};
use linfa::Dataset;
use ndarray::{Array1, Array2};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Probability of class 1 for each row.
type Column = Vec<f64>;

const FOLDS: usize = 5;
const CLASSES: [&str; 2] = ["dandelion", "grass"];

fn main() -> Result<()> {
    let folder = std::env::var("DRIFTMILL_DATA").unwrap_or_else(|_| "../shared/data".to_owned());
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u16>());
    let side = arguments.next().transpose()?.unwrap_or(64);
    let seed = u64::from(arguments.next().transpose()?.unwrap_or(0));
    let (images, labels) = read(&Path::new(&folder).join("dandelion"), side)?;
    let side = usize::from(side);
    println!("{} images, side {side}, seed {seed}", images.len());
    let features: Vec<Vec<f64>> = images.iter().map(|image| descriptors(image, side)).collect();
    let classical: Vec<(&str, Algorithm)> = [
        ("logistic_regression", json!({"C": 0.03, "standardize": true, "max_iter": 2000})),
        ("gradient_boosting", json!({"n_estimators": 200, "learning_rate": 0.05, "max_depth": 3})),
        ("random_forest", json!({"n_estimators": 400})),
    ]
    .into_iter()
    .map(|(name, params)| Ok((name, Algorithm::from_spec(name, params.as_object().ok_or("an object")?)?)))
    .collect::<Result<_>>()?;
    let mut columns: Vec<(String, Column)> = Vec::new();
    for (name, algorithm) in &classical {
        let column = cross_validated(&labels, seed, |train, test| {
            let rows = |rows: &[usize]| {
                let values = rows.iter().flat_map(|&row| features[row].iter().copied()).collect();
                Array2::from_shape_vec((rows.len(), features[0].len()), values)
            };
            let targets = Array1::from_iter(train.iter().map(|&row| labels[row]));
            let model = algorithm.fit(&Dataset::new(rows(train)?, targets), 2, seed)?;
            rows(test)?
                .rows()
                .into_iter()
                .map(|row| {
                    let mut out = [0.0; 2];
                    model.predict_proba_into(row.as_slice().ok_or("a row")?, &mut out)?;
                    Ok(out[1])
                })
                .collect()
        })?;
        report(name, &column, &labels, seed)?;
        columns.push(((*name).to_owned(), column));
    }
    let network = cross_validated(&labels, seed, |train, test| {
        let pick = |rows: &[usize]| rows.iter().map(|&row| images[row].as_slice()).collect::<Vec<_>>();
        let targets: Vec<usize> = train.iter().map(|&row| labels[row]).collect();
        let started = Instant::now();
        let mut last = None;
        let cnn = CnnParams::default().seed(seed).fit(&pick(train), side, &targets, 2, &mut |epoch: &Epoch| {
            last = Some(epoch.clone());
            ControlFlow::Continue(())
        })?;
        let seconds = started.elapsed().as_secs_f64();
        let column: Column = cnn.predict_proba(&pick(test), None)?.chunks_exact(2).map(|row| row[1]).collect();
        let right = column.iter().zip(test).filter(|(column, row)| (**column > 0.5) == (labels[**row] == 1)).count();
        println!("    {seconds:.0} s, accuracy {:.4}, {last:?}", right as f64 / test.len() as f64);
        Ok(column)
    })?;
    report("CNN", &network, &labels, seed)?;
    for (name, column) in &columns {
        let mean: Column = column.iter().zip(&network).map(|(a, b)| (a + b) / 2.0).collect();
        report(&format!("mean of CNN and {name}"), &mean, &labels, seed)?;
    }
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let started = Instant::now();
    let cnn = CnnParams::default().seed(seed).fit(&images, side, &labels, 2, &mut |_| ControlFlow::Continue(()))?;
    println!("one training on all images: {:.0} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    cnn.predict_proba(&images, Some(1))?;
    println!("one prediction: {:.1} ms", started.elapsed().as_secs_f64() * 1e3 / images.len() as f64);
    Ok(())
}

/// Predicts every row by what was fitted to the other folds.
fn cross_validated(
    labels: &[usize],
    seed: u64,
    mut fit: impl FnMut(&[usize], &[usize]) -> Result<Column>,
) -> Result<Column> {
    let mut column = vec![0.0; labels.len()];
    for fold in split::stratified_k_fold(labels, FOLDS, seed)? {
        for (row, probability) in fold.test.iter().zip(fit(&fold.train, &fold.test)?) {
            column[*row] = probability;
        }
    }
    Ok(column)
}

fn report(name: &str, column: &[f64], labels: &[usize], seed: u64) -> Result<()> {
    let right = |row: usize| (column[row] > 0.5) == (labels[row] == 1);
    let folds = split::stratified_k_fold(labels, FOLDS, seed)?;
    let accuracy = |rows: &[usize]| rows.iter().filter(|row| right(**row)).count() as f64 / rows.len() as f64;
    let each: Vec<String> = folds.iter().map(|fold| format!("{:.3}", accuracy(&fold.test))).collect();
    let all: Vec<usize> = (0..labels.len()).collect();
    let loss: f64 = all.iter().map(|&row| if labels[row] == 1 { column[row] } else { 1.0 - column[row] }.ln()).sum();
    let interval = Bootstrap::default().interval(all.len(), |rows| Ok::<_, String>(accuracy(rows)))?;
    println!(
        "{name}: accuracy {:.4} [{:.4}, {:.4}] (folds {}), log loss {:.3}",
        interval.estimate,
        interval.lower,
        interval.upper,
        each.join(" "),
        -loss / all.len() as f64
    );
    Ok(())
}

fn read(folder: &Path, side: u16) -> Result<(Vec<Vec<u8>>, Vec<usize>)> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for (label, class) in CLASSES.into_iter().enumerate() {
        let mut paths: Vec<_> =
            std::fs::read_dir(folder.join(class))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        paths.sort();
        for path in paths {
            let image = pixels(&std::fs::read(&path)?, side).map_err(|error| format!("{}: {error}", path.display()))?;
            images.push(image);
            labels.push(label);
        }
    }
    Ok((images, labels))
}
