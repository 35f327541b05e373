//! Reads a pipeline file: parse, validate, then build. Every error names file, line and what to do.

mod faults;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use super::{Error, Pipeline, Problem, Source};
use crate::name;
use crate::record::{Mapping, RecordSchema};
use faults::faults;

/// A pipeline that passed every check that needs no running service, with what its file refers to.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The schema of its raw records.
    pub schema: RecordSchema,
    /// The folder its relative paths start from.
    pub folder: PathBuf,
    /// Places of the file's parts, for errors found later (an expression that does not compile).
    pub places: Places,
}

/// Where in the file the parts of a pipeline stand: `(line, column)`, both from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    parts: BTreeMap<String, (u64, u64)>,
}

impl Places {
    /// The place of a part named like `features[2]`, `label` or `sources[0]`; `(0, 0)` when it is not in the file.
    pub fn of(&self, part: &str) -> (u64, u64) {
        self.parts.get(part).copied().unwrap_or_default()
    }

    /// Whether the file has that part.
    pub fn has(&self, part: &str) -> bool {
        self.parts.contains_key(part)
    }

    /// A problem at that place.
    pub fn problem(&self, part: &str, message: impl Into<String>) -> Problem {
        let (line, column) = self.of(part);
        Problem { line, column, message: message.into() }
    }
}

/// Reads and checks the pipeline file at `path`, and the Avro schema it names.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    let at_fault =
        |message: String| Error { file: path.to_owned(), problems: vec![Problem { line: 0, column: 0, message }] };
    let text = std::fs::read_to_string(path).map_err(|e| at_fault(format!("cannot be read: {e}")))?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    parse(&text, path, |relative| {
        std::fs::read_to_string(folder.join(relative)).map_err(|e| format!("`{relative}` cannot be read: {e}"))
    })
    .map(|(pipeline, schema, places)| Loaded { pipeline, schema, folder, places })
}

/// Parses and checks a pipeline file's text; `read` fetches the files it names.
pub fn parse(
    text: &str,
    file: &Path,
    read: impl Fn(&str) -> Result<String, String>,
) -> Result<(Pipeline, RecordSchema, Places), Error> {
    let fail = |problems: Vec<Problem>| Error { file: file.to_owned(), problems };
    let pipeline: Pipeline = serde_saphyr::from_str(text).map_err(|e| fail(vec![syntax_problem(&e)]))?;
    let places = places(text);
    let mut problems = Vec::new();
    let schema = match read(&pipeline.schema) {
        Err(message) => {
            problems.push(places.problem("schema", message));
            None
        }
        Ok(avro) => match RecordSchema::parse(&avro) {
            Ok(schema) => Some(schema),
            Err(e) => {
                problems.push(places.problem("schema", format!("`{}`: {e}", pipeline.schema)));
                None
            }
        },
    };
    problems.extend(faults(&pipeline, schema.as_ref(), &places));
    problems.extend(written_schemas(&pipeline, schema.as_ref(), &places, &read));
    match schema {
        Some(schema) if problems.is_empty() => Ok((pipeline, schema, places)),
        _ => {
            problems.sort_by_key(|problem| (problem.line, problem.column));
            Err(fail(problems))
        }
    }
}

/// The JSON Schema of the pipeline file, for editors.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Pipeline).to_value()
}

fn syntax_problem(error: &serde_saphyr::Error) -> Problem {
    let location = error.location();
    let text = error.without_snippet().to_string();
    // The first line is the fault itself; the parser may add a picture of the source below it.
    let first = text.lines().next().unwrap_or_default();
    let first = first.split(" at line ").next().unwrap_or(first).trim_start_matches("error: ");
    Problem {
        line: location.map_or(0, |at| at.line()),
        column: location.map_or(0, |at| at.column()),
        message: format!("{first}{}", name::hint_for(first)),
    }
}

