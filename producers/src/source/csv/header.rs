//! What each column of a delimited file fills.

use driftmill_schemas::name::{self, shortened};
use driftmill_schemas::pipeline::CsvSource;
use driftmill_schemas::record::{RecordSchema, Value};

use super::super::reason::Reason;
use super::files::Attachment;
use crate::Error;

/// Headers that an error shows.
const SHOWN: usize = 30;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// It fills the field with that index.
    Field(usize),
    /// It is a record of its own: its place in [`Layout::names`].
    Unpivoted(usize),
    /// It is passed over, or only looked up.
    Ignored,
}

/// The columns in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub columns: Vec<Column>,
    /// The first column that nothing is known of: no row can be read then.
    pub unknown: Option<Reason>,
    /// What every record begins with: the declared defaults, and nulls.
    pub initial: Vec<Value>,
    /// The column whose cell is looked up in the joined file.
    pub key: Option<usize>,
    /// Files that rows name.
    pub attachments: Vec<Attachment>,
    /// Fields that the header and the cell of an unpivoted column fill.
    pub unpivot: Option<(usize, usize)>,
    /// What the headers of unpivoted columns are in the field of their names.
    pub names: Vec<Value>,
}

impl Layout {
    /// Maps the header's texts: first by `columns`, then `ignore`, then by what rows are taken apart by, then by the
    /// fields' own names. Spaces around a header do not count. `joined` are fields that another file fills.
    pub(super) fn new(
        file: &str,
        header: &[String],
        declared: &CsvSource,
        schema: &RecordSchema,
        joined: &[usize],
    ) -> Result<Self, Error> {
        let mut mapping = Mapping { file, header, declared, schema, filled_by: vec![None; schema.fields.len()] };
        let mut layout = Self {
            columns: Vec::with_capacity(header.len()),
            unknown: None,
            initial: mapping.initial()?,
            key: None,
            attachments: Vec::new(),
            unpivot: None,
            names: Vec::new(),
        };
        if !joined.is_empty() {
            layout.key = declared.join.as_ref().map(|join| mapping.find(&join.on, "`join`")).transpose()?;
        }
        for file in &declared.files {
            let attachment = Attachment::new(file, schema, |column| mapping.find(column, "`files`"));
            layout.attachments.push(attachment.map_err(|reason| mapping.at_fault(reason))??);
        }
        for text in header {
            let column = mapping.column(text, &mut layout)?;
            layout.columns.push(column);
        }
        for index in joined {
            mapping.fill(*index, "of the joined file")?;
        }
        for attachment in &layout.attachments {
            mapping.fill(attachment.field, "of files")?;
        }
        if let Some(unpivot) = &declared.unpivot {
            if layout.names.is_empty() {
                let columns = unpivot.columns.iter().map(|column| format!("`{}`", shortened(column, 60)));
                let columns = columns.collect::<Vec<_>>().join(", ");
                let header = mapping.shown();
                return Err(
                    mapping.at_fault(format!("none of {columns}, of which `unpivot` makes records, is in {header}"))
                );
            }
            let field = |name: &str| schema.index(name).ok_or_else(|| mapping.no_field(name));
            let fields = (field(&unpivot.name)?, field(&unpivot.value)?);
            mapping.fill(fields.0, "of `unpivot`")?;
            mapping.fill(fields.1, "of `unpivot`")?;
            layout.unpivot = Some(fields);
        }
        let mut fields = schema.fields.iter().zip(&mapping.filled_by).zip(&layout.initial);
        let missing = fields.find(|((field, by), initial)| by.is_none() && !field.nullable && **initial == Value::Null);
        if let Some(((field, _), _)) = missing {
            return Err(mapping.missing_column(&field.name));
        }
        Ok(layout)
    }

    /// Whether a column of the file itself fills a field.
    pub(super) fn fills(&self) -> bool {
        self.columns.iter().any(|column| *column != Column::Ignored)
    }
}

struct Mapping<'a> {
    file: &'a str,
    header: &'a [String],
    declared: &'a CsvSource,
    schema: &'a RecordSchema,
    /// The column that fills each field.
    filled_by: Vec<Option<&'a str>>,
}

impl<'a> Mapping<'a> {
    fn initial(&self) -> Result<Vec<Value>, Error> {
        let default = |field: &driftmill_schemas::record::Field| match self.declared.defaults.get(&field.name) {
            Some(text) => Value::from_text(text, field).map_err(|error| self.at_fault(format!("`defaults`: {error}"))),
            None => Ok(Value::Null),
        };
        self.schema.fields.iter().map(default).collect()
    }

