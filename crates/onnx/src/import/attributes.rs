//! The attributes of a node, by name and type.

use super::tensor::Tensor;
use crate::proto;

/// Attributes of one node.
pub(super) struct Attributes<'a>(pub &'a [proto::Attribute]);

impl<'a> Attributes<'a> {
    fn find(&self, name: &str) -> Option<&'a proto::Attribute> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.find(name).map(|attribute| attribute.i.unwrap_or_default())
    }

    pub fn float(&self, name: &str) -> Option<f32> {
        self.find(name).map(|attribute| attribute.f.unwrap_or_default())
    }

    /// Empty when it is not there.
    pub fn text(&self, name: &str) -> &'a [u8] {
        self.find(name).and_then(|attribute| attribute.s.as_deref()).unwrap_or_default()
    }

    /// Empty when there are none.
    pub fn integers(&self, name: &str) -> &'a [i64] {
        self.find(name).map_or(&[], |attribute| &attribute.ints)
    }

    /// Empty when there are none.
    pub fn floats(&self, name: &str) -> &'a [f32] {
        self.find(name).map_or(&[], |attribute| &attribute.floats)
    }

    /// Empty when there are none.
    pub fn texts(&self, name: &str) -> &'a [Vec<u8>] {
        self.find(name).map_or(&[], |attribute| &attribute.strings)
    }

    /// Numbers, which some attributes have as 32-bit floats or, under a name that ends in `_as_tensor`, as 64-bit ones.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        let tensor = self.find(&format!("{name}_as_tensor")).and_then(|attribute| attribute.t.as_deref());
        match tensor {
            Some(tensor) => Ok(Tensor::read(tensor.clone())?.numbers()?.to_vec()),
            None => Ok(self.floats(name).iter().map(|&value| f64::from(value)).collect()),
        }
    }

    /// Names of classes, which are numbers or texts; `None` when there are none.
    pub fn classes(&self, numbers: &str, texts: &str) -> Result<Option<Vec<String>>, String> {
        let (numbers, texts) = (self.integers(numbers), self.texts(texts));
        if !numbers.is_empty() {
            return Ok(Some(numbers.iter().map(ToString::to_string).collect()));
        }
        if texts.is_empty() {
            return Ok(None);
        }
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).map_err(|_| "a class is not a text".to_owned());
        texts.iter().map(text).collect::<Result<_, _>>().map(Some)
    }
}
