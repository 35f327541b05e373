//! Reads the parameters of a pipeline file into an algorithm's builder, with errors a person can act on.

use linfa::ParamGuard;
use serde_json::{Map, Value};

use super::Error;
use crate::ClassWeight;

/// The parameters given for one algorithm, all of which it has.
pub(crate) struct Params<'a> {
    algorithm: &'static str,
    map: &'a Map<String, Value>,
}

impl<'a> Params<'a> {
    pub fn new(
        algorithm: &'static str,
        known: &'static [&'static str],
        map: &'a Map<String, Value>,
    ) -> Result<Self, Error> {
        match map.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                Err(Error::UnknownParameter { algorithm, name: name.clone(), nearest: nearest(name, known), known })
            }
            None => Ok(Self { algorithm, map }),
        }
    }

    /// Sets a whole number.
    pub fn set_count<P: Clone>(&self, name: &'static str, params: &mut P, set: fn(P, usize) -> P) -> Result<(), Error> {
        let Some(value) = self.map.get(name) else { return Ok(()) };
        let count = whole(value).ok_or_else(|| self.wrong_type(name, "a whole number", value))?;
        *params = set(params.clone(), count);
        Ok(())
    }

    /// Sets a whole number, or no limit by null.
    pub fn set_limit<P: Clone>(
        &self,
        name: &'static str,
        params: &mut P,
        set: fn(P, Option<usize>) -> P,
    ) -> Result<(), Error> {
        let Some(value) = self.map.get(name) else { return Ok(()) };
        let limit = match value {
            Value::Null => None,
            _ => Some(whole(value).ok_or_else(|| self.wrong_type(name, "a whole number or null", value))?),
        };
        *params = set(params.clone(), limit);
        Ok(())
    }

    /// Sets a number.
    pub fn set_number<P: Clone>(&self, name: &'static str, params: &mut P, set: fn(P, f64) -> P) -> Result<(), Error> {
        let Some(value) = self.map.get(name) else { return Ok(()) };
        let number = value.as_f64().ok_or_else(|| self.wrong_type(name, "a number", value))?;
        *params = set(params.clone(), number);
        Ok(())
    }

    /// Sets true or false.
    pub fn set_flag<P: Clone>(&self, name: &'static str, params: &mut P, set: fn(P, bool) -> P) -> Result<(), Error> {
        let Some(value) = self.map.get(name) else { return Ok(()) };
        let flag = value.as_bool().ok_or_else(|| self.wrong_type(name, "true or false", value))?;
        *params = set(params.clone(), flag);
        Ok(())
    }

    /// Which of the names was given, if any.
    pub fn choice<const N: usize>(
        &self,
        name: &'static str,
        choices: [&str; N],
        expected: &'static str,
    ) -> Result<Option<usize>, Error> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        match choices.iter().position(|choice| value.as_str() == Some(choice)) {
            Some(index) => Ok(Some(index)),
            None => Err(self.wrong_type(name, expected, value)),
        }
    }

    /// Sets a list of features by their numbers.
    pub fn set_features<P: Clone>(
        &self,
        name: &'static str,
        params: &mut P,
        set: fn(P, Vec<usize>) -> P,
    ) -> Result<(), Error> {
        let Some(value) = self.map.get(name) else { return Ok(()) };
        let features = value.as_array().and_then(|values| values.iter().map(whole).collect::<Option<Vec<usize>>>());
        *params =
            set(params.clone(), features.ok_or_else(|| self.wrong_type(name, "a list of feature numbers", value))?);
        Ok(())
    }

    /// Sets a list of -1, 0 and 1, one per feature. Whether they are is checked with the ranges.
    pub fn set_signs<P: Clone>(
        &self,
        name: &'static str,
        params: &mut P,
        set: fn(P, Vec<i8>) -> P,
    ) -> Result<(), Error> {
        let Some(value) = self.map.get(name) else { return Ok(()) };
        let sign = |value: &Value| value.as_i64().and_then(|sign| i8::try_from(sign).ok());
        let signs = value.as_array().and_then(|values| values.iter().map(sign).collect::<Option<Vec<i8>>>());
        *params = set(params.clone(), signs.ok_or_else(|| self.wrong_type(name, "a list of -1, 0 and 1", value))?);
        Ok(())
    }

    /// Sets `class_weight`: "balanced", weights by class index, or none by null.
    pub fn set_class_weight<P: Clone>(
        &self,
        params: &mut P,
        set: fn(P, Option<ClassWeight>) -> P,
    ) -> Result<(), Error> {
        let Some(value) = self.map.get("class_weight") else { return Ok(()) };
        let entry = |(class, weight): (&String, &Value)| Some((class.parse().ok()?, weight.as_f64()?));
        let weight = match value {
            Value::Null => None,
            Value::String(name) if name == "balanced" => Some(ClassWeight::Balanced),
            Value::Object(map) if map.iter().all(|pair| entry(pair).is_some()) => {
                Some(ClassWeight::Given(map.iter().filter_map(entry).collect()))
            }
            _ => return Err(self.wrong_type("class_weight", "\"balanced\", weights by class index, or null", value)),
        };
        *params = set(params.clone(), weight);
        Ok(())
    }

    /// The parameters, once all of them are in range.
    pub fn checked<P: ParamGuard<Error = crate::Error>>(&self, params: P) -> Result<P, Error> {
        match params.check_ref() {
            Ok(_) => Ok(params),
            Err(source) => Err(Error::Range { algorithm: self.algorithm, source }),
        }
    }

    fn wrong_type(&self, name: &'static str, expected: &'static str, value: &Value) -> Error {
        Error::Type { algorithm: self.algorithm, name, expected, got: value.to_string() }
    }
}

/// 100, and also 100.0, which is how some clients write it.
fn whole(value: &Value) -> Option<usize> {
    let from_float = |number: f64| (number.fract() == 0.0 && (0.0..=1e15).contains(&number)).then_some(number as usize);
    value.as_u64().and_then(|count| usize::try_from(count).ok()).or_else(|| value.as_f64().and_then(from_float))
}

/// The known name that is spelt most like `name`, if any is near.
pub(crate) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let likeness = |known: &str| strsim::jaro_winkler(name, known);
    let best = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.7).then_some(best)
}