    fn column(&mut self, text: &'a str, layout: &mut Layout) -> Result<Column, Error> {
        let (declared, trimmed) = (self.declared, text.trim());
        let is = |other: &str| other == text || other == trimmed;
        let mapped = declared.columns.get(text).or_else(|| declared.columns.get(trimmed)).map(String::as_str);
        if mapped.is_none() && declared.ignore.iter().any(|other| is(other)) {
            return Ok(Column::Ignored);
        }
        if let Some(unpivot) = declared.unpivot.as_ref().filter(|unpivot| unpivot.columns.iter().any(|other| is(other)))
        {
            let field = self.schema.field(&unpivot.name).ok_or_else(|| self.no_field(&unpivot.name))?;
            let name = Value::from_text(declared.replaced(&field.name, trimmed), field);
            layout.names.push(name.map_err(|error| self.at_fault(format!("`unpivot`: {error}")))?);
            return Ok(Column::Unpivoted(layout.names.len() - 1));
        }
        let place = layout.columns.len();
        let names_file = layout.attachments.iter().any(|attachment| attachment.columns.contains(&place));
        let looked_up = declared.join.as_ref().is_some_and(|join| is(&join.on)) || names_file;
        // A column that has the name of the field that its file fills tells only which one.
        let field = self.schema.index(mapped.unwrap_or(trimmed));
        let own = |index: &usize| mapped.is_none() && layout.attachments.iter().any(|other| other.field == *index);
        match field.filter(|index| !(names_file && own(index))) {
            Some(index) => {
                self.fill(index, text)?;
                Ok(Column::Field(index))
            }
            None => {
                if !looked_up {
                    layout.unknown.get_or_insert_with(|| Reason::UnknownColumn {
                        column: shortened(trimmed, 60),
                        hint: name::did_you_mean(trimmed, self.known()),
                    });
                }
                Ok(Column::Ignored)
            }
        }
    }

    /// Notes that `column` fills a field, which no other may.
    fn fill(&mut self, index: usize, column: &'a str) -> Result<(), Error> {
        let Some(first) = self.filled_by[index].replace(column) else { return Ok(()) };
        Err(Error::HeaderTwice {
            file: self.file.to_owned(),
            field: self.schema.fields[index].name.clone(),
            first: shortened(first, 60),
            second: shortened(column, 60),
        })
    }

    /// The place of the column called `name`, which `part` of the declaration needs.
    fn find(&self, name: &str, part: &str) -> Result<usize, Error> {
        let is = |(_, text): &(usize, &String)| text.as_str() == name || text.trim() == name;
        let mut found = self.header.iter().enumerate().filter(is).map(|(place, _)| place);
        let shown = shortened(name, 60);
        match (found.next(), found.next()) {
            (Some(place), None) => Ok(place),
            (Some(_), Some(_)) => {
                Err(self.at_fault(format!("{part} needs the column `{shown}`, and two have that name")))
            }
            (None, _) => {
                let hint = name::did_you_mean(name, self.header.iter().map(|text| text.trim()));
                let header = self.shown();
                Err(self.at_fault(format!("{part} needs the column `{shown}`, and the file has {header}{hint}")))
            }
        }
    }

    fn known(&self) -> impl Iterator<Item = &str> {
        let unpivoted = self.declared.unpivot.iter().flat_map(|unpivot| unpivot.columns.iter());
        self.schema.names().chain(self.declared.columns.keys().chain(unpivoted).map(String::as_str))
    }

    fn shown(&self) -> String {
        let (header, most) = (self.header, SHOWN);
        let mut shown: Vec<String> =
            header.iter().take(most).map(|text| format!("`{}`", shortened(text, 60))).collect();
        if header.len() > most {
            shown.push(format!("and {} more", header.len() - most));
        }
        shown.join(", ")
    }

    fn at_fault(&self, reason: String) -> Error {
        Error::Columns { file: self.file.to_owned(), reason }
    }

    fn no_field(&self, field: &str) -> Error {
        self.at_fault(format!("the schema has no field `{field}`{}", name::did_you_mean(field, self.schema.names())))
    }

    fn missing_column(&self, field: &str) -> Error {
        // The file may have the column under a name that is near the field's, or near the one it was expected under.
        let expected = self.declared.columns.iter().filter(|(_, to)| *to == field).map(|(from, _)| from.as_str());
        let candidates = || self.header.iter().map(|text| text.trim());
        let near = std::iter::once(field).chain(expected).find_map(|wanted| name::nearest(wanted, candidates()));
        Error::MissingColumn {
            file: self.file.to_owned(),
            field: field.to_owned(),
            header: self.shown(),
            hint: near.map(|near| format!(" (did you mean `{}`?)", shortened(near, 60))).unwrap_or_default(),
        }
    }
}
