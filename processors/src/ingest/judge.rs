//! Which decoded rows are kept: a label that is no class, and expectations.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use arrow_array::{Array as _, RecordBatch, StringArray};
use driftmill_features::{Columns, Conditions, Scratch};
use driftmill_platform::clickhouse::ClickHouse;
use driftmill_platform::kafka::OffsetRange;
use driftmill_schemas::pipeline::{Fresh, Loaded, Rule, Severity};

use super::fields;
use super::rules::{Gap, Keys, KnownValues, Unavailable, Uniqueness, stale};

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Kind of the dead letter.
    pub kind: &'static str,
    /// What is wrong, for people.
    pub reason: String,
    /// Place of the broken expectation in the pipeline file, if it is one.
    pub expectation: Option<usize>,
}

/// What became of the rows of some columns.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Refused rows.
    pub refused: BTreeMap<usize, Refusal>,
    /// Rows that are written but never trained on.
    pub quarantined: Vec<usize>,
    /// The expectations that were broken, by their places in the pipeline file, and the rows that did, ascending.
    pub broken: Vec<(usize, Vec<usize>)>,
}

/// Rows to be judged.
pub struct Rows<'a> {
    /// As they were decoded.
    pub decoded: &'a RecordBatch,
    /// The same for expressions.
    pub columns: &'a Columns,
    /// Their labels as text.
    pub labels: &'a StringArray,
    /// Their times in Kafka, milliseconds since 1970 UTC.
    pub arrived: &'a [i64],
}

/// Judges rows by the rules of one pipeline.
pub struct Judge {
    conditions: Conditions,
    label: String,
    classes: Vec<String>,
    known: HashSet<String>,
    /// Whether a label must be one of the classes.
    is_closed: bool,
    rules: Vec<Known>,
    uniqueness: Uniqueness,
}

/// An expectation.
struct Known {
    severity: Severity,
    title: String,
    kind: Kind,
}

enum Kind {
    /// One of the conditions; a breach is the record's.
    Condition,
    /// One of the conditions; a breach only counts towards that of a window.
    OfWindow,
    /// Nothing about a record.
    Volume,
    In(String, KnownValues),
    Fresh(String, Fresh),
    /// The rule of that number among those about uniqueness.
    Unique,
}

impl Judge {
    /// The judge of `loaded`, whose expectations compiled to `conditions`.
    pub fn new(loaded: &Loaded, conditions: Conditions) -> Result<Self, Unavailable> {
        let pipeline = &loaded.pipeline;
        let label = &pipeline.label;
        let mut rules = Vec::new();
        let mut unique = Vec::new();
        for expectation in &pipeline.expectations {
            let kind = match expectation.rule() {
                Ok(Rule::KnownIn(field, rule)) => {
                    Kind::In(field.to_owned(), KnownValues::new(rule, Path::new(&loaded.folder))?)
                }
                Ok(Rule::Fresh(field, rule)) => {
                    let field = field.or(pipeline.event_time.as_deref()).unwrap_or_default();
                    Kind::Fresh(field.to_owned(), rule)
                }
                Ok(Rule::Unique(rule)) => {
                    unique.push(rule);
                    Kind::Unique
                }
                Ok(Rule::Volume(_)) => Kind::Volume,
                Ok(Rule::NullRate(..)) => Kind::OfWindow,
                // A rule that says nothing was refused when the file was read.
                Ok(Rule::Condition(_)) | Err(_) => Kind::Condition,
            };
            rules.push(Known { severity: expectation.severity(), title: expectation.title(), kind });
        }
        Ok(Self {
            conditions,
            label: label.field.clone(),
            classes: label.classes.clone(),
            known: label.classes.iter().cloned().collect(),
            is_closed: !label.classes.is_empty() && !label.open,
            uniqueness: Uniqueness::new(unique),
            rules,
        })
    }

    /// Severity and title of an expectation.
    pub fn expectation(&self, place: usize) -> (Severity, &str) {
        (self.rules[place].severity, &self.rules[place].title)
    }

    /// The titles of all expectations, if a row that breaks one of them can be written.
    pub fn marks(&self) -> Vec<String> {
        let stays = |rule: &Known| rule.severity != Severity::Reject && !matches!(rule.kind, Kind::Volume);
        if !self.rules.iter().any(stays) {
            return Vec::new();
        }
        self.rules.iter().map(|rule| rule.title.clone()).collect()
    }

    /// Renews what rules look values up in, where it is too old.
    pub async fn refresh(&mut self, clickhouse: Option<&ClickHouse>, now: i64) -> Result<(), Unavailable> {
        for rule in &mut self.rules {
            if let Kind::In(_, values) = &mut rule.kind {
                values.refresh(clickhouse, now).await?;
            }
        }
        Ok(())
    }

