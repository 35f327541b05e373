//! What must hold of every record before it becomes features, and of the rows of a window.

mod parts;

pub use parts::{Fresh, KnownIn, MOST_REMEMBERED, NullRate, Unique, Volume};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The rules there are.
const KINDS: &str = "give exactly one of `required`, `between`, `one_of`, `matches`, `sql`, `known_in`, `fresh`, \
                     `unique`, `null_rate` and `volume`";

/// One rule; exactly one of the kinds is given. As in SQL's `CHECK`, a rule that evaluates to null is met: only `required`
/// and `null_rate` look at missing values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The field the rule is about; not with `sql`, `unique` and `volume`; with `fresh`, absent: the event time.
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
    /// Regular expression that is found in the text; `^…$` for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// SQL condition over the record's fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// The values allowed, from a file or a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_in: Option<KnownIn>,
    /// How old the record may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Fresh>,
    /// No two records of the same values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// The share of nulls in a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_rate: Option<NullRate>,
    /// The number of rows in a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    /// Name shown in reports; absent: made from the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What a breach leads to; absent: `reject`, and `warn` for the rule of a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// What happens to a record that breaks an expectation, or to the rows of a window that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The record becomes a dead letter. Not for windows: when one is over, its rows are written.
    Reject,
    /// The record, or the window's rows, are kept, marked, and never trained on.
    Quarantine,
    /// The breach is counted, and the row says it.
    Warn,
}

impl Severity {
    /// Its name in files, metrics and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Quarantine => "quarantine",
            Self::Warn => "warn",
        }
    }
}

/// The one rule an expectation is.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule<'a> {
    /// An SQL condition of a record.
    Condition(String),
    /// The field's value is in a set.
    KnownIn(&'a str, &'a KnownIn),
    /// The field, or the event time, is near the record's arrival.
    Fresh(Option<&'a str>, Fresh),
    /// The record is not there yet.
    Unique(&'a Unique),
    /// Few values of the field are null in a window.
    NullRate(&'a str, NullRate),
    /// A window has so many rows.
    Volume(Volume),
}

impl Rule<'_> {
    /// The SQL condition that a record meets or breaks by itself, if that is what the rule is about. A breach of one that
    /// is about a window only counts towards it.
    pub fn condition(&self) -> Option<String> {
        match self {
            Self::Condition(sql) => Some(sql.clone()),
            Self::NullRate(field, _) => Some(format!("{} IS NOT NULL", quote_identifier(field))),
            _ => None,
        }
    }

    /// Seconds of the window that the rule is about; `None`: it is about a record.
    pub fn window(&self) -> Option<u64> {
        match self {
            Self::NullRate(_, rule) => Some(rule.per),
            Self::Volume(rule) => Some(rule.per),
            _ => None,
        }
    }
}

impl Expectation {
    /// The rule; `Err` says what it lacks.
    pub fn rule(&self) -> Result<Rule<'_>, String> {
        let given = [
            self.required.is_some(),
            self.between.is_some(),
            self.one_of.is_some(),
            self.matches.is_some(),
            self.sql.is_some(),
            self.known_in.is_some(),
            self.fresh.is_some(),
            self.unique.is_some(),
            self.null_rate.is_some(),
            self.volume.is_some(),
        ];
        if given.iter().filter(|is| **is).count() != 1 {
            return Err(KINDS.to_owned());
        }
        let without_field = |rule: &str| match &self.field {
            Some(_) => Err(format!("`{rule}` names its fields itself: leave `field` out")),
            None => Ok(()),
        };
        let field = || self.field.as_deref().ok_or("say which `field` the rule is about");
        if let Some(rule) = &self.unique {
            without_field("unique")?;
            rule.check()?;
            return Ok(Rule::Unique(rule));
        }
        if let Some(rule) = self.volume {
            without_field("volume")?;
            rule.check()?;
            return self.of_window(Rule::Volume(rule));
        }
        if let Some(rule) = self.null_rate {
            rule.check()?;
            return self.of_window(Rule::NullRate(field()?, rule));
        }
        if let Some(rule) = self.fresh {
            return Ok(Rule::Fresh(self.field.as_deref(), rule));
        }
        if let Some(rule) = &self.known_in {
            rule.check()?;
            return Ok(Rule::KnownIn(field()?, rule));
        }
        if let Some(sql) = &self.sql {
            without_field("sql")?;
            return Ok(Rule::Condition(sql.clone()));
        }
        self.condition(field()?).map(Rule::Condition)
    }

    fn of_window<'a>(&self, rule: Rule<'a>) -> Result<Rule<'a>, String> {
        match self.severity {
            Some(Severity::Reject) => Err("a window cannot be rejected: when it is over, its rows are written; use \
                                           `severity: quarantine`, and nobody trains on them"
                .to_owned()),
            _ => Ok(rule),
        }
    }

    /// A rule about one field as an SQL condition, so that every rule is evaluated by the one expression engine.
    fn condition(&self, field: &str) -> Result<String, String> {
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
            let list: Vec<String> = values.iter().map(|value| quote_text(value)).collect();
            return Ok(format!("CAST({quoted} AS VARCHAR) IN ({})", list.join(", ")));
        }
        if let Some(pattern) = &self.matches {
            return Ok(format!("REGEXP_LIKE({quoted}, {})", quote_text(pattern)));
        }
        match self.required {
            Some(true) => Ok(format!("{quoted} IS NOT NULL")),
            _ => Err("`required: false` says nothing: leave the expectation out".to_owned()),
        }
    }

    /// What a breach leads to.
    pub fn severity(&self) -> Severity {
        let of_window = self.null_rate.is_some() || self.volume.is_some();
        self.severity.unwrap_or(if of_window { Severity::Warn } else { Severity::Reject })
    }

    /// The rule's name in reports, dead letters, tables and metrics.
    pub fn title(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let field = self.field.as_deref().unwrap_or_default();
        if let Some((low, high)) = &self.between {
            format!("{field} between {low} and {high}")
        } else if let Some(values) = &self.one_of {
            format!("{field} one of {}", values.join(", "))
        } else if let Some(pattern) = &self.matches {
            format!("{field} matches {pattern}")
        } else if let Some(sql) = &self.sql {
            sql.clone()
        } else if let Some(rule) = &self.known_in {
            format!("{field} known in {}", rule.title())
        } else if let Some(rule) = &self.fresh {
            let of = if field.is_empty() { "event time" } else { field };
            format!("{of} within {} s", rule.within)
        } else if let Some(rule) = &self.unique {
            format!("{} unique", rule.fields.join(", "))
        } else if let Some(rule) = &self.null_rate {
            format!("{field} null in at most {} of {} s", rule.at_most, rule.per)
        } else if let Some(rule) = &self.volume {
            rule.title()
        } else {
            format!("{field} is given")
        }
    }
}

fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Expectation {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_rule_about_a_record_alone_becomes_one_sql_condition() {
        let cases = [
            (r#"{"field":"age","between":[18,120]}"#, r#""age" BETWEEN 18.0 AND 120.0"#),
            (r#"{"field":"s","one_of":["a","b'c"]}"#, r#"CAST("s" AS VARCHAR) IN ('a', 'b''c')"#),
            (r#"{"field":"s","matches":"^[a-z]'$"}"#, r#"REGEXP_LIKE("s", '^[a-z]''$')"#),
            (r#"{"field":"s","required":true}"#, r#""s" IS NOT NULL"#),
            (r#"{"sql":"a < b"}"#, "a < b"),
        ];
        for (text, sql) in cases {
            assert_eq!(rule(text).rule(), Ok(Rule::Condition(sql.to_owned())));
        }
    }

    #[test]
    fn a_rule_that_says_nothing_or_two_things_is_refused() {
        for text in [
            r#"{"field":"age"}"#,
            r#"{"field":"age","between":[5,1]}"#,
            r#"{"field":"age","between":[1,5],"required":true}"#,
            r#"{"between":[1,5]}"#,
            r#"{"matches":"x"}"#,
            r#"{"field":"age","one_of":[]}"#,
            r#"{"field":"age","sql":"age > 1"}"#,
            r#"{"field":"age","required":false}"#,
            r#"{"known_in":{"file":"a"}}"#,
            r#"{"field":"a","known_in":{}}"#,
            r#"{"field":"a","known_in":{"file":"a","query":"SELECT 1"}}"#,
            r#"{"field":"a","known_in":{"query":"SELECT 1","column":"a"}}"#,
            r#"{"field":"a","unique":{"fields":["a"]}}"#,
            r#"{"unique":{"fields":[]}}"#,
            r#"{"unique":{"fields":["a"],"records":0}}"#,
            r#"{"unique":{"fields":["a"],"records":5000001}}"#,
            r#"{"null_rate":{"at_most":0.1}}"#,
            r#"{"field":"a","null_rate":{"at_most":1}}"#,
            r#"{"field":"a","null_rate":{"at_most":0.1,"per":0}}"#,
            r#"{"volume":{}}"#,
            r#"{"volume":{"at_least":2,"at_most":1}}"#,
            r#"{"volume":{"at_least":2},"severity":"reject"}"#,
        ] {
            assert!(rule(text).rule().is_err(), "{text}");
        }
    }

    #[test]
    fn a_breach_rejects_a_record_and_warns_of_a_window() {
        let severity = |text: &str| rule(text).severity();
        assert_eq!(severity(r#"{"sql":"a < b"}"#), Severity::Reject);
        assert_eq!(severity(r#"{"unique":{"fields":["a"]}}"#), Severity::Reject);
        assert_eq!(severity(r#"{"volume":{"at_least":1}}"#), Severity::Warn);
        assert_eq!(
            severity(r#"{"field":"a","null_rate":{"at_most":0},"severity":"quarantine"}"#),
            Severity::Quarantine
        );
    }

    #[test]
    fn every_rule_has_a_name_that_says_what_it_wants() {
        let cases = [
            (r#"{"field":"a","known_in":{"file":"codes.csv","column":"code"}}"#, "a known in codes.csv, code"),
            (r#"{"fresh":{"within":300}}"#, "event time within 300 s"),
            (r#"{"unique":{"fields":["id","at"]}}"#, "id, at unique"),
            (r#"{"field":"a","null_rate":{"at_most":0.05}}"#, "a null in at most 0.05 of 60 s"),
            (r#"{"volume":{"at_least":1,"per":10}}"#, "at least 1 rows in 10 s"),
            (r#"{"sql":"a < b","name":"ordered"}"#, "ordered"),
        ];
        for (text, title) in cases {
            assert_eq!(rule(text).title(), title);
        }
    }
}
