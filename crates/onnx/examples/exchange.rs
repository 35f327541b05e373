//! Models for a check against ONNX Runtime, which `scripts/onnx-check.sh` runs.
//!
//! `exchange FOLDER` fits each algorithm to seeded rows and writes, a folder each, the exported model, rows and our answers.
//! `exchange --import FOLDER` reads the model and the rows of each folder in there and writes our answers.

#![allow(clippy::unwrap_used)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::{env, fs};

use driftmill_models::parts::{Node, Parts, Rule};
use driftmill_models::{Column, Estimator, FeatureKind, Learner, Table, Target, Task};
use driftmill_onnx::{Names, export, import};
use ndarray::{Array1, Array2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const ROWS: usize = 600;
const COLOURS: [&str; 6] = ["red", "green", "blue", "amber", "", "violet"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--import", folder] => import_all(Path::new(folder)),
        [folder] => export_all(Path::new(folder)),
        _ => Err("usage: exchange [--import] FOLDER".into()),
    }
}

/// Rows with gaps and, if asked, a feature of categories between the numbers.
fn table(with_colours: bool, rng: &mut ChaCha8Rng) -> (Table, Array2<f64>) {
    let mut numbers = Array2::from_shape_fn((ROWS, 4), |(_, column)| match column {
        0 => rng.random_range(-3.0..3.0),
        1 => f64::from(rng.random_range(0..12)),
        2 => 1e5 * rng.random_range(1.0..2.0),
        _ => rng.random_range(0.0_f64..1.0).powi(6),
    });
    for row in 0..ROWS {
        if rng.random_bool(0.1) {
            numbers[(row, row % 4)] = f64::NAN;
        }
    }
    let mut columns: Vec<Column> =
        numbers.columns().into_iter().map(|column| Column::Number(column.to_vec())).collect();
    if with_colours {
        let colour = |_| rng.random_bool(0.9).then(|| Arc::from(COLOURS[rng.random_range(0..COLOURS.len())]));
        columns.insert(1, Column::Text((0..ROWS).map(colour).collect()));
    }
    (Table::new(ROWS, columns).unwrap(), numbers)
}

fn kinds(table: &Table) -> Vec<(String, FeatureKind)> {
    let kind = |column: &Column| match column {
        Column::Text(_) => FeatureKind::Category,
        _ => FeatureKind::Number,
    };
    table.columns().iter().enumerate().map(|(place, column)| (format!("feature {place}"), kind(column))).collect()
}

fn target(table: &Table, numbers: &Array2<f64>, n_classes: usize, rng: &mut ChaCha8Rng) -> Target {
    let colour = |row: usize| match &table.columns()[1] {
        Column::Text(texts) => texts[row].as_ref().map_or(0.0, |text| text.len() as f64 - 3.0),
        _ => 0.0,
    };
    let or_0 = |value: f64| if value.is_nan() { 0.0 } else { value };
    let values = Array1::from_shape_fn(ROWS, |row| {
        let of_row = numbers.row(row).mapv(or_0);
        of_row[0] * of_row[0] + (of_row[1] % 3.0) + of_row[2] / 1e5 + colour(row) + rng.random_range(-0.5..0.5)
    });
    match n_classes {
        0 => Target::Values(values * 1e5),
        _ => {
            let class = |value: &f64| (value.max(0.0) as usize * n_classes / 8).min(n_classes - 1);
            Target::Classes { labels: values.iter().map(class).collect(), n_classes }
        }
    }
}

fn export_all(folder: &Path) -> Result<(), Box<dyn Error>> {
    let trees = json!({"n_estimators": 30});
    let cases = [
        ("constant", json!({}), vec![0, 2]),
        ("decision_tree", json!({}), vec![2, 4]),
        ("random_forest", trees.clone(), vec![0, 2, 4]),
        ("gradient_boosting", trees, vec![0, 2, 4]),
        ("logistic_regression", json!({}), vec![2, 4]),
        ("linear_regression", json!({}), vec![0]),
        ("ridge", json!({}), vec![0]),
        ("lasso", json!({}), vec![0]),
        ("elastic_net", json!({}), vec![0]),
    ];
    for (algorithm, params, tasks) in cases {
        for n_classes in tasks {
            for with_colours in [false, true] {
                let name = match n_classes {
                    0 => format!("{algorithm} of values"),
                    _ => format!("{algorithm} of {n_classes} classes"),
                };
                let name = if with_colours { name + ", with categories" } else { name };
                let mut rng = ChaCha8Rng::seed_from_u64(7);
                let (table, numbers) = table(with_colours, &mut rng);
                let target = target(&table, &numbers, n_classes, &mut rng);
                let learner = Learner::from_spec(algorithm, params.as_object().unwrap(), &kinds(&table))?;
                let estimator = learner.fit(&table, &target, 1, &mut |_| std::ops::ControlFlow::Continue(()))?;
                write_case(&folder.join(name), &estimator, &at_thresholds(&estimator, &table))?;
            }
        }
    }
    Ok(())
}

