//! The rows of one request, on their way through features and model.

use std::sync::Arc;

use driftmill_features::{FeatureMatrix, Values};
use driftmill_models::{Column, Table};
use driftmill_schemas::record::{Record, Value};
use tokio::time::Instant;

use super::{LoadedModel, Workspace};
use crate::answer::{Answer, Other};
use crate::fault::Fault;

/// Rows for one version of a model: fill [`record`](Self::record), [`push`](Self::push), and at last
/// [`answer`](Self::answer).
pub(crate) struct Rows {
    model: Arc<LoadedModel>,
    workspace: Workspace,
    record: Record,
    entity: Option<usize>,
    entities: Vec<Option<String>>,
    limit: usize,
}

impl Rows {
    pub(super) fn new(model: Arc<LoadedModel>, limit: usize) -> Self {
        let workspace = model.borrow_workspace();
        let record = Record { values: vec![Value::Null; model.schema.fields.len()] };
        let entity = model.card.entity.as_deref().and_then(|field| model.schema.index(field));
        Self { model, workspace, record, entity, entities: Vec::new(), limit }
    }

    /// The values of the next row by the schema's fields: those of the last one, and null before the first.
    pub(crate) fn record(&mut self) -> &mut [Value] {
        &mut self.record.values
    }

    /// Takes the record as a row; one beyond the limit is refused.
    pub(crate) fn push(&mut self) -> Result<(), Fault> {
        self.check_count(self.len() + 1)?;
        self.workspace.columns.push(&self.record).map_err(|e| Fault::bad_request(e.to_string()))?;
        if let Some(field) = self.entity {
            self.entities.push(self.record.values[field].to_text());
        }
        Ok(())
    }

    /// Whether a request may have so many rows.
    pub(crate) fn check_count(&self, rows: usize) -> Result<(), Fault> {
        if rows <= self.limit {
            return Ok(());
        }
        Err(Fault::bad_request(format!(
            "more than {} rows in one request (`serving.max_rows` of the pipeline): send them in several",
            self.limit
        )))
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.workspace.columns.rows()
    }

    /// The model that will answer.
    pub(crate) fn model(&self) -> &Arc<LoadedModel> {
        &self.model
    }

    /// Computes the features in one pass over the columns, and asks the model: row by row when it takes numbers alone.
    pub(crate) fn answer(mut self) -> Result<Answer, Fault> {
        let began = Instant::now();
        let (model, rows) = (&self.model, self.len());
        let Workspace { columns, scratch, matrix } = &mut self.workspace;
        model.program.evaluate(columns, scratch, matrix);
        if let Some(image) = matrix.unreadable().first() {
            let name = &model.card.features[image.feature].name;
            return Err(Fault::bad_request(format!("row {}, image `{name}`: {}", image.row, image.reason)));
        }
        let failed = |e: driftmill_models::Error| {
            Fault::internal(format!("model version {} could not answer: {e}", model.version))
        };
        let (width, n_outputs) = (model.program.width(), model.model.n_outputs());
        let mut features = vec![0.0; rows * width];
        for (row, out) in features.chunks_exact_mut(width).enumerate() {
            matrix.row(row, out);
        }
        let (mut outputs, mut others, mut intervals) = (vec![0.0; rows * n_outputs], Vec::new(), None);
        match model.model.rows_model() {
            Some(rows_model) => {
                for (features, out) in features.chunks_exact(width).zip(outputs.chunks_exact_mut(n_outputs)) {
                    rows_model.outputs_into(features, out).map_err(failed)?;
                }
            }
            None => {
                let table = table(matrix, model).map_err(failed)?;
                let answered = model.model.outputs(&table).map_err(failed)?;
                for (place, value) in outputs.iter_mut().zip(&answered) {
                    *place = *value;
                }
                intervals = model.model.intervals(&table).map_err(failed)?;
                others = matrix.columns().enumerate().filter_map(other).collect();
            }
        }
        self.model.give_back(self.workspace);
        Ok(Answer::new(self.model, rows, features, others, outputs, intervals)
            .about(self.entities)
            .in_micros(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)))
    }
}

/// The features as the model takes them.
fn table(matrix: &FeatureMatrix, model: &LoadedModel) -> Result<Table, driftmill_models::Error> {
    let columns = matrix.columns().zip(&model.card.features).map(|(values, feature)| match values {
        Values::Numbers(numbers) => Column::Number(numbers.to_vec()),
        Values::Texts(texts) => Column::Text(texts.to_vec()),
        Values::Images(images) => Column::Image { side: usize::from(feature.side()), pixels: images.to_vec() },
    });
    Table::new(matrix.rows(), columns.collect())
}

/// What is kept of a feature's values for the log.
fn other((feature, values): (usize, Values<'_>)) -> Option<(usize, Other)> {
    match values {
        Values::Numbers(_) => None,
        Values::Texts(texts) => Some((feature, Other::Texts(texts.to_vec()))),
        Values::Images(images) => Some((feature, Other::Images(images.to_vec()))),
    }
}
