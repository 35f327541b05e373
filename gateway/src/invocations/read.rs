//! The forms in which rows come, and how they become rows of a model.

use std::collections::BTreeSet;
use std::sync::Arc;

use driftmill_schemas::record::{Field, Value};
use serde_json::{Map, Value as Json};

use crate::body;
use crate::fault::Fault;
use crate::image_input;
use crate::model::Rows;

/// The keys of which a body has exactly one.
const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];
/// Different names that the rows of a request may have.
const MOST_NAMES: usize = 10_000;
/// Lists around the numbers of an image: rows, pixels, channels.
const IMAGE_DEPTH: usize = 3;
/// Height and width of the images that the contract of `[[p]]` was made for.
const SIDE: usize = 224;

/// Rows as a request holds them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    /// A name for each column, and rows of values.
    Named { columns: Vec<String>, rows: Vec<Vec<Json>> },
    /// Rows of named values; `columns` are the names of all of them.
    Records { columns: Vec<String>, rows: Vec<Map<String, Json>> },
    /// Texts of a CSV, which become what their fields are.
    Texts { columns: Vec<String>, rows: Vec<Vec<String>> },
    /// Values without names, in the order of the model's inputs.
    Positional(Vec<Json>),
}

impl Input {
    /// Reads a body of this content type.
    pub(super) fn read(bytes: &[u8], content_type: &str) -> Result<Self, Fault> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind {
            "text/csv" => csv(bytes),
            "" | "application/json" => json(bytes),
            other => {
                let shown: String = other.chars().take(60).collect();
                Err(Fault::bad_request(format!("`{shown}` cannot be read here: send application/json or text/csv")))
            }
        }
    }

    /// The names of its columns, if they have names.
    pub(super) fn columns(&self) -> Option<&[String]> {
        match self {
            Self::Named { columns, .. } | Self::Records { columns, .. } | Self::Texts { columns, .. } => Some(columns),
            Self::Positional(_) => None,
        }
    }

    /// How deeply the first row's value is nested, and how many values it holds.
    pub(super) fn shape(&self) -> (usize, usize) {
        let Self::Positional(rows) = self else { return (0, 0) };
        let Some(first) = rows.first() else { return (0, 0) };
        (image_input::depth(first), first.as_array().map_or(1, Vec::len))
    }

    /// Fills rows of a model. `square`: images must have the size that the contract was made for.
    pub(super) fn rows(self, mut rows: Rows, square: bool) -> Result<Rows, Fault> {
        let model = Arc::clone(rows.model());
        let fields = &model.schema.fields;
        match self {
            Self::Named { columns, rows: given } => {
                let places = places(&columns, fields, model.inputs())?;
                rows.check_count(given.len())?;
                for (number, values) in given.iter().enumerate() {
                    for (column, &field) in places.iter().enumerate() {
                        let Some(field) = field else { continue };
                        let value = values.get(column).unwrap_or(&Json::Null);
                        rows.record()[field] = read(value, &fields[field], number, square)?;
                    }
                    rows.push()?;
                }
            }
            Self::Records { columns, rows: given } => {
                places(&columns, fields, model.inputs())?;
                rows.check_count(given.len())?;
                for (number, mut object) in given.into_iter().enumerate() {
                    for (index, field) in fields.iter().enumerate() {
                        let value = object.remove(&field.name).unwrap_or_default();
                        let is_input = model.inputs().contains(&index);
                        if value.is_null() && !is_input {
                            rows.record()[index] = Value::Null;
                        } else {
                            rows.record()[index] = read(&value, field, number, square)?;
                        }
                    }
                    rows.push()?;
                }
            }
            Self::Texts { columns, rows: given } => {
                let places = places(&columns, fields, model.inputs())?;
                rows.check_count(given.len())?;
                for (number, values) in given.iter().enumerate() {
                    for (text, &field) in values.iter().zip(&places) {
                        let Some(field) = field else { continue };
                        let is_missing = text.is_empty() && fields[field].nullable;
                        let value = if is_missing { Ok(Value::Null) } else { Value::from_text(text, &fields[field]) };
                        rows.record()[field] = value.map_err(|e| Fault::bad_request(format!("row {number}: {e}")))?;
                    }
                    rows.push()?;
                }
            }
            Self::Positional(given) => {
                let inputs = model.inputs();
                rows.check_count(given.len())?;
                for (number, row) in given.iter().enumerate() {
                    // One input may stand without a list around it; an image is itself three lists deep.
                    let depth = image_input::depth(row);
                    let is_alone = inputs.len() == 1 && (depth == 0 || depth == IMAGE_DEPTH);
                    let values = match row {
                        Json::Array(values) if !is_alone => values.as_slice(),
                        _ => std::slice::from_ref(row),
                    };
                    if values.len() != inputs.len() {
                        let names: Vec<&str> = model.input_fields().map(|field| field.name.as_str()).collect();
                        return Err(Fault::bad_request(format!(
                            "row {number} has {} values, and the model takes {}: {}",
                            values.len(),
                            inputs.len(),
                            names.join(", ")
                        )));
                    }
                    for (&field, value) in inputs.iter().zip(values) {
                        rows.record()[field] = read(value, &fields[field], number, square)?;
                    }
                    rows.push()?;
                }
            }
        }
        if rows.len() == 0 {
            return Err(Fault::bad_request("there are no rows to answer"));
        }
        Ok(rows)
    }
}

