//! Rows in memory: what a model is fitted to and judged by.

use std::collections::HashMap;
use std::sync::Arc;

use driftmill_models::{Column, FeatureKind, Table, Target};
use driftmill_schemas::pipeline::{Feature, FeatureType, Pipeline, SplitBy};
use ndarray::Array1;
use polars::prelude::{DataFrame, DataType, PolarsError, PolarsResult};

/// Classes that a label may have.
const MOST_CLASSES: usize = 10_000;

/// Labelled rows.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Features in the order of the pipeline file.
    pub table: Table,
    /// Class or value of each row.
    pub target: Target,
    /// Names of the classes; none of values.
    pub classes: Vec<String>,
    /// Partition and offset of each row in the raw topic.
    pub positions: Vec<(i32, i64)>,
    /// When each row happened, milliseconds since 1970 UTC.
    pub times: Vec<i64>,
    /// What each row is about, where the pipeline says so.
    pub entities: Vec<Option<Arc<str>>>,
}

/// A feature's kind as models know it.
pub fn kind(feature: &Feature) -> FeatureKind {
    match feature.kind {
        FeatureType::Number => FeatureKind::Number,
        FeatureType::Category => FeatureKind::Category,
        FeatureType::Text => FeatureKind::Text,
        FeatureType::Image => FeatureKind::Image { side: feature.side() },
    }
}

/// Names and kinds of a pipeline's features.
pub fn kinds(pipeline: &Pipeline) -> Vec<(String, FeatureKind)> {
    pipeline.features.iter().map(|feature| (feature.name.clone(), kind(feature))).collect()
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The rows with these numbers.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            table: self.table.select(rows),
            target: self.target.select(rows),
            classes: self.classes.clone(),
            positions: rows.iter().map(|&row| self.positions[row]).collect(),
            times: rows.iter().map(|&row| self.times[row]).collect(),
            entities: rows.iter().map(|&row| self.entities[row].clone()).collect(),
        }
    }

    /// A number for each row, the same for rows of one entity; a row without one is alone.
    pub fn groups(&self) -> Vec<usize> {
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut next = 0;
        let mut number = || {
            next += 1;
            next - 1
        };
        self.entities
            .iter()
            .map(|entity| match entity {
                Some(entity) => *known.entry(entity).or_insert_with(&mut number),
                None => number(),
            })
            .collect()
    }

    /// The same where the pipeline says that rows of one entity resemble each other, and none elsewhere.
    pub fn groups_of(&self, pipeline: &Pipeline) -> Option<Vec<usize>> {
        (pipeline.training.split.by == SplitBy::Entity).then(|| self.groups())
    }

    /// The labelled rows of a frame with `_partition`, `_offset`, `event_time`, `label`, the features and, where there is
    /// one, `entity`.
    pub(crate) fn of_frame(frame: &DataFrame, pipeline: &Pipeline) -> PolarsResult<Self> {
        let rows = frame.height();
        let labels = if rows == 0 { Vec::new() } else { texts(frame, "label")? };
        let classes = classes(&labels, pipeline);
        if classes.len() > MOST_CLASSES {
            let reason = format!(
                "`{}` has {} different values, and a label has {MOST_CLASSES} classes at most: is it a text?",
                pipeline.label.field,
                classes.len()
            );
            return Err(PolarsError::ComputeError(reason.into()));
        }
        let (known, target) = target(&labels, &classes, pipeline);
        let mut columns = Vec::with_capacity(pipeline.features.len());
        for feature in &pipeline.features {
            columns.push(column(frame, feature, &known)?);
        }
        let invalid = |error: driftmill_models::Error| PolarsError::ComputeError(error.to_string().into());
        let table = Table::new(known.len(), columns).map_err(invalid)?;
        let places = position(frame)?;
        let times = integers(frame, "event_time")?;
        let entities = match frame.column("entity") {
            Ok(_) => {
                let texts = texts(frame, "entity")?;
                known.iter().map(|&row| texts[row].clone()).collect()
            }
            Err(_) => vec![None; known.len()],
        };
        Ok(Self {
            table,
            target,
            classes,
            positions: known.iter().map(|&row| places[row]).collect(),
            times: known.iter().map(|&row| times[row]).collect(),
            entities,
        })
    }
}

/// Partition and offset of every row of a frame, with a label or without.
pub(crate) fn position(frame: &DataFrame) -> PolarsResult<Vec<(i32, i64)>> {
    let partitions = integers(frame, "_partition")?;
    let partitions = partitions.into_iter().map(|partition| i32::try_from(partition).unwrap_or_default());
    Ok(partitions.zip(integers(frame, "_offset")?).collect())
}

fn integers(frame: &DataFrame, name: &str) -> PolarsResult<Vec<i64>> {
    if frame.height() == 0 {
        return Ok(Vec::new());
    }
    let column = frame.column(name)?.cast(&DataType::Int64)?;
    Ok(column.i64()?.iter().map(Option::unwrap_or_default).collect())
}

