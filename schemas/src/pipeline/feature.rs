//! What a model sees.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One input of the model: an SQL expression over the fields of a record, or an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Column of the feature table and input of the model.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type", default, skip_serializing_if = "FeatureType::is_number")]
    pub kind: FeatureType,
    /// SQL scalar expression over the record's fields; absent: the field of the same name. Of an image: the name of a field
    /// of bytes that holds an encoded image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Pixels on each side of the square that an image is scaled to (8 to 512); absent: 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<u16>,
}

/// What the values of a feature are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureType {
    /// Numbers; a boolean is 0 or 1.
    #[default]
    Number,
    /// One of a few texts. Which there are is learned in training; one that was not there counts as missing.
    Category,
    /// Text in natural language.
    Text,
    /// RGB pixels of an image, scaled to a square.
    Image,
}

impl FeatureType {
    /// Whether the values are numbers.
    pub fn is_number(&self) -> bool {
        *self == Self::Number
    }

    /// Its name in the pipeline file.
    pub fn title(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Category => "category",
            Self::Text => "text",
            Self::Image => "image",
        }
    }

    /// Type of its column in ClickHouse.
    pub fn column_type(self) -> &'static str {
        match self {
            Self::Number => "Nullable(Float64)",
            Self::Category | Self::Text | Self::Image => "Nullable(String)",
        }
    }
}

/// The sides that an image may be scaled to.
const SIDES: std::ops::RangeInclusive<u16> = 8..=512;
const DEFAULT_SIDE: u16 = 64;

impl Feature {
    /// The expression to evaluate.
    pub fn expression(&self) -> &str {
        self.sql.as_deref().unwrap_or(&self.name)
    }

    /// Pixels on each side of an image.
    pub fn side(&self) -> u16 {
        self.side.unwrap_or(DEFAULT_SIDE)
    }

    /// What is wrong with the declaration, for people.
    pub fn fault(&self) -> Option<String> {
        match (self.kind, self.side) {
            (FeatureType::Image, Some(side)) if !SIDES.contains(&side) => Some(format!(
                "`side: {side}`: an image is scaled to {} to {} pixels a side",
                SIDES.start(),
                SIDES.end()
            )),
            (FeatureType::Image, _) | (_, None) => None,
            (kind, Some(_)) => Some(format!("`side` is for images, and this is a {}", kind.title())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_a_number_unless_it_says_so_and_is_written_as_before() {
        let number: Feature = serde_json::from_str(r#"{"name":"x"}"#).unwrap();
        assert_eq!((number.kind, number.fault()), (FeatureType::Number, None));
        assert_eq!(serde_json::to_string(&number).unwrap(), r#"{"name":"x"}"#);
        let image: Feature = serde_json::from_str(r#"{"name":"photo","type":"image"}"#).unwrap();
        assert_eq!((image.kind, image.side(), image.fault()), (FeatureType::Image, 64, None));
    }

    #[test]
    fn a_side_is_for_images_and_within_bounds() {
        for text in [r#"{"name":"x","side":32}"#, r#"{"name":"x","type":"image","side":4}"#] {
            assert!(serde_json::from_str::<Feature>(text).unwrap().fault().is_some(), "{text}");
        }
    }
}
