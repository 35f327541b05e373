//! What the columns of a CSV are.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use driftmill_schemas::name;
use polars::prelude::{ChunkAgg as _, Column, CsvReadOptions, DataType, SerReader as _};

/// Texts that mean "no value" in the wild.
const NULLS: [&str; 6] = ["", "NA", "NaN", "nan", "null", "None"];
/// A column with more distinct values than this is no label.
const MOST_CLASSES: usize = 50;

/// A column, seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Header in the file.
    pub header: String,
    /// Field of the record.
    pub field: String,
    /// Avro type: `double`, `long`, `boolean` or `string`.
    pub kind: &'static str,
    /// Whether cells are missing.
    pub nullable: bool,
    /// Smallest and largest value of a numeric column.
    pub range: Option<(f64, f64)>,
}

/// What is to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct GuessedLabel {
    /// Field.
    pub field: String,
    /// Its values, sorted.
    pub classes: Vec<String>,
}

/// Everything inferred.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// Data rows.
    pub rows: usize,
    /// Columns in order.
    pub columns: Vec<Seen>,
    /// The label.
    pub label: GuessedLabel,
    /// What a person should look at.
    pub notes: Vec<String>,
}

/// Reads the whole file and decides.
pub fn infer(file: &Path, label: Option<&str>) -> anyhow::Result<Guess> {
    let frame = CsvReadOptions::default()
        .with_infer_schema_length(None)
        .map_parse_options(|options| {
            let nulls = NULLS.map(Into::into).to_vec();
            options.with_null_values(Some(polars::prelude::NullValues::AllColumns(nulls)))
        })
        .try_into_reader_with_file_path(Some(file.to_owned()))
        .and_then(|reader| reader.finish())
        .with_context(|| format!("`{}` cannot be read as CSV", file.display()))?;
    if frame.height() == 0 {
        bail!("`{}` has no data rows: nothing can be inferred", file.display());
    }
    let mut taken = HashSet::new();
    let mut columns = Vec::new();
    for (index, column) in frame.columns().iter().enumerate() {
        columns.push(see(column, index, &mut taken)?);
    }
    let mut notes = Vec::new();
    let chosen = match label {
        Some(label) => columns.iter().position(|c| c.header == label || c.field == label).with_context(|| {
            let hint = name::did_you_mean(label, columns.iter().map(|c| c.header.as_str()));
            format!("`{}` has no column `{label}`{hint}", file.display())
        })?,
        None => guess_label(frame.columns(), &columns)?,
    };
    let classes = distinct(&frame.columns()[chosen])?;
    if classes.len() < 2 || classes.len() > MOST_CLASSES {
        bail!(
            "column `{}` has {} distinct values; a label has 2 to {MOST_CLASSES}. Name another with --label",
            columns[chosen].header,
            classes.len()
        );
    }
    for column in columns.iter().filter(|c| c.kind == "string" && c.field != columns[chosen].field) {
        notes.push(format!(
            "`{}` is text: it is kept out of the features until an SQL expression makes it a number",
            column.field
        ));
    }
    for (column, data) in columns.iter().zip(frame.columns()) {
        if column.kind == "long" && data.n_unique().unwrap_or(0) == frame.height() {
            notes.push(format!(
                "`{}` differs in every row: if it is an id, declare it as `entity` and drop the feature",
                column.field
            ));
        }
    }
    let label = GuessedLabel { field: columns[chosen].field.clone(), classes };
    Ok(Guess { rows: frame.height(), columns, label, notes })
}

fn see(column: &Column, index: usize, taken: &mut HashSet<String>) -> anyhow::Result<Seen> {
    let header = column.name().to_string();
    let mut field = field_name(&header, index);
    while !taken.insert(field.clone()) {
        field.push_str("_2");
    }
    let kind = match column.dtype() {
        DataType::Boolean => "boolean",
        dtype if dtype.is_float() => "double",
        dtype if dtype.is_integer() => "long",
        _ => "string",
    };
    let range = if matches!(kind, "double" | "long") {
        let numbers = column.cast(&DataType::Float64)?;
        numbers.f64()?.min_max()
    } else {
        None
    };
    Ok(Seen { header, field, kind, nullable: column.null_count() > 0, range })
}

/// A header as a field name: lower case, everything else an underscore.
fn field_name(header: &str, index: usize) -> String {
    let mut text = String::new();
    for c in header.trim().chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            text.push(c);
        } else if !text.ends_with('_') && !text.is_empty() {
            text.push('_');
        }
    }
    let text: String = text.trim_end_matches('_').chars().take(name::MAX_LEN - 8).collect();
    if name::check(&text).is_ok() { text } else { format!("column_{index}") }
}

fn guess_label(data: &[Column], columns: &[Seen]) -> anyhow::Result<usize> {
    const USUAL: [&str; 7] = ["label", "target", "class", "species", "outcome", "y", "category"];
    if let Some(usual) = columns.iter().position(|c| USUAL.contains(&c.field.as_str())) {
        return Ok(usual);
    }
    let few =
        |i: &usize| data[*i].n_unique().is_ok_and(|n| (2..=MOST_CLASSES).contains(&n)) && columns[*i].kind != "double";
    (0..columns.len()).rev().find(few).context("no column looks like a label; name one with --label")
}

fn distinct(column: &Column) -> anyhow::Result<Vec<String>> {
    let text = column.drop_nulls().unique()?.cast(&DataType::String)?;
    let mut classes: Vec<String> = text.str()?.iter().flatten().map(str::to_owned).collect();
    // Numbers in the order of numbers, so that 10 follows 9.
    classes.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(csv: &str, label: Option<&str>) -> anyhow::Result<Guess> {
        let folder = std::env::temp_dir().join(format!("driftmill-infer-{}-{}", std::process::id(), csv.len()));
        std::fs::write(&folder, csv).unwrap();
        let guess = infer(&folder, label);
        std::fs::remove_file(&folder).unwrap();
        guess
    }

    #[test]
    fn types_gaps_ranges_and_the_label_are_found() {
        let seen = guess("Id,Sepal length (cm),size,Species\n1,5.1,3,a\n2,,4,b\n3,4.9,5,a\n", None).unwrap();
        let kinds: Vec<_> = seen.columns.iter().map(|c| (c.field.as_str(), c.kind, c.nullable)).collect();
        let expected = [
            ("id", "long", false),
            ("sepal_length_cm", "double", true),
            ("size", "long", false),
            ("species", "string", false),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(seen.columns[1].range, Some((4.9, 5.1)));
        assert_eq!(
            (seen.label.field.as_str(), seen.label.classes.as_slice()),
            ("species", ["a".to_owned(), "b".to_owned()].as_slice())
        );
        assert!(seen.notes.iter().any(|note| note.contains("`id`")), "{:?}", seen.notes);
    }

    #[test]
    fn a_column_that_is_no_label_and_a_column_that_is_not_there_are_errors_for_people() {
        let unknown = guess("a,b\n1,2\n3,4\n", Some("bb")).unwrap_err().to_string();
        assert!(unknown.contains("did you mean `b`") || unknown.contains("no column `bb`"), "{unknown}");
        assert!(guess("a\n1\n1\n", Some("a")).unwrap_err().to_string().contains("1 distinct"));
        assert!(guess("a,b\n", None).is_err());
    }
}
