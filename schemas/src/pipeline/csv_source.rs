//! A source that reads a delimited text file, and what stands beside it.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PathTemplate;
use super::image_source::max_bytes;
use crate::record::{FieldKind, RecordSchema, Value, check_time_format};

/// A delimited text file with a header row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvSource {
    /// Path, relative to the pipeline file; `--from` names another file, or the folder that this one is looked for in.
    pub path: String,
    /// Field delimiter, one character.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// Text encoding by its WHATWG label; a byte order mark wins over it.
    #[serde(default = "utf8")]
    pub encoding: String,
    /// Header of the file → field of the record. A header that is a field's name needs no entry. Several headers may name
    /// one field, if a file has only one of them.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Headers to pass over. Any other column that nothing is made of makes its file's rows dead letters.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Cells that mean "no value".
    #[serde(default = "null_texts")]
    pub null: Vec<String>,
    /// Cell → value, by field: e.g. class codes to class names.
    #[serde(default)]
    pub replace: BTreeMap<String, BTreeMap<String, String>>,
    /// How the cells of a timestamp are written, by field: a strftime format such as `%m/%d/%Y`. Without one, they are
    /// ISO 8601 or milliseconds since 1970 UTC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub formats: BTreeMap<String, String>,
    /// The value of a field that a row gives none for, because the column is missing or the cell is empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, String>,
    /// A second file, whose columns are added to the rows that share its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<CsvJoin>,
    /// Fields that hold the content of a file which the row names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<CsvFile>,
    /// Makes a record of each of several columns: wide to long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpivot: Option<Unpivot>,
}

/// A delimited text file of the same delimiter and encoding with one row a key. It is held in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvJoin {
    /// Path, relative to where the first file's path starts from.
    pub path: String,
    /// Header of the key's column, in both files.
    pub on: String,
    /// Header of this file → field of the record. Its other columns are passed over.
    pub columns: BTreeMap<String, String>,
    /// Whether every row must have a match. If not, a row without one has nulls, and the file itself may be missing.
    #[serde(default = "yes")]
    pub required: bool,
}

/// A field of type `bytes` that holds the content of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvFile {
    /// The field.
    pub field: String,
    /// Path of the file, relative to where the first file's path starts from; `{column}` stands for a cell of the row.
    pub path: String,
    /// Whether the file must be there. If not, a row whose file is missing has a null.
    #[serde(default = "yes")]
    pub required: bool,
    /// Bytes that a file may have.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
}

/// Several columns that hold the same thing, as one record each: what is called unpivot in SQL and polars, melt in pandas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unpivot {
    /// Headers of the columns. A file need not have all of them, but one.
    pub columns: Vec<String>,
    /// The field that a column's header fills.
    pub name: String,
    /// The field that its cell fills.
    pub value: String,
    /// Whether an empty cell is a record, too, with a null.
    #[serde(default)]
    pub keep_empty: bool,
}

fn comma() -> char {
    ','
}

fn utf8() -> String {
    "utf-8".to_owned()
}

fn yes() -> bool {
    true
}

fn null_texts() -> Vec<String> {
    ["", "NA", "NaN", "nan", "null", "NULL", "None"].map(str::to_owned).to_vec()
}