fn read(value: &Json, field: &Field, row: usize, square: bool) -> Result<Value, Fault> {
    if square && value.is_array() {
        let found = image_input::dimensions(value);
        if found != [SIDE, SIDE, 3] {
            return Err(Fault::bad_request(format!(
                "row {row} has the shape {found:?}: the model takes [{SIDE}, {SIDE}, 3], numbers from 0 to 1"
            )));
        }
    }
    image_input::value(value, field).map_err(|reason| Fault::bad_request(format!("row {row}: {reason}")))
}

/// The field of each column, if it has one; every input that may not be null needs a column.
fn places(columns: &[String], fields: &[Field], inputs: &[usize]) -> Result<Vec<Option<usize>>, Fault> {
    let places: Vec<Option<usize>> =
        columns.iter().map(|column| fields.iter().position(|field| field.name == *column)).collect();
    let missing = inputs.iter().find(|&&input| !fields[input].nullable && !places.contains(&Some(input)));
    match missing {
        None => Ok(places),
        Some(&input) => {
            let name = &fields[input].name;
            let hint = driftmill_schemas::name::did_you_mean(name, columns.iter().map(String::as_str));
            Err(Fault::bad_request(format!("column `{name}` is missing{hint}")))
        }
    }
}

fn json(bytes: &[u8]) -> Result<Input, Fault> {
    let mut body: Map<String, Json> = body::parse(bytes)?;
    let given: Vec<&str> = FORMS.into_iter().filter(|form| body.contains_key(*form)).collect();
    let [form] = given[..] else {
        return Err(Fault::bad_request(format!(
            "the body has {} of the keys {}: send exactly one",
            given.len(),
            FORMS.join(", ")
        )));
    };
    if let Some(strange) = body.keys().find(|key| *key != form && *key != "params" && *key != "signature_name") {
        let shown: String = strange.chars().take(60).collect();
        return Err(Fault::bad_request(format!(
            "the body has the key `{shown}`, which is unknown beside `{form}` and `params`"
        )));
    }
    let rows = body.remove(form).unwrap_or_default();
    match (form, rows) {
        ("dataframe_split", Json::Object(frame)) => split(frame),
        ("dataframe_records" | "instances" | "inputs", Json::Array(rows))
            if form == "dataframe_records" || rows.first().is_some_and(Json::is_object) =>
        {
            records(form, rows)
        }
        ("inputs", Json::Object(columns)) => by_column(columns),
        ("instances" | "inputs", Json::Array(rows)) => Ok(Input::Positional(rows)),
        _ => Err(Fault::bad_request(format!("`{form}` is not in the form that MLflow's scoring protocol gives it"))),
    }
}

/// `{"columns": […], "data": [[…]]}`.
fn split(mut frame: Map<String, Json>) -> Result<Input, Fault> {
    let wrong = |reason: &str| Fault::bad_request(format!("`dataframe_split`: {reason}"));
    let Some(Json::Array(data)) = frame.remove("data") else { return Err(wrong("`data` is a list of rows")) };
    let Some(columns) = frame.remove("columns") else { return Ok(Input::Positional(data)) };
    let columns: Vec<String> = serde_json::from_value(columns).map_err(|_| wrong("`columns` is a list of names"))?;
    let mut rows = Vec::with_capacity(data.len());
    for (number, row) in data.into_iter().enumerate() {
        match row {
            Json::Array(row) if row.len() == columns.len() => rows.push(row),
            _ => return Err(wrong(&format!("row {number} is no list of {} values", columns.len()))),
        }
    }
    Ok(Input::Named { columns, rows })
}