/// The same document once more, read only for places.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Marks {
    version: Option<Spanned<IgnoredAny>>,
    name: Option<Spanned<IgnoredAny>>,
    schema: Option<Spanned<IgnoredAny>>,
    topics: Option<Spanned<IgnoredAny>>,
    entity: Option<Spanned<IgnoredAny>>,
    event_time: Option<Spanned<IgnoredAny>>,
    sources: Vec<Spanned<IgnoredAny>>,
    expectations: Vec<Spanned<IgnoredAny>>,
    features: Vec<Spanned<IgnoredAny>>,
    label: Option<Spanned<IgnoredAny>>,
    training: Option<Spanned<IgnoredAny>>,
    promotion: Option<Spanned<IgnoredAny>>,
    drift: Option<Spanned<IgnoredAny>>,
    serving: Option<Spanned<IgnoredAny>>,
}

fn places(text: &str) -> Places {
    let marks: Marks = serde_saphyr::from_str(text).unwrap_or_default();
    let mut parts = BTreeMap::new();
    let mut note = |part: String, mark: &Spanned<IgnoredAny>| {
        parts.insert(part, (mark.referenced.line(), mark.referenced.column()));
    };
    let single = [
        ("version", &marks.version),
        ("name", &marks.name),
        ("schema", &marks.schema),
        ("topics", &marks.topics),
        ("entity", &marks.entity),
        ("event_time", &marks.event_time),
        ("label", &marks.label),
        ("training", &marks.training),
        ("promotion", &marks.promotion),
        ("drift", &marks.drift),
        ("serving", &marks.serving),
    ];
    for (part, mark) in single {
        if let Some(mark) = mark {
            note(part.to_owned(), mark);
        }
    }
    for (list, marks) in
        [("sources", &marks.sources), ("expectations", &marks.expectations), ("features", &marks.features)]
    {
        for (index, mark) in marks.iter().enumerate() {
            note(format!("{list}[{index}]"), mark);
        }
    }
    Places { parts }
}