impl CsvSource {
    /// A comma-separated file in UTF-8 whose headers are the fields' names.
    pub fn at(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            delimiter: comma(),
            encoding: utf8(),
            columns: BTreeMap::new(),
            ignore: Vec::new(),
            null: null_texts(),
            replace: BTreeMap::new(),
            formats: BTreeMap::new(),
            defaults: BTreeMap::new(),
            join: None,
            files: Vec::new(),
            unpivot: None,
        }
    }

    /// Every field that the declaration names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let named = self.columns.values().chain(self.replace.keys()).chain(self.formats.keys());
        let joined = self.join.iter().flat_map(|join| join.columns.values());
        let files = self.files.iter().map(|file| &file.field);
        let unpivoted = self.unpivot.iter().flat_map(|unpivot| [&unpivot.name, &unpivot.value]);
        named.chain(self.defaults.keys()).chain(joined).chain(files).chain(unpivoted).map(String::as_str)
    }

    /// `cell`, or what `replace` has instead for that field.
    pub fn replaced<'a>(&'a self, field: &str, cell: &'a str) -> &'a str {
        self.replacement(field, cell).unwrap_or(cell)
    }

    /// What `replace` has for the cell of a field.
    pub fn replacement(&self, field: &str, cell: &str) -> Option<&str> {
        self.replace.get(field)?.get(cell.trim()).map(String::as_str)
    }

    /// Whether `cell` means "no value".
    pub fn is_null(&self, cell: &str) -> bool {
        self.null.iter().any(|null| null == cell.trim())
    }

    /// What is wrong with the declaration, for people; fields that the schema does not have are told elsewhere.
    pub fn faults(&self, schema: Option<&RecordSchema>) -> Vec<String> {
        let mut faults = Vec::new();
        for (field, format) in &self.formats {
            faults.extend(check_time_format(format).err().map(|fault| format!("`formats: {field}`: {fault}")));
            if let Some(found) = schema.and_then(|schema| schema.field(field))
                && found.kind != FieldKind::Timestamp
            {
                faults.push(format!("`formats: {field}`: the field is a {}, no timestamp-millis", found.kind.title()));
            }
        }
        for (field, text) in &self.defaults {
            if let Some(Err(error)) = schema.and_then(|schema| schema.field(field)).map(|to| Value::from_text(text, to))
            {
                faults.push(format!("`defaults: {field}`: {error}"));
            }
        }
        self.filled_twice(&mut faults);
        if let Some(join) = &self.join {
            join.faults(schema, &mut faults);
        }
        for file in &self.files {
            file.faults(schema, &mut faults);
        }
        if let Some(unpivot) = &self.unpivot {
            self.unpivot_faults(unpivot, schema, &mut faults);
        }
        faults
    }

    /// Fields that two parts of the declaration fill. Several headers of `columns` may, as a file has one of them.
    fn filled_twice(&self, faults: &mut Vec<String>) {
        let mut filled: Vec<(&str, &str)> = Vec::new();
        let named: HashSet<&String> = self.columns.values().collect();
        let joined = self.join.iter().flat_map(|join| join.columns.values());
        let parts = named
            .into_iter()
            .map(|field| ("columns", field))
            .chain(joined.map(|field| ("join", field)))
            .chain(self.files.iter().map(|file| ("files", &file.field)))
            .chain(self.unpivot.iter().flat_map(|unpivot| [("unpivot", &unpivot.name), ("unpivot", &unpivot.value)]));
        for (part, field) in parts {
            match filled.iter().find(|(_, other)| other == field) {
                Some((other, _)) => {
                    faults.push(format!("`{other}` and `{part}` both fill the field `{field}`: keep one"))
                }
                None => filled.push((part, field)),
            }
        }
    }

    fn unpivot_faults(&self, unpivot: &Unpivot, schema: Option<&RecordSchema>, faults: &mut Vec<String>) {
        let distinct: HashSet<&String> = unpivot.columns.iter().collect();
        if unpivot.columns.is_empty() || distinct.len() != unpivot.columns.len() {
            faults.push(
                "`unpivot`: `columns` are the headers to make records of: give one or more, each once".to_owned(),
            );
        }
        for column in unpivot.columns.iter().filter(|column| self.columns.contains_key(*column)) {
            faults.push(format!("`unpivot` and `columns` both use the column `{column}`: keep one"));
        }
        for column in unpivot.columns.iter().filter(|column| self.ignore.contains(column)) {
            faults.push(format!(
                "`ignore` passes over the column `{column}`, which `unpivot` makes records of: keep one"
            ));
        }
        let field = |name: &str| schema.and_then(|schema| schema.field(name));
        if unpivot.keep_empty && field(&unpivot.value).is_some_and(|value| !value.nullable) {
            let value = &unpivot.value;
            faults.push(format!("`unpivot`: with `keep_empty` the field `{value}` must be nullable in the schema"));
        }
        if let Some(name) = field(&unpivot.name) {
            let texts = unpivot.columns.iter().map(|column| self.replaced(&name.name, column));
            let wrong = texts.filter_map(|text| Value::from_text(text, name).err()).next();
            faults.extend(wrong.map(|error| format!("`unpivot`: {error}; `replace` gives headers other values")));
        }
    }
}

