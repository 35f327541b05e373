//! Which source reads a file or a folder that somebody names, and what of a folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use driftmill_schemas::pipeline::{CsvSource, JsonLinesSource, Loaded, ParquetSource, Source, SourceKind};

use crate::Error;
use crate::source::{CsvReader, Fit, image_files, parquet};

/// Files of a folder whose headers are looked at.
const LOOKED_AT: usize = 1_000;

/// The first source of the pipeline that reads `given` and ends. Of a folder that is one whose files are found in it; of a
/// delimited file one whose columns fit its header, and if there is none, columns that have the fields' names need no
/// declaration. It blocks on the disk.
pub fn source_for(loaded: &Loaded, given: &Path) -> Result<Source, Error> {
    let nothing = |reason: String| Error::NothingReads {
        given: given.display().to_string(),
        pipeline: loaded.pipeline.name.clone(),
        reason,
    };
    let of_files = |source: &&Source| reads_files(source) && !source.follows();
    let sources = || loaded.pipeline.sources.iter().filter(of_files);
    if given.is_dir() {
        let (mut partly, mut looked) = (None, Vec::new());
        for source in sources() {
            match look(loaded, source, given) {
                Ok((_, Fit::Whole)) => return Ok(source.clone()),
                // Another source may know all of the columns.
                Ok(_) => partly = partly.or(Some(source)),
                Err(reason) => looked.push(format!("`{}` {reason}", source.name)),
            }
        }
        if let Some(source) = partly {
            return Ok(source.clone());
        }
        if looked.is_empty() {
            looked.push("it has no source `csv`, `json_lines`, `parquet` or `images`".to_owned());
        }
        return Err(nothing(looked.join("; ")));
    }
    let extension = given.extension().map(|extension| extension.to_ascii_lowercase()).unwrap_or_default();
    let file = Source { name: "file".to_owned(), ..Source::default() };
    match extension.to_str().unwrap_or_default() {
        "csv" | "tsv" | "txt" => {
            let declared = sources().filter(|source| source.csv.is_some());
            of_delimited(loaded, declared.cloned().collect(), file, given).map_err(nothing)
        }
        "jsonl" | "ndjson" | "json" => {
            let plain = Source { json_lines: Some(JsonLinesSource::at("-")), ..file };
            Ok(sources().find(|source| source.json_lines.is_some()).cloned().unwrap_or(plain))
        }
        "parquet" => {
            let plain = Source { parquet: Some(ParquetSource::at("-")), ..file };
            Ok(sources().find(|source| source.parquet.is_some()).cloned().unwrap_or(plain))
        }
        _ => Err(nothing(
            "what is in it? Files end in .csv, .jsonl or .parquet, or name a source of the pipeline with --source"
                .to_owned(),
        )),
    }
}

/// What `source` reads in the folder `given`.
pub(crate) fn find(loaded: &Loaded, source: &Source, given: &Path) -> Result<PathBuf, Error> {
    look(loaded, source, given).map(|(path, _)| path).map_err(|reason| Error::NotInFolder {
        source_name: source.name.clone(),
        folder: given.display().to_string(),
        reason,
    })
}

fn reads_files(source: &Source) -> bool {
    use SourceKind::{Csv, Images, JsonLines, Parquet};
    matches!(source.kind(), Some(Csv(_) | JsonLines(_) | Parquet(_) | Images(_)))
}

/// The same, and how well it fits; the error says what was looked for.
fn look(loaded: &Loaded, source: &Source, given: &Path) -> Result<(PathBuf, Fit), String> {
    let within = |path: &str| given.join(path);
    let whole = |path| Ok((path, Fit::Whole));
    match source.kind() {
        Some(SourceKind::Csv(csv)) => {
            let path = within(&csv.path);
            if path.is_file() { whole(path) } else { by_header(loaded, csv, given) }
        }
        Some(SourceKind::JsonLines(lines)) => {
            let path = within(&lines.path);
            if path.is_file() { whole(path) } else { Err(format!("looked for `{}`", lines.path)) }
        }
        Some(SourceKind::Parquet(parquet)) => {
            let path = within(&parquet.path);
            match parquet::files(&path) {
                Ok(files) if files.iter().any(|file| file.is_file()) => whole(path),
                _ => Err(format!("looked for `{}`", parquet.path)),
            }
        }
        Some(SourceKind::Images(images)) => match image_files(given, images.recursive) {
            Ok(0) => Err("looked for images".to_owned()),
            Ok(_) => whole(given.to_owned()),
            Err(error) => Err(format!("cannot look for images: {error}")),
        },
        _ => Err("reads no files".to_owned()),
    }
}

