//! How good a model is on rows it has never seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use driftmill_models::bootstrap::{Bootstrap, Resampling};
use driftmill_models::estimator::most_probable;
use driftmill_models::metrics::report::{
    ClassificationData, ClassificationReport, RegressionData, RegressionReport, Report, Slice,
};
use driftmill_models::{Column, Estimator, Target};
use driftmill_schemas::pipeline::Pipeline;
use ndarray::Array2;

use crate::fit::Fault;
use crate::{Error, Rows};

/// A feature with more values than this is cut into quarters instead of one slice a value.
const MOST_SLICES: usize = 12;

/// Measures `model` on `rows`, every metric with its bootstrap interval, over all rows and over the slices of each feature
/// that `slice_by` names: one a value, or quarters of the rows when it has many.
///
/// # Errors
/// When there are no rows, when they do not fit the model, or `slice_by` names no feature that has values to slice by.
pub fn evaluate(model: &Estimator, rows: &Rows, pipeline: &Pipeline, slice_by: &[String]) -> Result<Report, Error> {
    let failed = |error: Fault| Error::Fit { pipeline: pipeline.name.clone(), error };
    let slices = slices_by(slice_by, rows, pipeline)?;
    if rows.is_empty() {
        return Err(Error::TooFewRows { pipeline: pipeline.name.clone(), have: 0, need: 1 });
    }
    let outputs = model.outputs(&rows.table).map_err(|error| failed(error.into()))?;
    report(rows, &outputs, pipeline, &slices).map_err(failed)
}

/// The same for what was answered: rows × outputs. Where rows of one entity resemble each other, intervals are those of
/// entities.
pub(crate) fn report(
    rows: &Rows,
    outputs: &Array2<f64>,
    pipeline: &Pipeline,
    slices: &[Slice],
) -> Result<Report, Fault> {
    let groups = rows.groups_of(pipeline);
    let bootstrap = Bootstrap {
        seed: pipeline.training.seed,
        confidence: pipeline.promotion.confidence,
        resampling: groups.as_deref().map_or(Resampling::Rows, Resampling::Groups),
        ..Bootstrap::default()
    };
    let report = match &rows.target {
        Target::Classes { labels, .. } => {
            let predicted = most_probable(outputs.view()).to_vec();
            let data = ClassificationData {
                classes: &pipeline.label.classes,
                truth: &labels.to_vec(),
                predicted: &predicted,
                proba: Some(outputs.view()),
                positive: pipeline.label.positive_index(),
            };
            ClassificationReport::new(&data, slices, &bootstrap).map(Report::from)
        }
        Target::Values(truth) => {
            let predicted = outputs.column(0).to_vec();
            let data = RegressionData { truth: &truth.to_vec(), predicted: &predicted, interval: None, training: None };
            RegressionReport::new(&data, slices, &bootstrap).map(Report::from)
        }
    };
    Ok(report?)
}

/// The slices of the rows by each of these features.
pub(crate) fn slices_by(features: &[String], rows: &Rows, pipeline: &Pipeline) -> Result<Vec<Slice>, Error> {
    let mut slices = Vec::new();
    for name in features {
        let index = pipeline.features.iter().position(|feature| feature.name == *name);
        let index = index.ok_or_else(|| {
            let known = pipeline.features.iter().map(|feature| feature.name.as_str());
            let hint = driftmill_schemas::name::did_you_mean(name, known);
            Error::NoFeature { pipeline: pipeline.name.clone(), feature: format!("{name}`{hint}") }
        })?;
        slices.extend(match &rows.table.columns()[index] {
            Column::Number(values) => slices_of(name, values),
            Column::Text(texts) => slices_of_texts(name, texts),
            Column::Image { .. } => {
                let feature = format!("{name}` with values to slice by: it is an image");
                return Err(Error::NoFeature { pipeline: pipeline.name.clone(), feature });
            }
        });
    }
    Ok(slices)
}

