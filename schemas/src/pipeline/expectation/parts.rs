//! Rules that look at more than the values of one record: a set, a time, the records before it, a window.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most records of a partition that a uniqueness rule remembers: some 100 bytes of memory each.
pub const MOST_REMEMBERED: u64 = 5_000_000;
/// The longest window, in seconds: a day.
const LONGEST_WINDOW: u64 = 86_400;

/// The values a field may have, listed elsewhere. Exactly one of `file` and `query` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownIn {
    /// A file, relative to the pipeline file: one value a line, or CSV with `column`. Read when a process starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The CSV's column that holds the values; absent: every line of the file is a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// A ClickHouse query with one column; null is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Seconds after which the query is asked again.
    #[serde(default = "minute")]
    pub refresh: u64,
}

/// How old a record may be when Kafka gets it: the difference of the field and the record's time in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    /// Seconds the field may lie before the record's arrival.
    pub within: u64,
    /// Seconds it may lie after it: clocks differ.
    #[serde(default = "minute")]
    pub ahead: u64,
}

/// No two records with the same values of these fields, within the records of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// The fields that name a record together. A record with a null among them is not looked at.
    pub fields: Vec<String>,
    /// How many records of the partition are looked back at.
    #[serde(default = "hundred_thousand")]
    pub records: u64,
    /// Seconds after which the same values may come again, by the records' times in Kafka; absent: never among `records`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<u64>,
}

/// How large a share of a field's values may be null in a window of event time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NullRate {
    /// Largest share, 0 to 1.
    pub at_most: f64,
    /// Seconds of the window.
    #[serde(default = "minute")]
    pub per: u64,
    /// A window with fewer rows is not judged: a share of little says little.
    #[serde(default = "thirty")]
    pub min_rows: u64,
}

/// How many rows a window of event time holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Fewest rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// Most rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// Seconds of the window.
    #[serde(default = "minute")]
    pub per: u64,
}

fn minute() -> u64 {
    60
}

fn thirty() -> u64 {
    30
}

fn hundred_thousand() -> u64 {
    100_000
}

impl KnownIn {
    pub(super) fn check(&self) -> Result<(), String> {
        match (&self.file, &self.query) {
            (Some(_), None) => Ok(()),
            (None, Some(_)) if self.column.is_some() => {
                Err("`known_in`: `column` belongs to `file`; the query's one column holds the values".to_owned())
            }
            (None, Some(_)) if self.refresh == 0 => Err("`known_in`: `refresh` is 1 second or more".to_owned()),
            (None, Some(_)) => Ok(()),
            _ => Err("`known_in`: give exactly one of `file` and `query`".to_owned()),
        }
    }

    pub(super) fn title(&self) -> String {
        match (&self.file, &self.column) {
            (Some(file), Some(column)) => format!("{file}, {column}"),
            (Some(file), None) => file.clone(),
            _ => self.query.clone().unwrap_or_default(),
        }
    }
}

impl Unique {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.fields.is_empty() {
            return Err("`unique`: name the `fields` that tell records apart".to_owned());
        }
        if !(1..=MOST_REMEMBERED).contains(&self.records) {
            return Err(format!("`unique`: `records` is 1 to {MOST_REMEMBERED}"));
        }
        if self.within == Some(0) {
            return Err("`unique`: `within` is 1 second or more".to_owned());
        }
        Ok(())
    }
}

impl NullRate {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..1.0).contains(&self.at_most) {
            return Err("`null_rate`: `at_most` is a share from 0 to below 1, such as 0.05".to_owned());
        }
        window("null_rate", self.per)
    }
}

impl Volume {
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.at_least, self.at_most) {
            (None, None) => Err("`volume`: give `at_least`, `at_most` or both".to_owned()),
            (Some(least), Some(most)) if least > most => {
                Err(format!("`volume`: no window holds at least {least} and at most {most} rows"))
            }
            _ => window("volume", self.per),
        }
    }

    pub(super) fn title(&self) -> String {
        let per = self.per;
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) => format!("{least} to {most} rows in {per} s"),
            (Some(least), None) => format!("at least {least} rows in {per} s"),
            (None, most) => format!("at most {} rows in {per} s", most.unwrap_or_default()),
        }
    }
}

fn window(rule: &str, per: u64) -> Result<(), String> {
    if (1..=LONGEST_WINDOW).contains(&per) {
        return Ok(());
    }
    Err(format!("`{rule}`: `per` is the window's length, 1 to {LONGEST_WINDOW} seconds"))
}
