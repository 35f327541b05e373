//! Rows of the feature table as one insert body.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt8Array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::filter::filter;
use bytes::Bytes;
use driftmill_features::Values;
use driftmill_schemas::pipeline::FeatureType;

use super::added::AddedColumn;
use super::pool::Pool;

/// Rows to be written, in columns of equal length. Number columns hold NaN where a value is missing.
#[derive(Debug)]
pub struct Rows {
    /// Kafka partition.
    pub partitions: Vec<i32>,
    /// Kafka offset.
    pub offsets: Vec<i64>,
    /// Milliseconds since 1970 UTC.
    pub event_times: Vec<i64>,
    /// What each record is about.
    pub entities: StringArray,
    /// Classes.
    pub labels: StringArray,
    /// 1 where an expectation set the row aside.
    pub quarantined: Vec<u8>,
    /// The expectations that rows break, by their places in the pipeline file, and the rows that do, ascending.
    pub broken: Vec<(usize, Vec<usize>)>,
    /// One column a feature.
    pub features: Vec<FeatureColumn>,
    /// The columns the table got since it was made, as the body was begun with them.
    pub added: Vec<ArrayRef>,
}

/// The values of a feature.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureColumn {
    /// Numbers; `NaN` where one is missing.
    Numbers(Vec<f64>),
    /// Texts, or the pixels of images.
    Array(ArrayRef),
}

impl From<Values<'_>> for FeatureColumn {
    fn from(values: Values<'_>) -> Self {
        match values {
            Values::Numbers(numbers) => Self::Numbers(numbers.to_vec()),
            Values::Texts(texts) => Self::Array(Arc::new(StringArray::from_iter(texts.iter().map(Option::as_deref)))),
            Values::Images(images) => {
                Self::Array(Arc::new(BinaryArray::from_iter(images.iter().map(Option::as_deref))))
            }
        }
    }
}

impl FeatureColumn {
    fn filtered(&self, kept: &[bool], keep: &BooleanArray) -> Result<Self, ArrowError> {
        Ok(match self {
            Self::Numbers(numbers) => Self::Numbers(chosen(numbers, kept)),
            Self::Array(array) => Self::Array(filter(array, keep)?),
        })
    }

    fn into_array(self) -> ArrayRef {
        match self {
            Self::Numbers(values) => Arc::new(numbers(values)),
            Self::Array(array) => array,
        }
    }
}

/// Type of a feature's column.
fn arrow_type(kind: FeatureType) -> DataType {
    match kind {
        FeatureType::Number => DataType::Float64,
        FeatureType::Category | FeatureType::Text => DataType::Utf8,
        FeatureType::Image => DataType::Binary,
    }
}

impl Rows {
    /// The rows for which `kept` says so, one word a row.
    pub fn filtered(self, kept: &[bool]) -> Result<Self, ArrowError> {
        let keep = BooleanArray::from_iter(kept.iter().map(|kept| Some(*kept)));
        Ok(Self {
            partitions: chosen(&self.partitions, kept),
            offsets: chosen(&self.offsets, kept),
            event_times: chosen(&self.event_times, kept),
            entities: filter(&self.entities, &keep)?.as_string::<i32>().clone(),
            labels: filter(&self.labels, &keep)?.as_string::<i32>().clone(),
            quarantined: chosen(&self.quarantined, kept),
            broken: renumbered(self.broken, kept),
            features: self.features.iter().map(|values| values.filtered(kept, &keep)).collect::<Result<_, _>>()?,
            added: self.added.iter().map(|values| filter(values, &keep)).collect::<Result<_, _>>()?,
        })
    }
}

fn chosen<T: Copy>(values: &[T], kept: &[bool]) -> Vec<T> {
    values.iter().zip(kept).filter(|(_, kept)| **kept).map(|(value, _)| *value).collect()
}

/// The rows that are kept, by their new numbers.
fn renumbered(broken: Vec<(usize, Vec<usize>)>, kept: &[bool]) -> Vec<(usize, Vec<usize>)> {
    if broken.is_empty() {
        return broken;
    }
    let mut count = 0;
    let numbers: Vec<Option<usize>> = kept
        .iter()
        .map(|kept| {
            count += usize::from(*kept);
            kept.then(|| count - 1)
        })
        .collect();
    broken.into_iter().map(|(place, rows)| (place, rows.into_iter().filter_map(|row| numbers[row]).collect())).collect()
}

/// Encodes rows as `ArrowStream` for the feature table with these feature columns.
#[derive(Debug)]
pub struct Encoder {
    schema: SchemaRef,
    marks: Arc<[String]>,
    pool: Pool,
}

/// An insert body that grows by record batches. The server makes one block of all of them.
pub struct Body {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
    marks: Arc<[String]>,
    pool: Pool,
    rows: u64,
}