/// The rows, some with a number that is a threshold of the model, or next to one.
fn at_thresholds(estimator: &Estimator, table: &Table) -> Table {
    let (model, _) = estimator.tabular().unwrap();
    let trees = match model.to_parts() {
        Parts::DecisionTree { tree, .. } => vec![tree],
        Parts::RandomForest { trees, .. } | Parts::GradientBoosting { trees, .. } => trees,
        _ => vec![],
    };
    let split = |node: &Node| match node {
        Node::Split { feature, rule: Rule::Threshold(threshold), .. } => Some((*feature, *threshold)),
        _ => None,
    };
    let thresholds = trees.iter().flatten().filter_map(split).filter(|(_, threshold)| threshold.is_finite());
    let mut columns = table.columns().to_vec();
    for (row, (feature, threshold)) in thresholds.take(ROWS / 2).enumerate() {
        // Trees have one column per feature.
        if let Some(Column::Number(values)) = columns.get_mut(feature) {
            values[row] = [threshold, threshold.next_up(), threshold.next_down()][row % 3];
        }
    }
    Table::new(ROWS, columns).unwrap()
}

fn write_case(folder: &Path, estimator: &Estimator, table: &Table) -> Result<(), Box<dyn Error>> {
    let features: Vec<String> = kinds(table).into_iter().map(|(name, _)| name).collect();
    let n_classes = if estimator.task() == Task::Regression { 0 } else { estimator.n_outputs() };
    let classes = (0..n_classes).map(|class| format!("class {class}")).collect();
    let names = Names { features: features.clone(), classes, ..Names::default() };
    let numbers: Vec<&Vec<f64>> = (table.columns().iter())
        .filter_map(|column| match column {
            Column::Number(values) => Some(values),
            _ => None,
        })
        .collect();
    let rows: Vec<Vec<f64>> = (0..table.rows()).map(|row| numbers.iter().map(|values| values[row]).collect()).collect();
    let texts: serde_json::Map<String, Value> = features
        .iter()
        .zip(table.columns())
        .filter_map(|(name, column)| match column {
            Column::Text(texts) => {
                Some((name.clone(), json!(texts.iter().map(|text| text.as_deref()).collect::<Vec<_>>())))
            }
            _ => None,
        })
        .collect();
    fs::create_dir_all(folder)?;
    fs::write(folder.join("model.onnx"), export(estimator, &names)?)?;
    fs::write(folder.join("rows.json"), json!({"rows": rows, "texts": texts}).to_string())?;
    write_answers(folder, estimator, table, &names.classes)
}

fn write_answers(
    folder: &Path,
    estimator: &Estimator,
    table: &Table,
    classes: &[String],
) -> Result<(), Box<dyn Error>> {
    let outputs = estimator.outputs(table)?;
    let outputs: Vec<Vec<f64>> = outputs.rows().into_iter().map(|row| row.to_vec()).collect();
    let answers = json!({"algorithm": estimator.algorithm(), "classes": classes, "outputs": outputs});
    Ok(fs::write(folder.join("answers.json"), answers.to_string())?)
}

fn import_all(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut cases: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    cases.sort_by_key(fs::DirEntry::file_name);
    for case in cases {
        let folder = case.path();
        let imported = match import(&fs::read(folder.join("model.onnx"))?) {
            Ok(imported) => imported,
            Err(error) => {
                fs::write(folder.join("answers.json"), json!({"refused": error.to_string()}).to_string())?;
                continue;
            }
        };
        let given: Value = serde_json::from_slice(&fs::read(folder.join("rows.json"))?)?;
        let rows: Vec<Vec<Option<f64>>> = serde_json::from_value(given["rows"].clone())?;
        let records =
            Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| rows[row][column].unwrap_or(f64::NAN));
        write_answers(&folder, &imported.estimator, &Table::of_numbers(records.view()), &imported.classes)?;
    }
    Ok(())
}