/// A list of objects.
fn records(form: &str, records: Vec<Json>) -> Result<Input, Fault> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut rows = Vec::with_capacity(records.len());
    for (number, record) in records.into_iter().enumerate() {
        let Json::Object(record) = record else {
            return Err(Fault::bad_request(format!("`{form}`: row {number} is no object")));
        };
        for name in record.keys() {
            if !names.contains(name) {
                names.insert(name.clone());
            }
        }
        if names.len() > MOST_NAMES {
            return Err(Fault::bad_request(format!("`{form}`: the rows have more than {MOST_NAMES} different names")));
        }
        rows.push(record);
    }
    Ok(Input::Records { columns: names.into_iter().collect(), rows })
}

/// An object of columns.
fn by_column(given: Map<String, Json>) -> Result<Input, Fault> {
    let mut columns = Vec::with_capacity(given.len());
    let mut count = None;
    let mut values = Vec::with_capacity(given.len());
    for (name, column) in given {
        let column = match column {
            Json::Array(column) => column,
            single => vec![single],
        };
        if *count.get_or_insert(column.len()) != column.len() {
            return Err(Fault::bad_request(format!("`inputs`: column `{name}` has another length than the first")));
        }
        columns.push(name);
        values.push(column.into_iter());
    }
    let row = |_| values.iter_mut().map(|column| column.next().unwrap_or_default()).collect();
    let rows = (0..count.unwrap_or_default()).map(row).collect();
    Ok(Input::Named { columns, rows })
}

fn csv(bytes: &[u8]) -> Result<Input, Fault> {
    let wrong = |e: csv::Error| Fault::bad_request(format!("the CSV: {e}"));
    let mut reader = csv::Reader::from_reader(bytes);
    let columns = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    for row in reader.records() {
        rows.push(row.map_err(wrong)?.iter().map(str::to_owned).collect());
    }
    Ok(Input::Texts { columns, rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Json) -> Result<Input, String> {
        Input::read(body.to_string().as_bytes(), "application/json").map_err(|fault| fault.message)
    }

    #[test]
    fn every_form_of_a_frame_gives_the_same_rows() {
        let expected = Ok(Input::Named {
            columns: vec!["a".to_owned(), "b".to_owned()],
            rows: vec![vec![json!(1), json!("x")], vec![json!(2), json!(null)]],
        });
        assert_eq!(read(json!({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, null]]}})), expected);
        let records = |input: Result<Input, String>| match input {
            Ok(Input::Records { columns, rows }) => (columns, rows.len()),
            other => panic!("{other:?}"),
        };
        let names = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(records(read(json!({"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2}]}))), (names.clone(), 2));
        assert_eq!(records(read(json!({"instances": [{"a": 1, "b": "x"}, {"b": null}], "params": {}}))), (names, 2));
        assert_eq!(read(json!({"inputs": {"a": [1, 2], "b": ["x", null]}})), expected);
        let csv = Input::read(b"a,b\n1,x\n2,\n", "text/csv; charset=utf-8").unwrap();
        assert!(matches!(csv, Input::Texts { columns, rows } if columns == ["a", "b"] && rows[1] == ["2", ""]));
        assert_eq!(read(json!({"inputs": [[1, 2]]})), Ok(Input::Positional(vec![json!([1, 2])])));
    }

    #[test]
    fn names_that_differ_from_row_to_row_do_not_multiply() {
        let rows: Vec<Json> = (0..20_000).map(|i| json!({ format!("a{i}"): 1 })).collect();
        let message = read(json!({ "instances": rows })).unwrap_err();
        assert!(message.contains("different names"), "{message}");
    }

    #[test]
    fn what_fits_no_form_is_refused_by_its_key() {
        for (body, expected) in [
            (json!({}), "0 of the keys"),
            (json!({"inputs": [], "instances": []}), "2 of the keys"),
            (json!({"inputs": [1], "speed": 7}), "`speed`"),
            (json!({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}), "row 0"),
            (json!({"dataframe_split": 7}), "`dataframe_split`"),
            (json!({"dataframe_records": [7]}), "row 0"),
            (json!({"inputs": {"a": [1], "b": [1, 2]}}), "column `b`"),
        ] {
            let message = read(body.clone()).unwrap_err();
            assert!(message.contains(expected), "{body}: {message}");
        }
        assert!(Input::read(b"{}", "application/x-protobuf").is_err());
    }
}
