//! Tensors of a request, and the rows they hold.

use std::sync::Arc;

use driftmill_schemas::name::did_you_mean;
use driftmill_schemas::record::{Field, FieldKind, Value};
use serde::Deserialize;

use super::nested::Data;
use crate::fault::Fault;
use crate::image_input;
use crate::model::Rows;

/// The name of the one tensor that carries all inputs as columns.
const MATRIX: &str = "input";
/// Length of the last dimension of pixels.
const CHANNELS: u64 = 3;

/// One input of a request.
#[derive(Debug, Deserialize)]
pub(super) struct InputTensor {
    name: String,
    shape: Vec<u64>,
    datatype: Datatype,
    data: Data,
}

/// The protocol's types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    /// Whether values of a field may travel as this. Numbers may travel as any number: what counts is whether the value
    /// fits into the field. `data` is read as the number that is written, also where it is declared with fewer bits.
    fn suits(self, kind: FieldKind) -> bool {
        match kind {
            FieldKind::Boolean => self == Self::Bool,
            FieldKind::String | FieldKind::Bytes => self == Self::Bytes,
            FieldKind::Timestamp => matches!(self, Self::Int64 | Self::Uint64 | Self::Bytes),
            _ => !matches!(self, Self::Bool | Self::Bytes),
        }
    }

    /// Smallest and largest value of an integer type.
    fn range(self) -> Option<(i64, u64)> {
        Some(match self {
            Self::Uint8 => (0, u8::MAX.into()),
            Self::Uint16 => (0, u16::MAX.into()),
            Self::Uint32 => (0, u32::MAX.into()),
            Self::Uint64 => (0, u64::MAX),
            Self::Int8 => (i8::MIN.into(), i8::MAX as u64),
            Self::Int16 => (i16::MIN.into(), i16::MAX as u64),
            Self::Int32 => (i32::MIN.into(), i32::MAX as u64),
            Self::Int64 => (i64::MIN, i64::MAX as u64),
            Self::Bool | Self::Fp16 | Self::Fp32 | Self::Fp64 | Self::Bytes => return None,
        })
    }

    /// Whether `value` is what the type declares; null is a missing value of every type.
    fn holds(self, value: &serde_json::Value) -> bool {
        let serde_json::Value::Number(number) = value else { return true };
        let Some((least, most)) = self.range() else { return true };
        match (number.as_u64(), number.as_i64()) {
            (Some(value), _) => value <= most,
            (None, Some(value)) => value >= least,
            (None, None) => false,
        }
    }
}

/// Reads the tensors into `rows`: either one per record field, or one matrix of all inputs.
pub(super) fn read(tensors: &[InputTensor], rows: &mut Rows) -> Result<(), Fault> {
    match tensors {
        [] => Err(Fault::bad_request("`inputs` is empty: send one tensor per input of the model's metadata")),
        [matrix] if matrix.name == MATRIX && rows.model().schema.field(MATRIX).is_none() => match matrix.pixels() {
            Some(_) => read_images(matrix, rows),
            None => read_matrix(matrix, rows),
        },
        _ => read_fields(tensors, rows),
    }
}

/// One tensor called `input`, of shape `[n, k]`: the columns are the metadata's inputs in their order.
fn read_matrix(tensor: &InputTensor, rows: &mut Rows) -> Result<(), Fault> {
    let model = Arc::clone(rows.model());
    let inputs = model.inputs();
    let count = match tensor.shape.as_slice() {
        [rows, columns] if *columns == inputs.len() as u64 => *rows,
        other => {
            let names: Vec<&str> = model.input_fields().map(|field| field.name.as_str()).collect();
            return Err(Fault::bad_request(format!(
                "tensor `{MATRIX}` has the shape {other:?}: the model takes [n, {}] with the columns {}",
                inputs.len(),
                names.join(", ")
            )));
        }
    };
    let count = tensor.check(count, rows)?;
    for row in 0..count {
        let values = &tensor.data.values[row * inputs.len()..][..inputs.len()];
        for (&index, value) in inputs.iter().zip(values) {
            rows.record()[index] = tensor.value(value, &model.schema.fields[index], row)?;
        }
        rows.push()?;
    }
    Ok(())
}

/// One tensor called `input` with the pixels of images, for a model whose one input is an image.
fn read_images(tensor: &InputTensor, rows: &mut Rows) -> Result<(), Fault> {
    let model = Arc::clone(rows.model());
    let &[index] = model.inputs() else {
        return Err(Fault::bad_request(format!(
            "tensor `{MATRIX}` holds images, and the model takes more than one: send one tensor per input of its metadata"
        )));
    };
    let count = tensor.check(tensor.shape[0], rows)?;
    for row in 0..count {
        rows.record()[index] = tensor.value_of(row, &model.schema.fields[index])?;
        rows.push()?;
    }
    Ok(())
}