/// What is wrong with the schemas that other topics are said to be written with.
fn written_schemas(
    pipeline: &Pipeline,
    schema: Option<&RecordSchema>,
    places: &Places,
    read: &impl Fn(&str) -> Result<String, String>,
) -> Vec<Problem> {
    let fault = |source: &Source| {
        let (topic, schema) = (source.topic.as_ref()?, schema?);
        let path = topic.schema.as_ref()?;
        let written = read(path).and_then(|text| RecordSchema::parse(&text).map_err(|e| format!("`{path}`: {e}")));
        let mapped = written.and_then(|written| {
            Mapping::renamed(&written, schema, &topic.columns, &topic.ignore).map_err(|e| format!("`{path}`: {e}"))
        });
        mapped.err()
    };
    let numbered = pipeline.sources.iter().enumerate();
    numbered.filter_map(|(index, source)| Some(places.problem(&format!("sources[{index}]"), fault(source)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVRO: &str = r#"{"type":"record","name":"r","fields":[
        {"name":"length","type":"double"},{"name":"species","type":["null","string"]}]}"#;
    const GOOD: &str = "version: 1
name: flowers
schema: record.avsc
features:
  - name: length
label:
  field: species
  classes: [a, b]
training:
  algorithm: constant
";

    fn read(text: &str) -> Result<(Pipeline, RecordSchema, Places), Error> {
        parse(text, Path::new("pipeline.yaml"), |_| Ok(AVRO.to_owned()))
    }

    #[test]
    fn a_small_file_is_enough() {
        let (pipeline, schema, places) = read(GOOD).unwrap();
        assert_eq!((pipeline.name.as_str(), schema.fields.len()), ("flowers", 2));
        assert_eq!(places.of("features[0]").0, 5);
    }

    #[test]
    fn every_fault_is_told_with_its_line_and_the_way_out() {
        let cases = [
            (GOOD.replace("features:", "featurs:"), 4, "did you mean `features`"),
            (GOOD.replace("field: species", "field: specie"), 7, "did you mean `species`"),
            (GOOD.replace("classes: [a, b]", "classes: [a]"), 7, "two or more"),
            (GOOD.replace("name: flowers", "name: Flowers"), 2, "lower-case"),
            (GOOD.replace("version: 1", "version: 9"), 1, "reads 1"),
            (format!("{GOOD}drift:\n  windows: 4\n"), 12, "windows"),
            (
                format!("{}promotion:\n  gold: first\n", GOOD.replace("algorithm: constant", "algorithm: forecast")),
                12,
                "have no gold set",
            ),
            (format!("{GOOD}promotion:\n  gold: frist\n"), 12, "did you mean `first`"),
            (format!("{GOOD}sources:\n  - name: s\n"), 12, "exactly one of"),
            (
                format!("{GOOD}sources:\n  - name: s\n    csv: {{ path: a }}\n    parquet: {{ path: a }}\n"),
                12,
                "exactly one of",
            ),
            (
                format!("{GOOD}sources:\n  - name: s\n    parquet:\n      path: a\n      columns: {{ len: lenght }}\n"),
                12,
                "did you mean `length`",
            ),
            (format!("{GOOD}sources:\n  - name: s\n    parquet:\n      paht: a\n"), 14, "did you mean `path`"),
            (format!("{GOOD}expectations:\n  - {{ unique: {{ fields: [lenght] }} }}\n"), 12, "did you mean `length`"),
            (format!("{GOOD}expectations:\n  - {{ fresh: {{ within: 5 }} }}\n"), 12, "which `field`"),
            (format!("{GOOD}expectations:\n  - {{ field: length, fresh: {{ within: 5 }} }}\n"), 12, "no timestamp"),
            (format!("{GOOD}expectations:\n  - {{ sql: length > 1 }}\n  - {{ sql: length > 1 }}\n"), 13, "twice"),
            (format!("{GOOD}  timeout: 0\n"), 10, "a week"),
            (format!("{GOOD}  retries: 1000\n"), 10, "at most 100"),
            (format!("{GOOD}  new_rows: 0\n"), 10, "above 0"),
            (
                format!("{GOOD}  schedules:\n    - {{ name: a, cron: 0 1 * * 1, time_zone: UTZ }}\n"),
                10,
                "did you mean `UTC`",
            ),
            (format!("{GOOD}  schedules:\n    - {{ name: a, corn: 0 1 * * 1 }}\n"), 12, "did you mean `cron`"),
            (
                format!("{GOOD}  schedules:\n    - {{ name: a, cron: 0 1 * * 1, search: true }}\n"),
                10,
                "training.search",
            ),
            (
                format!(
                    "{GOOD}  schedules:\n    - {{ name: a, cron: 0 1 * * 1 }}\n    - {{ name: a, cron: 0 2 * * 1 }}\n"
                ),
                10,
                "declared twice",
            ),
        ];
        for (text, line, expected) in cases {
            let error = read(&text).unwrap_err();
            let problem = &error.problems[0];
            assert!(problem.message.contains(expected), "{error}");
            assert_eq!(problem.line, line, "{error}");
        }
    }

    #[test]
    fn when_a_pipeline_trains_says_nothing_of_the_model_that_it_makes() {
        let plain = read(GOOD).unwrap().0.training;
        let text =
            "  timeout: 5\n  retries: 0\n  retry_after: 1\n  new_rows: 9\n  schedules: [{ name: a, cron: '@daily' }]\n";
        let timed = read(&format!("{GOOD}{text}")).unwrap().0.training;
        assert_eq!((timed.made(), timed.timeout, timed.schedules.len()), (plain.clone(), 5, 1));
        // Nor is it written where it is as ever: models of before have the same hash.
        let written = serde_json::to_string(&plain).unwrap();
        assert!(!written.contains("timeout") && !written.contains("retr"), "{written}");
    }

    #[test]
    fn several_faults_come_in_the_order_of_the_file() {
        let text = GOOD.replace("name: flowers", "name: Flowers").replace("[a, b]", "[a, a]");
        let lines: Vec<u64> = read(&text).unwrap_err().problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [2, 7]);
    }

    #[test]
    fn the_json_schema_names_every_part() {
        let schema = json_schema().to_string();
        for part in ["expectations", "sources", "promotion", "cool_down", "by_class"] {
            assert!(schema.contains(part), "{part}");
        }
    }
}
