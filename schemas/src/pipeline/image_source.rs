//! A source that reads a folder of images.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{FieldKind, RecordSchema};

/// A folder of images, one record a file. Files whose names begin with a dot are passed over; what is no image, is cut off
/// or too large becomes a dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// Path of the folder, relative to the pipeline file.
    pub path: String,
    /// Whether folders inside of it are read, too.
    #[serde(default = "yes")]
    pub recursive: bool,
    /// Seconds from one look for new files to the next; absent: one look, and the source has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<f64>,
    /// Bytes that a file may have.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
    /// Part of a file → field of the record that it fills. A part whose name is a field's needs no entry.
    #[serde(default)]
    pub fields: BTreeMap<ImagePart, String>,
}

/// What is told of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImagePart {
    /// Its path within the folder, with `/` between names: a string.
    Path,
    /// Its content: bytes.
    Bytes,
    /// SHA-256 of its content in hexadecimal: a string.
    Hash,
    /// Name of the folder it lies in, within the source's folder; null in that itself: a string.
    Label,
    /// Its size in bytes: an int, a long, a float or a double.
    Size,
    /// When it was written last: a timestamp.
    Modified,
    /// `png`, `jpeg`, `gif`, `bmp`, `webp`, `tiff`, `avif` or `heic`, by its content: a string.
    Format,
}

impl ImagePart {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Path, Self::Bytes, Self::Hash, Self::Label, Self::Size, Self::Modified, Self::Format];

    /// Its name in the pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Bytes => "bytes",
            Self::Hash => "hash",
            Self::Label => "label",
            Self::Size => "size",
            Self::Modified => "modified",
            Self::Format => "format",
        }
    }

    fn fits(self, kind: FieldKind) -> bool {
        match self {
            Self::Path | Self::Hash | Self::Label | Self::Format => kind == FieldKind::String,
            Self::Bytes => kind == FieldKind::Bytes,
            Self::Size => kind.is_numeric(),
            Self::Modified => kind == FieldKind::Timestamp,
        }
    }
}

fn yes() -> bool {
    true
}

// A record may have 4 MiB, and the other parts need some of that.
pub(super) fn max_bytes() -> usize {
    (4 << 20) - (64 << 10)
}

impl ImageSource {
    /// The field that `part` fills; `None` when nothing is told of it.
    pub fn field(&self, part: ImagePart, schema: &RecordSchema) -> Option<usize> {
        schema.index(self.fields.get(&part).map_or(part.name(), String::as_str))
    }

    /// What is wrong with the declaration, for people.
    pub fn faults(&self, schema: Option<&RecordSchema>) -> Vec<String> {
        let mut faults = Vec::new();
        if self.every.is_some_and(|every| !(0.001..=31_536_000.0).contains(&every)) {
            faults.push("`every` is seconds between two looks at the folder: give a number above 0".to_owned());
        }
        if !(1..=max_bytes()).contains(&self.max_bytes) {
            faults.push(format!("`max_bytes: {}`: give 1 to {}, which fit into a record", self.max_bytes, max_bytes()));
        }
        let Some(schema) = schema else { return faults };
        let mut filled = vec![None; schema.fields.len()];
        for part in ImagePart::ALL {
            let Some(index) = self.field(part, schema) else { continue };
            let field = &schema.fields[index];
            if !part.fits(field.kind) {
                let (name, kind) = (&field.name, field.kind.title());
                faults.push(format!("`{}` cannot fill the field `{name}`, which is a {kind}", part.name()));
            }
            if let Some(other) = filled[index].replace(part) {
                let other: ImagePart = other;
                faults.push(format!("`{}` and `{}` both fill the field `{}`", other.name(), part.name(), field.name));
            }
        }
        for (field, filled) in schema.fields.iter().zip(&filled) {
            if filled.is_none() && !field.nullable {
                let parts = ImagePart::ALL.map(ImagePart::name).join(", ");
                faults.push(format!(
                    "nothing fills the field `{}`, which must have a value: say by `fields` which part of a file does ({parts})",
                    field.name
                ));
            }
        }
        faults
    }

    /// What it will do, in a few words.
    pub fn plan(&self) -> String {
        let depth = if self.recursive { "and folders inside" } else { "without folders inside" };
        let when = self.every.map_or_else(|| "once".to_owned(), |every| format!("every {every} s"));
        format!("images of {} {depth}, {when}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> ImageSource {
        serde_saphyr::from_str(&format!("path: photos\n{text}")).unwrap()
    }

    fn schema(fields: &str) -> RecordSchema {
        RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap()
    }

    #[test]
    fn parts_fill_fields_of_their_type() {
        let good = schema(r#"{"name":"bytes","type":"bytes"},{"name":"species","type":["null","string"]}"#);
        let declared = source("fields: { label: species }\nevery: 5");
        assert_eq!(declared.faults(Some(&good)), Vec::<String>::new());
        assert_eq!(declared.field(ImagePart::Label, &good), Some(1));
        assert_eq!(declared.plan(), "images of photos and folders inside, every 5 s");
    }

    #[test]
    fn what_cannot_be_filled_is_told() {
        let fields = r#"{"name":"bytes","type":"string"},{"name":"x","type":"int"}"#;
        let found = source("fields: { size: x, path: x }\nmax_bytes: 0\nevery: 0").faults(Some(&schema(fields)));
        for part in ["max_bytes", "`every`", "`bytes` cannot fill", "`path` cannot fill", "both fill the field `x`"] {
            assert!(found.iter().any(|fault| fault.contains(part)), "{part}: {found:?}");
        }
        let found = source("").faults(Some(&schema(r#"{"name":"x","type":"int"}"#)));
        assert!(found[0].contains("nothing fills the field `x`"), "{found:?}");
    }
}
