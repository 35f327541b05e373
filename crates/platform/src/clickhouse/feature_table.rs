//! Names of a feature table.

use super::quote;

/// A table of features: what is written, and what is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureTable {
    /// The view that never shows a position twice.
    pub view: String,
    /// The table that is written.
    pub rows: String,
}

impl FeatureTable {
    /// The feature table of the pipeline called `pipeline`.
    pub fn of(pipeline: &str) -> Self {
        Self { view: format!("{pipeline}_features"), rows: format!("{pipeline}_features_rows") }
    }

    /// Makes the view anew. `SELECT *` in a view is resolved when it is made, so new columns ask for a new view.
    pub fn view_statement(&self) -> String {
        format!("CREATE OR REPLACE VIEW {} AS SELECT * FROM {} FINAL", quote(&self.view), quote(&self.rows))
    }
}