impl Encoder {
    /// An encoder for a table with these feature columns. `marks` are the titles of the pipeline's expectations; with none, no
    /// row is written that breaks one, and the table's default says so.
    pub fn new<'a>(features: impl IntoIterator<Item = (&'a str, FeatureType)>, marks: Vec<String>) -> Self {
        let mut fields = vec![
            Field::new("_partition", DataType::Int32, false),
            Field::new("_offset", DataType::Int64, false),
            Field::new("event_time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
            Field::new("entity", DataType::Utf8, true),
            Field::new("label", DataType::Utf8, true),
            Field::new("_quarantined", DataType::UInt8, false),
        ];
        if !marks.is_empty() {
            let titles = Arc::new(Field::new_list_field(DataType::Utf8, false));
            fields.push(Field::new("_breaches", DataType::List(titles), false));
        }
        fields.extend(features.into_iter().map(|(name, kind)| Field::new(name, arrow_type(kind), true)));
        Self { schema: Arc::new(Schema::new(fields)), marks: marks.into(), pool: Pool::default() }
    }

    /// An empty body of rows with the columns `added` beside the usual ones.
    pub fn begin(&self, added: &[AddedColumn]) -> Result<Body, ArrowError> {
        let schema = if added.is_empty() {
            Arc::clone(&self.schema)
        } else {
            let fields = self.schema.fields().iter().cloned();
            let added = added.iter().map(|column| Arc::new(Field::new(&column.name, column.kind.arrow(), true)));
            Arc::new(Schema::new(fields.chain(added).collect::<Vec<_>>()))
        };
        let writer = StreamWriter::try_new(self.pool.take(), &schema)?;
        Ok(Body { schema, writer, marks: Arc::clone(&self.marks), pool: self.pool.clone(), rows: 0 })
    }
}

impl Body {
    /// Adds rows as one record batch.
    pub fn add(&mut self, rows: Rows) -> Result<(), ArrowError> {
        let marks = (!self.marks.is_empty()).then(|| marks(&self.marks, &rows.broken, rows.offsets.len()));
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(rows.partitions)),
            Arc::new(Int64Array::from(rows.offsets)),
            Arc::new(TimestampMillisecondArray::from(rows.event_times).with_timezone("UTC")),
            Arc::new(rows.entities),
            Arc::new(rows.labels),
            Arc::new(UInt8Array::from(rows.quarantined)),
        ];
        columns.extend(marks.map(|marks| Arc::new(marks) as ArrayRef));
        columns.extend(rows.features.into_iter().map(FeatureColumn::into_array));
        columns.extend(rows.added);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        if batch.num_rows() > 0 {
            self.rows += batch.num_rows() as u64;
            self.writer.write(&batch)?;
        }
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.writer.get_ref().len()
    }

    /// The whole body.
    pub fn finish(self) -> Result<Bytes, ArrowError> {
        Ok(self.pool.lend(self.writer.into_inner()?))
    }
}

/// For each of `rows` rows the titles of what it breaks, in the order of the pipeline file.
fn marks(titles: &[String], broken: &[(usize, Vec<usize>)], rows: usize) -> ListArray {
    let mut pairs: Vec<(usize, usize)> =
        broken.iter().flat_map(|(place, rows)| rows.iter().map(|row| (*row, *place))).collect();
    pairs.sort_unstable();
    let mut lengths = vec![0; rows];
    pairs.iter().for_each(|(row, _)| lengths[*row] += 1);
    let texts = StringArray::from_iter_values(pairs.iter().map(|(_, place)| titles[*place].as_str()));
    let field = Arc::new(Field::new_list_field(DataType::Utf8, false));
    ListArray::new(field, OffsetBuffer::from_lengths(lengths), Arc::new(texts), None)
}

fn numbers(values: Vec<f64>) -> Float64Array {
    let present = BooleanBuffer::collect_bool(values.len(), |row| !values[row].is_nan());
    let nulls = NullBuffer::new(present);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Float64Array::new(values.into(), nulls)
}

#[cfg(test)]
mod tests {
    use super::super::added::ColumnKind;
    use super::*;
    use arrow_array::types::Float64Type;
    use arrow_ipc::reader::StreamReader;

    const XY: [(&str, FeatureType); 2] = [("x", FeatureType::Number), ("y", FeatureType::Number)];

    fn rows(offsets: Vec<i64>, entities: Vec<Option<&str>>, x: Vec<f64>) -> Rows {
        let count = offsets.len();
        Rows {
            partitions: vec![1; count],
            event_times: offsets.clone(),
            entities: StringArray::from(entities),
            labels: StringArray::new_null(count),
            quarantined: vec![0; count],
            broken: Vec::new(),
            features: vec![FeatureColumn::Numbers(x), FeatureColumn::Numbers(vec![4.0; count])],
            added: Vec::new(),
            offsets,
        }
    }