/// One tensor per field, each of shape `[n]` or `[n, 1]`, or `[n, height, width, 3]` with the pixels of images. A nullable field may be left out.
fn read_fields(tensors: &[InputTensor], rows: &mut Rows) -> Result<(), Fault> {
    let model = Arc::clone(rows.model());
    let schema = &model.schema;
    let mut columns: Vec<(usize, &InputTensor)> = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let Some(index) = schema.index(&tensor.name) else {
            let shown: String = tensor.name.chars().take(60).collect();
            let hint = did_you_mean(&tensor.name, schema.names());
            return Err(Fault::bad_request(format!("the model has no input `{shown}`{hint}")));
        };
        if columns.iter().any(|(other, _)| *other == index) {
            return Err(Fault::bad_request(format!("there are two tensors called `{}`", tensor.name)));
        }
        columns.push((index, tensor));
    }
    let missing = model
        .inputs()
        .iter()
        .find(|&&index| !schema.fields[index].nullable && !columns.iter().any(|(given, _)| *given == index));
    if let Some(&index) = missing {
        return Err(Fault::bad_request(format!("input `{}` is missing", schema.fields[index].name)));
    }
    let mut count = None;
    for (_, tensor) in &columns {
        let (&[found] | &[found, 1] | &[found, _, _, CHANNELS]) = tensor.shape.as_slice() else {
            return Err(Fault::bad_request(format!(
                "tensor `{}` has the shape {:?}: send [n] or [n, 1], and pixels of images as [n, height, width, 3]",
                tensor.name, tensor.shape
            )));
        };
        let wanted = *count.get_or_insert(found);
        if found != wanted {
            return Err(Fault::bad_request(format!(
                "tensor `{}` has {found} rows and `{}` has {wanted}",
                tensor.name, columns[0].1.name
            )));
        }
        tensor.check(found, rows)?;
    }
    let count = usize::try_from(count.unwrap_or_default()).unwrap_or(usize::MAX);
    for row in 0..count {
        for (index, tensor) in &columns {
            rows.record()[*index] = tensor.value_of(row, &schema.fields[*index])?;
        }
        rows.push()?;
    }
    Ok(())
}

impl InputTensor {
    /// Checks that the data are those the shape announces, for `count` rows that the request may have.
    fn check(&self, count: u64, rows: &Rows) -> Result<usize, Fault> {
        let fault = |reason: String| Err(Fault::bad_request(format!("tensor `{}`: {reason}", self.name)));
        if count == 0 {
            return fault("it has no rows".to_owned());
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        rows.check_count(count)?;
        let wanted = self.shape.iter().try_fold(1u64, |product, length| product.checked_mul(*length));
        let found = self.data.values.len();
        if wanted != Some(found as u64) {
            return fault(format!("its data are {found} values, and its shape {:?} announces others", self.shape));
        }
        let dims = &self.data.dims;
        let nested_as_announced = dims.len() == self.shape.len()
            && dims.iter().zip(&self.shape).all(|(found, wanted)| *found as u64 == *wanted);
        if self.data.ragged || (dims.len() > 1 && !nested_as_announced) {
            return fault(format!("its data are not nested as its shape {:?} says", self.shape));
        }
        Ok(count)
    }

    /// Height and width of the images whose pixels it holds.
    fn pixels(&self) -> Option<(u64, u64)> {
        match self.shape.as_slice() {
            &[_, height, width, CHANNELS] => Some((height, width)),
            _ => None,
        }
    }

    /// The value of a row as its field wants it. The shape has been checked.
    fn value_of(&self, row: usize, field: &Field) -> Result<Value, Fault> {
        let Some((height, width)) = self.pixels() else { return self.value(&self.data.values[row], field, row) };
        let scale = match self.datatype {
            Datatype::Fp16 | Datatype::Fp32 | Datatype::Fp64 => 1.0,
            Datatype::Uint8 => 255.0,
            _ => 0.0,
        };
        if field.kind != FieldKind::Bytes || scale == 0.0 {
            return Err(Fault::bad_request(format!(
                "tensor `{}` of shape {:?}: pixels of images are FP32 from 0 to 1, or UINT8, for an input of datatype BYTES",
                self.name, self.shape
            )));
        }
        let (height, width) = (height as usize, width as usize);
        let values = &self.data.values[row * height * width * 3..][..height * width * 3];
        image_input::flat(values, height, width, scale)
            .map(Value::Bytes)
            .map_err(|reason| Fault::bad_request(format!("row {row}, tensor `{}`: {reason}", self.name)))
    }

    /// One value as its field wants it.
    fn value(&self, value: &serde_json::Value, field: &Field, row: usize) -> Result<Value, Fault> {
        if !self.datatype.suits(field.kind) {
            let name = format!("{:?}", self.datatype).to_uppercase();
            return Err(Fault::bad_request(format!(
                "tensor `{}` has the datatype {name}, and field `{}` is a {}; the model's metadata names the one to send",
                self.name,
                field.name,
                field.kind.title()
            )));
        }
        if !self.datatype.holds(value) {
            let name = format!("{:?}", self.datatype).to_uppercase();
            return Err(Fault::bad_request(format!("row {row}, field `{}`: {value} is no {name}", field.name)));
        }
        image_input::value(value, field).map_err(|e| Fault::bad_request(format!("row {row}: {e}")))
    }
}