impl CsvJoin {
    fn faults(&self, schema: Option<&RecordSchema>, faults: &mut Vec<String>) {
        if self.columns.is_empty() {
            faults.push("`join` adds nothing: name under `columns` which header of it fills which field".to_owned());
        }
        let must_be = |field: &&String| {
            !self.required && schema.and_then(|schema| schema.field(field)).is_some_and(|field| !field.nullable)
        };
        for field in self.columns.values().filter(must_be) {
            faults.push(format!(
                "`join` with `required: false` leaves the field `{field}` without a value: make it nullable in the schema"
            ));
        }
    }
}

impl CsvFile {
    fn faults(&self, schema: Option<&RecordSchema>, faults: &mut Vec<String>) {
        let name = &self.field;
        if let Err(fault) = PathTemplate::parse(&self.path) {
            faults.push(format!("`files`: {fault}"));
        }
        if !(1..=max_bytes()).contains(&self.max_bytes) {
            let (given, most) = (self.max_bytes, max_bytes());
            faults.push(format!("`files`: `max_bytes: {given}`: give 1 to {most}, which fit into a record"));
        }
        let Some(field) = schema.and_then(|schema| schema.field(name)) else { return };
        if field.kind != FieldKind::Bytes {
            let kind = field.kind.title();
            faults.push(format!("`files`: the field `{name}` is a {kind}: the content of a file needs bytes"));
        }
        if !self.required && !field.nullable {
            faults.push(format!(
                "`files` with `required: false` leaves the field `{name}` without a value: make it nullable in the schema"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> CsvSource {
        serde_saphyr::from_str(&format!("path: a.csv\n{text}")).unwrap()
    }

    fn schema() -> RecordSchema {
        let fields = r#"{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
            {"name":"region","type":"string"},{"name":"rate","type":["null","double"]},
            {"name":"image","type":["null","bytes"]},{"name":"raw","type":"bytes"}"#;
        RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap()
    }

    #[test]
    fn a_full_declaration_is_right_and_names_its_fields() {
        let source = source(
            "columns: { Date: at, day: at }
formats: { at: '%m/%d/%Y' }
defaults: { region: '' }
join: { path: b.csv, on: '', columns: { r: region } }
files: [{ field: image, path: 'images/{id}.png', required: false }]
unpivot: { columns: [US], name: raw, value: rate }
replace: { raw: { US: AP8= } }",
        );
        assert_eq!(source.faults(Some(&schema())), Vec::<String>::new());
        let fields = ["at", "at", "raw", "at", "region", "region", "image", "raw", "rate"];
        assert_eq!(source.fields().collect::<Vec<_>>(), fields);
        assert_eq!(source.files[0].max_bytes, max_bytes());
    }

    #[test]
    fn what_cannot_work_is_told_with_its_field() {
        let cases = [
            ("formats: { at: '%Q' }", "`formats: at`"),
            ("formats: { at: '%H:%M' }", "no whole date"),
            ("formats: { rate: '%Y' }", "no timestamp-millis"),
            ("defaults: { rate: much }", "`much` is no double"),
            ("join: { path: b, on: id, columns: {} }", "adds nothing"),
            ("join: { path: b, on: id, columns: { r: region }, required: false }", "nullable"),
            ("columns: { a: rate }\njoin: { path: b, on: id, columns: { b: rate } }", "both fill the field `rate`"),
            ("files: [{ field: raw, path: x, required: false }]", "nullable"),
            ("files: [{ field: region, path: x }]", "needs bytes"),
            ("files: [{ field: image, path: ../x }]", "`..`"),
            ("files: [{ field: image, path: x, max_bytes: 0 }]", "max_bytes"),
            ("files: [{ field: raw, path: x }, { field: raw, path: y }]", "both fill"),
            ("unpivot: { columns: [], name: region, value: rate }", "one or more"),
            ("unpivot: { columns: [a, a], name: region, value: rate }", "each once"),
            ("unpivot: { columns: [a], name: rate, value: rate }", "both fill"),
            ("unpivot: { columns: [a], name: rate, value: at }", "`a` is no double"),
            ("unpivot: { columns: [a], name: region, value: at, keep_empty: true }", "keep_empty"),
            ("columns: { a: at }\nunpivot: { columns: [a], name: region, value: rate }", "both use the column `a`"),
        ];
        for (text, part) in cases {
            let found = source(text).faults(Some(&schema()));
            assert!(found.iter().any(|fault| fault.contains(part)), "{text}: {found:?}");
        }
    }
}
