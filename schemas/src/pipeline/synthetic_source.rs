//! A source that makes its records up.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Distribution;

/// A seeded generator: the same seed gives the same records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSource {
    /// Seed of everything drawn.
    pub seed: u64,
    /// Records to make; absent: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Field that counts the records, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<String>,
    /// How each field is drawn.
    pub fields: BTreeMap<String, SyntheticField>,
    /// How the label is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What changes on the way, by record number.
    #[serde(default)]
    pub drift: Vec<Drift>,
}

/// How one field is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticField {
    /// The distribution for every record that no class of its own has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<Distribution>,
    /// The distribution by class of the outcome.
    #[serde(default)]
    pub by_class: BTreeMap<String, Distribution>,
    /// Share of records in which the field is null (the field must be nullable).
    #[serde(default)]
    pub missing: f64,
    /// Decimal places kept; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u32>,
    /// Smallest and largest value: what is beyond is moved to the bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clamp: Option<(f64, f64)>,
}

/// How the label is drawn: by class weights, or (with two classes) by log-odds that depend on fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The label's field.
    pub field: String,
    /// Weight of each class, in the label's order of classes.
    pub weights: Vec<f64>,
    /// Field → change of the second class's log-odds per standard deviation of the field, times `signal`.
    #[serde(default)]
    pub depends_on: BTreeMap<String, f64>,
    /// Strength of the dependence: 0 makes the label independent of everything.
    #[serde(default)]
    pub signal: f64,
}

/// One scheduled change of a generated stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// First record that differs, from 0.
    pub at_row: u64,
    /// Records over which the change grows from nothing to its full size; 0: at once.
    #[serde(default)]
    pub over_rows: u64,
    /// The field that changes.
    pub field: String,
    /// Added to the value.
    #[serde(default)]
    pub shift: f64,
    /// Multiplies the value (before the shift).
    #[serde(default = "one")]
    pub scale: f64,
    /// Added to the share of nulls.
    #[serde(default)]
    pub missing: f64,
}

fn one() -> f64 {
    1.0
}
