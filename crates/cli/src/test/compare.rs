//! What came out against what was expected.

use driftmill_processors::trial::{Outcome, Trial};
use driftmill_schemas::name::did_you_mean;
use driftmill_schemas::pipeline::Loaded;
use serde_json::{Map, Value, json};

use super::Window;
use super::case::{Case, Expected, ExpectedWindow, Rejection};
use super::golden::{self, time};

/// Differences that are shown of one case.
const SHOWN: usize = 20;

/// Every difference, for people, with the line of the case's file where it is expected otherwise.
pub fn differences(case: &Case, loaded: &Loaded, trial: &Trial) -> Vec<String> {
    let Some(expected) = &case.file.expected else {
        return vec!["  it has no `expected`: run it with --update and look at what is written".to_owned()];
    };
    let mut found = Vec::new();
    for (number, (outcome, expected)) in trial.outcomes.iter().zip(expected).enumerate() {
        let line = expected.referenced.line();
        let said = match (outcome, &expected.value) {
            (Outcome::Row(row), Expected::Row(wanted)) => row_differences(wanted, row),
            (Outcome::Rejected { error, message, expectation }, Expected::Rejected(wanted)) => {
                rejection_differences(wanted, error, message, expectation.as_deref())
            }
            (outcome, _) => vec![format!("it became {}", golden::outcome(loaded, outcome))],
        };
        found.extend(said.into_iter().map(|said| format!("  record {} (line {line}): {said}", number + 1)));
    }
    let (given, wanted) = (trial.outcomes.len(), expected.len());
    if given != wanted {
        found.push(format!("  {given} records are given, and something is expected of {wanted}"));
    }
    found.extend(window_differences(case, &trial.windows));
    if found.len() > SHOWN {
        let more = found.len() - SHOWN;
        found.truncate(SHOWN);
        found.push(format!("  and {more} more"));
    }
    found
}

fn row_differences(wanted: &Map<String, Value>, row: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    // A row that is set aside although nobody expected it must not pass.
    let unnamed = [("_quarantined", json!(0)), ("_breaches", json!([]))];
    let unnamed = unnamed.iter().filter(|(column, _)| !wanted.contains_key(*column) && row.contains_key(*column));
    let named = wanted.iter().map(|(column, value)| (column.as_str(), value));
    for (column, wanted) in named.chain(unnamed.map(|(column, value)| (*column, value))) {
        match row.get(column) {
            None if column == "_breaches" && wanted == &json!([]) => {}
            None => {
                let near = did_you_mean(column, row.keys().map(String::as_str));
                found.push(format!("the table has no column `{column}`{near}"));
            }
            Some(value) if !equal(column, wanted, value) => {
                let value = if column == "event_time" {
                    value.as_i64().map_or(Value::Null, |at| json!(time(at)))
                } else {
                    value.clone()
                };
                found.push(format!("`{column}` is {value}, and {wanted} was expected"));
            }
            Some(_) => {}
        }
    }
    found
}

fn equal(column: &str, wanted: &Value, value: &Value) -> bool {
    if column == "event_time"
        && let (Some(text), Some(at)) = (wanted.as_str(), value.as_i64())
    {
        return text == time(at)
            || chrono::DateTime::parse_from_rfc3339(text).is_ok_and(|wanted| wanted.timestamp_millis() == at);
    }
    match (wanted.as_f64(), value.as_f64()) {
        // 1 and 1.0 are one number.
        (Some(wanted), Some(value)) => wanted == value,
        _ => wanted == value,
    }
}

fn rejection_differences(wanted: &Rejection, error: &str, message: &str, expectation: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(wanted) = wanted.error.as_deref().filter(|wanted| *wanted != error) {
        found.push(format!("it is rejected as {error}, and {wanted} was expected: {message}"));
    }
    if let Some(wanted) = wanted.expectation.as_deref().filter(|wanted| Some(*wanted) != expectation) {
        let broken = expectation.unwrap_or("no expectation");
        found.push(format!("it breaks `{broken}`, and `{wanted}` was expected"));
    }
    if let Some(wanted) = wanted.message.as_deref().filter(|wanted| !message.contains(*wanted)) {
        found.push(format!("the reason is `{message}`, and `{wanted}` was expected in it"));
    }
    found
}

fn window_differences(case: &Case, windows: &[Window]) -> Vec<String> {
    let mut found = Vec::new();
    let expected = case.file.windows.as_deref().unwrap_or_default();
    for wanted in expected {
        let line = wanted.referenced.line();
        let (title, from) = (&wanted.value.expectation, &wanted.value.from);
        match windows.iter().find(|window| is_about(&wanted.value, window)) {
            None => found.push(format!("  window (line {line}): no row lies in a window of `{title}` from {from}")),
            Some(window) if window.met != wanted.value.met => {
                let met = if window.met { "met" } else { "broken" };
                found.push(format!("  window (line {line}): `{title}` is {met} from {from}: {}", window.detail));
            }
            Some(_) => {}
        }
    }
    // As with rows: what nobody expected to be broken must not pass.
    for window in windows.iter().filter(|window| !window.met) {
        let (title, from) = (&window.expectation, time(window.from));
        if !expected.iter().any(|wanted| is_about(&wanted.value, window)) {
            found.push(format!("  the window of `{title}` from {from} breaks it: {}", window.detail));
        }
    }
    found
}

fn is_about(wanted: &ExpectedWindow, window: &Window) -> bool {
    wanted.expectation == window.expectation && equal("event_time", &json!(wanted.from), &json!(window.from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_row_is_compared_by_the_columns_that_are_named() {
        let row = object(json!({"a": 1.5, "b": null, "event_time": 1000, "_quarantined": 0}));
        assert!(row_differences(&object(json!({"a": 1.5, "b": null})), &row).is_empty());
        assert!(row_differences(&object(json!({"event_time": "1970-01-01T00:00:01Z"})), &row).is_empty());
        assert!(row_differences(&object(json!({"a": 1})), &row)[0].contains("1.5"));
        assert!(row_differences(&object(json!({"aa": 1})), &row)[0].contains("did you mean `a`"));
    }

    #[test]
    fn what_nobody_expected_to_be_set_aside_differs() {
        let row = object(json!({"a": 1, "_quarantined": 1, "_breaches": ["rule"]}));
        assert_eq!(row_differences(&object(json!({"a": 1.0})), &row).len(), 2);
        let named = object(json!({"_quarantined": 1, "_breaches": ["rule"]}));
        assert!(row_differences(&named, &row).is_empty());
    }

    #[test]
    fn a_rejection_is_compared_by_what_is_named() {
        let wanted = |json: Value| serde_json::from_value::<Rejection>(json).unwrap();
        let found = |json: Value| rejection_differences(&wanted(json), "BrokenExpectation", "breaks `x`", Some("x"));
        assert!(found(json!({})).is_empty());
        assert!(found(json!({"error": "BrokenExpectation", "expectation": "x", "message": "breaks"})).is_empty());
        assert_eq!(found(json!({"error": "NotAvro", "expectation": "y", "message": "z"})).len(), 3);
    }
}
