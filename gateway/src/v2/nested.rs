//! A tensor's `data`: flat, or nested as its shape says.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The scalars of a tensor in row-major order, and how they were nested.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Data {
    /// Nulls, booleans, numbers and texts.
    pub(super) values: Vec<Value>,
    /// Length of each level of nesting; one level for flat data.
    pub(super) dims: Vec<usize>,
    /// Whether lists of one level differ in length, or scalars stand on several levels.
    pub(super) ragged: bool,
    scalar_depth: Option<usize>,
}

impl<'de> serde::Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut data = Self::default();
        Level { data: &mut data, depth: 0 }.deserialize(deserializer)?;
        // `[[]]` has two levels, of which the second is empty; nothing tells how deep an empty list would go on.
        data.ragged |= data.scalar_depth.is_some_and(|depth| depth != data.dims.len());
        Ok(data)
    }
}

/// One value at one level of nesting. serde_json bounds the depth.
struct Level<'a> {
    data: &'a mut Data,
    depth: usize,
}

impl Level<'_> {
    fn scalar<E: Error>(self, value: Value) -> Result<(), E> {
        if self.depth == 0 {
            return Err(E::custom("`data` must be a list"));
        }
        let depth = *self.data.scalar_depth.get_or_insert(self.depth);
        self.data.ragged |= depth != self.depth;
        self.data.values.push(value);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers, texts, booleans or nulls, or of such lists")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut length = 0;
        while list.next_element_seed(Level { data: self.data, depth: self.depth + 1 })?.is_some() {
            length += 1;
        }
        let dims = &mut self.data.dims;
        if dims.len() <= self.depth {
            // Inner lists end before outer ones: the levels above are filled in when they end.
            dims.resize(self.depth + 1, usize::MAX);
        }
        match &mut dims[self.depth] {
            unknown if *unknown == usize::MAX => *unknown = length,
            known => self.data.ragged |= *known != length,
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("`data` holds an object: send lists of numbers, texts, booleans or nulls"))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(Value::from(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(Value::from(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<(), E> {
        self.scalar(Value::from(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Data {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn flat_and_nested_data_give_the_same_values() {
        let flat = read(json!([1, 2.5, null, "a", true, -7]));
        let nested = read(json!([[1, 2.5], [null, "a"], [true, -7]]));
        assert_eq!(flat.values, nested.values);
        assert_eq!((flat.dims, nested.dims, nested.ragged), (vec![6], vec![3, 2], false));
        assert_eq!(read(json!([[[1], [2]], [[3], [4]]])).dims, [2, 2, 1]);
    }

    #[test]
    fn uneven_lists_are_noticed() {
        for uneven in [json!([[1, 2], [3]]), json!([[1], 2]), json!([1, [2]]), json!([[1], []]), json!([[[1]], [2]])] {
            assert!(read(uneven.clone()).ragged, "{uneven}");
        }
        assert_eq!(read(json!([])).dims, [0]);
        assert!(!read(json!([[], []])).ragged);
    }

    #[test]
    fn what_is_no_list_is_an_error_and_depth_never_overflows_the_stack() {
        for bad in ["7", "null", "{}", "[{}]", "[[{\"a\":1}]]"] {
            assert!(serde_json::from_str::<Data>(bad).is_err(), "{bad}");
        }
        let deep = "[".repeat(1_000_000);
        assert!(serde_json::from_str::<Data>(&deep).is_err());
    }
}