/// The classes of the pipeline file, and where they are open those that the rows have beside them, in the order of numbers and
/// then of texts.
fn classes(labels: &[Option<Arc<str>>], pipeline: &Pipeline) -> Vec<String> {
    let mut classes = pipeline.label.classes.clone();
    if pipeline.label.open {
        let mut others: Vec<&str> = labels.iter().flatten().map(|label| &**label).collect();
        others.sort_unstable_by_key(|label| (label.parse::<i64>().map_or(i64::MAX, |number| number), *label));
        others.dedup();
        others.retain(|label| pipeline.label.class_index(label).is_none());
        classes.extend(others.into_iter().map(str::to_owned));
    }
    classes
}

/// The rows to learn from, and what they are: a class that was taken out of the pipeline file since the row was written is
/// none, nor is a label that is no number where one is wanted.
fn target(labels: &[Option<Arc<str>>], classes: &[String], pipeline: &Pipeline) -> (Vec<usize>, Target) {
    let numbered = labels.iter().enumerate();
    if pipeline.label.is_value() {
        let value = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
        let (known, values): (Vec<usize>, Vec<f64>) =
            numbered.filter_map(|(row, text)| Some((row, value(text.as_deref()?)?))).unzip();
        (known, Target::Values(Array1::from(values)))
    } else {
        let indices: HashMap<&str, usize> = classes.iter().map(String::as_str).zip(0..).collect();
        let (known, labels): (Vec<usize>, Vec<usize>) =
            numbered.filter_map(|(row, text)| Some((row, *indices.get(text.as_deref()?)?))).unzip();
        (known, Target::Classes { labels: Array1::from(labels), n_classes: classes.len() })
    }
}

fn column(frame: &DataFrame, feature: &Feature, known: &[usize]) -> PolarsResult<Column> {
    let is_empty = frame.height() == 0;
    Ok(match feature.kind {
        FeatureType::Number if is_empty => Column::Number(Vec::new()),
        FeatureType::Number => {
            let column = frame.column(&feature.name)?.cast(&DataType::Float64)?;
            let column = column.f64()?;
            Column::Number(known.iter().map(|&row| column.get(row).unwrap_or(f64::NAN)).collect())
        }
        FeatureType::Category | FeatureType::Text if is_empty => Column::Text(Vec::new()),
        FeatureType::Category | FeatureType::Text => {
            let texts = texts(frame, &feature.name)?;
            Column::Text(known.iter().map(|&row| texts[row].clone()).collect())
        }
        FeatureType::Image => {
            let mut pixels = Vec::with_capacity(known.len());
            if !is_empty {
                let column = frame.column(&feature.name)?.cast(&DataType::Binary)?;
                let column = column.binary()?;
                pixels.extend(known.iter().map(|&row| column.get(row).map(Arc::from)));
            }
            Column::Image { side: usize::from(feature.side()), pixels }
        }
    })
}

fn texts(frame: &DataFrame, name: &str) -> PolarsResult<Vec<Option<Arc<str>>>> {
    let column = frame.column(name)?.cast(&DataType::String)?;
    Ok(column.str()?.iter().map(|text| text.map(Arc::from)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_classes_are_those_of_the_file_and_then_those_of_the_rows() {
        let mut pipeline = crate::gates::testing::pipeline();
        let labels: Vec<Option<Arc<str>>> = ["10", "9", "1", "a", "9"].map(|label| Some(label.into())).to_vec();
        assert_eq!(classes(&labels, &pipeline), ["0", "1"]);
        pipeline.label.open = true;
        let all = classes(&labels, &pipeline);
        assert_eq!(all, ["0", "1", "9", "10", "a"]);
        let (known, target) = target(&labels, &all, &pipeline);
        assert_eq!((known.len(), target.len()), (5, 5));
    }

    #[test]
    fn a_champion_of_other_classes_is_compared_by_their_names() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let answers = Target::Classes { labels: Array1::from(vec![0, 1, 2]), n_classes: 3 };
        let renumbered = crate::fit::renumbered(answers, &names(&["b", "x", "a"]), &names(&["a", "b"]));
        assert_eq!(renumbered, Target::Classes { labels: Array1::from(vec![1, 2, 0]), n_classes: 3 });
    }

    #[test]
    fn rows_of_one_entity_share_a_group_and_those_of_none_are_alone() {
        let entities: Vec<Option<Arc<str>>> = vec![Some("a".into()), None, Some("b".into()), Some("a".into()), None];
        let rows = Rows {
            table: Table::new(5, vec![Column::Number(vec![0.0; 5])]).unwrap(),
            target: Target::Values(Array1::zeros(5)),
            classes: Vec::new(),
            positions: vec![(0, 0); 5],
            times: vec![0; 5],
            entities,
        };
        let groups = rows.groups();
        assert_eq!(groups[0], groups[3]);
        let distinct: std::collections::HashSet<_> = groups.iter().collect();
        assert_eq!(distinct.len(), 4);
        assert_eq!(rows.select(&[3, 0]).groups(), [0, 0]);
    }
}
