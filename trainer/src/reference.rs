//! The reference profile that goes with a model: what its training rows looked like, and what it answers on rows that it has
//! not seen.

use driftmill_drift::history::{self, Wanted};
use driftmill_drift::performance::{Baseline, Probabilities};
use driftmill_drift::reference::{CONFIDENCE, LABEL, PREDICTION};
use driftmill_drift::{ReferenceProfile, Values, reference};
use driftmill_features::aspects;
use driftmill_models::estimator::most_probable;
use driftmill_models::{Column, Table, Target, Task};
use driftmill_schemas::pipeline::{Feature, FeatureType, Pipeline};
use ndarray::Array2;
use tracing::warn;

use crate::Rows;
use crate::fit::Fitted;

/// The profile of `rows` and of the answers on the rows that judged `fitted`, as JSON.
pub fn of(pipeline: &Pipeline, rows: &Rows, fitted: &Fitted) -> Result<Vec<u8>, String> {
    let mut profile = ReferenceProfile { rows: rows.len() as u64, ..ReferenceProfile::default() };
    for (feature, column) in pipeline.features.iter().zip(rows.table.columns()) {
        profile = with_feature(profile, feature, column).map_err(|e| e.to_string())?;
        if let (true, Column::Number(values)) = (pipeline.drift.seasonal.contains(&feature.name), column) {
            profile = profile.with_hours(&feature.name, values, &rows.times);
        }
    }
    profile = with_target(profile, LABEL, &rows.target, &rows.classes).map_err(|e| e.to_string())?;
    profile = with_answers(profile, pipeline, fitted, &rows.classes)?;
    // A model serves without it, too: what follows makes what is said of its drift better.
    if let Err(error) = calibrate(&mut profile, pipeline, rows) {
        warn!(pipeline = pipeline.name, error, "the reference is not calibrated");
    }
    serde_json::to_vec(&profile).map_err(|e| e.to_string())
}

