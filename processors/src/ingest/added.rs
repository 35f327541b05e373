//! Fields that came to a pipeline's records after its tables were made, as columns of its feature table.
//!
//! A field that is in the schema of a message, or by now in the pipeline's own, and that the records did not have at first,
//! becomes a nullable column when the first batch comes whose messages may have it. Which columns an insert has depends on
//! the schemas its messages name and on nothing else, so that a batch that comes again becomes the same rows, in every
//! process. What cannot become a column is said once and left out: it is still in the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{DataType, TimeUnit};
use driftmill_platform::clickhouse::{ClickHouse, Error, FeatureTable};
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_schemas::name::MAX_LEN;
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::record::{Field, FieldKind};
use tracing::{error, info, warn};

use super::metrics::IngestMetrics;

/// Columns that are added at most: a client that invents fields must not fill the table with them.
const MOST: usize = 200;

/// What a column holds: the widest type of a family, so that an int that becomes a long needs no other column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Booleans.
    Boolean,
    /// Ints and longs.
    Integer,
    /// Floats and doubles.
    Number,
    /// Texts.
    Text,
    /// Milliseconds since 1970 UTC.
    Time,
}

impl ColumnKind {
    const ALL: [Self; 5] = [Self::Boolean, Self::Integer, Self::Number, Self::Text, Self::Time];

    /// The kind for values of a field; bytes are refused before.
    fn of(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Boolean => Self::Boolean,
            FieldKind::Int | FieldKind::Long => Self::Integer,
            FieldKind::Float | FieldKind::Double => Self::Number,
            FieldKind::String | FieldKind::Bytes => Self::Text,
            FieldKind::Timestamp => Self::Time,
        }
    }

    /// The type in ClickHouse.
    fn clickhouse(self) -> &'static str {
        match self {
            Self::Boolean => "Nullable(Bool)",
            Self::Integer => "Nullable(Int64)",
            Self::Number => "Nullable(Float64)",
            Self::Text => "Nullable(String)",
            Self::Time => "Nullable(DateTime64(3, 'UTC'))",
        }
    }

    /// The type in an insert.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }

    /// The values of `array` as values of this column; `None` if they are of another family. Ints become floats where the
    /// column holds floats already.
    fn take(self, array: &ArrayRef) -> Option<ArrayRef> {
        let taken: ArrayRef = match (self, array.data_type()) {
            (Self::Integer, DataType::Int32) => {
                Arc::new(array.as_primitive::<Int32Type>().unary::<_, Int64Type>(i64::from))
            }
            (Self::Number, DataType::Float32) => {
                Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float64Type>(f64::from))
            }
            (Self::Number, DataType::Int32) => {
                Arc::new(array.as_primitive::<Int32Type>().unary::<_, Float64Type>(f64::from))
            }
            (Self::Number, DataType::Int64) => {
                Arc::new(array.as_primitive::<Int64Type>().unary::<_, Float64Type>(|value| value as f64))
            }
            (Self::Time, DataType::Timestamp(TimeUnit::Millisecond, _)) => {
                let times = array.as_primitive::<arrow_array::types::TimestampMillisecondType>();
                Arc::new(times.clone().with_timezone("UTC"))
            }
            (kind, found) if *found == kind.arrow() => Arc::clone(array),
            _ => return None,
        };
        Some(taken)
    }

    fn holds(self, kind: FieldKind) -> bool {
        self == Self::of(kind) || (self == Self::Number && Self::of(kind) == Self::Integer)
    }
}

/// A column of an insert beside those that every insert has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

impl AddedColumn {
    /// Its values for the rows of `part`; null where the records have none.
    pub fn values(&self, part: &RecordBatch) -> ArrayRef {
        let taken = part.column_by_name(&self.name).and_then(|array| self.kind.take(array));
        taken.unwrap_or_else(|| new_null_array(&self.kind.arrow(), part.num_rows()))
    }
}

