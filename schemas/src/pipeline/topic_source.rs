//! A source that reads another topic.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::topic::Topics;

/// Another topic of the same Kafka cluster, such as another pipeline's raw topic. Records of the pipeline's own schema are
/// sent on byte by byte, with their time; others are decoded and encoded anew, field by field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicSource {
    /// The topic, such as `other.raw`.
    pub name: String,
    /// Path of the Avro schema that its records were written with, relative to the pipeline file; absent: the pipeline's own,
    /// and those that the schema registry knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Where each partition is begun; where it goes on later is known.
    #[serde(default)]
    pub from: TopicStart,
    /// Partition → the offset before which its reading ends; those that are not named are read to where they end at the
    /// start. Absent: it goes on with what is written later.
    #[serde(default)]
    pub to: BTreeMap<i32, i64>,
    /// Whether it waits for more at the end of the topic.
    #[serde(default = "yes")]
    pub follow: bool,
    /// Field of the other schema → field of the record. One of the same name needs no entry.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Fields of the other schema to pass over. Any other that is no field of the record is an error.
    #[serde(default)]
    pub ignore: Vec<String>,
}

/// Where a topic is begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopicStart {
    /// With the oldest records there are.
    #[default]
    Beginning,
    /// With those that are written after the first start.
    End,
    /// Partition → offset; the others with the oldest records.
    At(BTreeMap<i32, i64>),
}

fn yes() -> bool {
    true
}

impl TopicSource {
    /// Whether it waits for more when it has sent what there is.
    pub fn follows(&self) -> bool {
        self.follow && self.to.is_empty()
    }

    /// What is wrong with the declaration in the pipeline called `pipeline`, for people.
    pub fn faults(&self, pipeline: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let own = Topics::of(pipeline);
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.name.is_empty() || self.name.len() > 249 || !self.name.chars().all(legal) {
            faults.push(format!("`name: {}` is no name of a topic", self.name));
        }
        if own.all().contains(&self.name.as_str()) {
            faults.push(format!(
                "the pipeline itself writes to `{}`: a source that reads what it causes would never end; name another \
                 topic, or replay dead letters with `driftmill dead-letters replay`",
                self.name
            ));
        }
        let begins = match &self.from {
            TopicStart::At(offsets) => offsets.iter().collect(),
            _ => Vec::new(),
        };
        for (partition, offset) in begins.into_iter().chain(&self.to) {
            if *partition < 0 || *offset < 0 {
                faults.push(format!("partition {partition}, offset {offset}: give numbers from 0 up"));
            }
        }
        faults
    }

    /// What it will do, in a few words.
    pub fn plan(&self) -> String {
        let from = match &self.from {
            TopicStart::Beginning => "the beginning".to_owned(),
            TopicStart::End => "the end".to_owned(),
            TopicStart::At(offsets) => offsets.iter().map(|(p, o)| format!("{p}/{o}")).collect::<Vec<_>>().join(", "),
        };
        let then = if self.follows() { ", then what follows" } else { "" };
        let schema = self.schema.as_ref().map(|schema| format!(", written by {schema}")).unwrap_or_default();
        format!("topic {} from {from}{then}{schema}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> TopicSource {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn a_topic_may_be_read_from_anywhere_to_anywhere() {
        assert_eq!(source("name: a.raw").plan(), "topic a.raw from the beginning, then what follows");
        assert_eq!(
            source("name: a.raw\nfrom: end\nschema: a.avsc").plan().rsplit(", ").next(),
            Some("written by a.avsc")
        );
        let bounded = source("name: a.raw\nfrom: { at: { 0: 5 } }\nto: { 0: 9 }");
        assert_eq!((bounded.plan().as_str(), bounded.follows()), ("topic a.raw from 0/5", false));
        assert!(!source("name: a.raw\nfollow: false").follows());
    }

    #[test]
    fn a_pipeline_never_reads_what_it_writes() {
        for name in ["p.raw", "p.rejected", "p.profiles", "p.drift", "p.predictions", "p.labels"] {
            let faults = source(&format!("name: {name}")).faults("p");
            assert!(faults.len() == 1 && faults[0].contains("would never end"), "{faults:?}");
        }
        assert_eq!(source("name: other.raw").faults("p"), Vec::<String>::new());
        assert_eq!(source("name: 'a b'\nto: { -1: 2 }").faults("p").len(), 2);
    }
}
