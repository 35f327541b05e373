//! Avro's schema resolution as a comparison: what keeps records of one schema from being read with another.
//!
//! apache-avro has one too, which stops at the first reason, gives no place within a union or an enum, takes what fails for
//! some values only as well enough, and reads microseconds as milliseconds because it drops logical types.

use std::collections::{HashMap, HashSet};
use std::fmt;

use apache_avro::schema::{EnumSchema, FixedSchema, InnerDecimalSchema, Name, RecordSchema, Schema, UuidSchema};

use super::super::schema::kind_name;

/// One thing that keeps records of a writer's schema from being read with a reader's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: ``field `a.b` ``, or `the record`.
    pub place: String,
    /// What.
    pub kind: Kind,
    /// Whether some records can be read all the same: a union or an enum has other values, too.
    pub partial: bool,
}

/// What keeps a value from being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The writer has no such field, and the reader no default.
    Missing,
    /// Two names that would have to be one.
    Name {
        /// The writer's.
        writer: String,
        /// The reader's.
        reader: String,
    },
    /// A type that cannot become the other.
    Type {
        /// The writer's.
        writer: String,
        /// The reader's.
        reader: String,
    },
    /// A branch of the writer's union.
    Branch {
        /// The branch.
        branch: String,
        /// The reader's type.
        reader: String,
    },
    /// A symbol of the writer's enum that the reader's lacks.
    Symbol(String),
    /// Fixed values or decimals of other sizes.
    Size {
        /// The writer's.
        writer: String,
        /// The reader's.
        reader: String,
    },
}

impl Kind {
    pub(super) fn told(&self) -> String {
        match self {
            Self::Missing => "it is missing and has no default".to_owned(),
            Self::Name { writer, reader } => format!(
                "what is written as `{writer}` is not read as `{reader}`: keep the name, or list the old one under `aliases`"
            ),
            Self::Type { writer, reader } => {
                format!("{writer} cannot be read as {reader}: keep the type, or add a field of another name")
            }
            Self::Branch { branch, reader } if branch == "null" => {
                format!("a null cannot be read as {reader}: keep the field nullable")
            }
            Self::Branch { branch, reader } => format!("{branch}, a branch of the union, cannot be read as {reader}"),
            Self::Symbol(symbol) => {
                format!("the symbol `{symbol}` would not be known: keep the symbols, or give the enum a default")
            }
            Self::Size { writer, reader } => format!("{writer} cannot be read as {reader}: keep the size"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Missing => write!(f, "{} is missing in it, and has no default in the pipeline's schema", self.place),
            kind => write!(f, "{}: {}", self.place, kind.told()),
        }
    }
}

/// Everything that keeps records of `writer` from being read with `reader`, in the order of the reader's fields.
pub fn faults(writer: &Schema, reader: &Schema) -> Vec<Fault> {
    let mut comparison =
        Comparison { writers: Names::of(writer), readers: Names::of(reader), seen: HashSet::new(), found: Vec::new() };
    comparison.compare("", writer, reader);
    comparison.found
}

/// Named types of a schema, by their full names.
#[derive(Debug, Clone, Default)]
struct Names<'a>(HashMap<String, &'a Schema>);

impl<'a> Names<'a> {
    fn of(schema: &'a Schema) -> Self {
        let mut names = Self::default();
        names.note(schema);
        names
    }

    fn note(&mut self, schema: &'a Schema) {
        if let (Some(name), false) = (schema.name(), matches!(schema, Schema::Ref { .. })) {
            self.0.insert(name.fullname(None), schema);
        }
        match schema {
            Schema::Record(record) => record.fields.iter().for_each(|field| self.note(&field.schema)),
            Schema::Array(array) => self.note(&array.items),
            Schema::Map(map) => self.note(&map.types),
            Schema::Union(union) => union.variants().iter().for_each(|variant| self.note(variant)),
            _ => {}
        }
    }

    /// What a reference stands for.
    fn resolved(&self, schema: &'a Schema) -> &'a Schema {
        match schema {
            Schema::Ref { name } => self.0.get(&name.fullname(None)).copied().unwrap_or(schema),
            schema => schema,
        }
    }
}

#[derive(Debug, Clone)]
struct Comparison<'a> {
    writers: Names<'a>,
    readers: Names<'a>,
    /// Pairs that were compared: a type may contain itself.
    seen: HashSet<(*const Schema, *const Schema)>,
    found: Vec<Fault>,
}