    /// Messages that must be judged before those of `ranges`.
    pub fn gaps(&mut self, ranges: &[OffsetRange]) -> Vec<Gap> {
        self.uniqueness.gaps(ranges)
    }

    /// Says that every message before `offset` was judged.
    pub fn reached(&mut self, partition: i32, offset: i64) {
        self.uniqueness.reached(partition, offset);
    }

    /// What names each row for the rules about uniqueness.
    pub fn keys(&self, decoded: &RecordBatch) -> Keys {
        self.uniqueness.keys(decoded)
    }

    /// Whether rows must be told apart.
    pub fn wants_unique(&self) -> bool {
        !self.uniqueness.is_empty()
    }

    /// Judges every row by itself. The first reason to refuse one counts.
    pub fn judge(&mut self, rows: &Rows<'_>, scratch: &mut Scratch) -> Judgement {
        let mut judgement = Judgement::default();
        if rows.labels.null_count() < rows.labels.len() {
            for (row, text) in rows.labels.iter().enumerate() {
                if let Some(text) = text.filter(|text| self.is_closed && !self.known.contains(*text)) {
                    let reason = self.no_class(text);
                    judgement.refused.insert(row, Refusal { kind: "UnknownClass", reason, expectation: None });
                }
            }
        }
        let breaches = self.conditions.evaluate(rows.columns, scratch);
        for (place, (breaches, rule)) in breaches.iter().zip(&self.rules).enumerate() {
            match &rule.kind {
                Kind::Condition | Kind::OfWindow => {
                    judgement.add(place, rule, breaches.iter().map(|row| (*row, None)));
                }
                Kind::In(field, values) => {
                    let texts = fields::texts(rows.decoded, field);
                    let strange = texts.iter().enumerate().filter_map(|(row, text)| {
                        text.filter(|text| !values.contains(text)).map(|text| (row, Some(unknown(text))))
                    });
                    judgement.add(place, rule, strange);
                }
                Kind::Fresh(field, fresh) => {
                    let mut happened = vec![i64::MIN; rows.arrived.len()];
                    fields::times(rows.decoded, field, &mut happened);
                    let stale = happened.iter().zip(rows.arrived).enumerate().filter_map(|(row, (&at, &arrived))| {
                        stale(*fresh, Some(at).filter(|at| *at != i64::MIN), arrived).map(|why| (row, Some(why)))
                    });
                    judgement.add(place, rule, stale);
                }
                Kind::Volume | Kind::Unique => {}
            }
        }
        judgement
    }

    /// Judges one more row of `judgement` by what came before it in its partition: rows come in the order of their offsets.
    /// A row that is refused anyway repeats nothing, and nothing repeats it.
    pub fn compare(&mut self, judgement: &mut Judgement, keys: &Keys, row: usize, position: (i32, i64, i64)) {
        if judgement.refused.contains_key(&row) {
            return;
        }
        let unique = self.rules.iter().enumerate().filter(|(_, rule)| matches!(rule.kind, Kind::Unique));
        for ((place, rule), first) in unique.zip(self.uniqueness.first(keys, row, position)) {
            if let Some(first) = first {
                let why = format!("offset {first} of the partition has the same values");
                judgement.add(place, rule, [(row, Some(why))]);
            }
        }
    }

    fn no_class(&self, text: &str) -> String {
        let shown: String = text.chars().take(60).collect();
        let known = self.classes.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
        format!("`{}` is `{shown}`, which is none of the classes: {known}", self.label)
    }
}

fn unknown(text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    format!("`{shown}` is none of the values")
}

impl Judgement {
    /// Enters the breaches of one rule: rows, ascending, each with what more there is to say.
    fn add(&mut self, place: usize, rule: &Known, breaches: impl IntoIterator<Item = (usize, Option<String>)>) {
        let mut rows = Vec::new();
        for (row, why) in breaches {
            rows.push(row);
            if rule.severity == Severity::Reject {
                self.refused.entry(row).or_insert_with(|| {
                    let title = &rule.title;
                    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                    let reason = format!("breaks the expectation `{title}`{why}");
                    Refusal { kind: "BrokenExpectation", reason, expectation: Some(place) }
                });
            }
        }
        if rows.is_empty() {
            return;
        }
        if rule.severity == Severity::Quarantine && !matches!(rule.kind, Kind::OfWindow) {
            self.quarantined.extend(&rows);
        }
        match self.broken.iter_mut().find(|(other, _)| *other == place) {
            Some((_, known)) => known.extend(rows),
            None => self.broken.push((place, rows)),
        }
    }
}