    #[test]
    fn a_body_holds_every_row_in_order_and_nan_becomes_null() {
        let mut body = Encoder::new(XY, Vec::new()).begin(&[]).unwrap();
        body.add(rows(vec![5, 7], vec![Some("a"), None], vec![1.0, f64::NAN])).unwrap();
        body.add(rows(Vec::new(), Vec::new(), Vec::new())).unwrap();
        body.add(rows(vec![9], vec![Some("b")], vec![3.0])).unwrap();
        assert_eq!(body.rows(), 3);
        let body = body.finish().unwrap();
        let batches: Vec<RecordBatch> = StreamReader::try_new(&body[..], None).unwrap().map(Result::unwrap).collect();
        let [first, second] = &batches[..] else { panic!("{} batches", batches.len()) };
        let x = first.column_by_name("x").unwrap().as_primitive::<Float64Type>();
        assert_eq!(x.iter().collect::<Vec<_>>(), [Some(1.0), None]);
        let entities = second.column_by_name("entity").unwrap().as_string::<i32>();
        assert_eq!(entities.iter().collect::<Vec<_>>(), [Some("b")]);
    }

    #[test]
    fn a_row_names_what_it_breaks() {
        let titles = ["a", "b", "c"].map(str::to_owned).to_vec();
        let mut body = Encoder::new(XY, titles).begin(&[]).unwrap();
        let mut all = rows(vec![5, 7, 9], vec![None; 3], vec![1.0; 3]);
        all.broken = vec![(2, vec![0, 2]), (0, vec![1, 2])];
        body.add(all.filtered(&[false, true, true]).unwrap()).unwrap();
        body.add(rows(vec![11], vec![None], vec![1.0])).unwrap();
        let body = body.finish().unwrap();
        let batches: Vec<RecordBatch> = StreamReader::try_new(&body[..], None).unwrap().map(Result::unwrap).collect();
        let of = |batch: &RecordBatch| -> Vec<Vec<String>> {
            let marks = batch.column_by_name("_breaches").unwrap().as_list::<i32>().clone();
            let texts = |list: ArrayRef| list.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
            marks.iter().flatten().map(texts).collect()
        };
        assert_eq!(of(&batches[0]), [vec!["a"], vec!["a", "c"]]);
        assert_eq!(of(&batches[1]), [Vec::<String>::new()]);
    }

    #[test]
    fn rows_that_are_not_kept_are_gone_from_every_column() {
        let all = rows(vec![5, 7, 9], vec![Some("a"), None, Some("c")], vec![1.0, 2.0, 3.0]);
        let kept = all.filtered(&[true, false, true]).unwrap();
        assert_eq!((kept.offsets, kept.event_times, kept.partitions), (vec![5, 9], vec![5, 9], vec![1, 1]));
        assert_eq!(kept.entities.iter().collect::<Vec<_>>(), [Some("a"), Some("c")]);
        let numbers = |column: &FeatureColumn| match column {
            FeatureColumn::Numbers(numbers) => numbers.clone(),
            FeatureColumn::Array(_) => panic!("no numbers"),
        };
        let numbers: Vec<_> = kept.features.iter().map(numbers).collect();
        assert_eq!((numbers, kept.quarantined), (vec![vec![1.0, 3.0], vec![4.0, 4.0]], vec![0, 0]));
        assert_eq!(kept.labels.iter().count(), 2);
    }

    #[test]
    fn texts_and_images_keep_their_rows_and_gaps() {
        let features = [("said", FeatureType::Text), ("photo", FeatureType::Image)];
        let mut body = Encoder::new(features, Vec::new()).begin(&[]).unwrap();
        let mut all = rows(vec![5, 7, 9], vec![None; 3], vec![1.0; 3]);
        let texts = [Some("a".into()), Some("b".into()), None];
        let images = [None, Some(vec![255, 0, 254].into()), Some(vec![1].into())];
        all.features = vec![Values::Texts(&texts).into(), Values::Images(&images).into()];
        body.add(all.filtered(&[false, true, true]).unwrap()).unwrap();
        let body = body.finish().unwrap();
        let batch = StreamReader::try_new(&body[..], None).unwrap().next().unwrap().unwrap();
        let said = batch.column_by_name("said").unwrap().as_string::<i32>();
        assert_eq!(said.iter().collect::<Vec<_>>(), [Some("b"), None]);
        let photos = batch.column_by_name("photo").unwrap().as_binary::<i32>();
        assert_eq!(photos.iter().collect::<Vec<_>>(), [Some(&[255, 0, 254][..]), Some(&[1])]);
    }

    #[test]
    fn added_columns_come_after_the_usual_ones_and_lose_the_same_rows() {
        let kind = ColumnKind::Text;
        let added = [AddedColumn { name: "colour".to_owned(), kind }];
        let mut body = Encoder::new(XY, Vec::new()).begin(&added).unwrap();
        let mut coloured = rows(vec![5, 7], vec![None, None], vec![1.0, 2.0]);
        coloured.added = vec![Arc::new(StringArray::from(vec!["red", "blue"]))];
        body.add(coloured.filtered(&[false, true]).unwrap()).unwrap();
        let body = body.finish().unwrap();
        let batch = StreamReader::try_new(&body[..], None).unwrap().next().unwrap().unwrap();
        let colours = batch.column_by_name("colour").unwrap().as_string::<i32>();
        assert_eq!(colours.iter().collect::<Vec<_>>(), [Some("blue")]);
    }
}
