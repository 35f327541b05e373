//! Constants.

use std::rc::Rc;

use crate::proto::{self, DOUBLE, FLOAT, INT32, INT64, STRING};

/// A constant tensor.
#[derive(Clone)]
pub(super) struct Tensor {
    /// Of no, one or more dimensions; their product is the number of elements.
    pub dims: Vec<usize>,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Numbers(Rc<[f64]>),
    Texts(Rc<[String]>),
}

impl Tensor {
    pub fn read(tensor: proto::Tensor) -> Result<Self, String> {
        if tensor.data_location != 0 {
            return Err("it lies in another file; save the model as one file".to_owned());
        }
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let dims = dims.ok_or("a dimension is below 0")?;
        let data = match tensor.data_type {
            FLOAT => Data::Numbers(numbers(&tensor.float_data, &tensor.raw_data, f32::from_le_bytes, f64::from)?),
            DOUBLE => Data::Numbers(numbers(&tensor.double_data, &tensor.raw_data, f64::from_le_bytes, |value| value)?),
            INT32 => Data::Numbers(numbers(&tensor.int32_data, &tensor.raw_data, i32::from_le_bytes, f64::from)?),
            INT64 => {
                Data::Numbers(numbers(&tensor.int64_data, &tensor.raw_data, i64::from_le_bytes, |value| value as f64)?)
            }
            STRING => {
                let texts = tensor.string_data.into_iter().map(String::from_utf8).collect::<Result<Vec<_>, _>>();
                Data::Texts(texts.map_err(|_| "it has a text that is not UTF-8")?.into())
            }
            _ => return Err("it is not of floats, 32- or 64-bit integers or texts".to_owned()),
        };
        let elements = dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        let tensor = Self { dims, data };
        if elements == Some(tensor.len()) {
            Ok(tensor)
        } else {
            Err("its shape is not that of its elements".to_owned())
        }
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Numbers(numbers) => numbers.len(),
            Data::Texts(texts) => texts.len(),
        }
    }

    /// What a copy of it takes, in words of 8 bytes, for the budget.
    pub fn size(&self) -> usize {
        match &self.data {
            Data::Numbers(numbers) => 1 + numbers.len(),
            Data::Texts(texts) => 1 + texts.iter().map(|text| 3 + text.len() / 8).sum::<usize>(),
        }
    }

    pub fn numbers(&self) -> Result<&[f64], String> {
        match &self.data {
            Data::Numbers(numbers) => Ok(numbers),
            Data::Texts(_) => Err("a constant is of texts where numbers are expected".to_owned()),
        }
    }

    /// Whole numbers of columns, which are below `width`.
    pub fn places(&self, width: usize) -> Result<Vec<usize>, String> {
        let place = |&number: &f64| {
            // As in Python, the last one is number -1.
            let number = if number < 0.0 { number + width as f64 } else { number };
            (number.fract() == 0.0 && (0.0..width as f64).contains(&number)).then_some(number as usize)
        };
        let places: Option<Vec<usize>> = self.numbers()?.iter().map(place).collect();
        places.ok_or_else(|| format!("it picks a column that is not one of {width}"))
    }

    /// A value for each of `width` columns: as many, or one for all.
    pub fn per_column(&self, width: usize) -> Result<Vec<f64>, String> {
        let by_row = self.dims.len() > 1 && self.dims[..self.dims.len() - 1].iter().any(|&dim| dim != 1);
        match self.numbers()? {
            [one] => Ok(vec![*one; width]),
            several if several.len() == width && !by_row => Ok(several.to_vec()),
            _ => Err(format!("a constant of shape {:?} does not fit {width} columns", self.dims)),
        }
    }

    /// The names of classes that numbers or texts are.
    pub fn classes(&self) -> Vec<String> {
        match &self.data {
            Data::Numbers(numbers) => numbers.iter().map(|number| format!("{number}")).collect(),
            Data::Texts(texts) => texts.to_vec(),
        }
    }
}

/// Elements in their own field, or as bytes.
fn numbers<T: Copy, const N: usize>(
    typed: &[T],
    raw: &[u8],
    read: fn([u8; N]) -> T,
    convert: impl Fn(T) -> f64,
) -> Result<Rc<[f64]>, String> {
    if raw.is_empty() {
        return Ok(typed.iter().map(|&value| convert(value)).collect());
    }
    let (chunks, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() || !typed.is_empty() {
        return Err("its elements are cut off".to_owned());
    }
    Ok(chunks.iter().map(|&chunk| convert(read(chunk))).collect())
}