impl<'a> Comparison<'a> {
    fn compare(&mut self, path: &str, writer: &'a Schema, reader: &'a Schema) {
        let (writer, reader) = (self.writers.resolved(writer), self.readers.resolved(reader));
        if writer.is_named() && !self.seen.insert((std::ptr::from_ref(writer), std::ptr::from_ref(reader))) {
            return;
        }
        match (writer, reader) {
            (Schema::Union(union), reader) => self.branches(path, union.variants(), reader),
            (writer, Schema::Union(union)) => match nullable(union.variants()) {
                Some(inner) if !matches!(writer, Schema::Null) => self.compare(path, writer, inner),
                _ if union.variants().iter().any(|variant| self.fits(writer, variant)) => {}
                _ => self.refuse(path, types(writer, reader)),
            },
            (Schema::Record(writer), Schema::Record(reader)) => self.records(path, writer, reader),
            (Schema::Array(writer), Schema::Array(reader)) => {
                self.compare(&format!("{path}[]"), &writer.items, &reader.items);
            }
            (Schema::Map(writer), Schema::Map(reader)) => {
                self.compare(&format!("{path}{{}}"), &writer.types, &reader.types);
            }
            (Schema::Enum(writer), Schema::Enum(reader)) => self.enums(path, writer, reader),
            (Schema::Decimal(from), Schema::Decimal(to))
                if (from.precision, from.scale) != (to.precision, to.scale) =>
            {
                let told = |precision, scale| format!("decimal({precision}, {scale})");
                let (writer, reader) = (told(from.precision, from.scale), told(to.precision, to.scale));
                self.refuse(path, Kind::Size { writer, reader });
            }
            _ => match (fixed(writer), fixed(reader)) {
                (Some(from), Some(to)) if from.size != to.size => {
                    let told = |size| format!("fixed of {size} bytes");
                    self.refuse(path, Kind::Size { writer: told(from.size), reader: told(to.size) });
                }
                (Some(_), Some(_)) => {}
                _ if promotes(writer, reader) => {}
                _ => self.refuse(path, types(writer, reader)),
            },
        }
    }

    /// The branches of a writer's union, each of which must be readable.
    fn branches(&mut self, path: &str, branches: &'a [Schema], reader: &'a Schema) {
        let inner = match reader {
            Schema::Union(union) => nullable(union.variants()),
            reader => Some(reader),
        };
        // The common shape is looked into, so that what is wrong inside of it has its own place.
        if let (Some(branch), Some(inner)) = (nullable(branches), inner) {
            if !matches!(reader, Schema::Union(_)) {
                self.refuse_some(path, Kind::Branch { branch: "null".to_owned(), reader: kind_name(reader) });
            }
            return self.compare(path, branch, inner);
        }
        let refused: Vec<&Schema> = branches.iter().filter(|branch| !self.fits(branch, reader)).collect();
        let partial = refused.len() < branches.len();
        for branch in refused {
            let kind = Kind::Branch { branch: kind_name(branch), reader: kind_name(reader) };
            self.found.push(Fault { place: place(path), kind, partial });
        }
    }

    fn records(&mut self, path: &str, writer: &'a RecordSchema, reader: &'a RecordSchema) {
        let aliases = reader.aliases.iter().flatten().map(|alias| alias.name());
        self.names(path, &writer.name, &reader.name, aliases);
        for field in &reader.fields {
            let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
            let mut names = std::iter::once(&field.name).chain(&field.aliases);
            match names.find_map(|name| writer.fields.iter().find(|written| written.name == *name)) {
                Some(written) => self.compare(&path, &written.schema, &field.schema),
                None if field.default.is_some() => {}
                None => self.refuse(&path, Kind::Missing),
            }
        }
    }

    fn enums(&mut self, path: &str, writer: &EnumSchema, reader: &EnumSchema) {
        self.names(path, &writer.name, &reader.name, reader.aliases.iter().flatten().map(|alias| alias.name()));
        if reader.default.is_some() {
            return;
        }
        let unknown: Vec<&String> = writer.symbols.iter().filter(|symbol| !reader.symbols.contains(symbol)).collect();
        let partial = unknown.len() < writer.symbols.len();
        for symbol in unknown {
            self.found.push(Fault { place: place(path), kind: Kind::Symbol(symbol.clone()), partial });
        }
    }

