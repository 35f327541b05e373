//! The rows of one request, on their way through features and model.

use std::sync::Arc;

use driftmill_schemas::record::{Record, Value};

use super::{LoadedModel, Workspace};
use crate::answer::Answer;
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

    /// Computes the features in one pass over the columns, and asks the model row by row.
    pub(crate) fn answer(mut self) -> Result<Answer, Fault> {
        let (model, rows) = (&self.model, self.len());
        let Workspace { columns, scratch, matrix } = &mut self.workspace;
        model.program.evaluate(columns, scratch, matrix);
        let (width, classes) = (model.program.width(), model.card.classes.len());
        let mut features = vec![0.0; rows * width];
        let mut probabilities = vec![0.0; rows * classes];
        for (row, out) in probabilities.chunks_exact_mut(classes).enumerate() {
            let features = &mut features[row * width..][..width];
            matrix.row(row, features);
            model
                .model
                .predict_proba_into(features, out)
                .map_err(|e| Fault::internal(format!("model version {} could not answer: {e}", model.version)))?;
        }
        self.model.give_back(self.workspace);
        Ok(Answer::new(self.model, features, probabilities).about(self.entities))
    }
}