/// Calibrates on the newest rows, in the order in which they happened.
fn calibrate(profile: &mut ReferenceProfile, pipeline: &Pipeline, rows: &Rows) -> Result<(), String> {
    let drift = &pipeline.drift;
    if !drift.calibrate {
        return Ok(());
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&row| (rows.times[row], rows.positions[row]));
    let newest = &order[order.len().saturating_sub(history::MOST_ROWS)..];
    let newest = rows.table.select(newest);
    let mut texts: Vec<Vec<Option<&str>>> = Vec::new();
    for (feature, column) in pipeline.features.iter().zip(newest.columns()) {
        if let (FeatureType::Category, Column::Text(values)) = (feature.kind, column) {
            texts.push(values.iter().map(Option::as_deref).collect());
        }
    }
    let mut categories = texts.iter();
    let mut columns: Vec<(&str, Values<'_>)> = Vec::new();
    for (feature, column) in pipeline.features.iter().zip(newest.columns()) {
        match column {
            Column::Number(values) => columns.push((&feature.name, values.as_slice().into())),
            Column::Text(_) if feature.kind == FeatureType::Category => {
                columns.extend(categories.next().map(|values| (feature.name.as_str(), Values::Categories(values))));
            }
            _ => {}
        }
    }
    let aspects = aspects_of(pipeline, &newest);
    columns.extend(aspects.iter().map(|(name, values)| (name.as_str(), Values::Numbers(values))));
    let target = rows.target.select(&order[order.len() - newest.rows()..]);
    let (values, names) = match &target {
        Target::Values(values) => (values.to_vec(), Vec::new()),
        Target::Classes { labels, .. } => {
            (Vec::new(), labels.iter().map(|label| rows.classes.get(*label).map(String::as_str)).collect())
        }
    };
    let label = if names.is_empty() { Values::Numbers(&values) } else { Values::Categories(&names) };
    columns.push((LABEL, label));
    let wanted = Wanted {
        alpha: drift.alpha,
        window_rows: usize::try_from(drift.window_rows).unwrap_or(usize::MAX),
        alarms_per_100k: drift.alarms_per_100k,
        seed: pipeline.training.seed,
    };
    history::calibrate(profile, &columns, &wanted).map_err(|e| e.to_string())
}

/// What is counted of texts and images, a value a row: columns with gaps are left out, as those of all features are drawn
/// together.
fn aspects_of(pipeline: &Pipeline, table: &Table) -> Vec<(String, Vec<f64>)> {
    let of = |(feature, column): (&Feature, &Column)| {
        let columns = match column {
            Column::Text(texts) if feature.kind == FeatureType::Text => {
                aspects::of_texts(texts.iter().map(Option::as_deref))
            }
            Column::Image { pixels, .. } => aspects::of_images(pixels.iter().map(Option::as_deref)),
            _ => Vec::new(),
        };
        aspects::names(&feature.name, feature.kind).into_iter().zip(columns).collect::<Vec<_>>()
    };
    let all = pipeline.features.iter().zip(table.columns()).flat_map(of);
    all.filter(|(_, values)| values.len() == table.rows()).collect()
}

fn with_feature(
    mut profile: ReferenceProfile,
    feature: &Feature,
    column: &Column,
) -> Result<ReferenceProfile, reference::Error> {
    let names = aspects::names(&feature.name, feature.kind);
    let columns = match column {
        Column::Number(values) => return profile.with(&feature.name, values.as_slice().into()),
        Column::Text(texts) if feature.kind == FeatureType::Category => {
            let categories: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
            return profile.with(&feature.name, Values::Categories(&categories));
        }
        Column::Text(texts) => aspects::of_texts(texts.iter().map(Option::as_deref)),
        Column::Image { pixels, .. } => aspects::of_images(pixels.iter().map(Option::as_deref)),
    };
    for (name, values) in names.iter().zip(&columns) {
        profile = profile.with(name, values.as_slice().into())?;
    }
    Ok(profile)
}

fn with_target(
    profile: ReferenceProfile,
    name: &str,
    target: &Target,
    classes: &[String],
) -> Result<ReferenceProfile, reference::Error> {
    match target {
        Target::Values(values) => profile.with(name, Values::Numbers(&values.to_vec())),
        Target::Classes { labels, .. } => {
            let named: Vec<Option<&str>> = labels.iter().map(|label| classes.get(*label).map(String::as_str)).collect();
            profile.with(name, Values::Categories(&named))
        }
    }
}

/// What the model answers on rows that it did not learn from, how sure it is, and how right. A forecaster's answers hang on what
/// came before them: they have no reference.
fn with_answers(
    mut profile: ReferenceProfile,
    pipeline: &Pipeline,
    fitted: &Fitted,
    classes: &[String],
) -> Result<ReferenceProfile, String> {
    let model = fitted.judged.as_ref().unwrap_or(&fitted.model);
    if model.forecaster().is_some() || fitted.test.is_empty() {
        return Ok(profile);
    }
    let table = &fitted.test.table;
    match (model.task(), &fitted.test.target) {
        (Task::Regression, Target::Values(truths)) => {
            let values = model.values(table).map_err(|e| e.to_string())?.to_vec();
            let baseline = Baseline::of_values(&values, &truths.to_vec(), ALPHA).map_err(|e| e.to_string());
            profile.performance = kept(pipeline, baseline);
            profile.with(PREDICTION, Values::Numbers(&values)).map_err(|e| e.to_string())
        }
        (Task::Classification { n_classes }, Target::Classes { labels: truths, .. }) => {
            let outputs = model.outputs(table).map_err(|e| e.to_string())?;
            let labels = most_probable(outputs.view());
            let baseline = baseline(pipeline, classes, &outputs, &labels.to_vec(), &truths.to_vec());
            profile.performance = kept(pipeline, baseline);
            let sure: Vec<f64> = outputs.rows().into_iter().map(|row| row.fold(0.0, |a: f64, b| a.max(*b))).collect();
            with_target(profile, PREDICTION, &Target::Classes { labels, n_classes }, classes)
                .and_then(|profile| profile.with(CONFIDENCE, Values::Numbers(&sure)))
                .map_err(|e| e.to_string())
        }
        _ => Ok(profile),
    }
}

/// A model with a single class, for example, has no performance to speak of.
fn kept(pipeline: &Pipeline, baseline: Result<Baseline, String>) -> Option<Baseline> {
    baseline
        .inspect_err(|error| {
            warn!(pipeline = pipeline.name, error, "the model's performance is not kept with its reference")
        })
        .ok()
}

/// Of what is told of performance, so much is wrong.
const ALPHA: f64 = 0.05;

fn baseline(
    pipeline: &Pipeline,
    classes: &[String],
    outputs: &Array2<f64>,
    answers: &[usize],
    truths: &[usize],
) -> Result<Baseline, String> {
    // The library takes the last of two classes for the positive one.
    let swap = classes.len() == 2 && pipeline.label.positive_index() == 0;
    let place = |class: usize| if swap { 1 - class } else { class };
    let ordered: Vec<f64> =
        outputs.rows().into_iter().flat_map(|row| (0..row.len()).map(move |class| row[place(class)])).collect();
    let named: Vec<String> = (0..classes.len()).map(|class| classes[place(class)].clone()).collect();
    let of = |all: &[usize]| -> Vec<usize> { all.iter().map(|class| place(*class)).collect() };
    let told = Probabilities::new(classes.len(), &ordered)
        .and_then(|probabilities| Baseline::of_classes(&named, &probabilities, &of(answers), &of(truths), ALPHA));
    told.map_err(|e| e.to_string())
}