    /// Names are compared without their namespaces, as the specification says.
    fn names<'n>(&mut self, path: &str, writer: &Name, reader: &Name, mut aliases: impl Iterator<Item = &'n str>) {
        if writer.name() != reader.name() && !aliases.any(|alias| alias == writer.name()) {
            let kind = Kind::Name { writer: writer.name().to_owned(), reader: reader.name().to_owned() };
            self.refuse(path, kind);
        }
    }

    /// Whether every value of `writer` can be read.
    fn fits(&self, writer: &'a Schema, reader: &'a Schema) -> bool {
        let mut trial = Self { found: Vec::new(), ..self.clone() };
        trial.compare("", writer, reader);
        trial.found.is_empty()
    }

    fn refuse(&mut self, path: &str, kind: Kind) {
        self.found.push(Fault { place: place(path), kind, partial: false });
    }

    fn refuse_some(&mut self, path: &str, kind: Kind) {
        self.found.push(Fault { place: place(path), kind, partial: true });
    }
}

fn place(path: &str) -> String {
    if path.is_empty() { "the record".to_owned() } else { format!("field `{path}`") }
}

fn types(writer: &Schema, reader: &Schema) -> Kind {
    Kind::Type { writer: kind_name(writer), reader: kind_name(reader) }
}

/// The other branch of a union of null and one more.
fn nullable(variants: &[Schema]) -> Option<&Schema> {
    match variants {
        [Schema::Null, inner] | [inner, Schema::Null] => Some(inner),
        _ => None,
    }
}

fn fixed(schema: &Schema) -> Option<&FixedSchema> {
    match schema {
        Schema::Fixed(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) | Schema::Duration(fixed) => Some(fixed),
        Schema::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Fixed(fixed) => Some(fixed),
            InnerDecimalSchema::Bytes => None,
        },
        _ => None,
    }
}

/// What a value looks like on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wire {
    Int,
    Long,
    Float,
    Double,
}

fn number(schema: &Schema) -> Option<Wire> {
    match schema {
        Schema::Int | Schema::Date | Schema::TimeMillis => Some(Wire::Int),
        Schema::Float => Some(Wire::Float),
        Schema::Double => Some(Wire::Double),
        Schema::Long => Some(Wire::Long),
        schema if unit(schema).is_some() => Some(Wire::Long),
        _ => None,
    }
}

/// What a number counts, if it says so.
fn unit(schema: &Schema) -> Option<&'static str> {
    match schema {
        Schema::Date => Some("date"),
        Schema::TimeMillis => Some("time-millis"),
        Schema::TimeMicros => Some("time-micros"),
        Schema::TimestampMillis => Some("timestamp-millis"),
        Schema::TimestampMicros => Some("timestamp-micros"),
        Schema::TimestampNanos => Some("timestamp-nanos"),
        Schema::LocalTimestampMillis => Some("local-timestamp-millis"),
        Schema::LocalTimestampMicros => Some("local-timestamp-micros"),
        Schema::LocalTimestampNanos => Some("local-timestamp-nanos"),
        _ => None,
    }
}

fn is_text(schema: &Schema) -> bool {
    match schema {
        Schema::Bytes | Schema::String | Schema::BigDecimal | Schema::Uuid(UuidSchema::String | UuidSchema::Bytes) => {
            true
        }
        Schema::Decimal(decimal) => matches!(decimal.inner, InnerDecimalSchema::Bytes),
        _ => false,
    }
}

/// Whether every scalar of `writer` is one of `reader`. A unit may be added or dropped, as Avro drops logical types, but
/// never changed: microseconds read as milliseconds are a thousand times too late.
fn promotes(writer: &Schema, reader: &Schema) -> bool {
    match (writer, reader) {
        (Schema::Null, Schema::Null) | (Schema::Boolean, Schema::Boolean) => return true,
        _ if is_text(writer) && is_text(reader) => return true,
        _ => {}
    }
    if let (Some(from), Some(to)) = (unit(writer), unit(reader))
        && from != to
    {
        return false;
    }
    // Int to long, float, double; long to float, double; float to double: later in the list, never earlier.
    matches!((number(writer), number(reader)), (Some(from), Some(to)) if from <= to)
}