/// The columns that one pipeline's feature table got since it was made.
#[derive(Debug)]
pub struct AddedColumns {
    clickhouse: ClickHouse,
    table: FeatureTable,
    pipeline: String,
    /// Nothing is changed; what would be is taken as done.
    pretend: bool,
    /// Names that fields cannot have.
    reserved: BTreeSet<String>,
    own: Vec<Field>,
    /// What the table has, once it is known.
    columns: Option<BTreeMap<String, ColumnKind>>,
    /// What was said already.
    told: BTreeSet<String>,
    metrics: IngestMetrics,
}

impl AddedColumns {
    /// The added columns of the feature table of `loaded`; nothing is asked yet.
    pub fn new(clickhouse: ClickHouse, loaded: &Loaded, metrics: IngestMetrics) -> Self {
        let pipeline = &loaded.pipeline;
        let features = pipeline.features.iter().map(|feature| feature.name.clone());
        Self {
            clickhouse,
            table: FeatureTable::of(&pipeline.name),
            pipeline: pipeline.name.clone(),
            pretend: false,
            reserved: ["event_time", "entity", "label"].map(str::to_owned).into_iter().chain(features).collect(),
            own: loaded.schema.fields.clone(),
            columns: None,
            told: BTreeSet::new(),
            metrics,
        }
    }

    /// The same, changing nothing.
    pub fn pretended(clickhouse: ClickHouse, loaded: &Loaded, metrics: IngestMetrics) -> Self {
        Self { pretend: true, ..Self::new(clickhouse, loaded, metrics) }
    }

    /// The columns of an insert of messages whose writers have the fields `beyond` the pipeline's schema; those the table
    /// lacks are added to it. An error is worth another try.
    pub async fn columns(&mut self, beyond: &[Field]) -> Result<Vec<AddedColumn>, Error> {
        self.load().await?;
        let fields: BTreeMap<&str, &Field> =
            self.own.iter().chain(beyond).map(|field| (field.name.as_str(), field)).collect();
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let fields: Vec<Field> = fields.into_values().cloned().collect();
        self.add(&fields).await?;
        // A field that two writers have with two types is looked at in each of both forms, and one column comes of it.
        for field in beyond {
            self.refuse_unfit(field);
        }
        let columns = self.columns.get_or_insert_default();
        let column = |field: Field| columns.get(&field.name).map(|&kind| AddedColumn { name: field.name, kind });
        Ok(fields.into_iter().filter_map(column).collect())
    }

    /// Says once that a field of a writer is in no column.
    pub fn leave_out(&mut self, field: &str, reason: &str) {
        if self.told.len() < 10 * MOST && self.told.insert(format!("{field}: {reason}")) {
            warn!(pipeline = self.pipeline, field, reason, "a field of newer records is in no column");
            self.metrics.field_left_out(&self.pipeline);
        }
    }

    /// Finds out what the table has, and which of the pipeline's own fields its records did not have at first.
    async fn load(&mut self) -> Result<(), Error> {
        if self.columns.is_some() {
            return Ok(());
        }
        let first = self.clickhouse.first_fields(&self.pipeline).await?;
        let found = self.clickhouse.columns(&self.table.rows).await?;
        let first: BTreeSet<String> =
            first.unwrap_or_else(|| self.own.iter().map(|field| field.name.clone()).collect()).into_iter().collect();
        self.own.retain(|field| !first.contains(&field.name) && !self.reserved.contains(&field.name));
        let columns = found.into_iter().filter(|(name, _)| !self.is_reserved(name)).filter_map(|(name, kind)| {
            let kind = ColumnKind::ALL.into_iter().find(|known| known.clickhouse() == kind)?;
            Some((name, kind))
        });
        self.columns = Some(columns.collect());
        Ok(())
    }

    fn is_reserved(&self, name: &str) -> bool {
        name.starts_with('_') || self.reserved.contains(name)
    }

