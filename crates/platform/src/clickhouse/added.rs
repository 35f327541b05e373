//! Columns that a pipeline's feature table gets while it is written to.

use clickhouse::Row;
use driftmill_schemas::pipeline::Pipeline;
use driftmill_schemas::record::RecordSchema;
use serde::Deserialize;

use super::{ClickHouse, Error, FeatureTable, Migration, quote, quote_text};

#[derive(Row, Deserialize)]
struct Column {
    name: String,
    kind: String,
}

#[derive(Row, Deserialize)]
struct First {
    fields: Vec<String>,
}

/// Notes the fields that a pipeline's records have when its tables are made. Fields that come later become columns, also when
/// all processes were restarted with them, so that it does not depend on who is restarted when.
pub fn first_fields(pipeline: &Pipeline, schema: &RecordSchema) -> Migration {
    let (name, fields) = (quote_text(&pipeline.name), schema.names().map(quote_text).collect::<Vec<_>>().join(", "));
    Migration {
        id: format!("{}-003-first-fields", pipeline.name),
        statements: vec![format!(
            "INSERT INTO first_fields SELECT {name}, CAST([{fields}] AS Array(String)), now64(3, 'UTC') \
             WHERE (SELECT count() FROM first_fields WHERE pipeline = {name}) = 0"
        )],
    }
}

impl ClickHouse {
    /// The fields that records of `pipeline` had when its tables were made; `None` when nobody noted them. Should two
    /// processes with different schemas have made them at once, the earlier counts.
    pub async fn first_fields(&self, pipeline: &str) -> Result<Option<Vec<String>>, Error> {
        let sql = format!(
            "SELECT fields FROM first_fields WHERE pipeline = {} ORDER BY at, fields LIMIT 1",
            quote_text(pipeline)
        );
        Ok(self.rows::<First>(&sql).await?.into_iter().next().map(|first| first.fields))
    }

    /// Names and types of the columns of `table`; none of a table that is not there.
    pub async fn columns(&self, table: &str) -> Result<Vec<(String, String)>, Error> {
        let sql = format!(
            "SELECT name, type AS kind FROM system.columns WHERE database = currentDatabase() AND table = {} ORDER BY position",
            quote_text(table)
        );
        Ok(self.rows::<Column>(&sql).await?.into_iter().map(|column| (column.name, column.kind)).collect())
    }

    /// Adds columns to a pipeline's feature table, each a name and a type, that are not there yet, and shows them in the view.
    /// Several processes may do so at once.
    pub async fn add_columns(&self, pipeline: &str, columns: &[(&str, &str)]) -> Result<(), Error> {
        let added: Vec<String> =
            columns.iter().map(|(name, kind)| format!("ADD COLUMN IF NOT EXISTS {} {kind}", quote(name))).collect();
        let rows = FeatureTable::of(pipeline).rows;
        self.execute(&format!("ALTER TABLE {} {}", quote(&rows), added.join(", "))).await?;
        self.make_feature_view(pipeline).await
    }

    /// Has the columns of features hold what features are: one that was added for a field of another number type is
    /// widened, and the view is to be made anew. Returns those that hold something else, which cannot be.
    pub async fn widen_features(&self, pipeline: &Pipeline) -> Result<Vec<String>, Error> {
        let table = FeatureTable::of(&pipeline.name);
        let columns = self.columns(&table.rows).await?;
        let of_features = columns
            .into_iter()
            .filter_map(|(name, kind)| Some((pipeline.features.iter().find(|f| f.name == name)?, name, kind)));
        let (mut widened, mut unfit) = (Vec::new(), Vec::new());
        for (feature, name, kind) in of_features {
            match kind.as_str() {
                found if found == feature.kind.column_type() => {}
                "Nullable(Int64)" | "Nullable(Bool)" if feature.kind.is_number() => {
                    widened.push(format!("MODIFY COLUMN {} Nullable(Float64)", quote(&name)));
                }
                _ => unfit.push(format!("`{name}` ({kind})")),
            }
        }
        if !widened.is_empty() {
            self.execute(&format!("ALTER TABLE {} {}", quote(&table.rows), widened.join(", "))).await?;
        }
        Ok(unfit)
    }
}
