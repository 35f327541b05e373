//! What must hold of every record before it becomes features.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One rule about a record. Exactly one of `required`, `between`, `one_of` and `sql` is given. As in SQL's `CHECK`, a
/// rule that evaluates to null is met: only `required` looks at missing values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The field the rule is about; not with `sql`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// `true`: the field may not be null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Smallest and largest value allowed, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<(f64, f64)>,
    /// The values allowed, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<String>>,
    /// SQL condition over the record's fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Name shown in reports; absent: made from the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What happens to a record that breaks the rule.
    #[serde(default)]
    pub severity: Severity,
}

/// What happens to a record that breaks an expectation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The record becomes a dead letter.
    #[default]
    Reject,
    /// The record is kept, marked, and never trained on.
    Quarantine,
    /// The breach is counted.
    Warn,
}

impl Expectation {
    /// The rule as an SQL condition, so that every rule is evaluated by the one expression engine; `Err` says what the
    /// rule lacks.
    pub fn condition(&self) -> Result<String, String> {
        let given = [self.required.is_some(), self.between.is_some(), self.one_of.is_some(), self.sql.is_some()];
        if given.iter().filter(|is| **is).count() != 1 {
            return Err("give exactly one of `required`, `between`, `one_of` and `sql`".to_owned());
        }
        if let Some(sql) = &self.sql {
            return match &self.field {
                Some(_) => Err("`sql` names its fields itself: leave `field` out".to_owned()),
                None => Ok(sql.clone()),
            };
        }
        let field = self.field.as_deref().ok_or("say which `field` the rule is about")?;
        let quoted = quote_identifier(field);
        if let Some((low, high)) = self.between {
            if !(low.is_finite() && high.is_finite() && low <= high) {
                return Err(format!(
                    "`between: [{low}, {high}]` is empty: the first number must not exceed the second"
                ));
            }
            return Ok(format!("{quoted} BETWEEN {low:?} AND {high:?}"));
        }
        if let Some(values) = &self.one_of {
            if values.is_empty() {
                return Err("`one_of` is empty: no value could meet it".to_owned());
            }
            let list: Vec<String> = values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
            return Ok(format!("CAST({quoted} AS VARCHAR) IN ({})", list.join(", ")));
        }
        match self.required {
            Some(true) => Ok(format!("{quoted} IS NOT NULL")),
            _ => Err("`required: false` says nothing: leave the expectation out".to_owned()),
        }
    }

    /// The rule's name in reports, dead letters and metrics.
    pub fn title(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let field = self.field.as_deref().unwrap_or_default();
        match (&self.between, &self.one_of, &self.sql) {
            (Some((low, high)), _, _) => format!("{field} between {low} and {high}"),
            (_, Some(values), _) => format!("{field} one of {}", values.join(", ")),
            (_, _, Some(sql)) => sql.clone(),
            _ => format!("{field} is given"),
        }
    }
}

fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Expectation {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_rule_becomes_one_sql_condition() {
        let cases = [
            (r#"{"field":"age","between":[18,120]}"#, r#""age" BETWEEN 18.0 AND 120.0"#),
            (r#"{"field":"s","one_of":["a","b'c"]}"#, r#"CAST("s" AS VARCHAR) IN ('a', 'b''c')"#),
            (r#"{"field":"s","required":true}"#, r#""s" IS NOT NULL"#),
            (r#"{"sql":"a < b"}"#, "a < b"),
        ];
        for (text, sql) in cases {
            assert_eq!(rule(text).condition().as_deref(), Ok(sql));
        }
    }

    #[test]
    fn a_rule_that_says_nothing_or_two_things_is_refused() {
        for text in [
            r#"{"field":"age"}"#,
            r#"{"field":"age","between":[5,1]}"#,
            r#"{"field":"age","between":[1,5],"required":true}"#,
            r#"{"between":[1,5]}"#,
            r#"{"field":"age","one_of":[]}"#,
            r#"{"field":"age","sql":"age > 1"}"#,
            r#"{"field":"age","required":false}"#,
        ] {
            assert!(rule(text).condition().is_err(), "{text}");
        }
    }
}