    /// Adds the columns that are missing.
    async fn add(&mut self, fields: &[Field]) -> Result<(), Error> {
        let known = self.columns.get_or_insert_default();
        let mut missing: Vec<&Field> = fields.iter().filter(|field| !known.contains_key(&field.name)).collect();
        let mut room = MOST.saturating_sub(known.len());
        missing.retain(|field| {
            let name = &field.name;
            let reason = if field.kind == FieldKind::Bytes {
                "bytes are for models and not for SQL".to_owned()
            } else if name.starts_with('_') || self.reserved.contains(name) {
                "the table has a column of this name for something else: give the field another one".to_owned()
            } else if name.len() > MAX_LEN {
                format!("its name is longer than {MAX_LEN} characters")
            } else if room == 0 {
                format!("the table has {MOST} added columns already")
            } else {
                room -= 1;
                return true;
            };
            if self.told.len() < 10 * MOST && self.told.insert(format!("{name}: {reason}")) {
                warn!(pipeline = self.pipeline, field = name, reason, "a field of newer records is in no column");
                self.metrics.field_left_out(&self.pipeline);
            }
            false
        });
        if missing.is_empty() {
            return Ok(());
        }
        if !self.pretend {
            let columns: Vec<(&str, &str)> =
                missing.iter().map(|field| (field.name.as_str(), ColumnKind::of(field.kind).clickhouse())).collect();
            match self.clickhouse.add_columns(&self.pipeline, &columns).await {
                Ok(()) => {}
                Err(error) if error.retry() == Retry::Later => return Err(error),
                // The rows are good without them. The next start tries again.
                Err(error) => {
                    error!(pipeline = self.pipeline, %error, "columns for newer fields cannot be added");
                    missing.iter().for_each(|_| self.metrics.field_left_out(&self.pipeline));
                    let names: Vec<String> = missing.iter().map(|field| field.name.clone()).collect();
                    self.reserved.extend(names);
                    return Ok(());
                }
            }
        }
        let names: Vec<&str> = missing.iter().map(|field| field.name.as_str()).collect();
        info!(pipeline = self.pipeline, columns = names.join(", "), "newer fields are columns now");
        // Another process may have added one of them with another type a moment before.
        let found: BTreeMap<String, String> = match self.pretend {
            true => BTreeMap::new(),
            false => self.clickhouse.columns(&self.table.rows).await?.into_iter().collect(),
        };
        let mut unfit = Vec::new();
        for field in missing {
            let kind = match found.get(&field.name) {
                Some(kind) => ColumnKind::ALL.into_iter().find(|known| known.clickhouse() == kind),
                None => Some(ColumnKind::of(field.kind)),
            };
            match kind {
                Some(kind) => drop(known.insert(field.name.clone(), kind)),
                None => unfit.push(field.name.clone()),
            }
        }
        for name in unfit {
            self.leave_out(&name, "somebody gave the table a column of this name with a type that is not written here");
            self.reserved.insert(name);
        }
        Ok(())
    }

    fn refuse_unfit(&mut self, field: &Field) {
        let kind = self.columns.as_ref().and_then(|columns| columns.get(&field.name).copied());
        if let Some(kind) = kind.filter(|kind| !kind.holds(field.kind)) {
            let reason = format!("its column holds {}, and it is {} now", kind.clickhouse(), field.kind.title());
            self.leave_out(&field.name, &reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Float64Array, Int32Array, StringArray};

    #[test]
    fn values_are_taken_into_the_widest_type_of_their_family_and_no_other() {
        let part = RecordBatch::try_from_iter([
            ("i", Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef),
            ("s", Arc::new(StringArray::from(vec![Some("a"), None])) as ArrayRef),
        ])
        .unwrap();
        let values = |name: &str, kind| AddedColumn { name: name.to_owned(), kind }.values(&part);
        let longs = values("i", ColumnKind::Integer);
        assert_eq!(longs.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
        assert_eq!(
            *values("i", ColumnKind::Number).as_primitive::<Float64Type>(),
            Float64Array::from(vec![Some(1.0), None])
        );
        for (name, kind) in [("s", ColumnKind::Integer), ("i", ColumnKind::Text), ("nothing", ColumnKind::Time)] {
            let nulls = values(name, kind);
            assert_eq!((nulls.null_count(), nulls.data_type()), (2, &kind.arrow()), "{name}");
        }
    }
}