/// The slices of a feature of texts: one a text when they are few, else by length.
fn slices_of_texts(name: &str, texts: &[Option<Arc<str>>]) -> Vec<Slice> {
    let distinct: BTreeSet<&str> = texts.iter().flatten().map(|text| &**text).collect();
    if distinct.len() > MOST_SLICES {
        let length = |text: &Option<Arc<str>>| text.as_ref().map_or(f64::NAN, |text| text.chars().count() as f64);
        return slices_of(&format!("length of {name}"), &texts.iter().map(length).collect::<Vec<_>>());
    }
    let slice = |wanted: Option<&str>, name: String| {
        let rows: Vec<usize> = (0..texts.len()).filter(|&row| texts[row].as_deref() == wanted).collect();
        (!rows.is_empty()).then_some(Slice { name, rows })
    };
    let known = distinct.into_iter().map(|text| slice(Some(text), format!("{name} = {text}")));
    known.chain([slice(None, format!("{name} missing"))]).flatten().collect()
}

/// The slices of one feature, ascending, those without a value last.
fn slices_of(name: &str, values: &[f64]) -> Vec<Slice> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let slice = |name: String, belongs: &dyn Fn(f64) -> bool| {
        let rows: Vec<usize> = (0..values.len()).filter(|&row| belongs(values[row])).collect();
        (!rows.is_empty()).then_some(Slice { name, rows })
    };
    let mut slices: Vec<Option<Slice>> = if distinct.len() <= MOST_SLICES {
        distinct.iter().map(|&value| slice(format!("{name} = {value}"), &|other| other == value)).collect()
    } else {
        let edge = |quarter: usize| sorted[(sorted.len() - 1) * quarter / 4];
        let quarter = |quarter: usize| {
            let (low, high) = (edge(quarter), edge(quarter + 1));
            if quarter == 0 {
                slice(format!("{name} <= {high}"), &move |value| value <= high)
            } else {
                slice(format!("{low} < {name} <= {high}"), &move |value| low < value && value <= high)
            }
        };
        (0..4).map(quarter).collect()
    };
    slices.push(slice(format!("{name} missing"), &|value| value.is_nan()));
    slices.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(values: &[f64]) -> Vec<(String, usize)> {
        slices_of("x", values).into_iter().map(|slice| (slice.name, slice.rows.len())).collect()
    }

    #[test]
    fn texts_are_sliced_by_what_they_are_or_by_their_length() {
        let texts = |texts: &[&str]| texts.iter().map(|text| Some(Arc::from(*text))).collect::<Vec<_>>();
        let mut few = texts(&["b", "a", "b"]);
        few.push(None);
        let names: Vec<String> = slices_of_texts("c", &few).into_iter().map(|slice| slice.name).collect();
        assert_eq!(names, ["c = a", "c = b", "c missing"]);
        let many: Vec<Option<Arc<str>>> = (0..40).map(|i| Some("x".repeat(i).into())).collect();
        let slices = slices_of_texts("c", &many);
        assert_eq!((slices.len(), slices[0].name.as_str()), (4, "length of c <= 9"));
    }

    #[test]
    fn few_values_have_a_slice_each_and_many_share_quarters_and_every_row_is_in_one() {
        assert_eq!(
            names(&[2.0, 1.0, f64::NAN, 2.0]),
            [("x = 1".to_owned(), 1), ("x = 2".to_owned(), 2), ("x missing".to_owned(), 1)]
        );
        let many: Vec<f64> = (0..101).map(f64::from).collect();
        let quarters = names(&many);
        assert_eq!(quarters.len(), 4);
        assert_eq!(quarters[1], ("25 < x <= 50".to_owned(), 25));
        assert_eq!(quarters.iter().map(|(_, rows)| rows).sum::<usize>(), 101);
        assert!(names(&[]).is_empty());
        // More than half of the rows share a value: quarters that would be empty are none.
        let heavy: Vec<f64> = (0..100).map(|i| f64::from(if i < 80 { 0 } else { i })).collect();
        assert_eq!(names(&heavy).iter().map(|(_, rows)| rows).sum::<usize>(), 100);
    }
}
