//! The graph's inputs, and how they become the rows of the model.

use driftmill_models::parts::{Codes, FeatureColumns};

use super::builder::{Builder, Value};
use crate::proto::{DOUBLE, STRING};

/// Writes the inputs and returns the name of the rows; `None` when there is no column.
pub(super) fn write(graph: &mut Builder, columns: &[FeatureColumns<'_>], features: &[String]) -> Option<String> {
    // Parts side by side: the numbers, then each category. Of each column of the model, where it is among these.
    let mut parts = Vec::new();
    let mut places = Vec::new();
    let n_numbers = columns.iter().filter(|column| **column == FeatureColumns::Number).count();
    if n_numbers > 0 {
        graph.input("input", DOUBLE, n_numbers);
        parts.push("input".to_owned());
    }
    let (mut number, mut next) = (0, n_numbers as i64);
    for (column, feature) in columns.iter().zip(features) {
        let (codes, one_hot) = match column {
            FeatureColumns::Number => {
                places.push(number);
                number += 1;
                continue;
            }
            FeatureColumns::Codes(codes) => (codes, false),
            FeatureColumns::OneHot(codes) => (codes, true),
            FeatureColumns::Ignored => continue,
        };
        let input = graph.name(feature);
        graph.input(&input, STRING, 1);
        let code = write_code(graph, &input, codes);
        let width = if one_hot { (codes.known.len() + usize::from(codes.others)).max(1) } else { 1 };
        parts.push(if one_hot { write_one_hot(graph, &code, width) } else { code });
        places.extend(next..next + width as i64);
        next += width as i64;
    }
    let names: Vec<&str> = parts.iter().map(String::as_str).collect();
    let side_by_side = match names.as_slice() {
        [] => return None,
        [one] => (*one).to_owned(),
        several => graph.node("Concat", several, "columns", &[("axis", 1.into())]),
    };
    if places.is_sorted() {
        return Some(side_by_side);
    }
    let order = graph.integers("order", &places);
    Some(graph.node("Gather", &[&side_by_side, &order], "rows_in_order", &[("axis", 1.into())]))
}

/// The code of a column of texts, `NaN` for a missing one. ONNX has no missing text: an empty one stands for it, unless the
/// empty text is a category.
fn write_code(graph: &mut Builder, input: &str, codes: &Codes<'_>) -> String {
    let mut keys: Vec<Vec<u8>> = codes.known.iter().map(|(text, _)| text.as_bytes().to_vec()).collect();
    let mut values: Vec<f32> = codes.known.iter().map(|(_, code)| f32::from(*code)).collect();
    if !keys.iter().any(Vec::is_empty) {
        keys.push(Vec::new());
        values.push(f32::NAN);
    }
    let other = if codes.others { codes.known.len() as f32 } else { f32::NAN };
    let attributes = [
        ("keys_strings", Value::Texts(keys)),
        ("values_floats", Value::Floats(values)),
        ("default_float", Value::Float(other)),
    ];
    let code = graph.ml_node("LabelEncoder", &[input], "code", &attributes);
    graph.node("Cast", &[&code], "code", &[("to", i64::from(DOUBLE).into())])
}

/// 1 in the column of the code, 0 in the others, `NaN` in all when there is no code.
fn write_one_hot(graph: &mut Builder, code: &str, width: usize) -> String {
    let codes = graph.doubles("codes", &[1, width], (0..width).map(|code| code as f64).collect());
    let equal = graph.node("Equal", &[code, &codes], "is_code", &[]);
    let one_hot = graph.node("Cast", &[&equal], "one_hot", &[("to", i64::from(DOUBLE).into())]);
    let missing = graph.node("IsNaN", &[code], "is_missing", &[]);
    let nan = graph.doubles("missing", &[1, 1], vec![f64::NAN]);
    graph.node("Where", &[&missing, &nan, &one_hot], "one_hot", &[])
}
