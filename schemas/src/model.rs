//! What a stored model says of itself: enough to serve it without the pipeline file it was trained by.

use serde::{Deserialize, Serialize};

use crate::pipeline::Feature;

/// The version of the card's format that this build writes and reads.
pub const CARD_FORMAT: u32 = 1;

/// The header of a model's artifact: its signature, its feature view and its lineage. A gateway computes features from
/// the card alone, so a model goes on seeing what it was fitted on when the pipeline file has moved on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Version of this format: [`CARD_FORMAT`].
    pub format: u32,
    /// The pipeline.
    pub pipeline: String,
    /// What the model sees, in this order.
    pub features: Vec<Feature>,
    /// Avro schema of the record that the features are computed from, as JSON text.
    pub schema: String,
    /// The field that names what a record is about, where the pipeline declares one.
    #[serde(default)]
    pub entity: Option<String>,
    /// Class names, in the order of the model's class indices; none when the model predicts a number.
    pub classes: Vec<String>,
    /// The positive one of two classes, where the pipeline declares it; else the last is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// Name of the algorithm.
    pub algorithm: String,
    /// Hyper-parameters it was fitted with.
    #[serde(default)]
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Seed of the split and of the fit.
    pub seed: u64,
    /// Hash of the data snapshot it was fitted on.
    pub snapshot: String,
    /// Version of the code that fitted it.
    pub code_version: String,
    /// Hash of how the pipeline file says that it is trained and judged.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub definition: String,
    /// Whether it was fitted elsewhere: its snapshot then judged it, and it has not learned from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// Hash of the artifact whose answers on the test rows are told, where it is another than this: this one was then fitted
    /// once more, on all rows. Challengers are compared with that one, which has not seen the test rows either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<String>,
    /// The version whose rounds it begins with, where it continues one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<u64>,
}

/// Why an artifact's header is no card.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another format than this build reads.
    #[error(
        "the model card has format {found}, and this build reads {CARD_FORMAT}: serve it with the build that made it"
    )]
    Format {
        /// The format found.
        found: u64,
    },
    /// A key is missing or of another type.
    #[error("the artifact's header is no model card: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl ModelCard {
    /// Reads the header of an artifact.
    pub fn from_header(header: serde_json::Value) -> Result<Self, Error> {
        // The format first: what else a newer card holds may not parse at all.
        match header.get("format").and_then(serde_json::Value::as_u64) {
            Some(found) if found != u64::from(CARD_FORMAT) => Err(Error::Format { found }),
            _ => Ok(serde_json::from_value(header)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_comes_back_from_its_header_and_a_newer_one_is_refused_by_its_format() {
        let card = ModelCard {
            format: CARD_FORMAT,
            pipeline: "iris".to_owned(),
            features: vec![Feature { name: "x".to_owned(), sql: Some("a / 2".to_owned()), ..Default::default() }],
            schema: "{}".to_owned(),
            classes: vec!["a".to_owned(), "b".to_owned()],
            positive: None,
            algorithm: "random_forest".to_owned(),
            params: serde_json::Map::new(),
            seed: u64::MAX,
            snapshot: "00".to_owned(),
            entity: None,
            code_version: "0.1.0".to_owned(),
            definition: String::new(),
            imported: false,
            judged: None,
            continues: None,
        };
        let header = serde_json::to_value(&card).unwrap();
        assert_eq!(ModelCard::from_header(header).unwrap(), card);
        let newer = serde_json::json!({"format": 2, "features": "elsewhere"});
        assert!(matches!(ModelCard::from_header(newer), Err(Error::Format { found: 2 })));
        assert!(matches!(ModelCard::from_header(serde_json::json!([])), Err(Error::Malformed(_))));
    }
}