/// The one delimited file of a folder that fits; of those that have what is needed, one all of whose columns are known
/// goes before the others.
fn by_header(loaded: &Loaded, csv: &CsvSource, folder: &Path) -> Result<(PathBuf, Fit), String> {
    let (mut whole, mut partly, mut told) = (Vec::new(), Vec::new(), Vec::new());
    let files = delimited(folder).map_err(|error| format!("cannot look into the folder: {error}"))?;
    for path in files {
        match fit(loaded, csv, &path, folder) {
            Ok((Fit::Whole, _)) => whole.push(path),
            Ok((Fit::Partly, _)) => partly.push(path),
            Ok((Fit::Nothing, _)) => told.push(format!("`{}` has none of its columns", path.display())),
            Err(reason) => told.push(reason),
        }
    }
    let (found, fit) = if whole.is_empty() { (&mut partly, Fit::Partly) } else { (&mut whole, Fit::Whole) };
    let declared = &csv.path;
    match found.as_slice() {
        [_] => Ok((found.remove(0), fit)),
        [] if told.is_empty() => Err(format!("looked for `{declared}` or another *.csv")),
        [] => Err(format!("looked for `{declared}` or one *.csv with its columns ({})", told.join("; "))),
        several => {
            let names: Vec<_> = several.iter().map(|path| format!("`{}`", path.display())).collect();
            Err(format!(
                "looked for `{declared}`, and several others have its columns ({}): name one",
                names.join(", ")
            ))
        }
    }
}

fn delimited(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        if is_csv && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found.truncate(LOOKED_AT);
    Ok(found)
}

/// How well a file fits a declaration; the error says why it does not.
fn fit(loaded: &Loaded, csv: &CsvSource, path: &Path, folder: &Path) -> Result<(Fit, Option<String>), String> {
    let file = path.display().to_string();
    let opened = File::open(path).map_err(|error| format!("`{file}` cannot be opened: {error}"))?;
    let reader = CsvReader::begin(opened, 0, &file, folder, csv, &loaded.schema).map_err(|error| error.to_string())?;
    let (fit, unknown) = reader.fit();
    Ok((fit, unknown.map(ToString::to_string)))
}

/// The source among `declared` that fits a delimited file best, or else `plain` as one without a declaration.
fn of_delimited(loaded: &Loaded, declared: Vec<Source>, plain: Source, given: &Path) -> Result<Source, String> {
    let tab = given.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
    let plain =
        Source { csv: Some(CsvSource { delimiter: if tab { '\t' } else { ',' }, ..CsvSource::at("-") }), ..plain };
    let folder = given.parent().unwrap_or(Path::new(""));
    let only = if declared.len() == 1 { declared.first().cloned() } else { None };
    let (mut partly, mut told) = (None, Vec::new());
    for source in declared.into_iter().chain([plain.clone()]) {
        let Some(csv) = &source.csv else { continue };
        match fit(loaded, csv, given, folder) {
            Ok((Fit::Whole, _)) => return Ok(source),
            Ok((Fit::Partly, _)) => partly = partly.or(Some(source)),
            Ok((Fit::Nothing, _)) => told.push(format!("`{}` has other columns", source.name)),
            Err(reason) => told.push(format!("`{}`: {reason}", source.name)),
        }
    }
    // Reading it tells what is wrong, with the line.
    partly.or(only).ok_or_else(|| told.join("; "))
}

#[cfg(test)]
mod tests;
