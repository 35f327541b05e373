//! Which decoded rows are kept: a label that is no class, and expectations.

use std::collections::{BTreeMap, HashSet};

use arrow_array::{Array as _, StringArray};
use driftmill_features::{Columns, Conditions, Scratch};
use driftmill_schemas::pipeline::{Pipeline, Severity};

/// What became of the rows of some columns.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Refused rows: kind and reason of each.
    pub refused: BTreeMap<usize, (&'static str, String)>,
    /// Rows that are written but never trained on.
    pub quarantined: Vec<usize>,
    /// How many rows broke each expectation that was broken, by its place in the pipeline file.
    pub breaches: Vec<(usize, u64)>,
}

/// Judges rows by the rules of one pipeline.
pub struct Judge {
    conditions: Conditions,
    label: String,
    classes: Vec<String>,
    known: HashSet<String>,
    expectations: Vec<(Severity, String)>,
}

impl Judge {
    /// The judge of `pipeline`, whose expectations compiled to `conditions`.
    pub fn new(pipeline: &Pipeline, conditions: Conditions) -> Self {
        let label = &pipeline.label;
        Self {
            conditions,
            label: label.field.clone(),
            classes: label.classes.clone(),
            known: label.classes.iter().cloned().collect(),
            expectations: pipeline.expectations.iter().map(|e| (e.severity, e.title())).collect(),
        }
    }

    /// Severity and title of an expectation.
    pub fn expectation(&self, place: usize) -> (Severity, &str) {
        (self.expectations[place].0, &self.expectations[place].1)
    }

    /// Judges every row. The first reason to refuse one counts.
    pub fn judge(&mut self, columns: &Columns, labels: &StringArray, scratch: &mut Scratch) -> Judgement {
        let mut judgement = Judgement::default();
        if labels.null_count() < labels.len() {
            for (row, text) in labels.iter().enumerate() {
                if let Some(text) = text.filter(|text| !self.known.contains(*text)) {
                    judgement.refused.insert(row, ("UnknownClass", self.no_class(text)));
                }
            }
        }
        let breaches = self.conditions.evaluate(columns, scratch);
        for (place, (rows, (severity, title))) in breaches.iter().zip(&self.expectations).enumerate() {
            if rows.is_empty() {
                continue;
            }
            judgement.breaches.push((place, rows.len() as u64));
            match severity {
                Severity::Reject => {
                    for &row in rows {
                        let reason = || ("BrokenExpectation", format!("breaks the expectation `{title}`"));
                        judgement.refused.entry(row).or_insert_with(reason);
                    }
                }
                Severity::Quarantine => judgement.quarantined.extend(rows),
                Severity::Warn => {}
            }
        }
        judgement
    }

    fn no_class(&self, text: &str) -> String {
        let shown: String = text.chars().take(60).collect();
        let known = self.classes.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
        format!("`{}` is `{shown}`, which is none of the classes: {known}", self.label)
    }
}
