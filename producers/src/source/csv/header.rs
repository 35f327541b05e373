//! What each column of a delimited file fills.

use driftmill_schemas::name::{self, shortened};
use driftmill_schemas::pipeline::CsvSource;
use driftmill_schemas::record::RecordSchema;

use super::super::reason::Reason;
use crate::Error;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// It fills the field with that index.
    Field(usize),
    /// It is passed over.
    Ignored,
}

/// The columns in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub columns: Vec<Column>,
    /// The first column that nothing is known of: no row can be read then.
    pub unknown: Option<Reason>,
}

impl Layout {
    /// Maps the header's texts: first by `columns`, then `ignore`, then by the fields' own names. Spaces around a header
    /// do not count.
    pub(super) fn new(
        file: &str,
        header: &[String],
        declared: &CsvSource,
        schema: &RecordSchema,
    ) -> Result<Self, Error> {
        let mut filled_by: Vec<Option<&str>> = vec![None; schema.fields.len()];
        let (mut columns, mut unknown) = (Vec::with_capacity(header.len()), None);
        for text in header {
            let trimmed = text.trim();
            let mapped = declared.columns.get(text).or_else(|| declared.columns.get(trimmed)).map(String::as_str);
            let ignored = mapped.is_none() && declared.ignore.iter().any(|other| other == text || other == trimmed);
            let field = if ignored { None } else { schema.index(mapped.unwrap_or(trimmed)) };
            columns.push(match field {
                Some(index) => {
                    if let Some(first) = filled_by[index].replace(text) {
                        return Err(Error::HeaderTwice {
                            file: file.to_owned(),
                            field: schema.fields[index].name.clone(),
                            first: shortened(first, 60),
                            second: shortened(text, 60),
                        });
                    }
                    Column::Field(index)
                }
                None => {
                    if !ignored {
                        unknown.get_or_insert_with(|| Reason::UnknownColumn {
                            column: shortened(trimmed, 60),
                            hint: name::did_you_mean(trimmed, known(declared, schema)),
                        });
                    }
                    Column::Ignored
                }
            });
        }
        let missing = schema.fields.iter().zip(&filled_by).find(|(field, by)| by.is_none() && !field.nullable);
        if let Some((field, _)) = missing {
            return Err(missing_column(file, &field.name, header, declared));
        }
        Ok(Self { columns, unknown })
    }
}

fn known<'a>(declared: &'a CsvSource, schema: &'a RecordSchema) -> impl Iterator<Item = &'a str> {
    schema.names().chain(declared.columns.keys().map(String::as_str))
}

fn missing_column(file: &str, field: &str, header: &[String], declared: &CsvSource) -> Error {
    const SHOWN: usize = 30;
    // The file may have the column under a name that is near the field's, or near the one it was expected under.
    let expected = declared.columns.iter().filter(|(_, to)| *to == field).map(|(from, _)| from.as_str());
    let candidates = || header.iter().map(|text| text.trim());
    let near = std::iter::once(field).chain(expected).find_map(|wanted| name::nearest(wanted, candidates()));
    let mut shown: Vec<String> = header.iter().take(SHOWN).map(|text| format!("`{}`", shortened(text, 60))).collect();
    if header.len() > SHOWN {
        shown.push(format!("and {} more", header.len() - SHOWN));
    }
    Error::MissingColumn {
        file: file.to_owned(),
        field: field.to_owned(),
        header: shown.join(", "),
        hint: near.map(|near| format!(" (did you mean `{}`?)", shortened(near, 60))).unwrap_or_default(),
    }
}
