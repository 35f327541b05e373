//! A model in memory, ready to answer: decoded, its features compiled from its own card, and tried out.

mod load;
mod rows;

pub(crate) use load::Error;
pub(crate) use rows::Rows;

use std::sync::{Arc, Mutex, PoisonError};

use driftmill_features::{Columns, FeatureMatrix, Program, Scratch};
use driftmill_models::Estimator;
use driftmill_schemas::model::ModelCard;
use driftmill_schemas::record::{Field, RecordSchema};

/// Working memory that is kept between requests; more requests at once than this make their own.
const KEPT_WORKSPACES: usize = 16;
/// A request with more rows than this does not leave its memory behind.
const KEPT_ROWS: usize = 1_000;

/// One version of a model. It never changes; a request holds on to the one it began with.
pub(crate) struct LoadedModel {
    /// The version in the registry.
    pub(crate) version: u64,
    /// What the model says of itself.
    pub(crate) card: ModelCard,
    /// The record its features are computed from.
    pub(crate) schema: RecordSchema,
    model: Estimator,
    program: Program,
    workspaces: Mutex<Vec<Workspace>>,
}

impl std::fmt::Debug for LoadedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedModel").field("pipeline", &self.card.pipeline).field("version", &self.version).finish()
    }
}

/// Buffers of one evaluation.
struct Workspace {
    columns: Columns,
    scratch: Scratch,
    matrix: FeatureMatrix,
}

impl LoadedModel {
    /// Indices of the record fields that the features use, in the order of the model's metadata.
    pub(crate) fn inputs(&self) -> &[usize] {
        self.program.inputs()
    }

    /// The record fields that the features use, in that order.
    pub(crate) fn input_fields(&self) -> impl Iterator<Item = &Field> {
        self.inputs().iter().map(|&index| &self.schema.fields[index])
    }

    /// Index of the positive class.
    pub(crate) fn positive(&self) -> usize {
        let classes = &self.card.classes;
        let declared = self.card.positive.as_ref().and_then(|name| classes.iter().position(|class| class == name));
        declared.unwrap_or(classes.len().saturating_sub(1))
    }

    /// Whether it sees numbers alone, which are answered in microseconds.
    pub(crate) fn is_plain(&self) -> bool {
        self.model.rows_model().is_some()
    }

    /// Whether it tells the bounds that values lie within.
    pub(crate) fn tells_intervals(&self) -> bool {
        self.model.tells_intervals()
    }

    /// No rows yet, to be filled with at most `limit` of them, and answered.
    pub(crate) fn rows(self: &Arc<Self>, limit: usize) -> Rows {
        Rows::new(Arc::clone(self), limit)
    }

    fn borrow_workspace(&self) -> Workspace {
        let kept = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Workspace {
            columns: Columns::new(&self.schema),
            scratch: Scratch::default(),
            matrix: FeatureMatrix::default(),
        })
    }

    fn give_back(&self, mut workspace: Workspace) {
        // Texts and images of a request do not stay.
        if workspace.columns.rows() > KEPT_ROWS || !self.is_plain() {
            return;
        }
        workspace.columns.clear();
        let mut kept = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_WORKSPACES {
            kept.push(workspace);
        }
    }
}
